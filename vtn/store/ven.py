"""vens in the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select

from openadr_profiles.v31 import BlVenRequest, ObjectType, VenVenRequest
from vtn.access import Caller, business_logic_only
from vtn.errors import Conflict, NotFound
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large
from vtn.store.objects import Objects, members_of
from vtn.store.query import VenQuery
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.tables import constraint, vens
from vtn.store.visibility import owned, share_a_target


class VenStore(Objects):
    """vens: a VEN's own, or all of them for business logic (VEN-001 … VEN-019)."""

    table = vens
    kind = ObjectType.VEN

    async def search(self, query: VenQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of vens, with all their targets (PRIV-015)."""
        clauses: list[ColumnElement[bool]] = owned(vens.c.client_id, visible_to)
        if query.targets is not None:
            clauses.append(share_a_target(vens.c.targets, query.targets))
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

    async def create(self, ven: BlVenRequest | VenVenRequest, *, by: Caller) -> ObjectRow:
        """Store a new ven; raises Conflict if its client has one or its name is taken (VEN-003, VEN-004)."""
        try:
            return await self._insert(self._row(_columns(ven, by, client_id=by.client_id, targets=())))
        except ConstraintViolated as error:
            raise _conflict(error) from error

    async def replace(
        self, object_id: str, ven: BlVenRequest | VenVenRequest, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        """Put a ven in the place of another; what a VEN writes keeps client and targets (VEN-010, VEN-011)."""
        try:
            async with self._database.write() as connection:
                statement = self._selected(object_id, owned(vens.c.client_id, by))
                present = await self._locked(connection, statement, check)
                columns = _columns(ven, by, client_id=present["client_id"], targets=present["targets"])
                return await self._update(connection, present, columns)
        except ConstraintViolated as error:
            raise _conflict(error) from error

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a ven with its resources (VEN-013); returns what it was."""
        return self._whole_object(await self._delete(object_id, owned(vens.c.client_id, by), check))


def _columns(
    ven: BlVenRequest | VenVenRequest, by: Caller, *, client_id: str, targets: tuple[str, ...]
) -> dict[str, Any]:
    if isinstance(ven, BlVenRequest):
        business_logic_only(by)
        client_id, targets = ven.client_id, ven.targets or ()
    members: dict[str, Any] = {"clientID": client_id, "venName": ven.ven_name}
    if ven.attributes is not None:
        members["attributes"] = ven.attributes
    return {"client_id": client_id, "name": ven.ven_name, "targets": targets, "members": members_of(members)}


def _conflict(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(vens, "client_id")):
        return Conflict("clientID: this client already has a ven")
    if error.is_of(constraint(vens, "name")):
        return Conflict("venName: another ven has this name")
    return error
