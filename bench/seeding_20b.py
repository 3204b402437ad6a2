"""Registered VENs of OpenADR 2.0b into our own database, as copies of a ven; the server must not run meanwhile."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import delete, insert

from bench.documents import wire_id
from bench.seeding import batches, opened, template_of
from openadr_profiles.v20b import fingerprint
from openadr_profiles.ven_20b import CLIENT_PREFIX
from vtn.store.stamps import stamp
from vtn.store.tables import vens
from vtn.store.v20b.tables import oadr20b_certificates, oadr20b_vens

_NUMBER_OCTETS: Final = 4


def certificates(number: int) -> list[bytes]:
    """Return so many certificates as DER, as large as real ones. They differ in the last octets of their signature.

    So they would not stand a check; that is the work of what terminates TLS.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ven.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    beginning = made[:-_NUMBER_OCTETS]
    return [beginning + place.to_bytes(_NUMBER_OCTETS, "big") for place in range(number)]


def in_header(der: bytes) -> str:
    """Return a certificate as a proxy hands it on: PEM, percent-encoded as nginx does it."""
    return (
        ssl.DER_cert_to_PEM_cert(der).replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B").replace("/", "%2F")
    )


async def fill_vens_20b(url: str, template_id: str, ders: Sequence[bytes]) -> None:
    """Exactly the VENs of these certificates besides those of OpenADR 3, all of them registered."""
    now = stamp(datetime.now(UTC))
    async with opened(url) as database:
        template = await template_of(database, vens, template_id)

        def rows_of(place: int) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
            its, id_, name = fingerprint.of(ders[place]), str(uuid.uuid4()), wire_id(place)
            client_id = CLIENT_PREFIX + its.replace(":", "").lower()
            members = template["members"].replace(template["client_id"], client_id).replace(template["name"], name)
            ven = {**template, "id": id_, "created_at": now, "modified_at": now}
            enrolled = {"ven_id": id_, "wire_id": name, "registration_id": f"registration-{place}"}
            return (
                ven | {"client_id": client_id, "name": name, "targets": (f"site-{place}",), "members": members},
                enrolled | {"is_report_only": False, "signs": False, "is_disabled": False, "registered_at": now},
                {"fingerprint": its, "ven_id": id_, "added_at": now},
            )

        async with database.write() as connection:
            await connection.execute(delete(vens).where(vens.c.client_id.like(f"{CLIENT_PREFIX}%")))
            for batch in batches(map(rows_of, range(len(ders)))):
                for table, rows in zip(
                    (vens, oadr20b_vens, oadr20b_certificates), zip(*batch, strict=True), strict=True
                ):
                    await connection.execute(insert(table), list(rows))
