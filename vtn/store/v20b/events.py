"""Events for VENs of OpenADR 2.0b in the database: their issues and numbers, and what each VEN was sent.

An issue is projected when a VEN first asks for it and again when its event or program has changed, by whichever process
comes first: the others find its result. Nothing is written for a VEN before something is sent to it, so that a new
event costs nothing per VEN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Select, and_, bindparam, case, delete, func, insert, or_, select, tuple_, update

from vtn.access import Caller, Entitlement
from vtn.store.appends import Rows
from vtn.store.batch import Batch
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.large import WHOLE_BYTES, shown_within
from vtn.store.rows import ObjectRow
from vtn.store.stamps import Stamps
from vtn.store.tables import events, programs, resources, vens
from vtn.store.types import KEY
from vtn.store.upserts import insert_into
from vtn.store.v20b.asking_events import IS_CARRIER
from vtn.store.v20b.event_rows import (
    DELIVERY,
    ISSUE,
    DeliveryRow,
    EventSource20b,
    IssueRow,
    IssueState,
    Key,
    OpenDelivery,
    SeenEvent,
    SeenEvents,
    columns,
    delivery_in,
    issue_in,
)
from vtn.store.v20b.event_tables import oadr20b_deliveries, oadr20b_events, oadr20b_opts, oadr20b_projections
from vtn.store.visibility import Visibility, form_of, values

_ROWS: Final = 2000
_ROW_BYTES: Final = 1000
_ROWS_AT_ONCE: Final = 1000
_MOST_WAITING_BYTES: Final = 16 * 1024 * 1024
_PURGED_AT_ONCE: Final = 100
_KEPT: Final = timedelta(days=30)

_issues: Final = oadr20b_events.c
_deliveries: Final = oadr20b_deliveries.c
_its_program: Final = programs.alias("its_program")  # the clauses of visibility have the table itself
_not_final: Final = or_(_issues.state == IssueState.LIVE.value, _issues.state == IssueState.NO_FORM.value)


class IssueChange(Struct, frozen=True, kw_only=True):
    """Hold what an issue becomes. ``before`` is what it was when that was decided, None if it is new.

    ``content`` is the projection of its new number; None if it keeps its number.
    """

    before: IssueRow | None
    after: IssueRow
    content: str | None = None


class EventStore20b:
    """Issues of events, their projections, and deliveries to VENs."""

    def __init__(self, database: Database, stamps: Stamps, visibility: Visibility) -> None:
        self._database = database
        self._stamps = stamps
        self._visibility = visibility
        self._seen: Select[Any] | None = None
        self._open: Select[Any] | None = None
        self._insert: Final = partial(insert_into, sqlite=database.is_sqlite)
        self._sending: Final = Batch("oadr20b_deliveries", self._store_sent, max_bytes=_MOST_WAITING_BYTES)
        self._watch = database.watch(events, vens, resources)

    def revision(self) -> object:
        """Return what changes with everything that decides what VENs see; None if that is not known."""
        return None if self._watch is None else self._watch.revision()

    async def seen_by(self, caller: Caller, ven_id: str, now: str) -> SeenEvents:
        """Return the events that a VEN may see and that are not over, or over but sent to it, by one statement.

        Those that have to be projected come first, the newest before others; then by start, so that what is active and
        near comes before what is far. Events without a form in 2.0b take no room.
        """
        entitlement = await self._visibility.entitlement(caller)
        if self._seen is None:
            self._seen = self._seen_statement(form_of(entitlement))
        given = {"now": now, "ven_id": ven_id, **values(entitlement)}
        found: dict[str, list[Mapping[Any, Any]]] = {}
        rows = await self._database.found(self._seen, given)
        for row in rows:
            found.setdefault(row["id"], []).append(row)
        return SeenEvents(
            tuple(_seen(its) for its in found.values()),
            open_count=rows[0]["open_count"] if rows else None,
            has_schedules=bool(rows and rows[0]["has_schedules"]),
        )

    async def held_targets(self, caller: Caller) -> frozenset[str]:
        """Return the targets that a VEN holds."""
        entitlement = await self._visibility.entitlement(caller)
        return frozenset() if entitlement is None else entitlement.granted

    def _seen_statement(self, form: Entitlement | None) -> Select[Any]:
        its = and_(
            _deliveries.event_id == _issues.event_id,
            _deliveries.issue == _issues.issue,
            _deliveries.ven_id == bindparam("ven_id", type_=KEY),
        )
        joined = (
            events.join(_its_program, _its_program.c.id == events.c.program_id)
            .outerjoin(oadr20b_events, and_(_issues.event_id == events.c.id, _not_final))
            .outerjoin(oadr20b_deliveries, its)
        )
        not_over = or_(
            events.c.ends_at.is_(None),
            events.c.ends_at > bindparam("now", type_=KEY),
            _deliveries.is_closed.is_(False),
        )
        return (
            select(
                events.c.id,
                events.c.program_id,
                events.c.modified_at,
                _its_program.c.modified_at.label("program_modified_at"),
                *columns(oadr20b_events, ISSUE),
                *columns(oadr20b_deliveries, DELIVERY),
                _OPEN_COUNT.label("open_count"),
                _HAS_SCHEDULES.label("has_schedules"),
            )
            .select_from(joined)
            .where(
                *self._visibility.event(form),
                not_over,
                ~IS_CARRIER,
                or_(_issues.state.is_(None), _issues.state == IssueState.LIVE.value, ~_IS_PROJECTED),
            )
            .order_by(
                case((_IS_PROJECTED, 1), else_=0),
                case((_IS_PROJECTED, _issues.starts_at), else_=None),
                events.c.created_at.desc(),
                events.c.id.desc(),
                _issues.issue,
            )
            .limit(_ROWS)
        )

    async def open_deliveries(self, caller: Caller, ven_id: str) -> list[OpenDelivery]:
        """Return what was sent to a VEN and is not closed, with what has become of the event."""
        entitlement = await self._visibility.entitlement(caller)
        if self._open is None:
            self._open = self._open_statement(form_of(entitlement))
        found = []
        for row in await self._database.found(self._open, {"ven_id": ven_id, **values(entitlement)}):
            issue, sent = issue_in(row), delivery_in(row)
            if issue is not None and sent is not None:
                is_visible = bool(row["is_visible"])
                found.append(OpenDelivery(issue, sent, is_there=row["id"] is not None, is_visible=is_visible))
        return found

    def _open_statement(self, form: Entitlement | None) -> Select[Any]:
        is_visible = and_(events.c.id.is_not(None), *self._visibility.event(form))
        return (
            select(
                *columns(oadr20b_events, ISSUE),
                *columns(oadr20b_deliveries, DELIVERY),
                events.c.id,
                case((is_visible, 1), else_=0).label("is_visible"),
            )
            .select_from(_JOINED.outerjoin(events, events.c.id == _deliveries.event_id))
            .where(_deliveries.ven_id == bindparam("ven_id", type_=KEY), _deliveries.is_closed.is_(False))
            .order_by(_deliveries.sent_at.desc())
            .limit(_ROWS)
        )

    async def delivered(self, ven_id: str, wire_ids: Iterable[str]) -> dict[str, tuple[IssueRow, DeliveryRow]]:
        """Return what was sent to a VEN, closed or not, by eventID."""
        statement = _SENT.where(_deliveries.ven_id == ven_id, _issues.wire_id.in_(list(wire_ids)))
        found = ((issue_in(row), delivery_in(row)) for row in await self._database.rows(statement))
        return {issue.wire_id: (issue, sent) for issue, sent in found if issue is not None and sent is not None}

    async def was_sent_any(self, ven_id: str) -> bool:
        """Return True if a VEN was ever sent an event."""
        its = select(_deliveries.ven_id).where(_deliveries.ven_id == ven_id).limit(1)
        return await self._database.row(its) is not None

    async def sources(self, event_ids: Sequence[str]) -> list[EventSource20b]:
        """Return events with their programs and issues, to be projected."""
        if not event_ids:
            return []
        known = await self._database.rows(
            select(oadr20b_events).where(_issues.event_id.in_(event_ids)).order_by(_issues.event_id, _issues.issue)
        )
        issues: dict[str, list[IssueRow]] = {}
        for row in known:
            issue = issue_in(row, "")
            if issue is not None:
                issues.setdefault(issue.event_id, []).append(issue)
        its_program = [column.label(f"program_{column.name}") for column in programs.c if column.name != "id"]
        statement = (
            select(*shown_within(events, WHOLE_BYTES), *its_program)
            .select_from(events.join(programs, programs.c.id == events.c.program_id))
            .where(events.c.id.in_(event_ids))
        )
        return [_source(row, issues.get(row["id"], [])) for row in await self._database.rows(statement)]

    async def record(self, changes: Sequence[IssueChange]) -> None:
        """Store what issues become, unless another process has done it: then its result stands (B-EVT-011)."""
        if not changes:
            return
        async with self._database.write() as connection:
            for change in sorted(changes, key=lambda each: each.after.key):
                if await self._recorded(connection, change) and change.content is not None:
                    await connection.execute(
                        insert(oadr20b_projections).values(
                            event_id=change.after.event_id,
                            issue=change.after.issue,
                            number=change.after.number,
                            content=change.content,
                            made_at=change.after.changed_at,
                        )
                    )
            if any(change.before is None for change in changes):
                await self._purge(connection)

    async def _recorded(self, connection: AsyncConnection, change: IssueChange) -> bool:
        row = asdict(change.after)
        if change.before is None:
            new = self._insert(oadr20b_events).values(row).on_conflict_do_nothing()
            return (await connection.execute(new.returning(_issues.event_id))).first() is not None
        before = change.before
        changed = (
            update(oadr20b_events)
            .where(
                _issues.event_id == before.event_id,
                _issues.issue == before.issue,
                _issues.number == before.number,
                _issues.state == before.state,
                _issues.event_modified_at == before.event_modified_at,
                _issues.program_modified_at == before.program_modified_at,
                _issues.rolls_at.is_not_distinct_from(before.rolls_at),
            )
            .values(row)
        )
        return (await connection.execute(changed.returning(_issues.event_id))).first() is not None

    async def _purge(self, connection: AsyncConnection) -> None:
        """Remove a few of the issues that were over or whose event was gone long ago, with what was sent and said."""
        long_ago = self._stamps.ago(_KEPT)
        old = (
            select(_issues.event_id, _issues.issue)
            .where(_issues.changed_at < long_ago, or_(_issues.over_at < long_ago, _IS_GONE))
            .order_by(_issues.changed_at)
            .limit(_PURGED_AT_ONCE)
        )
        keys = [tuple(row) for row in (await connection.execute(old)).all()]
        if keys:
            its_opts = tuple_(oadr20b_opts.c.event_id, oadr20b_opts.c.issue).in_(keys)
            await connection.execute(delete(oadr20b_opts).where(its_opts))
            await connection.execute(delete(oadr20b_events).where(tuple_(_issues.event_id, _issues.issue).in_(keys)))
        of_times = (oadr20b_opts.c.event_id.is_(None), oadr20b_opts.c.ends_at < long_ago)
        await connection.execute(delete(oadr20b_opts).where(*of_times))

    async def projections(self, wanted: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int, int], tuple[str, str]]:
        """Return projections as JSON with the time they were made, by event, issue and number."""
        keys = list(wanted)
        if not keys:
            return {}
        its = oadr20b_projections.c
        statement = select(oadr20b_projections).where(tuple_(its.event_id, its.issue, its.number).in_(keys))
        return {
            (row["event_id"], row["issue"], row["number"]): (row["content"], row["made_at"])
            for row in await self._database.rows(statement)
        }

    async def sent(self, deliveries: Sequence[DeliveryRow]) -> None:
        """Store what is about to be sent to a VEN, together with that of others who ask at the same time.

        Its answers and its report stay as they are. Raises ConstraintViolated if the VEN or an issue is gone.
        """
        if deliveries:
            rows = [asdict(each) for each in deliveries]
            await self._sending.add({"rows": rows}, size=_ROW_BYTES * len(rows))

    async def _store_sent(self, batch: Rows) -> None:
        """Store what is about to be sent to several VENs, in one order everywhere, so that nobody waits in a circle."""
        given: list[dict[str, Any]] = []
        for each in batch:
            if given and len(given) + len(each["rows"]) > _ROWS_AT_ONCE:
                await self._upsert(given)
                given = []
            given += each["rows"]
        await self._upsert(given)

    async def _upsert(self, given: Iterable[dict[str, Any]]) -> None:
        rows = {(row["ven_id"], row["event_id"], row["issue"]): row for row in given}  # of two messages the later one
        ordered = [rows[key] for key in sorted(rows)]
        for first in range(0, len(ordered), _ROWS_AT_ONCE):
            await self._database.append(oadr20b_deliveries, ordered[first : first + _ROWS_AT_ONCE], replaced=_TOLD)

    async def reached(self, ven_id: str, request_id: str, unanswered: Collection[str]) -> None:
        """Note that a VEN has what it was pushed with a requestID; ``unanswered`` are eventIDs that need no answer."""
        its = (_deliveries.ven_id == ven_id, _deliveries.request_id == request_id)
        async with self._database.write() as connection:
            first = update(oadr20b_deliveries).where(*its, _deliveries.sent_times == 0).values(sent_times=1)
            await connection.execute(first)
            if unanswered:
                keys = select(_issues.event_id, _issues.issue).where(_issues.wire_id.in_(list(unanswered)))
                done = update(oadr20b_deliveries).where(*its, tuple_(_deliveries.event_id, _deliveries.issue).in_(keys))
                closed = or_(_deliveries.is_closed, _deliveries.cancelled_at.is_not(None))
                await connection.execute(done.values(due_at=None, is_closed=closed))

    async def missed(self, ven_id: str, request_id: str, at: str) -> None:
        """Make due from ``at`` on what was pushed to a VEN with a requestID and has not reached it."""
        its = (_deliveries.ven_id == ven_id, _deliveries.request_id == request_id, _deliveries.sent_times == 0)
        open_ = _deliveries.answered_number.is_distinct_from(_deliveries.number)  # the VEN may have answered it
        async with self._database.write() as connection:
            await connection.execute(update(oadr20b_deliveries).where(*its, open_).values(due_at=at))

    async def close(self, ven_id: str, keys: Sequence[Key]) -> None:
        """Note that a VEN is sent no more of some issues."""
        if not keys:
            return
        its = tuple_(_deliveries.event_id, _deliveries.issue).in_(list(keys))
        closed = update(oadr20b_deliveries).where(_deliveries.ven_id == ven_id, its)
        async with self._database.write() as connection:
            await connection.execute(closed.values(is_closed=True, due_at=None))


_TOLD: Final = (
    "registration_id",
    "number",
    "shown_number",
    "cancelled_at",
    "is_closed",
    "request_id",
    "sent_at",
    "sent_times",
    "due_at",
)
"""What a delivery changes of a row that is there; the first number and the answers stay."""

_IS_PROJECTED: Final = and_(
    _issues.event_id.is_not(None),
    _issues.event_modified_at == events.c.modified_at,
    _issues.program_modified_at == _its_program.c.modified_at,
    _issues.program_id == events.c.program_id,
)
_waiting: Final = oadr20b_deliveries.alias("waiting")
_IS_GONE: Final = and_(
    ~select(events.c.id).where(events.c.id == _issues.event_id).correlate(oadr20b_events).exists(),
    ~select(_waiting.c.ven_id)
    .where(_waiting.c.event_id == _issues.event_id, _waiting.c.issue == _issues.issue, _waiting.c.is_closed.is_(False))
    .correlate(oadr20b_events)
    .exists(),
)
"""The event is not there any more, and every VEN that was sent the issue knows."""
_counted: Final = oadr20b_deliveries.alias("counted")
_OPEN_COUNT: Final = (
    select(func.count())
    .select_from(_counted)
    .where(_counted.c.ven_id == bindparam("ven_id", type_=KEY), _counted.c.is_closed.is_(False))
    .scalar_subquery()
)
_HAS_SCHEDULES: Final = (
    select(oadr20b_opts.c.id)
    .where(
        oadr20b_opts.c.ven_id == bindparam("ven_id", type_=KEY),
        oadr20b_opts.c.event_id.is_(None),
        oadr20b_opts.c.cancelled_at.is_(None),
        oadr20b_opts.c.ends_at > bindparam("now", type_=KEY),
    )
    .exists()
)
_JOINED: Final = oadr20b_deliveries.join(
    oadr20b_events, and_(_issues.event_id == _deliveries.event_id, _issues.issue == _deliveries.issue)
)
_SENT: Final = select(*columns(oadr20b_events, ISSUE), *columns(oadr20b_deliveries, DELIVERY)).select_from(_JOINED)


def _seen(rows: Sequence[Mapping[Any, Any]]) -> SeenEvent:
    first = rows[0]
    found = ((issue_in(row), delivery_in(row)) for row in rows)
    return SeenEvent(
        event_id=first["id"],
        program_id=first["program_id"],
        modified_at=first["modified_at"],
        program_modified_at=first["program_modified_at"],
        issues=tuple((issue, sent) for issue, sent in found if issue is not None),
    )


def _source(row: Mapping[Any, Any], issues: Sequence[IssueRow]) -> EventSource20b:
    is_small = row["members"] is not None and row["targets"] is not None
    event = ObjectRow(
        row["id"], row["created_at"], row["modified_at"], row["members"] or "", tuple(row["targets"] or ())
    )
    program = ObjectRow(
        row["program_id"],
        row["program_created_at"],
        row["program_modified_at"],
        row["program_members"],
        tuple(row["program_targets"]),
    )
    return EventSource20b(
        event_id=row["id"],
        program_id=row["program_id"],
        modified_at=row["modified_at"],
        program_modified_at=row["program_modified_at"],
        event=event if is_small else None,
        program=program,
        issues=tuple(issues),
    )
