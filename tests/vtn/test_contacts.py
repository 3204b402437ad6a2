"""Last contact: what a client's requests leave behind, and who may read it."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bench.support.postgres import PostgresServer
from openadr_profiles.contact import RefusedRequest
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import START, Session, VtnUnderTest
from tests.vtn.statements import Statements
from vtn.access import Role, Scope
from vtn.administration import back_up, restore
from vtn.store.contact import ContactStore, LastHeard, News
from vtn.store.database import Database
from vtn.store.query import ContactQuery
from vtn.store.stamps import stamp


async def contact_of(client: Session, asked_by: Session) -> dict[str, Any]:
    """Return what business logic reads of one client; empty if nothing is known."""
    found = (await asked_by.get("/contacts", {"clientID": client.client_id})).ok()
    return dict(found[0]) if found else {}


async def test_a_request_is_a_contact_with_its_time_and_protocol(vtn: VtnUnderTest) -> None:
    bl, home = vtn.bl, vtn.home()
    assert await contact_of(home, bl) == {}

    (await home.get("/events")).ok()
    first = stamp(vtn.now.at)
    found = await contact_of(home, bl)
    assert "aiohttp" in found.pop("software")
    assert found == {
        "clientID": home.client_id,
        "protocol": "OpenADR 3.1",
        "lastContact": first.replace(".000000", ""),
    }
    vtn.now.pass_(minutes=3)
    (await home.get("/programs")).ok()
    assert (await contact_of(home, bl))["lastContact"] > first


async def test_a_contact_tells_of_the_software_and_of_a_clock_that_is_off(vtn: VtnUnderTest) -> None:
    """By the headers User-Agent and Date; what a later request does not say stays known, and nonsense is no time."""
    bl, home = vtn.bl, vtn.home()
    late = format_datetime(vtn.now.at - timedelta(seconds=90), usegmt=True)
    (await home.get("/events", Date=late, User_Agent="panel/7 " + "x" * 500)).ok()
    found = await contact_of(home, bl)
    assert found["clockOffset"] == -90.0
    assert found["software"] == ("panel/7 " + "x" * 500)[:200]
    for unreadable in ("yesterday", "Mon, 99 Foo 2026 99:99:99 GMT", "1" * 4000):
        (await home.get("/events", Date=unreadable, User_Agent="")).ok()
        assert (await contact_of(home, bl))["clockOffset"] == -90.0
    (await home.get("/events", Date=format_datetime(vtn.now.at, usegmt=True))).ok()
    assert (await contact_of(home, bl))["clockOffset"] == 0.0


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "title"),
    [
        ("POST", "/reports", {"eventID": 1}, 400, "Invalid document"),
        ("POST", "/programs", {"programName": "p"}, 403, "Not allowed"),
        ("POST", "/resources", {"resourceName": "r", "venID": "nothing"}, 404, "Not found"),
        ("GET", "/events?limit=-1", None, 400, "Invalid request"),
    ],
)
async def test_the_last_refused_request_is_kept(
    vtn: VtnUnderTest, method: str, path: str, document: object, status: int, title: str
) -> None:
    """With status, title, method and path, and without anything that the client sent."""
    bl, home = vtn.bl, vtn.home()
    assert (await home.ask(method, path, json=document)).status == status
    at = vtn.now.at
    vtn.now.pass_(minutes=1)
    (await home.get("/events")).ok()

    found = await contact_of(home, bl)
    assert found["lastRefused"] == {
        "at": at.isoformat().replace("+00:00", "Z"),
        "status": status,
        "title": title,
        "request": f"{method} {path.partition('?')[0]}",
    }
    assert found["lastContact"] > found["lastRefused"]["at"]


async def test_what_happens_in_the_best_of_fleets_is_no_problem(vtn: VtnUnderTest) -> None:
    """An object that is gone, and one that changed meanwhile."""
    bl, home = vtn.bl, vtn.home()
    ven = await home.ven()
    assert (await home.get("/events/gone")).status == 404
    assert (await home.delete("/reports/gone")).status == 404
    stale = {"If-Match": '"another"'}
    named = {"venName": ven["venName"]}
    assert (await home.ask("PUT", f"/vens/{ven['id']}", json=named, headers=stale)).status == 412
    assert "lastRefused" not in await contact_of(home, bl)


async def test_contacts_are_for_business_logic(vtn: VtnUnderTest) -> None:
    home = vtn.home()
    assert "scopes" in (await home.get("/contacts")).problem(403)
    reads_all = vtn.caller(Role.VEN, scopes={Scope.READ_ALL})
    assert "business logic" in (await reads_all.get("/contacts")).problem(403)
    assert (await vtn.nobody.get("/contacts")).status == 401


async def test_contacts_come_in_pages_by_client_id(vtn: VtnUnderTest) -> None:
    bl = vtn.caller(Role.BL, client_id="a-bl")
    for name in ("h3", "h1", "h2"):
        (await vtn.caller(Role.VEN, client_id=name).get("/events")).ok()

    async def ids(*query: tuple[str, str]) -> list[str]:
        return [each["clientID"] for each in (await bl.get("/contacts", query)).ok()]

    assert await ids() == ["a-bl", "h1", "h2", "h3"]
    assert await ids(("skip", "1"), ("limit", "2")) == ["h1", "h2"]
    assert await ids(("clientID", "h3"), ("clientID", "h1"), ("clientID", "nobody")) == ["h1", "h3"]
    assert await ids(("limit", "0")) == []
    assert "51" not in (await bl.get("/contacts", {"limit": "51"})).problem(400)


async def test_no_object_of_the_standard_tells_of_contacts(vtn: VtnUnderTest) -> None:
    """The members of a ven are those of the standard: extensions stay outside."""
    home = vtn.home()
    await home.ven()
    (ven,) = (await home.get("/vens")).ok()
    assert set(ven) == {
        *("id", "createdDateTime", "modificationDateTime", "objectType", "clientID", "venName", "targets")
    }


async def test_a_poll_asks_the_database_nothing_more(vtn: VtnUnderTest) -> None:
    """A contact is noted in memory; the cached answer stays as cheap as it was."""
    home = vtn.home()
    (await home.get("/events")).ok()
    with Statements(vtn) as statements:
        for _ in range(5):
            (await home.get("/events")).ok()
    assert statements.sent == []


async def test_contacts_are_stored_from_time_to_time_and_at_the_end(start_vtn: StartVtn) -> None:
    """By a task in the background; and what is not stored yet when the server stops."""
    vtn = await start_vtn(contacts={"store_s": 0.05})
    home = vtn.home()
    (await home.get("/events")).ok()
    store = ContactStore(vtn.server._database)

    async def stored() -> bool:
        return bool(await store.search(ContactQuery(client_ids=(home.client_id,))))

    await wait_until(stored)

    late = await start_vtn()
    url = late.server.settings.database.url.get_secret_value()
    (await late.caller(Role.VEN, client_id="late").get("/events")).ok()
    await late.stop()
    database = Database(settings_for(url).database)
    (found,) = await ContactStore(database).search(ContactQuery(client_ids=("late",)))
    await database.close()
    assert found.last_contact == late.now.at


async def test_processes_are_merged_by_the_latest_instant(vtn: VtnUnderTest) -> None:
    """In whatever order they store what they heard, and however often."""
    store, name = ContactStore(vtn.server._database), vtn.home().client_id
    early, late = START, START + timedelta(minutes=5)

    def refused(at: Any, status: int) -> tuple[str, RefusedRequest]:
        return "OpenADR 2.0b", RefusedRequest(at=at, status=status, title="t", request="POST /reports")

    for news in (
        News(name, None, refused(early, 400)),
        News(name, LastHeard("OpenADR 3.1", late), None),
        News(name, LastHeard("OpenADR 2.0b", early), refused(late, 403)),
        News(name, LastHeard("OpenADR 2.0b", early), refused(early, 400)),
        News(name, LastHeard("OpenADR 3.1", late), None),
    ):
        await store.merge([news])

    (found,) = await store.search(ContactQuery(client_ids=(name,)))
    assert (found.protocol, found.last_contact) == ("OpenADR 3.1", late)
    assert found.last_refused is not None
    assert (found.last_refused.at, found.last_refused.status) == (late, 403)


async def test_processes_that_store_the_same_clients_at_once_do_not_block_each_other(vtn: VtnUnderTest) -> None:
    """Rows are changed in one order, whatever order they were heard in: no deadlock."""
    store = ContactStore(vtn.server._database)
    news = [News(f"many-{number:04}", LastHeard("OpenADR 3.1", START), None) for number in range(500)]
    await asyncio.gather(*(store.merge(news[:: (-1) ** turn]) for turn in range(8)))
    ids = tuple(each.client_id for each in news)
    assert len(await store.search(ContactQuery(client_ids=ids[:50]))) == 50


async def test_a_client_that_is_removed_leaves_no_contact(vtn: VtnUnderTest) -> None:
    """Also when another process stores later what it heard before; a client of the same id begins anew."""
    bl, clients, store = vtn.bl, vtn.server.clients, ContactStore(vtn.server._database)
    await clients.add("leaving", Role.VEN)
    leaving = vtn.caller(Role.VEN, client_id="leaving")
    (await leaving.get("/events")).ok()
    heard = vtn.now.at
    assert await contact_of(leaving, bl)

    vtn.now.pass_(seconds=1)
    await clients.remove("leaving")
    assert await contact_of(leaving, bl) == {}
    await store.merge([News("leaving", LastHeard("OpenADR 3.1", heard), None)])
    assert await contact_of(leaving, bl) == {}

    vtn.now.pass_(seconds=1)
    await clients.add("leaving", Role.VEN)
    await store.merge([News("leaving", LastHeard("OpenADR 3.1", vtn.now.at), None)])
    assert await contact_of(leaving, bl)


async def test_a_database_that_is_away_loses_no_contact(start_vtn: StartVtn, request: pytest.FixtureRequest) -> None:
    """Answers go on; what was heard is stored once it is back. SQLite is away while another holds its file."""
    vtn = await start_vtn(contacts={"store_s": 3600}, database={"timeout_s": 0.2})
    bl, home = vtn.bl, vtn.home()
    (await home.get("/events")).ok()
    database, contacts = vtn.server._database, vtn.server._contacts
    if database.is_sqlite:
        other = sqlite3.connect(str(database.file), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        postgres.stop()

    await contacts.store()
    vtn.now.pass_(seconds=5)
    (await home.get("/events")).ok() if database.is_sqlite else await home.get("/events")
    await contacts.store()
    assert set(contacts._heard) >= {home.client_id}

    if database.is_sqlite:
        other.close()
    else:
        postgres.start()

    async def told() -> bool:
        answer = await bl.get("/contacts", {"clientID": home.client_id})
        return answer.status == 200 and answer.body != []

    await wait_until(told)
    assert (await contact_of(home, bl))["lastContact"] == vtn.now.at.isoformat().replace("+00:00", "Z")


async def test_contacts_are_in_a_backup(vtn: VtnUnderTest, tmp_path: Any) -> None:
    """They are facts about the fleet like its reports; after a restore they are as old as the backup."""
    home = vtn.home()
    (await home.get("/events")).ok()
    before = await contact_of(home, vtn.bl)
    await back_up(vtn.server.settings, tmp_path / "backup.jsonl")
    url = f"sqlite:///{tmp_path / 'restored.sqlite3'}"
    settings = settings_for(url, secrets_key_file=str(vtn.server._vault.file))
    await restore(settings, tmp_path / "backup.jsonl")

    restored = VtnUnderTest(settings, vtn.now)
    await restored.start()
    try:
        assert await contact_of(home, restored.bl) == before
    finally:
        await restored.stop()
