"""Decisions at a home: the owner's word, changed rules, history, and faults of one event or of the disk."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from openadr_client import pooled_transport, short_transport
from openadr_client.objects import Found, Programs
from openadr_profiles.fleet.reports import opt_report_name
from openadr_profiles.v31 import AGGREGATED_REPORT, FOREVER, Event, Program, Start
from tests.ven.builders import START, a_program, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import SECRET, Home, Town
from ven.decision import Decision, OptScope
from ven.events.agenda import Agenda
from ven.settings import VenSettings
from ven.store import StateFile
from ven.store.opts import MOST_PAST

ALL = OptScope.parse("all")


def agenda_of(home: Home) -> Agenda:
    assert home._agent is not None
    return home._agent._control.agenda


async def opt(town: Town, home: Home, scope: OptScope = ALL, *, opted_in: bool, **members: Any) -> None:
    """Say it as a local command does: tell the agenda, and wake the control loop."""
    given = {"reason": None, "until": None, **members}
    agenda_of(home).opt(scope, opted_in=opted_in, now=town.clock.now(), **given)
    await woken(home)


async def woken(home: Home) -> None:
    assert home._agent is not None
    home._agent._act.set()
    await home.quiet()


async def said(town: Town, event: Event) -> tuple[bool, str | None]:
    (opt,) = await town.opts(event)
    assert opt.resource_name == AGGREGATED_REPORT
    return opt.opted_in, opt.reason


async def test_owner_may_change_their_mind_in_the_middle_of_an_event(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.in_force == {"ev": 0}

    await opt(town, home, OptScope.parse(f"event:{event.id}"), opted_in=False, reason="guests are here")
    assert home.relay.in_force == {}
    assert await said(town, event) == (False, "guests are here")

    await home.pass_(minutes=10)
    assert agenda_of(home).withdraw_opt(OptScope.parse(f"event:{event.id}"), now=town.clock.now())
    await woken(home)
    assert home.relay.in_force == {"ev": 0}
    assert await said(town, event) == (True, None)

    await home.until(START + timedelta(hours=1))
    assert home.relay.in_force == {}
    assert [past.decision.opted_in for past in agenda_of(home).history] == [True, False, True]


async def test_owners_word_survives_a_restart_and_ends_by_itself(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3))
    await home.until(START - timedelta(minutes=30))
    await opt(town, home, opted_in=False, until=START + timedelta(minutes=20))
    await home.kill()
    await home.start()

    await home.until(START + timedelta(minutes=19))
    assert home.relay.in_force == {}
    assert await said(town, event) == (False, "opted out by the owner")
    await home.until(START + timedelta(minutes=20))
    assert home.relay.in_force == {"ev": 0}
    assert await said(town, event) == (True, None)
    assert agenda_of(home).choices == ()


async def test_owner_may_opt_in_against_their_own_rules(town: Town, start_home: StartHome) -> None:
    home = await start_home(opt={"max_shed_kw": 1})
    event = await town.issue(shed_event(-3))
    await home.until(START - timedelta(minutes=30))
    assert (await said(town, event))[0] is False
    await opt(town, home, OptScope.parse("program:peak"), opted_in=True)
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}


@pytest.mark.parametrize("limit_kw", [2, 5])
async def test_known_events_are_decided_on_again_only_if_the_rules_have_changed(
    town: Town, start_home: StartHome, limit_kw: int
) -> None:
    """V18."""
    home = await start_home(opt={"max_shed_kw": 2})
    event = await town.issue(shed_event(-3))
    await home.until(START - timedelta(minutes=30))
    assert (await said(town, event))[0] is False
    (before,) = await town.reports(event, opt_report_name(event.id))
    await home.kill()

    home.settings = town.settings(opt={"max_shed_kw": limit_kw})
    await home.start()
    await home.until(START)
    (after,) = await town.reports(event, opt_report_name(event.id))
    assert (after == before) is (limit_kw == 2)
    assert (await said(town, event))[0] is (limit_kw == 5)
    assert home.relay.in_force == ({"ev": 0} if limit_kw == 5 else {})


async def test_event_that_is_over_still_counts(town: Town, start_home: StartHome) -> None:
    """An event that is done with is forgotten, but not that it was there."""
    home = await start_home(opt={"max_events_per_day": 1})
    await town.issue(shed_event(-3))
    await home.until(START + timedelta(hours=2))
    assert agenda_of(home).events() == []
    await home.kill()
    await home.start()
    second = await town.issue(shed_event(-3, id_="e2", start=START + timedelta(hours=4)))
    await home.until(START + timedelta(hours=3))
    assert await said(town, second) == (False, "already 1 events on 2026-01-01, at most 1 accepted")


async def test_event_that_was_deleted_before_it_began_does_not_count(town: Town, start_home: StartHome) -> None:
    home = await start_home(opt={"max_events_per_day": 1})
    first = await town.issue(shed_event(-3))
    await home.until(START - timedelta(minutes=50))
    await town.bl.events.delete(first.id)
    await home.until(START - timedelta(minutes=30))
    second = await town.issue(shed_event(-3, id_="e2"))
    await home.until(START)
    assert await said(town, second) == (True, None)
    reasons = [past.decision.reason for past in agenda_of(home).history]
    assert reasons == [None, "it was deleted before it began", None]


async def test_part_that_nothing_acts_on_is_named(town: Town, start_home: StartHome) -> None:
    """Ruling 22."""
    home = await start_home()
    event = shed_event(-3)
    assert event.intervals is not None
    price = shed_event(0.3, type_="PRICE", units=None).intervals
    assert price is not None
    both = (type(event.intervals[0])(id=0, payloads=event.intervals[0].payloads + price[0].payloads),)
    issued = await town.issue(shed_event(-3, intervals=both))
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}
    note = "nothing here acts on PRICE (no threshold for prices is set)"
    assert await said(town, issued) == (True, note)


async def test_event_that_no_rule_expected_stops_no_other(town: Town, start_home: StartHome) -> None:
    """The last second of the calendar is in no local day of Berlin."""
    home = await start_home(opt={"quiet_hours": ["03:00-04:00"], "timezone": "Europe/Berlin"})
    end = Start.parse("9999-12-31T23:59:58Z").at
    assert end is not None
    odd = await town.issue(shed_event(-1, id_="odd", start=end, minutes=0.01))
    event = await town.issue(shed_event(-3))
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}
    assert await said(town, odd) == (False, "it cannot be decided on: OverflowError")
    assert await said(town, event) == (True, None)


async def test_disk_that_fails_keeps_no_event_from_being_carried_out(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V1: and what could not be written is reported as soon as it can."""
    home = await start_home()
    assert home._store is not None
    put, full = home._store.reports.put, True

    def on_a_full_disk(*given: Any, **members: Any) -> None:
        if full:
            raise OSError("database or disk is full")
        put(*given, **members)

    monkeypatch.setattr(home._store.reports, "put", on_a_full_disk)
    event = await town.issue(shed_event(-3))
    await home.until(START)
    assert home.relay.in_force == {"ev": 0}
    assert await town.opts(event) == []
    full = False
    await home.until(START + timedelta(minutes=10))
    assert await said(town, event) == (True, None)


