"""The OpenADR resources of panels: one for each panel, and one for each of its circuits, ``<panel>/<circuit>``."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from bridge_mqtt.model import PanelRecord
from openadr_profiles.panel import ASSUMED, Load, is_critical
from openadr_profiles.v31 import Attribute, Value, ValuesMap
from ven.panel.circuits import BranchCircuit

OUR_ATTRIBUTES: Final = frozenset({"CRITICAL", Attribute.DESCRIPTION.value, Attribute.MAX_POWER_CONSUMPTION.value})
"""The types of attributes that the bridge writes; of other types are those that others wrote."""

_MAX_RESOURCE_NAME = 128
_MOST_AMPS = 10_000.0
_NOTHING = Decimal(0)


def resource_name(ven_id: str, circuit_id: str | None = None) -> str | None:
    """Return the OpenADR resource name of a panel or of one of its circuits; None if it is too long."""
    name = ven_id if circuit_id is None else f"{ven_id}/{circuit_id}"
    return name if len(name) <= _MAX_RESOURCE_NAME else None


def wanted_resources(panel: PanelRecord) -> dict[str, tuple[ValuesMap, ...]]:
    """Return the resources of a panel and its circuits with their attributes, by name; too long names are left out."""
    wanted: dict[str, tuple[ValuesMap, ...]] = {}
    name = resource_name(panel.ven_id)
    if name is None:
        return wanted
    wanted[name] = (_attribute(Attribute.DESCRIPTION, panel.name),) if panel.name else ()
    for load in panel.loads:
        circuit = resource_name(panel.ven_id, load.id)
        if circuit is not None:
            wanted[circuit] = _attributes(load)
    return wanted


def _attributes(load: Load) -> tuple[ValuesMap, ...]:
    known = [_attribute("CRITICAL", is_critical(load))]
    if load.name:
        known.append(_attribute(Attribute.DESCRIPTION, load.name))
    if load.capacity_kw:
        known.append(_attribute(Attribute.MAX_POWER_CONSUMPTION, load.capacity_kw))
    return tuple(known)


def _attribute(type_: str, value: Value) -> ValuesMap:
    return ValuesMap(type=type_, values=(value,))


def panel_circuits(panel: PanelRecord) -> list[BranchCircuit]:
    """Return the circuits of a panel as resources. Without ratings they get 0, which no report shows."""
    found = []
    for load in panel.loads:
        name = resource_name(panel.ven_id, load.id)
        if name is None:
            continue
        rated = Decimal(str(load.capacity_kw)) if load.capacity_kw and 0 < load.capacity_kw < 100_000 else _NOTHING
        critical = is_critical(load)
        found.append(
            BranchCircuit(
                id=name,
                name=(load.name or load.id)[:128],
                breaker_amps=min(float(rated * 1000 / 240), _MOST_AMPS) or 1.0,
                rated_kw=rated,
                critical=critical,
                shed_share=_NOTHING if critical else shed_share(panel, load),
            )
        )
    return found


def shed_share(panel: PanelRecord, load: Load) -> Decimal:
    """Return the largest share (0 to 1) of a circuit that the panel's program sheds."""
    return (panel.dialect or ASSUMED).shed_share(load)
