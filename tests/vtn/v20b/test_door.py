"""The listener of OpenADR 2.0b: its TLS, its HTTP rules, and what it makes of bytes that are no message."""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import quote

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certs import KeyKind
from tests.support.pki import Pki, TlsFiles, client_context
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol, fingerprint_of, v20b_settings
from tests.vtn.v20b.scripted_ven import ScriptedVen, element, of, payload

SERVICES = ("EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll")
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><oadrPayload>&j;</oadrPayload>"
)


async def negotiated(port: int, context: ssl.SSLContext) -> tuple[str, str, bytes]:
    """The cipher, the version and the server's certificate of a new connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    connection = writer.get_extra_info("ssl_object")
    cipher, version, certificate = (
        connection.cipher()[0],
        connection.version(),
        connection.getpeercert(binary_form=True),
    )
    writer.close()
    await writer.wait_closed()
    return cipher, version, certificate


def files_of(pki: Pki, kind: KeyKind, name: str = "localhost", *, client: bool = False) -> TlsFiles:
    """Certificate files with a key of a kind."""
    issued = (
        pki.authority.issue_client(name, key_kind=kind)
        if client
        else pki.authority.issue_server(name, alternative_names=("127.0.0.1",), key_kind=kind)
    )
    pair = issued.save(pki._folder())
    return TlsFiles(pki.ca, pair.certificate, pair.key)


@pytest.mark.parametrize("client_kind", list(KeyKind))
async def test_both_suites_and_both_kinds_of_certificates(
    start_vtn: StartVtn, ven20: Enrol, pki: Pki, client_kind: KeyKind
) -> None:
    """B-SEC-001, B-SEC-002, B-SEC-003, B-SEC-005, B-SEC-006: whatever key the VEN has, it is known by fingerprint."""
    rsa = files_of(pki, KeyKind.RSA_2048)
    vtn = await start_vtn(v20b=v20b_settings(pki, rsa_cert=rsa.certificate, rsa_key=rsa.key))
    port = vtn.server.port_20b
    assert port is not None
    files = files_of(pki, client_kind, f"kinds-{client_kind}", client=True)
    for suite, algorithm in (("ECDHE-ECDSA-AES128-SHA256", "EC"), ("AES128-SHA256", "RSA")):
        context = client_context(pki.ca, files)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
        cipher, version, certificate = await negotiated(port, context)
        assert (cipher, version) == (suite, "TLSv1.2")
        assert algorithm in type(x509.load_der_x509_certificate(certificate).public_key()).__name__
    context = client_context(pki.ca, files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await negotiated(port, context))[0] == "ECDHE-ECDSA-AES128-SHA256"
    ven = await ven20(vtn, files=files)
    assert (await ven.poll()).name == "oadrRegisterReport"


async def test_older_tls_and_missing_or_foreign_certificates_get_nowhere(
    vtn20: VtnUnderTest, pki: Pki, tmp_path: Path
) -> None:
    """B-SEC-001, B-SEC-004: refused by TLS, before anything is read."""
    port = vtn20.server.port_20b
    assert port is not None
    foreign = Pki(tmp_path / "foreign", now=lambda: datetime.now(UTC), name="foreign").client("home")
    for files in (None, foreign):
        ven = ScriptedVen(port, files, pki.ca)
        with pytest.raises(aiohttp.ClientError):
            await ven.query()
        await ven.close()
    assert (await said_to_hello(port, b"\x03\x03"))[:1] == b"\x16"
    assert (await said_to_hello(port, b"\x03\x02"))[:1] in {b"", b"\x15"}


async def said_to_hello(port: int, version: bytes) -> bytes:
    """The first byte of the answer to a hello of this version of TLS, empty if the server hangs up."""
    suites = b"\x00\x06\xc0\x23\x00\x3c\x00\x2f"
    extensions = bytes.fromhex("0012000d0006000404010403000a000400020017")
    hello = version + bytes(32) + b"\x00" + suites + b"\x01\x00" + extensions
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake)
    first = await reader.read(1)
    writer.close()
    await writer.wait_closed()
    return first


async def test_revoked_and_expired_certificates_are_refused(
    start_vtn: StartVtn, ven20: Enrol, pki: Pki, tmp_path: Path
) -> None:
    """B-SEC-014: by the list of revoked certificates, and by their own end."""
    revoked, good = pki.client("revoked"), pki.client("good")
    past = Pki(tmp_path / "past", now=lambda: datetime.now(UTC) - timedelta(days=30), name="test CA")
    past.authority = pki.authority.__class__(pki.authority.certificate, pki.authority._key, now=past.authority._now)
    serial = x509.load_pem_x509_certificate(revoked.certificate.read_bytes()).serial_number
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1)).build()
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(pki.authority.certificate.subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=1))
        .add_revoked_certificate(entry)
        .sign(pki.authority._key, hashes.SHA256())
    )
    (tmp_path / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    vtn = await start_vtn(v20b=v20b_settings(pki, crl=tmp_path / "crl.pem"))
    assert (await (await ven20(vtn, files=good)).poll()).status == 200
    with pytest.raises(aiohttp.ClientError):
        await ven20(vtn, files=revoked)


async def test_an_authority_that_is_taken_out_is_trusted_no_more(start_vtn: StartVtn, pki: Pki, tmp_path: Path) -> None:
    """B-SEC-004, B-SEC-014: not over a new connection, nor a resumed session, nor a connection that was open."""
    other = Pki(tmp_path / "other", now=lambda: datetime.now(UTC), name="other")
    ca, former = tmp_path / "ca.pem", other.client("former")
    ca.write_bytes(pki.ca.read_bytes() + other.ca.read_bytes())
    vtn = await start_vtn(v20b=v20b_settings(pki, ca=ca, watch_s=600))
    port = vtn.server.port_20b
    assert port is not None
    context = client_context(pki.ca, former)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connected(session: ssl.SSLSession | None = None) -> tuple[ssl.SSLSession | None, bool]:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls,
        ):
            return tls.session, bool(tls.session_reused)

    session, _ = await asyncio.to_thread(connected)
    assert await asyncio.to_thread(connected, session) == (ANY, True)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    stays = ScriptedVen(port, pki.client("stays"), pki.ca)
    assert (await stays.query()).code == "463"

    ca.write_bytes(pki.ca.read_bytes())
    vtn.server.renew_certificate()
    for known in (session, None):
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(connected, known)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    assert (await stays.query()).code == "463"  # by another connection
    await stays.close()


async def test_only_post_to_the_exact_paths(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-TRN-001: other methods 405, other paths 404, whatever their case or slashes."""
    ven = await ven20(vtn20)
    for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
        reply = await ven.post("OadrPoll", b"", method=method)
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    for service in ("oadrpoll", "OadrPoll/", "EiMarketContext", "", "../EiEvent", "/EiEvent"):
        assert (await ven.post(service, b"")).status == 404
    for service in SERVICES:
        assert (await ven.post(service, b"")).status == 400


