"""Take pictures of the pages of the console and of a home, from a real run of the demo with an event under way."""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, async_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "images" / "pages"
_LOGIN: Final = re.compile(r"Open (\S+/console)\s+and sign in as (\S+), password (\S+)")
_HOME: Final = re.compile(r"Open (\S+)\s+for the page of")
_OVER: Final = "All of it runs on until Ctrl-C"
_CONSOLE: Final = {
    "now": "",
    "events": "/events",
    "fleet": "/fleet",
    "add-ven": "/fleet/add",
    "programs": "/programs",
    "reports": "/reports",
    "settings": "/settings",
    "audit": "/audit",
}
_ON_PHONE: Final = ("now", "event", "fleet", "home")
_IN_THE_DARK: Final = ("now",)
_REAL_S: Final = 20
"""Time for which the event runs before pictures are taken; on the demo's clock it is 20 minutes."""
_WIDE: Final = {"width": 1280, "height": 800}
_PHONE: Final = {"width": 375, "height": 800}


@asynccontextmanager
async def demo() -> AsyncIterator[dict[str, str]]:
    """Run the demo until its event is over; yields its addresses and the login."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oadr", "demo", "--for", "60s", "--stay"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        found: dict[str, str] = {}
        if process.stdout is None:
            raise RuntimeError("the demo has no output")
        async for raw in process.stdout:
            line = raw.decode()
            if login := _LOGIN.search(line):
                found |= dict(zip(("console", "user", "password"), login.groups(), strict=True))
            if home := _HOME.search(line):
                found["home"] = home.group(1)
            if _OVER in line:
                break
        yield found
    finally:
        process.send_signal(2)
        await process.wait()


async def take(folder: Path) -> None:
    """Write all pictures into a folder."""
    async with demo() as at, async_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        event = await _issue(browser, at, folder / "new-event.png")
        pages = await _pages(browser, at) | {"event": event}
        for name, url in pages.items():
            await _picture(browser, at, url, folder / f"{name}.png", _WIDE)
            if name in _IN_THE_DARK:
                await _picture(browser, at, url, folder / f"{name}-dark.png", _WIDE, dark=True)
            if name in _ON_PHONE:
                await _picture(browser, at, url, folder / f"{name}-phone.png", _PHONE)
        await browser.close()


async def _issue(browser: Browser, at: dict[str, str], file: Path) -> str:
    """Issue an event at the console, with a picture of its check; returns the address of its page."""
    page = await browser.new_page(viewport=_WIDE)
    await _sign_in(page, at)
    await page.goto(f"{at['console']}/events/new")
    for label, typed in {"How much": "4kW", "Name for people": "heat-wave", "Start": "+10m", "How long": "4h"}.items():
        await page.get_by_label(label, exact=True).fill(typed)
    await page.get_by_label("group:north").check()
    await page.get_by_role("button", name="4 Check").click()
    publish = page.get_by_role("button", name=re.compile("^Publish to"))
    await publish.wait_for()
    await page.screenshot(path=file, full_page=True)
    await publish.click()
    await page.get_by_role("button", name=re.compile("^Yes, publish")).click()
    await page.wait_for_url(re.compile(r"/events/[0-9a-f-]{36}"))
    await page.wait_for_timeout((_REAL_S + 10) * 1000)
    url = page.url.partition("?")[0]
    await page.close()
    return url


async def _pages(browser: Browser, at: dict[str, str]) -> dict[str, str]:
    """Return the addresses of all pages by the names of their pictures."""
    page = await browser.new_page()
    await _sign_in(page, at)
    pages = {name: at["console"] + path for name, path in _CONSOLE.items()}
    await page.goto(pages["events"])
    event = await page.locator("table a[href*='/events/']").filter(has_text="evening-peak").first.get_attribute("href")
    await page.goto(pages["fleet"])
    ven = await page.locator("table a[href*='/fleet/vens/']").filter(has_text="home-1").first.get_attribute("href")
    origin = at["console"].removesuffix("/console")
    pages |= {"performance": f"{origin}{event}/performance", "ven": f"{origin}{ven}", "home": at["home"]}
    await page.close()
    return pages


async def _sign_in(page: Page, at: dict[str, str]) -> None:
    await page.goto(at["console"])
    await page.get_by_label("Name").fill(at["user"])
    await page.get_by_label("Password").fill(at["password"])
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/console/?$"))


async def _picture(
    browser: Browser, at: dict[str, str], url: str, file: Path, size: dict[str, int], *, dark: bool = False
) -> None:
    context = await browser.new_context(viewport=size, color_scheme="dark" if dark else "light", locale="en-GB")
    page = await context.new_page()
    if url.startswith(at["console"]):
        await _sign_in(page, at)
    answer = await page.goto(url)
    if answer is None or not answer.ok:
        raise RuntimeError(f"{url} answered {answer.status if answer else 'nothing'}")
    await page.wait_for_timeout(1500)  # charts are drawn
    await page.screenshot(path=file, full_page=True)
    await context.close()
    print(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def main() -> None:
    """Read the options, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go [docs/images/pages]")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(folder))


if __name__ == "__main__":
    main()
