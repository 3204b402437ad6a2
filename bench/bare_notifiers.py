"""The bare programs that notifications are compared with: they send what they are told, and know nobody's rights.

``python -m bench.bare_notifiers PORT`` is asked over HTTP: ``POST /webhooks`` sends one body again and again to each
URL, one after the other per URL; ``POST /mqtt`` publishes one payload to each topic, pipelined; ``GET /websocket``
holds a client, and ``POST /websockets`` sends one text to all that are held. Each answers with the seconds it took.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Sequence

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from bench.mqtt import connect, publish_packet

_MOST_BYTES = 64 * 1024 * 1024


class WebhookRun(msgspec.Struct, frozen=True):
    """Bodies to send: ``each`` of them to each URL. ``ca`` is a file of authorities."""

    urls: Sequence[str]
    body: str
    each: int
    ca: str


class MqttRun(msgspec.Struct, frozen=True):
    """A payload to publish to each of the topics, ``inflight`` of them on their way at once."""

    port: int
    topics: Sequence[str]
    payload: str
    inflight: int


class BareNotifiers:
    """The three of them."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.add_routes(
            [
                web.post("/webhooks", self._webhooks),
                web.post("/mqtt", self._mqtt),
                web.get("/websocket", self._websocket),
                web.post("/websockets", self._websockets),
            ]
        )
        return app

    async def _webhooks(self, request: web.Request) -> web.Response:
        run = msgspec.json.decode(await request.read(), type=WebhookRun)
        body, headers = run.body.encode(), {"Content-Type": "application/json"}
        connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=run.ca))
        started = time.perf_counter()
        async with aiohttp.ClientSession(connector=connector) as session:

            async def send(url: str) -> None:
                for _ in range(run.each):
                    async with session.post(url, data=body, headers=headers) as answer:
                        await answer.read()

            await asyncio.gather(*map(send, run.urls))
            return _took(started)

    async def _mqtt(self, request: web.Request) -> web.Response:
        run = msgspec.json.decode(await request.read(), type=MqttRun)
        payload = run.payload.encode()
        packets = [publish_packet(topic, payload, number) for number, topic in enumerate(run.topics)]
        publisher = await connect(run.port, run.inflight)
        try:
            started = time.perf_counter()
            await publisher.publish(packets)
            return _took(started)
        finally:
            publisher.close()

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        one = web.WebSocketResponse(compress=False)
        await one.prepare(request)
        self._sockets.add(one)
        try:
            async for _ in one:
                pass
        finally:
            self._sockets.discard(one)
        return one

    async def _websockets(self, request: web.Request) -> web.Response:
        text = await request.text()
        started = time.perf_counter()
        for one in self._sockets:
            await one.send_str(text)
        return _took(started)


def _took(started: float) -> web.Response:
    return web.json_response({"seconds": time.perf_counter() - started, "started": started})


async def _serve(port: int) -> None:
    runner = web.AppRunner(BareNotifiers().application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=8192).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
