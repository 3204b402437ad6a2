"""ISO 8601 durations as OpenADR 3.1 writes them (TIME-001, TIME-002, TIME-003, TIME-009).

A duration keeps the text it was read from, so that what is stored and returned is what was received. Years and months
are calendar steps, everything else is exact time. ``P9999Y`` means "for ever" and is never calculated with.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from openadr_profiles.v31.errors import Invalid

_PATTERN: Final = re.compile(
    r"(?P<sign>-?)P(?=\d|T\d)"
    r"(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<count>\d+)(?P<unit>[DW]))?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.(?P<fraction>\d+))?S)?)?",
    re.ASCII,
)
_FOREVER_YEARS: Final = 9999
_MAX_TEXT: Final = 128


class Duration:
    """A length of time: ``text`` as written, calendar ``months`` and exact ``time`` (both without the sign).

    Two durations are equal when they mean the same (``PT60M`` and ``PT1H``), whatever their text.
    """

    __slots__ = ("forever", "months", "negative", "text", "time")

    text: str
    negative: bool
    months: int
    time: timedelta
    forever: bool

    def __init__(self, text: str, *, negative: bool, months: int, time: timedelta, forever: bool) -> None:
        for name, value in (
            ("text", text),
            ("negative", negative),
            ("months", months),
            ("time", time),
            ("forever", forever),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Duration is immutable; cannot set {name}")

    @staticmethod
    def parse(text: str) -> Duration:
        """Read ``PT1H``, ``P7D``, ``-PT5M``, ``P9999Y`` …; raises Invalid for anything else."""
        return _parse(text)

    @staticmethod
    def of(length: timedelta) -> Duration:
        """Write an exact length as hours, minutes and seconds only, which every known client can read (COMPAT-054)."""
        negative = length < timedelta(0)
        microseconds = abs(length) // timedelta(microseconds=1)
        seconds, microseconds = divmod(microseconds, 1_000_000)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        parts = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
        if seconds or microseconds or not parts:
            fraction = f".{microseconds:06d}".rstrip("0") if microseconds else ""
            parts += f"{seconds}{fraction}S"
        return Duration.parse(f"{'-' if negative else ''}PT{parts}")

    @property
    def is_zero(self) -> bool:
        """True for ``PT0S`` and its spellings."""
        return not (self.forever or self.months or self.time)

    @property
    def is_exact(self) -> bool:
        """Return True if it is the same length after every instant: not negative, no calendar months, not for ever."""
        return not (self.negative or self.months or self.forever)

    def magnitude(self) -> Duration:
        """Return the same length without its sign (randomizeStart: only the absolute value counts, TIME-019)."""
        return Duration.parse(self.text.removeprefix("-")) if self.negative else self

    def after(self, start: datetime) -> datetime | None:
        """Return the instant this long after ``start``; None is "never" (or past year 9999: TIME-008, TIME-009).

        A negative duration resolves to zero length (TIME-019).
        """
        if self.forever:
            return None
        if self.negative:
            return start
        moved = start
        if self.months:
            utc = start.astimezone(UTC)
            month = utc.month - 1 + self.months
            year, month = utc.year + month // 12, month % 12 + 1
            if year > _FOREVER_YEARS:
                return None
            moved = utc.replace(year=year, month=month, day=min(utc.day, calendar.monthrange(year, month)[1]))
        try:
            return moved + self.time
        except OverflowError:
            return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self.meaning == other.meaning

    def __hash__(self) -> int:
        return hash(self.meaning)

    @property
    def meaning(self) -> tuple[bool, bool, int, timedelta]:
        """Return what two durations of different texts have in common if they are equal."""
        if self.forever:
            return (True, False, 0, timedelta(0))
        return (False, self.negative and not self.is_zero, self.months, self.time)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Duration({self.text!r})"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Duration:
    match = _PATTERN.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise Invalid("", f"{text[:40]!r} is not an ISO 8601 duration such as PT1H, P1D or P9999Y")
    years, months, count, hours, minutes, seconds = (
        int(match[name] or 0) for name in ("years", "months", "count", "hours", "minutes", "seconds")
    )
    microseconds = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    days = count * 7 if match["unit"] == "W" else count
    negative = match["sign"] == "-"
    forever = years >= _FOREVER_YEARS and not negative
    try:
        time = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
    except OverflowError:
        time, forever = timedelta(0), not negative
    return Duration(text, negative=negative, months=years * 12 + months, time=time, forever=forever)


FOREVER: Final = Duration.parse("P9999Y")
ZERO: Final = Duration.parse("PT0S")
