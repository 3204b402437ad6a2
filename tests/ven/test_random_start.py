"""A random start at a home: drawn once, and kept whatever else of the event changes (TIME-026, TIME-027, ruling 16)."""

from datetime import timedelta
from typing import Any

import pytest

from openadr_profiles.v31 import Duration, Event, IntervalPeriod, Start
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Town, as_request


def evening_shed(minutes: int = 60, **members: Any) -> Event:
    period = IntervalPeriod(
        start=Start.of(START),
        duration=Duration.of(timedelta(minutes=minutes)),
        randomize_start=Duration.parse("PT10M"),
    )
    return shed_event(-3, interval_period=period, **members)


async def switchings_of(town: Town, home: Home, *changes: Event) -> list[str]:
    """Issue the first event, write the others over it one by one while it is active, and return what was switched."""
    event = await town.issue(changes[0])
    await home.until(START + timedelta(minutes=12))
    assert home.relay.in_force == {"ev": 0}
    for change in changes[1:]:
        await town.bl.events.replace(event.id, as_request(change, program_id=event.program_id))
        await home.pass_(minutes=5)
    await home.until(START + timedelta(minutes=72))
    assert home.relay.in_force == {}
    return [circuit_id for circuit_id, _ in home.relay.diary]


@pytest.mark.parametrize("name", ["e1", "renamed"])
async def test_change_that_moves_no_time_leaves_the_circuits_alone(
    town: Town, start_home: StartHome, name: str
) -> None:
    """The same body again, or another name, eight times: limited once, returned once."""
    home = await start_home()
    again = [evening_shed(event_name=name)] * 8

    assert await switchings_of(town, home, evening_shed(), *again) == ["ev", "ev"]


async def test_random_start_is_the_same_after_a_restart(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    await town.issue(evening_shed())
    await home.until(START + timedelta(minutes=12))
    await home.kill()
    await home.start()

    await home.until(START + timedelta(minutes=72))
    assert [circuit_id for circuit_id, _ in home.relay.diary] == ["ev", "ev"]
