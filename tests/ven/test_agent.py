"""A home and a real VTN: from the event to the switched circuits and back to the report."""

from datetime import timedelta
from decimal import Decimal

import pytest

from openadr_client.errors import Forbidden, TemporarilyUnavailable, Unreachable, VtnError
from openadr_client.objects import Events
from openadr_profiles.fleet.reports import Shed, ShedInterval
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    NOW,
    ZERO,
    BlVenRequest,
    Event,
    IntervalPeriod,
    OperatingState,
    Problem,
)
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Town, as_request


def shed(interval: ShedInterval, name: str) -> Shed:
    return next(each for each in interval.sheds if each.resource_name == name)


async def test_home_registers_itself_and_its_circuits(town: Town, start_home: StartHome) -> None:
    """VENCLIENT-008."""
    await start_home()
    (ven,) = await town.bl.vens.search()
    resources = await town.bl.resources.search(ven_id=ven.id)
    assert (ven.ven_name, ven.client_id) == ("home-1", "home-1")
    assert {resource.resource_name for resource in resources} == {"fridge", "heater", "ev"}
    fridge = next(resource for resource in resources if resource.resource_name == "fridge")
    assert {(each.type, each.values) for each in fridge.attributes or ()} >= {
        ("MAX_POWER_CONSUMPTION", (4,)),
        ("CRITICAL", (True,)),
    }


async def test_registering_again_changes_nothing(town: Town, start_home: StartHome) -> None:
    """VENCLIENT-008: not even the modification dates."""
    home = await start_home()
    before = [*await town.bl.vens.search(), *await town.bl.resources.search()]
    await home.kill()
    await town.clock.advance(60)
    await home.start()
    assert [*await town.bl.vens.search(), *await town.bl.resources.search()] == before


async def test_circuits_give_what_is_asked_and_return(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3.5, minutes=60))
    await home.until(START - timedelta(seconds=1))
    assert home.relay.in_force == {}
    (opt,) = await town.opts(event)
    assert (opt.resource_name, opt.opted_in, opt.reason) == (AGGREGATED_REPORT, True, None)

    await home.until(START)
    assert home.relay.in_force == {"ev": 0, "heater": Decimal("1.5")}
    (interval,) = await town.status(event)
    assert (interval.id, interval.start, interval.end) == (0, START, START + timedelta(hours=1))
    assert shed(interval, "ev").state == OperatingState.IDLE_CURTAILED

    await home.until(START + timedelta(hours=1))
    assert home.relay.in_force == {}
    (interval,) = await town.status(event)
    assert interval.end == START + timedelta(hours=1)
    assert {each.resource_name: [each.requested_kw, each.delivered_kw] for each in interval.sheds} == {
        "fridge": [0, 0],
        "heater": [Decimal("0.5"), Decimal("0.5")],
        "ev": [3, 3],
        AGGREGATED_REPORT: [Decimal("3.5"), Decimal("3.5")],
    }
    assert {each.resource_name: [each.original_kw, each.curtailed_kw, each.final_kw] for each in interval.sheds} == {
        "fridge": [Decimal("0.2"), Decimal("0.2"), Decimal("0.2")],
        "heater": [2, Decimal("1.5"), 2],
        "ev": [3, 0, 3],
        AGGREGATED_REPORT: [Decimal("5.2"), Decimal("1.7"), Decimal("5.2")],
    }


async def test_intervals_are_followed_one_by_one(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-1, -3.5, 0, -2, minutes=15))
    limits = []
    for quarter in range(5):
        await home.until(START + timedelta(minutes=15 * quarter))
        limits.append(dict(home.relay.in_force))
    assert limits == [{"ev": 2}, {"ev": 0, "heater": Decimal("1.5")}, {}, {"ev": 1}, {}]
    intervals = await town.status(event)
    assert [each.id for each in intervals] == [0, 1, 3]
    assert [shed(each, AGGREGATED_REPORT).delivered_kw for each in intervals] == [1, Decimal("3.5"), 2]


async def test_what_cannot_be_given_is_seen_in_the_report(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-50))
    await home.until(START + timedelta(minutes=5))
    (interval,) = await town.status(event)
    together = shed(interval, AGGREGATED_REPORT)
    assert [together.requested_kw, together.delivered_kw] == [50, 4]
    assert "fridge" not in home.relay.in_force


async def test_opting_out_is_said_with_the_reason_and_nothing_is_switched(town: Town, start_home: StartHome) -> None:
    home = await start_home(opt={"max_shed_kw": 3})
    event = await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=30))
    (opt,) = await town.opts(event)
    assert (opt.opted_in, opt.reason) == (False, "3.5 kW asked for, at most 3 kW accepted")
    assert opt.state == OperatingState.RUNNING_OPTED_OUT
    assert home.relay.diary == []
    assert await town.status(event) == ()


async def test_changed_event_is_decided_anew_and_the_report_replaced(town: Town, start_home: StartHome) -> None:
    home = await start_home(opt={"max_shed_kw": 3})
    event = await town.issue(shed_event(-2))
    await home.until(START)
    assert home.relay.in_force == {"ev": 1}

    await town.bl.events.replace(event.id, as_request(shed_event(-9), program_id=event.program_id))
    await home.pass_(minutes=6)
    (opt,) = await town.opts(event)
    assert not opt.opted_in
    assert home.relay.in_force == {}


