"""Security: TLS, certificates, signatures (B-SEC)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from oadr_conformance.errors import Mismatch, Unreachable
from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages, signing
from oadr_conformance.v20b.answers import PARTY, POLL
from oadr_conformance.v20b.probe import Probe20b
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.tls import Handshake, shake

area = Area("2.0b, security", always="")

_SUITES: Final = {"ECDHE-ECDSA": "ECDHE-ECDSA-AES128-SHA256", "RSA": "AES128-SHA256"}


async def _shake(probe: Probe20b, version: ssl.TLSVersion, ciphers: str = "") -> Handshake | str:
    return await asyncio.to_thread(shake, probe.session.subject, version, ciphers)


@area.check("B-SEC-001", needs="tls")
async def tls_1_2(probe: Probe20b) -> None:
    """TLS 1.2 is supported."""
    done = await _shake(probe, ssl.TLSVersion.TLSv1_2)
    if isinstance(done, str):
        raise Mismatch("a handshake with TLS 1.2", done)


@area.each("B-SEC-001", {"TLS 1.1": ssl.TLSVersion.TLSv1_1, "TLS 1.0": ssl.TLSVersion.TLSv1}, needs="tls")
async def old_tls(probe: Probe20b, version: ssl.TLSVersion) -> None:
    """Versions of TLS below 1.2 are off."""
    done = await _shake(probe, version, "ALL:@SECLEVEL=0")
    if not isinstance(done, str):
        raise Mismatch("no handshake below TLS 1.2", done.version)


@area.each("B-SEC-002 B-SEC-003", _SUITES, needs="tls")
async def cipher_suites(probe: Probe20b, suite: str) -> None:
    """Both cipher suites of the profile are offered, each with a certificate of its kind."""
    done = await _shake(probe, ssl.TLSVersion.TLSv1_2, suite)
    if isinstance(done, str):
        raise Mismatch(f"a handshake with {suite}", done)
    kind, least = ("EC", 256) if "ECDSA" in suite else ("RSA", 2048)
    if done.key_kind != kind or done.key_bits < least:
        raise Mismatch(f"a certificate with a key {kind} of at least {least} bits", f"{done.key_kind} {done.key_bits}")


@area.each("B-SEC-004 B-SEC-014", {"none": "nobody", "signed by itself": "self-signed"}, needs="tls")
async def untrusted_certificates(probe: Probe20b, name: str) -> None:
    """A client certificate is demanded, of an authority that the VTN trusts."""
    await _locked_out(probe, name)


@area.check("B-SEC-014", needs="tls expired")
async def expired_certificate(probe: Probe20b) -> None:
    """A client certificate that has expired is refused."""
    await _locked_out(probe, "expired")


async def _locked_out(probe: Probe20b, name: str) -> None:
    ven = await probe.registered()
    for _ in range(2):  # a connection that ended meanwhile says nothing; a second one is new
        try:
            reply = await probe.outsider(name).ask(POLL, messages.poll(ven.id))
        except Unreachable:
            continue
        if reply.status not in {401, 403}:
            raise reply.fail("no connection, or status 401 or 403", f"status {reply.status}: {reply.text[:200]}")


@area.check("B-SEC-005 B-SEC-006", needs="tls")
async def certificate_is_identity(probe: Probe20b) -> None:
    """The certificate says who a VEN is: without a venID in its message the VTN finds the same VEN."""
    ven = await probe.registered()
    reply = await ven.ask(PARTY, messages.query_registration("who"))
    reply.same("venID", reply.value_or_none("ei:venID"), ven.id)


@area.check("B-SEC-007")
async def spoofed_headers(probe: Probe20b) -> None:
    """A header in which a proxy would tell a certificate does not make somebody else of a VEN."""
    ven = await probe.registered()
    headers = {
        "Content-Type": "application/xml",
        "X-Client-Fingerprint": "00:11:22:33:44:55:66:77:88:99",
        "X-SSL-Client-Fingerprint": "00:11:22:33:44:55:66:77:88:99",
        "X-Forwarded-Client-Cert": "Hash=00112233445566778899",
    }
    body = probe.session.document(messages.query_registration("spoof"))
    reply = await ven.send(PARTY, body, headers)
    if reply.status == 200:
        reply.same("venID", reply.value_or_none("ei:venID"), ven.id)
    else:
        reply.bad_request(400, 401, 403)


@area.check("B-SEC-012", needs="unsigned")
async def signature_not_agreed(probe: Probe20b) -> None:
    """A registration that announces signatures where none are agreed is refused."""
    ven = await probe.registered()
    root = ven.party(registration_id=ven.registration.id, ven_id=ven.id, signature=True)
    reply = await ven.ask(PARTY, root)
    ven.registration.usual = False
    reply.refused("oadrCreatedPartyRegistration")


@area.check("B-SEC-008", needs="signed")
async def signed_message(probe: Probe20b) -> None:
    """A message with a right signature is taken, and so is the same VEN's next one."""
    ven = await probe.registered()
    for _ in range(2):
        (await ven.ask(PARTY, messages.query_registration("signed"))).ok("oadrCreatedPartyRegistration")


@area.check("B-SEC-009", needs="signed")
async def unsigned_message(probe: Probe20b) -> None:
    """Where signatures are agreed, a message without one is refused."""
    ven = await probe.registered()
    _not_taken(await ven.ask(POLL, messages.poll(ven.id), signed=False))


def _not_taken(reply: VtnReply) -> None:
    if not 400 <= reply.status < 500:
        reply.survived().refused("oadrResponse")


@area.check("B-SEC-010", needs="signed")
async def replayed_message(probe: Probe20b) -> None:
    """A signed message that comes again is refused."""
    ven = await probe.registered()
    body = probe.session.document(messages.poll(ven.id))
    (await ven.send(POLL, body)).expect(200)
    _not_taken(await ven.send(POLL, body))


@area.each("B-SEC-010", {"an hour ago": -3600, "in an hour": 3600}, needs="signed")
async def other_times(probe: Probe20b, offset_s: int) -> None:
    """A signed message of another time is refused."""
    ven = await probe.registered()
    _not_taken(await ven.send(POLL, probe.session.signed(messages.poll(ven.id), offset_s=offset_s)))


_TAMPERED: Final[dict[str, Callable[[bytes, str], bytes]]] = {
    "a changed message": lambda body, _ven: body.replace(b">conformance-told<", b">conformance-changed<"),
    "a changed nonce": signing.with_other_nonce,
    "another message beside it": signing.wrapped,
}


@area.each("B-SEC-011", _TAMPERED, needs="signed")
async def tampered_message(probe: Probe20b, change: Callable[[bytes, str], bytes]) -> None:
    """What is processed is what the signature covers: a changed message, or one beside it, is refused."""
    ven = await probe.registered()
    body = change(probe.session.document(messages.query_registration("conformance-told")), ven.id)
    _not_taken(await ven.send(PARTY, body))
