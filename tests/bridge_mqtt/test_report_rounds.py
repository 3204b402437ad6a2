"""What a round of reports costs while answers of a large fleet pour in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

import pytest

from bridge_mqtt import reports as rounds
from bridge_mqtt.decisions import Policy
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.model import Allocation, EventState, WindowPlan
from bridge_mqtt.outcome import EventSpan
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planner
from bridge_mqtt.reports import Reporter
from bridge_mqtt.senders import senders
from bridge_mqtt.settings import Settings
from bridge_mqtt.status_pages import PANELS_IN_PAGE, EventMemory, StatusPage, due_pages
from bridge_mqtt.store import Store, allocations, events, reports
from bridge_mqtt.store.events import StoredEvent
from tests.bridge_mqtt.conftest import an_event

BEGIN = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
VEN_IDS = [f"panel-{number:04}" for number in range(2_000)]
POLICY = Policy(
    ack_timeout=timedelta(seconds=15),
    offline_after=timedelta(seconds=60),
    least_remaining=timedelta(seconds=5),
    ping_every=timedelta(seconds=60),
    renew_before=timedelta(seconds=60),
)


class CountedAnswers(set[str]):
    """Panels that have answered, and how many panels were looked up among them."""

    looked_up = 0

    def __contains__(self, ven_id: object) -> bool:
        self.looked_up += 1
        return super().__contains__(ven_id)


def a_plan(start: datetime = BEGIN, excluded: str | None = None) -> WindowPlan:
    """A window in which each panel has a part."""
    parts = {
        ven_id: Allocation(ven_id=ven_id, requested_kw=Decimal(1), capability_kw=Decimal(2), excluded=excluded)
        for ven_id in VEN_IDS
    }
    return WindowPlan(event_id="evt-1", start=start, end=None, request="r", request_kw=Decimal(2_000), parts=parts)


def a_stored_event() -> StoredEvent:
    """An event that goes on."""
    event = an_event("evt-1", start=BEGIN, length_s=3_600)
    return StoredEvent(
        event=event, received_at=BEGIN, state=EventState.ACTIVE, reason=None, withdrawn_at=None, ended_at=None
    )


def test_a_round_looks_only_at_the_pages_of_panels_that_changed() -> None:
    """B2: one answer, or one other part, in a fleet with ten intervals behind it."""
    memory, stored = EventMemory(), a_stored_event()
    starts = [BEGIN + timedelta(seconds=60 * number) for number in range(11)]
    for start in starts:
        memory.take(a_plan(start))

    def round_of(said: set[str], after_s: float = 601) -> tuple[list[tuple[datetime, int]], int]:
        spans = [
            EventSpan(id=number, start=start, end=start + timedelta(seconds=60), plan=memory.plans[start])
            for number, start in enumerate(starts)
        ]
        answers, now = CountedAnswers(said), BEGIN + timedelta(seconds=after_s)
        memory.hear(answers)
        answers.looked_up = 0
        due = due_pages(memory, stored, spans, VEN_IDS, answers, now, all_returned=False)
        for page in due:
            memory.pages[page.key] = StatusPage(page.stamp, now, None, page.is_final)
        memory.ven_ids = VEN_IDS
        memory.written()
        return [page.key for page in due], answers.looked_up

    assert len(round_of(set())[0]) == 110
    assert round_of(set()) == ([], 0)
    assert round_of({"panel-0450"}) == ([(start, 2) for start in starts], 11 * PANELS_IN_PAGE)
    changed = {"panel-0001": Allocation(ven_id="panel-0001", requested_kw=Decimal(2), capability_kw=Decimal(2))}
    newest = memory.plans[starts[-1]]
    memory.take(WindowPlan(**{**vars(newest), "parts": newest.parts | changed}), changed)
    assert memory.latest["panel-0001"].requested_kw == 2
    assert round_of({"panel-0450"}) == ([(starts[-1], 0)], PANELS_IN_PAGE)
    assert round_of({"panel-0450"}, 661)[0] == [(starts[-1], number) for number in range(10)]  # it is over


def test_the_last_window_that_has_a_part_of_the_panel_counts() -> None:
    """Windows may be read in any order, and a split that is made anew may leave a panel out."""
    memory, later = EventMemory(), BEGIN + timedelta(seconds=60)
    first, second = a_plan(), a_plan(later, excluded="offline")
    memory.take(second)
    memory.take(first)
    assert {part.excluded for part in memory.latest.values()} == {"offline"}
    without = {ven_id: part for ven_id, part in second.parts.items() if ven_id != "panel-0001"}
    memory.take(WindowPlan(**{**vars(second), "parts": without}))
    assert {ven_id for ven_id, part in memory.latest.items() if part.excluded is None} == {"panel-0001"}
    assert "panel-0001" in memory.changes.ven_ids


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store on each database."""
    opened = await Store.open(database_url)
    yield opened
    await opened.close()


