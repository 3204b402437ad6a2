"""Rules of issuing: who is reached, how a total is shared out, what is warned of and refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from openadr_profiles.contact import Contact
from openadr_profiles.fleet.building import reduction_event
from openadr_profiles.fleet.cancellation import cancelled, planned
from openadr_profiles.fleet.division import share_out
from openadr_profiles.fleet.power import asked_kw
from openadr_profiles.fleet.precedence import overriding
from openadr_profiles.fleet.preview import Safety, examine
from openadr_profiles.fleet.recipients import Recipient, capacity_kw, recipients
from openadr_profiles.v31 import Event, EventPayloadType, EventRequest, Resource, ValuesMap, Ven
from openadr_profiles.v31.timeline import Timeline

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
META: dict[str, Any] = {"created_date_time": NOW, "modification_date_time": NOW}
SHED = EventPayloadType.DISPATCH_SETPOINT_RELATIVE


def ven(name: str, targets: tuple[str, ...] | None = None) -> Ven:
    return Ven(id=f"id-{name}", **META, client_id=f"client-{name}", ven_name=name, targets=targets)


def resource(of: str, name: str, **attributes: Any) -> Resource:
    said = tuple(ValuesMap(type=type_, values=(value,)) for type_, value in attributes.items())
    return Resource(id=name, **META, client_id="c", resource_name=name, ven_id=f"id-{of}", attributes=said)


def shed(
    kw: float, *, start: datetime = NOW + HOUR, targets: tuple[str, ...] = (), length: timedelta = HOUR
) -> EventRequest:
    return reduction_event("p", SHED, [-kw], start=start, length=length, targets=targets)


def stored(request: EventRequest, id_: str = "e1", modified: datetime = NOW) -> Event:
    members = {name: getattr(request, name) for name in EventRequest.__struct_fields__}
    return Event(id=id_, created_date_time=NOW, modification_date_time=modified, **members)


def to(*capacities: str | None) -> list[Recipient]:
    return [
        Recipient(f"v{number}", f"v{number}", None if each is None else Decimal(each))
        for number, each in enumerate(capacities)
    ]


def test_what_a_ven_can_shed_is_rated_power_times_share_without_critical_circuits() -> None:
    circuits = [
        resource("a", "ev", MAX_POWER_CONSUMPTION=8.0, SHED_SHARE=0.5, CRITICAL=False),
        resource("a", "fridge", MAX_POWER_CONSUMPTION=1.0, CRITICAL=True),
        resource("a", "pump", MAX_POWER_CONSUMPTION=2),
    ]
    assert capacity_kw(ven("a"), circuits) == Decimal(6)
    assert capacity_kw(ven("b"), []) is None


def test_a_total_is_shared_out_by_capacity_and_equal_parts_are_one_event() -> None:
    division = share_out([Decimal(90), Decimal(0)], to("10", "20", "10", "50"))
    assert division.basis == "capacity"
    assert [(part.kw, len(part.recipients)) for part in division.parts] == [
        ((Decimal(50), Decimal(0)), 1),
        ((Decimal(20), Decimal(0)), 1),
        ((Decimal(10), Decimal(0)), 2),
    ]
    assert division.left_kw == 0


def test_a_total_is_shared_out_equally_when_one_has_not_said_what_it_can_shed() -> None:
    division = share_out([Decimal(100)], to("10", None, "50"))
    assert division.basis == "equal"
    (part,) = division.parts
    assert part.kw == (Decimal("33.333"),)
    assert division.left_kw == Decimal("0.001")


@pytest.mark.parametrize(
    ("whom", "problem"),
    [([], "nobody"), (to("0", "0"), "can shed anything"), (to(*map(str, range(1, 200))), "equal")],
)
def test_a_total_that_cannot_be_shared_out_is_refused(whom: list[Recipient], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        share_out([Decimal(1000)], whom)


def test_the_preview_multiplies_and_asks_for_everybody_and_above_the_limit() -> None:
    vens = [ven(str(number)) for number in range(500)]
    request = shed(1000)
    preview = examine([(request, recipients((), vens, []))], [], vens, [], now=NOW, safety=Safety())
    assert preview.summary[0].startswith("500 VENs x 1 MW = 500 MW, ")
    assert preview.total_kw == 500_000
    assert preview.confirm[0] == "it goes to everybody"
    assert "500 MW in total, more than 1 MW" in preview.confirm[1]
    assert not preview.refused


def test_a_small_event_for_a_group_needs_no_question() -> None:
    vens = [ven("a", ("north",)), ven("b")]
    request = shed(5, targets=("north",))
    preview = examine([(request, recipients(("north",), vens, []))], [], vens, [], now=NOW, safety=Safety())
    assert (preview.confirm, preview.refused, preview.warnings, preview.recipients) == ((), (), (), 1)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (shed(10_001, targets=("a",)), "max_kw_per_ven"),
        (shed(1, start=NOW + timedelta(days=99_999), targets=("a",)), "max_days_ahead"),
        (shed(1, length=timedelta(days=9_999), targets=("a",)), "max_days_ahead"),
    ],
)
def test_what_is_above_a_limit_is_refused(request_: EventRequest, reason: str) -> None:
    preview = examine([(request_, to("1"))], [], [], [], now=NOW, safety=Safety())
    assert [reason in each for each in preview.refused] == [True]


def test_the_limit_of_the_total_counts_all_vens() -> None:
    safety = Safety(max_total_kw=Decimal(9))
    preview = examine([(shed(5, targets=("a",)), to("1", "1"))], [], [], [], now=NOW, safety=safety)
    assert "max_total_kw" in preview.refused[0]


def test_it_warns_of_nobody_and_of_the_past() -> None:
    nobody = examine([(shed(1, targets=("typo",)), [])], [], [], [], now=NOW, safety=Safety())
    assert "nobody is reached" in nobody.warnings[0]
    over = examine([(shed(1, start=NOW - 5 * HOUR, targets=("a",)), to("1"))], [], [], [], now=NOW, safety=Safety())
    assert "over already" in over.warnings[0]
    assert over.confirm == ("it is over already",)
    begun = examine([(shed(1, start=NOW - HOUR / 2, targets=("a",)), to("1"))], [], [], [], now=NOW, safety=Safety())
    assert "in the past" in begun.warnings[0]


def test_it_warns_of_those_who_were_not_heard_of_for_more_than_a_day() -> None:
    """Only if the VTN tells of contacts: of a VTN that does not, nothing is known."""

    def warnings(*ages: timedelta | None, known: bool = True) -> tuple[str, ...]:
        recipients = [
            Recipient(f"v{number}", f"home-{number}", None, None if age is None else NOW - age, contact_known=known)
            for number, age in enumerate(ages)
        ]
        return examine([(shed(1, targets=("a",)), recipients)], [], [], [], now=NOW, safety=Safety()).warnings

    day = timedelta(days=1)
    assert warnings(day, 2 * day, None) == (
        "1 of 3 VENs unseen for more than a day: home-1",
        "1 of 3 VENs never seen: home-2",
    )
    assert warnings(*[None] * 7) == ("7 of 7 VENs never seen: home-0, home-1, home-2, home-3, home-4, ...",)
    assert warnings(None, None, known=False) == ()


def test_contacts_are_found_by_the_client_of_a_ven() -> None:
    known = Contact(client_id="client-a", protocol="OpenADR 3.1", last_contact=NOW)
    found = recipients(None, [ven("a"), ven("b")], [], contacts={"client-a": known})
    assert [(each.last_contact, each.contact_known) for each in found] == [(NOW, True), (None, True)]
    (unknown,) = recipients(None, [ven("a")], [])
    assert (unknown.last_contact, unknown.contact_known) == (None, False)


def test_it_warns_of_an_event_that_is_superseded_and_of_one_that_has_priority() -> None:
    vens = [ven("a", ("north",)), ven("b", ("south",))]
    running = stored(shed(3, targets=("north",)))
    whom = recipients((), vens, [])
    new = examine([(shed(2), whom)], [running], vens, [], now=NOW + timedelta(minutes=1), safety=Safety())
    assert new.warnings == ("it takes the place of event e1 for 1 VEN",)
    first = Event(**{name: getattr(running, name) for name in Event.__struct_fields__} | {"priority": 0})
    below = examine([(shed(2), whom)], [first], vens, [], now=NOW + timedelta(minutes=1), safety=Safety())
    assert below.warnings == ("event e1 has priority over it for 1 VEN: it may change nothing",)
    elsewhere = stored(shed(3, start=NOW + 9 * HOUR))
    assert not examine([(shed(2), whom)], [elsewhere], vens, [], now=NOW, safety=Safety()).warnings


def test_kw_are_read_with_the_units_the_event_names() -> None:
    request = shed(3)
    assert asked_kw(request) == 3
    assert asked_kw(reduction_event("p", EventPayloadType.SIMPLE, [2], start=NOW, length=HOUR)) is None


def test_overriding_needs_the_same_kind_of_payload() -> None:
    event, level = stored(shed(3)), reduction_event("p", EventPayloadType.SIMPLE, [1], start=NOW, length=4 * HOUR)
    assert overriding(event, [stored(level, "e2", NOW + HOUR)]) == []
    later = stored(shed(1, start=NOW + HOUR * 1.5), "e3", NOW + HOUR)
    assert overriding(event, [later]) == [(later, NOW + HOUR * 1.5, NOW + 2 * HOUR)]


def test_a_cancelled_event_keeps_its_plan_readable_and_is_still_cancelled() -> None:
    event = stored(reduction_event("p", SHED, [-3, 0.0], start=NOW + HOUR, length=HOUR, name="evening"))
    off = stored(cancelled(event), modified=NOW)
    assert Timeline.of(off, anchor=NOW).cancelled
    assert planned(off) == (NOW + HOUR, NOW + 2 * HOUR)
    again = stored(cancelled(off), modified=NOW + HOUR)
    assert planned(again) == (NOW + HOUR, NOW + 2 * HOUR), "cancelling twice does not move it"
    assert planned(event) is None


@pytest.mark.parametrize(
    ("units", "value", "kw"),
    [("KW", -2, 2), ("kW", -2, 2), ("w", -2000, 2), ("mw", -2, 2000), ("MW", -2, 2000)],
)
def test_power_is_judged_in_the_units_as_a_ven_reads_them(units: str, value: float, kw: int) -> None:
    """A VEN compares units without regard to case, so a limit must not be passed by in lower case."""
    request = in_units(units, value)
    preview = examine([(request, to("1"))], [], [], [], now=NOW, safety=Safety(max_kw_per_ven=Decimal(kw - 1)))

    assert preview.total_kw == kw
    assert any("max_kw_per_ven" in each for each in preview.refused)


def test_power_without_units_is_refused() -> None:
    """A VEN would take the program's units, which nobody has looked at here."""
    preview = examine([(in_units(None, -2), to("1"))], [], [], [], now=NOW, safety=Safety())

    assert any("payloadDescriptors" in each for each in preview.refused)


def test_units_that_are_no_power_are_asked_about() -> None:
    """No limit in kW says anything about them."""
    preview = examine([(in_units("PERCENT", -2), to("1"))], [], [], [], now=NOW, safety=Safety())

    assert any("PERCENT" in each for each in preview.confirm)


def in_units(units: str | None, value: float) -> EventRequest:
    request = shed(-value, targets=("group:north",))
    (descriptor,) = request.payload_descriptors or ()
    return replace(request, payload_descriptors=(replace(descriptor, units=units),) if units else None)
