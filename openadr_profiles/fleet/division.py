"""Sharing a total of kW out over VENs: by what each can shed, or the same for each. Rules without I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal, TypeAlias

from openadr_profiles.fleet.recipients import Recipient

Basis: TypeAlias = Literal["capacity", "equal"]
"""The way a total is shared out: by what each VEN can shed, or the same for each."""
MOST_PARTS: Final = 100
"""The most events that one total is divided into."""
_WATT: Final = Decimal("0.001")
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True)
class Part:
    """One event of a division: the same kW, one for each interval, for every one of its recipients."""

    kw: tuple[Decimal, ...]
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True)
class Division:
    """A total shared out over VENs. ``basis`` says how; ``left_kw`` is what rounding to whole watts leaves over."""

    parts: tuple[Part, ...]
    basis: Basis
    left_kw: Decimal


def share_out(total_kw: Sequence[Decimal], to: Sequence[Recipient], *, basis: Basis = "capacity") -> Division:
    """Share a total, one for each interval, out over VENs.

    By capacity each VEN gets its part of the sum of all capacities; if one VEN has not said what it can shed, all get
    the same (``basis`` of the result says so). Parts are rounded down to whole watts. VENs of equal parts form one
    event; a VEN whose part is nothing gets none.

    Raises:
        ValueError: nobody to share among, nobody can shed anything, or more than MOST_PARTS different parts.
    """
    if not to:
        raise ValueError("nobody is reached, so there is nobody to share a total among")
    known = [recipient.capacity_kw for recipient in to if recipient.capacity_kw is not None]
    by_capacity = basis == "capacity" and len(known) == len(to)
    weights = known if by_capacity else [Decimal(1)] * len(to)
    whole = sum(weights, _NOTHING)
    if whole <= 0:
        raise ValueError("none of those who are reached can shed anything by their own words; try --share equal")
    groups: dict[tuple[Decimal, ...], list[Recipient]] = defaultdict(list)
    left = max(total_kw)
    for recipient, weight in zip(to, weights, strict=True):
        kw = tuple((each * weight / whole).quantize(_WATT, ROUND_DOWN) for each in total_kw)
        left -= max(kw)
        if any(kw) or not any(total_kw):
            groups[kw].append(recipient)
    if not groups:
        raise ValueError("the total comes to less than a watt for each")
    if len(groups) > MOST_PARTS:
        raise ValueError(
            f"VENs can shed so differently that this would be {len(groups)} events, more than {MOST_PARTS}; "
            "try --share equal"
        )
    parts = tuple(Part(kw, tuple(members)) for kw, members in sorted(groups.items(), reverse=True))
    return Division(parts, "capacity" if by_capacity else "equal", max(_NOTHING, left))
