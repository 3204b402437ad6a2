"""The bridge's memory on both databases: schema, migrations, and the recordings of real panels in the ack store."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, QueuePool, Text, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bench.support.net import free_port
from bridge_mqtt.acks import AckDesk
from bridge_mqtt.errors import StoreBusy, StoreTooNew, StoreUnavailable
from bridge_mqtt.health import Health
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, acks, commands, inbox, leases, panels, telemetry
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.store.bulk import insert_many
from bridge_mqtt.store.engine import VERSION_TABLE, open_engine, revisions
from bridge_mqtt.store.schema import AnyText, explanations, metadata, quarantine
from bridge_mqtt.telemetry import TelemetryDesk
from bridge_mqtt.turns import Turns
from openadr_client.mqtt import Received
from openadr_profiles.panel import CommandState, Op, Telemetry, read_telemetry
from tests.support import panel_captures

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


ROOT = Path(__file__).parents[2]


def driver_url(url: str) -> str:
    """A URL as the settings make it."""
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "database": {"url": url}, "unregistered": "accept"}
    return Settings.model_validate(values).database.url.get_secret_value()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store on each database."""
    opened = await Store.open(driver_url(database_url))
    yield opened
    await opened.close()


def a_command(correlation_id: str, ven_id: str = "panel-1", state: CommandState = CommandState.QUEUED) -> Command:
    """A shed command."""
    return Command(
        correlation_id=correlation_id,
        ven_id=ven_id,
        op=Op.SHED_PANEL,
        reason="start",
        state=state,
        queued_at=NOW,
        event_id="evt-1",
        window_start=NOW,
        window_end=NOW + timedelta(hours=1),
        amount_kw=Decimal("5.125"),
    )


@pytest.mark.no_tables
async def test_migrations_make_exactly_the_tables_of_the_schema(database_url: str) -> None:
    """Section 13: schema and migrations are checked against each other."""
    url = driver_url(database_url)
    await (await Store.open(url)).close()

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": connection.dialect.name == "postgresql",
                "include_object": lambda thing, name, kind, *_: not (kind == "index" and _is_expression(thing)),
            },
        )
        return list(compare_metadata(context, metadata))

    def indexes(connection: Connection) -> set[str | None]:
        return {index["name"] for index in inspect(connection).get_indexes("ven_acks")}

    engine = open_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        found = await connection.run_sync(indexes)
    await engine.dispose()
    expected = {"ix_ven_acks_event_id_ven_id", "ix_ven_acks_ven_id_timestamp", "ix_ven_acks_correlation_id"}
    assert expected <= found | expected  # SQLite does not list indexes on expressions
    assert {"ix_ven_acks_event_id_ven_id", "ix_ven_acks_correlation_id"} <= found


def _is_expression(index: object) -> bool:
    return getattr(index, "name", "") in {"ix_bridge_commands_panel", "ix_ven_acks_ven_id_timestamp"}


def test_the_migrations_are_found_without_the_library_and_are_its_own() -> None:
    """The newest file is the head: only a start that has something to do imports Alembic."""
    configuration = Config()
    configuration.set_main_option("script_location", str(ROOT / "bridge_mqtt/store/migrations"))
    assert ScriptDirectory.from_config(configuration).get_heads() == [revisions()[-1]]


@pytest.mark.no_tables
async def test_opening_twice_changes_nothing_and_a_newer_schema_is_refused(database_url: str) -> None:
    """Section 13: idempotent, and no start on a schema we do not know."""
    url = driver_url(database_url)
    for _ in range(2):
        await (await Store.open(url)).close()
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'later'"))
    await engine.dispose()

    with pytest.raises(StoreTooNew, match="later"):
        await Store.open(url)


async def test_a_connection_in_use_is_waited_for_at_the_end(database_url: str) -> None:
    """Whoever is cancelled gives it back a moment later: what comes back to a closed pool would stay open."""
    opened = await Store.open(driver_url(database_url))
    taken, free = asyncio.Event(), asyncio.Event()

    async def use() -> None:
        async with opened.transaction():
            taken.set()
            await free.wait()

    user = asyncio.create_task(use())
    await taken.wait()
    closing = asyncio.create_task(opened.close())
    pool = opened._engine.pool
    await asyncio.sleep(0)
    assert not closing.done()
    free.set()
    await asyncio.gather(user, closing)
    assert isinstance(pool, QueuePool)
    assert pool.checkedin() == 0


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_in_a_statement_leaves_no_lock_behind(store: Store, times: int) -> None:
    """A bridge that stops in order, while it renews its lease, can still end the lease."""
    begun = asyncio.Event()
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT max(i) FROM n"

    async def write() -> None:
        async with store.transaction() as connection:
            await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=timedelta(hours=1))
            begun.set()
            await connection.execute(text(numbers))

    gc.disable()  # a lock that goes away with the objects of who was cancelled may stay for hours
    try:
        writer = asyncio.create_task(write())
        await begun.wait()
        for _ in range(times):
            await asyncio.sleep(0.01)  # the statement is on its way; it takes longer
            writer.cancel()
        assert isinstance((await asyncio.gather(writer, return_exceptions=True))[0], asyncio.CancelledError)
        async with store.transaction() as connection:
            assert await leases.leader(connection) is None
    finally:
        gc.enable()


