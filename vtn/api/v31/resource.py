"""Resources: /resources (M26 … M30)."""

from openadr_profiles.v31 import BlResourceRequest, ObjectType, VenResourceRequest
from vtn.access import READ_OWNED, WRITE_VENS
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.query import Query
from vtn.api.v31.render import Renderer
from vtn.api.v31.variant import by_role
from vtn.cache.responses import ResponseCache
from vtn.store.query import ResourceQuery
from vtn.store.resource import ResourceStore


def routes(store: ResourceStore, cache: ResponseCache) -> tuple[Route, ...]:
    """Return the routes of resources."""
    body = by_role(ObjectType.RESOURCE, bl=BlResourceRequest, ven=VenResourceRequest)
    resources = CollectionHandlers("resources", store, Renderer(ObjectType.RESOURCE), cache, query=_query, body=body)
    return resources.routes(read=READ_OWNED, create=WRITE_VENS, replace=WRITE_VENS, delete=WRITE_VENS)


def _query(query: Query) -> ResourceQuery:
    return ResourceQuery(
        page=query.page(),
        targets=query.texts("targets"),
        names=query.names("resourceName", "RESOURCE_NAME"),
        ven_id=query.object_id("venID"),
    )
