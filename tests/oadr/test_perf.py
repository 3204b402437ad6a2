"""``oadr perf``: what an event delivered, asked as an operator would."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from oadr.errors import Exit
from openadr_client import VtnClient
from openadr_profiles.fleet.building import reduction_event
from openadr_profiles.fleet.reports import Shed, ShedInterval, status_report
from openadr_profiles.v31 import (
    Duration,
    EventPayloadType,
    Interval,
    IntervalPeriod,
    ReportRequest,
    ReportResource,
    Start,
    ValuesMap,
)
from tests.oadr.conftest import Operator
from tests.vtn.harness import unique

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_TWO_DAYS_AGO = (datetime.now(UTC) - 2 * DAY).replace(hour=16, minute=0, second=0, microsecond=0)
START = _TWO_DAYS_AGO - max(0, _TWO_DAYS_AGO.weekday() - 4) * DAY
"""Four in the afternoon of the last working day that is two days ago: of weekends there are too few before it."""


def test_methods_are_listed(operator: Operator) -> None:
    """By the names that ``--method`` takes."""
    names = {row["name"] for row in operator.ask("perf", "methods")}
    assert {"10-of-10", "high-4-of-5", "meter-before", "reported"} <= names


@pytest.fixture
def event_id(operator: Operator) -> str:
    """The id of an event of an hour, at ``START``, for two homes of which the second says nothing."""
    for name in ("home-1", "home-2"):
        operator.ask("vens", "add", name, "--target", "group:perf")
    program = operator.ask("program", "create", unique("perf"))
    return asyncio.run(_past_event(operator, program["id"]))


def test_an_event_is_evaluated_from_the_reports_of_its_ven(operator: Operator, event_id: str) -> None:
    """2 kWh an hour on 14 days before, 0.5 in the event's hour: 1.5 kWh of the 2 that were asked, a factor of 0.75."""
    asyncio.run(_report(operator, event_id))
    words = ("perf", "event", event_id, "--method", "7-of-7", "--step", "1h")

    found = operator.ask(*words)

    home, silent = found["participants"]
    assert (home["participant"], home["deliveredKwh"], home["requestedKwh"]) == ("home-1 meter", 1.5, 2.0)
    assert (home["performance"], home["shortfallKwh"], home["gaps"]) == (0.75, 0.5, 0)
    assert (len(home["baselineDays"]), home["steps"][0]["baselineKwh"]) == (7, 2.0)
    assert (silent["participant"], silent["deliveredKwh"], silent["notes"]) == ("home-2", None, ["no readings"])
    assert found["curve"][0]["deliveredKwh"] is None  # the sum is not known where one home is not
    rows = list(csv.DictReader(io.StringIO(operator.run(*words, "--csv").stdout)))
    assert [(row["participant"], row["delivered_kwh"], row["inputs_sha256"]) for row in rows] == [
        ("home-1 meter", "1.500", found["inputsSha256"]),
        ("home-2", "", found["inputsSha256"]),
    ]


def test_a_vtn_without_results_is_asked_for_its_reports(operator: Operator, event_id: str) -> None:
    """The same figures, worked out here, on the interface of 3.0.1, which has no such extension."""
    asyncio.run(_report(operator, event_id))
    words = ("perf", "event", event_id, "--method", "7-of-7", "--step", "1h")
    kept = operator.ask(*words)
    elsewhere = operator.run(*words, "--json", OADR_BL_URL=operator.url.replace("3.1.0", "3.0.1"))
    assert elsewhere.exit_code == 0, elsewhere.stderr
    here = msgspec.json.decode(elsewhere.stdout)
    assert "result" not in here
    assert here["sums"] == kept["sums"]
    for one, other in zip(here["participants"], kept["participants"], strict=True):
        assert one["steps"] == other["steps"]
    refused = operator.run("perf", "freeze", event_id, OADR_BL_URL=operator.url.replace("3.1.0", "3.0.1"))
    assert (refused.exit_code, "keeps no results" in refused.stderr) == (Exit.REFUSED, True), refused.stderr


