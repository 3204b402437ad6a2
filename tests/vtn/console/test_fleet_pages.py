"""The pages of the fleet: the list, one VEN, adding and removing them, as somebody uses them."""

from __future__ import annotations

import base64
import csv
import io
import re
import tomllib
from datetime import timedelta
from typing import Any

import pytest

from openadr_profiles.join_line import JoinLine
from openadr_profiles.ven_20b import EnrolledVen
from tests.support.waiting import wait_until
from tests.vtn.console.fleets import client, contact, many, put, resource, ven
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.harness import VtnUnderTest
from tests.vtn.statements import Statements
from vtn.access import Role
from vtn.store import tables
from vtn.store.query import VenQuery
from vtn.store.v20b.tables import oadr20b_vens

PRINT = "01:23:45:67:89:AB:CD:EF:01:23"
OTHER = "FF:23:45:67:89:AB:CD:EF:01:23"


async def vens(vtn: VtnUnderTest) -> dict[str, Any]:
    """Every ven, by its name."""
    return {each["venName"]: each for each in (await vtn.bl.get("/vens")).ok()}


async def enrolled(vtn: VtnUnderTest) -> list[EnrolledVen]:
    """Every VEN of OpenADR 2.0b."""
    assert vtn.server.stores is not None
    return await vtn.server.stores.v20b.listing.search(VenQuery())


