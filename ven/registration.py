"""Describe our ven and circuits for the VTN: one ven, and one resource for every circuit (VENCLIENT-008)."""

from __future__ import annotations

from collections.abc import Iterable

from openadr_client import Registration, VtnClient
from openadr_profiles.v31 import Attribute, Value, ValuesMap
from ven.panel.circuits import BranchCircuit
from ven.settings import VenSettings


def registration(client: VtnClient, settings: VenSettings) -> Registration:
    """Return what keeps our ven at the VTN. A ven under another name keeps that name unless ``settings.rename``."""
    return Registration(client, settings.ven_name, attributes=ven_attributes(settings.circuits), rename=settings.rename)


def circuit_resources(circuits: Iterable[BranchCircuit]) -> dict[str, tuple[ValuesMap, ...]]:
    """Return the resources that we want, with their attributes. Resources that are not circuits are left alone."""
    return {circuit.id: circuit_attributes(circuit) for circuit in circuits}


def ven_attributes(circuits: Iterable[BranchCircuit]) -> tuple[ValuesMap, ...]:
    """Return the attributes of the ven as a whole: the power of all circuits together, in kW."""
    return (_attribute(Attribute.MAX_POWER_CONSUMPTION, float(sum(circuit.rated_kw for circuit in circuits))),)


def circuit_attributes(circuit: BranchCircuit) -> tuple[ValuesMap, ...]:
    """Return the attributes of a circuit; those that the standard does not have are documented in `docs/ven.md`."""
    fed_in = (_attribute(Attribute.MAX_POWER_EXPORT, float(circuit.export_kw)),) if circuit.export_kw else ()
    return (
        _attribute(Attribute.MAX_POWER_CONSUMPTION, float(circuit.rated_kw)),
        *fed_in,
        _attribute(Attribute.DESCRIPTION, circuit.label),
        _attribute("BREAKER_AMPS", circuit.breaker_amps),
        _attribute("CRITICAL", circuit.critical),
        _attribute("PRIORITY", circuit.priority),
        _attribute("SHED_SHARE", 0.0 if circuit.limits_feed_in else float(circuit.shed_share)),
    )


def _attribute(type_: str, value: Value) -> ValuesMap:
    return ValuesMap(type=type_, values=(value,))
