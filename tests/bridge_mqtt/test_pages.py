"""The pages of the bridge: what people see of panels, with a real broker and simulated panels; who is kept out."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from lxml import html

from bridge_mqtt.api.browser_sessions import BrowserSessions
from bridge_mqtt.page.words import in_words
from bridge_mqtt.service import Bridge
from bridge_mqtt.store import Store, events
from tests.bridge_mqtt.conftest import World, an_event
from tests.bridge_mqtt.test_api_reading import shedding
from tests.bridge_mqtt.test_api_tokens import KEY, token

TOKEN = "a token of twenty-four letters"


class Browser:
    """A browser at a bridge, which keeps cookies and follows nothing by itself."""

    def __init__(self, bridge: Bridge, session: aiohttp.ClientSession) -> None:
        self._bridge = bridge
        self.session = session
        self.status = 0
        self.text = ""
        self.page: Any = None
        self.headers: Any = {}

    async def get(self, path: str, **headers: str) -> Any:
        """Return a page, parsed."""
        return await self._ask("GET", path, headers=headers)

    async def send(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
        """Send a form."""
        return await self._ask("POST", path, data=fields, headers=headers or {})

    async def _ask(self, method: str, path: str, **request: Any) -> Any:
        url = self._bridge.api_url + path
        async with self.session.request(method, url, allow_redirects=False, **request) as answer:
            self.status, self.text, self.headers = answer.status, await answer.text(), answer.headers
        self.page = html.fromstring(self.text) if answer.content_type == "text/html" and self.text else None
        return self.page

    def words(self, path: str = "//main") -> str:
        """Return the text of a part of the page, blanks as one."""
        return " ".join(" ".join(each.text_content() for each in self.page.xpath(path)).split())


@asynccontextmanager
async def browser_at(bridge: Bridge) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(bridge, session)


async def test_a_panel_is_shown_with_what_it_holds_circuit_by_circuit(sqlite_world: World) -> None:
    world = sqlite_world
    await shedding(world)
    await world.until("/api/vens/panel-1/events", lambda answers: answers and answers[0]["circuitsCurtailed"])
    bridge, _ = world._running[-1]
    async with browser_at(bridge) as browser:
        await browser.get("/")
        assert browser.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "Online 1 of 1" in browser.words()
        assert "evt-1 is under way until" in browser.words()
        (row,) = [[cell.text_content().strip() for cell in row] for row in browser.page.xpath("//tbody/tr")]
        assert row[:2] == ["panel-1", "online"]
        assert row[4].split() == ["3.00", "kW", "held"]
        (link,) = browser.page.xpath("//tbody//a/@href")
        await browser.get("/" + link.removeprefix("./"))
        assert "It has said yes to 3.00 kW less until" in browser.words("//*[@id='state']")
        told = (await world.get("/api/vens/panel-1/events"))[0]["circuitsCurtailed"]
        shown = [[cell.text_content() for cell in row] for row in browser.page.xpath("//details[1]//tbody/tr")]
        assert [each[1:4] for each in shown] == [
            [f"{circuit[name]:,.2f} kW" for name in ("original_kw", "curtailed_kw", "final_kw")] for circuit in told
        ]
        assert "for event evt-1" in browser.words("//summary")
        assert "shedPanel" in browser.words("//section[h2[@id='acks-title']]")
        await browser.get("/page/panels/panel-1/power.json?span=24h")
        chart = json.loads(browser.text)
        assert len(chart["times"]) == len(chart["series"][0]["values"]) >= 288
        assert [kw for kw in chart["series"][0]["values"] if kw is not None]
        await browser.get("/page/panels/panel-1/power.csv")
        rows = list(csv.DictReader(browser.text.splitlines()))
        assert rows[-1]["event_id"] in {"evt-1", ""}
        assert float(rows[-1]["drawn_kw"]) >= 0
        await browser.get("/page/panels/panel-1?before=1")
        assert "There is nothing older." in browser.words()
        await browser.get("/page/panels/panel-1", **{"HX-Request": "true", "HX-Target": "state"})
        assert browser.page.get("id") == "state"


async def test_lists_are_searched_and_paged_and_names_are_shown_not_carried_out(sqlite_world: World) -> None:
    world = sqlite_world
    nasty = "<script>alert(1)</script>"
    panels = [{"id": f"panel-{number:03}", "groups": []} for number in range(60)] + [{"id": "p-x", "name": nasty}]
    bridge = await world.start(panels=panels)
    async with browser_at(bridge) as browser:
        await browser.get("/")
        assert len(browser.page.xpath("//tbody/tr")) == 50
        (later,) = browser.page.xpath("//a[@rel='next']/@href")
        await browser.get(f"/{later}")
        assert len(browser.page.xpath("//tbody/tr")) == 11
        assert nasty not in browser.text
        await browser.get("/?search=PANEL-05")
        assert [each.text_content() for each in browser.page.xpath("//tbody//a")] == [
            f"panel-05{number}" for number in range(10)
        ]
        await browser.get("/?search=nobody")
        assert "No panel has nobody in its name or id." in browser.words()
        await browser.get("/page/panels/p-x")
        assert "It was never heard, so nothing is known of it now." in browser.words()
        assert "no data" in browser.words("//*[@id='state']")
        assert "It was not asked for anything yet" in browser.words()
        for path, status, problem in (
            ("/page/panels/nobody", 404, "there is no panel 'nobody'"),
            ("/page/panels/p-x?span=9d", 400, "span: '9d' is none of 24h, 7d"),
            ("/page/panels/p-x?before=x", 400, "before: 'x' is not a number"),
            ("/page/panels/nobody/power.csv", 404, "there is no panel"),
        ):
            await browser.get(path)
            assert (browser.status, problem in browser.words()) == (status, True), path


@pytest.mark.parametrize(
    "api", [{"token": TOKEN}, {"vtn_tokens": {"signing_keys": [KEY]}}], ids=["own token", "token of the VTN"]
)
async def test_a_browser_signs_in_with_a_token_and_may_read_only(sqlite_world: World, api: dict[str, Any]) -> None:
    shown = TOKEN if "token" in api else token()
    bridge = await sqlite_world.start(api={"port": 0} | api, panels=[{"id": "panel-1"}])
    async with browser_at(bridge) as browser:
        await browser.get("/")
        assert (browser.status, browser.headers["Location"]) == (303, "./page/login")
        await browser.get("/page/panels/panel-1/power.csv")
        assert (browser.status, browser.headers["Location"]) == (303, "../../../page/login")
        await browser.get("/page/login")
        assert "panel-1" not in browser.text
        await browser.send("/page/login", secret="wrong")
        assert (browser.status, "no token with which one may read" in browser.words()) == (401, True)
        await browser.send("/page/login", {"Origin": "https://evil.example"}, secret=shown)
        assert browser.status == 403
        await browser.send("/page/login", secret=shown)
        assert (browser.status, browser.headers["Location"]) == (303, "../")
        cookie = browser.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict"))
        assert shown not in cookie
        await browser.get("/")
        assert "panel-1" in browser.words()
        await browser.get("/api/vens")
        assert browser.status == 200
        async with browser.session.post(f"{bridge.api_url}/api/events", json={}) as answer:
            assert answer.status in {401, 403}  # a cookie does not write
        await browser.send("/page/logout")
        await browser.get("/")
        assert browser.status == 303


async def test_tokens_cannot_be_guessed_for_long(sqlite_world: World) -> None:
    bridge = await sqlite_world.start(api={"port": 0, "token": TOKEN}, panels=[{"id": "panel-1"}])
    async with browser_at(bridge) as browser:
        for _ in range(10):
            await browser.send("/page/login", secret="wrong")
            assert browser.status == 401
        await browser.send("/page/login", secret="wrong again")
        assert (browser.status, browser.headers["Retry-After"]) == (429, "60")
        await browser.send("/page/login", secret=TOKEN)  # whoever has it is not locked out by others
        assert browser.status == 303


async def test_without_a_token_no_other_site_sees_the_pages(sqlite_world: World) -> None:
    """DNS rebinding: the name in the request is none of this machine."""
    bridge = await sqlite_world.start(panels=[{"id": "panel-1"}])
    async with browser_at(bridge) as browser:
        for headers, status in (({"Host": "evil.example"}, 421), ({"Sec-Fetch-Site": "cross-site"}, 403)):
            await browser.get("/", **headers)
            assert (browser.status, "panel-1" in browser.text) == (status, False)


def test_sessions_end_in_time_and_the_oldest_makes_room() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    sessions = BrowserSessions(lambda: now)
    first = sessions.begin("one")
    for number in range(256):
        last = sessions.begin(str(number))
    asked = aiohttp_request(first), aiohttp_request(last)
    assert [sessions.token_of(each) for each in asked] == [None, "255"]
    now += timedelta(hours=12)
    assert sessions.token_of(asked[1]) is None


def aiohttp_request(cookie: str) -> Any:
    from aiohttp.test_utils import make_mocked_request

    return make_mocked_request("GET", "/", headers={"Cookie": f"oadr_bridge={cookie}"})


_PANEL: dict[str, Any] = {"usedPowerKw": 2.0, "enabled": True, "online": True, "holds": None, "lastSeenAt": None}
_HELD: dict[str, Any] = {"requestedKw": 3.0, "until": datetime(2026, 1, 1, 12, tzinfo=UTC), "state": "held"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Nothing is asked of it now; it draws 2.00 kW."),
        ({"usedPowerKw": None}, "Nothing is asked of it now, and it has not measured anything yet."),
        ({"holds": _HELD}, "It has said yes to 3.00 kW less until 2026-01-01 12:00 UTC, and draws 2.00 kW."),
        (
            {"holds": _HELD | {"state": "unreachable", "until": None}},
            "was asked for 3.00 kW less and does not answer at all, and draws",
        ),
        ({"enabled": False}, "This panel is disabled: it gets no commands. It draws 2.00 kW."),
        ({"online": False, "holds": _HELD}, "it was asked for 3.00 kW less, and may not give it."),
    ],
)
def test_one_sentence_says_what_a_panel_does(changes: dict[str, Any], words: str) -> None:
    assert words in in_words(_PANEL | changes)[0]


async def test_names_of_events_are_read_from_their_beginning(sqlite_world: World) -> None:
    """An event may have many megabytes of intervals; a name may hold whatever JSON can."""
    store = await Store.open(sqlite_world.database_url)
    names = {"e1": 'a "quoted" \\ name – „ü“', "e2": "x" * 5_000, "e3": None}
    async with store.transaction() as connection:
        for event_id, name in names.items():
            given = an_event(event_id)
            members = {each: getattr(given, each) for each in given.__struct_fields__}
            await events.save(connection, type(given)(**members | {"event_name": name}), datetime.now(UTC))
    async with store.showing() as connection:
        assert await events.names(connection, names.keys()) == {"e1": names["e1"]}
    await store.close()