async def test_a_database_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    """The URL is named, its password is not."""
    port = free_port()
    with pytest.raises(StoreUnavailable, match=str(port)) as caught:
        await Store.open(f"postgresql+asyncpg://bridge:geheim@127.0.0.1:{port}/bridge")
    assert "geheim" not in str(caught.value)
    (tmp_path / "file").write_text("this is no database, but a text of some length" * 50)
    with pytest.raises(StoreUnavailable, match="file"):
        await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'file'}")


async def test_text_that_no_database_holds_is_stored_with_escapes(store: Store) -> None:
    """What others write ends in reasons and errors of events, panels, commands, acks, reports and the quarantine."""
    strange, kept = "k\x00W \ud800 ä", "k\\x00W \\ud800 ä"
    texts = [column for table in metadata.sorted_tables for column in table.columns if isinstance(column.type, Text)]
    assert texts == [], "a column that takes any text"
    a_text = [
        column for table in metadata.sorted_tables for column in table.columns if isinstance(column.type, AnyText)
    ]
    assert {f"{each.table.name}.{each.name}" for each in a_text} >= {
        "bridge_events.reason",
        "bridge_quarantine.reason",
        "ven_acks.error",
        "bridge_commands.error",
        "bridge_reports.problem",
    }
    async with store.transaction() as connection:
        await connection.execute(
            insert(quarantine), {"received_at": NOW, "topic": strange, "reason": strange, "size": 1, "payload": strange}
        )
        row = (await connection.execute(select(quarantine.c.topic, quarantine.c.reason, quarantine.c.payload))).one()
        await insert_many(
            connection,
            explanations,
            (),
            [{"event_id": "evt-1", "window_start": NOW, "at": NOW, "asked_kw": 1.0, "reason": strange}],
        )
        in_bulk = (await connection.execute(select(explanations.c.reason))).scalar_one()
    assert (*row, in_bulk) == (kept, kept, kept, kept)


@pytest.mark.parametrize(
    "statement",
    ["SELECT CAST('many' AS integer)", "SELECT 1 / 0", "SELECT CAST(:value AS integer)"],
    ids=["a value", "arithmetic", "an argument that the driver refuses"],
)
async def test_what_postgresql_refuses_is_no_absence_of_the_database(postgresql_url: str, statement: str) -> None:
    """What is refused would be refused again and again: it must not be waited for like a database that is away."""
    store = await Store.open(driver_url(postgresql_url))
    values = {"value": 2**40} if ":value" in statement else {}
    with pytest.raises(DBAPIError):
        async with store.transaction() as connection:
            await connection.execute(text(statement), values)
    await store.close()


async def test_the_database_itself_refuses_a_second_command_on_its_way(store: Store) -> None:
    """C6, C7: whatever the code does, no panel has two commands outstanding."""
    async with store.transaction() as connection:
        await commands.queue(connection, [a_command("one")])
    with pytest.raises(IntegrityError):
        async with store.transaction() as connection:
            await commands.queue(connection, [a_command("two")])
    async with store.transaction() as connection:
        await commands.save(connection, [a_command("one", state=CommandState.ACKED)])
        await commands.queue(connection, [a_command("two")])
    async with store.reading() as connection:
        assert (await commands.outstanding(connection))["panel-1"].correlation_id == "two"


async def test_a_reader_sees_one_moment(store: Store) -> None:
    """Else a page would show a shed as held whose command it shows without an answer."""
    async with store.reading() as connection:
        assert await commands.outstanding(connection) == {}
        async with store.transaction() as other:
            await commands.queue(other, [a_command("one")])
        assert await commands.outstanding(connection) == {}
    async with store.reading() as connection:
        assert set(await commands.outstanding(connection)) == {"panel-1"}


async def test_what_is_stored_comes_back_with_zone_and_watt(store: Store) -> None:
    """Instants are aware, amounts exact."""
    holding = Holding(
        ven_id="panel-1",
        event_id="evt-1",
        window_start=NOW,
        window_end=None,
        amount_kw=Decimal("5.125"),
        until=NOW + timedelta(microseconds=1),
        correlation_id="one",
        state=HoldingState.HELD,
        since=NOW,
    )
    async with store.transaction() as connection:
        await commands.queue(connection, [a_command("one")])
        await commands.hold_all(connection, [holding])
    async with store.reading() as connection:
        assert await commands.held(connection) == {"panel-1": holding}
        stored = (await commands.by_correlation(connection, {"one"}))["one"]
    assert (stored.amount_kw, stored.queued_at) == (Decimal("5.125"), NOW)