async def test_event_that_is_over_when_first_seen_is_ignored(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    agenda = agenda_of(home)
    old = shed_event(-3, start=START - timedelta(hours=5))
    await agenda.take_events([old], broken=(), now=town.clock.now(), power_kw=None)
    assert agenda.events() == []


async def test_large_event_is_followed_like_any_other(town: Town, start_home: StartHome) -> None:
    """V16: 6,000 intervals, whose text is kept; also after a restart."""
    home = await start_home()
    minutes: Sequence[float] = [-(number % 4) for number in range(6_000)]
    await town.issue(shed_event(*minutes, minutes=5))
    for step in (1, 2, 3):
        await home.until(START + timedelta(minutes=5 * step))
        assert home.relay.in_force == {"ev": 3 - step}
    await home.kill()
    await home.start()
    await home.until(START + timedelta(minutes=20))
    assert home.relay.in_force == {}
    await home.until(START + timedelta(minutes=25))
    assert home.relay.in_force == {"ev": 2}


async def an_agenda(store: StateFile, **opt: Any) -> Agenda:
    circuits = [{"id": "ev", "breaker_amps": 16, "rated_kw": 3, "shed_share": 1}]
    vtn = {"url": "http://localhost", "client_id": "home-1", "client_secret": SECRET}
    settings = VenSettings.model_validate({"ven_name": "home-1", "vtn": vtn, "circuits": circuits, "opt": opt})
    agenda = Agenda(settings, store)
    await agenda.load(START, None)
    return agenda


async def learn(agenda: Agenda, *events: Event, at: datetime = START) -> None:
    await agenda.take_events(events, broken=(), now=at, power_kw=None)


@pytest.mark.parametrize("broken", [(), ("p1",), (None,)])
async def test_program_that_one_poll_does_not_show_is_still_opted_out_of(
    tmp_path: Path, broken: tuple[str | None, ...]
) -> None:
    """Its name was forgotten, and with it what the owner had said: the home was curtailed against their word."""
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:
        agenda = await an_agenda(store)
        await agenda.take_programs([a_program()])
        await learn(agenda, shed_event(-3))
        agenda.opt(OptScope.parse("program:peak"), opted_in=False, reason="no", until=None, now=START)
        await agenda.take_programs([], broken=broken)
        agenda.review(START + timedelta(minutes=30))
        assert agenda.decision("e1") == Decision.out("no")
        assert [each.id for each in await _written_programs(store)] == ["p1"]


async def _written_programs(store: StateFile) -> list[Program]:
    assert await store.journal.flush()
    return await store.events.programs()


async def test_unknown_program_is_asked_for_before_a_decision_that_may_be_about_it(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shows_none(_: Any) -> Found[Program]:
        return Found((), ())

    monkeypatch.setattr(Programs, "poll", shows_none)
    home = await start_home(opt={"opt_out_programs": ["peak"]})
    event = await town.issue(shed_event(-3))
    await home.until(START)
    assert home.relay.in_force == {}
    assert await said(town, event) == (False, "program peak is opted out of")


async def test_program_that_was_only_touched_has_no_event_read_again(tmp_path: Path) -> None:
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:
        agenda = await an_agenda(store)
        await agenda.take_programs([a_program()])
        await learn(agenda, shed_event(-3))
        event = agenda.received("e1").event
        before = agenda.context(event)
        await agenda.take_programs([replace(a_program(), modification_date_time=START)])
        assert agenda.context(event) is before
        await agenda.take_programs([a_program("other")])
        assert agenda.context(event).program_name == "other"


async def test_what_utf_8_cannot_encode_is_not_taken(tmp_path: Path) -> None:
    """It counted, was reported as written, could not be, and was gone after a restart."""
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:
        agenda = await an_agenda(store)
        await learn(agenda, shed_event(-3))
        with pytest.raises(ValueError, match="the reason holds half of a surrogate pair"):
            agenda.opt(ALL, opted_in=False, reason="f\udcfcr", until=None, now=START)
        assert agenda.choices == ()
        assert agenda.decision("e1").opted_in


@pytest.mark.parametrize("deleted", [True, False])
async def test_history_knows_when_an_event_really_ended(tmp_path: Path, deleted: bool) -> None:
    """Deleted, or shortened by a later version: what it no longer takes counts towards no limit."""
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:
        agenda = await an_agenda(store, min_rest_s=3600, max_total_s_per_day=30_000)
        await learn(agenda, shed_event(-3, minutes=480))
        now = START + timedelta(minutes=10)
        if not deleted:
            await learn(agenda, shed_event(-3, minutes=10, modified=now), at=now)
        await agenda.remove("e1", now)
        assert [past.end for past in agenda.history] == [now]
        await learn(agenda, shed_event(-3, id_="e2", start=START + timedelta(hours=2)), at=now)
        assert agenda.decision("e2") == Decision(opted_in=True)
        assert await store.journal.flush()
        assert (await store.opts.past())[0].end == now


async def test_event_without_end_that_was_deleted_is_over(tmp_path: Path) -> None:
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:
        agenda = await an_agenda(store, min_rest_s=3600)
        await learn(agenda, shed_event(-3, duration=FOREVER))
        await agenda.remove("e1", START + timedelta(hours=1))
        later = START + timedelta(days=60)
        await learn(agenda, shed_event(-3, id_="e2", start=later), at=later - timedelta(hours=1))
        assert agenda.decision("e2").opted_in


async def test_history_is_bounded(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(shed_event(-3))
    await home.until(START - timedelta(minutes=30))
    agenda, scope = agenda_of(home), OptScope.parse(f"event:{event.id}")
    for number in range(MOST_PAST + 10):
        agenda.opt(scope, opted_in=number % 2 == 1, reason=None, until=None, now=town.clock.now())
    await woken(home)
    newest = agenda.history
    assert len(newest) == MOST_PAST
    assert home._store is not None
    assert await home._store.journal.flush(within_s=60)  # the home itself waits two seconds for a disk
    await home.kill()
    await home.start()
    assert agenda_of(home).history == newest


async def test_event_that_has_become_too_large_is_kept_and_hides_no_other(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V16: its last version is followed on, and a poll does not fail because of it."""
    home = await start_home()
    await town.issue(shed_event(*[-1] * 400, minutes=5))
    await home.until(START - timedelta(minutes=30))
    for module in (pooled_transport, short_transport):
        monkeypatch.setattr(module, "MAX_BODY", 8_000)
    with structlog.testing.capture_logs() as logs:
        await town.issue(shed_event(-3, id_="e2", priority=1))
        await home.until(START)
        assert home.relay.in_force == {"ev": 0}
        await home.until(START + timedelta(hours=1))
        assert home.relay.in_force == {"ev": 2}
    named = [log for log in logs if log["log_level"] in {"warning", "error"}]
    assert {log["event"] for log in named} == {"unreadable object ignored", "something goes wrong: the rest goes on"}
    assert len(named) <= 3
