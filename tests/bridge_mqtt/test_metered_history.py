"""Power over time where there are too many samples, or none any more: from the readings of meters (no. 43)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import insert

from bridge_mqtt.metering.meter import MINUTE, QUARTER, ChannelCount, MeterReading
from bridge_mqtt.store import Store, metered_history, panels, readings
from bridge_mqtt.store.schema import telemetry

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store on each database."""
    store = await Store.open(database_url)
    yield store
    await store.close()


def counted(minutes: int, kw: float, heater_kw: float = 1.0) -> MeterReading:
    """Return what a meter shows after so many minutes at one power."""
    hours = minutes / 60
    counts = {
        "": ChannelCount(kw * hours, minutes * 60.0),
        'a "b", {c}': ChannelCount(heater_kw * hours, minutes * 60.0),
    }
    return MeterReading(START.timestamp() + minutes * 60, counts, minutes * 6)


async def meter(store: Store, ven_id: str, kind: int, minutes: range, kw: float) -> None:
    """Readings of a panel with one power all the time."""
    async with store.transaction() as connection:
        await panels.ensure(connection, [ven_id])
        await readings.add(connection, [(ven_id, kind, counted(each, kw)) for each in minutes])


async def test_means_of_panels_are_summed_and_of_circuits_told_apart(store: Store) -> None:
    """A circuit may have any name; the first step begins at the first reading in the span."""
    await meter(store, "panel-1", MINUTE, range(31), 2.0)
    await meter(store, "panel-2", MINUTE, range(31), 3.0)
    end = START + timedelta(minutes=30)
    async with store.reading() as connection:
        all_of_them, step_s = await metered_history.means(connection, None, START, end, 290)
        circuit, _ = await metered_history.means(connection, "panel-2", START, end, 600, channel='a "b", {c}')
        unknown, _ = await metered_history.means(connection, "panel-2", START, end, 600, channel="gone")
    assert step_s == 300
    assert [each.at for each in all_of_them] == [START + timedelta(minutes=5 * n) for n in range(6)]
    assert [each.used_kw for each in all_of_them] == pytest.approx([5.0] * 6)
    assert [each.used_kw for each in circuit] == pytest.approx([1.0] * 3)
    assert unknown == []


async def test_what_is_older_than_minutes_comes_from_quarters(store: Store) -> None:
    """Also what a panel delivered in an event of long ago."""
    await meter(store, "panel-1", QUARTER, range(0, 121, 15), 2.0)
    end = START + timedelta(hours=2)
    async with store.reading() as connection:
        assert await metered_history.is_needed(connection, "panel-1", START, end)
        assert await metered_history.is_needed(connection, None, START, end)
        found, step_s = await metered_history.means(connection, "panel-1", START, end, 60)
        each = await metered_history.mean_of_each(connection, ["panel-1", "panel-9"], START, end)
    assert (step_s, len(found)) == (900, 8)
    assert found[0].used_kw == pytest.approx(2.0)
    assert each.keys() == {"panel-1"}
    assert each["panel-1"].used_kw == pytest.approx(2.0)


async def test_a_day_of_a_thousand_panels_loads_no_more_rows_than_it_has_points(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No. 43: the original loaded every sample; here the database looks at a bounded number of readings."""
    ven_ids = [f"panel-{number}" for number in range(1_000)]
    async with store.transaction() as connection:
        await panels.ensure(connection, ven_ids)
        for quarter in range(0, 24 * 60 + 1, 15):
            await readings.add(connection, [(ven_id, QUARTER, counted(quarter, 2.0)) for ven_id in ven_ids])
        sample: dict[str, Any] = {"message_num": 0, "timestamp": START, "received_at": START, "loads": []}
        for first in range(0, metered_history.MOST_SAMPLES + 1_000, 1_000):
            rows = [sample | {"ven_id": ven_id, "message_num": first} for ven_id in ven_ids]
            await connection.execute(insert(telemetry), rows)
    async with store.reading() as connection:
        fetched: list[int] = []
        execute = type(connection).execute

        async def counting(self: Any, statement: Any, *given: Any, **more: Any) -> Any:
            answer = (await execute(self, statement, *given, **more)).freeze()
            fetched.append(len(answer().all()))
            return answer()

        monkeypatch.setattr(type(connection), "execute", counting)
        assert await metered_history.is_needed(connection, None, START, START + DAY)
        found, step_s = await metered_history.means(connection, None, START, START + DAY, 300)
    assert (step_s, len(found)) == (900, 96)
    assert {round(each.used_kw or 0, 6) for each in found} == {2_000.0}
    assert len(fetched) <= 8
    assert sum(fetched) <= 96 + len(fetched)


@given(
    some.integers(1, 86_400 * 366),
    some.integers(1, 100_000),
    some.floats(1, 86_400 * 3_660),
    some.sampled_from([MINUTE, QUARTER]),
)
def test_steps_are_as_long_as_needed(step_s: int, panels: int, span_s: float, least_s: int) -> None:
    """Never shorter than asked for, whole minutes or quarters, and few enough readings."""
    found = metered_history.affordable_step_s(step_s, panels=panels, span_s=span_s, least_s=least_s)
    assert found >= step_s
    assert found % least_s == 0
    assert panels * (span_s / found + 1) <= metered_history.MOST_READINGS + panels
