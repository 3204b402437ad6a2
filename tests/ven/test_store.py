import sqlite3
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.ven.builders import START, a_circuit, a_program, shed_event
from ven.decision import Decision
from ven.errors import BadStore
from ven.panel.curtailment import plan_shedding
from ven.panel.meter import PowerReading
from ven.records import Decided, Outcome, ReceivedEvent
from ven.store import StateFile
from ven.store.schema import MIGRATIONS

HOLD = timedelta(seconds=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ven.sqlite3"


async def test_everything_is_there_after_opening_again(path: Path) -> None:
    received = ReceivedEvent(shed_event(-2), START, START - HOLD)
    decided = Decided("e1", START, Decision.out("no time"), START + HOLD)
    planned = plan_shedding([a_circuit("ev"), a_circuit("oven")], {"ev": Decimal("0.1")}, Decimal("0.3"))
    async with StateFile(path, now=START) as store:
        await store.events.put(received)
        await store.events.put_programs([a_program()])
        await store.events.put_decision(decided)
        await store.stretches.put_baseline("e1", {"ev": Decimal("0.1")})
        stretch = await store.stretches.begin(
            event_id="e1", interval_id=7, payload_type="SIMPLE", start=START, end=None, plan=planned
        )
        await store.readings.put(PowerReading(START, {"ev": Decimal("0.1")}), keep_from=START)
        await store.reports.put("r", "e1", b"{}", expires_at=START, may_exist=True)

    async with StateFile(path, now=START + timedelta(days=1)) as store:
        assert store.created_at == START
        assert await store.events.all() == [received]
        assert await store.events.programs() == [a_program()]
        assert await store.events.decisions() == [decided]
        assert await store.stretches.baselines() == {"e1": {"ev": Decimal("0.1")}}
        assert await store.stretches.all() == [(stretch, {"ev": Outcome(), "oven": Outcome()})]
        assert await store.readings.between(START, START + HOLD, hold=HOLD) == [
            PowerReading(START, {"ev": Decimal("0.1")})
        ]
        (report,) = await store.reports.unsent()
        assert (report.name, report.body, report.revision, report.tried, report.vtn_id) == ("r", b"{}", 1, True, None)
        assert report.expires_at == START


async def test_forgotten_event_leaves_nothing(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        await store.events.put(ReceivedEvent(shed_event(-2), START, START))
        await store.stretches.put_baseline("e1", {"ev": Decimal(1)})
        await store.stretches.begin(
            event_id="e1",
            interval_id=0,
            payload_type="SIMPLE",
            start=START,
            end=None,
            plan=plan_shedding([a_circuit("ev")], {"ev": Decimal(1)}, Decimal(1)),
        )
        await store.reports.put("r", "e1", b"{}", expires_at=None, may_exist=False)
        await store.events.forget("e1")
        assert await store.events.all() == []
        assert await store.stretches.baselines() == {}
        assert await store.stretches.all() == []
        assert await store.reports.unsent() == []
    connection = sqlite3.connect(path)
    assert connection.execute("select count(*) from stretch_circuit").fetchone() == (0,)
    connection.close()


async def test_outcomes_of_a_stretch_are_kept(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        stretch = await store.stretches.begin(
            event_id="e1",
            interval_id=0,
            payload_type="SIMPLE",
            start=START,
            end=START + HOLD,
            plan=plan_shedding([a_circuit("ev")], {"ev": Decimal(1)}, Decimal(1)),
        )
        await store.stretches.end(stretch.id, START + HOLD, {"ev": Decimal("0.25")})
        await store.stretches.put_finals(stretch.id, {"ev": Decimal("1.5")})
        ((ended, outcomes),) = await store.stretches.all()
        assert ended.ended_at == START + HOLD
        assert outcomes == {"ev": Outcome(curtailed_kw=Decimal("0.25"), final_kw=Decimal("1.5"))}


async def test_readings_that_matter_to_nobody_are_dropped(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        for second in range(0, 100, 10):
            at = START + timedelta(seconds=second)
            await store.readings.put(PowerReading(at, {}), keep_from=at - HOLD)
        found = await store.readings.between(START, START + timedelta(hours=1), hold=HOLD)
        assert [(sample.at - START).seconds for sample in found] == [60, 70, 80, 90]


async def test_revision_written_while_sending_is_sent_next(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        await store.reports.put("r", "e1", b"1", expires_at=None, may_exist=False)
        (first,) = await store.reports.unsent()
        await store.reports.put("r", "e1", b"2", expires_at=None, may_exist=False)
        await store.reports.mark_sent(first, "id-1")
        (second,) = await store.reports.unsent()
        assert (second.body, second.vtn_id, second.revision) == (b"2", "id-1", 2)
        await store.reports.mark_sent(second, "id-1")
        assert await store.reports.unsent() == []
        assert await store.reports.has("r")


async def test_failed_transaction_leaves_nothing(path: Path) -> None:
    async with StateFile(path, now=START) as store:
        with pytest.raises(sqlite3.Error):
            await store.stretches.put_baseline("e1", {"ev": Decimal(1), None: Decimal(2)})  # type: ignore[dict-item] # on purpose
        assert await store.stretches.baselines() == {}
        await store.stretches.put_baseline("e1", {"ev": Decimal(1)})


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
