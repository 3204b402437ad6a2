"""B5: a database that holds the original system's acknowledgments is taken over with its rows."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.testing import CliRunner, Result

from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.settings import Database
from bridge_mqtt.store import Store, acks
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.store.circuits import circuits_for_json, circuits_from_json
from bridge_mqtt.store.engine import open_engine, revisions, transaction
from oadr.commands.bridge import app
from openadr_client import Received
from openadr_profiles.panel import CircuitCurtailment, read_ack
from tests.support.original_database import OriginalAck, create, naive, recorded_rows

pytestmark = pytest.mark.no_tables

RECEIVED = datetime(2025, 10, 22, 12, 0, tzinfo=UTC)


def driver_url(url: str) -> str:
    """A URL as the settings make it."""
    return Database.model_validate({"url": url}).url.get_secret_value()


@asynccontextmanager
async def database(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction in a database that no bridge has touched."""
    engine = open_engine(driver_url(url))
    async with transaction(engine) as connection:
        yield connection
    await engine.dispose()


def an_ack(**changes: Any) -> OriginalAck:
    """A row of the original with what an E panel answers."""
    payload = {"op": "event", "status": "accepted", "event_id": "evt-1", "correlationId": "corr-1"}
    row = OriginalAck(
        ven_id="panel-1",
        event_id="evt-1",
        correlation_id="corr-1",
        op="event",
        status="accepted",
        timestamp=naive(RECEIVED),
        requested_shed_kw=3.0,
        actual_shed_kw=2.5,
        circuits_curtailed=None,
        raw_payload=json.dumps(payload),
        created_at=naive(RECEIVED),
    )
    return replace(row, **changes)


async def taken_over(url: str, rows: list[OriginalAck]) -> list[acks.StoredAck]:
    """Return what a bridge reads after it started on a database of the original; oldest first."""
    async with database(url) as connection:
        await create(connection, rows)
    store = await Store.open(driver_url(url))
    async with store.reading() as connection:
        found = await acks.search(connection, AckQuery(limit=1000))
    await store.close()
    return found[::-1]


async def test_every_recorded_row_is_taken_over_with_its_id_and_values(database_url: str) -> None:
    """What the original read of a message stays; words become canonical, times aware."""
    rows = recorded_rows()
    assert len(rows) > 30
    found = await taken_over(database_url, rows)

    assert [each.id for each in found] == list(range(1, len(rows) + 1))
    for row, each in zip(rows, found, strict=True):
        ack = each.ack
        assert (ack.ven_id, ack.event_id, ack.correlation_id) == (row.ven_id, row.event_id, row.correlation_id)
        assert ack.requested_shed_kw == _finite(row.requested_shed_kw)
        assert ack.actual_shed_kw == _finite(row.actual_shed_kw)
        assert (ack.status, ack.raw_payload) == (row.status, row.raw_payload)
        assert ack.received_at == datetime.fromisoformat(row.created_at).replace(tzinfo=UTC)
        assert ack.op in {"shedPanel", "restorePanel", "ping", row.op}
        circuits = None if row.circuits_curtailed is None else json.loads(row.circuits_curtailed)
        assert (ack.circuits_curtailed is None) == (circuits is None)
        if circuits:
            assert ack.circuits_curtailed is not None
            assert [circuit.curtailed_kw for circuit in ack.circuits_curtailed] == [
                round(each["curtailed_kw"], 6) for each in circuits
            ]
    assert {each.ack.op for each in found} >= {"shedPanel"}


def _json(done: Result) -> Any:
    return json.loads(done.stdout[done.stdout.index("{") :])  # what the start has logged comes first


