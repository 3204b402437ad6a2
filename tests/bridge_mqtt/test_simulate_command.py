"""``oadr bridge simulate`` as a user starts it."""

import asyncio
import json
import sys

import pytest
from typer.testing import CliRunner

from bench.support.net import free_port
from oadr.commands.bridge import app


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
