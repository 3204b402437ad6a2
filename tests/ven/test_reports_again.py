"""Reports of events that change, end or are missed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    BlResourceRequest,
    Duration,
    EventRequest,
    IntervalPeriod,
    Report,
    ReportDescriptor,
    Start,
)
from tests.ven.builders import START
from tests.ven.conftest import StartHome
from tests.ven.home import Town
from tests.ven.report_words import asking, values
from ven.reports import reporter, requested
from ven.reports.reporter import RequestedReporter
from ven.store import StateFile


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