def _finite(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None


@pytest.mark.parametrize("index_prefix", ["ix", "idx"])
async def test_the_command_takes_over_once_and_keeps_what_was_there(database_url: str, index_prefix: str) -> None:
    """``oadr bridge migrate`` may be run again; other tables and the old one stay, new rows get new ids."""
    async with database(database_url) as connection:
        await create(connection, [an_ack(), an_ack(event_id="evt-2")], index_prefix=index_prefix)
    flags = ["migrate", "--database", database_url, "--json"]
    first, second = [_json(await asyncio.to_thread(lambda: CliRunner().invoke(app, flags))) for _ in range(2)]

    assert (first["acksTakenOver"], first["originalTable"]) == (2, "ven_acks_original")
    assert (first["schemaBefore"], first["schema"]) == (None, revisions()[-1])
    assert (second["acksTakenOver"], second["originalTable"], second["schemaBefore"]) == (0, None, revisions()[-1])
    async with database(database_url) as connection:
        for name, count in {"ven_acks_original": 2, "ven_acks": 2, "vens": 1, "alembic_version": 1}.items():
            assert (await connection.execute(text(f"SELECT count(*) FROM {name}"))).scalar() == count
        answer = b'{"op": "ping", "status": "success"}'
        received = Received("ven/ack/panel-1", answer, RECEIVED, retained=False)
        ack = read_ack(received.topic, received.payload, received.received_at, lambda _: None)
        assert await acks.add_all(connection, [ack]) == [ack]  # type: ignore[list-item]
        assert (await acks.search(connection, AckQuery(limit=1)))[0].id == 3


async def test_rows_that_the_original_spoiled_are_mended_from_the_message(database_url: str) -> None:
    """No. 21, 30, 31: a year beyond all calendars, NaN, circuits of the other form, a message stored twice."""
    ms = an_ack(
        timestamp="9999-12-31 23:59:59.5" if "sqlite" in database_url else "55840-01-01 00:00:00",
        raw_payload=json.dumps({"op": "event", "status": "accepted", "ts": RECEIVED.timestamp() * 1000}),
    )
    nan = an_ack(requested_shed_kw=1e300, raw_payload='{"op": "event", "requested_shed_kw": 1e300}')
    circuits = an_ack(
        circuits_curtailed='[{"loadId": "hvac1", "name": "HVAC", "shedKw": 1.5}, 7, {"x": 1}]', raw_payload="{}"
    )
    odd = an_ack(status="Accepted ", op="SHEDPANEL", raw_payload=None)
    unread = an_ack(status="on fire", raw_payload="no JSON", circuits_curtailed='"heater1"')
    found = await taken_over(database_url, [ms, nan, circuits, odd, odd, unread, unread])

    assert found[0].ack.panel_timestamp == RECEIVED
    assert found[1].ack.requested_shed_kw is None
    assert "requested_shed_kw" in found[1].ack.warnings[0]
    (circuit,) = found[2].ack.circuits_curtailed or ()
    assert (circuit.id, circuit.curtailed_kw) == ("hvac1", 1.5)
    assert [(each.ack.status, each.ack.op) for each in found[3:5]] == [("accepted", "shedPanel")] * 2
    assert [each.ack.status for each in found[5:]] == ["unknown"] * 2
    assert "stored before" in found[6].ack.warnings[-1]
    assert len({each.ack.payload_hash for each in found}) == len(found)


async def test_a_tool_of_the_original_can_write_its_columns_alone(postgresql_url: str) -> None:
    """Columns of this version have defaults, and each such row a hash of its own."""
    await Store.migrate(driver_url(postgresql_url))
    async with database(postgresql_url) as connection:
        for _ in range(2):
            await connection.execute(
                text(
                    "INSERT INTO ven_acks (ven_id, event_id, op, status, timestamp)"
                    " VALUES ('panel-1', 'evt-1', 'event', 'accepted', now())"
                )
            )
        found = await acks.search(connection, AckQuery())
        indexes = await connection.run_sync(lambda sync: inspect(sync).get_indexes("ven_acks"))
    assert [(each.duplicates, each.ack.matched, each.ack.warnings) for each in found] == [(0, False, ())] * 2
    assert "ix_ven_acks_timestamp" in {index["name"] for index in indexes}


async def test_a_takeover_that_fails_changes_nothing(database_url: str) -> None:
    """All in one transaction: a row that cannot be taken over leaves the database of the original as it was."""
    async with database(database_url) as connection:
        await create(connection, [an_ack(), an_ack(event_id="evt-2")])
        await connection.execute(text("CREATE TABLE bridge_windows (id integer)"))
    with pytest.raises((StoreUnavailable, DBAPIError)):
        await Store.open(driver_url(database_url))
    async with database(database_url) as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        indexes = await connection.run_sync(lambda sync: inspect(sync).get_indexes("ven_acks"))
        assert "ven_acks_original" not in names
        assert len(indexes) == 4
        assert (await connection.execute(text("SELECT count(*) FROM ven_acks"))).scalar() == 2
        await connection.execute(text("DROP TABLE bridge_windows"))
    assert (await Store.migrate(driver_url(database_url))).acks_taken_over == 2


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Z")), min_size=1, max_size=20)
KW = st.integers(0, 10**8).map(lambda watts: watts / 1000)


@given(
    st.lists(
        st.builds(
            CircuitCurtailment,
            id=WORDS,
            name=st.none() | WORDS,
            breaker_amps=st.none() | st.integers(0, 200).map(float),
            original_kw=st.none() | KW,
            curtailed_kw=st.none() | KW,
            final_kw=st.none() | KW,
            critical=st.none() | st.booleans(),
        ),
        max_size=4,
    )
)
def test_circuits_come_back_as_they_were_stored(circuits: list[CircuitCurtailment]) -> None:
    """The column has the panel's own member names, and is read by the rule for messages."""
    stored = circuits_for_json(circuits)
    assert stored is not None
    assert all("breaker_amps" in each for each in stored)
    assert circuits_from_json(stored, []) == tuple(circuits)
