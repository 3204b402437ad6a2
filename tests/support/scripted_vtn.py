"""A server that answers as a test says: for what a well-behaved VTN never does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedVtn:
    """Hands out tokens `token-1`, `token-2`, … and keeps every request; other paths are answered by `answer`."""

    def __init__(self) -> None:
        self.base_url = ""
        self.requests: list[tuple[str, str]] = []
        self.authorizations: list[str | None] = []
        self.token_forms: list[dict[str, str]] = []
        self.expires_in: float | None = 3600
        self.token_answer: Answerer | None = None
        self.server_info: Answerer | None = None
        self.answer: Answerer = _nothing

    @property
    def paths(self) -> list[str]:
        """Requests without those for tokens, as `GET /events`."""
        return [f"{method} {path}" for method, path in self.requests if not path.startswith("/auth/")]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs.removeprefix("/openadr3/3.1.0")
        self.requests.append((request.method, path))
        if path == "/auth/server":
            if self.server_info is not None:
                return await self.server_info(request)
            return web.json_response({"tokenURL": f"{self.base_url}/auth/token"})
        if path == "/auth/token":
            self.token_forms.append({name: str(value) for name, value in (await request.post()).items()})
            if self.token_answer is not None:
                return await self.token_answer(request)
            body: dict[str, Any] = {"access_token": f"token-{len(self.token_forms)}", "token_type": "Bearer"}
            if self.expires_in is not None:
                body["expires_in"] = self.expires_in
            return web.json_response(body)
        self.authorizations.append(request.headers.get("Authorization"))
        return await self.answer(request)


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.json_response([])


def problem(status: int, detail: str, **headers: str) -> web.Response:
    """A refusal as the standard wants it."""
    return web.json_response(
        {"title": "refused", "status": status, "detail": detail},
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def an_event(id_: str, **members: Any) -> dict[str, Any]:
    """A stored event as JSON."""
    return {
        "id": id_,
        "createdDateTime": "2026-01-01T00:00:00Z",
        "modificationDateTime": "2026-01-01T00:00:00Z",
        "objectType": "EVENT",
        "programID": "p",
        **members,
    }


def json_list(objects: Any) -> web.Response:
    return web.Response(text=json.dumps(objects), content_type="application/json")


@asynccontextmanager
async def scripted_vtn() -> AsyncIterator[ScriptedVtn]:
    """A running ScriptedVtn on a random port."""
    vtn = ScriptedVtn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vtn.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    vtn.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/openadr3/3.1.0"
    try:
        yield vtn
    finally:
        await runner.cleanup()
