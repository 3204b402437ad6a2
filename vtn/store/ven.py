"""vens in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import ColumnElement, select

from openadr_profiles.v31 import BlVenRequest, ObjectType, VenVenRequest, encode
from openadr_profiles.v301 import UNASSIGNED
from vtn.access import Caller, business_logic_only
from vtn.errors import Conflict, NotFound
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large
from vtn.store.objects import Objects, members_of
from vtn.store.outbox.notes import Notes
from vtn.store.query import VenQuery
from vtn.store.resource import NewResource, resource_columns, resource_refusal
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.sheddable import ven_w
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, resources, vens
from vtn.store.typed_targets import (
    NOTHING_YET,
    OwnedRecords,
    matching,
    named_by_business_logic,
    owned_records,
    tell_what_is_not_granted,
)
from vtn.store.visibility import owned, share_a_target
from vtn.store.writes import ObjectWrites


class VenStore(Objects):
    """vens: a VEN's own, or all of them for business logic (VEN-001 … VEN-019)."""

    table = vens
    kind = ObjectType.VEN

    def __init__(self, database: Database, stamps: Stamps, notes: Notes) -> None:
        super().__init__(database, stamps, notes)
        self._resource_writes = ObjectWrites(database, resources, notes, max_waiting_bytes=self.max_waiting_bytes)

    async def search(self, query: VenQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of vens, with all their targets (PRIV-015)."""
        clauses: list[ColumnElement[bool]] = owned(vens.c.client_id, visible_to)
        if query.targets is not None:
            clauses.append(share_a_target(vens.c.targets, query.targets))
        if query.typed is not None:
            clauses.append(matching(vens, query.typed))
        if query.names is not None:
            clauses.append(vens.c.name.in_(query.names))
        return await self._seen_page(await self._page(query.page, clauses), self._whole_objects, audience=())

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one ven; raises NotFound also when it is another client's."""
        mine = owned(vens.c.client_id, visible_to)
        return await self._seen_object(object_id, mine, self._whole_objects, audience=())

    async def check(self, object_id: str, *, visible_to: Caller) -> None:
        """Raise NotFound as ``get`` does, without reading the ven."""
        mine = owned(vens.c.client_id, visible_to)
        if await self._database.row(select(vens.c.id).where(vens.c.id == object_id, *mine)) is None:
            raise NotFound

    async def id_of(self, client_id: str) -> str:
        """Return the id of a client's ven; raises NotFound if it has none."""
        row = await self._database.row(select(vens.c.id).where(vens.c.client_id == client_id))
        if row is None:
            raise NotFound
        ven_id: str = row["id"]
        return ven_id

    async def create(
        self,
        ven: BlVenRequest | VenVenRequest,
        *,
        by: Caller,
        records: OwnedRecords | None = None,
        with_resources: Sequence[NewResource] = (),
    ) -> ObjectRow:
        """Store a new ven, and ``with_resources`` those of it, all or none.

        A ven for nobody (``UNASSIGNED``) gets a client of its own that nobody is (V301-025). Raises Conflict if its
        client has one or its name is taken (VEN-003, VEN-004), or if two resources have one name.
        """
        row = self._row({})
        if isinstance(ven, BlVenRequest) and ven.client_id == UNASSIGNED:
            ven = structs.replace(ven, client_id=UNASSIGNED + row["id"])
        row |= _columns(ven, by, {**NOTHING_YET, "client_id": by.client_id}, records)
        try:
            if not with_resources:
                return await self._insert(row)
            async with self._database.write() as connection:
                await self._writes.insert_in(connection, row)
                new = [
                    self._row(resource_columns(one, row["id"], row["client_id"], own)) for one, own in with_resources
                ]
                await self._resource_writes.insert_all_in(connection, new)
            return self._whole_object(row)
        except ConstraintViolated as error:
            raise _conflict(error) from error

    async def create_in(self, connection: AsyncConnection, ven: BlVenRequest, *, by: Caller) -> str:
        """Store a new ven in a transaction that has more to do; return its id. Raises ConstraintViolated."""
        row = self._row(_columns(ven, by, {**NOTHING_YET, "client_id": by.client_id}, None))
        await self._writes.insert_in(connection, row)
        return str(row["id"])

    async def create_all_in(
        self, connection: AsyncConnection, every: Sequence[BlVenRequest], *, by: Caller
    ) -> list[str]:
        """Store new vens in a transaction that has more to do; return their ids. Raises ConstraintViolated."""
        rows = [self._row(_columns(ven, by, {**NOTHING_YET, "client_id": by.client_id}, None)) for ven in every]
        await self._writes.insert_all_in(connection, rows)
        return [row["id"] for row in rows]

    async def replace(
        self,
        object_id: str,
        ven: BlVenRequest | VenVenRequest,
        *,
        by: Caller,
        check: Precondition | None = None,
        records: OwnedRecords | None = None,
    ) -> ObjectRow:
        """Put a ven in the place of another; what a VEN writes keeps client and targets (VEN-010, VEN-011).

        One for nobody (``UNASSIGNED``) stays its client's. The resources of a ven that gets its first client go with it
        (V301-026).
        """
        try:
            async with self._database.write() as connection:
                statement = self._selected(object_id, owned(vens.c.client_id, by))
                present = await self._locked(connection, statement, check)
                if isinstance(ven, BlVenRequest) and ven.client_id == UNASSIGNED:
                    ven = structs.replace(ven, client_id=present["client_id"])
                columns = _columns(ven, by, present, records)
                if present["client_id"] == UNASSIGNED + object_id != columns["client_id"]:
                    await self._assign_resources(connection, object_id, columns["client_id"])
                row = await self._update(connection, present, columns)
        except ConstraintViolated as error:
            raise _conflict(error) from error
        if by.sees_everything:
            tell_what_is_not_granted("VEN", present, records)
        return row

    async def _assign_resources(self, connection: AsyncConnection, ven_id: str, client_id: str) -> None:
        """Give the resources of a ven that had no client to its first one."""
        its = select(resources).where(resources.c.ven_id == ven_id, resources.c.client_id == UNASSIGNED + ven_id)
        for present in await self._resource_writes.all_locked(connection, its):
            _, comma, rest = present["members"].partition(',"venID":')
            changed = {
                "modified_at": self._stamps.next(after=present["modified_at"]),
                "client_id": client_id,
                "members": f'"clientID":{encode(client_id).decode()}{comma}{rest}',
            }
            await self._resource_writes.update(connection, present, changed)

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a ven with its resources (VEN-013); returns what it was."""
        return self._whole_object(await self._delete(object_id, owned(vens.c.client_id, by), check))


def _columns(
    ven: BlVenRequest | VenVenRequest, by: Caller, present: Mapping[Any, Any], records: OwnedRecords | None
) -> dict[str, Any]:
    """Return the columns of a ven that takes the place of ``present``, whose client and targets a VEN keeps."""
    client_id, targets = present["client_id"], tuple(present["targets"])
    if isinstance(ven, BlVenRequest):
        business_logic_only(by)
        client_id, targets = ven.client_id, ven.targets or ()
    members: dict[str, Any] = {"clientID": client_id, "venName": ven.ven_name}
    if ven.attributes is not None:
        members["attributes"] = ven.attributes
    targets, target_records = owned_records(records, present, targets, by_business_logic=by.sees_everything)
    return {
        "client_id": client_id,
        "name": ven.ven_name,
        "targets": targets,
        "target_records": target_records,
        "named_by_bl": named_by_business_logic(present, ven.ven_name, by_business_logic=by.sees_everything),
        "max_w": ven_w(ven.attributes),
        "members": members_of(members),
    }


def _conflict(error: ConstraintViolated) -> Exception:
    """Return the refusal of a ven, or of a resource that is made with it."""
    if error.is_of(constraint(vens, "client_id")):
        return Conflict("clientID: this client already has a ven")
    if error.is_of(constraint(vens, "name")):
        return Conflict("venName: another ven has this name")
    return resource_refusal(error)
