"""Register with the VTN: one ven, and one resource for every circuit. Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from openadr_client.client import VtnClient
from openadr_client.errors import Conflict
from openadr_profiles.v31 import (
    Attribute,
    Resource,
    Value,
    ValuesMap,
    Ven,
    VenResourceRequest,
    VenVenRequest,
)
from ven.panel.circuits import BranchCircuit

_log = structlog.get_logger(__name__)


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
    ven = await _ven(client, ven_name, circuits, rename=rename)
    known = {resource.resource_name: resource for resource in await client.resources.search(ven_id=ven.id)}
    mine = {circuit.id: await _resource(client, ven.id, circuit, known.get(circuit.id)) for circuit in circuits}
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


async def _ven(client: VtnClient, ven_name: str, circuits: Sequence[BranchCircuit], *, rename: bool) -> Ven:
    wanted = VenVenRequest(ven_name=ven_name, attributes=ven_attributes(circuits))
    found = await _own(client, ven_name)
    if found is None:
        try:
            return await client.vens.create(wanted)
        except Conflict:
            found = await _own(client, ven_name)
            if found is None:
                raise
    if found.ven_name != ven_name and not rename:
        _log.warning("the VTN knows us under another name", ven_name=found.ven_name, configured=ven_name)
        wanted = VenVenRequest(ven_name=found.ven_name, attributes=wanted.attributes)
    if found.ven_name == wanted.ven_name and _same(found.attributes, wanted.attributes):
        return found
    return await client.vens.replace(found.id, wanted)


async def _own(client: VtnClient, ven_name: str) -> Ven | None:
    """Our ven. A VTN that shows us others as well is asked by name."""
    visible = await client.vens.search()
    named = [ven for ven in visible if ven.ven_name == ven_name]
    return next(iter(named), visible[0] if len(visible) == 1 else None)


async def _resource(client: VtnClient, ven_id: str, circuit: BranchCircuit, known: Resource | None) -> Resource:
    wanted = VenResourceRequest(resource_name=circuit.id, ven_id=ven_id, attributes=circuit_attributes(circuit))
    if known is None:
        try:
            return await client.resources.create(wanted)
        except Conflict:
            again = await client.resources.search(ven_id=ven_id, resource_name=circuit.id)
            if not again:
                raise
            known = again[0]
    if _same(known.attributes, wanted.attributes):
        return known
    return await client.resources.replace(known.id, wanted)


def _same(one: Sequence[ValuesMap] | None, other: Sequence[ValuesMap] | None) -> bool:
    """Compared without regard to order and to 2 against 2.0."""
    return sorted((each.type, each.values) for each in one or ()) == sorted(
        (each.type, each.values) for each in other or ()
    )


def _attribute(type_: str, value: Value) -> ValuesMap:
    return ValuesMap(type=type_, values=(value,))
