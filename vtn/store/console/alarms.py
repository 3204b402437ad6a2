"""Alarms in the database: conditions become alarms that are raised once, cleared, acknowledged, and told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, case, delete, func, insert, select, update

from openadr_profiles.v31 import Invalid
from vtn.errors import NotFound
from vtn.store.alarm_tables import alarm_messages, alarms
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.large import Row
from vtn.store.query import Page
from vtn.store.stamps import Stamps
from vtn.store.upserts import insert_into

_OPEN: Final = alarms.c.cleared_at.is_(None)
_HOLDING_AT_MOST: Final = 5000
_FIRST: Final = Page()
_TEXT_AT_MOST: Final = 1000
_NOTE_AT_MOST: Final = 500
_ERROR_AT_MOST: Final = 500


class MessageOutcome(StrEnum):
    """Name what became of a message."""

    SENT = "SENT"
    GIVEN_UP = "GIVEN_UP"


class StoredAlarm(Struct, frozen=True, gc=False):
    """An alarm. ``cleared_at`` is None while it holds, ``acknowledged_at`` while nobody has acknowledged it."""

    id: int
    kind: str
    subject: str
    text: str
    raised_at: str
    seen_at: str
    cleared_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    note: str | None


class AlarmMessage(Struct, frozen=True, gc=False):
    """A message of an alarm to one channel; ``alarm`` is None for one that tries the channel."""

    id: int
    is_clear: bool
    attempts: int
    noted_at: str
    alarm: StoredAlarm | None


class ChannelState(Struct, frozen=True, gc=False):
    """Hold how messages to one channel fare: how many wait or were given up, and what the last attempt said."""

    channel: str
    waiting: int
    sent: int
    given_up: int
    last_sent_at: str | None
    last_error: str | None


class AlarmStore:
    """Keep alarms. ``channels`` are the names of those that are told of each."""

    def __init__(self, database: Database, stamps: Stamps, channels: Sequence[str] = ()) -> None:
        self._database = database
        self._stamps = stamps
        self.channels = tuple(channels)

    async def holding(self) -> list[StoredAlarm]:
        """Return the alarms that hold, the oldest first; at most 5,000."""
        found = select(alarms).where(_OPEN).order_by(alarms.c.id).limit(_HOLDING_AT_MOST)
        return [_alarm(row) for row in await self._database.rows(found)]

    async def search(
        self, *, holding: bool | None = None, kind: str | None = None, page: Page = _FIRST
    ) -> list[StoredAlarm]:
        """Return one page of alarms, those that hold first, then the newest first.

        ``holding`` None is both those that hold and those that are over.
        """
        clauses: list[ColumnElement[bool]] = []
        if holding is not None:
            clauses.append(_OPEN if holding else alarms.c.cleared_at.is_not(None))
        if kind is not None:
            clauses.append(alarms.c.kind == kind)
        first = case((_OPEN, 0), else_=1)
        found = select(alarms).where(*clauses).order_by(first, alarms.c.id.desc()).limit(page.limit).offset(page.skip)
        return [_alarm(row) for row in await self._database.rows(found)]

    async def note(
        self, conditions: Collection[tuple[str, str, str]], *, covers: Callable[[str, str], bool]
    ) -> tuple[int, int]:
        """Take over which conditions hold: kind, subject and text of each. Returns how many were raised and cleared.

        What is new is raised, and told to all channels. What is not among them is cleared, which is told as well, if
        ``covers`` says of its kind and subject that it was looked for.
        """
        holding = {(each.kind, each.subject): each for each in await self.holding()}
        current = {(kind, subject): text[:_TEXT_AT_MOST] for kind, subject, text in conditions}
        over = [each.id for key, each in holding.items() if key not in current and covers(*key)]
        new = [
            {"kind": kind, "subject": subject, "text": text}
            for (kind, subject), text in current.items()
            if (kind, subject) not in holding
        ]
        still = [(holding[key], text) for key, text in current.items() if key in holding]
        if not (over or new or still):
            return 0, 0
        now = self._stamps.now
        async with self._database.write() as connection:
            for alarm, text in still:
                if alarm.text != text:
                    await connection.execute(update(alarms).where(alarms.c.id == alarm.id).values(text=text))
            ids = [alarm.id for alarm, _ in still]
            await connection.execute(update(alarms).where(alarms.c.id.in_(ids), _OPEN).values(seen_at=now))
            raised = await self._raise(connection, new, now)
            cleared = await self._clear(connection, alarms.c.id.in_(over), now)
            await self._tell(connection, raised, now, is_clear=False)
            await self._tell(connection, cleared, now, is_clear=True)
        return len(raised), len(cleared)

    async def clear_unseen(self, kinds: Collection[str], *, for_s: float) -> int:
        """Clear alarms of these kinds that nobody has looked for since so long: their host is gone."""
        before = self._stamps.ago(timedelta(seconds=for_s))
        async with self._database.write() as connection:
            gone = and_(alarms.c.kind.in_(kinds), alarms.c.seen_at < before)
            cleared = await self._clear(connection, gone, now := self._stamps.now)
            await self._tell(connection, cleared, now, is_clear=True)
        return len(cleared)

    async def acknowledge(self, alarm_id: int, *, by: str, note: str) -> tuple[StoredAlarm, StoredAlarm]:
        """Note that somebody looks after an alarm; returns it before and after. Raises NotFound, Invalid.

        A later acknowledgement takes the place of an earlier one.
        """
        if len(note) > _NOTE_AT_MOST:
            raise Invalid("note", f"expected at most {_NOTE_AT_MOST} characters")
        values = {"acknowledged_at": self._stamps.now, "acknowledged_by": by, "note": note or None}
        async with self._database.write() as connection:
            one = alarms.c.id == alarm_id
            before = (await connection.execute(select(alarms).where(one))).mappings().first()
            if before is None:
                raise NotFound(f"there is no alarm {alarm_id}")
            await connection.execute(update(alarms).where(one).values(values))
        return _alarm(before), _alarm({**before, **values})

    async def remove_over(self, *, older_than_s: float) -> int:
        """Remove alarms that are over since so long, and their messages, a thousand at a time; returns how many."""
        before = self._stamps.ago(timedelta(seconds=older_than_s))
        oldest = select(alarms.c.id).where(alarms.c.cleared_at < before).order_by(alarms.c.id).limit(1000)
        tries = and_(alarm_messages.c.alarm_id.is_(None), alarm_messages.c.ended_at < before)
        async with self._database.write() as connection:
            await connection.execute(delete(alarm_messages).where(tries))
            return (await connection.execute(delete(alarms).where(alarms.c.id.in_(oldest)))).rowcount

    async def add_trial(self, channel: str) -> None:
        """Add a message that is about no alarm, to try a channel."""
        async with self._database.write() as connection:
            await connection.execute(insert(alarm_messages).values(_message(None, channel, self._stamps.now)))

    async def due(self, channel: str, *, limit: int) -> list[AlarmMessage]:
        """Return the first messages of a channel that are to be sent now, in the order they were noted."""
        found = (
            select(*_MESSAGE_COLUMNS, *alarms.c)
            .select_from(alarm_messages.outerjoin(alarms, alarms.c.id == alarm_messages.c.alarm_id))
            .where(
                alarm_messages.c.channel == channel,
                alarm_messages.c.ended_at.is_(None),
                alarm_messages.c.due_at <= self._stamps.now,
            )
            .order_by(alarm_messages.c.id)
            .limit(limit)
        )
        return [_due(row) for row in await self._database.rows(found)]

    async def record_sent(self, ids: Collection[int]) -> None:
        """Note that messages were sent."""
        values = {"ended_at": self._stamps.now, "outcome": str(MessageOutcome.SENT), "error": None}
        await self._change(alarm_messages.c.id.in_(ids), values | {"attempts": alarm_messages.c.attempts + 1})

    async def record_failed(self, ids: Collection[int], error: str, *, retry_in_s: float, max_attempts: int) -> int:
        """Note an attempt at messages that failed. They are due again later, or given up; returns how many are not."""
        tried = alarm_messages.c.attempts + 1
        now = self._stamps.now
        is_last = tried >= max_attempts
        values = {
            "attempts": tried,
            "error": error[:_ERROR_AT_MOST],
            "due_at": self._stamps.ago(timedelta(seconds=-retry_in_s)),
            "ended_at": case((is_last, now), else_=None),
            "outcome": case((is_last, str(MessageOutcome.GIVEN_UP)), else_=None),
        }
        await self._change(alarm_messages.c.id.in_(ids), values)
        found = select(func.count().label("count")).where(
            alarm_messages.c.id.in_(ids), alarm_messages.c.ended_at.is_(None)
        )
        row = await self._database.row(found)
        return 0 if row is None else int(row["count"])

    async def channel_states(self) -> dict[str, ChannelState]:
        """Return how the messages to each channel fare, of alarms that are still kept."""
        ended, outcome = alarm_messages.c.ended_at, alarm_messages.c.outcome
        sent, given_up = outcome == str(MessageOutcome.SENT), outcome == str(MessageOutcome.GIVEN_UP)
        inner = alarm_messages.alias()
        error = (
            select(inner.c.error)
            .where(inner.c.channel == alarm_messages.c.channel, inner.c.error.is_not(None))
            .order_by(inner.c.id.desc())
            .limit(1)
            .correlate(alarm_messages)
            .scalar_subquery()
        )
        found = select(
            alarm_messages.c.channel,
            func.sum(case((ended.is_(None), 1), else_=0)).label("waiting"),
            func.sum(case((sent, 1), else_=0)).label("sent"),
            func.sum(case((given_up, 1), else_=0)).label("given_up"),
            func.max(case((sent, ended), else_=None)).label("last_sent_at"),
            error.label("last_error"),
        ).group_by(alarm_messages.c.channel)
        return {row["channel"]: ChannelState(**row) for row in await self._database.rows(found)}

    async def _raise(self, connection: AsyncConnection, new: Sequence[dict[str, str]], now: str) -> list[int]:
        """Insert alarms, but for those that another process has raised meanwhile; returns the ids."""
        if not new:
            return []
        rows = [each | {"raised_at": now, "seen_at": now} for each in new]
        added = insert_into(alarms, sqlite=self._database.is_sqlite).values(rows).on_conflict_do_nothing()
        return [row[0] for row in await connection.execute(added.returning(alarms.c.id))]

    async def _clear(self, connection: AsyncConnection, which: ColumnElement[bool], now: str) -> list[int]:
        cleared = update(alarms).where(which, _OPEN).values(cleared_at=now).returning(alarms.c.id)
        return [row[0] for row in await connection.execute(cleared)]

    async def _tell(self, connection: AsyncConnection, ids: Sequence[int], now: str, *, is_clear: bool) -> None:
        rows = [_message(id_, channel, now, is_clear=is_clear) for channel in self.channels for id_ in sorted(ids)]
        if rows:
            await connection.execute(insert(alarm_messages), rows)

    async def _change(self, which: ColumnElement[bool], values: dict[str, Any]) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(alarm_messages).where(which).values(values))


_MESSAGE_COLUMNS: Final = (
    alarm_messages.c.id.label("message_id"),
    alarm_messages.c.is_clear,
    alarm_messages.c.attempts,
    alarm_messages.c.noted_at,
)


def _message(alarm_id: int | None, channel: str, now: str, *, is_clear: bool = False) -> dict[str, Any]:
    its = {"alarm_id": alarm_id, "channel": channel, "is_clear": is_clear}
    return its | {"noted_at": now, "due_at": now, "attempts": 0}


def _due(row: Row) -> AlarmMessage:
    alarm = None if row["id"] is None else _alarm(row)
    return AlarmMessage(row["message_id"], row["is_clear"], row["attempts"], row["noted_at"], alarm)


def _alarm(row: Row) -> StoredAlarm:
    return StoredAlarm(**{name: row[name] for name in StoredAlarm.__struct_fields__})
