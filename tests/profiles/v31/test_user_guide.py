"""The examples of the standard's user guide: each is understood and comes back, or is refused for a reason."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from openadr_profiles.v31 import (
    BlResourceRequest,
    BlVenRequest,
    Event,
    EventRequest,
    Invalid,
    Program,
    ProgramRequest,
    Report,
    ReportDescriptor,
    ReportPlan,
    ReportRequest,
    Resource,
    Timing,
    VenResourceRequest,
    VenVenRequest,
    decode,
    due_reports,
    encode,
    lifespan,
)
from tests.profiles.v31.build import an_event, at, placed

GUIDE = Path(__file__).parents[2] / "data" / "user-guide"

UNDERSTOOD: dict[str, Any] = {
    "7.2-1": ProgramRequest,
    "7.2-3": EventRequest,
    "7.2-5": ReportRequest,
    "7.3-1": EventRequest,
    "7.4-1": EventRequest,
    "7.6-1": EventRequest,
    "7.7-2": ReportRequest,
    "7.8-1": ReportRequest,
    "8.1-1": EventRequest,
    "8.2-1": EventRequest,
    "8.3-1": ProgramRequest,
    "8.3-2": EventRequest,
    "8.3-3": ReportDescriptor,
    "8.3-4": ReportRequest,
    "8.4-1": ProgramRequest,
    "8.4-2": EventRequest,
    "8.5-1": EventRequest,
    "8.6-1": EventRequest,
    "8.6-2": ReportRequest,
    "8.7-1": EventRequest,
    "8.7-2": ReportRequest,
    "8.8-1": EventRequest,
    "8.8-2": ReportRequest,
    "8.9.3-1": EventRequest,
    "8.9.3-2": EventRequest,
    "8.9.3-3": EventRequest,
    "8.9.3-4": ReportRequest,
    "8.10.1-1": EventRequest,
    "8.10.2-1": EventRequest,
    "8.10.2-2": EventRequest,
    "8.10.2-3": ReportRequest,
    "8.10.2-4": EventRequest,
    "8.10.2-5": EventRequest,
    "8.12-1": EventRequest,
    "8.12-2": EventRequest,
    "8.13-1": VenVenRequest | BlVenRequest,
    "8.13-2": VenResourceRequest | BlResourceRequest,
    "8.13-3": ProgramRequest,
    "8.13-4": EventRequest,
    "8.13-6": EventRequest,
}

NO_DATE = "a time of day is no RFC 3339 instant (GEN-019)"
REFUSED: dict[str, tuple[Any, str, str]] = {
    "7.2-2": (Program, "createdDateTime", NO_DATE),
    "7.2-4": (Event, "createdDateTime", NO_DATE),
    "7.2-6": (Report, "createdDateTime", NO_DATE),
    "7.7-1": (EventRequest, "reportDescriptors[0].payloadType", "it is misspelled as payLoadType (EVT-017)"),
    "8.13-5": (list[Event], "[0].createdDateTime", NO_DATE),
    "8.13-7": (list[Resource], "[0].createdDateTime", NO_DATE),
}

EVENT_KIND = {"objectType": "EVENT_PAYLOAD_DESCRIPTOR"}
REPORT_KIND = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR"}


def text(number: str) -> str:
    return (GUIDE / f"{number}.json").read_text(encoding="utf-8")


def event(number: str) -> Event:
    return an_event(**json.loads(text(number)))


def comes_back(number: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return what of an example comes back: all of it, and the kind of a descriptor (R-30, COMPAT-053)."""
    if descriptors := document.get("payloadDescriptors"):
        kind = REPORT_KIND if "resources" in document else EVENT_KIND
        document = document | {"payloadDescriptors": [kind | one for one in descriptors]}
    if number == "8.6-2":  # payload descriptors inside a resource are no member of it (REPORT-011, R-29)
        kept = [{k: v for k, v in one.items() if k != "payloadDescriptors"} for one in document["resources"]]
        return document | {"resources": kept}
    return document


def test_every_example_is_judged() -> None:
    """A new file here needs a word about it."""
    assert {path.stem for path in GUIDE.glob("*.json")} == {*UNDERSTOOD, *REFUSED}


@pytest.mark.parametrize("number", UNDERSTOOD)
def test_example_is_understood_and_comes_back(number: str) -> None:
    """OBJ-013, GEN-017, COMPAT-047."""
    written = encode(decode(text(number), UNDERSTOOD[number]))

    assert json.loads(written) == comes_back(number, json.loads(text(number)))


@pytest.mark.parametrize("number", REFUSED)
def test_example_that_breaks_the_schema_is_refused_for_the_right_member(number: str) -> None:
    """GEN-015, EVT-017, GEN-019."""
    type_, member, _ = REFUSED[number]

    with pytest.raises(Invalid) as caught:
        decode(text(number), type_)
    assert caught.value.member == member


