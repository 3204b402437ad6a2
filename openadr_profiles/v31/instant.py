"""Instants as OpenADR 3.1 writes them (TIME-004 … TIME-008).

Metadata timestamps are plain aware datetimes. A ``start`` is more: it may be the beginning of time, which means "now",
and its text is returned exactly as received; ``Start`` keeps both.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from openadr_profiles.v31.errors import Invalid

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_BEGINNING_OF_TIME: Final = re.compile(r"0001-01-01(?:[Tt ]00:00:00(?:\.0{1,9})?(?:[Zz]|\+00:00)?)?", re.ASCII)
LATEST: Final = datetime.max.replace(tzinfo=UTC)
_EXPECTED: Final = "an RFC 3339 instant with offset such as 2026-01-31T16:00:00Z"


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant with offset as an aware UTC datetime; raises Invalid otherwise.

    A leap second counts as the following second, and a moment past year 9999 as its last one (TIME-008); digits beyond
    microseconds are cut.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Invalid("", f"{text[:40]!r} is not {_EXPECTED}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    leap = second == 60
    try:
        moment = datetime(
            year,
            month,
            day,
            hour,
            minute,
            59 if leap else second,
            int((match[7] or "0")[:6].ljust(6, "0")),
            tzinfo=_offset(match[8]),
        )
        moment = moment.replace(microsecond=0) + timedelta(seconds=1) if leap else moment
        return moment.astimezone(UTC)
    except OverflowError:
        if year == LATEST.year:
            return LATEST
        raise Invalid("", f"{text[:40]!r} is before the calendar; expected {_EXPECTED}") from None
    except ValueError:
        raise Invalid("", f"{text[:40]!r} is not a moment of the calendar; expected {_EXPECTED}") from None


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59:
        raise ValueError(text)
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def format_instant(moment: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC with ``T``, ``Z`` and milliseconds or finer (GEN-019, COMPAT-044)."""
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds" if utc.microsecond % 1000 else "milliseconds").replace("+00:00", "Z")


class Start:
    """The ``start`` of an interval period: ``text`` as written and ``at``, the instant, or None for "now" (TIME-005).

    Two starts are equal when they mean the same moment, whatever their text.
    """

    __slots__ = ("at", "text")

    text: str
    at: datetime | None

    def __init__(self, text: str, at: datetime | None) -> None:
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "at", at)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Start is immutable; cannot set {name}")

    @staticmethod
    def parse(text: str) -> Start:
        """Read an instant or one of the beginning-of-time forms; raises Invalid otherwise (TIME-006, TIME-007)."""
        return _parse_start(text)

    @staticmethod
    def of(moment: datetime) -> Start:
        """Return the start at an aware datetime."""
        return Start(format_instant(moment), moment.astimezone(UTC))

    @property
    def is_now(self) -> bool:
        """True for the beginning of time, which asks to begin at once."""
        return self.at is None

    def __eq__(self, other: object) -> bool:
        return self.at == other.at if isinstance(other, Start) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.at)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Start({self.text!r})"


@lru_cache(maxsize=4096)
def _parse_start(text: str) -> Start:
    return Start(text, None if _BEGINNING_OF_TIME.fullmatch(text) else parse_instant(text))


NOW: Final = Start.parse("0001-01-01T00:00:00Z")