async def test_answers_have_a_length_and_a_type(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-TRN-001: no chunks, whether it is a message or nothing."""
    ven = await ven20(vtn20)
    for reply in (await ven.poll(), await ven.respond("EiRegisterParty", "oadrResponse")):
        assert reply.headers["Content-Length"] == str(len(reply.raw))
        assert "Transfer-Encoding" not in reply.headers
        assert reply.headers["Content-Type"].startswith("application/xml")


@pytest.mark.parametrize("type_", ["application/json", "", "text/plain", "application/xmlish", "multipart/form-data"])
async def test_other_content_types_are_refused(vtn20: VtnUnderTest, ven20: Enrol, type_: str) -> None:
    """B-TRN-002: 415, never 500."""
    ven = await ven20(vtn20)
    body = payload(element("oadrPoll", of("ei:venID", ven.ven_id)))
    assert (await ven.post("OadrPoll", body, headers={"Content-Type": type_})).status == 415


@pytest.mark.parametrize("type_", ["application/xml; charset=utf-8", "Application/XML", "text/xml"])
async def test_content_types_of_xml_are_taken(vtn20: VtnUnderTest, ven20: Enrol, type_: str) -> None:
    """B-TRN-002: with or without parameters."""
    ven = await ven20(vtn20)
    body = payload(element("oadrPoll", of("ei:venID", ven.ven_id)))
    assert (await ven.post("OadrPoll", body, headers={"Content-Type": type_})).status == 200


async def test_large_and_chunked_bodies_are_refused(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-TRN-001, B-TRN-003: before they are read."""
    ven = await ven20(vtn20)

    async def chunks() -> AsyncIterator[bytes]:
        yield payload(element("oadrPoll", of("ei:venID", ven.ven_id)))

    assert (await ven.post("OadrPoll", chunks())).status == 400
    assert (await ven.post("OadrPoll", io.BytesIO(b"<" * (1024 * 1024 + 1)))).status == 413
    assert (await ven.post("OadrPoll", b"x", headers={"Content-Encoding": "gzip"})).status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"\xff\xfe<\x00a\x00/\x00>\x00",
        b"<a/>",
        b"<!DOCTYPE a><a/>",
        BOMB,
        b'<?xml version="1.0"?><?xml-stylesheet href="x"?><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b"<a>" * 5000,
        payload("").replace(b"2012/07", b"2013/07"),
        payload("<oadr:oadrUnknown/>"),
        payload(element("oadrPoll", of("ei:venID", "x")) * 2),
        payload(element("oadrPoll", of("ei:venID", "x"))).replace(b"oadr-2.0b", b"oadr-2.0a"),
    ],
)
async def test_what_is_no_message_is_a_bad_request(vtn20: VtnUnderTest, ven20: Enrol, body: bytes) -> None:
    """B-TRN-004, GEN: 400 with a line that says why, whatever the service."""
    ven = await ven20(vtn20)
    reply = await ven.post("EiRegisterParty", body)
    assert reply.status == 400
    assert reply.raw.count(b"\n") == 1
    assert (await ven.poll()).status == 200


