"""Meters with a real database: what is kept, found again and forgotten; and reports of large events in pages."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, func, select

from bridge_mqtt.metering.meter import MINUTE, PANEL, QUARTER, used
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.metering.retention import forget_measurements
from bridge_mqtt.model import Allocation, EventState, PanelRecord, WindowPlan
from bridge_mqtt.outcome import EventSpan
from bridge_mqtt.panels import Registry
from bridge_mqtt.pauses import WITHOUT_PAUSE
from bridge_mqtt.settings import Settings
from bridge_mqtt.status_pages import EventMemory, StatusPage, due_pages
from bridge_mqtt.store import Store, quarantine
from bridge_mqtt.store.events import StoredEvent
from bridge_mqtt.store.schema import readings as reading_rows
from bridge_mqtt.store.schema import telemetry as sample_rows
from bridge_mqtt.telemetry import TelemetryDesk
from openadr_client import Received
from openadr_profiles.fleet.reports import is_status_report, status_report_name
from openadr_profiles.panel import Telemetry
from tests.bridge_mqtt.conftest import an_event

BEGIN = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def settings_for(url: str, **changes: Any) -> Settings:
    """A bridge that takes every panel, unless told otherwise."""
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "database": {"url": url}, "unregistered": "accept"}
    return Settings.model_validate(values | changes)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store on each database."""
    opened = await Store.open(settings_for(database_url).database.url.get_secret_value())
    yield opened
    await opened.close()


def a_desk(url: str, meters: Meters) -> TelemetryDesk:
    """A desk that takes samples of every panel."""
    return TelemetryDesk(Registry(settings_for(url)), meters, quarantine_per_hour=10)


def new_meters() -> Meters:
    """Meters of a new process."""
    return Meters(offline_after_s=60, baseline_s=300)


def message(after_s: float, kw: float, ven_id: str = "panel-1", *, received_s: float | None = None) -> Received:
    """A sample of a panel with one circuit that draws half, received when it was measured unless told otherwise."""
    at = BEGIN + timedelta(seconds=after_s)
    payload = (
        f'{{"venId":"{ven_id}","usedPowerKw":{kw},"timestamp":{at.timestamp():.0f},"message_num":{after_s + 1:.0f},'
        f'"loads":[{{"id":"heater1","currentPowerKw":{kw / 2}}}]}}'
    )
    received_at = at if received_s is None else BEGIN + timedelta(seconds=received_s)
    return Received("volttron/metering", payload.encode(), received_at, retained=False)


async def feed(store: Store, desk: TelemetryDesk, messages: list[Received]) -> None:
    """Store messages as the bridge does."""
    async with store.transaction() as connection:
        await desk.take(connection, messages)
    desk.committed()


async def test_a_process_finds_again_what_the_one_before_has_counted(store: Store, database_url: str) -> None:
    """kill -9 between two batches: the sum is the same as without it, and marks that were asked for are there."""
    first = new_meters()
    edge = BEGIN + timedelta(seconds=33)
    first.want([edge], ["panel-1"])
    await feed(store, a_desk(database_url, first), [message(after_s, 6) for after_s in range(0, 60, 5)])
    second = new_meters()
    async with store.reading() as connection:
        await second.resume(connection)
    await feed(store, a_desk(database_url, second), [message(after_s, 12) for after_s in range(60, 125, 5)])
    async with store.reading() as connection:
        start = (await second.at(connection, ["panel-1"], edge))["panel-1"]
        end = (await second.at(connection, ["panel-1"], BEGIN + timedelta(seconds=120)))["panel-1"]
        between = (await second.at(connection, ["panel-1"], BEGIN + timedelta(seconds=90)))["panel-1"]
    assert not start.estimated
    assert between.estimated
    for channel, kw in ((PANEL, 1.0), ("heater1", 0.5)):
        found = used(start, end, channel)
        assert found is not None
        assert found.kwh == pytest.approx(kw * (6 * 27 + 12 * 60) / 3600, abs=1e-6)
        assert found.covered_s == pytest.approx(87)


@pytest.mark.parametrize("died_in_backlog", [False, True])
async def test_what_lay_at_the_broker_while_the_bridge_was_away_counts_when_it_was_measured(
    store: Store, database_url: str, *, died_in_backlog: bool
) -> None:
    """R19: a minute of samples, ten minutes without a bridge, then all at once, perhaps in two processes."""
    live = [message(after_s, 6, received_s=after_s + 0.4) for after_s in range(0, 65, 5)]
    backlog = [message(after_s, 6, received_s=670.2) for after_s in range(65, 670, 5)]
    parts = [live, backlog[:40], backlog[40:]] if died_in_backlog else [live, backlog]
    for part in parts:
        meters = new_meters()
        async with store.transaction() as connection:
            await meters.resume(connection)
        await feed(store, a_desk(database_url, meters), part)
    counted = meters.shown(["panel-1"])["panel-1"].counts[PANEL]
    assert counted.kwh == pytest.approx(6 * 665 / 3600, abs=0.002)
    assert counted.covered_s == pytest.approx(665, abs=1)