async def test_deleted_event_lets_circuits_return(town: Town, start_home: StartHome) -> None:
    """VENCLIENT-012."""
    home = await start_home()
    event = await town.issue(shed_event(-2))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.in_force == {"ev": 1}
    await town.bl.events.delete(event.id)
    await home.pass_(minutes=6)
    assert home.relay.in_force == {}


async def test_event_cancelled_by_update_lets_circuits_return(town: Town, start_home: StartHome) -> None:
    """EVT-019."""
    home = await start_home()
    event = await town.issue(shed_event(-2))
    await home.until(START + timedelta(minutes=10))
    cancelled = as_request(event, interval_period=IntervalPeriod(start=NOW, duration=ZERO))
    await town.bl.events.replace(event.id, cancelled)
    await home.pass_(minutes=6)
    assert home.relay.in_force == {}
    (interval,) = await town.status(event)
    assert interval.end is not None
    assert interval.end < START + timedelta(minutes=20)
    assert shed(interval, "ev").final_kw == 3


async def test_more_important_event_wins_and_the_other_goes_on_after_it(town: Town, start_home: StartHome) -> None:
    """TIME-036."""
    home = await start_home()
    await town.issue(shed_event(-1, minutes=60, priority=5))
    urgent = await town.issue(shed_event(-3, minutes=20, start=START + timedelta(minutes=20), priority=1))
    limits = []
    for minutes in (0, 20, 40, 60):
        await home.until(START + timedelta(minutes=minutes))
        limits.append(dict(home.relay.in_force))
    assert limits == [{"ev": 2}, {"ev": 0}, {"ev": 2}, {}]
    (interval,) = await town.status(urgent)
    assert shed(interval, "ev").original_kw == 3


async def test_events_of_different_kinds_hold_together(town: Town, start_home: StartHome) -> None:
    """TIME-037: the larger reduction serves both."""
    home = await start_home()
    simple = await town.issue(shed_event(3, type_="SIMPLE", units=None))
    limit = await town.issue(shed_event(4, type_="IMPORT_CAPACITY_LIMIT", minutes=30))
    await home.until(START)
    assert home.relay.in_force == {"ev": 0, "heater": 1}
    await home.until(START + timedelta(minutes=30))
    assert home.relay.in_force == {"ev": 0, "heater": 1}
    assert [shed(each, AGGREGATED_REPORT).requested_kw for each in await town.status(limit)] == [Decimal("1.2")]
    assert [shed(each, AGGREGATED_REPORT).requested_kw for each in await town.status(simple)] == [4]


async def test_event_that_means_now_begins_on_receipt_and_does_not_slide(town: Town, start_home: StartHome) -> None:
    """TIME-016."""
    home = await start_home()
    await town.issue(shed_event(-2, start=None, minutes=30))
    await home.pass_(minutes=6)
    begun = town.clock.now()
    assert home.relay.in_force == {"ev": 1}
    await home.kill()
    await home.start()
    await home.pass_(minutes=20)
    assert home.relay.in_force == {"ev": 1}
    await home.until(begun + timedelta(minutes=30))
    assert home.relay.in_force == {}


async def test_event_that_nothing_acts_on_is_answered_so(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(0.25, type_="PRICE", units="KWH"))
    await home.until(START + timedelta(hours=2))
    assert home.relay.diary == []
    (opt,) = await town.opts(event)
    assert (opt.opted_in, opt.reason) == (False, "nothing here acts on PRICE (no threshold for prices is set)")


async def test_circuit_that_fails_does_not_hold_up_the_others(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-5))
    await home.until(START - timedelta(minutes=1))
    home.relay.broken.add("ev")
    await home.until(START)
    assert home.relay.in_force == {"heater": 1}
    home.relay.broken.clear()
    await home.pass_(minutes=5)
    assert home.relay.in_force == {"heater": 1, "ev": 0}
    home.relay.broken.add("ev")
    await home.until(START + timedelta(hours=1))
    assert home.relay.in_force == {"ev": 0}
    home.relay.broken.clear()
    await home.pass_(minutes=5)
    assert home.relay.in_force == {}
    (interval,) = await town.status(event)
    assert shed(interval, "ev").final_kw == 3


async def test_killed_home_goes_on_without_a_second_shed(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3.5, -3.5, minutes=30))
    await home.until(START + timedelta(minutes=10))
    before = list(home.relay.diary)
    await home.kill()
    await town.clock.advance(300)
    await home.start()
    assert home.relay.diary == before

    await home.until(START + timedelta(minutes=59))
    assert home.relay.diary == before
    await home.until(START + timedelta(minutes=60))
    assert home.relay.in_force == {}
    assert [shed(each, AGGREGATED_REPORT).original_kw for each in await town.status(event)] == [Decimal("5.2")] * 2
    assert len(await town.opts(event)) == 1


