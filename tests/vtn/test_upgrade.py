"""Upgrades keep what earlier versions have stored: from every revision, on both databases, with data in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select, text

from tests.vtn.conftest import settings_for
from tests.vtn.harness import Session, VtnUnderTest
from vtn.access import Role
from vtn.settings import DatabaseSettings
from vtn.store import migrate as migrations
from vtn.store.database import Database
from vtn.store.event_versions import event_versions
from vtn.store.facts.tables import report_queue
from vtn.store.tables import events

AT = "2026-01-31T16:00:00.000000Z"
METADATA = {"created_at": AT, "modified_at": AT}
EARLY = Path(__file__).parent.parent / "data" / "old-databases" / "revision-0005.sql"
"""Hold the database of a VTN of November 23, which made it, added two clients and took these objects over HTTP.

Its payload descriptors have no ``objectType``, which answers need: `VtnUnderTest` compares them with the schema.
"""
SECRETS = {
    "operator": "RtpoNLR92lrieorcstGfDqZjUgVO8-wefXNn9mjpT_E",
    "home": "lCwqFzUD74_okltqCy7diK8kJ98b2V2EL72Lpb4p5ik",
}
NO_TARGETS: dict[str, Any] = {"sqlite": "[]", "postgresql": []}


def rows(kind: str, revision: str) -> list[tuple[str, dict[str, Any]]]:
    """One row of every table of revision 0001, as that version wrote it; later on descriptors have their kind."""
    none = NO_TARGETS[kind]
    descriptors = '"payloadDescriptors":[{"payloadType":"PRICE"}],' if revision < "0030" else ""
    return [
        ("programs", {"id": "p", "name": "old", "targets": none, "members": '"programName":"old"'} | METADATA),
        (
            "events",
            {"id": "e", "program_id": "p", "targets": none, "targets_inside": False, "ends_at": None}
            | {"members": f'"programID":"p",{descriptors}"intervals":[]'}
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
        for table, row in rows(kind, revision):
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


async def test_a_database_of_an_early_version_is_served(tmp_path: Path) -> None:
    """Architecture 4: clients get tokens by the secrets they have, and find what they had, with all its members."""
    file = tmp_path / "vtn.sqlite3"
    with closing(sqlite3.connect(file)) as early:
        early.executescript(EARLY.read_text())
    vtn = VtnUnderTest(settings_for(f"sqlite:///{file}"))
    await vtn.start()
    try:
        operator, home = await signed_in(vtn, "operator"), await signed_in(vtn, "home")
        (program,) = (await operator.get("/programs")).ok()
        assert (program["programName"], program["targets"]) == ("peaks", ["north"])
        seen = {one["eventName"]: one for one in (await home.get("/events")).ok()}
        assert seen.keys() == {"evening peak", "prices"}
        peak = seen["evening peak"]
        assert [one["payloads"][0]["values"] for one in peak["intervals"]] == [[-2], [-1.5]]
        (report,) = (await operator.get("/reports")).ok()
        assert peak["payloadDescriptors"][0]["objectType"] == "EVENT_PAYLOAD_DESCRIPTOR"
        values = [one["payloads"][0]["values"] for one in report["resources"][0]["intervals"]]
        assert (report["eventID"], values) == (peak["id"], [[0.5], [0.75], [1.0], [1.25]])
        (ven,) = (await home.get("/vens")).ok()
        (resource,) = (await home.get("/resources")).ok()
        assert (ven["venName"], resource["resourceName"], resource["venID"]) == ("house 1", "boiler", ven["id"])
        assert [one["clientName"] for one in (await home.get("/subscriptions")).ok()] == ["home"]

        # What later versions have beside is filled in: how events are searched, and which reports are to be read.
        database = vtn.server._database
        found = await database.rows(select(events.c.name, events.c.starts_at, events.c.ends_at).order_by(events.c.name))
        times = [tuple(str(each)[:16] for each in row.values()) for row in found]
        assert times[0] == ("evening peak", "2026-01-15T17:00", "2026-01-15T19:00")
        assert {row["report_id"] for row in await database.rows(select(report_queue.c.report_id))} == {report["id"]}
        assert not await database.rows(select(event_versions))  # what a migration completes is no change of an event
        changed = {name: value for name, value in peak.items() if not name.endswith("DateTime")} | {"priority": 0}
        assert (await operator.put(f"/events/{peak['id']}", changed)).ok()["priority"] == 0
    finally:
        await vtn.stop()


async def signed_in(vtn: VtnUnderTest, client_id: str) -> Session:
    """Return a client that was made by the early version, with a new token."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": SECRETS[client_id]}
    answer = (await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form)).ok()
    return vtn.with_token(answer["access_token"], client_id)
