"""Resources in the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, select

from openadr_profiles.v31 import BlResourceRequest, ObjectType, VenResourceRequest
from vtn.access import Caller, business_logic_only
from vtn.errors import Conflict, NotFound
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large
from vtn.store.objects import Objects, members_of
from vtn.store.query import ResourceQuery
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.tables import constraint, resources, vens
from vtn.store.visibility import owned, share_a_target

_NO_VEN = "venID: there is no such ven"


class ResourceStore(Objects):
    """Resources: a VEN's own, or all of them for business logic (RES-001 … RES-015)."""

    table = resources
    kind = ObjectType.RESOURCE

    async def search(self, query: ResourceQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of resources, with all their targets (PRIV-015)."""
        clauses: list[ColumnElement[bool]] = owned(resources.c.client_id, visible_to)
        if query.targets is not None:
            clauses.append(share_a_target(resources.c.targets, query.targets))
        if query.names is not None:
            clauses.append(resources.c.name.in_(query.names))
        if query.ven_id is not None:
            clauses.append(resources.c.ven_id == query.ven_id)
        return await self._seen_page(await self._page(query.page, clauses), self._whole_objects, audience=())

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one resource; raises NotFound also when it is another client's."""
        mine = owned(resources.c.client_id, visible_to)
        return await self._seen_object(object_id, mine, self._whole_objects, audience=())

    async def create(self, resource: BlResourceRequest | VenResourceRequest, *, by: Caller) -> ObjectRow:
        """Store a new resource; raises NotFound if the ven is not there for the caller, Conflict if it has the name."""
        _may_write(resource, by)
        mine = owned(vens.c.client_id, by)
        wanted = [vens.c.id == resource.ven_id] if resource.ven_id is not None else [vens.c.client_id == by.client_id]
        ven = await self._database.row(select(vens.c.id, vens.c.client_id).where(*mine, *wanted))
        if ven is None:
            raise NotFound(_NO_VEN)
        try:
            return await self._insert(self._row(_columns(resource, ven["id"], ven["client_id"], ())))
        except ConstraintViolated as error:
            raise _refused(error) from error

    async def replace(
        self,
        object_id: str,
        resource: BlResourceRequest | VenResourceRequest,
        *,
        by: Caller,
        check: Precondition | None = None,
    ) -> ObjectRow:
        """Put a resource in the place of another; what a VEN writes keeps client and targets (RES-009, RES-012)."""
        _may_write(resource, by)
        new_ven = and_(vens.c.id == resource.ven_id, *owned(vens.c.client_id, by))
        statement = (
            select(resources, vens.c.id.label("new_ven_id"), vens.c.client_id.label("new_ven_client_id"))
            .outerjoin(vens, new_ven)
            .where(resources.c.id == object_id, *owned(resources.c.client_id, by))
        )
        try:
            async with self._database.write() as connection:
                present = await self._locked(connection, statement, check)
                return await self._update(connection, present, _replacement(resource, present))
        except ConstraintViolated as error:
            raise _refused(error) from error

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a resource; returns what it was."""
        return self._whole_object(await self._delete(object_id, owned(resources.c.client_id, by), check))


def _may_write(resource: BlResourceRequest | VenResourceRequest, by: Caller) -> None:
    if isinstance(resource, BlResourceRequest):
        business_logic_only(by)


def _replacement(resource: BlResourceRequest | VenResourceRequest, present: RowMapping) -> dict[str, Any]:
    ven_id = present["ven_id"] if resource.ven_id is None else present["new_ven_id"]
    if ven_id is None:
        raise NotFound(_NO_VEN)
    client_id = present["new_ven_client_id"] if isinstance(resource, BlResourceRequest) else present["client_id"]
    return _columns(resource, ven_id, client_id, present["targets"])


def _columns(
    resource: BlResourceRequest | VenResourceRequest, ven_id: str, client_id: str, targets: tuple[str, ...]
) -> dict[str, Any]:
    if isinstance(resource, BlResourceRequest):
        client_id, targets = resource.client_id or client_id, resource.targets or ()
    members: dict[str, Any] = {"clientID": client_id, "venID": ven_id, "resourceName": resource.resource_name}
    if resource.attributes is not None:
        members["attributes"] = resource.attributes
    return {
        "ven_id": ven_id,
        "client_id": client_id,
        "name": resource.resource_name,
        "targets": targets,
        "members": members_of(members),
    }


def _refused(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(resources, "ven_id", "name")):
        return Conflict("resourceName: the ven already has a resource of this name")
    if error.is_of(constraint(resources, "ven_id")):
        return NotFound(_NO_VEN)
    return error
