"""Files that are sent while they are made: bounded for each user, and ended with a reader that takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from aiohttp import web

from tests.support.waiting import wait_until
from vtn.console import exports
from vtn.console.exports import Exports
from vtn.errors import Malformed, TooManyRequests

PIECE = b"x" * 65536


class Site:
    """A server of files without end for users whose names are paths."""

    def __init__(self) -> None:
        self.exports = Exports()
        self.begun = self.ended = 0
        self.refused: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send a file."""
        try:
            return await self.exports.send(request, request.path, {}, self.pieces(request.query_string))
        except (TooManyRequests, Malformed) as error:
            self.refused.append(str(error))
            return web.Response(status=400)

    async def pieces(self, fault: str) -> AsyncGenerator[bytes, None]:
        """Yield pieces for ever, or until a fault."""
        self.begun += 1
        try:
            if fault == "first":
                raise Malformed("since: expected a time")
            while True:
                yield PIECE
                if fault == "later":
                    raise RuntimeError("the database is gone")
        finally:
            self.ended += 1

    async def asked(self, port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask for a file, and take nothing of it yet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self.writers.append(writer)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        return reader, writer


async def test_files_are_bounded_and_end_with_their_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at once of each user, and of all; one that nobody takes, or that cannot be made, ends its connection."""
    site = Site()
    app = web.Application()
    app.router.add_get("/{user}", site.send)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    port = runner.addresses[0][1]
    try:
        open_ = [await site.asked(port, "/anna") for _ in range(4)]
        await wait_until(lambda: site.begun == 4, timeout_s=30, what="four files of anna")
        fifth, _ = await site.asked(port, "/anna")
        assert (await fifth.readline()).startswith(b"HTTP/1.1 400")
        assert site.refused == ["4 files are being sent to you: wait for one of them, or end it"]
        with monkeypatch.context() as patch:
            patch.setattr(exports, "_IN_ALL", 4)
            bert, _ = await site.asked(port, "/bert")
            assert (await bert.readline()).startswith(b"HTTP/1.1 400")
        assert site.refused[1:] == ["too many files are being sent to others: try again later"]
        bert, writer = await site.asked(port, "/bert")
        assert (await bert.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        for _, writer in open_:
            writer.close()
        await wait_until(lambda: site.ended == 5, timeout_s=30, what="the end of files whose readers left")

        site.exports.taken_s = 0.2
        reader, _ = await site.asked(port, "/anna")  # and takes nothing
        await wait_until(lambda: site.ended == 6, timeout_s=30, what="the end of a file that nobody takes")
        assert not await ends_well(reader)
        site.exports.taken_s = 60.0
        reader, _ = await site.asked(port, "/anna?later")
        assert not await ends_well(reader)
        reader, _ = await site.asked(port, "/anna?first")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        assert site.ended == site.begun == 8
    finally:
        for writer in site.writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in site.writers), return_exceptions=True)
        await runner.cleanup()


async def ends_well(reader: asyncio.StreamReader) -> bool:
    """Return True if the body has its last piece, which is empty; a connection may be reset before."""
    try:
        return (await reader.read(-1)).endswith(b"0\r\n\r\n")
    except ConnectionError:
        return False
