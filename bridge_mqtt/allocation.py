"""Splitting a request in kW over panels: in proportion to what each can shed, never more than it can, exactly in total.

Pure arithmetic in whole watts with Decimal, so that the parts add up to the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

WATT = Decimal("0.001")
_NOTHING = Decimal(0)


def whole_watts(kw: Decimal | float, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Return a power in kW to the watt."""
    return Decimal(str(kw)).quantize(WATT, rounding=rounding)


def allocate(request_kw: Decimal, capability_kw: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return each panel's part of the request, in proportion to its capability and at most that.

    The parts sum to the request, or to all there is if that is less. Watts left over by rounding go to the panels that
    lost most by it, then by id, so that the result depends on nothing else.
    """
    limits = {ven_id: max(_NOTHING, whole_watts(kw, ROUND_DOWN)) for ven_id, kw in sorted(capability_kw.items())}
    available = sum(limits.values(), _NOTHING)
    wanted = min(max(_NOTHING, whole_watts(request_kw)), available)
    if not available or not wanted:
        return dict.fromkeys(limits, _NOTHING)
    exact = {ven_id: wanted * limit / available for ven_id, limit in limits.items()}
    parts = {ven_id: min(limits[ven_id], share.quantize(WATT, rounding=ROUND_DOWN)) for ven_id, share in exact.items()}
    left = int((wanted - sum(parts.values(), _NOTHING)) / WATT)
    by_loss = sorted(limits, key=lambda ven_id: (parts[ven_id] - exact[ven_id], ven_id))
    for ven_id in [each for each in by_loss if parts[each] < limits[each]][:left]:
        parts[ven_id] += WATT
    return parts


def redistribute(
    request_kw: Decimal,
    parts_kw: Mapping[str, Decimal],
    capability_kw: Mapping[str, Decimal],
    *,
    smallest_kw: Decimal = Decimal("0.1"),
) -> dict[str, Decimal]:
    """Return the parts again when panels have dropped out, come back or proved weaker; few panels change.

    Every panel keeps what it has up to its present capability; what is then missing is spread over those with some to
    spare. Less than ``smallest_kw`` missing is left: each change makes a panel restore and shed anew.
    """
    kept = {
        ven_id: min(max(_NOTHING, parts_kw.get(ven_id, _NOTHING)), max(_NOTHING, whole_watts(kw, ROUND_DOWN)))
        for ven_id, kw in capability_kw.items()
    }
    missing = whole_watts(request_kw) - sum(kept.values(), _NOTHING)
    if missing < smallest_kw:
        return kept
    spare = {ven_id: capability_kw[ven_id] - kw for ven_id, kw in kept.items()}
    return {ven_id: kept[ven_id] + more for ven_id, more in allocate(missing, spare).items()}
