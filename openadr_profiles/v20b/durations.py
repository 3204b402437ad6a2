"""Durations as OpenADR 2.0b writes them.

Its schema differs from ISO 8601: it accepts ``P``, ``+P1D`` and ``1W``, but neither ``P1W`` nor fractions of a second.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Self

from msgspec import Struct

from openadr_profiles.v31.duration import FOREVER, Duration
from openadr_profiles.v31.errors import Invalid

_PATTERN: Final = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"T?(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?|(?P<weeks>\d+)W",
    re.ASCII,
)
_MAX_TEXT: Final = 64
_MAX_YEARS: Final = 9999
_DAY_S: Final = 86_400
_WEEK_S: Final = 7 * _DAY_S
_EXPECTED: Final = "a duration such as PT15M or P1DT2H, of at most 9999 years, in whole seconds, weeks as days"


class Duration20b(Struct, frozen=True):
    """A length of time: calendar ``months`` and exact ``seconds``; both carry the sign.

    ``PT0S`` as the length of an event means that it is open-ended (B-EVT-025), which is for the reader to know.
    """

    seconds: int = 0
    months: int = 0

    @staticmethod
    def parse(text: str) -> Duration20b:
        """Read a duration of the schema; raises Invalid for anything else."""
        return _parse(text)

    @classmethod
    def of(cls, length: timedelta) -> Self:
        """Return an exact length; a fraction of a second is cut, because the schema has none."""
        seconds = abs(length) // timedelta(seconds=1)
        return cls(-seconds if length < timedelta(0) else seconds)

    @classmethod
    def from_core(cls, duration: Duration, start: datetime) -> Self:
        """Translate a duration of the core: for ever is zero (B-EVT-025).

        Calendar steps are counted out from ``start``, and a fraction of a second is cut.
        """
        if duration.forever:
            return cls(0)
        if duration.negative:
            return cls(-cls.from_core(duration.magnitude(), start).seconds)
        end = duration.after(start)
        return cls(0) if end is None else cls.of(end - start)

    def to_core(self, *, zero_is_forever: bool = False) -> Duration:
        """Translate to the core; with ``zero_is_forever`` a zero length is ``P9999Y``, as that of an event is."""
        if zero_is_forever and self.is_zero:
            return FOREVER
        if not self.months:
            return Duration.of(timedelta(seconds=self.seconds))
        return Duration.parse(self.text.removeprefix("+"))

    @property
    def is_zero(self) -> bool:
        """True for ``PT0S`` and its spellings."""
        return not (self.seconds or self.months)

    @property
    def is_negative(self) -> bool:
        """True for a length before the instant that it is counted from."""
        return self.seconds < 0 or self.months < 0

    @property
    def text(self) -> str:
        """Return the canonical text: months, days, hours, minutes, seconds, each only if it is not zero."""
        minutes, seconds = divmod(abs(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        date = (f"{abs(self.months)}M" if self.months else "") + (f"{days}D" if days else "")
        time = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if count)
        if not date and not time:
            return "PT0S"
        return f"{'-' if self.is_negative else ''}P{date}{'T' if time else ''}{time}"

    def after(self, start: datetime) -> datetime | None:
        """Return the instant this long after ``start`` (before it if negative), or None past the calendar."""
        if not self.months:
            try:
                return start + timedelta(seconds=self.seconds)
            except OverflowError:
                return None
        return None if self.is_negative else self.to_core().after(start.astimezone(UTC))

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def _parse(text: str) -> Duration20b:
    match = _PATTERN.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise Invalid("", f"{text[:40]!r} is not {_EXPECTED}")
    weeks, years, months, days, hours, minutes, seconds = (
        int(match[name] or 0) for name in ("weeks", "years", "months", "days", "hours", "minutes", "seconds")
    )
    total_s = weeks * _WEEK_S + days * _DAY_S + hours * 3600 + minutes * 60 + seconds
    total_months = years * 12 + months
    if total_s > _MAX_YEARS * 366 * _DAY_S or total_months > _MAX_YEARS * 12:
        raise Invalid("", f"{text[:40]!r} is too long; expected {_EXPECTED}")
    sign = -1 if match["sign"] == "-" else 1
    return Duration20b(sign * total_s, sign * total_months)


ZERO_20B: Final = Duration20b()
