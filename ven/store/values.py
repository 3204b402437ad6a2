"""Write instants as the columns of the state file hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, overload

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


@overload
def to_us(moment: datetime) -> int: ...
@overload
def to_us(moment: datetime | None) -> int | None: ...
def to_us(moment: datetime | None) -> int | None:
    """Return an aware instant as whole microseconds since 1970; None stays None."""
    return None if moment is None else (moment - _EPOCH) // _US


@overload
def to_instant(us: int) -> datetime: ...
@overload
def to_instant(us: int | None) -> datetime | None: ...
def to_instant(us: int | None) -> datetime | None:
    """Return microseconds since 1970 as an instant in UTC; None stays None."""
    return None if us is None else _EPOCH + us * _US