class TurnsOfMany(Registry):
    """A registry that notes how many panels are dealt with in each turn of the event loop."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.turn = 0
        self.in_turn: Counter[int] = Counter()

    def measured(self, sample: Telemetry) -> PanelRecord:
        self.in_turn[self.turn] += 1
        return super().measured(sample)

    async def count(self) -> None:
        """Count the turns that others get, until cancelled."""
        while True:
            self.turn += 1
            await asyncio.sleep(0)


async def test_work_over_many_panels_gives_others_a_turn_after_every_few_of_them(
    store: Store, database_url: str
) -> None:
    """B1, the longest stall of the loop: samples are taken, and baselines worked out, in pieces that do not grow."""
    registry, meters = TurnsOfMany(settings_for(database_url)), new_meters()
    counting = asyncio.create_task(registry.count())
    panels = [f"panel-{number}" for number in range(300)]
    desk = TelemetryDesk(registry, meters, quarantine_per_hour=10)
    await feed(store, desk, [message(after_s, 6, ven_id) for after_s in (0, 5) for ven_id in panels])
    assert sum(registry.in_turn.values()) == 2 * len(panels)
    assert max(registry.in_turn.values()) <= WITHOUT_PAUSE

    async with store.reading() as connection:
        began = registry.turn
        found = await meters.baselines(connection, dict.fromkeys(panels), BEGIN + timedelta(seconds=5))
    counting.cancel()
    assert len(found) == len(panels)
    pauses = len(panels) // WITHOUT_PAUSE - 1
    assert registry.turn - began >= 3 * pauses, "two readings of each, and what they make"


async def test_a_batch_that_is_tried_again_counts_once(store: Store, database_url: str) -> None:
    """The database fails at the end of a transaction: the readings of that batch are stored with the next try."""
    meters = new_meters()
    desk = a_desk(database_url, meters)
    messages = [message(after_s, 6) for after_s in range(0, 130, 5)]

    async def fail() -> None:
        async with store.transaction() as connection:
            await desk.take(connection, messages)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await feed(store, desk, messages)
    async with store.reading() as connection:
        minutes = select(func.count()).select_from(reading_rows).where(reading_rows.c.kind == MINUTE)
        assert (await connection.execute(minutes)).scalar_one() == 2
        assert (await connection.execute(select(func.count()).select_from(sample_rows))).scalar_one() == len(messages)
    shown = meters.shown(["panel-1"])["panel-1"]
    assert shown.counts[PANEL].kwh == pytest.approx(6 * 125 / 3600)


async def test_a_baseline_leaves_out_the_event_before_and_needs_more_than_one_sample(
    store: Store, database_url: str
) -> None:
    """No. 34: the mean of five minutes, of a panel that is free for two of them the mean of these two."""
    meters = new_meters()
    desk = a_desk(database_url, meters)
    messages = [message(after_s, 3 if after_s < 180 else 9) for after_s in range(0, 300, 5)]
    await feed(store, desk, [*messages, message(299, 5, "panel-2")])
    now = BEGIN + timedelta(seconds=300)
    async with store.reading() as connection:
        free_since = BEGIN + timedelta(seconds=180)
        (free,) = await meters.baselines(connection, {"panel-1": free_since}, now)
        (whole,) = await meters.baselines(connection, {"panel-1": None}, now)
        assert await meters.baselines(connection, {"panel-3": None}, now) == []
    assert (free.power_kw, free.circuits_kw) == (9, {"heater1": 4.5})
    assert whole.power_kw == pytest.approx((3 * 180 + 9 * 120) / 300)


@pytest.mark.parametrize("restarted", [False, True])
async def test_baselines_take_as_many_statements_for_many_panels_as_for_one(
    store: Store, database_url: str, *, restarted: bool
) -> None:
    """Two events close together: each panel is free since a moment of its own, and a new process has to look it up."""
    meters = new_meters()
    ven_ids = [f"panel-{number:02}" for number in range(50)]
    messages = [message(after_s, 3 if after_s < 120 else 9, each) for after_s in range(0, 301, 20) for each in ven_ids]
    await feed(store, a_desk(database_url, meters), messages)
    if restarted:
        meters = new_meters()
        async with store.reading() as connection:
            await meters.resume(connection)
    free = {ven_id: BEGIN + timedelta(seconds=121 + number) for number, ven_id in enumerate(ven_ids)}
    counted: list[str] = []
    event.listen(store._engine.sync_engine, "before_cursor_execute", lambda *given: counted.append(given[2]))

    async def statements(free_since: dict[str, datetime]) -> int:
        counted.clear()
        async with store.reading() as connection:
            found = await meters.baselines(connection, free_since, BEGIN + timedelta(seconds=300))
        assert {each.ven_id: each.power_kw for each in found} == dict.fromkeys(free_since, 9)
        return len(counted)

    one = await statements({"panel-07": free["panel-07"]})
    assert await statements(free) == one


async def test_samples_and_minutes_are_forgotten_and_quarters_stay(store: Store, database_url: str) -> None:
    """No. 43: in pieces; what is left gives the same energy."""
    meters = new_meters()
    await feed(store, a_desk(database_url, meters), [message(after_s, 6) for after_s in range(0, 1_900, 20)])
    await forget_measurements(
        store.transaction, BEGIN + timedelta(days=30, seconds=1_000), samples_days=30, minutes_days=29.99
    )
    async with store.reading() as connection:
        statement = select(reading_rows.c.kind, func.count()).group_by(reading_rows.c.kind)
        kinds = {row[0]: row[1] for row in await connection.execute(statement)}
        oldest = (await connection.execute(select(func.min(sample_rows.c.received_at)))).scalar_one()
        fresh = new_meters()
        await fresh.resume(connection)
        quarter = BEGIN + timedelta(seconds=900)
        start = (await fresh.at(connection, ["panel-1"], quarter))["panel-1"]
        end = (await fresh.at(connection, ["panel-1"], quarter + timedelta(seconds=900)))["panel-1"]
    assert kinds == {QUARTER: 2}
    assert oldest == BEGIN + timedelta(seconds=1_000)
    found = used(start, end, PANEL)
    assert found is not None
    assert found.kwh == pytest.approx(6 * 900 / 3600)


async def test_strangers_cost_as_many_statements_as_one_of_them(store: Store, database_url: str) -> None:
    """Rule R17: anybody can send metering of panels that are not registered, as much as he likes."""
    registry = Registry(settings_for(database_url, unregistered="quarantine", panels=[{"id": "home-1"}]))
    desk = TelemetryDesk(registry, new_meters(), quarantine_per_hour=60)
    counted: list[str] = []
    event.listen(store._engine.sync_engine, "before_cursor_execute", lambda *given: counted.append(given[2]))

    async def statements(messages: list[Received]) -> int:
        counted.clear()
        await feed(store, desk, messages)
        return len(counted)

    one = await statements([message(0, 6)])
    assert await statements([message(after_s, 6, f"panel-{after_s}") for after_s in range(50)]) == one
    async with store.reading() as connection:
        assert len(await quarantine.newest(connection, 100)) == 51


def a_stored_event(ended_at: datetime | None = None) -> StoredEvent:
    """An event that goes on."""
    return StoredEvent(
        event=an_event("evt-1", start=BEGIN),
        received_at=BEGIN,
        state=EventState.ACTIVE,
        reason=None,
        withdrawn_at=None,
        ended_at=ended_at,
    )


def test_only_pages_that_changed_are_written_and_the_measured_ones_take_turns() -> None:
    """B2: of 2,000 panels one answers, and one page of ten is due; later four at a time for what they measure."""
    ven_ids = [f"panel-{number:04}" for number in range(2_000)]
    parts = {ven_id: Allocation(ven_id=ven_id, requested_kw=Decimal(1), capability_kw=Decimal(2)) for ven_id in ven_ids}
    plan = WindowPlan(event_id="evt-1", start=BEGIN, end=None, request="r", request_kw=Decimal(2_000), parts=parts)
    spans = [EventSpan(id=0, start=BEGIN, end=BEGIN + timedelta(hours=1), plan=plan)]
    memory, stored = EventMemory(), a_stored_event()

    def write(said: set[str], after_s: float) -> list[int]:
        now = BEGIN + timedelta(seconds=after_s)
        due = due_pages(memory, stored, spans, ven_ids, said, now, all_returned=False)
        for page in due:
            memory.pages[page.key] = StatusPage(page.stamp, now, None, page.is_final)
        return [page.number for page in due]

    assert write(set(), 0) == list(range(10))
    assert write({"panel-0450"}, 1) == [2]
    assert write({"panel-0450"}, 2) == []
    assert write({"panel-0450"}, 30) == [0, 1, 3, 4]
    assert write({"panel-0450"}, 31) == [5, 6, 7, 8]
    assert write({"panel-0450"}, 32) == [9, 2]
    assert write({"panel-0450"}, 3_601) == list(range(10))  # the interval is over
    assert write({"panel-0450"}, 3_700) == []


def test_a_page_is_known_by_its_name() -> None:
    """Readers take together what belongs together, and nothing else."""
    assert is_status_report(status_report_name("evt-1"), "evt-1")
    assert is_status_report(status_report_name("evt-1", "1795453200-3"), "evt-1")
    assert not is_status_report(status_report_name("evt-10"), "evt-1")
    assert not is_status_report(None, "evt-1")
