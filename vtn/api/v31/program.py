"""Programs: /programs (M01 … M05)."""

from openadr_profiles.v31 import ObjectType, ProgramRequest
from vtn.access import READ_TARGETED, WRITE_PROGRAMS
from vtn.api.collection import CollectionHandlers, Route, body_of
from vtn.api.query import Query
from vtn.api.v31.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.store.program import ProgramStore
from vtn.store.query import ProgramQuery


def routes(store: ProgramStore, cache: ResponseCache) -> tuple[Route, ...]:
    """Return the routes of programs."""
    programs = CollectionHandlers(
        "programs", store, Renderer(ObjectType.PROGRAM), cache, query=_query, body=body_of(ProgramRequest)
    )
    return programs.routes(read=READ_TARGETED, create=WRITE_PROGRAMS, replace=WRITE_PROGRAMS, delete=WRITE_PROGRAMS)


def _query(query: Query) -> ProgramQuery:
    return ProgramQuery(
        page=query.page(), targets=query.texts("targets"), names=query.names("programName", "PROGRAM_NAME")
    )