def test_a_result_is_frozen_and_says_what_it_would_be_now(operator: Operator, event_id: str) -> None:
    """REPORT-006: a correction of home-1 arrives after the freeze: 1.5 kWh stay 1.5, and would now be 1."""
    asyncio.run(_report(operator, event_id))
    words = (event_id, "--method", "7-of-7", "--step", "1h")
    frozen = operator.ask("perf", "freeze", *words)
    assert (frozen["state"], frozen["sums"]["deliveredKwh"]) == ("FROZEN", 1.5)

    asyncio.run(_report(operator, event_id, in_event=1.0))
    compared = operator.ask("perf", "results", frozen["result"][:12], "--now")

    assert (compared["was"]["deliveredKwh"], compared["now"]["deliveredKwh"]) == (1.5, 1.0)
    assert [(one["was"]["deliveredKwh"], one["now"]["deliveredKwh"]) for one in compared["differences"]] == [(1.5, 1.0)]
    (listed,) = operator.ask("perf", "results", "--event", event_id)
    assert (listed["id"], listed["state"], listed["frozenBy"]) == (frozen["result"], "FROZEN", "utility")
    again = operator.ask("perf", "results", frozen["result"])
    assert again == frozen
    rows = list(csv.DictReader(io.StringIO(operator.run("perf", "results", frozen["result"], "--csv").stdout)))
    assert [row["delivered_kwh"] for row in rows] == ["1.500", ""]
    done = operator.run("perf", "results", "nothing")
    assert (done.exit_code, "no result begins" in done.stderr) == (Exit.USAGE, True), done.stderr
    assert operator.run("perf", "results", "--now").exit_code == Exit.USAGE


def test_nothing_known_and_wrong_questions_have_their_exit_codes(operator: Operator, event_id: str) -> None:
    """7 if nothing is known of anybody, 2 for a question that makes no sense."""
    assert operator.run("perf", "event", event_id).exit_code == Exit.CHECK_FAILED
    for words, said in (
        (("--method", "best"), "expected one of"),
        (("--step", "7m"), "divides a day"),
        (("--zone", "Europe/Nowhere"), "expected a zone"),
        (("--holiday", "christmas"), "expected a day"),
    ):
        done = operator.run("perf", "event", event_id, *words)
        assert (done.exit_code, said in " ".join(done.stderr.split())) == (Exit.USAGE, True), done.stderr
    later = operator.ask("event", "create", "--shed", "1kW", "--target", "group:perf")
    done = operator.run("perf", "event", later["id"])
    assert (done.exit_code, "is not over" in done.stderr) == (Exit.USAGE, True), done.stderr


async def _past_event(operator: Operator, program_id: str) -> str:
    secret = operator.environment["OADR_BL_CLIENT_SECRET"]
    async with VtnClient(base_url=operator.url, client_id="utility", client_secret=secret) as client:
        event = reduction_event(program_id, EventPayloadType.DISPATCH_SETPOINT_RELATIVE, [-2], start=START, length=HOUR)
        return (await client.events.create(msgspec.structs.replace(event, targets=("group:perf",)))).id


async def _report(operator: Operator, event_id: str, *, in_event: float = 0.5) -> None:
    """Send what home-1 drew from 16:00 to 17:00 of 15 days, and what it was asked for."""
    hours = [
        Interval(
            id=number,
            interval_period=IntervalPeriod(start=Start.of(START - number * DAY), duration=Duration.of(HOUR)),
            payloads=(ValuesMap(type="USAGE", values=(2.0 if number else in_event,)),),
        )
        for number in range(15)
    ]
    drawn = ReportRequest(
        event_id=event_id,
        client_name="home-1",
        resources=(ReportResource(resource_name="meter", intervals=tuple(hours)),),
    )
    sheds = tuple(Shed(name, Decimal(2), None, None, None) for name in ("AGGREGATED_REPORT", "meter"))
    asked = status_report(
        event_id=event_id, client_name="home-1", intervals=(ShedInterval(0, START, START + HOUR, sheds),)
    )
    secret = operator.secrets["home-1"]
    async with VtnClient(base_url=operator.url, client_id="home-1", client_secret=secret) as client:
        for report in (drawn, asked):
            await client.reports.create(report)
