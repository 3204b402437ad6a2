"""Register with the VTN: one ven, and one resource for every circuit. Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openadr_client import VtnClient, register_resource, register_ven
from openadr_profiles.v31 import (
    Attribute,
    Resource,
    Value,
    ValuesMap,
    Ven,
)
from ven.panel.circuits import BranchCircuit


@dataclass(frozen=True)
class Registration:
    """Our ven and resources at the VTN. `resources` are by name; their targets were granted by business logic."""

    ven: Ven
    resources: dict[str, Resource]


async def register(
    client: VtnClient, *, ven_name: str, circuits: Sequence[BranchCircuit], rename: bool
) -> Registration:
    """See to it that the VTN has our ven and our circuits as we describe them (VENCLIENT-008).

    A ven under another name keeps that name unless `rename`. Resources that are not circuits of ours are left alone.

    Raises:
        Conflict: another client has a ven of this name.
    """
    ven = await register_ven(client, ven_name, attributes=ven_attributes(circuits), rename=rename)
    known = {resource.resource_name: resource for resource in await client.resources.search(ven_id=ven.id)}
    mine = {
        circuit.id: await register_resource(
            client, ven.id, circuit.id, attributes=circuit_attributes(circuit), known=known.get(circuit.id)
        )
        for circuit in circuits
    }
    return Registration(ven, {**known, **mine})


def ven_attributes(circuits: Iterable[BranchCircuit]) -> tuple[ValuesMap, ...]:
    """Return the attributes of the ven as a whole: the power of all circuits together, in kW."""
    return (_attribute(Attribute.MAX_POWER_CONSUMPTION, float(sum(circuit.rated_kw for circuit in circuits))),)


def circuit_attributes(circuit: BranchCircuit) -> tuple[ValuesMap, ...]:
    """Return the attributes of a circuit; those that the standard does not have are documented in `docs/ven.md`."""
    return (
        _attribute(Attribute.MAX_POWER_CONSUMPTION, float(circuit.rated_kw)),
        _attribute(Attribute.DESCRIPTION, circuit.label),
        _attribute("BREAKER_AMPS", circuit.breaker_amps),
        _attribute("CRITICAL", circuit.critical),
        _attribute("PRIORITY", circuit.priority),
        _attribute("SHED_SHARE", float(circuit.shed_share)),
    )


def _attribute(type_: str, value: Value) -> ValuesMap:
    return ValuesMap(type=type_, values=(value,))
