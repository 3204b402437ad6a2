"""Register with a VTN: one ven and its resources (VENCLIENT-008). Doing it again changes nothing.

Only our own members are written: the name, and attributes of the types that we give. Attributes of other types were
written by others, and stay (ruling 21). A client that may not write its ven uses what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from openadr_client.client import VtnClient
from openadr_client.errors import Conflict, Forbidden, InvalidRequest, NotFound, Refused
from openadr_client.objects import NOT_MODIFIED
from openadr_profiles.v31 import Resource, ValuesMap, Ven, VenResourceRequest, VenVenRequest

_log = structlog.get_logger(__name__)

_LOOK_EVERY: Final = 4
"""At every so many polls it is looked whether our ven and resources are still there."""


class Registration:
    """Keep one ven and its resources at a VTN, also when somebody deletes them or the VTN lost them.

    `keep` belongs to every poll. The first time it brings up to date what is there; later it makes what is gone, of
    which `look` finds out. Without the right to write (403) what is there is used as it is, and one warning says so.
    """

    def __init__(
        self,
        vtn: VtnClient,
        name: str,
        *,
        attributes: Sequence[ValuesMap] | None = None,
        rename: bool = False,
        with_resources: bool = True,
    ) -> None:
        self._vtn = vtn
        self._name = name
        self._attributes = attributes
        self._rename = rename
        self._given_up: set[str] = set()
        self._forbidden: list[str] = []
        self._said = False
        self._polls_to_look = 0
        self._with_resources = with_resources
        self._renewed = asyncio.Event()
        """Set, and replaced by another one, when the VTN knows us under another id than before."""
        self._known_as: str | None = None
        self.ven: Ven | None = None
        """Our ven with the targets it was granted, as last read; None while there is none."""
        self.resources: dict[str, Resource] = {}
        """The resources of our ven by name, as last read; also those that others made."""

    async def keep(self, wanted: Mapping[str, Sequence[ValuesMap]]) -> Ven | None:
        """Register, or now and then look whether we still are; return our ven.

        After a refusal nothing is asked until the next look, and there may be no ven.

        Raises:
            VtnError: as `see_to`.
        """
        if self._polls_to_look > 0:
            self._polls_to_look -= 1
            return None if self.ven is None else await self.see_to(wanted)
        self._polls_to_look = _LOOK_EVERY - 1
        try:
            await self.look()
            return await self.see_to(wanted)
        except Refused:
            raise
        except BaseException:
            self._polls_to_look = 0
            raise

    async def see_to(self, wanted: Mapping[str, Sequence[ValuesMap]]) -> Ven:
        """See to it that the VTN has our ven and these resources; return the ven with the targets it was granted.

        It asks nothing if all of them are known. A resource that cannot be made is logged and left out.

        Raises:
            Conflict: another client has a ven of this name.
            Forbidden: there is no ven of ours, and we may not make one.
            VtnError: the VTN could not be asked.
        """
        is_new = self.ven is None
        ven = self.ven
        if ven is None:
            ven = await self._bring_ven()
            found = await self._vtn.resources.search(ven_id=ven.id) if self._with_resources else ()
            self.resources = {each.resource_name: each for each in found}
            self._given_up.clear()
        for name, attributes in wanted.items():
            if is_new or (name not in self.resources and name not in self._given_up):
                await self._bring_resource(ven.id, name, attributes)
        self.ven = ven  # last: if anything before fails, all of it is done again
        self._show_events()
        if ven.id != self._known_as:
            self._known_as = ven.id
            self._renewed.set()
            self._renewed = asyncio.Event()
            _log.info("registered with the VTN", ven_id=ven.id, ven_name=ven.ven_name, targets=ven.targets)
        if self._forbidden and not self._said:
            self._said = True
            _log.warning(
                "the VTN does not let us write our ven and resources (403): what is there is used as it is",
                not_written=sorted(self._forbidden),
            )
        self._forbidden.clear()
        return ven

    def _show_events(self) -> None:
        """Have events read as those for our ven, whose targets and resources are known now."""
        if self.ven is not None and self._with_resources:
            self._vtn.events.show_to(self.ven, self.resources.values())

    async def follow(self, work: Callable[[str], Awaitable[None]]) -> None:
        """Do this work with the id of our ven, once there is one, until it ends; begin it anew with a new ven's id."""
        while True:
            renewed = self._renewed
            if self._known_as is None:
                await renewed.wait()
                continue
            working = asyncio.ensure_future(work(self._known_as))
            anew = asyncio.ensure_future(renewed.wait())
            try:
                await asyncio.wait({working, anew}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
            finally:
                working.cancel()
                anew.cancel()
                await asyncio.gather(working, anew, return_exceptions=True)

    async def look(self, *, at_resources_only: bool = False) -> None:
        """Read again what the VTN has of ours, with conditional requests; the next `see_to` makes what is gone.

        Raises:
            VtnError: the VTN could not be asked.
        """
        ven = self.ven
        if ven is None:
            return
        try:
            if not at_resources_only or await self._look_at_resources(ven.id):
                await self._look_at_ven(ven)
            if self._with_resources and not at_resources_only and self.ven is not None:
                await self._look_at_resources(ven.id)
            self._show_events()
        except BaseException:
            self._vtn.vens.forget_polls()
            self._vtn.resources.forget_polls()
            raise

    async def _look_at_ven(self, known: Ven) -> None:
        if self._vtn.face.names_owners:
            found = await self._vtn.vens.poll()
            if found is NOT_MODIFIED:
                return
            ven = next((each for each in found if each.id == known.id), None) or await self._vtn.vens.find(known.id)
        else:  # the list may be that of all vens
            ven = await self._vtn.vens.find(known.id)
        if ven is not None:
            self.ven = ven
            return
        _log.warning("the VTN does not know our ven any more: it is registered again", ven_id=known.id)
        self.ven = None
        self.resources = {}

    async def _look_at_resources(self, ven_id: str) -> bool:
        """Read the resources again; return True if one of those known is gone."""
        try:
            found = await self._vtn.resources.poll(ven_id=ven_id)
        except (NotFound, InvalidRequest):  # as some VTNs answer for a ven that is gone
            return True
        if found is NOT_MODIFIED:
            return False
        unreadable = {each.id for each in found.broken}
        kept = {name: each for name, each in self.resources.items() if each.id in unreadable}
        there = kept | {each.resource_name: each for each in found}
        gone = sorted(self.resources.keys() - there.keys())
        if gone:
            _log.warning("the VTN does not have resources any more", ven_id=ven_id, resources=gone)
        self.resources = there
        self._given_up.clear()
        return bool(gone)

    async def _bring_ven(self) -> Ven:
        found, wanted = await _found_or_made(self._vtn, self._name, self._attributes, rename=self._rename)
        if wanted is None:
            return found
        try:
            return await self._vtn.vens.replace(found.id, wanted)
        except Forbidden:
            self._forbidden.append(found.ven_name)
            return found

    async def _bring_resource(self, ven_id: str, name: str, attributes: Sequence[ValuesMap]) -> None:
        known = self.resources.get(name)
        try:
            self.resources[name] = await register_resource(self._vtn, ven_id, name, attributes=attributes, known=known)
        except Forbidden:
            self._forbidden.append(name)
        except Refused as error:
            _log.warning("resource cannot be registered", resource_name=name, problem=str(error))
        if name not in self.resources:
            self._given_up.add(name)


async def register_ven(
    vtn: VtnClient, name: str, *, attributes: Sequence[ValuesMap] | None = None, rename: bool = False
) -> Ven:
    """See to it that the VTN has our ven with these attributes, and return it with the targets it was granted.

    A ven that the VTN knows under another name keeps that name unless ``rename``. Attributes of other types than the
    given ones stay as they are.

    Raises:
        Conflict: another client has a ven of this name.
        Forbidden: there is no ven of ours, or it is not as wanted, and we may not write it.
    """
    found, wanted = await _found_or_made(vtn, name, attributes, rename=rename)
    return found if wanted is None else await vtn.vens.replace(found.id, wanted)


async def register_resource(
    vtn: VtnClient,
    ven_id: str,
    name: str,
    *,
    attributes: Sequence[ValuesMap] = (),
    known: Resource | None = None,
) -> Resource:
    """See to it that our ven has a resource with these attributes; ``known`` is the resource if it was read already.

    Attributes of other types than the given ones stay as they are.

    Raises:
        Conflict: the name is taken by a resource that is not shown to us.
        Forbidden: it is not there or not as wanted, and we may not write it.
    """
    if known is None:
        try:
            return await vtn.resources.create(
                VenResourceRequest(resource_name=name, ven_id=ven_id, attributes=_or_none(attributes))
            )
        except Conflict:
            found = await vtn.resources.search(ven_id=ven_id, resource_name=name)
            if not found:
                raise
            known = found[0]
    wanted = _with_ours(known.attributes, attributes)
    if _same(known.attributes, wanted):
        return known
    request = VenResourceRequest(resource_name=name, ven_id=ven_id, attributes=_or_none(wanted))
    return await vtn.resources.replace(known.id, request)


async def _found_or_made(
    vtn: VtnClient, name: str, attributes: Sequence[ValuesMap] | None, *, rename: bool
) -> tuple[Ven, VenVenRequest | None]:
    """Return our ven, made if there was none, and what has to be written to bring it up to date; None: nothing."""
    found = await _own_ven(vtn, name)
    if found is None:
        try:
            return await vtn.vens.create(VenVenRequest(ven_name=name, attributes=_or_none(attributes))), None
        except Conflict:
            found = await _taken_ven(vtn, name)
            if found is None:
                raise
    if found.ven_name != name and not rename:
        _log.warning("the VTN knows us under another name", ven_name=found.ven_name, configured=name)
        name = found.ven_name
    wanted = _with_ours(found.attributes, attributes or ())
    if found.ven_name == name and _same(found.attributes, wanted):
        return found, None
    return found, VenVenRequest(ven_name=name, attributes=_or_none(wanted))


async def _own_ven(vtn: VtnClient, name: str) -> Ven | None:
    """Return our ven: that of our name, or else the only one, unless the VTN says that it is another client's."""
    if not vtn.face.names_owners:
        return next((ven for ven in await vtn.vens.search(ven_name=name) if ven.ven_name == name), None)
    visible = await vtn.vens.search()
    named = next((ven for ven in visible if ven.ven_name == name), None)
    if named is not None or len(visible) != 1:
        return named
    return visible[0] if vtn.client_id in {None, visible[0].client_id} else None


async def _taken_ven(vtn: VtnClient, name: str) -> Ven | None:
    """Return the ven for which we may not make another: where no owners are named, the only one that is shown."""
    found = await _own_ven(vtn, name)
    if found is not None or vtn.face.names_owners:
        return found
    visible = await vtn.vens.search()
    return visible[0] if len(visible) == 1 else None


def _with_ours(there: Sequence[ValuesMap] | None, ours: Sequence[ValuesMap]) -> tuple[ValuesMap, ...]:
    """Return the attributes with ours in the place of those of the same types (ruling 21)."""
    types = {each.type for each in ours}
    return (*(each for each in there or () if each.type not in types), *ours)


def _or_none(attributes: Sequence[ValuesMap] | None) -> tuple[ValuesMap, ...] | None:
    return tuple(attributes) if attributes else None


def _same(one: Sequence[ValuesMap] | None, other: Sequence[ValuesMap]) -> bool:
    """Compare without regard to order and to 2 against 2.0."""
    left, right = [[(each.type, each.values) for each in given or ()] for given in (one, other)]
    return len(left) == len(right) and all(left.count(each) == right.count(each) for each in left)
