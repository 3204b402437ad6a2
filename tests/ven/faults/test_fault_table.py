"""A fault at every write, driver call and request of an event's life, one at a time: nothing lost, doubled or stuck.

The table is generated: a run without faults counts what can be met, then one home for each entry meets it. All homes of
a table share a VTN, whose clock stands; each has its own clock, on which it lives through the same event.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from openadr_client import readings
from openadr_client.clock import ManualClock
from openadr_profiles.fleet.reports import opt_report_name, read_opts, read_status, status_report_name
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, Report, ReportDescriptor
from tests.ven.builders import START, shed_event
from tests.ven.faults.faulty_home import Fault, FaultyHome, Kind, Way
from tests.ven.home import SECRET, Town
from ven.store import journal
from vtn.access import Role

LENGTH = timedelta(minutes=10)
END = START + LENGTH
SAMPLE = timedelta(minutes=5)
WANTED = {"ev": Decimal(0), "heater": Decimal("1.5")}
USED_KWH = [0.033, 0.25, 0.0, 0.283]
"""What fridge, heater, ev and all of them use in the event."""


@pytest.fixture
async def event(town: Town) -> Event:
    """An event that every home of the town hears of."""
    return await town.issue(
        shed_event(
            -3.5, minutes=LENGTH / timedelta(minutes=1), report_descriptors=(ReportDescriptor(payload_type="USAGE"),)
        )
    )


async def live(town: Town, event: Event, name: str, fault: Fault | None) -> tuple[FaultyHome, list[str]]:
    """Let a home live through the event; return it with what is wrong then."""
    clock = ManualClock(START - timedelta(minutes=6))
    await town.vtn.clients.add(name, Role.VEN, secret=SECRET)
    hangs = fault is not None and fault.way is Way.HANGS
    settings = town.settings(name, driver={"deadline_s": 0.2 if hangs else 5}, status_s=300)
    home = FaultyHome(settings, clock, fault)
    wrong: list[str] = []
    try:
        await home.start()
        await home.until(START + LENGTH / 3 * 2)
        if home.relay.in_force != WANTED:
            wrong.append(f"limits in the event: {home.relay.in_force}")
        await home.until(END + SAMPLE / 2)
        home.answer()
        await home.until(END + SAMPLE * 2.5)
        wrong += _wrong_with_circuits(home)
        wrong += _wrong_with_reports(home, await town.bl.reports.search(event_id=event.id, client_name=name))
        wrong += [f"not written: {key}" for key in home.pending]
        wrong += [f"not sent: {name}" for name in await home.unsent()]
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    finally:
        home.answer()
        await home.kill()
    return home, wrong


def _wrong_with_circuits(home: FaultyHome) -> list[str]:
    wrong = []
    if Counter(home.relay.diary) != Counter([*WANTED.items(), *((id_, None) for id_ in WANTED)]):
        wrong.append(f"switched: {home.relay.diary}")
    late = timedelta(seconds=5) if home.fault is not None and home.fault.kind is Kind.DRIVER else timedelta(0)
    for id_ in WANTED:
        spans = home.dated.limited(id_)
        if not all(START <= since <= START + late and until and END <= until <= END + late for since, until in spans):
            wrong.append(f"{id_} limited {spans}, not from {START} to {END}")
    if home.dated.latest_expiry != END:
        wrong.append(f"a limit that lasts until {home.dated.latest_expiry} if the process is killed")
    return wrong


def _wrong_with_reports(home: FaultyHome, reports: list[Report]) -> list[str]:
    wrong = []
    names = Counter(report.report_name or "" for report in reports)
    if sorted(names.values()) != [1, 1, 1]:
        wrong.append(f"reports: {dict(names)}")
    opts = [
        opt
        for report in reports
        if report.report_name == opt_report_name(report.event_id)
        for opt in read_opts(report.resources)
    ]
    if [opt.opted_in for opt in opts] != [True]:
        wrong.append(f"opts: {opts}")
    intervals = [
        interval
        for report in reports
        if report.report_name == status_report_name(report.event_id)
        for interval in read_status(report.resources)
    ]
    if [(each.id, each.start, each.end) for each in intervals] != [(0, START, END)]:
        return [*wrong, f"status: {[(each.id, each.start, each.end) for each in intervals]}"]
    (whole,) = [shed for shed in intervals[0].sheds if shed.resource_name == AGGREGATED_REPORT]
    said = (whole.requested_kw, whole.delivered_kw, whole.gross_kw, whole.final_kw)
    switched_late = home.fault is not None and home.fault.kind is Kind.DRIVER
    energy_kwh = [each.value for each in readings(reports) if (each.payload_type, each.start) == ("USAGE", START)]
    if energy_kwh != USED_KWH and not switched_late:
        wrong.append(f"energy: {energy_kwh}")
    if said != (*[Decimal("3.5")] * 3, Decimal("5.2")) and not switched_late:
        wrong.append(f"status: {whole}")
    return wrong


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("kind", list(Kind))
async def test_no_single_fault_loses_doubles_or_holds_up_anything(
    town: Town, event: Event, kind: Kind, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V1, V7, V8, V16."""
    if (kind, way) == (Kind.WRITE, Way.HANGS):
        monkeypatch.setattr(journal, "FLUSH_WITHIN_S", 0.05)  # as a flush that gives up too early does no harm either
    counted, wrong = await live(town, event, "home-0", None)
    assert wrong == []
    count = counted.counts[kind]
    assert count >= 8, "too few to be true"
    table: dict[str, object] = {}
    met = 0
    for number in range(1, count + 1):
        home, wrong = await live(town, event, f"home-{number}", Fault(kind, number, way))
        met += home.met is not None
        if wrong:
            table[f"{home.fault} at {home.met_at and home.met_at - START} ({home.met})"] = wrong
    assert table == {}
    assert met >= count - 2, "hardly any home met its fault"
