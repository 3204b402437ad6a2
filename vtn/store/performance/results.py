"""Results of events as they are kept: evaluations that are under way, drafts for a day, and frozen ones for good.

Every change names the state that it changes, so that a frozen result is never changed, and an evaluation whose result
was removed meanwhile, by whatever process, notices at its next part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import RowMapping, Select, and_, delete, insert, or_, select, update

from vtn.errors import Conflict, NotFound
from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.ids import new_id
from vtn.store.performance.tables import performance_participants, performance_results
from vtn.store.query import Page
from vtn.store.stamps import Stamps

DRAFTS_KEPT: Final = timedelta(days=1)
SILENT_FOR: Final = timedelta(minutes=5)
"""An evaluation that has not gone on for this long has lost its server."""
MOST_DRAFTS: Final = 50
_AT_ONCE: Final = 500

_results: Final = performance_results.c
_participants: Final = performance_participants.c


class ResultState(StrEnum):
    """Name how far a result is."""

    WAITING = "WAITING"
    EVALUATING = "EVALUATING"
    EVALUATED = "EVALUATED"
    FROZEN = "FROZEN"
    FAILED = "FAILED"


class ResultOrder(StrEnum):
    """Name the order of participants: by client and resource, by name, or what asks for a look first."""

    CLIENT = "client"
    NAME = "name"
    SHORT = "short"
    FACTOR = "factor"
    GAPS = "gaps"


_UNDER_WAY: Final = (ResultState.WAITING.value, ResultState.EVALUATING.value)


class EvaluationRemoved(Exception):
    """The result was removed, or given up, while it was evaluated: nobody wants it any more."""


class PerformanceStore:
    """Keeps results, each with its participants."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def ask(self, asked: Mapping[str, Any], *, by: str) -> str:
        """Note that an event is to be evaluated, and return the id of its result; drafts of yesterday are removed.

        Raises Conflict when there are as many drafts as are kept.
        """
        id_, now = new_id(), self._stamps.now
        draft = _results.state != ResultState.FROZEN.value
        old = and_(draft, _results.made_at < self._stamps.ago(DRAFTS_KEPT))
        async with self._database.write() as connection:
            await connection.execute(delete(performance_results).where(old))
            drafts = select(_results.id).where(draft).limit(MOST_DRAFTS)
            if len((await connection.execute(drafts)).all()) >= MOST_DRAFTS:
                raise Conflict(f"there are {MOST_DRAFTS} results that are not frozen: remove some of them")
            row = {"id": id_, "state": ResultState.WAITING.value, "vens_done": 0, "made_by": by, "made_at": now}
            await connection.execute(insert(performance_results).values(**asked, **row, touched_at=now))
        return id_

    async def begin(self, id_: str, vens: int) -> None:
        """Note that an evaluation begins, and for how many VENs; raises EvaluationRemoved."""
        await self._go_on(id_, ResultState.WAITING, state=ResultState.EVALUATING.value, vens=vens)

    async def add(self, id_: str, rows: Sequence[Mapping[str, Any]], *, vens_done: int) -> None:
        """Store the next participants of an evaluation; raises EvaluationRemoved."""
        try:
            async with self._database.write() as connection:
                if rows:
                    await connection.execute(insert(performance_participants), [dict(row) for row in rows])
                changed = update(performance_results).where(
                    _results.id == id_, _results.state == ResultState.EVALUATING.value
                )
                so_far = changed.values(vens_done=vens_done, touched_at=self._stamps.now)
                if not (await connection.execute(so_far)).rowcount:
                    raise EvaluationRemoved
        except ConstraintViolated:  # the row that they belong to is gone
            raise EvaluationRemoved from None

    async def finish(self, id_: str, *, inputs_sha256: str, sums: str, frozen_by: str | None = None) -> None:
        """Store the sums of an evaluation that is done, and freeze its result if asked; raises EvaluationRemoved."""
        done: dict[str, Any] = {"state": ResultState.EVALUATED.value, "inputs_sha256": inputs_sha256, "sums": sums}
        await self._go_on(id_, ResultState.EVALUATING, **(done | (self._frozen(frozen_by) if frozen_by else {})))

    async def fail(self, id_: str, trouble: str) -> None:
        """Note why a result could not be made."""
        failed = update(performance_results).where(_results.id == id_, _results.state.in_(_UNDER_WAY))
        async with self._database.write() as connection:
            await connection.execute(failed.values(state=ResultState.FAILED.value, trouble=trouble[:1000]))

    async def freeze(self, id_: str, *, by: str) -> None:
        """Keep a result for good, as it is; to freeze it again changes nothing. Raises NotFound, Conflict."""
        changed = update(performance_results).where(_results.id == id_, _results.state == ResultState.EVALUATED.value)
        async with self._database.write() as connection:
            if (await connection.execute(changed.values(**self._frozen(by)))).rowcount:
                return
        found = await self.get(id_)
        if found["state"] != ResultState.FROZEN:
            raise Conflict(f"the result is {found['state']}: only one that is EVALUATED can be frozen")

    async def remove(self, id_: str) -> None:
        """Remove a result, which ends its evaluation; raises NotFound, and Conflict for a frozen one."""
        removed = delete(performance_results).where(_results.id == id_, _results.state != ResultState.FROZEN.value)
        async with self._database.write() as connection:
            if (await connection.execute(removed)).rowcount:
                return
        await self.get(id_)
        raise Conflict("the result is frozen: it stays as it is")

    async def get(self, id_: str) -> Mapping[str, Any]:
        """Return a result; raises NotFound."""
        row = await self._database.row(select(performance_results).where(_results.id == id_))
        if row is None:
            raise NotFound
        return self._seen(row)

    async def search(self, page: Page, *, event_id: str | None = None, frozen: bool = False) -> list[Mapping[str, Any]]:
        """Return a page of results, the newest first, without their sums."""
        clauses = [] if event_id is None else [_results.event_id == event_id]
        if frozen:
            clauses.append(_results.state == ResultState.FROZEN.value)
        columns = [column for column in performance_results.c if column.name != "sums"]
        statement = select(*columns).where(*clauses).order_by(_results.made_at.desc(), _results.id.desc())
        return [self._seen(row) for row in await self._database.rows(statement.limit(page.limit).offset(page.skip))]

    async def participants(
        self, id_: str, page: Page, *, search: str | None = None, order: ResultOrder = ResultOrder.CLIENT
    ) -> Sequence[RowMapping]:
        """Return a page of the participants of a result, of all or of those with a text in their names."""
        its = _participants
        first = {
            ResultOrder.CLIENT: (),
            ResultOrder.NAME: (its.name,),
            ResultOrder.SHORT: (its.shortfall_wh.desc().nulls_last(),),
            ResultOrder.FACTOR: (its.performance_permille.asc().nulls_last(),),
            ResultOrder.GAPS: (its.gaps.desc(),),
        }[order]
        statement = select(performance_participants).where(its.result_id == id_).order_by(*first, its.position)
        if search:
            statement = statement.where(its.name.icontains(search, autoescape=True))
        return await self._database.rows(statement.limit(page.limit).offset(page.skip))

    async def each_participant(self, id_: str) -> AsyncIterator[RowMapping]:
        """Yield all participants of a result; few are in memory at once."""
        last = -1
        while rows := await self._database.rows(self._of(id_).where(_participants.position > last).limit(_AT_ONCE)):
            for row in rows:
                yield row
            last = rows[-1]["position"]

    async def differences(self, id_: str, to: str, page: Page) -> Sequence[RowMapping]:
        """Return a page of the participants of a result of whom another one says something else, or nothing.

        Those that only the other one has are there, too. ``was_`` is before the columns of the first.
        """
        before, now = performance_participants.alias("before"), performance_participants.alias("now")
        same = and_(now.c.result_id == to, now.c.client_id == before.c.client_id, now.c.resource == before.c.resource)
        kept = ("requested_wh", "delivered_wh", "shortfall_wh", "gaps")
        differs = or_(now.c.name.is_(None), *(before.c[name].is_distinct_from(now.c[name]) for name in kept))
        key = ("client_id", "resource", "name")
        changed = (
            select(
                *(before.c[name] for name in key),
                *(before.c[name].label(f"was_{name}") for name in kept),
                *(now.c[name] for name in kept),
            )
            .select_from(before.outerjoin(now, same))
            .where(before.c.result_id == id_, differs)
        )
        same_before = and_(
            before.c.result_id == id_, now.c.client_id == before.c.client_id, now.c.resource == before.c.resource
        )
        added = (
            select(
                *(now.c[name] for name in key),
                *(before.c[name].label(f"was_{name}") for name in kept),
                *(now.c[name] for name in kept),
            )
            .select_from(now.outerjoin(before, same_before))
            .where(now.c.result_id == to, before.c.result_id.is_(None))
        )
        both = changed.union_all(added).subquery()
        statement = select(both).order_by(both.c.client_id, both.c.resource)
        return await self._database.rows(statement.limit(page.limit).offset(page.skip))

    def _of(self, id_: str) -> Select[Any]:
        return select(performance_participants).where(_participants.result_id == id_).order_by(_participants.position)

    def _frozen(self, by: str) -> dict[str, Any]:
        return {"state": ResultState.FROZEN.value, "frozen_by": by, "frozen_at": self._stamps.now}

    async def _go_on(self, id_: str, was: ResultState, **values: Any) -> None:
        changed = update(performance_results).where(_results.id == id_, _results.state == was.value)
        async with self._database.write() as connection:
            if not (await connection.execute(changed.values(**values, touched_at=self._stamps.now))).rowcount:
                raise EvaluationRemoved

    def _seen(self, row: Mapping[Any, Any]) -> Mapping[str, Any]:
        """Return a result; one whose server is gone has failed."""
        if row["state"] in _UNDER_WAY and row["touched_at"] < self._stamps.ago(SILENT_FOR):
            return {**row, "state": ResultState.FAILED.value, "trouble": "the server that evaluated it was stopped"}
        return {**row}