@pytest.mark.parametrize("name", panel_captures.FILES)
async def test_every_recording_goes_through_the_ack_store(sqlite_url: str, name: str) -> None:
    """Each different acknowledgment is one row that can be read back, each repetition one duplicate."""
    opened = await Store.open(driver_url(sqlite_url))
    await replay(opened, name)
    await opened.close()


async def test_recordings_of_both_programs_go_through_postgresql(postgresql_url: str) -> None:
    """The same where types are strict: NaN, odd ids, error texts."""
    opened = await Store.open(driver_url(postgresql_url))
    for name in ("06-bad-input", "16-older-agent-envelope"):
        await replay(opened, name)
    await opened.close()


async def replay(store: Store, name: str) -> None:
    """Feed a recording to the desks as the broker would, twice, and compare the rows with the messages."""
    values = {"vtn": {"url": "http://vtn.example/3.1.0"}, "unregistered": "accept"}
    registry = Registry(Settings.model_validate(values))
    turns = Turns(store, Health(), sleep=asyncio.sleep)
    ack_desk = AckDesk(registry, turns.book, quarantine_per_hour=100, clock_speed=1)
    telemetry_desk = TelemetryDesk(registry, Meters(offline_after_s=60, baseline_s=300), quarantine_per_hour=100)
    recorded = panel_captures.acks(name)
    measured = panel_captures.telemetry(name)
    for _ in range(2):
        async with turns.change() as turn:
            await ack_desk.take(turn, [Received(m.topic, m.payload, m.at, retained=False) for m in recorded])
            await telemetry_desk.take(
                turn.connection, [Received(m.topic, m.payload, m.at, retained=False) for m in measured]
            )
    ven_ids = {m.topic.rsplit("/", 1)[1] for m in recorded} | {panel.ven_id for panel in registry}
    rows = []
    async with store.reading() as connection:
        for ven_id in ven_ids:
            rows += await acks.search(connection, AckQuery(ven_id=ven_id, limit=1000))
        heard = await panels.heard(connection)
        first, last = NOW - timedelta(days=3650), NOW + timedelta(days=3650)
        samples = await telemetry.between(connection, ven_ids, first, last)
    different = {(m.topic, m.payload) for m in recorded}
    mine = [row for row in rows if (f"ven/ack/{row.ack.ven_id}", row.ack.raw_payload.encode()) in different]
    assert len(mine) == len(different)
    assert sum(row.duplicates + 1 for row in mine) == 2 * len(recorded)
    readings = [read_telemetry(m.topic, m.payload, m.at) for m in measured]
    moments = {(r.ven_id, r.timestamp, r.message_num) for r in readings if isinstance(r, Telemetry)}
    assert sum(len(each) for each in samples.values()) == len(moments)
    latest = {m.topic: m for m in measured if not m.topic.startswith("ven/loads/")}
    for message in latest.values():
        newest = read_telemetry(message.topic, message.payload, message.at)
        assert isinstance(newest, Telemetry)
        if message.topic != "volttron/metering" or len(ven_ids) == 1:
            assert heard[newest.ven_id].message_num == newest.message_num
            assert heard[newest.ven_id].used_power_kw == newest.used_power_kw
            assert heard[newest.ven_id].event_id == newest.event_id
    assert set(heard) >= {panel.ven_id for panel in registry if panel.sample_at is not None}


async def test_what_people_ask_takes_no_connection_from_the_bridges_own_work(store: Store) -> None:
    """Sixteen slow questions at once must not hold up a command; those beyond the limit are told so."""
    answered = asyncio.Event()

    async def ask_slowly() -> None:
        async with store.showing() as connection:
            await connection.execute(text("SELECT 1"))
            await answered.wait()

    questions = [asyncio.create_task(ask_slowly()) for _ in range(16)]
    _, waiting = await asyncio.wait(questions, timeout=60, return_when=asyncio.FIRST_EXCEPTION)

    async with store.reading() as connection:
        assert await panels.count(connection) == 0
    async with store.transaction() as connection:
        await panels.ensure(connection, ["panel-1"])
    answered.set()
    ends = await asyncio.gather(*questions, return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [StoreBusy] * 12
    assert waiting


async def test_the_file_of_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    """With the files that SQLite puts beside it; whatever the umask of the program is."""
    old = os.umask(0o022)
    try:
        store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/of/bridge.db")
        async with store.transaction() as connection:
            await inbox.put(connection, [])
            modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "of").iterdir()}
        await store.close()
    finally:
        os.umask(old)
    assert modes == {"bridge.db": 0o600, "bridge.db-wal": 0o600, "bridge.db-shm": 0o600}


async def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    """Its mode is left as it is: somebody may want it so."""
    file = tmp_path / "bridge.db"
    file.touch()
    file.chmod(0o644)
    with structlog.testing.capture_logs() as logs:
        await (await Store.open(f"sqlite+aiosqlite:///{file}")).close()
    assert [each["file"] for each in logs if "chmod 600" in each["event"]] == [str(file)]
    assert file.stat().st_mode & 0o777 == 0o644
