"""What became of an event, joined from the VTN's objects."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.console import Console

from oadr.events.status_view import status_tables
from openadr_profiles.contact import Contact
from openadr_profiles.fleet.building import reduction_event
from openadr_profiles.fleet.reports import Opt, Shed, ShedInterval, opt_report, status_report
from openadr_profiles.fleet.status import EventStatus, event_status, targeted
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    Duration,
    Event,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    OperatingState,
    Report,
    ReportRequest,
    Resource,
    Start,
    Ven,
)

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
META: dict[str, Any] = {"created_date_time": START, "modification_date_time": START}


def event(targets: tuple[str, ...] | None = None, count: int = 1) -> Event:
    return Event(
        id="e1",
        **META,
        program_id="p1",
        event_name="evening",
        targets=targets,
        interval_period=IntervalPeriod(start=Start.of(START), duration=Duration.parse("PT1H")),
        intervals=tuple(Interval(id=index, payloads=()) for index in range(count)),
    )


def ven(name: str, targets: tuple[str, ...] | None = None) -> Ven:
    return Ven(id=f"id-{name}", **META, client_id=f"client-{name}", ven_name=name, targets=targets)


def received(request: ReportRequest, client_id: str, event_id: str = "e1") -> Report:
    return Report(
        id=f"r-{client_id}-{request.report_name}",
        **META,
        client_id=client_id,
        event_id=event_id,
        client_name=request.client_name,
        report_name=request.report_name,
        payload_descriptors=request.payload_descriptors,
        resources=request.resources,
    )


def opts(client_id: str, *entries: Opt) -> Report:
    return received(opt_report(event_id="e1", client_name="x", decided_at=START, opts=entries), client_id)


def shed(name: str, requested: str, delivered: str, final: str | None = None) -> Shed:
    return Shed(
        resource_name=name,
        requested_kw=Decimal(requested),
        original_kw=Decimal(5),
        curtailed_kw=Decimal(5) - Decimal(delivered),
        delivered_kw=Decimal(delivered),
        final_kw=None if final is None else Decimal(final),
        state=OperatingState.RUNNING_CURTAILED,
    )


def test_an_event_without_targets_is_for_every_ven() -> None:
    vens = [ven("home"), ven("other", ("x",))]
    assert targeted(event(), vens, []) == vens


def test_targets_are_held_through_the_ven_its_id_and_its_resources() -> None:
    by_ven, by_id, by_resource, not_at_all = ven("a", ("north",)), ven("b"), ven("c"), ven("d", ("south",))
    resource = Resource(
        id="r", **META, client_id="client-c", resource_name="heater", ven_id="id-c", targets=("heaters",)
    )
    wanted = event(("north", "id-b", "heaters"))
    assert targeted(wanted, [by_ven, by_id, by_resource, not_at_all], [resource]) == [by_ven, by_id, by_resource]


def test_a_ven_that_has_said_nothing_is_shown_as_not_reached() -> None:
    (one,) = event_status(event(), [ven("home")], [], [], at=START).participants
    assert (one.reached, one.opted_in, one.requested_kw, one.circuits) == (False, None, None, ())


def test_opting_out_is_shown_with_its_reason() -> None:
    report = opts("client-home", Opt(AGGREGATED_REPORT, False, "quiet hours", OperatingState.RUNNING_OPTED_OUT))
    (one,) = event_status(event(), [ven("home")], [], [report], at=START).participants
    assert (one.reached, one.opted_in, one.reason) == (True, False, "quiet hours")


def test_circuit_that_its_owner_has_taken_over_is_shown_with_the_reason() -> None:
    said = opts(
        "client-home",
        Opt(AGGREGATED_REPORT, True, None, OperatingState.RUNNING_CURTAILED),
        Opt("ev", False, "switched on by hand", OperatingState.RUNNING_OPTED_OUT),
    )
    sheds = (shed("ev", "2", "0"), shed("heater", "1", "1"), shed(AGGREGATED_REPORT, "3", "1"))
    intervals = [ShedInterval(0, START, START + HOUR, sheds)]
    done = received(status_report(event_id="e1", client_name="home", intervals=intervals), "client-home")
    status = event_status(event(), [ven("home")], [], [said, done], at=START)
    (one,) = status.participants
    assert (one.name, one.opted_in, one.requested_kw) == ("home", True, Decimal(3)), "a home, not a bridge of panels"
    assert [(circuit.name, circuit.opted_out) for circuit in one.circuits] == [
        ("ev", "switched on by hand"),
        ("heater", None),
    ]
    assert "running opted out: switched on by hand" in printed(status, everything=True, width=200)


def test_circuits_and_energy_of_a_home() -> None:
    said = opts("client-home", Opt(AGGREGATED_REPORT, True, None, OperatingState.RUNNING_CURTAILED))
    done = received(
        status_report(
            event_id="e1",
            client_name="home",
            intervals=[
                ShedInterval(0, START, START + HOUR, (shed("heater", "2", "1.5"), shed(AGGREGATED_REPORT, "2", "1.5"))),
                ShedInterval(
                    1,
                    START + HOUR,
                    START + HOUR + HOUR / 2,
                    (shed("heater", "1", "1", "4.2"), shed(AGGREGATED_REPORT, "1", "1", "4.2")),
                ),
            ],
        ),
        "client-home",
    )
    status = event_status(event(count=2), [ven("home")], [], [said, done], at=START + HOUR)
    (one,) = status.participants
    assert status.state == "active"
    assert (one.requested_kw, one.delivered_kw) == (Decimal(1), Decimal(1))
    assert (one.requested_kwh, one.delivered_kwh) == (Decimal(2), Decimal("1.5")), "the second interval just begins"
    (circuit,) = one.circuits
    assert (circuit.name, circuit.final_kw) == ("heater", Decimal("4.2"))
    (later,) = event_status(event(count=2), [ven("home")], [], [said, done], at=START + 5 * HOUR).participants
    assert (later.requested_kwh, later.delivered_kwh) == (Decimal("2.5"), Decimal(2))


def test_each_panel_behind_a_bridge_is_a_participant_with_its_own_circuits() -> None:
    said = opts(
        "client-bridge",
        Opt("panel-1", True, None, OperatingState.RUNNING_CURTAILED),
        Opt("panel-2", False, "no answer", OperatingState.ERROR),
    )
    sheds = (shed("panel-1/heater1", "2", "2"), shed("panel-1", "2", "2"), shed(AGGREGATED_REPORT, "2", "2"))
    done = received(
        status_report(event_id="e1", client_name="bridge", intervals=[ShedInterval(0, START, START + HOUR, sheds)]),
        "client-bridge",
    )
    first, second = event_status(event(), [ven("bridge")], [], [said, done], at=START).participants
    assert (first.name, first.ven_name, first.requested_kw) == ("panel-1", "bridge", Decimal(2))
    assert [circuit.name for circuit in first.circuits] == ["heater1"]
    assert (second.name, second.opted_in, second.reason, second.circuits) == ("panel-2", False, "no answer", ())


def test_reports_about_other_events_and_of_other_clients_count_for_nobody() -> None:
    stranger = opts("client-stranger", Opt(AGGREGATED_REPORT, True, None, OperatingState.RUNNING_CURTAILED))
    other = received(
        opt_report(
            event_id="e2",
            client_name="x",
            decided_at=START,
            opts=[Opt(AGGREGATED_REPORT, True, None, OperatingState.RUNNING_CURTAILED)],
        ),
        "client-home",
        event_id="e2",
    )
    (one,) = event_status(event(), [ven("home")], [], [stranger, other], at=START).participants
    assert not one.reached


def test_the_state_follows_the_time() -> None:
    states = [event_status(event(), [], [], [], at=START + delta).state for delta in (-HOUR, HOUR / 2, HOUR)]
    assert states == ["scheduled", "active", "completed"]


def test_as_json_has_numbers_and_instants_as_text() -> None:
    plain = event_status(event(), [ven("home")], [], [], at=START).as_json()
    assert plain["start"] == "2026-01-01T12:00:00Z"
    assert plain["participants"][0]["requested_kwh"] == 0.0


def shed_event(id_: str, *, hours: float = 0, modified: datetime = START) -> Event:
    request = reduction_event(
        "p1", EventPayloadType.DISPATCH_SETPOINT_RELATIVE, [-4.0], start=START + HOUR * hours, length=HOUR
    )
    members = {name: getattr(request, name) for name in EventRequest.__struct_fields__}
    return Event(id=id_, created_date_time=START, modification_date_time=modified, **members)


def test_an_event_cut_short_by_another_names_it_and_the_shortfall() -> None:
    """O4: asked = delivered for the half that ran is not the whole of what was issued."""
    first, second = shed_event("e1"), shed_event("e2", hours=0.5, modified=START + HOUR / 2)
    half = ShedInterval(0, START, START + HOUR / 2, (shed(AGGREGATED_REPORT, "4", "4"),))
    said = opts("client-home", Opt(AGGREGATED_REPORT, True, None, OperatingState.RUNNING_CURTAILED))
    done = received(status_report(event_id="e1", client_name="home", intervals=[half]), "client-home")
    status = event_status(first, [ven("home")], [], [said, done], at=START + 2 * HOUR, others=[first, second])
    (one,) = status.participants
    assert (one.requested_kwh, one.delivered_kwh) == (Decimal(2), Decimal(2))
    assert (one.planned_kwh, one.shortfall_kwh) == (Decimal(4), Decimal(2))
    assert (status.totals.planned_kwh, status.totals.shortfall_kwh) == (Decimal(4), Decimal(2))
    (by,) = status.superseded_by
    assert (by.event_id, by.start, by.end, by.vens) == ("e2", START + HOUR / 2, START + HOUR, 1)
    other = event_status(second, [ven("home")], [], [], at=START + 2 * HOUR, others=[first, second])
    assert other.superseded_by == ()


def printed(status: EventStatus, *, everything: bool, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(*status_tables(status, everything=everything), sep="\n")
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_500_vens_are_a_funnel_and_the_exceptions() -> None:
    """O6: not 509 lines of "no"."""
    vens = [ven(f"home-{number:03}") for number in range(500)]
    quiet = opts("client-home-499", Opt(AGGREGATED_REPORT, False, "quiet \x1b[2J", OperatingState.RUNNING_OPTED_OUT))
    status = event_status(shed_event("e1"), vens, [], [quiet], at=START + HOUR / 2)
    text = printed(status, everything=False)
    assert "500 VENs targeted, 1 reached, 0 in, 1 out, 499 silent, 0 delivering" in text
    assert len(text.splitlines()) < 40
    assert text.index("home-499") < text.index("home-000"), "who is out comes before who is silent"
    assert "quiet \\x1b[2J" in text
    assert "480 more of 500; --all shows them" in text
    assert len(printed(status, everything=True).splitlines()) > 500


def test_no_word_is_broken_on_a_narrow_terminal() -> None:
    """Columns are left out instead, and named."""
    out = opts("client-home", Opt(AGGREGATED_REPORT, False, "too much asked for", OperatingState.RUNNING_OPTED_OUT))
    circuit = ShedInterval(
        0, START, START + HOUR / 2, (shed(AGGREGATED_REPORT, "4", "4"), shed("water-heater", "4", "4"))
    )
    done = received(status_report(event_id="e1", client_name="home", intervals=[circuit]), "client-home")
    status = event_status(shed_event("e1"), [ven("home")], [], [out, done], at=START + HOUR / 2)

    wide, narrow = (printed(status, everything=True, width=width) for width in (160, 80))

    assert "Too narrow" not in wide
    assert "Too narrow for: Asked kWh, Short kWh, Last report." in narrow
    words = narrow.split()
    for word in ("Participant", "Reached", "In/out", "Delivered", "water-heater", "out", "asked"):
        assert word in words, narrow
    assert "…" not in narrow


def test_the_silent_are_told_apart_by_their_last_contact() -> None:
    """Tell a VEN that polls and does not answer from one that is not there."""
    vens = [ven("fresh"), ven("gone"), ven("new"), *(ven(f"polls-{number:02}") for number in range(30))]
    at = START + HOUR / 2
    contacts = {
        each.client_id: Contact(client_id=each.client_id, protocol="OpenADR 3.1", last_contact=at - HOUR / 6)
        for each in vens
        if each.ven_name != "new"
    }
    contacts["client-gone"] = Contact(client_id="client-gone", protocol="x", last_contact=at - timedelta(days=3))
    text = printed(event_status(shed_event("e1"), vens, [], [], at=at, contacts=contacts), everything=False)
    assert "33 VENs targeted, 0 reached, 0 in, 0 out, 33 silent (2 unseen for more than a day), 0 delivering" in text
    lines = [line.split() for line in text.splitlines() if "no " in line]
    assert [line[0] for line in lines[:3]] == ["gone", "new", "fresh"], "who is not there comes first"
    assert "last contact 3 d ago" in text
    assert "never seen" in text
    assert "last contact 10 min ago" in text
    assert "unseen" not in printed(event_status(shed_event("e1"), vens, [], [], at=at), everything=False)


def test_words_fit_the_number_and_the_state() -> None:
    """One VEN, and nothing "so far" or "until now" once it is over."""
    one = [ven("home")]
    active = printed(event_status(shed_event("e1"), one, [], [], at=START + HOUR / 2), everything=False)
    assert "1 VEN targeted, 0 reached" in active
    assert "kWh so far" in active
    assert "kWh until now" in active
    over = printed(event_status(shed_event("e1"), one, [], [], at=START + 2 * HOUR), everything=False)
    assert "delivered 0.00 kWh\n" in over.replace(" \n", "\n")
    assert "As issued: 4.00 kWh; shortfall 4.00 kWh" in over


def test_an_event_for_nobody_says_so() -> None:
    assert "Nobody holds one of its targets" in printed(
        event_status(event(("typo",)), [ven("home")], [], [], at=START), everything=False
    )
