"""Splitting a request in kW over panels, exactly in total and within the limits of each panel.

Pure arithmetic in whole watts, so that the parts add up to the request. Every part is nothing, or lies between the
panel's least and most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Decimal
from operator import itemgetter

WATT = Decimal("0.001")
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of what a panel can be asked for: nothing, or ``least_kw`` to ``most_kw``.

    Parts are in proportion to ``weight``. Panels with a low ``turn`` are asked first when not all are needed.
    """

    most_kw: Decimal
    weight: Decimal
    least_kw: Decimal = _NOTHING
    turn: float = 0.0

    @property
    def can_give(self) -> bool:
        """Return True if there is any part that this panel can be asked for."""
        return self.most_kw >= WATT and self.most_kw >= self.least_kw and self.weight > 0


@dataclass(frozen=True, slots=True)
class _Share:
    """The limits of one panel in watts."""

    ven_id: str
    least_w: int
    most_w: int
    weight: int
    turn: float


def whole_watts(kw: Decimal | float, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Return a power in kW to the watt."""
    return Decimal(str(kw)).quantize(WATT, rounding=rounding)


def allocate(request_kw: Decimal, limits: Mapping[str, Limits], *, fewest: bool = False) -> dict[str, Decimal]:
    """Return each panel's part of the request in kW, in proportion to its weight and within its limits.

    Without ``least_kw`` the parts sum to the request, or to all there is if that is less. With it, panels are left out
    if the request is too small for all; what is then missing is less than the least of any panel left out. ``fewest``
    asks no more panels than are needed. Watts left over by rounding go to the panels that lost most by it, then by id,
    so that the result depends on nothing else.
    """
    wanted_w = max(0, _watts(request_kw))
    asked = _chosen(wanted_w, _shares(limits), fewest=fewest)
    parts = dict.fromkeys(limits, _NOTHING)
    for ven_id, part_w in _filled(wanted_w, asked).items():
        parts[ven_id] = part_w * WATT
    return parts


def redistribute(
    request_kw: Decimal,
    parts_kw: Mapping[str, Decimal],
    limits: Mapping[str, Limits],
    *,
    smallest_kw: Decimal = Decimal("0.1"),
) -> dict[str, Decimal]:
    """Return the parts again when panels have dropped out, come back or proved weaker; few panels change.

    Every panel keeps what it has up to its present limit. What is then missing goes to panels that are asked for
    nothing yet, in their turn, and then to those with most to spare. Less than ``smallest_kw`` missing is left: each
    change makes a panel restore and shed anew.
    """
    kept = {ven_id: _kept(parts_kw.get(ven_id, _NOTHING), limit) for ven_id, limit in limits.items()}
    missing_w = _watts(request_kw) - _watts(sum(kept.values(), _NOTHING))
    if missing_w <= 0 or missing_w * WATT < smallest_kw:
        return kept
    shares = _shares(limits)
    idle = _chosen(missing_w, (share for share in shares if not kept[share.ven_id]), fewest=True)
    for ven_id, part_w in _filled(missing_w, idle).items():
        kept[ven_id] = part_w * WATT
        missing_w -= part_w
    spare = {share.ven_id: share.most_w - _watts(kept[share.ven_id]) for share in shares if kept[share.ven_id]}
    for ven_id in sorted(spare, key=lambda each: (-spare[each], each)):
        if missing_w <= 0:
            break
        more_w = min(missing_w, spare[ven_id])
        kept[ven_id] += more_w * WATT
        missing_w -= more_w
    return kept


def share_of_each(share: Decimal, limits: Mapping[str, Limits]) -> dict[str, Decimal]:
    """Return the same share (0 to 1) of what each panel can give, in kW, raised to its least where it asks for any."""
    return {
        ven_id: max(whole_watts(limit.most_kw * share), limit.least_kw) if share > 0 and limit.can_give else _NOTHING
        for ven_id, limit in limits.items()
    }


def _kept(part_kw: Decimal, limit: Limits) -> Decimal:
    return min(max(_NOTHING, part_kw), whole_watts(limit.most_kw, ROUND_DOWN)) if limit.can_give else _NOTHING


def _watts(kw: Decimal, rounding: str = ROUND_HALF_UP) -> int:
    return int((kw / WATT).quantize(Decimal(1), rounding=rounding))


def _shares(limits: Mapping[str, Limits]) -> list[_Share]:
    """Return the panels that can give anything, by id, with weights as whole numbers of the same scale."""
    shares = [
        _Share(
            ven_id,
            least_w=_watts(limit.least_kw, ROUND_CEILING),
            most_w=_watts(limit.most_kw, ROUND_DOWN),
            weight=max(1, _watts(limit.weight)),
            turn=limit.turn,
        )
        for ven_id, limit in sorted(limits.items())
        if limit.can_give
    ]
    return [share for share in shares if share.least_w <= share.most_w]


def _chosen(wanted_w: int, shares: Iterable[_Share], *, fewest: bool) -> list[_Share]:
    """Return the panels to ask, in their turn, such that their leasts together are not above what is wanted."""
    chosen: list[_Share] = []
    least_w = most_w = 0
    for share in sorted(shares, key=lambda each: (each.turn, each.ven_id)) if wanted_w else ():
        if fewest and most_w >= wanted_w:
            break
        if least_w + share.least_w <= wanted_w:
            chosen.append(share)
            least_w += share.least_w
            most_w += share.most_w
    return chosen


def _filled(wanted_w: int, shares: list[_Share]) -> dict[str, int]:
    """Return the parts in watts of panels whose leasts fit into what is wanted.

    All rise together, each in proportion to its weight, from its least to its most, until the sum is reached.
    """
    if wanted_w >= sum(share.most_w for share in shares):
        return {share.ven_id: share.most_w for share in shares}
    parts = {share.ven_id: share.least_w for share in shares}
    fixed_w, weight = sum(parts.values()), 0
    rising: dict[str, _Share] = {}
    for starts, share in _steps(shares):
        limit_w = share.least_w if starts else share.most_w
        if fixed_w * share.weight + limit_w * weight >= wanted_w * share.weight:
            break  # the sum is reached before this panel meets its limit
        if starts:
            fixed_w -= share.least_w
            weight += share.weight
            rising[share.ven_id] = share
        else:
            fixed_w += share.most_w
            weight -= share.weight
            del rising[share.ven_id]
            parts[share.ven_id] = share.most_w
    return parts | _by_weight(wanted_w - fixed_w, weight, rising.values())


def _steps(shares: list[_Share]) -> Iterable[tuple[bool, _Share]]:
    """Return who starts to rise (True) or stops (False), in the order in which the common level gets there.

    Levels are compared as whole numbers, shifted so far that different fractions stay different.
    """
    shift = 2 * max(share.weight for share in shares).bit_length()
    steps = [(((share.least_w << shift) // share.weight) * 2, share) for share in shares]
    steps += [(((share.most_w << shift) // share.weight) * 2 + 1, share) for share in shares]
    return ((not step & 1, share) for step, share in sorted(steps, key=itemgetter(0)))


def _by_weight(rest_w: int, weight: int, rising: Collection[_Share]) -> dict[str, int]:
    """Return whole watts in proportion to the weights; what rounding leaves goes to those who lost most by it."""
    parts = {share.ven_id: rest_w * share.weight // weight for share in rising}
    left_w = rest_w - sum(parts.values())
    by_loss = sorted(rising, key=lambda share: (-(rest_w * share.weight % weight), share.ven_id))
    for share in by_loss[:left_w]:
        parts[share.ven_id] += 1
    return parts
