"""Messages to VENs of OpenADR 2.0b that wait for their acknowledgement; events are not among them, they are computed.

A message is offered again until the VEN acknowledges it or something takes its place (B-POL-004). There is one of a
kind about one thing at most, so the queue of a VEN is bounded by what it has registered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import RowMapping, delete, func, or_, select, update

from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.fact_cache import FactCache
from vtn.store.ids import new_id
from vtn.store.stamps import Stamps
from vtn.store.upserts import insert_into
from vtn.store.v20b.tables import oadr20b_outbox

_REMEMBERED: Final = 50_000


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that waits. ``kind`` is its name, ``key`` what it is about, ``content`` its members as JSON."""

    id: int
    kind: str
    key: str
    request_id: str
    content: str
    offers: int


class Outbox20b:
    """The queue of each VEN: registration control first, then the oldest (B-POL-001)."""

    def __init__(self, database: Database, stamps: Stamps, *, retry_s: float) -> None:
        self._database = database
        self._stamps = stamps
        self._retry = timedelta(seconds=retry_s)
        self._insert: Final = partial(insert_into, sqlite=database.is_sqlite)
        self._has_any: FactCache[bool] = FactCache(database.watch(oadr20b_outbox), most=_REMEMBERED)

    async def put(
        self, ven_id: str, kind: str, key: str = "", *, content: str = "{}", is_control: bool = False
    ) -> None:
        """Add a message; one of this kind about the same thing that waits already gets the new content."""
        async with self._database.write() as connection:
            await self.put_in(connection, ven_id, kind, key, content=content, is_control=is_control)

    async def put_in(
        self,
        connection: AsyncConnection,
        ven_id: str,
        kind: str,
        key: str = "",
        *,
        content: str = "{}",
        is_control: bool = False,
        is_offered: bool = False,
    ) -> None:
        """Add a message in a transaction that has more to do; one that ``is_offered`` went out in another way."""
        new = self._insert(oadr20b_outbox).values(
            ven_id=ven_id,
            is_control=is_control,
            kind=kind,
            key=key,
            request_id=new_id(),
            content=content,
            created_at=self._stamps.now,
            offered_at=self._stamps.now if is_offered else None,
            offers=int(is_offered),
        )
        its = [oadr20b_outbox.c.ven_id, oadr20b_outbox.c.kind, oadr20b_outbox.c.key]
        await connection.execute(new.on_conflict_do_update(index_elements=its, set_={"content": content}))

    async def offer(self, ven_id: str, *, control: bool) -> WaitingMessage | None:
        """Return the message that a VEN is to get now, and note that it is offered; None if there is none.

        ``control`` asks for messages of the registration itself, else for the others. One that was offered is due again
        after the retry time.
        """
        if not await self._has_any.get(ven_id, lambda: self._look(ven_id)):
            return None
        due = or_(oadr20b_outbox.c.offered_at.is_(None), oadr20b_outbox.c.offered_at <= self._stamps.ago(self._retry))
        first = (
            select(oadr20b_outbox.c.id)
            .where(oadr20b_outbox.c.ven_id == ven_id, oadr20b_outbox.c.is_control.is_(control), due)
            .order_by(oadr20b_outbox.c.id)
            .limit(1)
        )
        if await self._database.row(first) is None:
            return None
        async with self._database.write() as connection:
            offered = (
                update(oadr20b_outbox)
                .where(oadr20b_outbox.c.id.in_(first))
                .values(offered_at=self._stamps.now, offers=oadr20b_outbox.c.offers + 1)
                .returning(*oadr20b_outbox.c)
            )
            row = (await connection.execute(offered)).mappings().first()
        return None if row is None else _waiting(row)

    async def missed(self, ven_id: str, kind: str) -> None:
        """Make due at once the messages of a kind that were offered to a VEN and have not reached it."""
        its = (oadr20b_outbox.c.ven_id == ven_id, oadr20b_outbox.c.kind == kind)
        async with self._database.write() as connection:
            await connection.execute(update(oadr20b_outbox).where(*its).values(offered_at=None))

    async def acknowledged(self, ven_id: str, kind: str, keys: Iterable[str] | None = None) -> bool:
        """Drop what a VEN has acknowledged; return True if there was anything. ``keys`` None: whatever it is about."""
        async with self._database.write() as connection:
            return await self.acknowledged_in(connection, ven_id, kind, keys)

    async def acknowledged_in(
        self, connection: AsyncConnection, ven_id: str, kind: str, keys: Iterable[str] | None = None
    ) -> bool:
        """Drop what a VEN has acknowledged, in a transaction that has more to do."""
        its = [oadr20b_outbox.c.ven_id == ven_id, oadr20b_outbox.c.kind == kind]
        if keys is not None:
            its.append(oadr20b_outbox.c.key.in_(list(keys)))
        gone = delete(oadr20b_outbox).where(*its).returning(oadr20b_outbox.c.id)
        return (await connection.execute(gone)).first() is not None

    async def waiting(self, ven_id: str) -> Sequence[WaitingMessage]:
        """Return all that waits for a VEN, in the order it is offered in."""
        order = (oadr20b_outbox.c.is_control.desc(), oadr20b_outbox.c.id)
        rows = await self._database.rows(
            select(oadr20b_outbox).where(oadr20b_outbox.c.ven_id == ven_id).order_by(*order)
        )
        return [_waiting(row) for row in rows]

    async def counted(self) -> int:
        """Return the number of messages that wait for all VENs."""
        row = await self._database.row(select(func.count().label("waiting")).select_from(oadr20b_outbox))
        return 0 if row is None else int(row["waiting"])

    async def _look(self, ven_id: str) -> bool:
        its = select(oadr20b_outbox.c.id).where(oadr20b_outbox.c.ven_id == ven_id).limit(1)
        return await self._database.row(its) is not None


def _waiting(row: RowMapping | Any) -> WaitingMessage:
    return WaitingMessage(row["id"], row["kind"], row["key"], row["request_id"], row["content"], row["offers"])
