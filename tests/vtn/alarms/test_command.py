"""`oadr alarms`: what an operator types, and what becomes of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from oadr.__main__ import app
from oadr.errors import Exit
from tests.vtn.harness import VtnUnderTest
from vtn.store.console.alarms import AlarmStore
from vtn.store.stamps import Stamps


async def run(vtn: VtnUnderTest, *words: str) -> Result:
    """Run a command on the database of a VTN; it has a loop of its own."""
    url = vtn.server.settings.database.url.get_secret_value()
    return await asyncio.to_thread(CliRunner().invoke, app, ["alarms", *words, "--database", url])


async def test_alarms_are_listed_and_acknowledged(vtn: VtnUnderTest) -> None:
    """Those that hold, and the others if asked."""
    store = AlarmStore(vtn.server._database, Stamps(vtn.now))
    both = [("DISK_LOW", "a:/data", "1 GB free"), ("VEN_SILENT", "home-1", "VEN house is silent")]
    await store.note(both, covers=lambda *_: True)
    await store.note(both[1:], covers=lambda *_: True)
    (listed,) = json.loads((await run(vtn, "list")).stdout)
    assert (listed["kind"], listed["state"], listed["text"]) == ("VEN_SILENT", "holds", "VEN house is silent")
    every = json.loads((await run(vtn, "list", "--over")).stdout)
    assert [(each["kind"], each["state"]) for each in every] == [("VEN_SILENT", "holds"), ("DISK_LOW", "over")]
    assert json.loads((await run(vtn, "list", "--kind", "disk_low")).stdout) == []
    done = await run(vtn, "ack", str(listed["number"]), "--by", "anna", "--note", "on its way")
    assert done.exit_code == 0, done.stderr
    (alarm,) = await store.holding()
    assert (alarm.acknowledged_by, alarm.note) == ("anna", "on its way")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ack", "99999"), Exit.REFUSED, "there is no alarm 99999"),
        (("ack", "0"), Exit.USAGE, "greater than or equal to 1"),
        (("ack", "x"), Exit.USAGE, "valid integer"),
        (("list", "--kind", "FIRE"), Exit.USAGE, "no kind of alarm: FIRE"),
        (("list", "--limit", "0"), Exit.USAGE, "greater than or equal to 1"),
    ],
)
async def test_what_cannot_be(vtn: VtnUnderTest, words: tuple[str, ...], code: Exit, said: str) -> None:
    """Is said in one line."""
    done = await run(vtn, *words)
    assert (done.exit_code, said in " ".join(done.stderr.replace("│", " ").split())) == (code, True), done.stderr
