"""The page of a VEN: what an owner sees and does in a browser, with a real agent and real sockets; who is kept out."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lxml import html
from pydantic import ValidationError

from bench.support.net import free_port
from openadr_profiles.v31 import Event
from tests.support.waiting import wait_until
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import CIRCUITS, Home, Relay, Town
from ven.settings import LocalSettings

PIN = "493817"
NASTY = "<script>alert(1)</script>\x1b[31m\u202e"


@dataclass
class Browser:
    """A browser at one home: it keeps cookies, sends forms of the pages it has seen, and follows nothing by itself."""

    base: str
    session: aiohttp.ClientSession
    status: int = 0
    text: str = ""
    location: str | None = None
    page: Any = None

    async def get(self, path: str = "/", **headers: str) -> Any:
        """Return a page, parsed."""
        return await self._ask("GET", path, headers=headers)

    async def send(
        self, path: str, *, csrf: str | None = None, headers: dict[str, str] | None = None, **fields: Any
    ) -> Any:
        """Send a form as the page at hand would; return the answer, parsed."""
        if csrf is None:
            (csrf, *_) = self.page.xpath("//input[@name='csrf']/@value")
        return await self._ask("POST", path, headers=headers or {}, data={"csrf": csrf, **fields})

    async def _ask(self, method: str, path: str, **request: Any) -> Any:
        async with self.session.request(method, self.base + path, allow_redirects=False, **request) as answer:
            self.status, self.text = answer.status, await answer.text()
            self.location, self.headers = answer.headers.get("Location"), answer.headers
        self.page = html.fromstring(self.text) if self.text.strip() and "html" in answer.content_type else None
        return self.page

    def words(self, path: str = "//main") -> str:
        """Return the text of a part of the page, blanks as one."""
        return " ".join(" ".join(each.text_content() for each in self.page.xpath(path)).split())


@asynccontextmanager
async def browser_at(home: Home) -> AsyncIterator[Browser]:
    base = f"http://127.0.0.1:{home.settings.local.port}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        browser = Browser(base, session)

        async def answers() -> bool:
            try:
                await browser.get("/page/login")
            except aiohttp.ClientConnectionError:
                return False
            return True

        await wait_until(answers)
        yield browser


async def a_home(start_home: StartHome, **members: Any) -> Home:
    local = {"port": free_port(), **members.pop("local", {})}
    return await start_home(local=local, **{"poll_s": 60, "sample_s": 60} | members)


async def under_way(town: Town, home: Home, name: str = "e1") -> Event:
    event = await town.issue(shed_event(-3, id_=name))
    await home.until(START + timedelta(minutes=2))
    return event


async def test_an_owner_sees_what_happens_and_why_in_one_sentence(town: Town, start_home: StartHome) -> None:
    """Each number with its unit; names from outside are shown, never carried out."""
    home = await a_home(start_home, opt={"timezone": "Europe/Berlin"})
    async with browser_at(home) as browser:
        await browser.get()
        assert "Nothing is asked of this home, and no event is known; it draws 5.20 kW." in browser.words()
        assert "No event is known" in browser.words("//*[@id='events']")
        await under_way(town, home, NASTY)
        await browser.get()
        assert (
            "asks for 3.00 kW less until 14:00: EV charger is limited, and this home draws 2.20 kW, 3.00 kW less than "
            "before."
        ) in browser.words("//*[@id='status']")
        circuits = browser.words("//*[@id='circuits']")
        assert "EV charger 0.00 kW off Gives 3.00 kW of the 3.00 kW before." in circuits
        assert "heater 2.00 kW other circuits give enough" in circuits
        assert "fridge 0.20 kW critical It is never limited" in circuits
        assert "<script>alert" not in browser.text
        assert "\x1b" not in browser.text
        assert "\u202e" not in browser.text

        async def nothing_is_wrong() -> bool:  # once what was just changed is on disk
            await browser.get()
            return "Nothing is wrong" in browser.words("//*[@id='messages']")

        await wait_until(nothing_is_wrong)


async def test_without_javascript_an_owner_opts_out_and_in_again(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    event = await under_way(town, home)
    async with browser_at(home) as browser:
        await browser.get()
        await browser.send("/page/opt", scope=f"event:{event.id}", opt="out", reason="guests", until="2026-01-01T12:30")
        assert (browser.status, browser.location) == (303, "../?said=out")
        await home.quiet()
        assert home.relay.in_force == {}
        (opt,) = await town.opts(event)
        assert (opt.opted_in, opt.reason) == (False, "guests")
        await browser.get("/?said=out")
        assert "Not taking part" in browser.words()
        assert "this home takes no part: guests" in browser.words()
        assert "Said by hand, until 2026-01-01 12:30 UTC" in browser.words()
        await browser.send("/page/opt", scope=f"event:{event.id}", opt="in")
        assert browser.status == 303
        await home.quiet()
        assert home.relay.in_force == {"ev": 0}
        await browser.get()
        await browser.send("/page/opt", scope=f"event:{event.id}", opt="withdraw")
        await browser.get("/page/history")
        rows = [[cell.text_content().strip() for cell in row] for row in browser.page.xpath("//tbody/tr")]
        assert [row[1] for row in rows] == ["in", "in", "out", "in"]
        assert rows[2][2] == "guests"


async def test_all_circuits_return_and_one_that_was_taken_is_given_back(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    await under_way(town, home)
    async with browser_at(home) as browser:
        await home.pass_(minutes=2)
        home.relay.by_hand("ev", is_on=True)
        await home.pass_(minutes=2)
        await browser.get()
        assert "owner's hand switched on by hand during the event" in browser.words("//*[@id='circuits']")
        await browser.send("/page/give-back", circuit="ev")
        assert (browser.status, browser.location) == (303, "../?said=given-back")
        await home.quiet()
        assert home.relay.in_force["ev"] == 0
        await browser.get()
        await browser.send("/page/restore")
        await home.quiet()
        assert home.relay.in_force == {}
        await browser.get()
        assert "this home takes no part: restored by hand" in browser.words()


async def test_power_is_a_curve_and_a_file_and_gaps_are_no_data(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    event = await under_way(town, home)
    home.relay.broken = {"heater"}
    await home.pass_(minutes=10)
    async with browser_at(home) as browser:
        await browser.get("/page/power.json?span=1h")
        told = json.loads(browser.text)
        drawn, wanted = (dict(zip(told["times"], each["values"], strict=True)) for each in told["series"])
        at = int(START.timestamp())
        assert [drawn[at - 60], drawn[at + 60], drawn[at + 8 * 60]] == [5.2, 2.2, None]
        assert [wanted[at - 60], wanted[at + 60]] == [None, 2.2]
        assert [each["unit"] for each in told["series"]] == ["kW", "kW"]
        assert told["shades"] == [{"from": at, "to": at + 12 * 60, "label": event.event_name}]
        await browser.get("/page/power.csv?span=24h")
        rows = {row["time"]: row for row in csv.DictReader(browser.text.splitlines())}
        assert rows["2026-01-01T12:01:00.000Z"] == {
            "time": "2026-01-01T12:01:00.000Z", "drawn_kw": "2.200", "may_be_drawn_kw": "2.200",
        }  # fmt: skip
        assert rows["2026-01-01T12:08:00.000Z"]["drawn_kw"] == ""
        await browser.get()
        assert "this home draws an unknown power" in browser.words("//*[@id='status']")
        assert "no data" in browser.words("//*[@id='status']")
        assert "heater no data" in browser.words("//*[@id='circuits']")
        await browser.get("/page/power.csv?span=9d")
        assert (browser.status, "span: '9d' is none of 1h, 24h, 7d" in browser.words()) == (400, True)


async def test_messages_tell_what_is_wrong_and_what_an_alert_says(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    await town.issue(shed_event("Keep off the roads", id_="Storm", type_="ALERT_OTHER", units=None))  # type: ignore[arg-type] # an alert is a text
    await home.until(START + timedelta(minutes=2))
    home.relay.broken = {"ev"}
    await town.issue(shed_event(-3, id_="peak"))
    await home.pass_(minutes=2)
    async with browser_at(home) as browser:
        await browser.get()
        messages = browser.words("//*[@id='messages']")
        assert "alert Storm: Keep off the roads" in messages
        await town.close_vtn()
        await home.pass_(minutes=3)
        await browser.get()
        assert "problem vtn:" in browser.words("//*[@id='messages']")


async def test_what_an_event_would_do_is_tried_out_and_nothing_is_switched(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    await home.pass_(minutes=5)
    async with browser_at(home) as browser:
        await browser.get("/page/simulate?kind=shed&value=3.5&start=2026-01-01T20:00&minutes=30")
        cells = [[cell.text_content() for cell in row] for row in browser.page.xpath("//tbody/tr")]
        assert cells == [
            ["heater", "2.00 kW", "0.50 kW", "1.50 kW", "2026-01-01 20:00 UTC", "2026-01-01 20:30 UTC"],
            ["EV charger", "3.00 kW", "3.00 kW", "0.00 kW", "2026-01-01 20:00 UTC", "2026-01-01 20:30 UTC"],
        ]
        await browser.get("/page/simulate?kind=simple&value=9&minutes=30")
        assert (browser.status, "value: '9' is not a number from 0 to 3" in browser.words()) == (422, True)
        await browser.get("/page/simulate?kind=limit&value=1&minutes=30&start=soon")
        assert "start: 'soon' is no time: expected one such as 2026-01-31T18:00" in browser.words()
        await browser.get("/page/simulate?kind=limit&value=1e9&minutes=30")
        assert browser.status == 422
    assert home.relay.diary == []


async def test_open_pages_are_told_by_topic_and_fetch_one_block(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    async with browser_at(home) as browser:
        async with browser.session.get(browser.base + "/page/changes") as stream:
            assert stream.content_type == "text/event-stream"
            await stream.content.readline()
            await browser.get()
            await browser.send("/page/opt", scope="all", opt="out", reason="holiday")
            async with asyncio.timeout(30):
                async for line in stream.content:
                    if line.startswith(b"data: ") and b"events" in line:
                        break
        await browser.get("/", **{"HX-Request": "true", "HX-Target": "status"})
        assert browser.page.get("id") == "status"
        assert "This home takes no part in any event: holiday." in browser.text
        assert len(browser.text) < 3000


async def test_however_many_events_and_circuits_there_are_a_page_is_bounded(town: Town, start_home: StartHome) -> None:
    circuits = (*CIRCUITS, *(a_circuit(f"c{n}", name="long name " * 10, shed_share=Decimal(1)) for n in range(61)))
    wants = {each.id: Decimal(1) for each in circuits}
    home = await a_home(start_home, circuits=circuits, relay=Relay(wants))
    program = await town.program()
    for number in range(60):
        await town.issue(shed_event(-1, id_=f"event {number:03}", start=START + timedelta(hours=number)), program)
    await home.pass_(minutes=2)
    async with browser_at(home) as browser:
        await browser.get()
        assert "All 60 events" in browser.words()
        assert len(browser.page.xpath("//li[contains(@class,'circuit')]")) == 64
        assert len(browser.text) < 150_000
        await browser.get("/page/events")
        assert len(browser.page.xpath("//article")) == 50
        (later,) = browser.page.xpath("//a[@rel='next']/@href")
        await browser.get(f"/page/events{later}")
        assert len(browser.page.xpath("//article")) == 10
        await browser.get("/page/events?skip=-1")
        assert (browser.status, "skip: '-1' is no whole number" in browser.words()) == (400, True)


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"Host": "evil.example"}, 421, "expected an address of this machine"),
        ({"Origin": "https://evil.example"}, 403, "page of another site"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "page of another site"),
        ({"Origin": "null"}, 403, "page of another site"),
    ],
)
async def test_other_sites_neither_read_the_page_nor_send_its_forms(
    town: Town, start_home: StartHome, headers: dict[str, str], status: int, message: str
) -> None:
    """DNS rebinding and forged requests: whoever is kept out learns nothing of this home, nor a token for forms."""
    home = await a_home(start_home)
    async with browser_at(home) as browser:
        await browser.get()
        (csrf, *_) = browser.page.xpath("//input[@name='csrf']/@value")
        await browser.get("/", **headers)
        assert (browser.status, message in browser.text) == (status, True)
        assert "home-1" not in browser.text
        assert "csrf" not in browser.text
        await browser.send("/page/opt", csrf=csrf, headers=headers, scope="all", opt="out")
        assert browser.status == status
        await browser.get()
        assert "takes no part" not in browser.words()


async def test_forms_that_are_not_ours_or_not_right_change_nothing(town: Town, start_home: StartHome) -> None:
    home = await a_home(start_home)
    event = await under_way(town, home)
    async with browser_at(home) as browser:
        await browser.get()
        await browser.send("/page/opt", csrf="forged", scope="all", opt="out")
        assert (browser.status, "not from this page" in browser.words()) == (403, True)
        await browser.get()
        for fields, problem in (
            ({"scope": "all", "opt": "maybe"}, "opt: expected in, out or withdraw"),
            ({"scope": "house", "opt": "in"}, "is no scope"),
            ({"scope": "event:x", "opt": "in"}, "there is no event 'x'"),
            ({"scope": "all", "opt": "out", "until": "soon"}, "until: 'soon' is no time"),
            ({"scope": "all", "opt": "out", "until": "2000-01-01T00:00"}, "expected a moment that is still to come"),
            ({"scope": "all", "opt": "out", "reason": "x" * 300}, "the reason has 300 characters"),
            ({"scope": "all", "opt": "out", "how": "now"}, "how: there is no such field"),
            ({"scope": "all", "opt": "withdraw"}, "nothing was said about all"),
        ):
            await browser.send("/page/opt", csrf=None, headers=None, **fields)
            assert (browser.status, problem in browser.words()) == (422, True), problem
        typed = {"scope": f"event:{event.id}", "opt": "out", "reason": "guests", "until": "2000-01-01T00:00"}
        await browser.send("/page/opt", csrf=None, headers=None, **typed)
        (form,) = browser.page.xpath(f"//details[@id='out-{event.id}'][@open]")
        assert form.xpath(".//input[@name='reason']/@value") == ["guests"]  # what was typed is still there
        await browser.send("/page/give-back", circuit="nobody")
        assert "circuit: 'nobody' is not one that its owner has taken over" in browser.words()
        async with browser.session.post(browser.base + "/page/opt", json={"scope": "all", "opt": "out"}) as answer:
            assert answer.status == 415
        await browser.send("/page/opt", scope="all", opt="out", reason="x" * 20_000)
        assert browser.status == 413
        await browser.get()
    assert home.relay.in_force == {"ev": 0}
    assert [each.opted_in for each in await town.opts(event)] == [True]


async def test_beyond_loopback_a_browser_signs_in_by_pin_or_token(
    town: Town, start_home: StartHome, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    local = {"host": "0.0.0.0", "token_file": file, "pin": PIN}
    home = await a_home(start_home, local=local)
    async with browser_at(home) as browser:
        await browser.get()
        assert (browser.status, browser.location) == (303, "./page/login")
        await browser.get("/page/power.csv")
        assert (browser.status, browser.location) == (303, "../page/login")
        await browser.get("/status")
        assert browser.status == 401
        page = await browser.get("/page/login")
        assert "home-1" not in browser.text
        assert page.xpath("//input[@name='secret']/@type") == ["password"]
        await browser.send("/page/login", secret=PIN)
        assert (browser.status, browser.location) == (303, "../")
        cookie = browser.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
        assert "Secure" not in cookie
        assert PIN not in cookie
        assert file.read_text().strip() not in cookie
        await browser.get()
        assert "Nothing is asked of this home" in browser.words()
        await home.kill()
        await home.start()  # a tablet on a wall stays signed in when the VEN is started again

        async def is_back() -> bool:
            try:
                await browser.get()
            except aiohttp.ClientConnectionError:
                return False
            return browser.status == 200

        await wait_until(is_back)
        await browser.send("/page/logout")
        await browser.get()
        assert browser.status == 303
        await browser.get("/page/login")
        behind_tls = {"Origin": browser.base.replace("http:", "https:")}
        await browser.send("/page/login", headers=behind_tls, secret=PIN)
        assert "Secure" in browser.headers["Set-Cookie"]
        await browser.get("/page/login")
        await browser.send("/page/login", secret=file.read_text().strip())
        assert browser.status == 303
        browser.session.cookie_jar.clear()
        await browser.get("/", Cookie=cookie.partition(";")[0][:-1] + "x")
        assert browser.status == 303
        await home._clock.advance_to(home._clock.now() + timedelta(days=31))
        await browser.get("/", Cookie=cookie.partition(";")[0])
        assert browser.status == 303


async def test_pins_cannot_be_guessed_and_the_token_is_taken_all_the_same(
    town: Town, start_home: StartHome, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    home = await a_home(start_home, local={"host": "0.0.0.0", "token_file": file, "pin": PIN})
    async with browser_at(home) as browser:
        await browser.get("/page/login")
        for wrong in range(5):
            await browser.send("/page/login", secret=f"00000{wrong}")
            assert (browser.status, "neither the token nor the PIN" in browser.words()) == (401, True)
        await browser.send("/page/login", secret=PIN)
        assert (browser.status, browser.headers["Retry-After"]) == (429, "61")
        await home._clock.advance_to(home._clock.now() + timedelta(seconds=61))
        await browser.send("/page/login", secret="000009")
        assert browser.status == 401
        await browser.send("/page/login", secret=PIN)
        assert browser.status == 429
        await browser.send("/page/login", secret=file.read_text().strip())
        assert browser.status == 303
        browser.session.cookie_jar.clear()
        await browser.get("/page/login")
        await home._clock.advance_to(home._clock.now() + timedelta(seconds=121))
        await browser.send("/page/login", secret=PIN)
        assert browser.status == 303


@pytest.mark.parametrize("pin", ["12345", "12345a", "1" * 33, "１２３４５６"])
def test_a_pin_has_six_digits_at_least(pin: str) -> None:
    with pytest.raises(ValidationError, match="expected 6 to 32 digits") as caught:
        LocalSettings.model_validate({"pin": pin})
    assert pin not in str(caught.value.errors(include_input=False))


async def test_files_and_pages_have_the_headers_that_keep_browsers_careful(start_home: StartHome) -> None:
    home = await a_home(start_home)
    async with browser_at(home) as browser:
        await browser.get()
        assert browser.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert browser.headers["Cache-Control"] == "no-store"
        assert "style=" not in browser.text
        assert not browser.page.xpath("//script[not(@src)]")
        for address in browser.page.xpath("//link/@href | //script/@src"):
            await browser.get("/" + address.removeprefix("./"))
            assert (browser.status, "immutable" in browser.headers["Cache-Control"]) == (200, True)
        await browser.get("/page/static/nothing.js")
        assert browser.status == 404
        await browser.get("/page/nothing")
        assert (browser.status, "To the first page" in browser.words()) == (404, True)
