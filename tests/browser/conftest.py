"""Chromium, driven by Playwright. Every page that a test opens is watched; see `Watched`."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, async_playwright, expect

_OWN_HOSTS = frozenset({"127.0.0.1", "localhost", ""})
_PATIENCE_MS = 60_000  # the machine may be busy

expect.set_options(timeout=_PATIENCE_MS)


class Watched:
    """Note what no page may do: ask another machine, log an error, break the policy, get an error of a server."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def follow(self, page: Page) -> None:
        """Watch a page, and everything it loads."""
        page.on("request", self._requested)
        page.on("response", self._answered)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if (parts.hostname or "") not in _OWN_HOSTS or parts.scheme not in {"http", "https", "blob"}:
            self.problems.append(f"request to elsewhere: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} to {response.request.method} {response.url}")

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"console {message.type}: {message.text}")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Yield a Chromium without windows."""
    async with async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        found = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        await found.close()


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    """Yield what watches pages; at the end none of them may have done what it must not."""
    found = Watched()
    yield found
    assert found.problems == []


@pytest.fixture
async def page(browser: Browser, watched: Watched) -> Page:
    """Return an empty page, as wide as a desktop's."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(_PATIENCE_MS)
    found = await context.new_page()
    watched.follow(found)
    return found


async def serious_faults(page: Page) -> list[str]:
    """Return what axe finds serious or critical about the accessibility of a page."""
    found = (await Axe().run(page)).response
    return [
        f"{one['id']}: {node['target']}: {one['help']}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