@pytest.mark.parametrize(
    ("service", "message", "name", "code"),
    [
        ("OadrPoll", element("oadrPoll", "<ei:nonsense/>"), "oadrResponse", "454"),
        ("EiEvent", element("oadrRequestEvent"), "oadrDistributeEvent", "454"),
        ("EiOpt", element("oadrCreateOpt", of("ei:optID", "o")), "oadrCreatedOpt", "454"),
        ("EiOpt", element("oadrCancelOpt"), "oadrCanceledOpt", "454"),
        ("EiReport", element("oadrUpdateReport"), "oadrUpdatedReport", "454"),
        ("EiReport", element("oadrRegisterReport"), "oadrRegisteredReport", "454"),
        ("EiReport", element("oadrCreateReport"), "oadrCreatedReport", "454"),
        ("EiReport", element("oadrCancelReport"), "oadrCanceledReport", "454"),
        ("EiRegisterParty", element("oadrQueryRegistration"), "oadrCreatedPartyRegistration", "454"),
        ("EiRegisterParty", element("oadrCancelPartyRegistration"), "oadrCanceledPartyRegistration", "454"),
        ("EiEvent", element("oadrCreatedEvent"), "oadrResponse", "454"),
        (
            "OadrPoll",
            element("oadrPoll", of("ei:venID", "x")).replace('"2.0b"', '"2.0a"'),
            "oadrResponse",
            "459",
        ),
    ],
)
async def test_a_message_against_the_schema_is_answered_with_its_own_reply(
    vtn20: VtnUnderTest, ven20: Enrol, service: str, message: str, name: str, code: str
) -> None:
    """B-GEN-002, B-GEN-013, B-GEN-014: HTTP 200, the matching type, and a code that says so."""
    ven = await ven20(vtn20)
    reply = await ven.send(service, message)
    assert (reply.name, reply.code) == (name, code)


