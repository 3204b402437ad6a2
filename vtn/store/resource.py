"""Resources in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, RowMapping, and_, func, select

from openadr_profiles.v31 import BlResourceRequest, ObjectType, VenResourceRequest
from vtn.access import Caller, business_logic_only
from vtn.errors import Conflict, NotFound
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large
from vtn.store.objects import Objects, members_of
from vtn.store.page_cursors import newest_first
from vtn.store.query import ResourceQuery
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.sheddable import resource_w
from vtn.store.tables import constraint, resources, vens
from vtn.store.typed_targets import (
    NOTHING_YET,
    OwnedRecords,
    matching,
    named_by_business_logic,
    owned_records,
    tell_what_is_not_granted,
)
from vtn.store.types import octets
from vtn.store.visibility import owned, share_a_target

_NO_VEN = "venID: there is no such ven"
NewResource: TypeAlias = tuple[BlResourceRequest | VenResourceRequest, OwnedRecords]
"""A resource that is made with its ven, and its targets; the ven it names is of no account."""


class ResourceSum(NamedTuple):
    """The resources of one ven: about how many bytes they have, how many there are, and the last change of one."""

    size_bytes: int
    how_many: int
    last_modified_at: str


class ResourceStore(Objects):
    """Resources: a VEN's own, or all of them for business logic (RES-001 … RES-015)."""

    table = resources
    kind = ObjectType.RESOURCE

    async def search(self, query: ResourceQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of resources, with all their targets (PRIV-015)."""
        clauses: list[ColumnElement[bool]] = owned(resources.c.client_id, visible_to)
        if query.targets is not None:
            clauses.append(share_a_target(resources.c.targets, query.targets))
        if query.typed is not None:
            clauses.append(matching(resources, query.typed))
        if query.names is not None:
            clauses.append(resources.c.name.in_(query.names))
        if query.ven_id is not None:
            clauses.append(resources.c.ven_id == query.ven_id)
        return await self._seen_page(await self._page(query.page, clauses), self._whole_objects, audience=())

    async def get(self, object_id: str, *, visible_to: Caller, of_ven: str | None = None) -> ObjectRow | Large:
        """Return one resource; raises NotFound also when it is another client's, or not ``of_ven``."""
        mine = [*owned(resources.c.client_id, visible_to), *_of_ven(of_ven)]
        return await self._seen_object(object_id, mine, self._whole_objects, audience=())

    async def create(
        self,
        resource: BlResourceRequest | VenResourceRequest,
        *,
        by: Caller,
        records: OwnedRecords | None = None,
    ) -> ObjectRow:
        """Store a new resource; raises NotFound if the ven is not there for the caller, Conflict if it has the name."""
        _may_write(resource, by)
        mine = owned(vens.c.client_id, by)
        wanted = [vens.c.id == resource.ven_id] if resource.ven_id is not None else [vens.c.client_id == by.client_id]
        ven = await self._database.row(select(vens.c.id, vens.c.client_id).where(*mine, *wanted))
        if ven is None:
            raise NotFound(_NO_VEN)
        try:
            return await self._insert(self._row(resource_columns(resource, ven["id"], ven["client_id"], records)))
        except ConstraintViolated as error:
            raise resource_refusal(error) from error

    async def replace(
        self,
        object_id: str,
        resource: BlResourceRequest | VenResourceRequest,
        *,
        by: Caller,
        check: Precondition | None = None,
        records: OwnedRecords | None = None,
        of_ven: str | None = None,
    ) -> ObjectRow:
        """Put a resource in the place of another; what a VEN writes keeps client and targets (RES-009, RES-012).

        ``of_ven`` says whose it must be; raises NotFound if it is not.
        """
        _may_write(resource, by)
        new_ven = and_(vens.c.id == resource.ven_id, *owned(vens.c.client_id, by))
        statement = (
            select(resources, vens.c.id.label("new_ven_id"), vens.c.client_id.label("new_ven_client_id"))
            .outerjoin(vens, new_ven)
            .where(resources.c.id == object_id, *owned(resources.c.client_id, by), *_of_ven(of_ven))
        )
        try:
            async with self._database.write() as connection:
                present = await self._locked(connection, statement, check)
                row = await self._update(connection, present, _replacement(resource, present, records))
        except ConstraintViolated as error:
            raise resource_refusal(error) from error
        if by.sees_everything:
            tell_what_is_not_granted("RESOURCE", present, records)
        return row

    async def delete(
        self, object_id: str, *, by: Caller, check: Precondition | None = None, of_ven: str | None = None
    ) -> ObjectRow:
        """Remove a resource; returns what it was. Raises NotFound also when it is not ``of_ven``."""
        clauses = [*owned(resources.c.client_id, by), *_of_ven(of_ven)]
        return self._whole_object(await self._delete(object_id, clauses, check))

    async def of_vens(self, ven_ids: Sequence[str], *, visible_to: Caller) -> dict[str, tuple[ObjectRow, ...]]:
        """Return the resources of some vens, the newest first (V301-028); not those of a client they had before."""
        its = (resources.c.ven_id.in_(ven_ids), *owned(resources.c.client_id, visible_to))
        statement = select(resources).where(*its).order_by(*newest_first(resources))
        found: dict[str, list[ObjectRow]] = {ven_id: [] for ven_id in ven_ids}
        for row in await self._database.rows(statement):
            found[row["ven_id"]].append(self._whole_object(row))
        return {ven_id: tuple(its) for ven_id, its in found.items()}

    async def sums_of_vens(self, ven_ids: Sequence[str], *, visible_to: Caller) -> dict[str, ResourceSum]:
        """Return how much of_vens would return, and the last change of it, of each ven that has resources."""
        c = resources.c
        size = func.sum(octets(c.members) + octets(c.targets) + octets(c.target_records))
        statement = (
            select(c.ven_id, size.label("size"), func.count().label("how_many"), func.max(c.modified_at).label("last"))
            .where(c.ven_id.in_(ven_ids), *owned(c.client_id, visible_to))
            .group_by(c.ven_id)
        )
        rows = await self._database.rows(statement)
        return {row["ven_id"]: ResourceSum(int(row["size"]), row["how_many"], row["last"]) for row in rows}


def _may_write(resource: BlResourceRequest | VenResourceRequest, by: Caller) -> None:
    if isinstance(resource, BlResourceRequest):
        business_logic_only(by)


def _of_ven(ven_id: str | None) -> list[ColumnElement[bool]]:
    return [] if ven_id is None else [resources.c.ven_id == ven_id]


def _replacement(
    resource: BlResourceRequest | VenResourceRequest, present: RowMapping, records: OwnedRecords | None
) -> dict[str, Any]:
    ven_id = present["ven_id"] if resource.ven_id is None else present["new_ven_id"]
    if ven_id is None:
        raise NotFound(_NO_VEN)
    is_moved = records is None or ven_id != present["ven_id"]  # 3.0.1 does not say whose it is: it stays whose it was
    is_by_bl = isinstance(resource, BlResourceRequest)
    client_id = present["new_ven_client_id"] if is_by_bl and is_moved else present["client_id"]
    return resource_columns(resource, ven_id, client_id, records, present)


def resource_columns(
    resource: BlResourceRequest | VenResourceRequest,
    ven_id: str,
    client_id: str,
    records: OwnedRecords | None,
    present: Mapping[Any, Any] = NOTHING_YET,
) -> dict[str, Any]:
    """Return the columns of a resource that takes the place of ``present``, whose targets a VEN keeps."""
    targets, is_bl = tuple(present["targets"]), isinstance(resource, BlResourceRequest)
    if isinstance(resource, BlResourceRequest):
        client_id, targets = resource.client_id or client_id, resource.targets or ()
    targets, target_records = owned_records(records, present, targets, by_business_logic=is_bl)
    members: dict[str, Any] = {"clientID": client_id, "venID": ven_id, "resourceName": resource.resource_name}
    if resource.attributes is not None:
        members["attributes"] = resource.attributes
    return {
        "ven_id": ven_id,
        "client_id": client_id,
        "name": resource.resource_name,
        "targets": targets,
        "target_records": target_records,
        "named_by_bl": named_by_business_logic(present, resource.resource_name, by_business_logic=is_bl),
        "shed_w": resource_w(resource.attributes),
        "members": members_of(members),
    }


def resource_refusal(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(resources, "ven_id", "name")):
        return Conflict("resourceName: the ven already has a resource of this name")
    if error.is_of(constraint(resources, "ven_id")):
        return NotFound(_NO_VEN)
    return error
