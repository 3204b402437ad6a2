"""Fingerprints of certificates, by which a VTN knows its VENs (B-SEC-005)."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_OCTETS: Final = 10
_SEPARATORS: Final = re.compile(r"[\s:.-]+")
_HEX: Final = re.compile(r"[0-9A-F]+")


def of(der: bytes) -> str:
    """Return the fingerprint of a DER certificate: the last 10 octets of its SHA-256, as ``AA:BB:...`` (B-SEC-005)."""
    return _written(hashlib.sha256(der).digest()[-_OCTETS:])


def long_of(der: bytes) -> str:
    """Return the whole SHA-256 of a DER certificate as ``AA:BB:...``, as other tools show it."""
    return _written(hashlib.sha256(der).digest())


def parse(text: str) -> str:
    """Read either spelling of a fingerprint, in any case and with or without separators, as the short one.

    Raises ValueError that says what was expected.
    """
    digits = _SEPARATORS.sub("", text).upper()
    if len(digits) not in {2 * _OCTETS, 64} or not _HEX.fullmatch(digits):
        raise ValueError(
            f"{text[:100]!r} is no fingerprint; expected 10 octets such as 01:23:45:67:89:AB:CD:EF:01:23, "
            "or all 32 of the SHA-256 of the certificate"
        )
    return _written(bytes.fromhex(digits[-2 * _OCTETS :]))


def _written(octets: bytes) -> str:
    return octets.hex(":").upper()
