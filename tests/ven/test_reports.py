"""Reports that events ask for: when they come, what they hold, and that each comes once."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openadr_client.client import VtnClient
from openadr_client.clock import ManualClock
from openadr_client.errors import Forbidden, Unreachable
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    BlResourceRequest,
    Duration,
    EventRequest,
    IntervalPeriod,
    Problem,
    Report,
    ReportDescriptor,
    ReportRequest,
    Start,
    decode,
    encode,
)
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Town
from tests.ven.test_relays_last import PUMP_KW, a_relay, basement, levels
from ven.drivers import CircuitState
from ven.reports import reporter, requested
from ven.reports.reporter import RequestedReporter
from ven.reports.sender import ReportSender
from ven.store import StateFile
from ven.store.reports import ReportRecords


def values(report: Report | ReportRequest) -> dict[str, list[dict[str, Any]]]:
    """For each resource and interval what is said, by payload type."""
    return {
        resource.resource_name: [
            {payload.type: payload.values[0] for payload in interval.payloads} for interval in resource.intervals
        ]
        for resource in report.resources
    }


def asking(*descriptors: ReportDescriptor, minutes: float = 30, kw: tuple[float, ...] = (-3, 0), **members: Any) -> Any:
    return shed_event(*kw, minutes=minutes, report_descriptors=descriptors, **members)


async def test_energy_is_reported_for_every_circuit_and_for_all(town: Town, start_home: StartHome) -> None:
    """RDESC-013, RDESC-016, RDESC-018, RDESC-019: 3 kW less for half an hour."""
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE"),
            ReportDescriptor(payload_type="BASELINE", units="KWH"),
            ReportDescriptor(payload_type="DELTA_USAGE"),
            ReportDescriptor(payload_type="DEMAND", units="W", reading_type="MEAN"),
            ReportDescriptor(payload_type="OPERATING_STATE"),
        )
    )
    await home.until(START + timedelta(minutes=59))
    assert await town.reports(event) == []
    await home.until(START + timedelta(minutes=60))
    (report,) = await town.reports(event)

    assert {each.payload_type: (each.units, each.reading_type) for each in report.payload_descriptors or ()} == {
        "USAGE": ("KWH", "DIRECT_READ"),
        "BASELINE": ("KWH", "DIRECT_READ"),
        "DELTA_USAGE": ("KWH", "DIRECT_READ"),
        "DEMAND": ("W", "MEAN"),
        "OPERATING_STATE": (None, "DIRECT_READ"),
    }
    said = values(report)
    assert list(said) == ["fridge", "heater", "ev", AGGREGATED_REPORT]
    assert said["ev"] == [
        {"USAGE": 0, "BASELINE": 1.5, "DELTA_USAGE": -1.5, "DEMAND": 0, "OPERATING_STATE": "IDLE_CURTAILED"},
        {"USAGE": 1.5, "BASELINE": 1.5, "DELTA_USAGE": 0, "DEMAND": 3000, "OPERATING_STATE": "RUNNING_NORMAL"},
    ]
    assert said[AGGREGATED_REPORT][0] == {
        "USAGE": 1.1,
        "BASELINE": 2.6,
        "DELTA_USAGE": -1.5,
        "DEMAND": 2200,
        "OPERATING_STATE": "RUNNING_CURTAILED",
    }
    entry = report.resources[0]
    assert [interval.id for interval in entry.intervals] == [0, 1]
    assert entry.interval_period is not None
    assert entry.interval_period.start is not None
    assert (entry.interval_period.start.at, entry.interval_period.duration) == (START, Duration.parse("PT30M"))


async def test_one_report_comes_at_the_end_of_every_interval(town: Town, start_home: StartHome) -> None:
    """RDESC-004."""
    home = await start_home()
    event = await town.issue(
        asking(ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1))
    )
    await home.until(START + timedelta(minutes=31))
    assert [values(report)["ev"] for report in await town.reports(event)] == [[{"USAGE": 0}]]
    await home.until(START + timedelta(minutes=61))
    newest_first = [values(report)["ev"] for report in await town.reports(event)]
    assert newest_first == [[{"USAGE": 1.5}], [{"USAGE": 0}]]


async def test_sum_alone_is_reported_if_asked(town: Town, start_home: StartHome) -> None:
    """RDESC-016."""
    home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE", aggregate=True)))
    await home.until(START + timedelta(hours=1))
    (report,) = await town.reports(event)
    assert values(report) == {AGGREGATED_REPORT: [{"USAGE": 1.1}, {"USAGE": 2.6}]}


async def test_only_resources_with_an_asked_target_report(town: Town, start_home: StartHome) -> None:
    """RDESC-017."""
    home = await start_home()
    heater = next(each for each in await town.bl.resources.search() if each.resource_name == "heater")
    grant = BlResourceRequest(
        client_id=heater.client_id, ven_id=heater.ven_id, resource_name="heater", targets=("heating",)
    )
    await town.bl.resources.replace(heater.id, grant)
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE", targets=("heating",)),
            ReportDescriptor(payload_type="DEMAND", targets=("cooling",)),
        )
    )
    await home.until(START + timedelta(hours=1))
    (report,) = await town.reports(event)
    assert values(report) == {"heater": [{"USAGE": 1}] * 2, AGGREGATED_REPORT: [{"USAGE": 1}] * 2}


async def test_forecast_is_sent_at_the_start(town: Town, start_home: StartHome) -> None:
    """RDESC-005."""
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE_FORECAST", historical=False),
            ReportDescriptor(payload_type="LOAD_SHED_DELTA_AVAILABLE", historical=False, units="KW"),
        )
    )
    await home.until(START)
    (report,) = await town.reports(event)
    assert values(report)["heater"] == [{"USAGE_FORECAST": 1, "LOAD_SHED_DELTA_AVAILABLE": 1}] * 2
    assert values(report)["fridge"] == [{"USAGE_FORECAST": 0.1, "LOAD_SHED_DELTA_AVAILABLE": 0}] * 2


async def test_missing_values_are_marked_and_reported_apart(town: Town, start_home: StartHome) -> None:
    """RDESC-020: a home that slept through the first interval."""
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE"),
            ReportDescriptor(payload_type="OPERATING_STATE"),
            kw=(-3, -3, -3),
            minutes=60,
        )
    )
    await home.until(START - timedelta(minutes=1))
    await home.kill()
    await town.clock.advance(3600 + 120)
    await home.start()
    await home.until(START + timedelta(hours=2))
    home.relay.broken.add("fridge")
    await home.until(START + timedelta(hours=3))
    usage, state = sorted(await town.reports(event), key=lambda report: "USAGE" not in values(report)["ev"][0])
    assert values(usage)["ev"] == [
        {"USAGE": 0, "DATA_QUALITY": "MISSING"},
        {"USAGE": 0},
        {"USAGE": 0},
    ]
    assert values(usage)["fridge"][2]["DATA_QUALITY"] == "ESTIMATED"
    assert values(state)["ev"] == [
        {"OPERATING_STATE": "ERROR"},
        {"OPERATING_STATE": "IDLE_CURTAILED"},
        {"OPERATING_STATE": "IDLE_CURTAILED"},
    ]


async def test_what_we_cannot_measure_is_not_reported(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="STORAGE_CHARGE_LEVEL"),
            ReportDescriptor(payload_type="USAGE", units="VOLTS"),
        )
    )
    await home.until(START + timedelta(hours=1))
    assert await town.reports(event) == []


async def test_an_interval_that_begins_as_another_event_ends_tells_nothing_of_that_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reading takes some milliseconds, as real ones do: it comes after the edge that the step was made for."""
    async with basement(tmp_path, [a_relay("pump")], PUMP_KW) as home:
        at_once = home.relay.read

        async def read() -> Mapping[str, CircuitState]:
            home.clock._now += timedelta(milliseconds=30)
            return await at_once()

        monkeypatch.setattr(home.relay, "read", read)
        asks = asking(
            ReportDescriptor(payload_type="SIMPLE_LEVEL"),
            ReportDescriptor(payload_type="OPERATING_STATE"),
            minutes=10,
            kw=(0, 0, 0),
            id_="asks",
        )
        await home.control.take_events([asks, levels(0, 3, seconds=600)])
        await home.run_until(START + timedelta(minutes=15))
        assert home.relay.in_force == {"pump": 0}
        await home.run_until(START + timedelta(minutes=31))
        unsent = await home.control._store.reports.unsent()
        made = [decode(each.body, ReportRequest) for each in unsent if each.name.startswith("report-")]
    (report,) = made
    assert values(report)["pump"] == [
        {"SIMPLE_LEVEL": 0, "OPERATING_STATE": "RUNNING_NORMAL"},
        {"SIMPLE_LEVEL": 3, "OPERATING_STATE": "IDLE_CURTAILED"},
        {"SIMPLE_LEVEL": 0, "OPERATING_STATE": "RUNNING_NORMAL"},
    ]


