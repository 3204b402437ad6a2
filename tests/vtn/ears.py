"""Clients of the websocket, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from sqlalchemy import func, select

from openadr_client.websocket_receiver import end_code
from tests.vtn.harness import Parameters, Session, VtnUnderTest
from vtn.store.tables import notifications

_PATIENCE_S = 25.0


class Ear:
    """An open websocket. Its notifications are given without what the websocket adds to them."""

    def __init__(self, vtn: VtnUnderTest, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._vtn = vtn
        self.socket = socket
        self.opened: Any = None
        self.resume = ""
        self.ids: list[int] = []
        """The ids of what was told, which tell a repetition."""

    async def message(self) -> Any:
        """The next message of any kind."""
        async with asyncio.timeout(_PATIENCE_S):
            received = await self.socket.receive()
        assert received.type is aiohttp.WSMsgType.TEXT, f"no message, but {received}"
        message = json.loads(received.data)
        self.resume = message["resume"]
        return message

    async def notification(self) -> Any:
        """The next notification that was not told before, as the standard has it."""
        async with asyncio.timeout(_PATIENCE_S):
            while "status" in (message := await self.message()) or int(message["id"]) in self.ids:
                pass
        self.ids.append(int(message.pop("id")))
        del message["resume"]
        return message

    async def all(self) -> list[Any]:
        """All notifications of what was noted until now; a sign of life that comes after them ends the wait."""
        newest = await self._vtn.server._database.row(select(func.max(notifications.c.seq).label("seq")))
        found = []
        while True:
            message = await self.message()
            if "status" not in message:
                number = int(message.pop("id"))
                del message["resume"]
                if number not in self.ids:
                    self.ids.append(number)
                    found.append(message)
            elif newest is None or int(self.resume.partition("-")[0]) >= (newest["seq"] or 0):
                return found

    async def status(self, word: str) -> Any:
        """The next message of a status."""
        while (message := await self.message()).get("status") != word:
            pass
        return message

    async def end(self) -> int:
        """The code with which the server ends the connection."""
        async with asyncio.timeout(_PATIENCE_S):
            while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        code = end_code(self.socket, message)
        assert code is not None
        return code


@asynccontextmanager
async def listening(
    client: Session, params: Parameters | None = None, *, before: Ear | None = None, **options: Any
) -> AsyncIterator[Ear]:
    """A websocket that the server has opened; it goes on where the one ``before`` was."""
    if before is not None:
        params = {"after": before.resume}
    url = f"{client.vtn.base_url}/notifiers/ws"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, headers=client.headers, params=params, **options) as socket,
    ):
        ear = Ear(client.vtn, socket)
        ear.ids += [] if before is None else before.ids
        ear.opened = await ear.message()
        assert ear.opened["status"] == "OPEN"
        yield ear
