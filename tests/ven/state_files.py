"""State files of every version with real content, and what each must still say after an upgrade.

``data/state-1.sql`` was dumped from a file that the program of version 1 had written, with its own `Store`. Every later
version gets a file of its own, written by the program of that version.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.ven.builders import START, a_circuit, a_piece, a_program, shed_event
from ven.decision import Decision, OptChoice, OptScope, ScopeKind
from ven.panel.curtailment import plan_shedding
from ven.panel.meter import PowerReading
from ven.panel.ownership import Override, OwnLimit
from ven.panel.stretches import CurtailmentRun
from ven.panel.tally import NO_TALLY
from ven.records import Decided, Outgoing, PastDecision, ReceivedEvent, Stretch
from ven.store import StateFile

HOUR = timedelta(hours=1)
DUMPS = {int(file.stem.partition("-")[2]): file for file in (Path(__file__).parent / "data").glob("state-*.sql")}

_CIRCUITS = [
    a_circuit("fridge", critical=True),
    a_circuit("heater", shed_share=Decimal("0.5")),
    a_circuit("ev", priority=9),
]
_KW = {"fridge": Decimal("0.2"), "heater": Decimal("2.000"), "ev": Decimal("7.25")}
_DRAWN = {"fridge": Decimal("0.19"), "heater": Decimal(2), "ev": Decimal("5.25")}
_OVERRIDE = Override("heater", START + HOUR, "switched on by hand – „selbst“", frozenset({"e1", "e2"}))
_KNOWS_OWN_LIMITS = 4
_KNOWS_OPTS = 5
_KNOWS_MINUTES = 9
_PACKED = bytes(range(240)) * 2
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
    store.events.put_programs([a_program()])
    for event in _events():
        store.events.put(event)
    store.events.put_decision(one)
    store.events.put_decision(other)
    for choice in _choices():
        store.opts.put_choice(choice)
    for past in _past():
        store.opts.add_past(past)
    store.stretches.put_baseline("e1", _KW)
    store.stretches.put(_done())
    store.stretches.put(_running())
    for own in _own_limits():
        store.own_limits.put(own)
    store.own_limits.put_override(_OVERRIDE)
    assert await store.journal.flush()
    for hour in range(3):
        store.load_profile.put(a_piece(hour))
    store.reports.put_targets({"ev": ("north",)})
    store.day_history.put(START, {"ev": Decimal("1.5")}, keep_from=START)
    store.power_trace.put(START, _PACKED, keep_from=START)
    store.reports.put("opt-e1", "e1", b'{"eventID": "e1"}', expires_at=START + 25 * HOUR, may_exist=False)
    assert await store.journal.flush()
    (opt,) = await store.reports.unsent()
    await store.reports.mark_tried(opt)
    await store.reports.mark_sent(opt, "report-7")
    store.reports.put("status-e1", "e1", b'{"a": 1}', expires_at=None, may_exist=True)
    for body in (b'{"b": 1}', b'{"b": 2}'):
        store.reports.put("report-USAGE-1", "e1", body, expires_at=START + HOUR, may_exist=False)
        assert await store.journal.flush()
    cursors = {"0123456789abcdef": START}
    store.reports.add({"report-2": b"{}"}, "e1", cursors=cursors, expires_at=None, may_exist=False)
    store.reports.put("refused", "e1", b"{}", expires_at=None, may_exist=False)
    assert await store.journal.flush()
    for each in await store.reports.unsent():
        if each.name in {"report-2", "refused"}:
            await store.reports.give_up(each)


async def check(store: StateFile, version: int) -> None:
    """Assert that nothing that a file of this version held is lost or changed, and that it can be written to."""
    assert store.created_at == START - HOUR
    assert await store.events.programs() == [a_program()]
    assert await store.events.all() == _events()
    assert await store.events.decisions() == _decisions()
    assert await store.opts.choices() == (_choices() if version >= _KNOWS_OPTS else [])
    assert await store.opts.past() == (_past() if version >= _KNOWS_OPTS else [])
    assert await store.stretches.baselines() == {"e1": _KW}
    await _check_stretches(store)
    assert await store.own_limits.own() == (_own_limits() if version >= _KNOWS_OWN_LIMITS else [])
    assert await store.own_limits.overrides() == ([_OVERRIDE] if version >= _KNOWS_OWN_LIMITS else [])
    assert await store.power_trace.all() == ({START: _PACKED} if version >= _KNOWS_MINUTES else {})
    assert await store.reports.unsent() == [  # both may have been tried: they are of an earlier run
        Outgoing("status-e1", "e1", b'{"a": 1}', 1, None, True, None),
        Outgoing("report-USAGE-1", "e1", b'{"b": 2}', 2, None, True, START + HOUR),
    ]
    assert [store.reports.knows(name) for name in ("opt-e1", "refused", "never")] == [True, True, False]
    store.reports.put("opt-e1", "e1", b"{}", expires_at=None, may_exist=False)
    assert await store.journal.flush()
    first = (await store.reports.unsent())[0]
    assert (first.name, first.revision, first.vtn_id) == ("opt-e1", 2, "report-7")


async def _check_stretches(store: StateFile) -> None:
    """Versions before 3 knew no sums; what they knew of a stretch must come to the same."""
    done, running = await store.stretches.all()
    assert (done.stretch, running.stretch) == (_done().stretch, _running().stretch)
    assert done.final_kw == {"fridge": Decimal("0.21"), "ev": Decimal("7.1")}
    assert {id_: tally.mean and tally.mean.drawn_kw for id_, tally in done.circuits.items()} == _DRAWN
    assert {id_: tally.mean and tally.mean.delivered_kw for id_, tally in done.circuits.items()} == {
        "fridge": Decimal(0),
        "heater": Decimal(0),
        "ev": Decimal(2),
    }
    assert done.asked.mean is not None
    assert (done.asked.mean.requested_kw, done.asked.mean.delivered_kw) == (Decimal(2), Decimal(2))
    assert (running.circuits, running.asked, running.final_kw) == ({}, NO_TALLY, {})


def _done() -> CurtailmentRun:
    run = CurtailmentRun(_stretch(1, START, START + HOUR, Decimal(2)))
    run.add(PowerReading(START, _DRAWN), START + HOUR, baseline_kw=_DRAWN | {"ev": _KW["ev"]}, hold=HOUR)
    run.stretch = replace(run.stretch, ended_at=START + HOUR)
    run.final_kw = {"fridge": Decimal("0.21"), "ev": Decimal("7.1")}
    return run


def _running() -> CurtailmentRun:
    return CurtailmentRun(_stretch(2, START + HOUR, None, Decimal(20)))


def _stretch(id_: int, start: datetime, end: datetime | None, requested_kw: Decimal) -> Stretch:
    planned = plan_shedding(_CIRCUITS, _KW, requested_kw)
    return Stretch(
        id=id_,
        event_id="e1",
        interval_id=id_ - 1,
        payload_type=_TYPE,
        value_start=start,
        start=start,
        end=end,
        requested_kw=planned.requested_kw,
        unmet_kw=planned.unmet_kw,
        plan=planned.circuits,
    )


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


def _own_limits() -> list[OwnLimit]:
    return [
        OwnLimit("ev", Decimal(0), START, seen=True),
        OwnLimit("heater", Decimal("1.250"), START + HOUR, taken=True),
    ]


def _choices() -> list[OptChoice]:
    return [
        OptChoice(OptScope(ScopeKind.ALL), opted_in=False, reason="Urlaub – „Größe“", until=None, made_at=START),
        OptChoice(OptScope(ScopeKind.EVENT, "e1"), opted_in=True, reason=None, until=START + HOUR, made_at=START),
    ]


def _past() -> list[PastDecision]:
    out = Decision.out("quiet hours 22:00-06:00 UTC")
    return [
        PastDecision(1, "e1", "shed", "peak", Decision(opted_in=True), START - HOUR, START, START + HOUR),
        PastDecision(2, "e2", None, None, out, START, START, None, reports_only=True),
    ]
