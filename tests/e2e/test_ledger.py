"""Nothing is lost and nobody else hears of it, whatever is killed meanwhile: the ledger of a storm of writes.

``--kills 100`` makes it long, ``--seed`` another one; `docs/development.md` tells of both.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.support.postgres import prepare
from tests.e2e.ledger import verdict
from tests.e2e.ledger.entitled import Entitled
from tests.e2e.ledger.receivers import WEBSOCKET, Hooks, Socket, Topics
from tests.e2e.ledger.site import PREFIX, Site, a_site, token
from tests.e2e.ledger.storm import Storm
from tests.support.mosquitto import Mosquitto
from tests.support.once import Once
from tests.support.waiting import wait_until
from vtn.access import Role

BUSINESS_LOGIC = "utility"
HOMES = tuple(f"home-{number}" for number in range(8))
WRITERS = 4
UNDISTURBED = (10, 60)
"""Writes that are answered between two faults."""
SETTLED_S = 300.0

log = logging.getLogger(__name__)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path, once: Once, mosquitto: Mosquitto) -> Iterator[Site]:
    """Everything that a notification passes through, each a process of its own."""
    with a_site(request.param, tmp_path, once("postgres", prepare), mosquitto) as made:
        yield made


async def test_every_change_reaches_whoever_is_entitled_and_nobody_else(
    site: Site, pytestconfig: pytest.Config
) -> None:
    """SUBS-020 … SUBS-028, WEBHOOK-021, WEBHOOK-022, WEBHOOK-032, MQTT-021 … MQTT-035, GEN-020."""
    chance = random.Random(pytestconfig.getoption("seed"))
    tokens = {BUSINESS_LOGIC: token(BUSINESS_LOGIC, Role.BL), **{home: token(home, Role.VEN) for home in HOMES}}
    hooks, topics = Hooks(chance), Topics(site.broker.url, PREFIX)
    socket = Socket(f"{site.base_url}/notifiers/ws", tokens[BUSINESS_LOGIC])
    receivers = (hooks, topics, socket)
    async with AsyncExitStack() as stack:
        for receiver in receivers:
            stack.push_async_callback(receiver.stop)
            await receiver.start()
        storm = Storm(site.base_url, tokens, BUSINESS_LOGIC, hooks, chance)
        writing = asyncio.create_task(storm.run(WRITERS))
        stack.callback(writing.cancel)
        while site.kills < pytestconfig.getoption("kills"):
            await storm.more(chance.randint(*UNDISTURBED))
            await asyncio.sleep(chance.uniform(0, 0.05))  # somewhere in the middle of the next ones
            await site.go_wrong(chance)
        await storm.more(UNDISTURBED[1])
        storm.stop()
        await writing
        await wait_until(site.has_delivered, timeout_s=SETTLED_S, what="no delivery is pending")
        await topics.caught_up()
        await socket.caught_up(site.audit.newest())
    entitled = Entitled(site.audit.changes(), frozenset({BUSINESS_LOGIC}))
    due = entitled.webhooks() | entitled.topics() | {WEBSOCKET: entitled.everything()}
    heard = {name: found for receiver in receivers for name, found in receiver.heard.items()}
    counts = verdict.counts(due, heard)
    log.info("%s, faults %s, answers %s", counts, dict(site.faults), dict(sorted(storm.answers.items())))
    wrong = [problem for receiver in receivers for problem in receiver.wrong]
    assert [*wrong, *verdict.problems(due, heard)] == []
    assert counts.certain > counts.due / 2, "the model knows too little of what was committed when"