async def test_home_that_opted_out_reports_nevertheless(town: Town, start_home: StartHome) -> None:
    home = await start_home(opt={"max_shed_kw": 1})
    event = await town.issue(
        asking(ReportDescriptor(payload_type="USAGE"), ReportDescriptor(payload_type="OPERATING_STATE"))
    )
    await home.until(START + timedelta(hours=1))
    (report,) = await town.reports(event)
    assert values(report)["ev"] == [{"USAGE": 1.5, "OPERATING_STATE": "RUNNING_OPTED_OUT"}] * 2


async def test_looping_event_is_reported_cycle_by_cycle(town: Town, start_home: StartHome) -> None:
    """RDESC-009."""
    home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE", repeat=-1), duration=Duration.parse("PT3H")))
    await home.until(START + timedelta(hours=3))
    reports = await town.reports(event)
    assert [values(report)["ev"] for report in reports] == [[{"USAGE": 0}, {"USAGE": 1.5}]] * 3
    periods = [report.resources[0].interval_period for report in reports]
    assert {period.start.at for period in periods if period and period.start} == {
        START + timedelta(hours=hour) for hour in range(3)
    }


async def test_report_of_a_deleted_event_is_not_sent(town: Town, start_home: StartHome) -> None:
    """RDESC-022."""
    home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE")))
    await home.until(START + timedelta(minutes=40))
    await town.bl.events.delete(event.id)
    await home.until(START + timedelta(minutes=70))
    assert await town.bl.reports.search() == []


