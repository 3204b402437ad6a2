"""Resource groups: /resource_groups, an extension (COMPAT-088)."""

from openadr_profiles.v31 import RESOURCE_GROUP, ResourceGroupRequest
from vtn.access import READ_OWNED, WRITE_GROUPS
from vtn.api.collection import CollectionHandlers, Route, body_of
from vtn.api.query import Query
from vtn.api.v31.render import GroupRenderer
from vtn.cache.responses import ResponseCache
from vtn.store.query import ResourceGroupQuery
from vtn.store.resource_group import ResourceGroupStore


def routes(store: ResourceGroupStore, cache: ResponseCache) -> tuple[Route, ...]:
    """Return the routes of resource groups."""
    renderer, body = GroupRenderer(RESOURCE_GROUP), body_of(ResourceGroupRequest)
    groups = CollectionHandlers("resource_groups", store, renderer, cache, query=_query, body=body)
    return groups.routes(read=READ_OWNED, create=WRITE_GROUPS, replace=WRITE_GROUPS, delete=WRITE_GROUPS)


def _query(query: Query) -> ResourceGroupQuery:
    return ResourceGroupQuery(page=query.page(), targets=query.texts("targets"), name=query.text("resourceGroupName"))