async def test_home_that_wakes_after_the_end_restores_at_once(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    await home.kill()
    await town.clock.advance(7200)
    await home.start()
    assert home.relay.in_force == {}


async def test_home_without_memory_does_not_take_curtailed_power_for_normal(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    await home.kill()
    home.settings.store.unlink()
    await home.start()
    await home.pass_(minutes=10)
    assert home.relay.in_force == {"ev": 0, "heater": Decimal("1.5")}
    assert len(await town.opts(event)) == 1
    (interval,) = await town.status(event)
    assert shed(interval, AGGREGATED_REPORT).original_kw == Decimal("5.2")


async def test_home_restores_in_time_while_the_vtn_is_away(town: Town, start_home: StartHome) -> None:
    """And says so once the VTN is back."""
    home = await start_home()
    event = await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    await town.close_vtn()
    await home.until(START + timedelta(minutes=90))
    assert home.relay.in_force == {}

    await town.reopen_vtn()
    await home.until(START + timedelta(minutes=130))
    (interval,) = await town.status(event)
    assert interval.end == START + timedelta(hours=1)
    assert shed(interval, AGGREGATED_REPORT).final_kw == Decimal("5.2")


async def test_killed_home_restores_in_time_without_ever_reaching_the_vtn_again(
    town: Town, start_home: StartHome
) -> None:
    home = await start_home()
    await town.issue(shed_event(-3.5))
    await home.until(START + timedelta(minutes=10))
    await home.kill()
    await town.close_vtn()
    await home.start()
    await home.until(START + timedelta(minutes=59))
    assert home.relay.in_force == {"ev": 0, "heater": Decimal("1.5")}
    await home.until(START + timedelta(minutes=60))
    assert home.relay.in_force == {}


async def test_event_that_is_targeted_elsewhere_is_not_ours(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    await town.issue(shed_event(-3.5, targets=("group:south",)))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.diary == []


async def test_event_with_a_granted_target_is_ours(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    (ven,) = await town.bl.vens.search()
    grant = BlVenRequest(client_id=ven.client_id, ven_name=ven.ven_name, targets=("group:north",))
    await town.bl.vens.replace(ven.id, grant)
    await town.issue(shed_event(-3, targets=("group:north",)))
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}


async def test_two_homes_share_a_vtn_and_nothing_else(town: Town, start_home: StartHome) -> None:
    willing = await start_home("willing", poll_s=290)
    event = await town.issue(shed_event(-3))
    await willing.until(START - timedelta(minutes=30))
    await willing.kill()
    unwilling = await start_home("unwilling", opt={"opt_out_programs": ["peak"]})
    await unwilling.until(START)
    assert {opt.opted_in for opt in await town.opts(event)} == {True, False}
    assert unwilling.relay.diary == []


async def test_import_limit_is_kept_as_the_load_moves(town: Town, start_home: StartHome) -> None:
    """A limit is about what is drawn now, not about what was drawn when the event began."""
    home = await start_home()
    await town.issue(shed_event(4, type_="IMPORT_CAPACITY_LIMIT", minutes=120))
    home.relay.wants["ev"] = Decimal(2)
    limits = []
    loads = {0: "1", 10: "2.5", 20: "2.6", 30: "1.9", 40: "0.5", 50: "0"}
    for minute, heater_kw in loads.items():
        home.relay.wants["heater"] = Decimal(heater_kw)
        await home.until(START + timedelta(minutes=minute + 5))
        limits.append({id_: str(kw) for id_, kw in home.relay.in_force.items()})
    assert limits == [{}, {"ev": "1.3"}, {"ev": "1.2"}, {"ev": "1.2"}, {}, {}]


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("the connection broke"),
        TemporarilyUnavailable("it is busy", status=503),
        TemporarilyUnavailable("too many requests", status=429),
        Forbidden("not for you", problem=Problem(status=403, detail="not for you")),
    ],
    ids=str,
)
async def test_deletion_is_noticed_although_asking_for_the_event_failed(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch, error: VtnError
) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3))
    await home.until(START + timedelta(minutes=10))
    await town.bl.events.delete(event.id)
    failures: list[str] = []

    async def fail_once(self: Events, id_: str) -> Event:
        if not failures:
            failures.append(id_)
            raise error
        return await really(self, id_)

    really = Events.get
    monkeypatch.setattr(Events, "get", fail_once)
    await home.pass_(minutes=11)
    assert failures == [event.id]
    assert home.relay.in_force == {}


async def test_event_that_cannot_be_asked_for_keeps_no_other_from_being_heard_of(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the VTN from counting as heard: the list was read."""
    home = await start_home(safety={"limit_kw": 1, "link_lost_s": 1800})
    over = await town.issue(shed_event(-1, minutes=5))
    await home.until(START + timedelta(minutes=10))

    async def refuses(self: Events, id_: str) -> Event:
        raise TemporarilyUnavailable("it is busy", status=503)

    monkeypatch.setattr(Events, "get", refuses)
    await town.bl.events.delete(over.id)
    await town.issue(shed_event(-3, id_="e2", start=START + timedelta(minutes=30), minutes=120))
    await home.until(START + timedelta(minutes=90))
    assert home.relay.in_force == {"ev": 0}
