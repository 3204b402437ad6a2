"""Many rows in one statement: the same in both databases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from bridge_mqtt.store import Store
from bridge_mqtt.store.bulk import insert_many, update_many
from bridge_mqtt.store.schema import baselines, panels
from tests.bridge_mqtt.test_store import driver_url

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NAMES = [f"panel-{number}" for number in range(700)]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store on each database."""
    opened = await Store.open(driver_url(database_url))
    yield opened
    await opened.close()


def rows_of(names: list[str], power_kw: float | None) -> list[dict[str, object]]:
    """A frozen baseline of each panel."""
    return [
        {
            "event_id": "evt-1",
            "ven_id": name,
            "frozen_at": NOW,
            "power_kw": power_kw,
            "circuits_kw": '{"1": 0.5}',
            "samples": place,
        }
        for place, name in enumerate(names)
    ]


async def test_rows_that_are_there_are_skipped_or_written_anew_as_asked(store: Store) -> None:
    keys = ["event_id", "ven_id"]
    async with store.transaction() as connection:
        await insert_many(connection, baselines, keys, rows_of(NAMES, 1.5))
        await insert_many(connection, baselines, keys, rows_of(NAMES[:2], 9.0))
        await insert_many(connection, baselines, keys, rows_of(NAMES[-1:], None), update=["power_kw"])
        await insert_many(connection, baselines, keys, [])
    async with store.reading() as connection:
        found = (await connection.execute(select(baselines).order_by(baselines.c.samples))).mappings().all()
    assert [row["ven_id"] for row in found] == NAMES
    assert [row["power_kw"] for row in found] == [1.5] * 699 + [None]
    assert {row["frozen_at"] for row in found} == {NOW}
    assert found[0]["circuits_kw"] == {"1": 0.5}


async def test_an_update_writes_each_row_its_own_values_and_leaves_all_others(store: Store) -> None:
    later = NOW + timedelta(microseconds=1)
    async with store.transaction() as connection:
        rows = [{"ven_id": name, "tells_event": False, "loads": "[]", "answered_at": NOW} for name in NAMES]
        await insert_many(connection, panels, ["ven_id"], rows)
        changed = [{"ven_id": name, "dialect": name, "answered_at": later} for name in ("panel-3", "panel-5")]
        await update_many(connection, panels, "ven_id", [*changed, changed[0] | {"ven_id": "nobody"}])
        await update_many(connection, panels, "ven_id", [])
    async with store.reading() as connection:
        found = (await connection.execute(select(panels).where(panels.c.answered_at > NOW))).mappings().all()
        untouched = (
            await connection.execute(text("SELECT count(*) FROM bridge_panels WHERE dialect IS NULL"))
        ).scalar()
    assert {row["ven_id"]: row["dialect"] for row in found} == {"panel-3": "panel-3", "panel-5": "panel-5"}
    assert {row["answered_at"] for row in found} == {later}
    assert untouched == 698
