"""Change things under a running curtailment: the settings, and the clock of the machine."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.home import Relay
from tests.ven.test_relays_last import basement
from ven import troubles
from ven.control import Control
from ven.decision import OptChoice, OptScope, ScopeKind
from ven.decision.choices import MOST_CHOICES, Choices
from ven.panel.ownership import CircuitLimit, expires_at
from ven.settings import VenSettings, VtnSettings
from ven.store import StateFile
from ven.troubles import Troubles

KW = {"ev": Decimal(3), "oven": Decimal(2)}


def settings_with(folder: Path, **ev: Any) -> VenSettings:
    return VenSettings(
        vtn=VtnSettings(url="http://127.0.0.1:1/openadr3/3.1.0"),
        ven_name="home",
        circuits=(a_circuit("ev", on_off=True, **ev), a_circuit("oven", shed_share=Decimal(0))),
        store=folder / "ven.sqlite3",
    )


@pytest.mark.parametrize("protected", [{"critical": True}, {"shed_share": Decimal(0)}], ids=str)
@pytest.mark.parametrize(
    ("kw", "payload_type", "is_known"),
    [(3, "IMPORT_CAPACITY_LIMIT", True), (-3, "DISPATCH_SETPOINT_RELATIVE", True), (3, "IMPORT_CAPACITY_LIMIT", False)],
)
async def test_circuit_that_may_not_be_shed_any_more_is_released_after_a_restart(
    tmp_path: Path, protected: dict[str, Any], kw: float, payload_type: str, is_known: bool
) -> None:
    """Whatever the plan says that was kept, and also if its event cannot be read any more."""
    clock, relay = ManualClock(START), Relay(KW)
    before = settings_with(tmp_path, min_off_s=60)
    async with StateFile(before.store, now=clock.now()) as store:
        control = Control(before, store=store, driver=relay, clock=clock)
        await control.load()
        await control.take_events([shed_event(kw, type_=payload_type)])
        await control.step()
        assert relay.in_force == {"ev": 0}
    after = settings_with(tmp_path, min_off_s=60, **protected)
    async with StateFile(after.store, now=clock.now()) as store:
        control = Control(after, store=store, driver=relay, clock=clock)
        await control.load()
        if not is_known:
            control.agenda.context = None  # type: ignore[assignment,method-assign] # nothing can be planned
        await clock.advance(10)
        await control.step()
        assert relay.in_force == {}
        if is_known:
            await clock.advance(10)
            await control.step()
            assert {id_: plan.shed_kw for id_, plan in control.curtailer.plans().items()} == {"e1": 0}


async def test_circuits_return_in_time_when_the_clock_is_set_back(tmp_path: Path) -> None:
    circuits = [a_circuit("ev", on_off=True, min_off_s=60), a_circuit("oven", on_off=True)]
    async with basement(tmp_path, circuits, KW, return_spread_s=60) as home:
        await home.control.take_events([shed_event(-5, minutes=10)])
        await home.run_until(START)
        assert home.relay.in_force == {"ev": 0, "oven": 0}
        home.clock._now -= timedelta(days=7)
        await home.run_until(home.clock.now() + timedelta(seconds=121))
        assert home.relay.in_force == {}


async def test_circuits_that_wait_for_their_turn_do_not_wait_longer_when_the_clock_is_set_back(tmp_path: Path) -> None:
    async with basement(tmp_path, [a_circuit("ev"), a_circuit("oven")], KW, return_spread_s=60) as home:
        await home.control.take_events([shed_event(-5, minutes=10)])
        await home.run_until(START + timedelta(minutes=10))
        assert len(home.relay.in_force) == 1, "one waits for its turn"
        home.clock._now -= timedelta(days=7)
        await home.run_until(home.clock.now() + timedelta(seconds=61))
        assert home.relay.in_force == {}


async def test_disk_that_hangs_holds_up_no_step_and_events_are_forgotten_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def hangs(statement: str, *values: object) -> None:
        asked.append(statement)
        await asyncio.Event().wait()

    async with basement(tmp_path, [a_circuit("ev"), a_circuit("oven")], KW) as home:
        store = home.control._store
        await home.control.take_events([shed_event(-1, id_="old", minutes=1), shed_event(-3, id_="e2", minutes=10)])
        await home.run_until(START + timedelta(minutes=5))
        with monkeypatch.context() as broken:
            broken.setattr("ven.control.FLUSH_WITHIN_S", 0.01)
            broken.setattr(store._file, "rows", hangs)
            await home.control.take_events([shed_event(-1, id_="short", minutes=6)])
            async with asyncio.timeout(120):
                await home.run_until(START + timedelta(minutes=10, seconds=20))
            assert home.relay.in_force == {}
            assert 1 <= len(asked) <= 6, "once a minute"
            assert "short" in home.control.agenda
        for report in await store.reports.unsent():
            await store.reports.mark_sent(report, "id")
        await home.run_until(START + timedelta(minutes=12))
        assert "short" not in home.control.agenda


def test_limit_of_an_event_that_lasts_as_long_as_the_calendar_has_an_expiry() -> None:
    until = datetime.max.replace(tzinfo=UTC)
    limit, minute = CircuitLimit(Decimal(1), until), timedelta(minutes=1)
    assert expires_at(limit, START, expiry=minute, spread=minute) == START + minute


def test_oldest_trouble_is_forgotten_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "_MOST", 2)
    known = Troubles()
    for what in ("a", "b", "a", "c"):
        known.tell(what, f"problem of {what}")
    assert set(known.now) == {"b", "c"}


def test_owner_can_say_no_to_every_event_however_many_there_are() -> None:
    choices = Choices()
    for number in range(MOST_CHOICES + 1):
        choices.put(OptChoice(OptScope(ScopeKind.EVENT, str(number)), False, None, None, START))
    for number in range(MOST_CHOICES):
        choices.put(OptChoice(OptScope(ScopeKind.PROGRAM, str(number)), False, None, None, START))
    with pytest.raises(ValueError, match="withdraw some first"):
        choices.put(OptChoice(OptScope(ScopeKind.ALL), False, None, None, START))


class SetClock(ManualClock):
    """A clock that somebody sets."""

    by = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.by

    def monotonic_s(self) -> float:
        return (super().now() - START).total_seconds()


async def test_link_is_not_lost_sooner_or_later_when_the_clock_is_set(tmp_path: Path) -> None:
    clock, relay = SetClock(START), Relay(KW)
    given = settings_with(tmp_path).model_dump() | {"safety": {"limit_kw": 2, "link_lost_s": 1800, "limit_for_s": 600}}
    settings = VenSettings.model_validate(given)
    async with StateFile(settings.store, now=clock.now()) as store:
        control = Control(settings, store=store, driver=relay, clock=clock)
        await control.load()
        control.heard()
        seen = []
        for by, minutes in ((0, 1), (24, 28), (-24, 2), (24, 8), (-24, 2)):
            clock.by = timedelta(hours=by)
            await control.step()
            await clock.advance(60 * minutes)
            await control.step()
            seen.append(bool(relay.in_force))
    assert seen == [False, False, True, True, False]
