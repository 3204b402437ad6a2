"""VENs that are made with their clients, all or none, and groups that are granted to many VENs at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Text, insert, literal, select, union_all, update

from openadr_profiles.v31 import BlVenRequest
from vtn.access import Caller
from vtn.errors import Conflict
from vtn.store.client import ClientRow
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.failures import ConstraintViolated
from vtn.store.outbox.notes import Notes
from vtn.store.stamps import Stamps
from vtn.store.tables import clients, vens
from vtn.store.typed_targets import stored_records
from vtn.store.types import includes, with_target, without_target
from vtn.store.ven import VenStore

_AT_ONCE: Final = 2000
"""Vens that one statement changes; a larger fleet takes several, in one transaction."""


@dataclass(frozen=True, slots=True)
class NewVen:
    """A VEN to be made; ``client`` is None where its tokens come from elsewhere, or it has its client already."""

    ven: BlVenRequest
    client: ClientRow | None


@dataclass(frozen=True, slots=True)
class Granted:
    """Hold how many vens were changed, and how many held the group already, or did not hold it."""

    changed: int
    unchanged: int


class EnrolmentStore:
    """Makes VENs with their clients, and grants groups to VENs or takes them back."""

    def __init__(self, database: Database, stamps: Stamps, vens_: VenStore, notes: Notes) -> None:
        self._database = database
        self._stamps = stamps
        self._vens = vens_
        self._notes = notes

    async def taken(self, new: Sequence[NewVen]) -> frozenset[tuple[str, str]]:
        """Return what of new VENs there is already: (``name``, a ven's name), (``client_id``, a client's id)."""
        found = set[tuple[str, str]]()
        for place in range(0, len(new), _AT_ONCE):
            some = new[place : place + _AT_ONCE]
            names = [each.ven.ven_name for each in some]
            ids = [each.ven.client_id for each in some]
            statement = union_all(
                select(literal("name").label("member"), vens.c.name.label("text")).where(vens.c.name.in_(names)),
                select(literal("client_id"), vens.c.client_id).where(vens.c.client_id.in_(ids)),
                select(literal("client_id"), clients.c.client_id).where(clients.c.client_id.in_(ids)),
            )
            found |= {(row["member"], row["text"]) for row in await self._database.rows(statement)}
        return frozenset(found)

    async def add(self, new: Sequence[NewVen], *, by: Caller) -> list[str]:
        """Store new VENs with their clients, all or none; return the ids of the vens. Raises Conflict."""
        try:
            async with self._database.write() as connection:
                rows = [_columns_of(each.client) for each in new if each.client is not None]
                if rows:
                    await connection.execute(insert(clients), rows)
                return await self._vens.create_all_in(connection, [each.ven for each in new], by=by)
        except ConstraintViolated as error:
            raise Conflict("name: a VEN or a client of this name was added meanwhile; nothing was stored") from error

    async def grant(self, ven_ids: Collection[str], group: str) -> Granted:
        """Let vens hold a group; those that hold it already stay as they are."""
        return await self._change(ven_ids, group, grants=True)

    async def revoke(self, ven_ids: Collection[str], group: str) -> Granted:
        """Take a group back from vens; what their resources hold stays."""
        return await self._change(ven_ids, group, grants=False)

    async def _change(self, ven_ids: Collection[str], group: str, *, grants: bool) -> Granted:
        ids, changed = sorted(ven_ids), 0
        holds = includes(vens.c.targets, literal(group, Text))
        async with self._database.write() as connection:
            for place in range(0, len(ids), _AT_ONCE):
                mine = vens.c.id.in_(ids[place : place + _AT_ONCE])
                changed += await self._change_some(connection, (mine, ~holds if grants else holds), group, grants)
        return Granted(changed, len(ids) - changed)

    async def _change_some(
        self, connection: AsyncConnection, clauses: Sequence[ColumnElement[bool]], group: str, grants: bool
    ) -> int:
        """Change the vens that clauses choose, in one statement; those with typed targets (3.0.1) one by one."""
        locked = select(vens.c.id, vens.c.targets, vens.c.target_records, vens.c.modified_at).where(*clauses)
        rows = (await connection.execute(locked.order_by(vens.c.id).with_for_update(of=vens))).mappings().all()
        if not rows:
            return 0
        one = literal(group, Text)
        at = self._stamps.next(after=max(row["modified_at"] for row in rows))
        ids = [row["id"] for row in rows]
        targets = with_target(vens.c.targets, one) if grants else without_target(vens.c.targets, one)
        await connection.execute(update(vens).where(vens.c.id.in_(ids)).values(targets=targets, modified_at=at))
        for row in rows:
            if row["target_records"] is not None:
                await connection.execute(
                    update(vens).where(vens.c.id == row["id"]).values(_records(row, group, grants))
                )
        await self._notes.many_updated(connection, vens, ids)
        return len(ids)


def _records(row: RowMapping, group: str, grants: bool) -> dict[str, Any]:
    held = [each for each in row["targets"] if each != group] + ([group] if grants else [])
    return {"target_records": stored_records(None, row["target_records"], held)}


def _columns_of(client: ClientRow) -> dict[str, Any]:
    return {name: getattr(client, name) for name in client.__struct_fields__}
