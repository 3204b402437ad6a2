"""The small types that OpenADR 3.0.1 has in another form than the core model: starts, periods and intervals.

They are subclasses of the core's types, so that what was read on 3.0.1 is stored as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Int32, ValuesMap
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.instant import NOW

VERSION: Final = "3.0.1"
"""The word for this face of the API, in the store and in answers."""
UNTYPED: Final = "GROUP"
"""The usual type of targets that were written without one, as those of OpenADR 3.1 are (V301-002)."""
_ZERO: Final = re.compile(r"0000-00-00(?:[Tt ]00:00:00(?:\.0{1,9})?(?:[Zz]|[+-]00:00)?)?", re.ASCII)


class Start(v31.Start):
    """A start as 3.0.1 has it: ``0000-00-00`` is read as the beginning of time of the core (V301-021)."""

    __slots__ = ()

    @staticmethod
    def parse(text: str) -> Start:
        """Read an instant or one of the forms of the beginning of time; raises Invalid otherwise."""
        return _parse_start(text)


@lru_cache(maxsize=4096)
def _parse_start(text: str) -> Start:
    found = NOW if _ZERO.fullmatch(text) else v31.Start.parse(text)
    return Start(found.text, found.at)


class IntervalPeriod(v31.IntervalPeriod, frozen=True, kw_only=True):
    """Start, duration and randomization of an interval; there is always a start (V301-015)."""

    start: Start
    duration: Duration | None = None
    randomize_start: Duration | None = field(name="randomizeStart", default=None)


class Interval(v31.Interval, frozen=True, kw_only=True):
    """An interval and its payloads."""

    id: Int32
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    payloads: tuple[ValuesMap, ...]
