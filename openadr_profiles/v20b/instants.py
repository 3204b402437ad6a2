"""Instants as OpenADR 2.0b writes them: UTC, with ``Z`` (B-GEN-001)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from openadr_profiles.v31.errors import Invalid

_PATTERN: Final = re.compile(r"(\d{4}-\d{2}-\d{2}T)(\d{2})(:\d{2}:\d{2})(?:\.(\d+))?Z", re.ASCII)
_MAX_TEXT: Final = 64
_EXPECTED: Final = "an instant in UTC such as 2026-01-31T16:00:00Z"


@lru_cache(maxsize=4096)
def parse_instant_20b(text: str) -> datetime:
    """Read an instant in UTC; raises Invalid for one without ``Z`` (B-GEN-001) or outside the calendar.

    ``24:00:00`` is midnight at the end of the day, as the schema has it; digits beyond microseconds are cut.
    """
    match = _PATTERN.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        without_zone = len(text) <= _MAX_TEXT and _PATTERN.fullmatch(f"{text}Z") is not None
        raise Invalid("", f"{text[:40]!r} {'has no zone' if without_zone else 'is no instant'}; expected {_EXPECTED}")
    day, hour, rest, fraction = match.groups()
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        midnight = hour == "24" and rest == ":00:00" and not microsecond
        moment = datetime.fromisoformat(f"{day}{'00' if midnight else hour}{rest}+00:00")
        return moment.replace(microsecond=microsecond, tzinfo=UTC) + timedelta(days=1 if midnight else 0)
    except (ValueError, OverflowError):
        raise Invalid("", f"{text[:40]!r} is not in the calendar; expected {_EXPECTED}") from None


def format_instant_20b(moment: datetime) -> str:
    """Write an aware datetime in UTC with ``Z``; a fraction of a second is written only if there is one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no zone")
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
