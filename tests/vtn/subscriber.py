"""A subscriber's receiver, over real sockets, that keeps the notifications it accepts."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from tests.vtn.receiver import Receiver, echoing


class Subscriber(Receiver):
    """A receiver that answers the challenge, and keeps the notifications it accepts."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.answering = self._take

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await echoing(request)
        raw = await request.read()
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.raw.append(raw)
            self.got.append(json.loads(raw))
        return web.Response(status=status)

    def seen(self) -> list[tuple[str, str, str]]:
        """Return what was notified of, in order: operation, type and id of the object."""
        return [(one["operation"], one["objectType"], one["object"]["id"]) for one in self.got]
