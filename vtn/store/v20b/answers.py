"""Store what VENs of OpenADR 2.0b answered and opted: the last answer of each delivery, and what was said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import RowMapping, bindparam, delete, func, insert, or_, select, update

from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.stamps import Stamps
from vtn.store.tables import programs, resources, vens
from vtn.store.v20b.event_tables import oadr20b_deliveries, oadr20b_events, oadr20b_opts
from vtn.store.v20b.tables import oadr20b_carriers

MOST_SAID: Final = 50
"""Of what a VEN said about an event, so much is kept at most: the last of it."""
MOST_OPTS: Final = 20
"""Opts of EiOpt that one VEN may have on an event at a time, marks of its schedules included."""
MOST_SCHEDULES: Final = 100
"""Availability schedules that one VEN may have at a time."""
MOST_WINDOWS: Final = 400
"""Times that all schedules of one VEN may have together."""

_opts: Final = oadr20b_opts.c
_deliveries: Final = oadr20b_deliveries.c


class OptRow(Struct, frozen=True, kw_only=True, gc=False):
    """Something that a VEN said; instants are stamps, ``content`` is JSON. ``opt_id`` is None unless EiOpt said it."""

    ven_id: str
    event_id: str | None = None
    issue: int | None = None
    number: int | None = None
    opt_id: str | None = None
    opt_type: str
    reason: str | None = None
    response_code: str | None = None
    content: str = "{}"
    received_at: str
    ends_at: str | None = None
    cancelled_at: str | None = None


class TooManyOpts(Exception):
    """A VEN has as many opts as it may have; the text says how many of what."""


class _Content(Struct):
    """Hold what counts of an opt's content."""

    windows: tuple[msgspec.Raw, ...] = ()


class StoredAnswer20b(Struct, frozen=True, kw_only=True):
    """An answer to what was sent of an issue, ready to be stored with what it says."""

    event_id: str
    issue: int
    number: int
    opt_type: str
    response_code: str
    closes: bool
    said: OptRow


