"""The changes in the outbox as one list, for who follows it from a place on: websockets, which have no deliveries.

PostgreSQL numbers a change before it is committed, so a lower number may appear after a higher one. ``horizon`` tells
which transactions are over: what they did not commit by then will never be there. SQLite has one writer at a time, and
its numbers appear in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, text, update

from vtn.errors import Unavailable
from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.outbox.pending import notification_of
from vtn.store.outbox.rows import BY_TARGETS, Notification, Push
from vtn.store.stamps import Stamps
from vtn.store.tables import endpoints, notifications
from vtn.store.types import octets

WEBSOCKETS: Final = "websocket"
"""The id of the endpoint that stands for all websockets."""

_OLDER_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.02

Numbers: TypeAlias = tuple[int, int]
"""The first and the last of some numbers without a gap between them."""


class Horizon(NamedTuple):
    """Transactions below ``over`` have ended, and those from ``next`` on have not begun."""

    over: int
    next: int


async def outlast_older_writes(database: Database) -> None:
    """Wait until every write has ended that began before now, and may not know who wants to hear of it since now.

    Who is told afterwards that it will hear of all changes can read what there is, and misses nothing in between. It
    takes milliseconds; a transaction that goes on for longer, of whatever program, is waited for 5 seconds at most.
    Raises Unavailable.
    """
    begun = await _horizon(database)
    if begun is None:  # of SQLite, where there is one writer
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_OLDER_S):
            while True:
                present = await _horizon(database)
                if present is None or present.over >= begun.next:
                    return
                await asyncio.sleep(_LOOK_AGAIN_S)


async def _horizon(database: Database) -> Horizon | None:
    if database.is_sqlite:
        return None
    # The older name of the function, which every PostgreSQL has.
    row = await database.row(
        text(
            "SELECT txid_snapshot_xmin(now_) AS over, txid_snapshot_xmax(now_) AS next "
            "FROM (SELECT txid_current_snapshot() AS now_) AS moment"
        )
    )
    if row is None:
        raise Unavailable("the database did not say which transactions are over")
    return Horizon(int(row["over"]), int(row["next"]))


class NotedChanges:
    """Reads changes by their numbers, and has changes recorded while websockets want them."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps
        self.recorded = database.recorded.waiter()
        """Tells that changes may have been recorded, by whatever process."""

    async def want(self, *, for_s: float, at_least_s: float) -> bool:
        """Have changes recorded for the next ``for_s`` seconds; return False if they were not until now.

        Nothing is written if they are recorded for ``at_least_s`` seconds anyway. Raises Unavailable.
        """
        row = await self._database.row(select(endpoints.c.wanted_until).where(endpoints.c.id == WEBSOCKETS))
        if row is not None and (row["wanted_until"] or "") >= self._stamps.ago(timedelta(seconds=-at_least_s)):
            return True
        until = self._stamps.ago(timedelta(seconds=-for_s))
        later = endpoints.c.wanted_until.is_(None) | (endpoints.c.wanted_until < until)
        prolonged = update(endpoints).where(endpoints.c.id == WEBSOCKETS, later).values(wanted_until=until)
        new = insert(endpoints).values(
            id=WEBSOCKETS, push=str(Push.WEBSOCKET), sees_everything=True, targets=(), wanted_until=until, failures=0
        )
        if row is None:
            try:
                async with self._database.write() as connection:
                    await connection.execute(new)
                return False
            except ConstraintViolated:  # another process was quicker
                pass
        async with self._database.write() as connection:
            await connection.execute(prolonged)
        return row is not None and (row["wanted_until"] or "") > self._stamps.now

    async def newest(self) -> int:
        """Return the number of the last change that is there; 0 if there is none."""
        row = await self._database.row(select(func.max(notifications.c.seq).label("seq")))
        return 0 if row is None or row["seq"] is None else int(row["seq"])

    async def noted_behind(self, number: int) -> str | None:
        """Return the stamp of the first change that is there behind a number; None if there is none."""
        seq = notifications.c.seq
        row = await self._database.row(select(notifications.c.noted_at).where(seq > number).order_by(seq).limit(1))
        return None if row is None else str(row["noted_at"])

    async def outlast_older_writes(self) -> None:
        """Wait for writes that began before changes were wanted (``outlast_older_writes``)."""
        await outlast_older_writes(self._database)

    async def numbers(self, *, after: int) -> list[int]:
        """Return the numbers of the changes that are there behind a number, in their order."""
        seq = notifications.c.seq
        return [row["seq"] for row in await self._database.rows(select(seq).where(seq > after).order_by(seq))]

    async def horizon(self) -> Horizon | None:
        """Return which transactions are over; None for a database in which numbers appear in order."""
        return await _horizon(self._database)

    async def read(
        self,
        *,
        after: int,
        gaps: Sequence[Numbers] = (),
        until: int | None = None,
        owner: str | None = None,
        limit: int,
        max_bytes: int,
    ) -> tuple[list[Notification], bool]:
        """Return changes behind a number, and those in earlier gaps, by their numbers; and whether these are all.

        They are ``limit`` at most, whose objects have ``max_bytes`` in all, but one if there is any. ``until`` is the
        last number of interest. An ``owner`` is a VEN: only changes of programs and events, and of its own objects,
        are returned.
        """
        seq = notifications.c.seq
        behind: ColumnElement[bool] = seq > after if until is None else seq.between(after + 1, until)
        wanted = or_(behind, *(seq.between(first, last) for first, last in gaps))
        if owner is not None:
            seen = or_(notifications.c.object_type.in_(BY_TARGETS), notifications.c.client_id == owner)
            wanted = and_(wanted, seen)
        size = octets(notifications.c.members) + octets(notifications.c.before_members)
        found = await self._database.rows(select(seq, size.label("size")).where(wanted).order_by(seq).limit(limit))
        numbers: list[int] = []
        total = 0
        for row in found:
            total += row["size"]
            if numbers and total > max_bytes:
                break
            numbers.append(row["seq"])
        if not numbers:
            return [], True
        rows = await self._database.rows(select(notifications).where(seq.in_(numbers)).order_by(seq))
        return [notification_of(row, row["operation"]) for row in rows], len(numbers) == len(found) < limit
