"""``oadr bridge simulate`` as a user starts it."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import aiomqtt
import pytest
from typer.testing import CliRunner

from bench.support.net import free_port
from oadr.commands.bridge import app
from tests.support.mosquitto import Mosquitto


@pytest.mark.parametrize("panel_id", ["pan/el+#", "$SYS", "a+b", "", "a\x07b"])
def test_an_id_that_cannot_be_a_topic_level_is_refused(panel_id: str) -> None:
    """Rule C11: exit code 2 and the character, before anything connects."""
    done = CliRunner().invoke(app, ["simulate", "panel-1", panel_id])

    assert done.exit_code == 2
    assert "panel id" in done.stderr


async def test_a_broker_that_is_not_there_is_named_once() -> None:
    """The panels go on trying, and say so once instead of at every attempt."""
    url = f"mqtt://127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "oadr",
        *("bridge", "simulate", "panel-1", "--broker", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    entry = json.loads(await process.stderr.readline())
    process.terminate()
    _, rest = await process.communicate()
    assert process.returncode == 0
    assert (entry["level"], entry["broker"], entry["ven_id"]) == ("warning", url, "panel-1")
    assert rest == b""


def test_ids_or_a_number_but_not_both() -> None:
    """Exit code 2, and what was expected."""
    for words in ([], ["panel-1", "--count", "2"]):
        done = CliRunner().invoke(app, ["simulate", *words])

        assert (done.exit_code, "expected ids of panels, or --count" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fault", "sleepy"), "'sleepy' is none of silent, lose-acks"),
        (("--fault", "silent=2"), "silent: expected the share of the panels that have it"),
        (("--fault", "silent=all"), "not 'all'"),
        (("--dialect", "modern"), "'modern' is none of flat, envelope, minimal"),
        (("--certificate", "{id}.crt", "--key", "one.key"), "expected {id} in both --certificate and --key"),
        (("--prefix", "a/b"), "'/'"),
    ],
)
def test_mistakes_are_named(words: tuple[str, ...], said: str) -> None:
    """Before anything connects."""
    done = CliRunner().invoke(app, ["simulate", "--count", "2", *words])

    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


async def test_many_panels_in_two_processes_measure_obey_and_end_in_order(mosquitto: Mosquitto) -> None:
    """A certificate is not needed here; the figures are those of both processes."""
    words = ("--count", "40", "--prefix", "many-", "--processes", "2", "--over", "0", "--every", "0.5")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oadr", "bridge", "simulate", *words),
        *("--broker", mosquitto.url, "--dialect", "flat", "--dialect", "envelope"),
        *("--fault", "silent=0.2", "--show-every", "0.2", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(120), aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            await _figures(process.stdout, lambda now: now["connected"] == 40)
            for number in range(1, 41):
                data = {"requestedReductionKw": 1.0, "durationS": 600}
                command = {"op": "shedPanel", "shed_kw": 1.0, "duration_sec": 600, "data": data}
                await client.publish(f"ven/cmd/many-{number}", json.dumps(command), qos=1)
            now = await _figures(process.stdout, lambda now: now["commands"] == 40 and now["samples"] > 80)
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = await process.communicate()

    assert (process.returncode, errors) == (0, b"")
    assert 20 < now["sheds"] < 40
    assert (now["shedding"], now["double_sheds"], now["failed"]) == (now["sheds"], 0, 0)
    assert now["rss_mb"] > 0
    assert json.loads(rest.splitlines()[-1])["connected"] == 0


async def _figures(stream: asyncio.StreamReader, fact: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async for line in stream:
        now: dict[str, Any] = json.loads(line)
        if fact(now):
            return now
    raise AssertionError("the command has ended")


async def test_a_fleet_without_a_broker_says_why_in_its_figures() -> None:
    """Not once for each of many panels."""
    words = ("--count", "3", "--processes", "1", "--over", "0", "--show-every", "0.2", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oadr", "bridge", "simulate", *words, "--broker", f"mqtt://127.0.0.1:{free_port()}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            now = await _figures(process.stdout, lambda now: now["problem"] is not None)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()

    assert (process.returncode, errors, now["connected"]) == (0, b"", 0)
    assert "Connect" in now["problem"]
