"""``oadr ven run`` as a user starts it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oadr.commands.ven import app
from tests.support.waiting import wait_until
from tests.ven.home import SECRET, Town

HOME = """
ven_name = "home-1"
poll_s = 1

[vtn]
url = "{url}"
client_id = "home-1"

[[circuits]]
id = "ev"
breaker_amps = 32
rated_kw = 7
shed_share = 1
"""


async def start(folder: Path, town: Town, *, secret: str) -> asyncio.subprocess.Process:
    (folder / "home.toml").write_text(HOME.format(url=town.vtn.base_url))  # a few bytes in a test
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from oadr.commands.ven import app; app()",
        "run",
        "--config",
        "home.toml",
        cwd=folder,
        env=os.environ | {"OADR_VEN_VTN__CLIENT_SECRET": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_home_runs_until_it_is_stopped(tmp_path: Path, town: Town) -> None:
    await town.home()
    process = await start(tmp_path, town, secret=SECRET)
    try:
        await wait_until(town.bl.vens.search, what="registered")
    finally:
        process.terminate()
    await process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "ven.sqlite3").exists()  # a look at a local file


async def test_wrong_secret_is_one_clear_line_and_exit_code_5(tmp_path: Path, town: Town) -> None:
    await town.home()
    process = await start(tmp_path, town, secret="not-the-one")
    _, errors = await process.communicate()
    assert process.returncode == 5
    last = errors.decode().splitlines()[-1]
    assert last.startswith("oadr: client home-1 got no token")
    assert "not-the-one" not in errors.decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('ven_name = "home-1"', "circuits: missing"),
        (HOME.format(url="ftp://vtn") + "colour = 1", "colour: no such setting"),
        (HOME.format(url="http://127.0.0.1:1") + "critical = true", "circuit ev is critical and is never shed"),
        ("ven_name =", "not readable TOML"),
    ],
)
def test_mistakes_in_the_settings_are_named_with_exit_code_3(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "home.toml"
    file.write_text(text)
    result = CliRunner(env={"OADR_VEN_VTN__CLIENT_SECRET": "s"}).invoke(app, ["run", "--config", str(file)])
    assert result.exit_code == 3
    assert message in result.stderr


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", "--config", str(tmp_path / "gone.toml")])
    assert result.exit_code == 3
    assert "gone.toml: cannot be read" in result.stderr


def test_unknown_driver_is_named_with_exit_code_3(tmp_path: Path) -> None:
    file = tmp_path / "home.toml"
    file.write_text(HOME.format(url="http://127.0.0.1:1").replace("poll_s = 1", "poll_s = 1\ndriver.kind = 'zigbee'"))
    result = CliRunner(env={"OADR_VEN_VTN__CLIENT_SECRET": "s"}).invoke(app, ["run", "--config", str(file)])
    assert result.exit_code == 3
    built_in = "ev, modbus, mqtt, replay, several, simulated"
    assert result.stderr.splitlines()[-1] == f"oadr: there is no driver 'zigbee'; installed are: {built_in}"