async def token_status(vtn: VtnUnderTest, client_id: str, secret: str) -> int:
    """The status of a request for a token."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return (await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form)).status


def secret_in(page: Page) -> str:
    """The secret that a page hands out."""
    (found,) = page.tree.xpath("//dt[.='Client secret']/following-sibling::dd[1]/code/text()")
    return str(found)


def file_in(page: Page, name: str) -> str:
    """The content of a file that a page offers."""
    (address,) = page.tree.xpath(f"//a[@download='{name}']/@href")
    return base64.b64decode(address.partition("base64,")[2]).decode()


async def acts(console: ConsoleUnderTest) -> list[str]:
    """Return what the audit trail has, newest first."""
    rows = (await console.page("/audit")).xpath("//tbody/tr")
    return [" ".join(row.text_content().split()) for row in rows]


async def test_an_empty_fleet_says_what_to_do(console: ConsoleUnderTest) -> None:
    page = await console.get("/fleet")
    assert "There are no VENs yet" in page.ok().words
    assert "oadr ven join" in page.words
    assert page.tree.xpath("//table") == []


async def test_the_list_shows_what_is_known_and_no_data_for_the_rest(console: ConsoleUnderTest) -> None:
    now = console.vtn.now.at
    refused: dict[str, Any] = {
        "refused_at": "2026-06-01T00:00:00.000000Z",
        "refused_status": 409,
        "refused_title": "Conflict",
    }
    await put(
        console.vtn,
        [
            (tables.vens, [ven("home-1", targets=["north", "a", "b", "c", "d"], MAX_POWER_CONSUMPTION=5), ven("new")]),
            (tables.resources, [resource("home-1", "ac")]),
            (tables.clients, [client("home-1")]),
            (
                tables.contacts,
                [
                    contact(
                        "home-1",
                        heard=now - timedelta(minutes=3),
                        software="\x1b[31mred",
                        clock_offset_s=-45.0,
                        refused_request="POST /vens",
                        **refused,
                    )
                ],
            ),
        ],
    )
    page = await console.get("/fleet")
    rows = {row[1].text_content().split()[0]: row for row in page.tree.xpath("//tbody/tr")}
    home = " ".join(rows["home-1"].text_content().split())
    assert "OpenADR 3.1" in home
    assert "\\x1b[31mred" in home
    assert "3 min ago" in home
    assert "-45 s" in home
    assert "5.00 kW" in home
    assert "its clock is 45 s slow" in home
    assert "and 1 more" in home
    new = " ".join(rows["new"].text_content().split())
    assert new.count("no data") == 4
    assert "never seen" in new
    assert "1 to 2 of 2 VENs and panels" in page.words


async def test_a_page_of_ten_thousand_is_small_and_takes_few_statements(console: ConsoleUnderTest) -> None:
    await many(console.vtn, circuits=1)
    await console.get("/fleet")
    with Statements(console.vtn) as heard:
        page = (await console.get("/fleet", headers={"Accept-Encoding": "gzip"})).ok()
    assert len(heard.texts) <= 7
    assert len(page.tree.xpath("//tbody/tr")) == 50
    assert len(page.text) < 200_000  # a tenth of it packed
    (later,) = page.tree.xpath("//a[@rel='next']/@href")
    assert later == "/console/fleet?page=2"
    counts = (await console.block("/fleet", "fleet-counts")).ok()
    assert "10,000" in counts.text
    assert "<table" not in counts.text
    found = (await console.get("/fleet", search="home-00042", problem="any")).ok()
    assert "1 to 1 of 1 VENs and panels" in found.words
    for search in ("nobody", "no\0body"):
        assert "Nothing matches" in (await console.get("/fleet", search=search)).ok().words
    (await console.get("/fleet/vens/no%00body")).ok(404)
    assert "problem: expected one of" in (await console.get("/fleet", problem="bad")).ok(400).words
    assert "order: expected one of" in (await console.get("/fleet", order="bad")).ok(400).words


async def test_the_list_as_a_file_is_the_whole_list_and_harmless(console: ConsoleUnderTest) -> None:
    names = [f"home-{number:04}" for number in range(1203)]
    await put(console.vtn, [(tables.vens, [*(ven(name, targets=["g"]) for name in names), ven("=1+2")])])
    page = (await console.get("/fleet.csv", search="")).ok()
    assert page.headers["Content-Disposition"] == 'attachment; filename="fleet.csv"'
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert [row["name"] for row in rows] == ["'=1+2", *names]
    assert rows[1]["groups"] == "g"
    assert rows[1]["last_contact_utc"] == rows[1]["power_kw"] == ""
    assert len(list(csv.DictReader(io.StringIO((await console.get("/fleet.csv", search="home-0001")).text)))) == 1


async def test_a_ven_is_added_with_credentials_that_are_shown_once(console: ConsoleUnderTest) -> None:
    """AUTH-033: the secret is in one answer, which nobody stores, and its digest in the database."""
    program = await console.vtn.bl.program(targets=["summer"])
    fields: dict[str, Any] = {"name": "home-1", "groups": "north\n north ; feeder:7", "program": program["id"]}
    page = (await console.post("/fleet/add", url="https://vtn.example", **fields)).ok()
    assert page.headers["Cache-Control"] == "no-store"
    secret = secret_in(page)
    assert (await vens(console.vtn))["home-1"]["targets"] == ["north", "feeder:7", "summer"]
    assert await token_status(console.vtn, "home-1", secret) == 200

    line = page.tree.xpath("//code[contains(@class, 'join-line')]/text()")[0]
    told = JoinLine(
        url="https://vtn.example/openadr3/3.1.0", client_id="home-1", client_secret=secret, ven_name="home-1"
    )
    assert JoinLine.decode(line) == told
    assert file_in(page, "home-1.join") == f"{line}\n"
    settings = tomllib.loads(file_in(page, "home-1.toml"))
    assert settings == {"ven_name": "home-1", "vtn": told.connection()}
    (picture,) = page.tree.xpath("//svg")
    assert picture.xpath(".//@style | .//script | .//style") == []

    again = (await console.post("/fleet/add", url="https://vtn.example", **fields)).ok(422)
    assert "there is a VEN home-1 already" in again.words
    assert secret not in again.text
    assert again.tree.xpath("//input[@name='name']/@value") == ["home-1"]
    for path in ("/fleet/add", "/fleet", "/audit"):
        assert secret not in (await console.get(path)).ok().text
    assert any("ven added ven home-1" in act for act in await acts(console))
    rows = await console.vtn.server._database.rows(tables.clients.select())
    assert secret not in str([dict(row) for row in rows])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": " "}, "name: give the name of the VEN"),
        ({"name": "n" * 129}, "name: the name of the VEN has 129 characters; expected at most 128"),
        ({"name": "a\x07b"}, "name: the name of the VEN has characters that cannot be seen"),
        ({"name": "home", "client_id": "unassigned-1"}, "client_id: unassigned-… stands for no client"),
        ({"name": "home", "client_id": "taken"}, "client_id: there is a client taken already"),
        ({"name": "home", "program": "gone"}, "program: there is no such program"),
        ({"name": "home", "url": "ftp://vtn"}, "url: expected a URL such as https://"),
        ({"name": "home", "ca": "no certificate"}, "ca: the text has 0 certificates (PEM); expected the one"),
        ({"name": "home", "groups": "g" * 129}, "has 129 characters; expected at most 128"),
        ({"name": "home", "groups": "\n".join(map(str, range(101)))}, "groups: expected at most 100 groups"),
    ],
)
async def test_a_form_that_is_wrong_is_shown_again_and_stores_nothing(
    console: ConsoleUnderTest, fields: dict[str, Any], said: str
) -> None:
    """The field, the problem and what was expected; what was typed is kept."""
    await console.vtn.server.clients.add("taken", Role.VEN)
    page = (await console.post("/fleet/add", **fields)).ok(422)
    assert said in page.words
    assert page.tree.xpath("//input[@name='name']/@value") == [fields["name"]] or "\x07" in fields["name"]
    assert await vens(console.vtn) == {}
    assert [each.client_id for each in await console.vtn.server.clients.list()] == ["taken"]


async def test_a_program_for_several_groups_asks_which_one(console: ConsoleUnderTest) -> None:
    program = await console.vtn.bl.program(programName="summer", targets=["east", "west"])
    page = (await console.post("/fleet/add", name="home", program=program["id"])).ok(422)
    assert "groups: summer is for east, west: give one of these groups" in page.words
    (await console.post("/fleet/add", name="home", program=program["id"], groups="west")).ok()
    assert (await vens(console.vtn))["home"]["targets"] == ["west"]


async def test_the_page_says_when_a_ven_has_come(console: ConsoleUnderTest) -> None:
    """By its first request, without waiting until contacts are stored."""
    page = (await console.post("/fleet/add", name="home-1", url="https://vtn.example")).ok()
    (asks,) = page.tree.xpath("//*[@id='arrival']/@hx-get")
    path = asks.removeprefix("/console")
    waiting = (await console.block(path, "arrival")).ok()
    assert "Waiting for its first contact" in waiting.text
    assert "hx-get" in waiting.text
    (await console.vtn.caller(Role.VEN, client_id="home-1").get("/events")).ok()
    here = (await console.block(path, "arrival")).ok()
    assert "is here" in here.text
    assert "hx-get" not in here.text
    assert "<html" not in here.text


async def test_no_name_in_the_file_of_secrets_is_a_formula(console: ConsoleUnderTest) -> None:
    """Names come from lists of others; the secret stays as it is, whatever it begins with."""
    page = (await console.post("/fleet/add-many", csv="name,client_id\n=1+1,@c", url="https://vtn.example")).ok()

    (row,) = csv.DictReader(io.StringIO(file_in(page, "join-lines.csv")))
    assert (row["name"], row["client_id"]) == ("'=1+1", "'@c")
    assert await token_status(console.vtn, "@c", row["client_secret"]) == 200


async def test_many_vens_are_added_from_a_list_all_or_none(console: ConsoleUnderTest) -> None:
    listed = "name;client_id;groups\nhome-1;c-1;north|a\nhome-2;;\n\n"
    page = (await console.post("/fleet/add-many", csv=listed, url="https://vtn.example")).ok()
    rows = list(csv.DictReader(io.StringIO(file_in(page, "join-lines.csv"))))
    assert [(row["name"], row["client_id"]) for row in rows] == [("home-1", "c-1"), ("home-2", "home-2")]
    assert {JoinLine.decode(row["join_line"]).ven_name for row in rows} == {"home-1", "home-2"}
    assert await token_status(console.vtn, "c-1", rows[0]["client_secret"]) == 200
    assert (await vens(console.vtn))["home-1"]["targets"] == ["north", "a"]
    assert page.headers["Cache-Control"] == "no-store"

    again = (await console.post("/fleet/add-many", csv="name\nhome-3\nhome-2")).ok(422)
    assert "csv: line 3, name: there is a VEN home-2 already" in again.words
    assert "home-3\nhome-2" in again.tree.xpath("//textarea[@name='csv']/text()")[0]
    assert sorted(await vens(console.vtn)) == ["home-1", "home-2"]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("", "csv: line 1: expected the names of columns, with `name` among them"),
        ("client_id\nx", "line 1: expected the names of columns"),
        ("name,secret\nx,y", "line 1: there is no column 'secret'; expected name, client_id or groups"),
        ("name\n", "line 2: there is no VEN"),
        ("name,groups\n,g", "line 2, name: it is missing"),
        ("name\na\nb\na", "line 4, name: 'a' is on line 2 already"),
        ("name,client_id\na,c\nb,c", "line 3, client_id: 'c' is on line 2 already"),
        ('name\n"a', "csv: it cannot be read"),
        ("name\n" + "x" * 200, "line 2, name has 200 characters; expected at most 128"),
        ("name\n" + "\n".join(map(str, range(501))), "expected at most 500 VENs at once"),
    ],
)
async def test_a_list_that_is_wrong_names_line_and_column(console: ConsoleUnderTest, listed: str, said: str) -> None:
    assert said in (await console.post("/fleet/add-many", csv=listed)).ok(422).words
    assert await vens(console.vtn) == {}


async def test_a_secret_is_changed_once_however_often_the_form_is_sent(console: ConsoleUnderTest) -> None:
    """The second time, and from a page that is older than a change, nothing is done."""
    page = (await console.post("/fleet/add", name="home-k", url="https://vtn.example")).ok()
    old, ven_id = secret_in(page), (await vens(console.vtn))["home-k"]["id"]
    path = f"/fleet/vens/{ven_id}/secret"
    (version,) = (await console.page(path)).xpath("//input[@name='version']/@value")
    console.vtn.now.pass_(seconds=1)
    new = secret_in((await console.post(path, version=version, url="https://vtn.example")).ok())
    assert new != old
    assert await token_status(console.vtn, "home-k", old) == 401
    again = (await console.post(path, version=version)).ok(422)
    assert "the secret was changed since this page was opened" in again.words
    assert await token_status(console.vtn, "home-k", new) == 200
    (wrong,) = [(await console.post(path, version=again.tree.xpath("//input[@name='version']/@value")[0], url="x"))]
    assert "url: expected a URL" in wrong.ok(422).words
    assert await token_status(console.vtn, "home-k", new) == 200


async def test_a_ven_that_business_logic_made_gets_its_credentials(console: ConsoleUnderTest) -> None:
    await console.vtn.bl.ven_for(console.vtn.caller(Role.VEN, client_id="c-9"), venName="home-9")
    ven_id = (await vens(console.vtn))["home-9"]["id"]
    page = await console.page(f"/fleet/vens/{ven_id}")
    assert "no credentials: no client of its id gets tokens" in page.text_content()
    made = (await console.post(f"/fleet/vens/{ven_id}/secret", version="", url="https://vtn.example")).ok()
    assert await token_status(console.vtn, "c-9", secret_in(made)) == 200


async def test_a_ven_is_suspended_and_resumed(console: ConsoleUnderTest) -> None:
    page = (await console.post("/fleet/add", name="home-s", url="https://vtn.example")).ok()
    ven_id = (await vens(console.vtn))["home-s"]["id"]
    (await console.post(f"/fleet/vens/{ven_id}/suspended", act="suspend")).ok(303)
    assert await token_status(console.vtn, "home-s", secret_in(page)) == 400
    assert "suspended" in (await console.get(f"/fleet/vens/{ven_id}")).ok().words
    assert (await console.get("/fleet", problem="suspended")).ok().tree.xpath("//tbody/tr")
    (await console.post(f"/fleet/vens/{ven_id}/suspended", act="resume")).ok(303)
    assert await token_status(console.vtn, "home-s", secret_in(page)) == 200


async def test_groups_are_granted_to_one_and_to_many(console: ConsoleUnderTest) -> None:
    """To all that a search finds only after it was asked once more."""
    await put(console.vtn, [(tables.vens, [ven(f"home-{number}") for number in range(5)])])
    (await console.post("/fleet/vens/home-0/groups", group="west", act="grant")).ok(303)
    (await console.post("/fleet/groups", ven=["home-1", "home-2"], granted="west", act="grant", which="selected")).ok(
        303
    )
    held = {name: each["targets"] for name, each in (await vens(console.vtn)).items()}
    assert {name for name, targets in held.items() if targets == ["west"]} == {"home-0", "home-1", "home-2"}

    fields: dict[str, Any] = {
        "granted": "east",
        "act": "grant",
        "which": "all",
        "asked_search": "home-",
        "asked_group": "west",
    }
    asking = (await console.post("/fleet/groups", **fields)).ok()
    assert "Grant east to all 3 VENs that the search finds?" in asking.words
    assert (await vens(console.vtn))["home-0"]["targets"] == ["west"]
    hidden = {each.get("name"): each.get("value") for each in asking.tree.xpath("//main//input[@type='hidden']")}
    del hidden["csrf"]
    (await console.post("/fleet/groups", act="grant", **hidden)).ok(303)
    assert {tuple(each["targets"]) for each in (await vens(console.vtn)).values()} == {("west", "east"), ()}

    (await console.post("/fleet/vens/home-0/groups", group="west", act="revoke")).ok(303)
    assert (await vens(console.vtn))["home-0"]["targets"] == ["east"]
    assert "no VEN is chosen" in (await console.post("/fleet/groups", granted="x", act="grant")).ok(422).words
    assert "give the name of a group" in (await console.post("/fleet/groups", ven="home-1", act="grant")).ok(422).words
    assert "group granted to group east" in " ".join(await acts(console))


async def test_a_ven_is_removed_after_its_name_was_typed(console: ConsoleUnderTest) -> None:
    """With its credentials, resources and subscriptions; its reports stay."""
    page = (await console.post("/fleet/add", name="home-r", url="https://vtn.example")).ok()
    secret, ven_ = secret_in(page), (await vens(console.vtn))["home-r"]
    home = console.vtn.caller(Role.VEN, client_id="home-r")
    await home.resource(ven_)
    await home.report(await console.vtn.bl.event(await console.vtn.bl.program()))
    asked = (await console.get(f"/fleet/vens/{ven_['id']}/remove")).ok()
    assert "1 resource" in asked.words
    assert "Its 1 report stay" in asked.words
    assert "name: type the name of the VEN" in (await console.post(f"/fleet/vens/{ven_['id']}/remove")).ok(422).words
    assert "home-r" in await vens(console.vtn)
    (await console.post(f"/fleet/vens/{ven_['id']}/remove", name="home-r")).ok(303)
    assert await vens(console.vtn) == {}
    assert await token_status(console.vtn, "home-r", secret) == 401
    assert len((await console.vtn.bl.get("/reports")).ok()) == 1
    assert "there is no such VEN" in (await console.get(f"/fleet/vens/{ven_['id']}")).ok(404).words


async def test_a_ven_of_2_0b_is_enrolled_and_steered(console: ConsoleUnderTest) -> None:
    """B-SEC-013, B-REG-010: by the fingerprint of its certificate, two of them during a change."""
    fields: dict[str, Any] = {"name": "old", "fingerprint": PRINT, "groups": "north", "wire_id": "TH-1"}
    (await console.post("/fleet/add-20b", **fields)).ok(303)
    (ven_,) = await enrolled(console.vtn)
    assert (ven_.ven_name, ven_.wire_id, ven_.fingerprints) == ("old", "TH-1", (PRINT,))
    path = f"/fleet/vens/{ven_.ven_id}"
    assert "OpenADR 2.0b" in (await console.get(path)).ok().words
    assert "not registered" in (await console.post(f"{path}/20b", act="reregister")).ok(422).words
    for act in ("disable", "enable"):
        (await console.post(f"{path}/20b", act=act)).ok(303)
        (now,) = await enrolled(console.vtn)
        assert now.disabled is (act == "disable")
    (await console.post(f"{path}/20b", act="add_certificate", fingerprint=OTHER)).ok(303)
    (await console.post(f"{path}/20b", act="drop_certificate", fingerprint=PRINT)).ok(303)
    (now,) = await enrolled(console.vtn)
    assert now.fingerprints == (OTHER,)
    async with console.vtn.server._database.write() as connection:
        await connection.execute(oadr20b_vens.update().values(registration_id="r"))
    (await console.post(f"{path}/20b", act="reregister")).ok(303)
    (now,) = await enrolled(console.vtn)
    assert now.waiting == 1
    wrongs: tuple[tuple[dict[str, Any], str], ...] = (
        ({"act": "explode"}, "act: expected enable"),
        ({"act": "add_certificate", "fingerprint": "xy"}, "fingerprint:"),
    )
    for wrong, said in wrongs:
        assert said in (await console.post(f"{path}/20b", **wrong)).ok(422).words
    again = (await console.post("/fleet/add-20b", name="old", fingerprint=PRINT)).ok(422)
    assert "a VEN of this name is enrolled" in again.words
    assert "has no secret" in (await console.post(f"{path}/secret", version="")).ok(422).words


async def test_the_page_of_a_bridge_shows_its_panels_and_each_has_a_page(console: ConsoleUnderTest) -> None:
    theirs = [resource("bridge", "panel-1", targets=["feeder-7"]), resource("bridge", "panel-1/ac")]
    await put(console.vtn, [(tables.vens, [ven("bridge")]), (tables.resources, theirs)])
    page = (await console.get("/fleet/vens/bridge")).ok()
    (address,) = page.tree.xpath("//table//a[.='panel-1']/@href")
    assert address == "/console/fleet/vens/bridge?panel=panel-1"
    panel = (await console.get("/fleet/vens/bridge", panel="panel-1")).ok()
    assert "panel-1 panel behind bridge" in panel.words
    assert [" ".join(each.text_content().split()) for each in panel.tree.xpath("//tbody/tr/th")] == ["panel-1/ac"]
    assert "Remove" not in panel.words
    assert "there is no panel panel-2" in (await console.get("/fleet/vens/bridge", panel="panel-2")).ok(404).words


async def test_the_page_of_a_ven_shows_events_reports_and_webhooks(console: ConsoleUnderTest) -> None:
    """Events that it sees, also those it has not answered; others not."""
    bl, home = console.vtn.bl, console.vtn.home()
    ven_ = await bl.ven_for(home, ["north"])
    program = await bl.program()
    seen = await bl.event(program, eventName="for it", targets=["north"])
    await bl.event(program, eventName="for others", targets=["south"])
    await home.report(seen, reportName="meter <day>")
    page = (await console.get(f"/fleet/vens/{ven_['id']}")).ok()
    assert page.tree.xpath("//table[caption[contains(., 'events')]]//a/text()") == ["for it"]
    assert "none yet" in page.words
    assert "for others" not in page.words
    assert "meter <day>" in page.words
    assert "It has no webhook" in page.words
    (test,) = page.tree.xpath("//a[.='Test event']/@href")
    assert test.endswith(f"?ven={ven_['id']}")


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_who_may_not_act_sees_no_button_and_is_refused(console: ConsoleUnderTest, role: str) -> None:
    """Secrets are for admins, everything else for operators."""
    await put(console.vtn, [(tables.vens, [ven("home-1")]), (tables.clients, [client("home-1")])])
    somebody = await console.as_role(role)
    admin_only = ("/fleet/add", "/fleet/add-many", "/fleet/vens/home-1/secret")
    operators = (
        *("/fleet/groups", "/fleet/vens/home-1/suspended", "/fleet/vens/home-1/groups", "/fleet/vens/home-1/20b"),
        *("/fleet/vens/home-1/remove", "/fleet/add-20b", "/programs/new"),
    )
    for path in admin_only:
        (await somebody.get(path)).ok(403)
        (await somebody.post(path, name="x", version="")).ok(403)
    for path in operators:
        assert ((await somebody.post(path)).status == 403) is (role == "viewer"), path
    words = (await somebody.get("/fleet/vens/home-1")).ok().words
    assert "New secret" not in words
    assert ("Suspend" in words) is (role == "operator")
    assert (await somebody.get("/fleet")).ok().tree.xpath("//a[contains(@href, '/fleet/add')]") == []


async def test_a_ven_that_joins_by_the_line_is_here(console: ConsoleUnderTest) -> None:
    """The whole way: the line of the page is that of a VEN which registers itself and appears with its resource."""
    page = (await console.post("/fleet/add", name="home-1", url=console.vtn.origin, groups="north")).ok()
    (line,) = page.tree.xpath("//code[contains(@class, 'join-line')]/text()")
    told = JoinLine.decode(line)
    from openadr_client import VtnClient

    async with VtnClient(base_url=told.url, client_id=told.client_id, client_secret=told.client_secret) as vtn:
        assert [each.targets for each in await vtn.vens.search()] == [("north",)]
    path = f"/fleet/vens/{(await vens(console.vtn))['home-1']['id']}"

    async def is_here() -> bool:
        return "openadr-fleet/" in (await console.get(path)).words

    await wait_until(is_here, timeout_s=30)
    assert re.search(r"Clock (right|[-+]\d+ s)", (await console.get(path)).words)
