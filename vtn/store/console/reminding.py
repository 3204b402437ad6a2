"""Tell VENs of an event again that have not answered it: through the outbox, as of any change."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import and_, delete, func, or_, select, update

from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.event import EventStore
from vtn.store.facts.tables import event_opts
from vtn.store.outbox.rows import Push
from vtn.store.rows import Precondition
from vtn.store.stamps import Stamps
from vtn.store.tables import deliveries, endpoints, notifications, vens
from vtn.store.v20b.event_tables import oadr20b_deliveries


class Reminded(Struct, frozen=True, kw_only=True):
    """Hold how many are told again: webhooks of clients that have not answered, VENs of 2.0b, and other ways (MQTT)."""

    webhooks: int
    vens_20b: int
    broadcasts: int

    @property
    def anybody(self) -> bool:
        """Return True if anybody is told again."""
        return bool(self.webhooks or self.vens_20b or self.broadcasts)


class Reminders:
    """Reminders of events."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def remind(self, events: EventStore, event_id: str, *, check: Precondition) -> Reminded:
        """Tell those of an event again that have not answered; raises NotFound, and what ``check`` raises.

        Who polls is not told: it reads the event anyway. A broker and websockets cannot be told for some only.
        """
        async with self._database.write() as connection:
            newest = select(func.max(notifications.c.seq)).where(notifications.c.object_id == event_id)
            last = (await connection.execute(newest)).scalar() or 0
            await events.tell_again(connection, event_id, check=check)
            its = select(notifications.c.seq).where(notifications.c.object_id == event_id, notifications.c.seq > last)
            await connection.execute(self._of_those_who_answered(event_id, its))
            counted = (
                select(endpoints.c.push, func.count().label("number"))
                .join_from(deliveries, endpoints, endpoints.c.id == deliveries.c.endpoint_id)
                .where(deliveries.c.seq.in_(its))
                .group_by(endpoints.c.push)
            )
            told = {row.push: row.number for row in await connection.execute(counted)}
            of_20b = await self._offered_now(connection, event_id)
        webhooks = told.pop(str(Push.WEBHOOK), 0)
        return Reminded(webhooks=webhooks, vens_20b=of_20b, broadcasts=sum(told.values()))

    def _of_those_who_answered(self, event_id: str, its: Any) -> Any:
        """Return a DELETE of the new deliveries to webhooks of VENs that have answered, and of those that are none."""
        answered = select(event_opts.c.client_id).where(event_opts.c.event_id == event_id)
        spared = select(endpoints.c.id).where(
            endpoints.c.push == str(Push.WEBHOOK),
            or_(endpoints.c.client_id.in_(answered), endpoints.c.client_id.not_in(select(vens.c.client_id))),
        )
        return delete(deliveries).where(deliveries.c.seq.in_(its), deliveries.c.endpoint_id.in_(spared))

    async def _offered_now(self, connection: AsyncConnection, event_id: str) -> int:
        """Offer the event to VENs of 2.0b at their next poll that were sent it and owe an answer; return how many."""
        c = oadr20b_deliveries.c
        owes = and_(c.event_id == event_id, ~c.is_closed, c.due_at.is_not(None))
        statement = update(oadr20b_deliveries).where(owes).values(due_at=self._stamps.now)
        return int((await connection.execute(statement)).rowcount)