async def test_finished_event_is_forgotten(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    await town.issue(asking(ReportDescriptor(payload_type="USAGE")))
    await home.until(START + timedelta(hours=2))
    await home.kill()
    async with StateFile(home.settings.store, now=town.clock.now()) as store:
        assert await store.events.all() == []
        assert await store.reports.unsent() == []
        assert await store.stretches.all() == []


async def test_good_reports_stay_when_an_event_asks_for_fewer(town: Town, start_home: StartHome) -> None:
    """RDESC-021: they were overwritten at the VTN, with 0 and MISSING."""
    home = await start_home()
    asked = ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=150)
    event = await town.issue(asking(asked, minutes=1, kw=(-3,) * 150))
    await home.until(START + timedelta(minutes=120, seconds=30))
    shown = await town.bl.events.get(event.id)
    request = EventRequest(**{name: getattr(shown, name) for name in EventRequest.__struct_fields__})
    await town.bl.events.replace(event.id, replace(request, report_descriptors=(replace(asked, repeat=149),)))
    await home.until(START + timedelta(minutes=125, seconds=30))
    reports = await town.reports(event)
    assert len(reports) == 125
    assert [each for each in reports if "DATA_QUALITY" in values(each)["ev"][0]] == []


async def test_a_report_is_made_again_if_its_intervals_are_changed(town: Town, start_home: StartHome) -> None:
    """RDESC-021: once, of what was measured then; over a restart nothing is made a third time."""
    home = await start_home(sample_s=60)
    asked = ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1)
    event = await town.issue(asking(asked, minutes=30, kw=(-3,) * 4))
    await home.until(START + timedelta(minutes=62))
    assert len(await town.reports(event)) == 2
    shown = await town.bl.events.get(event.id)
    request = EventRequest(**{name: getattr(shown, name) for name in EventRequest.__struct_fields__})
    shorter = IntervalPeriod(start=Start.of(START), duration=Duration.parse("PT20M"))
    await town.bl.events.replace(event.id, replace(request, interval_period=shorter))
    await home.until(START + timedelta(minutes=70))
    await home.kill()
    await home.start()
    await home.until(START + timedelta(minutes=85))
    said = [
        (each.resources[0].intervals[0].id, values(each)["heater"][0])
        for each in sorted(await town.reports(event), key=lambda report: report.created_date_time)
    ]
    assert [id_ for id_, _ in said] == [0, 1, 2, 3]
    again, last = said[2][1], said[3][1]
    assert (again["USAGE"], again["DATA_QUALITY"]) == (pytest.approx(2 / 3, abs=0.01), "ESTIMATED")
    assert last["USAGE"] == pytest.approx(2 / 3, abs=0.01)


