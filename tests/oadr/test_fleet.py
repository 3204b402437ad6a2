"""`oadr vtn client add-many` and `oadr ven fleet`: many VENs in a few processes, against a real VTN."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from bench.support.net import free_port
from oadr.__main__ import app
from oadr.errors import Exit
from openadr_profiles.join_line import JoinLine
from tests.e2e.processes import OADR, oadr, program
from tests.oadr.conftest import Operator
from tests.support.waiting import wait_until_sync


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, Path]]:
    """A VTN with business logic and four VEN clients, and the file of their join lines."""
    folder = tmp_path_factory.mktemp("town")
    database = {
        "OADR_VTN_DATABASE__URL": f"sqlite:///{folder / 'vtn.sqlite3'}",
        "OADR_VTN_AUTH__ARGON2__TIME_COST": "1",
        "OADR_VTN_AUTH__ARGON2__MEMORY_KIB": "8",
    }
    port, lines = free_port(), folder / "lines.txt"
    words = ("vtn", "client", "add-many", str(lines), "--count", "4", "--url", f"http://127.0.0.1:{port}")
    done = CliRunner(env=database).invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert lines.stat().st_mode & 0o777 == 0o600
    again = CliRunner(env=database).invoke(app, [*words[:3], str(folder / "more.txt"), *words[4:]])
    assert (again.exit_code, "client home-1 exists already" in again.stderr) == (Exit.REFUSED, True)
    assert not (folder / "more.txt").exists()
    secret = oadr("vtn", "client", "add", "utility", "--role", "bl", environment=database)["client_secret"]
    server = program("vtn", ["vtn", "run", "--port", str(port)], folder=folder, environment=database, port=port)
    server.start()
    url = f"http://127.0.0.1:{port}/openadr3/3.1.0"
    told = {"OADR_BL_URL": url, "OADR_BL_CLIENT_ID": "utility", "OADR_BL_CLIENT_SECRET": secret}
    yield Operator(told, {}, url), lines
    server.stop()


class Running:
    """A fleet in processes of its own."""

    def __init__(self, lines: Path, folder: Path, *words: str) -> None:
        self._output = folder / "figures.jsonl"
        self._errors = folder / "errors.txt"
        call = [OADR, "ven", "fleet", str(lines), "--folder", str(folder / "fleet"), "--every", "0.2", "--over", "0"]
        with self._output.open("w") as output, self._errors.open("w") as errors:
            self.process = subprocess.Popen([*call, "--json", *words], stdout=output, stderr=errors)

    def figures(self) -> dict[str, Any]:
        """Return the last figures, or nothing."""
        whole = self._output.read_text().rpartition("\n")[0].splitlines()
        return json.loads(whole[-1]) if whole else {}

    def until(self, what: str, **wanted: float) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            now = self.figures()
            return now if now and all(now[name] == value for name, value in wanted.items()) else None

        found = wait_until_sync(reached, timeout_s=180, what=what)
        assert found is not None
        return found

    def stop(self) -> tuple[int, str]:
        """Interrupt it as Ctrl-C does; return the exit code and what it said."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=120), self._errors.read_text()


def limits_in(folder: Path) -> list[dict[str, str]]:
    return [json.loads(each.read_text())["limits_kw"] for each in sorted(folder.glob("*-panel.json"))]


def test_a_fleet_sheds_and_stops_in_order(town: tuple[Operator, Path], tmp_path: Path) -> None:
    operator, lines = town
    fleet = Running(lines, tmp_path, "--count", "3", "--processes", "2")
    try:
        assert fleet.until("registered", registered=3)["vens"] == 3
        event = operator.ask("event", "create", "--shed", "2kW", "--start", "now", "--for", "1h", "--yes")["id"]
        now = fleet.until("shedding", in_events=3, limited=3)
        assert (now["failed"], now["named"]) == (0, {})
        shed = fleet.until("shed", shed_kw=6)
        assert shed["drawn_kw"] > 0
        assert shed["rss_mb"] > 0
        assert all(limits_in(tmp_path / "fleet"))
    finally:
        code, said = fleet.stop()
    assert (code, said) == (0, "")
    assert limits_in(tmp_path / "fleet") == [{}, {}, {}]
    operator.ask("event", "delete", event)


def test_one_that_fails_stops_no_other_and_the_exit_code_says_so(town: tuple[Operator, Path], tmp_path: Path) -> None:
    _, lines = town
    good = lines.read_text().splitlines()[0]
    told = JoinLine.decode(good)
    bad = JoinLine(url=told.url, client_id="home-2", client_secret="not the one of home-2", ven_name="home-2")
    file = tmp_path / "lines.txt"
    file.write_text(f"{bad.encode()}\n\n{good}\n")
    fleet = Running(file, tmp_path, "--processes", "1")
    try:
        now = fleet.until("one of two", registered=1, failed=1)
        assert now["vens"] == 2
        assert "got no token" in now["named"]["home-2"]
    finally:
        code, said = fleet.stop()
    assert (code, "home-2: Unauthorized: client home-2 got no token" in said) == (Exit.CHECK_FAILED, True)
    assert "not the one of home-2" not in said


def test_a_process_that_is_killed_is_counted_as_failed_at_once(town: tuple[Operator, Path], tmp_path: Path) -> None:
    """One that is only asked to end waits for its parent, which ends it in order."""
    _, lines = town
    fleet = Running(lines, tmp_path, "--count", "2", "--processes", "2")
    try:
        fleet.until("registered", registered=2)
        first, second = psutil.Process(fleet.process.pid).children()
        second.send_signal(signal.SIGTERM)
        first.kill()
        assert fleet.until("one is gone", failed=1)["registered"] == 1
    finally:
        code, said = fleet.stop()
    assert (code, "has ended by itself, and its 1 VENs with it" in said) == (Exit.CHECK_FAILED, True)


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (None, (), "cannot be read"),
        ("", (), "has 0 join lines; expected 1 to 10,000"),
        ("{line}\n", ("--count", "2"), "has 1 join lines; expected 2 to 10,000"),
        ("{line}\nhello\n", (), "line 2: this is no join line"),
        ("{line}\n{line}\n", (), "line 2: home-1 is there already"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, text: str | None, words: tuple[str, ...], said: str) -> None:
    line = JoinLine(url="http://127.0.0.1:1", client_id="home-1", client_secret="a secret of one", ven_name="home-1")
    file = tmp_path / "lines.txt"
    if text is not None:
        file.write_text(text.format(line=line.encode()))
    done = CliRunner().invoke(app, ["ven", "fleet", str(file), "--folder", str(tmp_path / "fleet"), *words])
    assert (done.exit_code, said in done.stderr) == (Exit.USAGE, True), done.stderr


def test_lines_without_an_address_are_not_made(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    environment = {"OADR_VTN_DATABASE__URL": f"sqlite:///{tmp_path / 'vtn.sqlite3'}", "OADR_VTN_PORT": "0"}
    done = CliRunner(env=environment).invoke(app, ["vtn", "client", "add-many", str(file), "--count", "2"])
    assert (done.exit_code, "the address of the VTN is not known" in done.stderr) == (Exit.USAGE, True)
    assert not file.exists()
