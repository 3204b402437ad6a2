"""Find who a request is from: the VEN enrolled with the certificate of its connection (B-SEC-005, B-SEC-006)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from aiohttp import web
from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.oid import NameOID

from vtn.access import DEFAULT_SCOPES, Caller, Role
from vtn.api.v20b.counts import Counts20b
from vtn.auth.rate_limiter import RateLimiter
from vtn.errors import Conflict
from vtn.http.mutual_tls import Peers
from vtn.lru import LruCache
from vtn.store.v20b.vens import Ven20b, VenStore20b
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

_SAID_AGAIN_S: Final = 600.0
_REMEMBERED: Final = 1000
_LONGEST_SUBJECT: Final = 300
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OPERATOR: Final = Caller("", Role.BL, DEFAULT_SCOPES[Role.BL])
PROTOCOL: Final = "OpenADR 2.0b"
"""The name of this version in the record of contacts."""


class Identity:
    """Finds the VEN of a request, and limits how often each certificate may ask (B-POL-005)."""

    def __init__(
        self, settings: V20b, vens: VenStore20b, peers: Peers, counts: Counts20b, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._vens = vens
        self._peers = peers
        self._counts = counts
        self._now = now
        per_s = settings.polls_allowed / settings.poll_s
        self._limiter = RateLimiter(burst=settings.burst, per_s=per_s, now=now)
        self._told: LruCache[str, float] = LruCache(_REMEMBERED)

    def fingerprint(self, request: web.Request) -> str:
        """Return the fingerprint of who asks; raises Unauthenticated, Forbidden or TooManyRequests."""
        found = self._peers.fingerprint(request)
        self._limiter.take(found)
        return found

    async def ven(self, found: str, request: web.Request) -> Ven20b | None:
        """Return the VEN with the fingerprint of a request; None, after saying so in the log, if there is none."""
        ven = await self._vens.by_fingerprint(found)
        if ven is None:
            self._counts.unknown_certificate()
            self._tell(found, request)
        return ven

    async def enrolled(self, found: str, name: str | None) -> Ven20b | None:
        """Enrol the VEN with a fingerprint, under its own name or one made of the fingerprint (B-REG-016).

        A name that is taken gets the fingerprint behind it.
        """
        digits = found.replace(":", "").lower()
        wanted = (name or "").strip()[:100]
        for each in (wanted, f"{wanted} {digits}".strip()):
            try:
                if each and each.isprintable():
                    await self._vens.enrol(each, by=_OPERATOR, fingerprint=found, only_new=True)
                    _log.info("a VEN of OpenADR 2.0b was enrolled on its own request", ven=each, fingerprint=found)
                    break
            except Conflict:
                continue
        return await self._vens.by_fingerprint(found)

    def _tell(self, found: str, request: web.Request) -> None:
        """Say which certificate is not known and how it would be enrolled, once in a while for each."""
        now = self._now().timestamp()
        told = self._told.get(found)
        if told is not None and 0 <= now - told < _SAID_AGAIN_S:
            return
        self._told.put(found, now)
        subject, name = _subject(self._peers.certificate(request))
        _log.warning(
            "a VEN of OpenADR 2.0b has a certificate that nobody has enrolled",
            fingerprint=found,
            subject=subject,
            remedy=f"oadr vens add {name or 'NAME'} --fingerprint {found}",
        )


def _subject(der: bytes) -> tuple[str, str | None]:
    """Return the subject of a certificate, and its common name if that can stand in a command as it is."""
    try:
        subject = load_der_x509_certificate(der).subject
        text = subject.rfc4514_string()[:_LONGEST_SUBJECT]
        names = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError:
        return "", None
    return text, names[0] if len(names) == 1 and _PLAIN.fullmatch(names[0]) else None
