"""A bad day of a home: killed again and again, the VTN away, the disk full, a device that hangs, the owner switching.

What was asked for and what became of it, at the VTN and at the device, are two columns of a ledger: 0 lost, 0 doubled,
0 stuck. ``--kills 40`` makes the day worse, ``--seed`` another one; `docs/development.md` tells of both.
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from openadr_profiles.fleet.reports import opt_report_name, status_report_name
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, ReportDescriptor
from tests.ven.builders import START, shed_event
from tests.ven.faults.faulty_home import FaultyHome, Kind, Way
from tests.ven.home import SECRET, Town
from vtn.access import Role

MINUTE = timedelta(minutes=1)
LENGTH = 30 * MINUTE
BEGINNINGS = [START + timedelta(hours=3) * number for number in range(8)]
DAY_BEGINS = START - 30 * MINUTE
DAY_ENDS = DAY_BEGINS + timedelta(hours=24)
SAMPLE = 5 * MINUTE

VTN_AWAY = (BEGINNINGS[1] + 10 * MINUTE, BEGINNINGS[1] + 65 * MINUTE)
DISK_FULL = (BEGINNINGS[2] - 6 * MINUTE, BEGINNINGS[2] + 24 * MINUTE)
"""It has room again before the event ends: a process killed meanwhile has forgotten what it did."""
EV_HANGS = (BEGINNINGS[3] + LENGTH - MINUTE, BEGINNINGS[3] + LENGTH + 2 * MINUTE)
OWNER_AT_HEATER = (BEGINNINGS[4] + 7 * MINUTE, BEGINNINGS[4] + 50 * MINUTE)

log = logging.getLogger(__name__)


async def test_bad_day_loses_doubles_and_holds_up_nothing(town: Town, pytestconfig: pytest.Config) -> None:
    """V1, V4, V5, V7, V8, V10."""
    chance = Random(pytestconfig.getoption("seed"))
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    home = FaultyHome(town.settings(driver={"deadline_s": 0.2}, status_s=600), town.clock)
    asked = (ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1),)
    events = [
        await town.issue(shed_event(-3.5, -3, id_=f"event {n}", start=at, minutes=15, report_descriptors=asked))
        for n, at in enumerate(BEGINNINGS)
    ]
    killed = kills(chance, pytestconfig.getoption("kills"), home)
    town.clock._now = DAY_BEGINS
    await home.start()
    try:
        for at, turn in sorted([*misfortunes(town, home), *killed], key=lambda each: each[0]):
            await home.until(at)
            if inspect.isawaitable(waiting := turn()):
                await waiting
            await home.quiet()
        await home.until(DAY_ENDS)
        wrong = await reported(town, events) | switched(home)
        wrong["stuck"] += [f"not written: {key}" for key in home.pending]
        wrong["stuck"] += [f"not sent: {name}" for name in await home.unsent()]
        log.info(
            "killed %d times: %s; %d requests", sum(home.killed_at.values()), dict(home.killed_at), len(home.requests)
        )
        assert sum(home.killed_at.values()) >= len(killed) - 1, "the last may be waiting for its moment"
        assert {name: found for name, found in wrong.items() if found} == {}
    finally:
        await home.kill()


def misfortunes(town: Town, home: FaultyHome) -> list[tuple[datetime, Callable[[], Any]]]:
    """Return what else happens that day, and when."""
    return [
        (VTN_AWAY[0], town.close_vtn),
        (VTN_AWAY[1], town.reopen_vtn),
        (DISK_FULL[0], lambda: setattr(home, "is_disk_full", True)),
        (DISK_FULL[1], lambda: setattr(home, "is_disk_full", False)),
        (EV_HANGS[0], lambda: home.hanging.add("ev")),
        (EV_HANGS[1], lambda: home.hanging.discard("ev")),
        (OWNER_AT_HEATER[0], lambda: home.relay.by_hand("heater", is_on=False)),
        (OWNER_AT_HEATER[1], lambda: home.relay.by_hand("heater", is_on=True)),
    ]


def kills(chance: Random, count: int, home: FaultyHome) -> list[tuple[datetime, Callable[[], Any]]]:
    """Moments all over the day, half of them at the edges of events; one of the next writes or calls kills it."""
    edges = [edge - MINUTE for at in BEGINNINGS for edge in (at, at + LENGTH / 2, at + LENGTH)]
    length_s = int((DAY_ENDS - DAY_BEGINS - timedelta(hours=1)) / timedelta(seconds=1))
    times = [chance.choice(edges) for _ in range(count // 2)]
    times += [DAY_BEGINS + timedelta(seconds=chance.randint(0, length_s)) for _ in range(count - len(times))]

    def one() -> Callable[[], Any]:
        kind, way, after = (
            chance.choice(list(Kind)),
            chance.choice([Way.KILLED, Way.KILLED_AFTER]),
            chance.randint(1, 6),
        )
        return lambda: home.kill_at(kind, after, way)

    return [(at, one()) for at in times]


async def reported(town: Town, events: list[Event]) -> dict[str, list[str]]:
    """Return what the VTN lacks or has twice of each event: one opt, one status, and the report of each interval."""
    wrong: dict[str, list[str]] = {"lost": [], "doubled": [], "stuck": []}
    for event in events:
        reports = await town.bl.reports.search(event_id=event.id)
        names = [report.report_name or "" for report in reports]
        found = Counter("usage" if name.startswith("report-") else name for name in names)
        for name, count in ((opt_report_name(event.id), 1), (status_report_name(event.id), 1), ("usage", 2)):
            if found[name] != count:
                kind = "lost" if found[name] < count else "doubled"
                wrong[kind].append(f"{event.event_name}: {name} {found[name]} of {count}")
        opts = {opt.resource_name: opt.opted_in for opt in await town.opts(event)}
        out = {"heater": False} if event.event_name == events[4].event_name else {}
        if opts != {AGGREGATED_REPORT: True, **out}:
            wrong["lost"].append(f"{event.event_name}: opts {opts}")
    return wrong


def switched(home: FaultyHome) -> dict[str, list[str]]:
    """Return what is wrong with the times in which circuits were limited."""
    wrong: dict[str, list[str]] = {"at the device": []}
    spans = home.dated.limited("ev")
    for at in BEGINNINGS:
        mine = [(since, until) for since, until in spans if at <= since < at + LENGTH + SAMPLE]
        latest = EV_HANGS[1] if at == BEGINNINGS[3] else at + LENGTH
        disturbed = at == BEGINNINGS[2]
        if len(mine) != 1 and not (disturbed and mine):
            wrong["at the device"].append(f"ev limited {len(mine)} times at {at}: {mine}")
        wrong["at the device"] += [
            f"ev limited from {since} to {until}, event from {at}"
            for since, until in mine
            if (since > at + SAMPLE and not disturbed) or until is None or until > latest + SAMPLE
        ]
    for since, until in home.dated.limited("heater"):
        if until is None or not any(at <= since and until <= at + LENGTH + SAMPLE for at in BEGINNINGS):
            wrong["at the device"].append(f"heater limited from {since} to {until}")
    if any(id_ == "fridge" for id_, _ in home.relay.diary):
        wrong["at the device"].append("a critical circuit was touched")
    if home.relay.in_force or home.relay.off:
        wrong["at the device"].append(f"left behind: {home.relay.in_force}, off: {home.relay.off}")
    if home.dated.against_owner:
        wrong["at the device"].append(f"the owner's switch was moved: {home.dated.against_owner}")
    return wrong
