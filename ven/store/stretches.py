"""Keep the stretches in which circuits are curtailed, what became of each circuit, and the frozen baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from ven.panel.curtailment import CircuitPlan, SheddingPlan
from ven.records import Outcome, Stretch
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_kw, to_us


class StretchRecords:
    """Keep stretches in the order in which they began, and the baseline of each event."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def baselines(self) -> dict[str, dict[str, Decimal]]:
        """Return the frozen power of the circuits in kW, by event id and circuit id."""
        found: dict[str, dict[str, Decimal]] = {}
        for event_id, circuit_id, kw in await self._file.rows("select event_id, circuit_id, kw from baseline"):
            found.setdefault(event_id, {})[circuit_id] = Decimal(kw)
        return found

    async def put_baseline(self, event_id: str, kw: Mapping[str, Decimal]) -> None:
        """Freeze the baseline of an event: the power of its circuits in kW."""
        async with self._file.transaction() as connection:
            await connection.executemany(
                "insert or replace into baseline values (?, ?, ?)",
                [(event_id, circuit_id, str(value)) for circuit_id, value in kw.items()],
            )

    async def all(self) -> list[tuple[Stretch, dict[str, Outcome]]]:
        """Return all stretches in the order in which they began, each with what became of its circuits."""
        plans, outcomes = await self._circuits()
        rows = await self._file.rows(
            "select id, event_id, interval_id, payload_type, start, end, requested_kw, unmet_kw, ended_at"
            " from stretch order by id"
        )
        stretches = [
            Stretch(
                id=id_,
                event_id=event_id,
                interval_id=interval_id,
                payload_type=payload_type,
                start=to_instant(start),
                end=to_instant(end),
                requested_kw=Decimal(requested),
                unmet_kw=Decimal(unmet),
                plan=tuple(plans.get(id_, ())),
                ended_at=to_instant(ended_at),
            )
            for id_, event_id, interval_id, payload_type, start, end, requested, unmet, ended_at in rows
        ]
        return [(stretch, outcomes.get(stretch.id, {})) for stretch in stretches]

    async def begin(
        self,
        *,
        event_id: str,
        interval_id: int,
        payload_type: str,
        start: datetime,
        end: datetime | None,
        plan: SheddingPlan,
    ) -> Stretch:
        """Keep a curtailment before it is carried out; return it with its id."""
        times_and_power = (to_us(start), to_us(end), str(plan.requested_kw), str(plan.unmet_kw))
        async with self._file.transaction() as connection:
            cursor = await connection.execute(
                "insert into stretch (event_id, interval_id, payload_type, start, end, requested_kw, unmet_kw)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (event_id, interval_id, payload_type, *times_and_power),
            )
            id_ = cursor.lastrowid or 0
            await cursor.close()
            await connection.executemany(
                "insert into stretch_circuit (stretch_id, circuit_id, place, original_kw, shed_kw)"
                " values (?, ?, ?, ?, ?)",
                [
                    (id_, each.circuit_id, place, str(each.original_kw), str(each.shed_kw))
                    for place, each in enumerate(plan.circuits)
                ],
            )
        return Stretch(
            id=id_,
            event_id=event_id,
            interval_id=interval_id,
            payload_type=payload_type,
            start=start,
            end=end,
            requested_kw=plan.requested_kw,
            unmet_kw=plan.unmet_kw,
            plan=plan.circuits,
        )

    async def end(self, stretch_id: int, ended_at: datetime, curtailed_kw: Mapping[str, Decimal]) -> None:
        """Keep that a curtailment is over, and the mean power of each circuit during it in kW."""
        async with self._file.transaction() as connection:
            await connection.execute("update stretch set ended_at = ? where id = ?", (to_us(ended_at), stretch_id))
            await connection.executemany(
                "update stretch_circuit set curtailed_kw = ? where stretch_id = ? and circuit_id = ?",
                [(str(kw), stretch_id, circuit_id) for circuit_id, kw in curtailed_kw.items()],
            )

    async def put_finals(self, stretch_id: int, final_kw: Mapping[str, Decimal]) -> None:
        """Keep the power of circuits after their return, in kW."""
        async with self._file.transaction() as connection:
            await connection.executemany(
                "update stretch_circuit set final_kw = ? where stretch_id = ? and circuit_id = ?",
                [(str(kw), stretch_id, circuit_id) for circuit_id, kw in final_kw.items()],
            )

    async def forget(self, stretch_ids: Iterable[int]) -> None:
        """Forget these stretches and what became of their circuits."""
        async with self._file.transaction() as connection:
            await connection.executemany("delete from stretch where id = ?", [(id_,) for id_ in stretch_ids])

    async def _circuits(self) -> tuple[dict[int, list[CircuitPlan]], dict[int, dict[str, Outcome]]]:
        """Return the plan of each stretch in the order of the panel, and the outcomes by circuit."""
        plans: dict[int, list[CircuitPlan]] = {}
        outcomes: dict[int, dict[str, Outcome]] = {}
        rows = await self._file.rows(
            "select stretch_id, circuit_id, original_kw, shed_kw, curtailed_kw, final_kw from stretch_circuit"
            " order by stretch_id, place"
        )
        for id_, circuit_id, original, shed, curtailed, final in rows:
            plans.setdefault(id_, []).append(CircuitPlan(circuit_id, Decimal(original), Decimal(shed)))
            outcomes.setdefault(id_, {})[circuit_id] = Outcome(to_kw(curtailed), to_kw(final))
        return plans, outcomes
