"""vens: /vens. There is one form of request for both roles, and answers have the resources in them (V301-025 …)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openadr_profiles import v31
from openadr_profiles.v31 import Invalid, ObjectType
from openadr_profiles.v301 import VenRequest
from vtn.access import READ_OWNED, WRITE_VENS, Caller
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.query import Query
from vtn.api.v301.face import Face, Rules, read_body
from vtn.api.v301.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.store.large import Large
from vtn.store.query import VenQuery
from vtn.store.resource import NewResource
from vtn.store.rows import ObjectRow, Precondition, RowPage, VenRow
from vtn.store.typed_targets import OwnedRecords
from vtn.store.vens_with_resources import VensWithResources


class _Written(NamedTuple):
    core: v31.BlVenRequest | v31.VenVenRequest
    records: OwnedRecords
    resources: tuple[NewResource, ...]


class _Vens(Face[VenQuery]):
    """vens as this version writes and reads them."""

    def __init__(self, vens: VensWithResources, rules: Rules) -> None:
        super().__init__(vens.vens, rules)
        # The watch on resources is one on vens too: with a ven its resources go.
        self.watch, self.watch_with_grants = vens.resources.watch, vens.resources.watch_with_grants
        self._vens = vens
        self.was_read = vens.vens.was_read

    async def search(self, query: VenQuery, *, visible_to: Caller) -> RowPage | Large:
        return await self._vens.search(query, visible_to=self.rules.reader(visible_to))

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        return await self._vens.get(object_id, visible_to=self.rules.reader(visible_to))

    async def create(self, written: _Written, *, by: Caller) -> ObjectRow:
        core, records, resources = written
        row = await self._vens.vens.create(core, by=by, records=records, with_resources=resources)
        return await self._vens.joined(row, visible_to=self.rules.reader(by))

    async def replace(
        self, object_id: str, written: _Written, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        """Put a ven in the place of another; its resources stay as they are (V301-027)."""
        checked = None if check is None else await self._checked(check, object_id, by)
        row = await self._vens.vens.replace(object_id, written.core, by=by, check=checked, records=written.records)
        return await self._vens.joined(row, visible_to=self.rules.reader(by))

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        await self._vens.vens.check(object_id, visible_to=by)
        its = await self._resources(object_id, by)
        checked = None if check is None else await self._checked(check, object_id, by)
        return _with(await self._vens.vens.delete(object_id, by=by, check=checked), its)

    async def _checked(self, check: Precondition, object_id: str, by: Caller) -> Precondition:
        """Return a check that is given the ven with its resources, as it is read."""
        await self._vens.vens.check(object_id, visible_to=by)
        its = await self._resources(object_id, by)
        return lambda row: check(_with(row, its))

    async def _resources(self, ven_id: str, by: Caller) -> tuple[ObjectRow, ...]:
        """Return the resources that the caller reads in a ven."""
        return (await self._vens.resources.of_vens([ven_id], visible_to=self.rules.reader(by)))[ven_id]


def routes(vens: VensWithResources, cache: ResponseCache, rules: Rules) -> tuple[Route, ...]:
    """Return the routes of vens."""
    collection = CollectionHandlers(
        "vens",
        _Vens(vens, rules),
        Renderer(ObjectType.VEN, rules.untyped),
        cache,
        query=partial(_query, rules),
        body=partial(_body, rules),
    )
    return collection.routes(read=READ_OWNED, create=WRITE_VENS, replace=WRITE_VENS, delete=WRITE_VENS)


def _body(rules: Rules, raw: bytes, caller: Caller) -> _Written:
    """Read a ven as its writer's role may write it: targets of a VEN describe, and grant nothing (V301-008)."""
    document = read_body(raw, VenRequest)
    nested = document.resources or ()
    if len(nested) > rules.max_nested_resources:
        raise Invalid("resources", f"expected at most {rules.max_nested_resources}; make the others one by one")
    is_bl, resources = caller.sees_everything, list[NewResource]()
    for one in nested:
        core, records = one.of_business_logic("") if is_bl else one.of_ven("")
        resources.append((core, OwnedRecords(records, rules.untyped)))
    ven, given = document.of_business_logic() if is_bl else document.of_ven()
    return _Written(ven, OwnedRecords(given, rules.untyped), tuple(resources))


def _query(rules: Rules, query: Query) -> VenQuery:
    name = query.text("venName")
    return VenQuery(page=query.page(), typed=rules.target_filter(query), names=None if name is None else (name,))


def _with(row: ObjectRow, resources: tuple[ObjectRow, ...]) -> VenRow:
    return VenRow(row.id, row.created_at, row.modified_at, row.members, row.targets, row.records, resources)
