"""Setting a VEN up in a browser: a join line, a driver, a trial of both; what is written, and who is kept out."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from bench.support.net import free_port
from oadr.commands.ven import app
from oadr.commands.ven.setup import _FileWork
from openadr_profiles.join_line import JoinLine
from tests.ven.home import SECRET, Town
from tests.ven.test_page import Browser
from ven.drivers import find_driver
from ven.page.houses import HOUSES
from ven.page.setup import SetupPage
from ven.settings import VenSettings
from vtn.access import Role


@asynccontextmanager
async def setting_up(town: Town, file: Path) -> AsyncIterator[tuple[Browser, asyncio.Task[None], _FileWork]]:
    """A browser at a set-up page that writes to a file, the task that serves it, and what has been written."""
    port, listens = free_port(), asyncio.Event()
    work = _FileWork(file, port)
    task = asyncio.create_task(SetupPage(work, town.clock).serve(port, listens.set))
    await listens.wait()
    try:
        async with aiohttp.ClientSession() as session:
            yield Browser(f"http://127.0.0.1:{port}", session), task, work
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def a_line(town: Town, name: str = "home-1") -> str:
    await town.vtn.clients.add(name, Role.VEN, secret=SECRET)
    return JoinLine(url=town.vtn.base_url, client_id=name, client_secret=SECRET, ven_name=name).encode()


async def test_a_home_is_set_up_from_join_line_to_start(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "new" / "ven.toml"
    async with setting_up(town, file) as (browser, task, work):
        await browser.get()
        assert "Set up this VEN" in browser.words()
        assert "After the join line." in browser.words()
        await browser.send("/page/line", line=await a_line(town))
        assert browser.status == 303
        await browser.get()
        assert "registered as home-1" in browser.words()
        assert SECRET not in browser.text
        assert file.stat().st_mode & 0o777 == 0o600
        house = browser.page.xpath("//textarea")[0].text
        await browser.send("/page/house", house=house.replace("Water heater", "Boiler"))
        assert browser.status == 303
        await browser.get()
        await browser.send("/page/test")
        await browser.get()
        assert "simulated reads all 4 circuits" in browser.words()
        assert "Boiler" in browser.words()
        await browser.send("/page/start")
        assert "Set-up is over." in browser.words()
        await task
        assert work.settings is not None
        assert work.settings.local.port == int(browser.base.rpartition(":")[2])
    written = tomllib.loads(file.read_text())
    assert written["vtn"]["client_secret"] == SECRET
    assert [each["name"] for each in written["circuits"]][1] == "Boiler"
    assert [each.name for each in file.parent.iterdir()] == ["ven.toml"]


async def test_mistakes_are_named_and_what_was_kept_stays(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "ven.toml"
    async with setting_up(town, file) as (browser, _, work):
        await browser.get()
        await browser.send("/page/line", line="oadrjoin1_abc")
        assert (browser.status, "the join line is cut off" in browser.words()) == (422, True)
        await browser.send("/page/start")
        assert "there are no settings yet: paste the join line first" in browser.words()
        assert not file.exists()
        await browser.send("/page/line", line=await a_line(town))
        kept = file.read_text()
        await browser.get()
        for house, problem in (
            ("[driver", "the settings of the house is not readable TOML"),
            ("ven_name = 'x'", "has ven_name, which comes from the join line"),
            ("[driver]\nkind = 'simulated'", "circuits"),
            (work.house.replace("priority = 9", "priority = 0"), "circuits[ev].priority: input should be greater"),
        ):
            await browser.send("/page/house", house=house)
            assert (browser.status, problem in browser.words("//main/p")) == (422, True), problem
            assert house.splitlines()[0] in browser.page.xpath("//textarea")[0].text  # what was typed is still there
        assert file.read_text() == kept
        other = await a_line(town, "home-2")
        await town.close_vtn()
        await browser.send("/page/line", line=other)
        await browser.get()
        assert "failed port" in browser.words()
        assert "What to do: is the VTN running" in browser.words()


async def test_other_sites_and_other_hosts_cannot_set_anything_up(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "ven.toml"
    line = await a_line(town)
    async with setting_up(town, file) as (browser, _, _):
        await browser.get("/", Host="evil.example")
        assert browser.status == 421
        await browser.get()
        (csrf, *_) = browser.page.xpath("//input[@name='csrf']/@value")
        await browser.send("/page/line", csrf=csrf, headers={"Origin": "https://evil.example"}, line=line)
        assert browser.status == 403
        await browser.get()
        await browser.send("/page/line", csrf="forged", headers=None, line=line)
        assert browser.status == 403
    assert not file.exists()


@pytest.mark.parametrize("kind", sorted(HOUSES))
def test_every_example_of_a_house_can_be_used(kind: str, town: Town) -> None:
    given = tomllib.loads(HOUSES[kind])
    settings = VenSettings.model_validate(
        {"vtn": {"url": "http://127.0.0.1/openadr3/3.1.0"}, "ven_name": "home-1", **given}
    )
    assert settings.driver.kind == kind
    find_driver(kind)(settings.circuits, settings.driver.options, town.clock)


def test_settings_that_are_there_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "ven.toml"
    file.write_text("ven_name = 'x'")
    result = CliRunner().invoke(app, ["setup", "--config", str(file)])
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert file.read_text() == "ven_name = 'x'"
