"""Test the baselines of notifications: bare senders reach bare receivers, and every message is counted once."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench import mqtt
from bench.errors import WrongAnswer
from bench.hooks import Receivers
from bench.processes import Cores, MeasuredProcess, python
from bench.support.net import free_port
from bench.websockets import Crowd
from bench.wire import Address


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Address]:
    """A process of the bare programs."""
    cores, address = Cores.of_this_machine(), Address("127.0.0.1", free_port())
    process = MeasuredProcess(
        python("bench.bare_notifiers", str(address.port)), cores=cores.server | cores.others, log=tmp_path / "bare.log"
    )
    await process.start(address.host, address.port)
    try:
        yield address
    finally:
        process.stop()


async def ask(address: Address, what: str, document: object) -> Any:
    """Return what one of them answers."""
    async with aiohttp.ClientSession() as http, http.post(f"{address.url}/{what}", data=json.dumps(document)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_every_message_of_the_bare_publisher_comes_once(bare: Address, tmp_path: Path) -> None:
    """More than there are packet ids, and long enough for a length of three bytes."""
    payload, topics = "x" * 20_000, [f"a/{number}" for number in range(300)]
    cores = Cores.of_this_machine()
    with mqtt.broker(tmp_path, cores.server | cores.others) as broker:
        listener = await mqtt.listen(broker.port, "a/#", lambda topic: topic.endswith(b"7"))
        with closing(listener):
            listener.kept = []
            asked = {"port": broker.port, "topics": topics, "payload": payload, "inflight": 50}
            started = (await ask(bare, "mqtt", asked))["started"]
            await listener.until(len(topics))
            assert [(topic.decode(), text.decode()) for topic, text in listener.kept] == [
                (name, payload) for name in topics
            ]
            assert started < listener.times[0] <= listener.first_at <= listener.last_at <= listener.times[-1]
            listener.forget()
            listener.kept = None
            await ask(bare, "mqtt", asked | {"topics": ["a"] * 70_000, "payload": "", "inflight": 1000})
            await listener.until(70_000)
            assert len(listener.times) == 70_000


async def test_every_webhook_of_the_bare_client_is_taken_by_the_living(bare: Address, tmp_path: Path) -> None:
    receivers = Receivers(tmp_path / "receivers")
    living, dead = await receivers.living(3), receivers.dead(2)
    try:
        await ask(bare, "webhooks", {"urls": living, "body": "y" * 3000, "each": 20, "ca": str(receivers.ca)})
        await receivers.until(60)
        assert len(receivers.times) == 60
        tls = ssl.create_default_context(cafile=receivers.ca)
        refusing, silent = dead
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.post(refusing, data=b"", ssl=tls)
            with pytest.raises(TimeoutError):
                await http.post(silent, data=b"", ssl=tls, timeout=aiohttp.ClientTimeout(total=0.2))
    finally:
        await receivers.close()


async def test_every_websocket_of_a_crowd_hears_a_text_and_one_that_is_not_let_in_is_told(bare: Address) -> None:
    crowd = Crowd(bare, "/websocket")
    with closing(crowd):
        await crowd.join([{}] * 50)
        for text in ("short", "z" * 300, "z" * 70_000):
            crowd.forget()
            await ask(bare, "websockets", text)
            await crowd.until(50)
            assert len(crowd.times) == 50
    with pytest.raises(WrongAnswer, match=r"no websocket: b'HTTP/1[.]1 404"):
        await Crowd(bare, "/nowhere").join([{}])


async def test_a_listener_whose_broker_ends_does_not_wait_on(tmp_path: Path) -> None:
    cores = Cores.of_this_machine()
    with mqtt.broker(tmp_path, cores.server | cores.others) as broker:
        listener = await mqtt.listen(broker.port, "#", lambda _: False)
        waiting = asyncio.ensure_future(listener.until(1))
        await asyncio.sleep(0)
    with closing(listener), pytest.raises(WrongAnswer, match="the broker hung up"):
        await waiting
