"""Places in the list of changes, as clients of websockets are given them, to go on from there later."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Self

from msgspec import Struct

_FORM: Final = re.compile(r"(?P<number>[0-9]{1,18})-(?P<at_s>[0-9]{1,12})")


class Place(Struct, frozen=True, gc=False):
    """Everything up to the change of a number was told; what followed was noted about ``at_s`` (Unix time) or later.

    The time tells whether all that followed is still kept.
    """

    number: int
    at_s: int

    def __str__(self) -> str:
        return f"{self.number}-{self.at_s}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the place that a client was given; None if it was none."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(int(found["number"]), int(found["at_s"]))

    @classmethod
    def of(cls, number: int, noted_at: str) -> Self:
        """Return the place behind a change, which was noted at a stamp."""
        return cls(number, int(datetime.fromisoformat(noted_at).timestamp()))
