"""The main job as people do it: add a home, ask it for less, watch it, understand it, end it."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Watched, serious_faults
from tests.browser.site import USER, Site

pytestmark = pytest.mark.xdist_group("browser")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A VTN that runs, with a user and nothing else."""
    made = Site(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def sign_in(page: Page, site: Site) -> None:
    """Sign in at the console."""
    await page.goto(site.console)
    await page.get_by_label("Name").fill(USER)
    await page.get_by_label("Password").fill(site.password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Now")).to_be_visible()


async def add_home(page: Page, site: Site, name: str) -> str:
    """Add a home on the page for it, and start it with its join line; return the address of its page."""
    await page.goto(f"{site.console}/fleet/add")
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Groups, one on each line").fill("group:north")
    await page.get_by_role("button", name="Add it").click()
    line = await page.get_by_label("Join line", exact=True).inner_text()
    await expect(page.locator("#arrival")).to_contain_text("Waiting for its first contact")
    home = await site.join(name, line.strip())
    await expect(page.locator("#arrival")).to_contain_text(f"{name} is here")
    await page.get_by_role("link", name=f"To the page of {name}").click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await expect(page.locator("body")).not_to_contain_text(line.strip())  # it was shown once
    return home


async def issue_event(page: Page, site: Site) -> None:
    """Ask the group for 2 kW for an hour, after a look at who will get it; end on the page of the event."""
    await page.goto(f"{site.console}/events/new")
    await page.get_by_label("How much", exact=True).fill("2kW")
    await page.get_by_label("Program", exact=True).fill("evening peak")
    await page.get_by_label("Name for people").fill("tonight")
    await page.get_by_label("Start", exact=True).fill("now")
    await page.get_by_label("How long", exact=True).fill("1h")
    await page.get_by_label("Those named here").check()
    await page.get_by_label("group:north").check()
    await page.get_by_role("button", name="4 Check").click()
    check = page.locator("#check")
    await expect(check).to_contain_text("of 1 in all")
    await expect(check.get_by_role("row", name="home-1")).to_contain_text("yes")
    await check.get_by_role("button", name="Publish to 1 VEN").click()
    await expect(check).to_contain_text("the program evening peak does not exist yet")
    await check.get_by_role("button", name="Yes, publish to 1 VEN").click()
    await expect(page.get_by_role("heading", name="tonight")).to_be_visible()


async def test_an_operator_and_an_owner_go_through_an_event(site: Site, watched: Watched, page: Page) -> None:
    """Sign in, add a VEN, issue, watch, open circuits, see an opt-out and its reason, end it, take the figures home."""
    await sign_in(page, site)
    await expect(page.locator("main")).to_contain_text("Add a VEN")
    home = await add_home(page, site, "home-1")
    await issue_event(page, site)
    event = page.url

    await expect(
        page.get_by_role("row", name="home-1").get_by_role("cell", name="it delivers", exact=True)
    ).to_be_visible()
    assert await serious_faults(page) == []
    await page.get_by_role("link", name="home-1").first.click()
    await expect(page.get_by_role("row", name=re.compile("^ev "))).to_contain_text("running curtailed")
    await expect(page.get_by_role("row", name="heat-pump")).to_contain_text("critical: never switched")

    owner = await page.context.new_page()
    watched.follow(owner)
    await owner.goto(home)
    await expect(owner.locator("main")).to_contain_text("2.00 kW")
    assert await serious_faults(owner) == []
    await owner.get_by_role("button", name="Opt out…", exact=True).click()
    form = owner.locator("details[open]")
    await form.get_by_label("Why").fill("guests tonight")
    await form.get_by_role("button", name="Opt out", exact=True).click()
    await expect(owner.locator("main")).to_contain_text("guests tonight")

    await page.goto(event)
    await expect(page.locator("main")).to_contain_text("guests tonight")

    await page.get_by_role("button", name="Change, extend, end or cancel").click()
    await page.get_by_text("End now", exact=True).click()
    await page.get_by_role("button", name="Yes, end it now").click()
    await expect(page.locator("main")).to_contain_text("completed")
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Participants as CSV").click()
    file = await (await waiting.value).path()
    with file.open(newline="") as text:
        (row,) = csv.DictReader(text)
    assert "home-1" in row.values()
