"""Reports that events ask for: when they come, what they hold, and that each comes once."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_client.client import VtnClient
from openadr_client.clock import ManualClock
from openadr_client.errors import Unreachable
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    BlResourceRequest,
    Duration,
    Report,
    ReportDescriptor,
    ReportRequest,
    encode,
)
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Town
from ven.reports.sender import ReportSender
from ven.store import StateFile
from ven.store.reports import ReportRecords


def values(report: Report) -> dict[str, list[dict[str, Any]]]:
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
                    outbox = ReportSender(store=store, client=cast(VtnClient, client), clock=ManualClock(START))
                    for doing in life:
                        if doing == "send":
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
                            await store.reports.put(doing, "e", encode(report), expires_at=None, may_exist=False)
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
