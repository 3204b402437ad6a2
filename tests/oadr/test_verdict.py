"""The demo's verdict: every kind of failure is found, and names the part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from oadr.demo.truth import Ledger, TruePower
from oadr.demo.verdict import Evidence, judge
from openadr_profiles.fleet.status import CircuitStatus, EventStatus, Participant
from openadr_profiles.v31 import Interval, Report, ReportResource, ValuesMap

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeDevice:
    """A device whose circuits are written down."""

    def __init__(self, name: str, readings: Mapping[str, TruePower]) -> None:
        self.name = name
        self.critical = frozenset({"fridge"})
        self.readings = dict(readings)

    def read(self, at: datetime) -> Mapping[str, TruePower]:
        return self.readings


def taken(kw: str) -> TruePower:
    return TruePower(Decimal(5), Decimal(kw))


def ledger(home: str = "2", panel: str = "2", out: str = "0", fridge: str = "0", left: str = "0") -> Ledger:
    devices = [
        FakeDevice("home", {"ev": taken(home), "fridge": taken(fridge)}),
        FakeDevice("panel", {"heater": taken(panel), "fridge": taken("0")}),
        FakeDevice("unwilling", {"ev": taken(out)}),
    ]
    seen = Ledger(devices)
    seen.look(START, 0)
    for device in devices:
        device.readings = {name: taken("0") for name in device.readings}
    devices[0].readings["ev"] = taken(left)
    seen.look(START + timedelta(hours=1), None)
    return seen


def participant(
    name: str, *, opted_in: bool = True, reached: bool = True, reason: str | None = None, state: str = "RUNNING_NORMAL"
) -> Participant:
    circuit = CircuitStatus("ev" if name == "home" else "heater", Decimal(2), None, None, None, None, state)
    return Participant(
        name=name,
        ven_name=name,
        client_id=name,
        reached=reached,
        opted_in=opted_in if reached else None,
        reason=reason,
        requested_kw=Decimal(2),
        delivered_kw=Decimal(2),
        requested_kwh=Decimal(2),
        delivered_kwh=Decimal(2),
        circuits=(circuit,) if opted_in else (),
        reports=3,
    )


def status(*participants: Participant) -> EventStatus:
    return EventStatus("e1", "evening", "completed", START, START + timedelta(hours=1), participants, START)


def reports(client_id: str, *names: str) -> list[Report]:
    payloads = tuple(ValuesMap(type=type_, values=(1,)) for type_ in ("USAGE", "DEMAND", "BASELINE"))
    return [
        Report(
            id=f"{client_id}-{name}",
            created_date_time=START,
            modification_date_time=START,
            client_id=client_id,
            event_id="e1",
            client_name=client_id,
            report_name=name,
            resources=(ReportResource(resource_name="x", intervals=(Interval(id=0, payloads=payloads),)),),
        )
        for name in names
    ]


def command(**changes: Any) -> dict[str, Any]:
    return {
        "op": "shedPanel",
        "correlationId": "c1",
        "sentAt": "2026-01-01T12:00:00Z",
        "state": "acked",
        "error": None,
        "doubleShed": False,
    } | changes


GOOD = Evidence(
    status=status(
        participant("home"), participant("panel"), participant("unwilling", opted_in=False, reason="quiet hours")
    ),
    requested={"home": {0: Decimal(2)}, "panel": {0: Decimal(2)}},
    reports=[
        *reports("home", "opt-e1", "status-e1", "due"),
        *reports("bridge", "opt-e1", "status-e1", "due"),
        *reports("unwilling", "opt-e1", "due"),
    ],
    ledger=ledger(),
    commands={"panel": [command()]},
    acks=[{"correlationId": "c1", "matched": True}],
    failures={},
    homes=["home", "unwilling"],
    panels=["panel"],
    bridge="bridge",
    opts_out=["unwilling"],
    asked_kw=[2.0],
    telemetry={},
)


def test_a_run_in_which_every_part_did_its_work_passes() -> None:
    assert judge(GOOD) == []


def test_a_home_on_openadr_20b_needs_no_status_report_but_telemetry() -> None:
    told = [report for report in GOOD.reports if report.client_id != "home"]
    assert judge(replace(GOOD, reports=told, telemetry={"home": {0: Decimal("2.1")}})) == []


@pytest.mark.parametrize(
    ("part", "words", "change"),
    [
        ("home", "no data", lambda good: replace(good, telemetry={"home": {}})),
        ("home", "tells of 4.00 kW", lambda good: replace(good, telemetry={"home": {0: Decimal(4)}})),
        ("home", "Crashed", lambda good: replace(good, failures={"home": "Crashed"})),
        ("panel", "not targeted", lambda good: replace(good, status=status(*good.status.participants[::2]))),
        (
            "home",
            "has not answered",
            lambda good: replace(
                good, status=status(participant("home", reached=False), *good.status.participants[1:])
            ),
        ),
        (
            "home",
            "opted out: no wish",
            lambda good: replace(
                good,
                status=status(participant("home", opted_in=False, reason="no wish"), *good.status.participants[1:]),
            ),
        ),
        (
            "unwilling",
            "should have opted out",
            lambda good: replace(good, status=status(*good.status.participants[:2], participant("unwilling"))),
        ),
        (
            "unwilling",
            "without a reason",
            lambda good: replace(
                good, status=status(*good.status.participants[:2], participant("unwilling", opted_in=False))
            ),
        ),
        ("home", "critical circuit fridge", lambda good: replace(good, ledger=ledger(fridge="0.1"))),
        ("home", "shed 1 kW of 2 kW", lambda good: replace(good, ledger=ledger(home="1"))),
        ("home", "has not returned", lambda good: replace(good, ledger=ledger(left="2"))),
        (
            "panel",
            "heater as curtailed after the event",
            lambda good: replace(
                good,
                status=status(
                    good.status.participants[0],
                    participant("panel", state="RUNNING_CURTAILED"),
                    good.status.participants[2],
                ),
            ),
        ),
        ("panel", "never took place", lambda good: replace(good, ledger=ledger(panel="0"))),
        ("unwilling", "but ev was curtailed", lambda good: replace(good, ledger=ledger(out="1"))),
        ("home", "did not report what", lambda good: replace(good, requested={"panel": {0: Decimal(2)}})),
        (
            "bridge",
            "split 1.5 kW of 2.0 kW",
            lambda good: replace(good, requested=good.requested | {"panel": {0: Decimal("1.5")}}),
        ),
        ("panel", "was sent no command", lambda good: replace(good, commands={})),
        ("panel", "is timed_out", lambda good: replace(good, commands={"panel": [command(state="timed_out")]})),
        ("panel", "carried out twice", lambda good: replace(good, commands={"panel": [command(doubleShed=True)]})),
        ("bridge", "was not stored", lambda good: replace(good, acks=[])),
        ("bridge", "was not stored", lambda good: replace(good, acks=[{"correlationId": "c1", "matched": False}])),
        ("home", "did not send the report opt-e1", lambda good: replace(good, reports=good.reports[1:])),
        ("home", "report asked for", lambda good: replace(good, reports=[*good.reports[:2], *good.reports[3:]])),
        ("home", "sent due 2 times", lambda good: replace(good, reports=[*good.reports, *reports("home", "due")])),
    ],
)
def test_whatever_is_wrong_is_found_and_the_part_is_named(
    part: str, words: str, change: Callable[[Evidence], Evidence]
) -> None:
    findings = judge(change(GOOD))
    assert any(finding.part == part and words in finding.problem for finding in findings), findings
