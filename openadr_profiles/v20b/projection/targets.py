"""Targets of OpenADR 3 as elements of a 2.0b eiTarget, and back: ``<kind>:<value>``, a bare text is a group (4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_KINDS: Final = {
    "ven": "ven_id",
    "group": "group_id",
    "groupname": "group_name",
    "resource": "resource_id",
    "party": "party_id",
    "deviceclass": "end_device_asset",
    "meter": "meter_asset",
    "pnode": "pnode",
    "apnode": "aggregated_pnode",
    "sdp": "service_delivery_point",
    "ti": "transport_interface",
}
_PREFIXES: Final = {element: kind for kind, element in _KINDS.items()}
_GEOMETRY: Final = frozenset({"location", "area"})
"""Kinds whose 2.0b element is a map, which no target says."""


@dataclass(frozen=True, slots=True)
class TargetPart:
    """One element of an eiTarget: the member that it belongs to, in snake_case, and its value."""

    element: str
    value: str


def part_of(target: str) -> TargetPart | None:
    """Return the 2.0b element of a target; None if it has none.

    A kind that is not in the convention belongs to the value: ``group:a`` and ``zone:a`` are the groups of these names,
    since VENs hold and compare whole texts.
    """
    kind, colon, value = target.partition(":")
    if colon and kind in _GEOMETRY:
        return None
    if kind == "ti" and "/" not in value:
        return None
    if not colon or not value or kind == "group" or kind not in _KINDS:
        return TargetPart("group_id", target)
    return TargetPart(_KINDS[kind], value)


def is_told(target: str) -> bool:
    """Return True if a target has an element in 2.0b."""
    return part_of(target) is not None


def target_of(part: TargetPart) -> str:
    """Return the target of OpenADR 3 for an element of an eiTarget (4.3, the way back)."""
    return part.value if part.element == "group_id" else f"{_PREFIXES[part.element]}:{part.value}"


def parts_for(
    targets: Iterable[str], held: Iterable[str], ven_id: str, *, also_named: Iterable[str] = ()
) -> tuple[TargetPart, ...]:
    """Return the elements for one VEN: targets it holds, and itself; never those of others (B-EVT-035, PRIV-013).

    ``also_named`` are other names of the VEN among targets, as the id of its ven.
    """
    granted = frozenset(held) - frozenset(also_named)
    found = [part_of(target) for target in targets if target in granted]
    own = TargetPart("ven_id", ven_id)
    others = [part for part in found if part is not None and part.element != "ven_id"]
    return tuple(dict.fromkeys((*others, own)))
