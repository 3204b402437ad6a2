import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import ven.store.reports
from tests.ven.builders import START, a_circuit, a_piece, a_program, shed_event
from ven.decision import Decision
from ven.errors import BadStore
from ven.panel.curtailment import CircuitPlan, plan_shedding
from ven.panel.load_profile import encoded
from ven.panel.meter import PowerReading
from ven.panel.stretches import CurtailmentRun
from ven.records import Decided, ReceivedEvent, Stretch
from ven.store import StateFile
from ven.store.schema import MIGRATIONS

HOLD = timedelta(seconds=30)


def a_stretch(**members: Any) -> Stretch:
    given: dict[str, Any] = {
        "id": 1,
        "event_id": "e1",
        "interval_id": 0,
        "payload_type": "SIMPLE",
        "value_start": START,
        "start": START,
        "end": None,
        "requested_kw": Decimal(1),
        "unmet_kw": Decimal(0),
        "plan": (CircuitPlan("ev", Decimal(1), Decimal(1)),),
        **members,
    }
    return Stretch(**given)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ven.sqlite3"


async def test_everything_is_there_after_opening_again(path: Path) -> None:
    received = ReceivedEvent(shed_event(-2), START, START - HOLD)
    decided = Decided("e1", START, Decision.out("no time"), START + HOLD)
    planned = plan_shedding([a_circuit("ev"), a_circuit("oven")], {"ev": Decimal("0.1")}, Decimal("0.3"))
    async with StateFile(path, now=START) as store:
        store.events.put(received)
        store.events.put_programs([a_program()])
        store.events.put_decision(decided)
        store.stretches.put_baseline("e1", {"ev": Decimal("0.1")})
        run = CurtailmentRun(a_stretch(plan=planned.circuits, interval_id=7, correction_kw=Decimal("0.25")))
        run.add(PowerReading(START, {"ev": Decimal(1)}), START + HOLD, baseline_kw={"ev": Decimal(3)}, hold=HOLD)
        run.final_kw["ev"] = Decimal("1.5")
        store.stretches.put(run)
        store.load_profile.put(a_piece())
        store.reports.put("r", "e1", b"{}", expires_at=START, may_exist=True)

    async with StateFile(path, now=START + timedelta(days=1)) as store:
        assert store.created_at == START
        assert await store.events.all() == [received]
        assert await store.events.programs() == [a_program()]
        assert await store.events.decisions() == [decided]
        assert await store.stretches.baselines() == {"e1": {"ev": Decimal("0.1")}}
        assert await store.stretches.all() == [run]
        assert await store.load_profile.all() == [encoded(a_piece())]
        (report,) = await store.reports.unsent()
        assert (report.name, report.body, report.revision, report.tried, report.vtn_id) == ("r", b"{}", 1, True, None)
        assert report.expires_at == START