def hours(day: str, *clocks: str | None) -> list[datetime | None]:
    return [None if clock is None else at(clock, day) for clock in clocks]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("7.2-3", hours("2023-02-10", "0:00", "1:00")),
        ("7.3-1", hours("2025-06-25", "0:00", "3:00")),
        ("7.4-1", hours("2023-02-10", "0:00", "1:00", "3:00")),
        ("7.6-1", hours("2023-02-10", "0:00", "1:00")),
        ("8.1-1", hours("2025-03-14", "0:00", "4:00")),
        ("8.2-1", hours("2025-03-14", "0:00", "4:00")),
        ("8.3-2", hours("2023-02-10", "0:00", "1:00", "2:00")),
        ("8.4-2", hours("2025-03-14", "0:00", "1:00")),
        ("8.5-1", hours("2025-03-14", "0:00", "4:00")),
        ("8.9.3-1", hours("2023-02-10", "0:00", None)),
        ("8.9.3-2", hours("2023-02-10", "0:00", None)),
        ("8.9.3-3", hours("2023-02-10", "0:00", None)),
        ("8.10.1-1", hours("2023-02-10", "0:00", "0:30", "1:00")),
        ("8.10.2-1", hours("2023-02-10", "0:00", None)),
        ("8.10.2-4", hours("2025-01-01", "0:00", "0:00")),
        ("8.10.2-5", hours("2023-02-10", "0:00", "1:00")),
        ("8.12-1", hours("2025-02-13", "19:00", "21:00")),
        ("8.12-2", hours("2025-02-13", "19:00", "20:00", "22:00")),
        ("8.13-4", hours("2024-12-31", "0:00", None)),
        ("8.13-6", hours("2024-12-31", "0:00", None)),
    ],
)
def test_intervals_of_an_example_follow_each_other(number: str, expected: list[datetime | None]) -> None:
    """TIME-010, TIME-012, TIME-015, TIME-017, TIME-035: the edges of its windows."""
    windows = list(placed(event(number)).windows())

    assert [windows[0].start, *(window.end for window in windows)] == expected
    assert [window.interval_id for window in windows] == [
        interval["id"] for interval in json.loads(text(number)).get("intervals", [{"id": None}])
    ]


def test_three_prices_in_one_interval_are_an_hour_each() -> None:
    """TIME-029: example 7.3-1."""
    (window,) = placed(event("7.3-1")).windows()

    assert [(held.values, held.start) for held in window.held()] == [
        ((0.17,), at("0:00", "2025-06-25")),
        ((0.03,), at("1:00", "2025-06-25")),
        ((0.11,), at("2:00", "2025-06-25")),
    ]


@pytest.mark.parametrize("number", ["8.4-2", "8.12-1", "8.12-2"])
def test_points_and_instructions_stay_together(number: str) -> None:
    """TIME-030."""
    assert [len(held.values) for window in placed(event(number)).windows() for held in window.held()] == [
        len(payload["values"]) for interval in json.loads(text(number))["intervals"] for payload in interval["payloads"]
    ]


@pytest.mark.parametrize("number", ["8.6-1", "8.10.2-2", "8.10.2-4"])
def test_standing_report_request_is_not_a_cancelled_event(number: str) -> None:
    """PAGE-030, R-20."""
    assert lifespan(event(number)).end is None
    assert not placed(event(number)).cancelled


@pytest.mark.parametrize(
    ("number", "timing"),
    [
        ("8.3-2", Timing.SCHEDULED),
        ("8.6-1", Timing.FREE),
        ("8.7-1", Timing.SCHEDULED),
        ("8.8-1", Timing.SCHEDULED),
        ("8.10.1-1", Timing.SCHEDULED),
        ("8.10.2-2", Timing.FREE),
    ],
)
def test_who_chooses_the_time_of_a_report(number: str, timing: Timing) -> None:
    """RDESC-008, RDESC-010, RDESC-012."""
    asked = event(number)

    assert {ReportPlan.of(placed(asked), one).timing for one in asked.report_descriptors or ()} == {timing}


@pytest.mark.parametrize(("number", "count"), [("8.7-1", 48), ("8.8-1", 24)])
def test_forecast_rolls_on_every_hour(number: str, count: int) -> None:
    """RDESC-EX-07, RDESC-012."""
    asked = event(number)
    for descriptor in asked.report_descriptors or ():
        reports = due_reports(placed(asked), descriptor, joined_at=at("0:00", "2023-02-10"))
        first, second = next(reports), next(reports)
        assert [first.due, second.due] == hours("2023-02-10", "0:00", "1:00")
        assert (len(first.windows), second.windows[-1].end) == (count, at(f"{count + 1}:00", "2023-02-10"))


def test_defaults_left_out_ask_for_the_same_report_as_written_out() -> None:
    """RDESC-001: example 8.3-3 says of the descriptor in 8.3-2 that they are equal."""
    asked = event("8.3-2")
    short = decode(text("8.3-3"), ReportDescriptor)

    for descriptor in (short, *(asked.report_descriptors or ())):
        (report,) = due_reports(placed(asked), descriptor, joined_at=at("0:00", "2023-01-01"))
        assert (report.due, report.interval_ids) == (at("2:00", "2023-02-10"), (0, 1))
