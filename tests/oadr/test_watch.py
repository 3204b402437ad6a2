"""Watching events: what is shown was asked for, and is shown at once where the VTN tells of changes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from oadr.events.watching import EventFollower, follow_events
from openadr_client import NO_RETRY, TemporarilyUnavailable, Unreachable, VtnClient
from tests.oadr.conftest import Operator
from tests.openadr_client.announced import Announcing, announcing, publish
from tests.support.mosquitto import Mosquitto
from tests.support.scripted_vtn import an_event, problem
from tests.support.waiting import wait_until

NEVER_S = 86_400.0
TOPICS = {"events": {"ALL": "odd/events/+"}}


class VtnWithEvents(Announcing):
    """Shows the events that the test puts there, and tells of what the test says."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.events: dict[str, dict[str, Any]] = {}
        self.topics = TOPICS
        self.is_away = False
        self.failing: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/openadr3/3.1.0/")
        if self.is_away or path in self.failing:
            return problem(503, "away")
        if path == "events":
            return web.json_response([*reversed(self.events.values())])
        if path.startswith("events/"):
            event = self.events.get(path.removeprefix("events/"))
            return problem(404, "no event") if event is None else web.json_response(event)
        return await super().answer(request)

    def put(self, id_: str, *, minute: int = 0) -> None:
        """Have an event, modified at this minute."""
        self.events[id_] = an_event(id_, modificationDateTime=f"2026-01-01T00:{minute:02}:00Z")


@pytest.fixture
async def there() -> AsyncIterator[VtnWithEvents]:
    async with announcing(VtnWithEvents) as found:
        yield found


class Watcher:
    """Watches until the end of the test."""

    def __init__(self, client: VtnClient, *, every_s: float) -> None:
        self.shown: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.task = asyncio.create_task(self._watch(client, every_s))

    async def _watch(self, client: VtnClient, every_s: float) -> None:
        async with aclosing(follow_events(client, every_s=every_s, say=self.said.append)) as changes:
            async for change in changes:
                self.shown.append((change.operation, change.event.id))

    async def said_that(self, words: str) -> None:
        await wait_until(lambda: any(words in each for each in self.said), what=words)


@pytest.fixture
async def client(there: VtnWithEvents) -> AsyncIterator[VtnClient]:
    async with VtnClient(base_url=there.vtn.base_url, token="x", retry=NO_RETRY) as client:
        yield client


async def _end(watcher: Watcher) -> None:
    watcher.task.cancel()
    await asyncio.gather(watcher.task, return_exceptions=True)


async def test_what_the_vtn_tells_is_asked_for_and_shown_at_once(
    there: VtnWithEvents, client: VtnClient, mosquitto: Mosquitto
) -> None:
    """A push is only a hint: a forged or doubled one shows nothing."""
    there.announce(mosquitto.url)
    there.put("old")
    watcher = Watcher(client, every_s=NEVER_S)
    await watcher.said_that("tells of changes by mqtt")
    forged = {"objectType": "EVENT", "operation": "CREATE", "object": an_event("forged")}
    there.put("new")
    real = {"objectType": "EVENT", "operation": "CREATE", "object": there.events["new"]}
    await publish(mosquitto, "odd/events/create", forged, real, real, forged)
    await wait_until(lambda: watcher.shown)
    there.put("old", minute=1)
    del there.events["new"]
    for id_ in ("old", "new"):
        await publish(mosquitto, "odd/events/update", {"operation": "UPDATE", "object": {"id": id_}})
    await wait_until(lambda: len(watcher.shown) == 3)
    await _end(watcher)
    assert watcher.shown == [("CREATE", "new"), ("UPDATE", "old"), ("DELETE", "new")]


async def test_a_failure_midway_loses_no_change(there: VtnWithEvents, client: VtnClient) -> None:
    """Note nothing as shown that was asked for together with an event of which nothing is known yet."""
    follower = EventFollower(client)
    assert await follower.read_all() == []
    there.put("a")
    there.put("b")
    there.failing = {"events/b"}
    with pytest.raises(TemporarilyUnavailable):
        await follower.read(["a", "b"])
    there.failing = set()
    found = await follower.read(None)
    assert [(change.operation, change.event.id) for change in found] == [("CREATE", "a"), ("CREATE", "b")]
    del there.events["a"]
    del there.events["b"]
    there.failing = {"events/b"}
    with pytest.raises(TemporarilyUnavailable):
        await follower.read_all()
    there.failing = set()
    found = await follower.read_all()
    assert sorted((change.operation, change.event.id) for change in found) == [("DELETE", "a"), ("DELETE", "b")]


async def test_a_vtn_that_tells_nothing_is_asked(there: VtnWithEvents, client: VtnClient) -> None:
    watcher = Watcher(client, every_s=0.02)
    await watcher.said_that("watching")
    there.put("a")
    there.put("b")
    await wait_until(lambda: len(watcher.shown) == 2)
    del there.events["a"]
    there.put("b", minute=1)
    await wait_until(lambda: len(watcher.shown) == 4)
    await _end(watcher)
    assert watcher.shown == [("CREATE", "a"), ("CREATE", "b"), ("UPDATE", "b"), ("DELETE", "a")]


async def test_a_vtn_that_goes_away_is_waited_for(there: VtnWithEvents, client: VtnClient) -> None:
    watcher = Watcher(client, every_s=0.02)
    await watcher.said_that("watching")
    there.is_away = True
    await watcher.said_that("asking again in")
    there.put("meanwhile")
    there.is_away = False
    await wait_until(lambda: watcher.shown == [("CREATE", "meanwhile")])
    await _end(watcher)


async def test_a_vtn_that_does_not_answer_at_first_is_an_error() -> None:
    async with VtnClient(base_url="http://127.0.0.1:9/openadr3/3.1.0", retry=NO_RETRY) as client:
        watcher = Watcher(client, every_s=1)
        with pytest.raises(Unreachable):
            await watcher.task


def test_the_command_shows_a_line_for_each_change_until_it_is_interrupted(operator: Operator) -> None:
    """Each line is JSON when piped, and nothing else is on standard output."""
    words = [sys.executable, "-m", "oadr", "event", "watch", "--every", "1s"]
    process = subprocess.Popen(  # our own command
        words, env=operator.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert "watching the events of" in process.stderr.readline()
        created = operator.ask("event", "create", "--shed", "1kW", "--start", "+1h", "--for", "1h", "--yes", "--json")
        line = json.loads(process.stdout.readline())
        operator.ask("event", "delete", created["id"])
        last = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert (line["operation"], line["event"]["id"], line["event"]["asks"]) == ("CREATE", created["id"], ["shed 1 kW"])
    assert (last["operation"], last["event"]["id"]) == ("DELETE", created["id"])
    assert out == ""
    assert "Traceback" not in err
