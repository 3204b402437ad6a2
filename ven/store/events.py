"""Keep the events that were received, their programs, and what was decided about them."""

from __future__ import annotations

from collections.abc import Iterable

from openadr_profiles.v31 import Event, Invalid, Program, decode, encode
from ven.decision import Decision
from ven.records import Decided, ReceivedEvent
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us

_FORGET = (
    "delete from event where id = ?",
    "delete from decision where event_id = ?",
    "delete from baseline where event_id = ?",
    "delete from stretch where event_id = ?",
    "delete from outgoing where event_id = ?",
)
"""An event and everything that belongs to it, in whichever table."""


class EventRecords:
    """Keep events by id, each with the newest decision on it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def all(self) -> list[ReceivedEvent]:
        """Return all events; one that can no longer be read is dropped with all that belongs to it."""
        received: list[ReceivedEvent] = []
        for id_, body, anchor, first in await self._file.rows("select id, body, anchor, first_received from event"):
            try:
                received.append(ReceivedEvent(decode(body, Event), to_instant(anchor), to_instant(first)))
            except Invalid:
                await self.forget(id_)
        return received

    async def put(self, received: ReceivedEvent) -> None:
        """Keep this version of an event instead of an earlier one."""
        event = received.event
        await self._file.write(
            "insert or replace into event values (?, ?, ?, ?)",
            (event.id, encode(event), to_us(received.anchor), to_us(received.first_received)),
        )

    async def forget(self, event_id: str) -> None:
        """Forget an event and everything that belongs to it: decision, baseline, stretches, reports."""
        async with self._file.transaction() as connection:
            for statement in _FORGET:
                await connection.execute(statement, (event_id,))

    async def programs(self) -> list[Program]:
        """Return the programs that were seen last; one that can no longer be read is left out."""
        found: list[Program] = []
        for (body,) in await self._file.rows("select body from program"):
            try:
                found.append(decode(body, Program))
            except Invalid:
                continue
        return found

    async def put_programs(self, programs: Iterable[Program]) -> None:
        """Keep these programs and no others."""
        async with self._file.transaction() as connection:
            await connection.execute("delete from program")
            await connection.executemany(
                "insert or replace into program values (?, ?)", [(each.id, encode(each)) for each in programs]
            )

    async def decisions(self) -> list[Decided]:
        """Return all decisions."""
        rows = await self._file.rows("select event_id, modified, opted_in, reason, decided_at from decision")
        return [
            Decided(event_id, to_instant(modified), Decision(bool(opted_in), reason), to_instant(decided_at))
            for event_id, modified, opted_in, reason, decided_at in rows
        ]

    async def put_decision(self, decided: Decided) -> None:
        """Keep the decision on an event instead of an earlier one."""
        decision = decided.decision
        await self._file.write(
            "insert or replace into decision values (?, ?, ?, ?, ?)",
            (decided.event_id, to_us(decided.modified), decision.opted_in, decision.reason, to_us(decided.decided_at)),
        )
