"""State files of every version with real content, and what each must still say after an upgrade.

``data/state-1.sql`` was dumped from a file that the program of version 1 had written, with its own `Store`. Every later
version gets a file of its own, written by the program of that version.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from tests.ven.builders import START, a_circuit, a_program, shed_event
from ven.decision import Decision
from ven.panel.curtailment import plan_shedding
from ven.panel.meter import PowerReading
from ven.records import Decided, Outcome, Outgoing, ReceivedEvent
from ven.store import StateFile

HOUR = timedelta(hours=1)
DUMPS = {int(file.stem.partition("-")[2]): file for file in (Path(__file__).parent / "data").glob("state-*.sql")}

_CIRCUITS = [
    a_circuit("fridge", critical=True),
    a_circuit("heater", shed_share=Decimal("0.5")),
    a_circuit("ev", priority=9),
]
_KW = {"fridge": Decimal("0.2"), "heater": Decimal("2.000"), "ev": Decimal("7.25")}
_TYPE = "DISPATCH_SETPOINT_RELATIVE"


def make(version: int, path: Path) -> None:
    """Write a file of a version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(DUMPS[version].read_text(encoding="utf-8"))


def version_of(path: Path) -> int:
    """Return what the file itself says."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("pragma user_version").fetchone()[0])


async def write(store: StateFile) -> None:
    """Put into a new file what the others contain."""
    one, other = _decisions()
    await store.events.put_programs([a_program()])
    for event in _events():
        await store.events.put(event)
    await store.events.put_decision(one)
    await store.events.put_decision(other)
    await store.stretches.put_baseline("e1", _KW)
    done = await store.stretches.begin(
        event_id="e1",
        interval_id=0,
        payload_type=_TYPE,
        start=START,
        end=START + HOUR,
        plan=plan_shedding(_CIRCUITS, _KW, Decimal(2)),
    )
    await store.stretches.end(
        done.id, START + HOUR, {"fridge": Decimal("0.19"), "heater": Decimal(2), "ev": Decimal("5.25")}
    )
    await store.stretches.put_finals(done.id, {"fridge": Decimal("0.21"), "ev": Decimal("7.1")})
    await store.stretches.begin(
        event_id="e1",
        interval_id=1,
        payload_type=_TYPE,
        start=START + HOUR,
        end=None,
        plan=plan_shedding(_CIRCUITS, _KW, Decimal(20)),
    )
    for reading in _readings():
        await store.readings.put(reading, keep_from=START)
    await store.reports.put("opt-e1", "e1", b'{"eventID": "e1"}', expires_at=START + 25 * HOUR, may_exist=False)
    (opt,) = await store.reports.unsent()
    await store.reports.mark_tried("opt-e1")
    await store.reports.mark_sent(opt, "report-7")
    await store.reports.put("status-e1", "e1", b'{"a": 1}', expires_at=None, may_exist=True)
    for body in (b'{"b": 1}', b'{"b": 2}'):
        await store.reports.put("report-USAGE-1", "e1", body, expires_at=START + HOUR, may_exist=False)
    await store.reports.put("refused", "e1", b"{}", expires_at=None, may_exist=False)
    await store.reports.give_up("refused")


async def check(store: StateFile) -> None:
    """Assert that nothing of the content is lost or changed, and that it can be written to."""
    assert store.created_at == START - HOUR
    assert await store.events.programs() == [a_program()]
    assert await store.events.all() == _events()
    assert await store.events.decisions() == _decisions()
    assert await store.stretches.baselines() == {"e1": _KW}
    await _check_stretches(store)
    assert await store.readings.between(START, START + 2 * HOUR, hold=HOUR) == _readings()
    assert await store.reports.unsent() == [
        Outgoing("status-e1", "e1", b'{"a": 1}', 1, None, True, None),
        Outgoing("report-USAGE-1", "e1", b'{"b": 2}', 2, None, False, START + HOUR),
    ]
    assert [await store.reports.has(name) for name in ("opt-e1", "refused", "never")] == [True, True, False]
    await store.reports.put("opt-e1", "e1", b"{}", expires_at=None, may_exist=False)
    first = (await store.reports.unsent())[0]
    assert (first.name, first.revision, first.vtn_id) == ("opt-e1", 2, "report-7")


async def _check_stretches(store: StateFile) -> None:
    (done, outcomes), (running, none_yet) = await store.stretches.all()
    assert (done.id, done.start, done.end, done.ended_at) == (1, START, START + HOUR, START + HOUR)
    assert done.plan == plan_shedding(_CIRCUITS, _KW, Decimal(2)).circuits
    assert outcomes == {
        "fridge": Outcome(Decimal("0.19"), Decimal("0.21")),
        "heater": Outcome(Decimal(2), None),
        "ev": Outcome(Decimal("5.25"), Decimal("7.1")),
    }
    assert (running.id, running.interval_id, running.payload_type) == (2, 1, _TYPE)
    assert (running.start, running.end, running.ended_at) == (START + HOUR, None, None)
    assert (running.requested_kw, running.unmet_kw) == (Decimal(20), Decimal("11.7500"))
    assert none_yet == {"fridge": Outcome(), "heater": Outcome(), "ev": Outcome()}


def _events() -> list[ReceivedEvent]:
    return [
        ReceivedEvent(shed_event(-2, -1), START - HOUR / 2, START - HOUR),
        ReceivedEvent(shed_event(2, id_="e2", type_="SIMPLE", start=None, units=None), START, START),
    ]


def _decisions() -> list[Decided]:
    quiet = Decision.out("ruhige Zeit 22:00–06:00 („Größe“)")
    return [
        Decided("e1", START - HOUR, Decision(opted_in=True), START - HOUR),
        Decided("e2", START - HOUR, quiet, START),
    ]


def _readings() -> list[PowerReading]:
    return [
        PowerReading(
            START + HOUR + number * timedelta(seconds=10),
            {"fridge": Decimal("0.2"), "ev": Decimal("0.001") * number},
        )
        for number in range(3)
    ]
