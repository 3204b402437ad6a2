"""The TLS context of a broker, made anew when one of its files has changed, and the end of our certificate."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from openadr_client.errors import BadCertificateFile
from openadr_client.settings import BrokerSettings

if TYPE_CHECKING:
    from openadr_client.tls import NamedContext

_log = structlog.get_logger(__name__)

_WARN_BEFORE: Final = timedelta(days=14)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_LONG_FORM: Final = 0x80

Stamp = tuple[tuple[str, int, int, int], ...]


class WatchedTls:
    """Hold the context for a broker; None without TLS.

    Raises BadCertificateFile when it is made; later a file that cannot be used leaves the last good ones in use.
    """

    def __init__(self, settings: BrokerSettings, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._files = [
            file for file in (settings.ca_file, settings.client_certificate, settings.client_key) if file is not None
        ]
        self._stamp = _stamp(self._files)
        self._refused: Stamp | None = None
        self.context: NamedContext | None = settings.tls_context()
        self.expires_at: datetime | None = None
        self._read_end()

    def refresh(self) -> bool:
        """Read the files anew if they have changed; return True if there is a new context."""
        stamp = _stamp(self._files)
        if stamp in {self._stamp, self._refused}:
            return False
        try:
            self.context = self._settings.tls_context()
        except BadCertificateFile as error:
            # Of a new certificate and its new key one is written first.
            self._refused = stamp
            _log.warning("changed certificate files cannot be used; the old ones stay in use", problem=str(error))
            return False
        self._stamp, self._refused = stamp, None
        self._read_end()
        return True

    def _read_end(self) -> None:
        certificate = self._settings.client_certificate
        if certificate is None or self.context is None:
            return
        self.expires_at = end_of_certificate(certificate)
        if self.expires_at is not None and self.expires_at - _WARN_BEFORE < self._now():
            _log.warning(
                "our certificate for the broker ends soon",
                certificate=str(certificate),
                expires_at=self.expires_at.isoformat(),
            )


def end_of_certificate(file: Path) -> datetime | None:
    """Return the end of the first certificate (X.509, PEM) of a file, or None if it cannot be read."""
    try:
        text = file.read_text(encoding="ascii", errors="ignore")
        begin = text.index(ssl.PEM_HEADER)
        end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        return _not_after(ssl.PEM_cert_to_DER_cert(text[begin:end]))
    except (OSError, ValueError, IndexError):
        return None


def _not_after(certificate: bytes) -> datetime | None:
    """Return ``notAfter`` of a certificate in DER (RFC 5280, section 4.1): the second time of its ``validity``."""
    inside, _ = _content(certificate, 0)  # Certificate
    inside, _ = _content(certificate, inside)  # TBSCertificate
    if certificate[inside] == _VERSION:
        inside = _content(certificate, inside)[1]
    for _ in range(3):  # serialNumber, signature, issuer
        inside = _content(certificate, inside)[1]
    if certificate[inside] != _SEQUENCE:
        return None
    before, _ = _content(certificate, inside)
    after = _content(certificate, before)[1]
    start, end = _content(certificate, after)
    text = certificate[start:end].decode("ascii")
    if certificate[after] == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif certificate[after] != _GENERALIZED_TIME:
        return None
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of a DER element begins and ends."""
    length, begin = data[at + 1], at + 2
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        length, begin = int.from_bytes(data[begin : begin + size]), begin + size
    return begin, begin + length


def _stamp(files: list[Path]) -> Stamp:
    """Return what tells whether files have changed."""
    found = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found.append((str(file), 0, 0, 0))
        else:
            found.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
