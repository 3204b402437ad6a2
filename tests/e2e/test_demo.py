"""The demo as a user runs it, and with a part broken."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from typing import Self

import pytest

from oadr.demo.fleet import BUSINESS_LOGIC, Fleet
from oadr.demo.pace import Pace
from oadr.demo.story import tell
from openadr_client.clock import ScaledClock
from tests.e2e.processes import OADR, run_oadr

SPEED = 60


@pytest.mark.parametrize("options", [(), ("--tls",)], ids=["plain", "tls"])
def test_the_demo_passes_its_own_check_and_leaves_nothing_behind(options: tuple[str, ...], tmp_path: Path) -> None:
    done = run_oadr(
        *("demo", "--for", "40s", "--check", "--json"),
        *options,
        environment={"TMPDIR": str(tmp_path)},
        timeout_s=400,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["passed"]
    assert summary["acks"] >= 5
    assert summary["deliveredKwh"] > 0
    names = {one["name"] for one in summary["event"]["participants"]}
    assert names == {"home-1", "home-2", "home-3", "home-4", "panel-1", "panel-2", "panel-3"}
    assert {summary["languages"][name] for name in names} == {"3.1", "3.0.1", "2.0b", "MQTT"}
    assert summary["telemetry"]["home-4"]["delivered_kwh"] > 0
    out = [one for one in summary["event"]["participants"] if one["opted_in"] is False]
    assert [(one["name"], bool(one["reason"])) for one in out] == [("home-3", True)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["panel-2", "home-1", "home-4"])
async def test_a_broken_part_is_named(part: str, tmp_path: Path) -> None:
    async with Fleet(tmp_path, clock=ScaledClock(SPEED), pace=Pace(SPEED), tls=False) as fleet:
        if part == "panel-2":
            fleet.panels[part].faults.silent = True
        elif part == "home-4":
            assert fleet.home_20b is not None
            await fleet.home_20b.stop()
        else:
            next(task for task in asyncio.all_tasks() if task.get_name() == part).cancel()
        async for scene in tell(fleet, for_s=18):
            last = scene
        async with fleet.client(BUSINESS_LOGIC) as utility:
            contacts = await utility.contacts.search()
    assert contacts is not None
    assert {"OpenADR 3.0.1", "OpenADR 2.0b"} < {contact.protocol for contact in contacts.values()}
    assert part in {finding.part for finding in last.findings}, last.findings


def test_interrupting_the_demo_stops_all_and_removes_the_data(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["env", f"TMPDIR={tmp_path}", OADR, "demo", "--for", "60s", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().endswith("started: VTN\n")
    process.send_signal(2)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


class Terminal:
    """A pseudo-terminal of 80 x 24 characters with the demo in it."""

    def __init__(self, tmp_path: Path, *arguments: str, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        variables = {"TMPDIR": str(tmp_path), "TERM": "xterm-256color", "PYTHONUTF8": "1"} | environment
        settings = [f"{name}={value}" for name, value in variables.items()]
        self.process = subprocess.Popen(
            ["env", "-u", "NO_COLOR", "-u", "COLUMNS", "-u", "LINES", *settings, OADR, "demo", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 # so that Ctrl-C is a signal
        )
        os.close(theirs)
        self.written = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._ours, keys)

    def read_until(self, words: str | None = None) -> str:
        """Read until words appear, or to the end."""
        while words is None or words not in self.written:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # nobody writes any more
                break
            self.written += self._decoder.decode(piece)  # a character may come in two pieces
        return self.written


def test_on_a_terminal_the_last_screen_stays_whole_with_the_verdict(tmp_path: Path) -> None:
    """O5: nothing scrolls away at 80 x 24, and NO_COLOR is heeded."""
    with Terminal(tmp_path, "--for", "20s", NO_COLOR="1") as terminal:
        screens, _, last = terminal.read_until().rpartition("\x1b[?1049l")
        assert terminal.process.wait(timeout=120) == 0, terminal.written[-2000:]
    for words in ("Starting every part", "next in", "step 1", "Every VEN is asked for"):
        assert words in screens
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in last.replace("\r", "").strip().split("\n")]
    assert 18 <= len(lines) <= 23
    assert [line for line in lines if len(line) > 80] == []
    text = "\n".join(lines)
    assert re.search(r"^(PASSED|FAILED) ", text, re.MULTILINE), text
    assert "kWh delivered" in text
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", terminal.written)
    assert list(tmp_path.iterdir()) == []


def test_control_c_on_a_terminal_gives_the_screen_back_and_leaves_nothing(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.read_until("Starting every part")
        terminal.press(b"\x03")
        written = terminal.read_until()
        assert terminal.process.wait(timeout=120) == 130, written[-2000:]
    assert "\x1b[?1049l" in written
    assert "Traceback" not in written
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_too_short_is_refused_in_one_line() -> None:
    done = run_oadr("demo", "--for", "1s")
    assert done.returncode == 2
    assert "at least 15s" in done.stderr
