"""Programs: /programs."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openadr_profiles import v31
from openadr_profiles.v31 import ObjectType
from openadr_profiles.v301 import ProgramRequest
from vtn.access import READ_TARGETED, WRITE_PROGRAMS, Caller
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.query import Query
from vtn.api.v301.face import Face, Rules, read_body
from vtn.api.v301.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.store.program import ProgramStore
from vtn.store.query import ProgramQuery
from vtn.store.rows import ObjectRow, Precondition
from vtn.store.typed_targets import Records


class _Written(NamedTuple):
    document: ProgramRequest
    core: v31.ProgramRequest
    records: Records


class _Programs(Face[ProgramQuery]):
    """Programs as this version writes them."""

    def __init__(self, programs: ProgramStore, rules: Rules) -> None:
        super().__init__(programs, rules)
        self._programs = programs
        self.was_read = programs.was_read
        self.delete = programs.delete

    async def create(self, written: _Written, *, by: Caller) -> ObjectRow:
        return await self._programs.create(written.core, by=by, records=written.records)

    async def replace(
        self, object_id: str, written: _Written, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        """Put a program in the place of another, which keeps what this version has no word for (V301-012)."""
        document, core, records = written
        return await self._programs.replace(
            object_id, core, by=by, check=check, records=records, keeping=document.keeping
        )


def routes(store: ProgramStore, cache: ResponseCache, rules: Rules) -> tuple[Route, ...]:
    """Return the routes of programs."""
    programs = CollectionHandlers(
        "programs",
        _Programs(store, rules),
        Renderer(ObjectType.PROGRAM, rules.untyped),
        cache,
        query=partial(_query, rules),
        body=_body,
    )
    return programs.routes(read=READ_TARGETED, create=WRITE_PROGRAMS, replace=WRITE_PROGRAMS, delete=WRITE_PROGRAMS)


def _body(raw: bytes, _: Caller) -> _Written:
    document = read_body(raw, ProgramRequest)
    return _Written(document, *document.core())


def _query(rules: Rules, query: Query) -> ProgramQuery:
    return ProgramQuery(page=query.page(), typed=rules.target_filter(query))
