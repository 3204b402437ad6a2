"""Keep the stretches in which circuits are curtailed, what became of each circuit, and the frozen baselines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ven.panel.curtailment import CircuitPlan
from ven.panel.stretches import CurtailmentRun
from ven.panel.tally import Tally
from ven.records import Stretch
from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us

_PUT = """
    insert into stretch (
        id, event_id, interval_id, payload_type, start, end, requested_kw, unmet_kw, ended_at, value_start,
        correction_kw, covered_us, requested, net
    ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (id) do update set start = excluded.start, end = excluded.end, requested_kw = excluded.requested_kw,
        unmet_kw = excluded.unmet_kw, ended_at = excluded.ended_at, correction_kw = excluded.correction_kw,
        covered_us = excluded.covered_us, requested = excluded.requested, net = excluded.net
"""
_PUT_CIRCUIT = """
    insert into stretch_circuit (
        stretch_id, circuit_id, place, original_kw, shed_kw, final_kw, covered_us, requested, original, drawn, delivered
    ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class StretchRecords:
    """Keep stretches by their number, and the baseline of each event. What is put is written with the journal."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def baselines(self) -> dict[str, dict[str, Decimal]]:
        """Return the frozen power of the circuits in kW, by event id and circuit id."""
        found: dict[str, dict[str, Decimal]] = {}
        for event_id, circuit_id, kw in await self._file.rows("select event_id, circuit_id, kw from baseline"):
            found.setdefault(event_id, {})[circuit_id] = Decimal(kw)
        return found

    def put_baseline(self, event_id: str, kw: Mapping[str, Decimal]) -> None:
        """Freeze the baseline of an event: the power of its circuits in kW."""
        rows = [(event_id, circuit_id, str(value)) for circuit_id, value in kw.items()]
        self._journal.put((event_id, "baseline"), Statement("insert or replace into baseline values (?, ?, ?)", rows))

    async def all(self) -> list[CurtailmentRun]:
        """Return all stretches in the order of their numbers, each with what became of it."""
        circuits: dict[int, list[sqlite3.Row]] = {}
        rows = await self._file.rows(
            "select stretch_id, circuit_id, original_kw, shed_kw, curtailed_kw, final_kw, covered_us, requested,"
            " original, drawn, delivered from stretch_circuit order by stretch_id, place"
        )
        for row in rows:
            circuits.setdefault(row[0], []).append(row)
        rows = await self._file.rows(
            "select id, event_id, interval_id, payload_type, value_start, start, end, requested_kw, unmet_kw,"
            " correction_kw, ended_at, covered_us, requested, net from stretch order by id"
        )
        return [_run(row, circuits.get(row[0], ())) for row in rows]

    def put(self, run: CurtailmentRun) -> None:
        """Keep a stretch as it is now, instead of what was kept of it before."""
        stretch, asked = run.stretch, run.asked
        row = (
            *(stretch.id, stretch.event_id, stretch.interval_id, stretch.payload_type),
            *(to_us(stretch.start), to_us(stretch.end), str(stretch.requested_kw), str(stretch.unmet_kw)),
            *(to_us(stretch.ended_at), to_us(stretch.value_start), str(stretch.correction_kw)),
            *(asked.covered_us, str(asked.requested), str(asked.delivered)),
        )
        circuits = [_circuit_row(run, place, each) for place, each in enumerate(stretch.plan)]
        self._journal.put(
            (stretch.event_id, "stretch", str(stretch.id)),
            Statement(_PUT, [row]),
            Statement("delete from stretch_circuit where stretch_id = ?", [(stretch.id,)]),
            Statement(_PUT_CIRCUIT, circuits),
        )

    def forget(self, run: CurtailmentRun) -> None:
        """Forget a stretch and what became of its circuits."""
        key = (run.stretch.event_id, "stretch", str(run.stretch.id))
        self._journal.put(key, Statement("delete from stretch where id = ?", [(run.stretch.id,)]))


def _circuit_row(run: CurtailmentRun, place: int, planned: CircuitPlan) -> tuple[object, ...]:
    tally = run.circuits.get(planned.circuit_id, Tally())
    final_kw = run.final_kw.get(planned.circuit_id)
    return (
        *(run.stretch.id, planned.circuit_id, place, str(planned.original_kw), str(planned.shed_kw)),
        *(None if final_kw is None else str(final_kw), tally.covered_us),
        *(str(each) for each in (tally.requested, tally.original, tally.drawn, tally.delivered)),
    )


def _run(row: sqlite3.Row, circuits: Iterable[sqlite3.Row]) -> CurtailmentRun:
    id_, event_id, interval_id, payload_type, value_start, start, end, requested, unmet, correction, ended = row[:11]
    covered_us, requested_sum, net = row[11:]
    circuits = tuple(circuits)
    stretch = Stretch(
        id=id_,
        event_id=event_id,
        interval_id=interval_id,
        payload_type=payload_type,
        value_start=to_instant(start if value_start is None else value_start),
        start=to_instant(start),
        end=to_instant(end),
        requested_kw=Decimal(requested),
        unmet_kw=Decimal(unmet),
        plan=tuple(CircuitPlan(each[1], Decimal(each[2]), Decimal(each[3])) for each in circuits),
        correction_kw=Decimal(correction),
        ended_at=to_instant(ended),
    )
    tallies = {each[1]: _tally(each, (ended or start) - start) for each in circuits}
    known = [tally for tally in tallies.values() if tally.covered_us]
    asked = Tally(covered_us, Decimal(requested_sum), delivered=Decimal(net))
    if not covered_us and known:  # written by an older version, which knew no net
        delivered = sum((tally.delivered for tally in known), Decimal(0))
        asked = Tally((ended or start) - start, stretch.requested_kw * ((ended or start) - start), delivered=delivered)
    return CurtailmentRun(
        stretch,
        asked,
        {id_: tally for id_, tally in tallies.items() if tally.covered_us},
        {each[1]: Decimal(each[5]) for each in circuits if each[5] is not None},
    )


def _tally(row: sqlite3.Row, length_us: int) -> Tally:
    original_kw, shed_kw, mean_kw = Decimal(row[2]), Decimal(row[3]), row[4]
    covered_us, *sums = row[6:]
    if covered_us or mean_kw is None:
        return Tally(covered_us, *(Decimal(each) for each in sums))
    delivered_kw = original_kw - Decimal(mean_kw) if shed_kw > 0 else Decimal(0)
    return Tally(length_us, *(kw * length_us for kw in (shed_kw, original_kw, Decimal(mean_kw), delivered_kw)))
