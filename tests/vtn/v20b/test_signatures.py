"""Signed messages over TLS, at a VTN that asks every VEN for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from openadr_profiles.v20b.errors import BadSignature
from openadr_profiles.v20b.signing import SigningKey, sign, verify
from tests.support.pki import Pki, TlsFiles
from tests.vtn.conftest import settings_for
from tests.vtn.harness import Moment, VtnUnderTest, unique
from tests.vtn.v20b.conftest import Enrol, fingerprint_of, v20b_settings
from tests.vtn.v20b.scripted_ven import Reply, ScriptedVen, element, of, payload

QUERY = payload(element("oadrQueryRegistration", of("pyld:requestID", "q1")))


def key_of(files: TlsFiles) -> SigningKey:
    return SigningKey(files.key.read_bytes(), files.certificate.read_bytes())


@pytest_asyncio.fixture(loop_scope="session")
async def signing_vtn(shared_url_20b: str, pki: Pki) -> AsyncIterator[VtnUnderTest]:
    settings = settings_for(shared_url_20b, v20b=v20b_settings(pki, signatures=True))
    now = Moment()
    now.at = datetime.now(UTC)  # certificates are valid on the calendar
    vtn = VtnUnderTest(settings, now)
    await vtn.start()
    yield vtn
    await vtn.stop()


async def test_only_signed_messages_are_taken_and_each_once(
    vtn20: VtnUnderTest, signing_vtn: VtnUnderTest, ven20: Enrol, pki: Pki
) -> None:
    """B-SEC-008 … B-SEC-012: ours are signed too; unsigned, foreign, repeated and old ones are refused with 403."""
    files, stranger = pki.client(unique("signs")), pki.client(unique("stranger"))
    ven: ScriptedVen = await ven20(signing_vtn, files=files, registered=False)
    key, now = key_of(files), signing_vtn.now()

    async def sent(body: bytes) -> Reply:
        return await ven.post("EiRegisterParty", body)

    body = sign(QUERY, key, now=now)
    answer = await sent(body)
    assert (answer.name, answer.code) == ("oadrCreatedPartyRegistration", "200")
    assert verify(answer.raw, {vtn_fingerprint(signing_vtn)}, now=signing_vtn.now()).received.name == answer.name
    with pytest.raises(BadSignature, match="not made with an enrolled certificate"):
        verify(answer.raw, {fingerprint_of(files)}, now=signing_vtn.now())

    refused = {
        "its nonce was used before": body,
        "there is none": QUERY,
        "not made with an enrolled certificate": sign(QUERY, key_of(stranger), now=now),
        "it was made": sign(QUERY, key, now=now - timedelta(seconds=300)),
        "Digest mismatch": sign(QUERY, key, now=now).replace(b">q1<", b">q2<"),
    }
    for said, each in refused.items():
        reply = await sent(each)
        assert reply.status == 403, said
        assert said in reply.raw.decode()


def vtn_fingerprint(vtn: VtnUnderTest) -> str:
    """The fingerprint of the certificate of a VTN."""
    v20b = vtn.server.settings.v20b
    assert v20b is not None
    assert v20b.cert is not None
    return fingerprint_of(TlsFiles(v20b.cert, v20b.cert, v20b.cert))
