"""`oadr vtn outbox`: what an operator types, and what becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import Result

from oadr.errors import Exit
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from tests.vtn.test_command import answer, oadr
from vtn.store.outbox.queue import Ended, Outcome


class Outbox:
    """An outbox with something that waits, something that was given up, and something for MQTT."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self.rows = OutboxRows(vtn)
        self.url = vtn.server.settings.database.url.get_secret_value()
        self.dead = self.waiting = self.published = 0
        self.subscription = ""

    async def fill(self) -> None:
        """Insert the rows."""
        hook, broker = await self.rows.endpoint("home-1"), await self.rows.endpoint(push="MQTT")
        self.subscription = f"of-{hook}"
        self.dead, self.waiting = await self.rows.delivery(hook, "e1"), await self.rows.delivery(hook, "e2")
        self.published = await self.rows.delivery(broker, "e2")
        await self.rows.outbox.record([Ended(self.dead, Outcome.DEAD, "answered 404")])

    async def run(self, *words: str) -> Result:
        """Run a command, which has a loop of its own."""
        return await asyncio.to_thread(oadr, "outbox", *words, url=self.url)

    async def listed(self, *words: str) -> list[int]:
        """Return the numbers in the list."""
        rows: list[dict[str, Any]] = answer(await self.run("list", *words))
        return [row["number"] for row in rows]


@pytest_asyncio.fixture(loop_scope="session")
async def outbox(vtn: VtnUnderTest) -> Outbox:
    """An outbox with three deliveries."""
    found = Outbox(vtn)
    await found.fill()
    return found


async def test_the_list_says_what_waits_for_whom_and_why(outbox: Outbox) -> None:
    dead, waiting, published = answer(await outbox.run("list"))
    assert dead.pop("noted")
    assert dead == {
        "number": outbox.dead,
        "state": "DEAD",
        "channel": "WEBHOOK",
        "client": "home-1",
        "subscription_id": outbox.subscription,
        "url": dead["url"],
        "operation": "CREATE",
        "object_type": "EVENT",
        "object_id": "e1",
        "about": "CREATE EVENT e1",
        "attempts": 1,
        "next_attempt": None,
        "error": "answered 404",
    }
    assert (waiting["state"], waiting["object_id"]) == ("PENDING", "e2")
    assert (published["channel"], published["client"]) == ("MQTT", None)


async def test_the_list_is_narrowed(outbox: Outbox) -> None:
    assert await outbox.listed("--state", "dead") == [outbox.dead]
    assert await outbox.listed("--channel", "mqtt") == [outbox.published]
    assert await outbox.listed("--client", "home-1", "--state", "pending") == [outbox.waiting]
    assert await outbox.listed("--subscription", "another") == []
    result = await outbox.run("list", "--limit", "2")
    assert [row["number"] for row in answer(result)] == [outbox.dead, outbox.waiting]
    assert "more than 2" in result.stderr


async def test_retry_sends_again_what_was_given_up(outbox: Outbox) -> None:
    assert answer(await outbox.run("retry", "--client", "home-1")) == {"sent_again": 1, "endpoints_tried": 1}
    assert await outbox.listed("--state", "pending") == [outbox.dead, outbox.waiting, outbox.published]
    assert answer(await outbox.run("retry", str(outbox.dead))) == {"sent_again": 0, "endpoints_tried": 1}


async def test_drop_takes_notifications_out(outbox: Outbox) -> None:
    assert answer(await outbox.run("drop", str(outbox.waiting))) == {"dropped": 1}
    assert answer(await outbox.run("drop", "--state", "dead", "--yes")) == {"dropped": 1}
    assert await outbox.listed() == [outbox.published]
    assert answer(await outbox.run("drop", "--all", "--yes")) == {"dropped": 1}
    assert await outbox.listed() == []


@pytest.mark.parametrize("word", ["retry", "drop"])
async def test_nobody_means_everything_by_mistake(outbox: Outbox, word: str) -> None:
    result = await outbox.run(word)
    assert result.exit_code == Exit.USAGE
    assert "--subscription" in result.stderr
    assert len(await outbox.listed()) == 3


@pytest.mark.parametrize("word", ["retry", "drop"])
async def test_numbers_that_are_not_in_the_list_are_named(outbox: Outbox, word: str) -> None:
    nobody = await outbox.run(word, "999998", "999999")
    assert nobody.exit_code == Exit.REFUSED
    assert "no notification 999998, 999999 waits" in nobody.stderr
    assert len(await outbox.listed()) == 3
    some = await outbox.run(word, "999999", str(outbox.waiting))
    assert some.exit_code == Exit.OK
    assert "warning: no notification 999999" in some.stderr


async def test_a_lot_is_not_dropped_without_a_yes(outbox: Outbox) -> None:
    result = await outbox.run("drop", "--client", "home-1")
    assert result.exit_code == Exit.CHECK_FAILED
    assert "--yes" in result.stderr
    assert len(await outbox.listed()) == 3


def test_there_must_be_a_database(tmp_path: Any) -> None:
    """A mistyped name makes none."""
    file = tmp_path / "none.sqlite3"
    assert oadr("outbox", "list", url=f"sqlite:///{file}").exit_code == Exit.CONFIGURATION
    assert not file.exists()