class AnswerStore20b:
    """Answers and opts of VENs."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def store(self, ven_id: str, answers: Sequence[StoredAnswer20b]) -> None:
        """Store answers of one VEN, all or none; what it is no longer asked for is not offered again (B-POL-004)."""
        if not answers:
            return
        at = self._stamps.now
        async with self._database.write() as connection:
            await connection.execute(
                _ANSWERED,
                [
                    {
                        "of_ven": ven_id,
                        "of_event": each.event_id,
                        "of_issue": each.issue,
                        "to_number": each.number,
                        "at": at,
                        "said_type": each.opt_type,
                        "said_code": each.response_code,
                        "closes": each.closes,
                    }
                    for each in sorted(answers, key=lambda one: (one.event_id, one.issue))
                ],
            )
            await self._said(connection, [each.said for each in answers])

    async def note(self, said: Sequence[OptRow]) -> None:
        """Store what is to be seen in reports and changes no answer, as that there was none (B-CRE-012)."""
        if not said:
            return
        async with self._database.write() as connection:
            await self._said(connection, said)
            await self._reports_due(connection, said[0].ven_id, {each.event_id for each in said})

    async def opted(self, said: OptRow) -> bool:
        """Store an opt in place of the one with its optID (B-OPT-007); return False if that says the same already.

        Raises TooManyOpts.
        """
        async with self._database.write() as connection:
            await connection.execute(select(vens.c.id).where(vens.c.id == said.ven_id).with_for_update(key_share=True))
            its = (_opts.ven_id == said.ven_id, _opts.opt_id == said.opt_id, _opts.cancelled_at.is_(None))
            before = (await connection.execute(select(oadr20b_opts).where(*its).order_by(_opts.id))).mappings().all()
            if before and _same(before[0], said):  # those after it are marks on events
                return False
            await self._check_room(connection, said)
            await connection.execute(update(oadr20b_opts).where(*its).values(cancelled_at=said.received_at))
            await self._said(connection, [said])
            await self._reports_due(connection, said.ven_id, {said.event_id, *(row["event_id"] for row in before)})
        return True

    async def taken_back(self, ven_id: str, opt_id: str) -> list[OptRow] | None:
        """Note that an opt is taken back; return it with its marks on events (B-OPT-008).

        There are none if it was taken back before: its VEN may not have heard the answer (B-GEN-011). None: the VEN
        never had such an opt, or what it said then is not kept any more.
        """
        its = (_opts.ven_id == ven_id, _opts.opt_id == opt_id)
        at = self._stamps.now
        async with self._database.write() as connection:
            changed = update(oadr20b_opts).where(*its, _opts.cancelled_at.is_(None)).values(cancelled_at=at)
            rows = (await connection.execute(changed.returning(*_opts))).mappings().all()
            if not rows and (await connection.execute(select(_opts.id).where(*its).limit(1))).first() is None:
                return None
            await self._reports_due(connection, ven_id, {row["event_id"] for row in rows})
        return [_opt(row) for row in rows]

    async def end_all_in(self, connection: AsyncConnection, ven_id: str) -> None:
        """Take back all opts of a VEN in the transaction that ends its registration."""
        held = (_opts.ven_id == ven_id, _opts.opt_id.is_not(None), _opts.cancelled_at.is_(None))
        ended = update(oadr20b_opts).where(*held).values(cancelled_at=self._stamps.now).returning(_opts.event_id)
        rows = (await connection.execute(ended)).all()
        await self._reports_due(connection, ven_id, {row[0] for row in rows})

    async def _said(self, connection: AsyncConnection, said: Sequence[OptRow]) -> None:
        """Store what one VEN said, and remove what it said of these events so long ago that it is not kept."""
        await connection.execute(insert(oadr20b_opts), [asdict(each) for each in said])
        event_ids = {each.event_id for each in said if each.event_id is not None}
        if event_ids:
            its = (_opts.ven_id == said[0].ven_id, _opts.event_id.in_(event_ids))
            place = func.row_number().over(partition_by=_opts.event_id, order_by=_opts.id.desc()).label("place")
            placed = select(_opts.id, place).where(*its).subquery()
            old = select(placed.c.id).where(placed.c.place > MOST_SAID)
            await connection.execute(delete(oadr20b_opts).where(_opts.id.in_(old)))

    async def _check_room(self, connection: AsyncConnection, said: OptRow) -> None:
        """Raise TooManyOpts if a VEN has as many opts beside this one as it may have."""
        others = (_opts.ven_id == said.ven_id, _opts.opt_id != said.opt_id, _opts.cancelled_at.is_(None))
        if said.event_id is not None:
            counted = select(func.count(_opts.opt_id.distinct())).where(*others, _opts.event_id == said.event_id)
            if ((await connection.execute(counted)).scalar() or 0) >= MOST_OPTS:
                raise TooManyOpts(f"a VEN may have {MOST_OPTS} opts on an event")
            return
        its = select(_opts.content).where(*others, _opts.event_id.is_(None), _opts.ends_at > self._stamps.now)
        held = [row[0] for row in (await connection.execute(its)).all()]
        if len(held) >= MOST_SCHEDULES:
            raise TooManyOpts(f"a VEN may have {MOST_SCHEDULES} schedules")
        if sum(_windows_in(content) for content in [*held, said.content]) > MOST_WINDOWS:
            raise TooManyOpts(f"the schedules of a VEN may have {MOST_WINDOWS} times together")

    async def said(self, ven_id: str, event_ids: Iterable[str]) -> dict[str, list[OptRow]]:
        """Return the last things that a VEN said about each of some events, in their order."""
        statement = select(oadr20b_opts).where(_opts.ven_id == ven_id, _opts.event_id.in_(list(event_ids)))
        found: dict[str, list[OptRow]] = {}
        for row in await self._database.rows(statement.order_by(_opts.id)):
            found.setdefault(row["event_id"], []).append(_opt(row))
        return {event_id: said[-MOST_SAID:] for event_id, said in found.items()}

    async def marked(self, ven_id: str) -> list[tuple[str, str]]:
        """Return the opts of EiOpt in force on events: optID and event."""
        its = (_opts.ven_id == ven_id, _opts.event_id.is_not(None), _opts.opt_id.is_not(None))
        statement = select(_opts.opt_id, _opts.event_id).where(*its, _opts.cancelled_at.is_(None))
        return [(row["opt_id"], row["event_id"]) for row in await self._database.rows(statement)]

    async def schedules(self, ven_id: str) -> list[OptRow]:
        """Return the schedules of a VEN that are not over, in their order."""
        its = (_opts.ven_id == ven_id, _opts.event_id.is_(None), _opts.cancelled_at.is_(None))
        statement = select(oadr20b_opts).where(*its, _opts.ends_at > self._stamps.now)
        return [_opt(row) for row in await self._database.rows(statement.order_by(_opts.id).limit(MOST_SCHEDULES))]

    async def reports_of(self, ven_id: str, event_ids: Iterable[str]) -> dict[str, str]:
        """Return the ids of the opt reports of a VEN on some events, of those that have one."""
        its = (_deliveries.ven_id == ven_id, _deliveries.event_id.in_(list(event_ids)))
        statement = select(_deliveries.event_id, _deliveries.report_id).where(*its, _deliveries.report_id.is_not(None))
        return {row["event_id"]: row["report_id"] for row in await self._database.rows(statement)}

    async def reported(self, ven_id: str, written: Mapping[str, str | None]) -> None:
        """Note that everything said of events is in their reports; None: there is no event to report on any more."""
        if not written:
            return
        async with self._database.write() as connection:
            await connection.execute(
                _REPORTED,
                [
                    {"of_ven": ven_id, "of_event": event_id, "in_report": written[event_id]}
                    for event_id in sorted(written)
                ],
            )

    async def reports_due(self, ven_id: str) -> list[str]:
        """Return the events of which something that a VEN said is not in its report: the process was killed between."""
        its = (_deliveries.ven_id == ven_id, _deliveries.is_report_due.is_(True))
        rows = await self._database.rows(select(_deliveries.event_id).where(*its).distinct().limit(MOST_SAID))
        return [row["event_id"] for row in rows]

    async def resource_names(self, ven_id: str, names: Iterable[str]) -> frozenset[str]:
        """Return those of some names that resources of a VEN have."""
        its = select(resources.c.name).where(resources.c.ven_id == ven_id, resources.c.name.in_(list(names)))
        return frozenset(row["name"] for row in await self._database.rows(its))

    async def carriers(self, ven_id: str) -> dict[str, str]:
        """Return the events that carry what belongs to no event of a VEN, by program."""
        its = oadr20b_carriers.c
        rows = await self._database.rows(select(its.program_id, its.event_id).where(its.ven_id == ven_id))
        return {row["program_id"]: row["event_id"] for row in rows}

    async def program_in(self, market_context: str, base_url: str) -> str | None:
        """Return the program that a market context names; None if it names none."""
        plain = market_context.removeprefix(f"{base_url}/programs/") if market_context.startswith(base_url) else ""
        issue = select(oadr20b_events.c.program_id).where(oadr20b_events.c.market_context == market_context)
        its = select(programs.c.id).where(or_(programs.c.id == plain, programs.c.id.in_(issue.limit(1))))
        row = await self._database.row(its.limit(1))
        return None if row is None else row["id"]

    async def _reports_due(self, connection: AsyncConnection, ven_id: str, event_ids: Iterable[str | None]) -> None:
        its = [event_id for event_id in event_ids if event_id is not None]
        if its:
            due = update(oadr20b_deliveries).where(_deliveries.ven_id == ven_id, _deliveries.event_id.in_(its))
            await connection.execute(due.values(is_report_due=True))


_ANSWERED: Final = (
    update(oadr20b_deliveries)
    .where(
        _deliveries.ven_id == bindparam("of_ven"),
        _deliveries.event_id == bindparam("of_event"),
        _deliveries.issue == bindparam("of_issue"),
    )
    .values(
        answered_number=bindparam("to_number"),
        answered_at=bindparam("at"),
        opt_type=bindparam("said_type"),
        response_code=bindparam("said_code"),
        due_at=None,
        is_closed=or_(_deliveries.is_closed, bindparam("closes", type_=_deliveries.is_closed.type)),
        is_report_due=True,
    )
)


_REPORTED: Final = (
    update(oadr20b_deliveries)
    .where(_deliveries.ven_id == bindparam("of_ven"), _deliveries.event_id == bindparam("of_event"))
    .values(is_report_due=False, report_id=bindparam("in_report"))
)


def _windows_in(content: str) -> int:
    return len(msgspec.json.decode(content, type=_Content).windows)


def _same(row: RowMapping, said: OptRow) -> bool:
    """Return True if an opt says what another one says, whenever it came."""
    return all(
        row[name] == value for name, value in asdict(said).items() if name not in {"received_at", "cancelled_at"}
    )


def _opt(row: Mapping[Any, Any]) -> OptRow:
    return OptRow(**{name: row[name] for name in OptRow.__struct_fields__})