async def test_who_asks_too_often_is_told_to_wait(start_vtn: StartVtn, ven20: Enrol, pki: Pki) -> None:
    """B-POL-005: faster polls are tolerated up to a limit, then 429, and others are not affected."""
    vtn = await start_vtn(v20b=v20b_settings(pki, burst=6, polls_allowed=2.0, poll_s=10))
    hasty, calm = await ven20(vtn), await ven20(vtn)
    statuses = [(await hasty.poll()).status for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    assert (await calm.poll()).status == 200
    vtn.now.pass_(seconds=5)
    assert [(await hasty.poll()).status for _ in range(2)] == [200, 429]


async def test_behind_a_proxy_its_header_tells_the_certificate(start_vtn: StartVtn, pki: Pki) -> None:
    """B-SEC-007: from the proxy's address only, and not without the header."""
    files = pki.client("proxied")
    told = {"X-Client-Cert": quote(files.certificate.read_text())}
    body = payload(element("oadrQueryRegistration", of("pyld:requestID", "q")))
    xml = {"Content-Type": "application/xml"}
    answers = {}
    for proxies in ("127.0.0.0/8", "192.0.2.0/24"):
        vtn = await start_vtn(v20b={"port": 0, "trusted_proxies": [proxies], "auto_enrol": True})
        url = f"http://127.0.0.1:{vtn.server.port_20b}/OpenADR2/Simple/2.0b/EiRegisterParty"
        async with aiohttp.ClientSession() as session:
            for name, headers in (("told", told), ("untold", {}), ("nonsense", {"X-Client-Cert": "nonsense"})):
                async with session.post(url, data=body, headers=xml | headers) as response:
                    answers[proxies, name] = response.status, fingerprint_of(files) in await response.text()
    assert {key: status for key, (status, _) in answers.items()} == {
        ("127.0.0.0/8", "told"): 200,
        ("127.0.0.0/8", "untold"): 401,
        ("127.0.0.0/8", "nonsense"): 401,
        ("192.0.2.0/24", "told"): 403,
        ("192.0.2.0/24", "untold"): 403,
        ("192.0.2.0/24", "nonsense"): 403,
    }


async def test_whoever_has_a_certificate_may_enrol_itself_if_that_is_wanted(
    start_vtn: StartVtn, ven20: Enrol, pki: Pki
) -> None:
    """B-REG-016: with its own name; a second one of that name gets the fingerprint behind it."""
    vtn = await start_vtn(v20b=v20b_settings(pki, auto_enrol=True))
    one, other = await ven20(vtn, enrolled=False), await ven20(vtn, enrolled=False)
    assert (await one.query()).code == "463"
    assert [(await one.create()).code, (await other.create()).code] == ["200", "200"]
    assert one.ven_id != other.ven_id
    names = {each["venName"] for each in (await vtn.bl.get("/vens")).ok()}
    assert "scripted" in names
    assert len([name for name in names if name.startswith("scripted ")]) == 1


@pytest.fixture(scope="session")
def messages() -> list[bytes]:
    """Messages to damage."""
    return [
        payload(element("oadrPoll", of("ei:venID", "x"))),
        payload(element("oadrQueryRegistration", of("pyld:requestID", "q"))),
        payload(element("oadrCreatedReport", "<ei:eiResponse><ei:responseCode>200</ei:responseCode></ei:eiResponse>")),
    ]


async def test_no_bytes_are_answered_with_5xx(vtn20: VtnUnderTest, ven20: Enrol, messages: list[bytes]) -> None:
    """B-TRN-002, B-TRN-003: damaged messages are 400, or a message that says what is wrong."""
    ven = await ven20(vtn20)
    cases: list[tuple[str, bytes]] = []

    @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.sampled_from(SERVICES), st.sampled_from(messages), st.data())
    def gather(service: str, message: bytes, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(message)))
        cut = data.draw(st.integers(0, 20))
        filled = data.draw(st.binary(max_size=12) | st.sampled_from([b"<", b"&", b"]]>", b"<!--", b"\xff", b"NaN"]))
        cases.append((service, message[:at] + filled + message[at + cut :]))

    gather()
    statuses = {(await ven.post(service, body)).status for service, body in cases}
    assert statuses <= {200, 400}
