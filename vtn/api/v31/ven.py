"""vens: /vens (M21 … M25)."""

from openadr_profiles.v31 import BlVenRequest, ObjectType, VenVenRequest
from vtn.access import READ_OWNED, WRITE_VENS
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.query import Query
from vtn.api.v31.render import Renderer
from vtn.api.v31.variant import by_role
from vtn.cache.responses import ResponseCache
from vtn.store.query import VenQuery
from vtn.store.ven import VenStore


def routes(store: VenStore, cache: ResponseCache) -> tuple[Route, ...]:
    """Return the routes of vens."""
    body = by_role(ObjectType.VEN, bl=BlVenRequest, ven=VenVenRequest)
    vens = CollectionHandlers("vens", store, Renderer(ObjectType.VEN), cache, query=_query, body=body)
    return vens.routes(read=READ_OWNED, create=WRITE_VENS, replace=WRITE_VENS, delete=WRITE_VENS)


def _query(query: Query) -> VenQuery:
    return VenQuery(page=query.page(), targets=query.texts("targets"), names=query.names("venName", "VEN_NAME"))
