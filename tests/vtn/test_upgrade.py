"""Upgrades keep what earlier versions have stored: from every revision, on both databases, with data in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role
from vtn.settings import DatabaseSettings
from vtn.store import migrate as migrations
from vtn.store.database import Database

AT = "2026-01-31T16:00:00.000000Z"
METADATA = {"created_at": AT, "modified_at": AT}
NO_TARGETS: dict[str, Any] = {"sqlite": "[]", "postgresql": []}


def rows(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """One row of every table of revision 0001, as that version wrote it."""
    none = NO_TARGETS[kind]
    return [
        ("programs", {"id": "p", "name": "old", "targets": none, "members": '"programName":"old"'} | METADATA),
        (
            "events",
            {"id": "e", "program_id": "p", "targets": none, "targets_inside": False, "ends_at": None}
            | {"members": '"programID":"p","intervals":[]'}
            | METADATA,
        ),
        (
            "reports",
            {"id": "r", "event_id": "e", "client_id": "home", "client_name": "meter"}
            | {"members": '"clientID":"home","eventID":"e","clientName":"meter","resources":[]'}
            | METADATA,
        ),
        (
            "vens",
            {"id": "v", "client_id": "home", "name": "house", "targets": none}
            | {"members": '"clientID":"home","venName":"house"'}
            | METADATA,
        ),
        (
            "resources",
            {"id": "x", "ven_id": "v", "client_id": "home", "name": "boiler", "targets": none}
            | {"members": '"clientID":"home","venID":"v","resourceName":"boiler"'}
            | METADATA,
        ),
        (
            "clients",
            {"client_id": "home", "role": "VEN", "scopes": "read_targets", "secret_hash": "none", "created_at": AT}
            | {"suspended": True},
        ),
        ("signing_keys", {"kid": "old", "secret": "s" * 64, "created_at": AT}),
    ]


async def a_database_at(revision: str, url: str) -> Database:
    """A database as the version of that revision left it."""
    database = Database(DatabaseSettings.model_validate({"url": url}))
    kind = "sqlite" if database.is_sqlite else "postgresql"

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with database.write() as connection:
        await connection.run_sync(upgrade)
        for table, row in rows(kind):
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            await connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    return database


def revisions() -> list[str]:
    """Every revision there has been, the newest last."""
    folder = Path(migrations.__file__).parent / "migrations" / "versions"
    return sorted(path.name.partition("_")[0] for path in folder.glob("[0-9]*.py"))


@pytest.mark.parametrize("revision", revisions())
async def test_an_upgrade_keeps_every_object_client_and_key(revision: str, database_url: str) -> None:
    """Architecture 4: neither a pilot nor a utility may lose data on upgrade."""
    await (await a_database_at(revision, database_url)).close()
    vtn = VtnUnderTest(settings_for(database_url))
    await vtn.start()
    try:
        bl = vtn.bl
        assert [one["programName"] for one in (await bl.get("/programs")).ok()] == ["old"]
        assert (await bl.get("/events/e")).ok()["createdDateTime"] == AT
        assert (await bl.get("/reports/r")).ok()["clientID"] == "home"
        assert (await bl.get("/resources/x")).ok()["venID"] == "v"
        assert [client.client_id for client in await vtn.server.clients.list()] == ["home"]
        home = vtn.caller(Role.VEN, client_id="home")
        assert (await home.get("/vens")).ok()[0]["venName"] == "house"
        subscription = {"clientName": "c", "objectOperations": [], "programID": "p"}
        (await home.post("/subscriptions", subscription)).ok(201)
        (await bl.delete("/programs/p")).ok()
        for path in ("/events", "/reports", "/subscriptions"):
            assert (await bl.get(path)).ok() == []
    finally:
        await vtn.stop()
