"""The stream that keeps open pages up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio

from tests.support.waiting import wait_until
from tests.vtn.console.visitor import ConsoleUnderTest
from vtn.console.streams import ConsoleStreams
from vtn.store.console.sessions import SessionStore


class Lines:
    """Hold what a stream has said so far."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.text = ""
        self.is_over = False

    async def read(self) -> None:
        """Read until the stream ends."""
        async for part in self.response.content.iter_any():
            self.text += part.decode()
        self.is_over = True

    @property
    def topics(self) -> set[str]:
        """Every topic that was named."""
        data = [line.removeprefix("data:") for line in self.text.splitlines() if line.startswith("data:")]
        return {topic for line in data for topic in line.split()}


@asynccontextmanager
async def listening(console: ConsoleUnderTest) -> AsyncIterator[Lines]:
    """A stream that is open and read."""
    async with console._session.get(console._url("/stream", {}), headers=console._sent()) as response:
        assert response.status == 200, await response.text()
        lines = Lines(response)
        reading = asyncio.create_task(lines.read())
        await wait_until(lambda: lines.text, timeout_s=30, what="the beginning of the stream")
        yield lines
        reading.cancel()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def streams(console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ConsoleStreams]:
    """The streams of the server, which look after their pages more often; none is left behind."""
    streams = console.vtn.server._console_streams
    monkeypatch.setattr(streams, "heartbeat_s", 0.1)
    yield streams
    await wait_until(lambda: len(streams) == 0, timeout_s=30, what="no stream of a page that was closed")


async def test_a_page_hears_what_has_changed(console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By topic: a program is no ven, and a ven no program."""
    monkeypatch.setattr(ConsoleStreams, "unannounced", frozenset())
    async with listening(console) as lines:
        assert lines.response.content_type == "text/event-stream"
        await console.vtn.bl.program()
        await wait_until(lambda: lines.topics == {"events"}, timeout_s=30, what="events have changed")

        home = console.vtn.home()
        await home.ven()
        await wait_until(lambda: "vens" in lines.topics, timeout_s=30, what="vens have changed")
        assert "reports" not in lines.topics


async def test_a_page_is_reminded_of_what_other_hosts_do_not_tell(console: ConsoleUnderTest, kind: str) -> None:
    """They share a PostgreSQL; a file of SQLite has no other hosts."""
    async with listening(console) as lines:
        await wait_until(lambda: lines.text.count("\n\n") > 2, timeout_s=30, what="two heartbeats")
        assert lines.topics == ({"vens", "deliveries", "reports"} if kind == "postgresql" else set())


async def test_a_stream_ends_with_its_session(console: ConsoleUnderTest) -> None:
    """The page is told, so that it leads to the login."""
    async with listening(console) as lines:
        await SessionStore(console.vtn.server._database).end_of(console.name)

        await wait_until(lambda: lines.is_over, timeout_s=30, what="the end of the stream")
        assert lines.text.endswith("event: over\ndata:\n\n")


async def test_streams_are_bounded(
    console: ConsoleUnderTest, streams: ConsoleStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are told to look from time to time; when one ends there is room again."""
    monkeypatch.setattr(streams, "_most", 1)
    async with listening(console):
        refused = (await console.get("/stream")).ok(429)
        assert refused.headers["Retry-After"] == "15"

    await wait_until(lambda: len(streams) == 0, timeout_s=30, what="the stream of a page that was closed is forgotten")
    async with listening(console):
        assert len(streams) == 1


async def test_nobody_listens_without_a_session(console: ConsoleUnderTest) -> None:
    """Not even to topics."""
    assert (await console.stranger().get("/stream")).ok(303).leads_to.startswith("/console/login")


async def test_a_stream_ends_with_its_session_while_there_is_news(
    console: ConsoleUnderTest, streams: ConsoleStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy server has news without a pause: the session is looked at all the same."""
    monkeypatch.setattr(streams, "heartbeat_s", 0.5)

    def is_over_amid_news() -> bool:
        for each in streams._open:
            each.tell(frozenset({"vens"}))
        return lines.is_over

    async with listening(console) as lines:
        await SessionStore(console.vtn.server._database).end_of(console.name)

        await wait_until(is_over_amid_news, timeout_s=30, what="the end of the stream")
        assert "event: over" in lines.text
