"""Keep the events that were received, their programs, and what was decided about them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from openadr_profiles.v31 import Invalid, Program, decode, decode_event, encode
from ven.decision import Decision
from ven.records import Decided, ReceivedEvent
from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us

_FORGET = (
    "delete from event where id = ?",
    "delete from decision where event_id = ?",
    "delete from baseline where event_id = ?",
    "delete from stretch where event_id = ?",
    "delete from outgoing where event_id = ?",
    "delete from report_cursor where event_id = ?",
)
"""An event and everything that belongs to it, in whichever table."""


class EventRecords:
    """Keep events by id, each with the newest decision on it. What is put is written when the journal is flushed."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def all(self) -> list[ReceivedEvent]:
        """Return all events; one that can no longer be read is dropped with all that belongs to it."""
        received: list[ReceivedEvent] = []
        for id_, body, anchor, first in await self._file.rows("select id, body, anchor, first_received from event"):
            try:
                event = await asyncio.to_thread(decode_event, body)
                received.append(ReceivedEvent(event, to_instant(anchor), to_instant(first)))
            except Invalid:
                self.forget(id_)
        return received

    def put(self, received: ReceivedEvent) -> None:
        """Keep this version of an event instead of an earlier one."""
        event = received.event
        row = (event.id, encode(event), to_us(received.anchor), to_us(received.first_received))
        self._journal.put((event.id, "event"), Statement("insert or replace into event values (?, ?, ?, ?)", [row]))

    def forget(self, event_id: str) -> None:
        """Forget an event and everything that belongs to it: decision, baseline, stretches, reports."""
        self._journal.drop(event_id)
        self._journal.put((event_id, "forgotten"), *(Statement(text, [(event_id,)]) for text in _FORGET))

    async def programs(self) -> list[Program]:
        """Return the programs that were seen last; one that can no longer be read is left out."""
        found: list[Program] = []
        for (body,) in await self._file.rows("select body from program"):
            try:
                found.append(decode(body, Program))
            except Invalid:
                continue
        return found

    def put_programs(self, programs: Iterable[Program]) -> None:
        """Keep these programs and no others."""
        self._journal.put(
            ("programs",),
            Statement("delete from program"),
            Statement("insert or replace into program values (?, ?)", [(each.id, encode(each)) for each in programs]),
        )

    async def decisions(self) -> list[Decided]:
        """Return all decisions."""
        rows = await self._file.rows("select event_id, modified, opted_in, reason, decided_at, basis from decision")
        return [
            Decided(event_id, to_instant(modified), Decision(bool(opted_in), reason), to_instant(decided_at), basis)
            for event_id, modified, opted_in, reason, decided_at, basis in rows
        ]

    def put_decision(self, decided: Decided) -> None:
        """Keep the decision on an event instead of an earlier one."""
        decision = decided.decision
        row = (
            decided.event_id,
            to_us(decided.modified),
            decision.opted_in,
            decision.reason,
            to_us(decided.decided_at),
            decided.basis,
        )
        self._journal.put(
            (decided.event_id, "decision"),
            Statement(
                "insert or replace into decision (event_id, modified, opted_in, reason, decided_at, basis)"
                " values (?, ?, ?, ?, ?, ?)",
                [row],
            ),
        )
