"""Resource groups: /resource_groups, an extension (COMPAT-088)."""

from openadr_profiles.v31 import ResourceGroupRequest
from vtn.access import READ_OWNED, WRITE_GROUPS
from vtn.api.collection import Collection, Route, body_of
from vtn.api.query import Query
from vtn.store.query import ResourceGroupQuery
from vtn.store.resource_group import ResourceGroupStore


def routes(store: ResourceGroupStore) -> tuple[Route, ...]:
    """Return the routes of resource groups."""
    groups = Collection("resource_groups", store, query=_query, body=body_of(ResourceGroupRequest))
    return groups.routes(read=READ_OWNED, create=WRITE_GROUPS, replace=WRITE_GROUPS, delete=WRITE_GROUPS)


def _query(query: Query) -> ResourceGroupQuery:
    return ResourceGroupQuery(page=query.page(), targets=query.texts("targets"), name=query.text("resourceGroupName"))
