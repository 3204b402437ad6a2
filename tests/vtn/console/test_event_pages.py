"""The pages of one event: what they tell, whom they let in, and what they make of bad input."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from tests.vtn.console.event_seed import WILD, active_event, shedding
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.facts.fleet import Fleet as ReportingFleet
from tests.vtn.facts.fleet import opt_in, opt_out, opts_of, shed, status_of
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox import with_mqtt
from tests.vtn.outbox_rows import OutboxRows
from tests.vtn.statements import Statements
from vtn.store.facts.results import FunnelStep
from vtn.store.tables import vens

PAGES = ("", "/participants", "/circuits", "/versions", "/told", "/reports", "/print", "/curve", "/curve.csv")


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(vtn: VtnUnderTest) -> AsyncIterator[ReportingFleet]:
    """The same VTN, whose reports are read when the test says so."""
    fleet = ReportingFleet(vtn)
    await fleet.forget()
    yield fleet
    await fleet.forget()


def rows_of(page: Page, caption: str) -> list[list[str]]:
    """The texts of the cells of a table with this in its caption."""
    (table,) = page.tree.xpath("//table[contains(normalize-space(caption), $caption)]", caption=caption)
    return [[" ".join(cell.text_content().split()) for cell in row] for row in table.xpath(".//tbody/tr[count(*)>1]")]


async def test_the_overview_tells_how_far_the_event_got(console: ConsoleUnderTest) -> None:
    """Each step of the funnel leads to those who took it, and to those who did not; every power has its unit."""
    event, _ = await active_event(console.vtn)

    page = (await console.get(f"/events/{event['id']}")).ok()

    steps = [" ".join(step.text_content().split()) for step in page.tree.xpath("//ol[@class='funnel']/li")]
    assert steps == [
        "Targeted 8 of 8 VENs",
        "Heard of it 6 of 8 VENs, 2 not heard of since it was last changed",
        "Answered 6 of 9 participants: VENs, and each panel behind a bridge, 3 not answered",
        "Opted in 5 of 9 participants, 1 opted out",
        "Reporting 4 of 9 participants, 5 not reporting",
        "Delivering 3 of 9 participants, 6 not delivering",
    ]
    assert "shed 3 kW" in page.words
    assert "Requested 10.00 kW" in page.words
    part = (await console.block(f"/events/{event['id']}", "facts")).ok()
    assert part.tree.get("id") == "facts"
    assert part.tree.xpath(".//h1//*[contains(@class, 'badge')]/text()") == ["active"]
    assert 0 < float(part.tree.get("data-due-s")) <= 3600  # it is asked for again when the event ends
    assert "Delivered 5.70 kW" in page.words
    for link in page.tree.xpath("//ol[@class='funnel']//a/@href"):
        shown = (await console.get(link.removeprefix("/console"))).ok()
        step = link.rpartition("step=")[2]
        told = await console.vtn.server.stores.facts.participants(event["id"], step=FunnelStep(step))  # type: ignore[union-attr] # the server is started
        assert len(rows_of(shown, "Participants")) == len(told.items) > 0


async def test_every_participant_says_why_it_delivers_nothing(console: ConsoleUnderTest) -> None:
    """A reason for each no; panels behind a bridge are rows like any other."""
    event, _ = await active_event(console.vtn)

    page = (await console.get(f"/events/{event['id']}/participants")).ok()

    why = {row[0]: (row[1], row[2]) for row in rows_of(page, "Participants")}
    assert why == {
        "panel-a behind bridge": ("in", "it delivers"),
        "panel-b behind bridge": ("in", "it delivers"),
        "home-00000": ("in", "it delivers"),
        "home-00001": ("out", "opted out: the baby sleeps"),
        "home-00002": ("no answer", "never heard of; was it started with its credential?"),
        "home-00003": ("no answer", "not heard of since the event changed; last contact 5 h ago"),
        "home-00004": ("no answer", "heard, but has not said whether it takes part"),
        "home-00005": ("in", "takes part, but has not reported what it does"),
        "home-00006": ("in", "reports no reduction: nothing here acts on PRICE"),
    }
    found = (await console.get(f"/events/{event['id']}/participants", search="PANEL", order="delivered_kw")).ok()
    assert [row[5] for row in rows_of(found, "Participants")] == ["2.00 kW", "0.90 kW"]
    assert "Nobody found" in (await console.get(f"/events/{event['id']}/participants", search="x")).ok().words


async def test_a_row_opens_its_circuits(console: ConsoleUnderTest) -> None:
    """Before, during, after, asked, shed, state, and why one was spared; what is not known is no 0."""
    event, _ = await active_event(console.vtn)
    path = f"/events/{event['id']}/participants"
    links = (await console.page(path)).xpath("//table//tbody//a[@hx-get]/@href")

    opened = {link: (await console.get(link.removeprefix("/console"))).ok() for link in links}

    assert len(opened) == 4
    home = next(page for link, page in opened.items() if "client-00000" in link)
    assert rows_of(home, "from the status report") == [
        ["boiler", "2.50 kW", "0.20 kW", "no data", "2.00 kW", "2.30 kW", "curtailed", "–"],
        [
            "fridge critical",
            "0.20 kW",
            "0.20 kW",
            "no data",
            "0.00 kW",
            "0.00 kW",
            "normal",
            "critical: never switched",
        ],
        ["garage", "0.00 kW", "0.00 kW", "no data", "0.00 kW", "0.00 kW", "spared", "switched by hand"],
        ["heat pump", "2.30 kW", "1.80 kW", "2.20 kW", "1.00 kW", "0.50 kW", "restored", "–"],
    ]
    panel = next(page for link, page in opened.items() if "panel-a" in link)
    assert rows_of(panel, "from the status report")[0][0] == "1"
    link = next(link for link in links if "panel-a" in link).removeprefix("/console")
    part = await console.block(link, "circuits-3")
    assert part.ok().text.lstrip().startswith("<details open")
    assert (await console.block(link, "circuits-3-open")).ok().tree.get("id") == "circuits-3-open"
    assert "<html" not in part.text


async def test_the_curve_has_its_gaps(console: ConsoleUnderTest) -> None:
    """Null where nothing was noted, for the chart; the file has only what was; the event is shaded."""
    event, _ = await active_event(console.vtn)

    curve = await console.json(f"/events/{event['id']}/curve")

    assert [(each["kind"], each["unit"]) for each in curve["series"]] == [
        ("requested", "kW"),
        ("baseline", "kW"),
        ("delivered", "kW"),
    ]
    values = curve["series"][2]["values"]
    assert len(values) == len(curve["times"]) == 151
    assert values.count(None) == 1
    assert curve["times"] == sorted(curve["times"])
    assert curve["shades"][0]["to"] - curve["shades"][0]["from"] == 3600
    text = (await console.get(f"/events/{event['id']}/curve.csv")).ok().text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 150
    assert float(lines[-1]["delivered_kw"]) == 5.6
    paper = (await console.get(f"/events/{event['id']}/print")).ok()
    assert len(paper.tree.xpath("//*[local-name()='polyline'][@class='line-delivered']")) == 2
    assert paper.tree.xpath("//header") == []


async def test_participants_as_a_file_are_safe_to_open(console: ConsoleUnderTest) -> None:
    """All of them, however many; texts of VENs are no formulas and move no cursor."""
    event, fleet = await active_event(console.vtn, 8)
    async with fleet.database.write() as connection:
        await connection.execute(update(vens).where(vens.c.id == "ven-00001").values(name='=cmd|"\x1b[31m"'))
    for number in range(2000, 3100):
        fleet.ven(number)
    await fleet.store()

    page = (await console.get(f"/events/{event['id']}/participants.csv")).ok()

    lines = list(csv.DictReader(io.StringIO(page.text)))
    assert len(lines) == 1109
    assert len({line["participant"] for line in lines}) == 1109
    (wild,) = [line for line in lines if line["client_id"] == "client-00001"]
    assert wild["ven"] == '\'=cmd|"\\x1b[31m"'
    assert wild["delivered_kw"] == ""
    assert page.headers["Content-Disposition"].startswith("attachment")


async def test_versions_show_what_was_changed(console: ConsoleUnderTest) -> None:
    """By whom, when, from what to what."""
    event, _ = await active_event(console.vtn)
    changer = console.vtn.bl
    body = shedding(5, console.vtn.now(), "PT2H", programID=event["programID"], eventName="evening peak")
    (await changer.put(f"/events/{event['id']}", body)).ok()

    page = (await console.get(f"/events/{event['id']}/versions")).ok()

    changes = {row[0]: row[1:] for row in rows_of(page, "What version 2 changed")}
    assert list(changes) == ["Start", "End", "Interval 1"]
    assert changes["Interval 1"][0].endswith("shed 3 kW")
    assert changes["Interval 1"][1].endswith("shed 5 kW")
    assert changer.client_id in page.words
    assert "As issued: shed 3 kW." in page.words


async def test_who_was_told_and_what_was_reported(console: ConsoleUnderTest) -> None:
    """Notifications by channel with their outcome; reports with what is in them."""
    vtn = console.vtn
    await with_mqtt(vtn)
    program = await vtn.bl.program()
    event = await vtn.bl.event(program)
    outbox, home = OutboxRows(vtn), vtn.home()
    await vtn.bl.ven_for(home, venName="the house")
    await outbox.delivery(await outbox.endpoint(home.client_id), object_id=event["id"])
    payloads = [{"type": "USAGE", "values": [1.5]}]
    interval = {"id": 0, "payloads": payloads}
    await home.report(event, reportName="usage", resources=[{"resourceName": "meter", "intervals": [interval]}])

    told = (await console.get(f"/events/{event['id']}/told")).ok()
    reports = (await console.get(f"/events/{event['id']}/reports")).ok()

    shown = [(row[0], row[2], row[3].partition(" http")[0], row[4]) for row in rows_of(told, "Notifications")]
    assert shown == [("create", "webhook", "the house", "pending"), ("create", "MQTT", "topics of all", "pending")]
    assert rows_of(reports, "Reports")[0][:4] == ["usage", "the house", "USAGE", "1"]
    (link,) = reports.tree.xpath("//table//a/@href")
    assert "USAGE" in (await console.get(link.removeprefix("/console"))).ok().words


async def test_an_event_says_what_took_its_place_and_that_it_was_cancelled(console: ConsoleUnderTest) -> None:
    """TIME-036: the newer one of the same priority holds; the plan of a cancelled event stays readable (EVT-019)."""
    event, _ = await active_event(console.vtn)
    body = shedding(1, console.vtn.now(), eventName="later", programID=event["programID"])
    later = (await console.vtn.bl.post("/events", body)).ok(201)

    assert "Superseded by later for 8 VENs from" in (await console.get(f"/events/{event['id']}")).ok().words
    assert "It takes the place of evening peak for 8 VENs" in (await console.get(f"/events/{later['id']}")).ok().words

    period = {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}
    (await console.vtn.bl.put(f"/events/{later['id']}", body | {"intervalPeriod": period})).ok()
    words = (await console.get(f"/events/{later['id']}")).ok().words
    assert "later cancelled" in words
    assert "Its plan was not kept by whoever cancelled it." in words


@pytest.mark.parametrize("path", PAGES)
async def test_an_event_that_is_not_there_is_said_so(console: ConsoleUnderTest, path: str) -> None:
    """No traceback, whatever stands in the address."""
    for wild in ("nobody", "%00", "%1b%5b31m", "x" * 500, "..%2f..%2fetc", "%F0%9F%92%A9"):
        page = await console.get(f"/events/{wild}{path}")
        assert page.status in {400, 404}, page.text
        assert "Traceback" not in page.text


@pytest.mark.parametrize(
    ("path", "query", "problem"),
    [
        ("/participants", {"step": "x"}, "step: expected targeted, heard"),
        ("/participants", {"order": "x' OR 1=1"}, "order: expected name"),
        ("/participants", {"page": "-1"}, "page: expected a number from 1"),
        ("/participants", {"page": "9" * 40}, "page: expected a number from 1"),
        ("/told", {"page": "1.5"}, "page: expected a number"),
        ("/participants.csv", {"step": "all"}, "step: expected"),
    ],
)
async def test_a_wrong_parameter_is_named(
    console: ConsoleUnderTest, path: str, query: dict[str, str], problem: str
) -> None:
    """And what was expected."""
    event, _ = await active_event(console.vtn)

    assert problem in (await console._ask("GET", f"/events/{event['id']}{path}", query=query)).ok(400).words


async def test_wild_names_are_shown_and_never_act(console: ConsoleUnderTest) -> None:
    """O2: control characters and markup of VENs and events are text; wild searches break nothing."""
    event, fleet = await active_event(console.vtn, eventName=WILD[:128])
    async with fleet.database.write() as connection:
        await connection.execute(update(vens).where(vens.c.id == "ven-00000").values(name=WILD))
    for path in ("", "/participants", "/print", "/versions"):
        text = (await console.get(f"/events/{event['id']}{path}")).ok().text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<b>bold" not in text
        assert "\\x1b[31mred" in text
    for wild in ("%", "_", "\\", "'", '"', "\x00", "<script>", WILD, "a" * 1000):
        (await console.get(f"/events/{event['id']}/participants", search=wild)).ok()
        (await console.get(f"/events/{event['id']}/circuits", client=wild, panel=wild)).ok()
        (await console.get("/events", search=wild, program=wild)).ok()


async def test_everybody_who_is_signed_in_may_look_and_nobody_else(console: ConsoleUnderTest) -> None:
    """Viewers see all pages of events; a stranger is asked to sign in."""
    event, _ = await active_event(console.vtn)
    viewer, stranger = await console.as_role("viewer"), console.stranger()
    for path in (*PAGES, "/participants.csv"):
        (await viewer.get(f"/events/{event['id']}{path}")).ok()
        assert (await stranger.get(f"/events/{event['id']}{path}")).ok(303).leads_to.startswith("/console/login")


async def test_pages_ask_the_database_as_often_for_many_as_for_few(console: ConsoleUnderTest) -> None:
    """No statement for each participant or event."""
    asked: dict[str, list[int]] = {}
    for many in (8, 60):
        await console.vtn.wipe()
        visitor = await console.as_role("viewer")
        event, _ = await active_event(console.vtn, many)
        for path in ("/", "/events", "/events/lanes", *(f"/events/ID{each}" for each in PAGES)):
            with Statements(console.vtn) as statements:
                (await visitor.get(path.replace("ID", event["id"]))).ok()
            asked.setdefault(path, []).append(len(statements.sent))

    more: dict[str, Any] = {path: counts for path, counts in asked.items() if counts[1] > counts[0]}
    assert not more
    assert max(max(counts) for counts in asked.values()) <= 14


async def test_reports_of_a_home_and_of_panels_are_told_alike(console: ConsoleUnderTest, fleet: ReportingFleet) -> None:
    """From the reports that VENs and bridges really send, once they were read: opts, powers, circuits, curve."""
    start = console.vtn.now()
    event = await fleet.event(await fleet.program(), **shedding(1, start) | {"targets": []})
    home, bridge = await fleet.ven("home"), await fleet.ven("bridge")
    console.vtn.now.pass_(minutes=15)
    await fleet.report(home.client_id, opts_of(event, start, [opt_in(), opt_out("garage", "switched by hand")]))
    await fleet.report(bridge.client_id, opts_of(event, start, [opt_in("p1"), opt_out("p2", "offline")]))
    sheds = [shed("AGGREGATED_REPORT", 2.5), shed("boiler", 2.5), shed("garage", 0)]
    await fleet.report(home.client_id, status_of(event, start, sheds))
    await fleet.report(bridge.client_id, status_of(event, start, [shed("p1", 1.5), shed("p1/c1", 1.5)]))
    await fleet.read()

    rows = rows_of((await console.get(f"/events/{event.id}/participants")).ok(), "Participants")

    assert [row[:3] + row[5:7] for row in rows] == [
        ["p1 behind bridge", "in", "it delivers", "1.50 kW", "0.38 kWh"],
        ["p2 behind bridge", "out", "opted out: offline", "no data", "no data"],
        ["home", "in", "it delivers", "2.50 kW", "0.63 kWh"],
    ]
    shown = (await console.get(f"/events/{event.id}/circuits", client=bridge.client_id, panel="p1")).ok()
    circuits = rows_of(shown, "from the status report")
    assert [row[0] for row in circuits] == ["c1"]
    assert "“during” was until" not in shown.words
    words = (await console.get(f"/events/{event.id}")).ok().words
    assert "Delivered 4.00 kW" in words
    assert "1.00 kWh so far" in words
    assert f"as they report it, as of {console.vtn.now():%Y-%m-%d %H:%M:%S} UTC" in words
    reports = rows_of((await console.get(f"/events/{event.id}/reports")).ok(), "Reports")
    assert sorted(row[0].partition("-")[0] for row in reports) == ["opt", "opt", "status", "status"]

    sheds, length = [shed("p1", 1.5), shed("p1/c1", 1.5)], timedelta(minutes=10)
    await fleet.report(bridge.client_id, status_of(event, start, sheds, length=length))
    await fleet.read()
    ended = (await console.get(f"/events/{event.id}/circuits", client=bridge.client_id, panel="p1")).ok()
    assert "“during” was until" in ended.words


async def test_events_of_every_form_are_shown(console: ConsoleUnderTest) -> None:
    """Endless, empty, before the calendar began and at its end, with values that no number holds, with many targets."""
    program = await console.vtn.bl.program()
    start, payload = {"start": "2026-06-01T18:00:00Z", "duration": "PT1H"}, {"type": "SIMPLE", "values": [1]}
    forms: list[dict[str, Any]] = [
        {"duration": "P9999Y", "intervalPeriod": start, "intervals": [{"id": 0, "payloads": [payload]}]},
        {},
        {"intervalPeriod": start | {"start": "0001-01-02T00:00:00Z"}, "intervals": [{"id": 0, "payloads": []}]},
        {
            "intervalPeriod": start | {"start": "9999-12-31T23:00:00Z"},
            "intervals": [{"id": 0, "payloads": [{"type": "X", "values": ["y" * 900, True, 1e300, 10**40]}]}],
        },
        {"targets": [f"target-{number}" for number in range(500)]},
    ]
    for form in forms:
        event = await console.vtn.bl.event(program, **form)
        (await console.vtn.bl.put(f"/events/{event['id']}", {"programID": program["id"], "eventName": "x"})).ok()
        for path in ("", "/versions", "/print"):
            (await console.get(f"/events/{event['id']}{path}")).ok()
    for path in ("/", "/events", "/events/lanes"):
        (await console.get(path)).ok()