def a_reporter(store: Store, database_url: str) -> tuple[Reporter, Settings, Registry]:
    """A reporter on a fleet of which nothing was heard."""
    settings = Settings.model_validate(
        {
            "vtn": {"url": "http://vtn.example/3.1.0"},
            "database": {"url": database_url},
            "panels": [{"id": ven_id} for ven_id in VEN_IDS],
        }
    )
    registry, meters = Registry(settings), Meters(offline_after_s=60, baseline_s=300)
    planner = Planner(settings, registry, meters, policy=POLICY, started_at=BEGIN)
    reporter = Reporter(settings, store=store, registry=registry, planner=planner, meters=meters)
    return reporter, settings, registry


async def test_an_event_is_looked_at_once_a_second_while_answers_pour_in(store: Store, database_url: str) -> None:
    """What changed meanwhile is reported a second after the round before, and not forgotten."""
    reporter, _, _ = a_reporter(store, database_url)
    first = a_plan(excluded="offline")
    second = WindowPlan(**{**vars(first), "parts": a_plan(excluded="unresponsive").parts})
    async with store.transaction() as connection:
        await events.save(connection, an_event("evt-1", start=BEGIN, length_s=3_600), BEGIN)
        await events.advance(connection, "evt-1", EventState.SCHEDULED, EventState.ACTIVE, None, BEGIN)
        version = await allocations.save_plan(connection, first, None, BEGIN)

    async def opted_out_as(after_s: float) -> tuple[datetime | None, bool]:
        due = await reporter.write(BEGIN + timedelta(seconds=after_s))
        async with store.reading() as connection:
            written = await reports.of_event(connection, "evt-1")
        return due, any("unresponsive" in repr(each.report) for each in written if each.name.startswith("opt-"))

    assert (await opted_out_as(1))[1] is False
    async with store.transaction() as connection:
        first = WindowPlan(**{**vars(first), "version": version})
        await allocations.save_plan(connection, second, first, BEGIN + timedelta(seconds=1))
    assert await opted_out_as(1.5) == (BEGIN + timedelta(seconds=2), False)
    assert (await opted_out_as(2))[1] is True


async def test_what_is_written_is_sent_before_all_events_are_looked_at(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing ends when its time is over, and goes on next time with those that were not looked at."""
    monkeypatch.setattr(rounds, "_WRITING_S", 0.0)
    reporter, _, _ = a_reporter(store, database_url)
    ids = {f"evt-{number}" for number in range(3)}
    few = dict(islice(a_plan(excluded="offline").parts.items(), 3))
    async with store.transaction() as connection:
        for event_id in ids:
            await events.save(connection, an_event(event_id, start=BEGIN, length_s=3_600), BEGIN)
            await events.advance(connection, event_id, EventState.SCHEDULED, EventState.ACTIVE, None, BEGIN)
            plan = WindowPlan(**{**vars(a_plan(excluded="offline")), "event_id": event_id, "parts": few})
            await allocations.save_plan(connection, plan, None, BEGIN)

    async def written(after_s: float) -> tuple[datetime | None, int]:
        due = await reporter.write(BEGIN + timedelta(seconds=after_s))
        async with store.reading() as connection:
            return due, len([event_id for event_id in ids if await reports.names_of(connection, event_id)])

    assert await written(1) == (BEGIN + timedelta(seconds=1), 1)
    assert await written(2) == (BEGIN + timedelta(seconds=2), 2)
    assert (await written(3))[1] == 3


async def test_others_have_their_turn_while_opts_are_worked_out_that_say_the_same(
    store: Store, database_url: str
) -> None:
    """Four pages of opts, none of which is to be written."""
    reporter, settings, registry = a_reporter(store, database_url)
    stored, memory = a_stored_event(), EventMemory()
    memory.take(a_plan(excluded="offline"))
    (sender,) = senders(settings.vtn, list(registry))
    timeline = reporter._planner.timeline(stored)
    await reporter._write_opts(stored, memory, sender, timeline, set(), BEGIN)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(take_turns())
    await reporter._write_opts(stored, memory, sender, timeline, set(), BEGIN)
    other.cancel()
    assert turns >= 3
