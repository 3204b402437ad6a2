"""A client certificate that no VTN trusts, and what a certificate is good for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from oadr_conformance.errors import Misused
from oadr_conformance.v20b.subject import ClientCert


def self_signed(folder: Path) -> ClientCert:
    """Return a certificate that signed itself, with its key, in files of this folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance, signed by nobody")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    made = ClientCert(folder / "self-signed.pem", folder / "self-signed-key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


def is_for_servers(certificate: Path) -> bool:
    """Return False for a certificate whose uses are named, and to be a server is none of them.

    Raises:
        Misused: the file holds no certificate.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except (OSError, ValueError) as error:
        raise Misused(f"{certificate} holds no certificate in PEM: {error}") from error
    return not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.isdisjoint(usage)
