"""The audit trail of the console: who did what, and what was there before and after."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import delete, insert, select

from vtn.store.console.tables import console_acts
from vtn.store.database import Database


class ActRow(Struct, frozen=True, kw_only=True):
    """An act as stored; ``before`` and ``after`` are JSON texts, ``done_at`` is a stamp."""

    done_at: str
    user_name: str
    act: str
    what: str
    before: str | None
    after: str | None
    address: str
    seq: int = 0


class ActStore:
    """Acts, newest first. Nothing changes one; they are removed when they are older than is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, act: ActRow) -> None:
        """Store an act."""
        row = {name: getattr(act, name) for name in act.__struct_fields__ if name != "seq"}
        async with self._database.write() as connection:
            await connection.execute(insert(console_acts).values(row))

    async def newest(
        self, *, user_name: str | None = None, act: str | None = None, before_seq: int | None = None, limit: int
    ) -> Sequence[ActRow]:
        """Return acts, newest first: of one user, of one kind, older than one of them."""
        chosen = select(console_acts).order_by(console_acts.c.seq.desc()).limit(limit)
        if user_name is not None:
            chosen = chosen.where(console_acts.c.user_name == user_name)
        if act is not None:
            chosen = chosen.where(console_acts.c.act == act)
        if before_seq is not None:
            chosen = chosen.where(console_acts.c.seq < before_seq)
        return [ActRow(**row) for row in await self._database.rows(chosen)]

    async def forget(self, *, before: str) -> None:
        """Remove acts that were done before this time."""
        async with self._database.write() as connection:
            await connection.execute(delete(console_acts).where(console_acts.c.done_at < before))