async def test_what_was_missed_is_made_in_parts_and_what_fails_again(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report whose building failed was lost; all that a home had missed was made in one step."""
    home = await start_home()
    asked = ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1)
    event = await town.issue(asking(asked, minutes=1, kw=(-3,) * 60))
    await home.until(START - timedelta(minutes=1))
    await home.kill()
    await town.clock.advance(timedelta(minutes=61).total_seconds())
    built: list[str] = []

    async def build(*given: Any) -> Any:
        built.append(given[0][0].descriptor.payload_type)
        if len(built) == 5:
            raise ValueError("something that nobody expected")
        return await really(*given)

    really = requested.build
    monkeypatch.setattr(reporter, "build", build)
    steps: list[int] = []
    step = RequestedReporter.step

    async def counted(self: RequestedReporter, now: datetime) -> None:
        before = len(built)
        await step(self, now)
        steps.append(len(built) - before)

    monkeypatch.setattr(RequestedReporter, "step", counted)
    await home.start()
    await home.pass_(minutes=2)
    assert len(await town.reports(event)) == 60
    assert max(steps) <= 20


async def test_a_report_that_can_never_be_made_is_given_up(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await start_home()

    async def build(*given: Any) -> Any:
        if given[0][0].descriptor.payload_type == "USAGE":
            raise ValueError("something that nobody expected")
        return await really(*given)

    really = requested.build
    monkeypatch.setattr(reporter, "build", build)
    event = await town.issue(
        asking(ReportDescriptor(payload_type="USAGE"), ReportDescriptor(payload_type="DEMAND", aggregate=True))
    )
    await home.until(START + timedelta(hours=2))
    (report,) = await town.reports(event)
    assert list(values(report)) == [AGGREGATED_REPORT]
    assert home._agent is not None
    assert home._agent._control.agenda.events() == []


async def test_two_events_that_ask_the_same_get_a_report_each(town: Town, start_home: StartHome) -> None:
    """V4."""
    home = await start_home()
    asked = ReportDescriptor(payload_type="USAGE")
    events = [await town.issue(asking(asked, id_=id_)) for id_ in ("e1", "e2")]
    await home.until(START + timedelta(hours=1))
    reports = [await town.reports(event) for event in events]
    assert [len(each) for each in reports] == [1, 1]
    assert values(reports[0][0]) == values(reports[1][0])


async def test_each_window_is_reported_once_while_the_vtn_is_away_and_the_home_restarts(
    town: Town, start_home: StartHome
) -> None:
    """V4, V8, V10: with a descriptor for each interval and one for all, and for a resource with a target only."""
    home = await start_home()
    heater = next(each for each in await town.bl.resources.search() if each.resource_name == "heater")
    grant = BlResourceRequest(
        client_id=heater.client_id, ven_id=heater.ven_id, resource_name="heater", targets=("heating",)
    )
    await town.bl.resources.replace(heater.id, grant)
    each_one = ReportDescriptor(
        payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1, targets=("heating",)
    )
    event = await town.issue(asking(each_one, ReportDescriptor(payload_type="DEMAND"), kw=(-3, 0, -3, 0)))
    await home.until(START + timedelta(minutes=40))
    await town.close_vtn()
    await home.until(START + timedelta(minutes=65))
    await home.kill()
    await home.start()
    await home.until(START + timedelta(minutes=100))
    await home.kill()
    await town.reopen_vtn()
    await home.start()
    await home.until(START + timedelta(minutes=125))
    await home.kill()
    await home.start()
    await home.pass_(minutes=30)
    reports = await town.reports(event)
    types = [(report.payload_descriptors or ())[0].payload_type for report in reports]
    assert sorted((_start(report), type_) for report, type_ in zip(reports, types, strict=True)) == sorted(
        [(START + number * timedelta(minutes=30), "USAGE") for number in range(4)] + [(START, "DEMAND")]
    )
    of_usage = [list(values(report)) for report, type_ in zip(reports, types, strict=True) if type_ == "USAGE"]
    assert of_usage == [["heater", AGGREGATED_REPORT]] * 4


def _start(report: Report) -> datetime:
    period = report.resources[0].interval_period
    assert period is not None
    assert period.start is not None
    assert period.start.at is not None
    return period.start.at


Break = Callable[[pytest.MonkeyPatch], None]


def lose_the_answer(patch: pytest.MonkeyPatch) -> None:
    """The report arrives, but the connection breaks before its answer does."""
    create = VtnClient.__init__

    def init(self: VtnClient, **members: Any) -> None:
        create(self, **members)
        really = self.reports.create
        failed: list[bool] = []

        async def once(request: ReportRequest) -> Report:
            made = await really(request)
            if not failed:
                failed.append(True)
                raise Unreachable("the connection broke")
            return made

        patch.setattr(self.reports, "create", once)

    patch.setattr(VtnClient, "__init__", init)


def die_before_recording(patch: pytest.MonkeyPatch) -> None:
    """The report arrives, but the process is killed before it can write that down."""

    async def never(self: ReportRecords, *_: Any) -> None:
        raise Unreachable("as if killed")

    patch.setattr(ReportRecords, "mark_sent", never)


@pytest.mark.parametrize("break_", [lose_the_answer, die_before_recording])
async def test_every_report_arrives_exactly_once(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch, break_: Break
) -> None:
    home: Home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE")))
    await home.until(START + timedelta(minutes=55))
    await home.kill()
    with monkeypatch.context() as patch:
        break_(patch)
        await home.start()
        await home.until(START + timedelta(minutes=60, seconds=1))
        assert len(await town.reports(event)) == 1
        await home.kill()
    await home.start()
    await home.pass_(minutes=20)
    assert len(await town.reports(event)) == 1
    assert len(await town.opts(event)) == 1
    assert len(await town.status(event)) == 1


class FlakyReports:
    """Stands for `client.reports`: each call works, fails before arriving, or loses its answer, as told."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = plan
        self.stored: dict[str, ReportRequest] = {}

    async def _call(self, act: Callable[[], Any]) -> Any:
        how = self.plan.pop(0) if self.plan else "works"
        if how == "fails":
            raise Unreachable("no connection")
        answer = act()
        if how == "loses":
            raise Unreachable("no answer")
        return answer

    async def create(self, request: ReportRequest) -> Any:
        def store() -> Any:
            id_ = f"r{len(self.stored)}"
            self.stored[id_] = request
            return Stored(id_, request.report_name)

        return await self._call(store)

    async def replace(self, id_: str, request: ReportRequest) -> Any:
        return await self._call(lambda: self.stored.update({id_: request}))

    async def search(self, **_: Any) -> Any:
        return await self._call(lambda: [Stored(id_, each.report_name) for id_, each in self.stored.items()])


class Stored:
    def __init__(self, id_: str, name: str | None) -> None:
        self.id = id_
        self.report_name = name


class Picky(FlakyReports):
    """Refuses every report of one event."""

    def __init__(self) -> None:
        super().__init__([])
        self.refused = 0

    async def create(self, request: ReportRequest) -> Any:
        if request.event_id == "bad":
            self.refused += 1
            raise Forbidden("no", problem=Problem(status=403))
        return await super().create(request)


async def test_refused_reports_keep_no_other_from_being_sent(tmp_path: Path) -> None:
    """A hundred of them kept all others waiting for hours."""
    clock = ManualClock(START)
    client = FlakyClient([])
    client.reports = picky = Picky()
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:

        def add(name: str, event_id: str) -> None:
            report = ReportRequest(event_id=event_id, client_name="home", report_name=name, resources=())
            moved = {"d": clock.now()}
            store.reports.add({name: encode(report)}, event_id, cursors=moved, expires_at=None, may_exist=False)

        for number in range(120):
            add(f"report-bad-{number}", "bad")
            assert await store.journal.flush()
        add("report-good", "good")
        assert await store.journal.flush()
        sender = ReportSender(store=store, client=cast(VtnClient, client), clock=clock)
        await sender.send_all()
        await sender.send_all()
        assert [each.report_name for each in picky.stored.values()] == ["report-good"]
        assert picky.refused == 120
        for _ in range(10 * 60):
            await clock.advance(60)
            await sender.send_all()
        assert picky.refused == 120 * 6, "each is tried five times more, over some hours"
        assert await store.reports.unsent() == []


class FlakyClient:
    def __init__(self, plan: list[str]) -> None:
        self.reports = FlakyReports(plan)


@given(
    st.lists(st.sampled_from(["works", "fails", "loses"]), max_size=25),
    st.lists(st.sampled_from(["a", "b", "c", "send", "die"]), max_size=20),
)
@settings(max_examples=50, deadline=None)
def test_newest_revision_arrives_once_whatever_breaks(plan: list[str], doings: list[str]) -> None:
    """Reports put, sent, lost and interrupted in any order: in the end the VTN has each name once, as last written."""

    async def run() -> None:
        client = FlakyClient(plan)
        written: dict[str, ReportRequest] = {}
        with TemporaryDirectory() as folder:
            path = Path(folder) / "ven.sqlite3"
            for number, life in enumerate(_lives(doings)):
                async with StateFile(path, now=START) as store:
                    clock = ManualClock(START)
                    outbox = ReportSender(store=store, client=cast(VtnClient, client), clock=clock)
                    for doing in life:
                        if doing == "send":
                            await clock.advance(900)  # what failed before is not left alone any longer
                            with suppress(Unreachable):
                                await outbox.send_all()
                        elif doing == "die":
                            with suppress(Unreachable), pytest.MonkeyPatch.context() as patch:
                                die_before_recording(patch)
                                await outbox.send_all()
                        else:
                            report = ReportRequest(
                                event_id="e", client_name=str(number), report_name=doing, resources=()
                            )
                            written[doing] = report
                            store.reports.put(doing, "e", encode(report), expires_at=None, may_exist=False)
                            assert await store.journal.flush()
        arrived = sorted(client.reports.stored.values(), key=lambda report: report.report_name or "")
        assert arrived == [written[name] for name in sorted(written)]

    asyncio.run(run())


def _lives(doings: list[str]) -> list[list[str]]:
    """What is done by one process after the other: each `die` ends one; the last goes on until everything is sent."""
    lives: list[list[str]] = [[]]
    for doing in doings:
        lives[-1].append(doing)
        if doing == "die":
            lives.append([])
    lives[-1] += ["send"] * 30
    return lives
