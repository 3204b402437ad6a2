"""Store what VENs of OpenADR 2.0b can report, what they were asked for, and which reports their values are in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import case, delete, func, insert, select, update

from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.fact_cache import FactCache
from vtn.store.failures import ConstraintViolated
from vtn.store.stamps import Stamps
from vtn.store.tables import programs, vens
from vtn.store.upserts import insert_into
from vtn.store.v20b.outbox import Outbox20b
from vtn.store.v20b.report_rows import ENDED, OPEN, AskedReport, NewRequest, RequestState, asked_in, values_of
from vtn.store.v20b.tables import oadr20b_capabilities, oadr20b_carriers, oadr20b_report_requests, oadr20b_vens

ASK: Final = "oadrCreateReport"
CANCEL_REPORT: Final = "oadrCancelReport"
_REMEMBERED: Final = 50_000


class ReportStore20b:
    """Capabilities and requests of each VEN; what is to be told to it goes into the outbox in the same transaction."""

    def __init__(self, database: Database, stamps: Stamps, outbox: Outbox20b) -> None:
        self._database = database
        self._stamps = stamps
        self._outbox = outbox
        self._up_to_date: FactCache[bool] = FactCache(database.watch(programs), most=_REMEMBERED)
        self._standing: FactCache[str] = FactCache(database.watch(oadr20b_capabilities), most=_REMEMBERED)

    async def up_to_date(self, ven_id: str, state: str, look: Callable[[], Awaitable[bool]]) -> bool:
        """Return True if ``look`` found nothing to do for a VEN, now or earlier in the same state.

        All that decides what the VEN is asked for, but for programs, is in the text ``state``, and so is what it was
        asked for: a state that comes back needs as little as before.
        """
        return await self._up_to_date.get(f"{ven_id} {state}", look, is_lasting=bool)

    async def standing(self, ven_id: str) -> str:
        """Return a text of what a VEN offers and which requests it has; empty if it offers nothing and has none.

        Such a VEN is asked for something only after it has offered some. No two sets of requests have the same text.
        """

        async def look() -> str:
            capabilities, requests = oadr20b_capabilities.c, oadr20b_report_requests.c
            since = select(func.max(capabilities.registered_at)).where(capabilities.ven_id == ven_id).scalar_subquery()
            asked = select(
                func.max(requests.created_at).label("last"), func.count().label("count"), since.label("since")
            )
            row = await self._database.row(asked.where(requests.ven_id == ven_id))
            return "" if row is None or not (row["since"] or row["count"]) else " ".join(map(str, row.values()))

        return await self._standing.get(ven_id, look)

    async def capabilities(self, ven_id: str) -> Sequence[str]:
        """Return what a VEN can report, each as JSON."""
        its = select(oadr20b_capabilities.c.content).where(oadr20b_capabilities.c.ven_id == ven_id)
        rows = await self._database.rows(its.order_by(oadr20b_capabilities.c.specifier_id))
        return [row["content"] for row in rows]

    async def capability(self, ven_id: str, specifier_id: str) -> str | None:
        """Return one report that a VEN can give, as JSON; None if it has none of this name."""
        its = select(oadr20b_capabilities.c.content).where(
            oadr20b_capabilities.c.ven_id == ven_id, oadr20b_capabilities.c.specifier_id == specifier_id
        )
        row = await self._database.row(its)
        return None if row is None else str(row["content"])

    async def replace_capabilities(self, ven_id: str, given: Sequence[tuple[str, str, str]]) -> None:
        """Put what a VEN can report in the place of all it could: specifier, name and content of each (B-RPT-004)."""
        rows = [
            {
                "ven_id": ven_id,
                "specifier_id": specifier_id,
                "name": name,
                "content": content,
                "registered_at": self._stamps.now,
            }
            for specifier_id, name, content in given
        ]
        its_ven = select(oadr20b_vens.c.ven_id).where(oadr20b_vens.c.ven_id == ven_id).with_for_update()
        async with self._database.write() as connection:
            await connection.execute(its_ven)  # one list after the other, if it sends several at once
            await connection.execute(delete(oadr20b_capabilities).where(oadr20b_capabilities.c.ven_id == ven_id))
            if rows:
                await connection.execute(insert(oadr20b_capabilities), rows)

    async def requests(self, ven_id: str) -> Sequence[AskedReport]:
        """Return all requests of a VEN, the oldest first."""
        its = select(oadr20b_report_requests).where(oadr20b_report_requests.c.ven_id == ven_id)
        order = (oadr20b_report_requests.c.created_at, oadr20b_report_requests.c.id)
        return [asked_in(row) for row in await self._database.rows(its.order_by(*order))]

    async def request(self, ven_id: str, id_: str) -> AskedReport | None:
        """Return one request of a VEN; None if it has none of this id."""
        its = select(oadr20b_report_requests).where(
            oadr20b_report_requests.c.ven_id == ven_id, oadr20b_report_requests.c.id == id_
        )
        row = await self._database.row(its)
        return None if row is None else asked_in(row)

    async def change(
        self, ven_id: str, *, new: Sequence[NewRequest], cancelled: Collection[str], forgotten: Collection[str]
    ) -> None:
        """Ask a VEN for more, and for some no more: ``cancelled`` it is told of, ``forgotten`` are over anyway."""
        table = oadr20b_report_requests
        async with self._database.write() as connection:
            if forgotten:
                await connection.execute(delete(table).where(table.c.ven_id == ven_id, table.c.id.in_(forgotten)))
            if cancelled:
                its = (table.c.ven_id == ven_id, table.c.id.in_(cancelled))
                unheard = delete(table).where(*its, table.c.state == RequestState.ASKED)
                await connection.execute(unheard)
                changed = update(table).where(*its).values(state=RequestState.CANCELLED, silent_at=None)
                if (await connection.execute(changed.returning(table.c.id))).first() is not None:
                    await self._outbox.put_in(connection, ven_id, CANCEL_REPORT)
            if new:  # another process may be asking for some of them at this moment
                asked = insert_into(table, sqlite=self._database.is_sqlite).on_conflict_do_nothing()
                created_at = self._stamps.next()
                await connection.execute(asked, [values_of(ven_id, each, created_at) for each in new])
                await self._outbox.put_in(connection, ven_id, ASK)
            await _announce_in(connection, ven_id)

    async def told(self, ven_id: str, *, piggyback: bool) -> Sequence[AskedReport]:
        """Return what a VEN is asked for and has not answered, and note that it is told now."""
        table = oadr20b_report_requests
        changed = (
            update(table).where(table.c.ven_id == ven_id, table.c.state.in_(OPEN)).values(state=RequestState.OFFERED)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(changed.returning(*table.c))).mappings().all()
            if rows and piggyback:
                await self._outbox.acknowledged_in(connection, ven_id, ASK)
                await self._outbox.put_in(connection, ven_id, ASK, is_offered=True)
        return sorted((asked_in(row) for row in rows), key=lambda each: each.id)

    async def answered(self, ven_id: str, accepted: Collection[str], *, patience: Mapping[str, float | None]) -> int:
        """Take a VEN's answer to what it was told; return the number of requests that it did not accept.

        ``patience`` is how long, in seconds, values of a request may be missing; None: they may.
        """
        table = oadr20b_report_requests
        offered = (table.c.ven_id == ven_id, table.c.state == RequestState.OFFERED)
        async with self._database.write() as connection:
            for id_ in sorted(patience):
                if id_ in accepted:
                    silent_at = self._silent_at(patience[id_])
                    values = {"state": RequestState.PENDING, "silent_at": silent_at}
                    await connection.execute(update(table).where(*offered, table.c.id == id_).values(values))
            others = update(table).where(*offered).values(state=RequestState.DONE, silent_at=None)
            refused = (await connection.execute(others.returning(table.c.id))).all()
            await self._drop_in(connection, ven_id, ASK, RequestState.ASKED)
        return len(refused)

    async def told_to_stop(self, ven_id: str) -> Sequence[str]:
        """Return the ids of requests that a VEN is to be told to stop, and note that it is told now."""
        table = oadr20b_report_requests
        changed = update(table).where(table.c.ven_id == ven_id, table.c.state.in_(ENDED))
        async with self._database.write() as connection:
            rows = await connection.execute(changed.values(state=RequestState.STOPPING).returning(table.c.id))
            return sorted(str(row[0]) for row in rows.all())

    async def stopped(self, ven_id: str) -> None:
        """Forget the requests that a VEN was told to stop, and tell it of those that came since (B-RPT-015).

        What is wanted again meanwhile it is asked for anew.
        """
        table = oadr20b_report_requests
        gone = delete(table).where(table.c.ven_id == ven_id, table.c.state == RequestState.STOPPING)
        async with self._database.write() as connection:
            has_others = (await connection.execute(gone.returning(table.c.id))).first() is not None
            await self._drop_in(connection, ven_id, CANCEL_REPORT, RequestState.CANCELLED)
            if has_others:
                await _announce_in(connection, ven_id)

    async def drop(self, ven_id: str, kind: str) -> None:
        """Drop a message that was found to have no point, unless it has got one since."""
        states = ENDED if kind == CANCEL_REPORT else OPEN
        async with self._database.write() as connection:
            await self._drop_in(connection, ven_id, kind, *states)

    async def _drop_in(self, connection: AsyncConnection, ven_id: str, kind: str, *states: RequestState) -> None:
        """Drop a message; it waits anew if there are requests in some states that it is to tell of."""
        table = oadr20b_report_requests
        await self._outbox.acknowledged_in(connection, ven_id, kind)
        others = select(table.c.id).where(table.c.ven_id == ven_id, table.c.state.in_(states)).limit(1)
        if (await connection.execute(others)).first() is not None:
            await self._outbox.put_in(connection, ven_id, kind)

    async def updated(
        self, asked: AskedReport, reports: Mapping[str, str], *, patience_s: float | None, is_done: bool
    ) -> None:
        """Note that values came, and which reports they are in; what was ended meanwhile ends all the same."""
        table = oadr20b_report_requests
        state = RequestState.DONE if is_done else RequestState.PENDING
        values: dict[str, Any] = {
            "state": case((table.c.state.in_(ENDED), table.c.state), else_=state.value),
            "reports": msgspec.json.encode(reports).decode(),
            "updated_at": self._stamps.now,
            "silent_at": None if is_done else self._silent_at(patience_s),
            "is_silent": False,
        }
        async with self._database.write() as connection:
            await connection.execute(update(table).where(table.c.id == asked.id).values(values))

    async def silent(self, *, limit: int) -> Sequence[tuple[str, str, str]]:
        """Return requests whose values are overdue, each once, whichever process asks (B-RPT-024).

        Of each the name of the ven, its id, and the specifier; at most ``limit``.
        """
        table = oadr20b_report_requests
        is_late = (table.c.silent_at < self._stamps.now, table.c.is_silent.is_(False))
        its = select(table.c.id, table.c.specifier_id, vens.c.name).join_from(table, vens, vens.c.id == table.c.ven_id)
        found = {row["id"]: row for row in await self._database.rows(its.where(*is_late).limit(limit))}
        if not found:
            return []
        changed = update(table).where(table.c.id.in_(list(found)), *is_late).values(is_silent=True)
        async with self._database.write() as connection:
            ids = (await connection.execute(changed.returning(table.c.id))).scalars().all()
        return [(found[id_]["name"], id_, found[id_]["specifier_id"]) for id_ in ids]

    async def carriers(self, ven_id: str) -> Mapping[str, str]:
        """Return the carrier events of a VEN by their programs."""
        its = select(oadr20b_carriers).where(oadr20b_carriers.c.ven_id == ven_id)
        return {row["program_id"]: row["event_id"] for row in await self._database.rows(its)}

    async def add_carrier(self, ven_id: str, program_id: str, event_id: str) -> bool:
        """Remember a carrier event; return False if there is one of this VEN and program already."""
        row = {"ven_id": ven_id, "program_id": program_id, "event_id": event_id}
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(oadr20b_carriers).values(row))
        except ConstraintViolated:
            return False
        return True

    def _silent_at(self, patience_s: float | None) -> str | None:
        return None if patience_s is None else self._stamps.ago(-timedelta(seconds=patience_s))


async def _announce_in(connection: AsyncConnection, ven_id: str) -> None:
    """Tell all processes that a VEN has other requests.

    They watch what VENs offer, and not requests, which change with all values that come.
    """
    its = update(oadr20b_capabilities).where(oadr20b_capabilities.c.ven_id == ven_id)
    await connection.execute(its.values(registered_at=oadr20b_capabilities.c.registered_at))
