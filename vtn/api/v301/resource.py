"""Resources, which live below their ven: /vens/{venID}/resources (V301-029, V301-030)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web

from openadr_profiles import v31
from openadr_profiles.v31 import ObjectType
from openadr_profiles.v301 import ResourceRequest
from vtn.access import READ_OWNED, WRITE_VENS, Caller
from vtn.api.collection import Call, CollectionHandlers, Route
from vtn.api.query import OBJECT_ID, Query
from vtn.api.v301.face import Face, Rules, read_body
from vtn.api.v301.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.errors import Malformed
from vtn.store.large import Large
from vtn.store.query import ResourceQuery
from vtn.store.resource import ResourceStore
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.typed_targets import OwnedRecords
from vtn.store.ven import VenStore

_VEN: Final = "ven_id"
_MANY: Final = f"/vens/{{{_VEN}}}/resources"
_ONE: Final = f"{_MANY}/{{id}}"


class _Written(NamedTuple):
    core: v31.BlResourceRequest | v31.VenResourceRequest
    records: OwnedRecords


class _OfVen(Face[ResourceQuery]):
    """The resources of one ven. Whoever does not see the ven, or finds none, is answered 404."""

    def __init__(self, vens: VenStore, resources: ResourceStore, rules: Rules, ven_id: str) -> None:
        super().__init__(resources, rules)
        self._vens = vens
        self._resources = resources
        self._ven_id = ven_id
        self.was_read = resources.was_read

    async def search(self, query: ResourceQuery, *, visible_to: Caller) -> RowPage | Large:
        reader = self.rules.reader(visible_to)
        await self._vens.check(self._ven_id, visible_to=reader)
        return await self._resources.search(query, visible_to=reader)

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        reader = self.rules.reader(visible_to)
        await self._vens.check(self._ven_id, visible_to=reader)
        return await self._resources.get(object_id, visible_to=reader, of_ven=self._ven_id)

    async def create(self, written: _Written, *, by: Caller) -> ObjectRow:
        return await self._resources.create(written.core, by=by, records=written.records)

    async def replace(
        self, object_id: str, written: _Written, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        await self._vens.check(self._ven_id, visible_to=by)
        return await self._resources.replace(
            object_id, written.core, by=by, check=check, records=written.records, of_ven=self._ven_id
        )

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        await self._vens.check(self._ven_id, visible_to=by)
        return await self._resources.delete(object_id, by=by, check=check, of_ven=self._ven_id)


def routes(vens: VenStore, resources: ResourceStore, cache: ResponseCache, rules: Rules) -> tuple[Route, ...]:
    """Return the routes of resources."""
    renderer = Renderer(ObjectType.RESOURCE, rules.untyped)

    def of_ven(call: Call) -> CollectionHandlers[ResourceQuery, _Written]:
        ven_id = call.request.match_info[_VEN]
        if not OBJECT_ID.fullmatch(ven_id):
            raise Malformed("an id in a path has 1 to 128 letters, digits, _ or -")
        return CollectionHandlers(
            f"vens/{ven_id}/resources",
            _OfVen(vens, resources, rules, ven_id),
            renderer,
            cache,
            query=partial(_query, rules, ven_id),
            body=partial(_body, rules, ven_id),
        )

    def handler(name: str) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        async def handle(call: Call) -> web.StreamResponse:
            answer: web.StreamResponse = await getattr(of_ven(call), name)(call)
            return answer

        return handle

    return (
        Route("GET", _MANY, handler("search"), READ_OWNED),
        Route("POST", _MANY, handler("create"), WRITE_VENS),
        Route("GET", _ONE, handler("get"), READ_OWNED),
        Route("PUT", _ONE, handler("replace"), WRITE_VENS),
        Route("DELETE", _ONE, handler("delete"), WRITE_VENS),
    )


def _body(rules: Rules, ven_id: str, raw: bytes, caller: Caller) -> _Written:
    """Read a resource as its writer's role may write it; the ven it names is of no account (V301-030)."""
    document = read_body(raw, ResourceRequest)
    core, records = document.of_business_logic(ven_id) if caller.sees_everything else document.of_ven(ven_id)
    return _Written(core, OwnedRecords(records, rules.untyped))


def _query(rules: Rules, ven_id: str, query: Query) -> ResourceQuery:
    name = query.text("resourceName")
    return ResourceQuery(
        page=query.page(),
        typed=rules.target_filter(query),
        names=None if name is None else (name,),
        ven_id=ven_id,
    )