async def test_forgotten_event_leaves_nothing(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        store.events.put(ReceivedEvent(shed_event(-2), START, START))
        store.stretches.put_baseline("e1", {"ev": Decimal(1)})
        store.stretches.put(CurtailmentRun(a_stretch()))
        assert await store.journal.flush()
        store.reports.put("r", "e1", b"{}", expires_at=None, may_exist=False)
        assert await store.journal.flush()
        store.events.forget("e1")
        assert await store.journal.flush()
        assert await store.events.all() == []
        assert await store.stretches.baselines() == {}
        assert await store.stretches.all() == []
        assert await store.reports.unsent() == []
    connection = sqlite3.connect(path)
    assert connection.execute("select count(*) from stretch_circuit").fetchone() == (0,)
    connection.close()


async def test_changes_of_a_stretch_are_kept(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        run = CurtailmentRun(a_stretch())
        store.stretches.put(run)
        assert await store.journal.flush()
        run.stretch = replace(run.stretch, plan=(CircuitPlan("oven", Decimal(2), Decimal(1)),), ended_at=START + HOLD)
        store.stretches.put(run)
        store.stretches.put(other := CurtailmentRun(a_stretch(id=2)))
        assert await store.journal.flush()
        assert await store.stretches.all() == [run, other]
        store.stretches.forget(other)
        assert await store.journal.flush()
        assert await store.stretches.all() == [run]


async def test_pieces_that_no_report_needs_are_dropped(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        for hour in range(4):
            store.load_profile.put(a_piece(hour))
        assert await store.journal.flush()
        store.load_profile.drop_before(a_piece(1).end)
        assert await store.journal.flush()
        assert await store.load_profile.all() == [encoded(a_piece(2)), encoded(a_piece(3))]
        store.load_profile.put(a_piece(4))
        store.load_profile.drop_before(None)
        assert await store.journal.flush()
        assert await store.load_profile.all() == []


async def test_revision_written_while_sending_is_sent_next(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        store.reports.put("r", "e1", b"1", expires_at=None, may_exist=False)
        assert await store.journal.flush()
        (first,) = await store.reports.unsent()
        store.reports.put("r", "e1", b"2", expires_at=None, may_exist=False)
        assert await store.journal.flush()
        await store.reports.mark_sent(first, "id-1")
        (second,) = await store.reports.unsent()
        assert (second.body, second.vtn_id, second.revision) == (b"2", "id-1", 2)
        await store.reports.mark_sent(second, "id-1")
        assert await store.reports.unsent() == []
        assert store.reports.knows("r")


async def test_only_the_revision_that_was_refused_is_given_up(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        store.reports.put("r", "e1", b"1", expires_at=None, may_exist=False)
        assert await store.journal.flush()
        (first,) = await store.reports.unsent()
        assert await store.reports.unsent(but=[first]) == []
        store.reports.put("r", "e1", b"2", expires_at=None, may_exist=False)
        assert await store.journal.flush()
        await store.reports.give_up(first)
        (second,) = await store.reports.unsent(but=[first])
        assert (second.body, second.revision) == (b"2", 2)
        await store.reports.give_up(second)
        assert await store.reports.unsent() == []


async def test_what_an_event_asked_for_is_kept_once_with_its_cursor(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        for body in (b"1", b"2"):
            store.reports.add({"report-1": body}, "e1", cursors={"d": START}, expires_at=None, may_exist=False)
            assert await store.journal.flush()
        store.reports.add({}, "e1", cursors={"d": START - HOLD, "c": START}, expires_at=None, may_exist=False)
        store.reports.put_targets({"ev": ("north",)})
    async with StateFile(path, now=START) as store:
        assert [(each.body, each.revision) for each in await store.reports.unsent()] == [(b"1", 1)]
        assert await store.reports.waiting_for() == {"e1"}
        assert await store.reports.cursors() == {"e1": {"c": START, "d": START}}
        assert await store.reports.covered() == {"e1": {"c": "", "d": ""}}
        assert await store.reports.targets() == {"ev": ("north",)}
        assert not store.reports.knows("report-1"), "their names would be one more for each window of an event"
        store.events.forget("e1")
        assert await store.journal.flush()
        assert await store.reports.cursors() == {}


async def test_reports_stay_bounded_whatever_an_event_asks_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """V10: of an event without end only the latest reports are remembered, sent or unsent; its own two stay."""
    monkeypatch.setattr(ven.store.reports, "MOST_SENT", 3)
    monkeypatch.setattr(ven.store.reports, "MOST_UNSENT", 5)
    async with StateFile(path, now=START) as store:
        store.reports.put("opt-e1", "e1", b"opt", expires_at=None, may_exist=False)
        for hour in range(20):
            cursors = {"d": START + timedelta(hours=hour)}
            store.reports.add({f"report-{hour:02}": b"{}"}, "e1", cursors=cursors, expires_at=None, may_exist=False)
            assert await store.journal.flush()
            if hour < 10:
                for each in await store.reports.unsent():
                    await store.reports.mark_sent(each, f"id-{each.name}")
        unsent = [each.name for each in await store.reports.unsent()]
    assert unsent == [f"report-{hour}" for hour in range(15, 20)]
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select name from outgoing where revision = sent_revision order by place").fetchall()
    assert [name for (name,) in rows] == ["opt-e1", "report-07", "report-08", "report-09"]


async def test_failed_transaction_leaves_nothing(path: Path) -> None:
    async with StateFile(path, now=START) as store:

        async def fail() -> None:
            async with store._file.transaction() as connection:
                await connection.execute("insert into baseline values ('e1', 'ev', '1')")
                await connection.execute("insert into baseline values ('e1', null, '2')")

        with pytest.raises(sqlite3.IntegrityError):
            await fail()
        assert await store.stretches.baselines() == {}
        store.stretches.put_baseline("e1", {"ev": Decimal(1)})
        assert await store.journal.flush()


async def test_second_process_is_refused(path: Path) -> None:
    async with StateFile(path, now=START):
        with pytest.raises(BadStore, match="by another process"):
            async with StateFile(path, now=START):
                pass


async def test_file_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table theirs (x)")
    connection.close()
    with pytest.raises(BadStore, match="database of another program"):
        async with StateFile(path, now=START):
            pass
    connection = sqlite3.connect(path)
    assert connection.execute("select name from sqlite_schema").fetchall() == [("theirs",)]
    connection.close()


@pytest.fixture
def garbage(path: Path) -> Path:
    path.write_bytes(b"no database at all" * 1000)
    return path


async def test_file_that_is_no_database_is_refused(garbage: Path) -> None:
    with pytest.raises(BadStore, match="not a database"):
        async with StateFile(garbage, now=START):
            pass


async def test_file_of_a_newer_version_is_refused(path: Path) -> None:
    async with StateFile(path, now=START):
        pass
    connection = sqlite3.connect(path)
    connection.execute("pragma user_version=99")
    connection.close()
    understood = rf"ven\.sqlite3 has version 99 .*newer program.* understands versions 1 to {len(MIGRATIONS)}$"
    with pytest.raises(BadStore, match=understood):
        async with StateFile(path, now=START):
            pass


async def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadStore, match="cannot be used"):
        async with StateFile(tmp_path / "nowhere" / "ven.sqlite3", now=START):
            pass


async def test_file_is_closed_whatever_becomes_of_what_is_pending(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that is cancelled leaves the file to the next process."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async with StateFile(path, now=START) as store:
            monkeypatch.setattr(store.journal, "close", cancelled)
    async with StateFile(path, now=START):
        pass
