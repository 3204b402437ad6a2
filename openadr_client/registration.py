"""Register with a VTN: one ven and its resources (VENCLIENT-008). Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from openadr_client.client import VtnClient
from openadr_client.errors import Conflict
from openadr_profiles.v31 import Resource, ValuesMap, Ven, VenResourceRequest, VenVenRequest

_log = structlog.get_logger(__name__)


async def register_ven(
    vtn: VtnClient, name: str, *, attributes: Sequence[ValuesMap] | None = None, rename: bool = False
) -> Ven:
    """See to it that the VTN has our ven with these attributes, and return it with the targets it was granted.

    A ven that the VTN knows under another name keeps that name unless ``rename``. Without ``attributes`` those that
    it has stay.

    Raises:
        Conflict: another client has a ven of this name.
    """
    found = await _own_ven(vtn, name)
    if found is None:
        try:
            return await vtn.vens.create(VenVenRequest(ven_name=name, attributes=_or_none(attributes)))
        except Conflict:
            found = await _own_ven(vtn, name)
            if found is None:
                raise
    if found.ven_name != name and not rename:
        _log.warning("the VTN knows us under another name", ven_name=found.ven_name, configured=name)
        name = found.ven_name
    if found.ven_name == name and (attributes is None or _same(found.attributes, attributes)):
        return found
    wanted = found.attributes if attributes is None else _or_none(attributes)
    return await vtn.vens.replace(found.id, VenVenRequest(ven_name=name, attributes=wanted))


async def register_resource(
    vtn: VtnClient,
    ven_id: str,
    name: str,
    *,
    attributes: Sequence[ValuesMap] = (),
    known: Resource | None = None,
) -> Resource:
    """See to it that our ven has a resource with these attributes; ``known`` is the resource if it was read already.

    Raises:
        Conflict: the name is taken by a resource that is not shown to us.
    """
    wanted = VenResourceRequest(resource_name=name, ven_id=ven_id, attributes=_or_none(attributes))
    if known is None:
        try:
            return await vtn.resources.create(wanted)
        except Conflict:
            found = await vtn.resources.search(ven_id=ven_id, resource_name=name)
            if not found:
                raise
            known = found[0]
    if _same(known.attributes, attributes):
        return known
    return await vtn.resources.replace(known.id, wanted)


async def _own_ven(vtn: VtnClient, name: str) -> Ven | None:
    """Return our ven. A VTN that shows us others as well is asked by name."""
    visible = await vtn.vens.search()
    named = (ven for ven in visible if ven.ven_name == name)
    return next(named, visible[0] if len(visible) == 1 else None)


def _or_none(attributes: Sequence[ValuesMap] | None) -> tuple[ValuesMap, ...] | None:
    return tuple(attributes) if attributes else None


def _same(one: Sequence[ValuesMap] | None, other: Sequence[ValuesMap] | None) -> bool:
    """Compare without regard to order and to 2 against 2.0."""
    return sorted((each.type, each.values) for each in one or ()) == sorted(
        (each.type, each.values) for each in other or ()
    )
