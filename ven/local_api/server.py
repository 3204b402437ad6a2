"""Serve the local API. On loopback a Host header of this machine is demanded, beyond it a token."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, cast

import structlog
from aiohttp import web

from openadr_profiles.v31 import Invalid, parse_instant
from ven.decision import OptScope
from ven.desk import OwnerDesk
from ven.local_api.connections import Connections
from ven.local_api.token import is_loopback, made_token
from ven.settings import LocalSettings

_log = structlog.get_logger(__name__)

_MOST_BYTES: Final = 16 * 1024
_MOST_STREAMS: Final = 8
_MOST_CONNECTIONS: Final = 32
_SILENT_S: Final = 10.0
_HEARTBEAT_S: Final = 15.0
_LISTEN_AGAIN_S: Final = 2.0
_GRACE_S: Final = 1.0
_OWN_SITES: Final = frozenset({"none", "same-origin"})
"""Hold what browsers say in Sec-Fetch-Site of requests that no page of another site has made."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalApi:
    """Serve one desk until cancelled."""

    def __init__(self, settings: LocalSettings, desk: OwnerDesk) -> None:
        self._settings = settings
        self._desk = desk
        self._token: str | None = None
        self._changed = asyncio.Event()
        self._streams = 0
        self._connections: Connections | None = None

    def tell(self) -> None:
        """Have streams look for changes: something may have happened."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; an address that cannot be used is logged once and tried again.

        Raises:
            VenError: the token's file cannot be used.
        """
        settings = self._settings
        if not is_loopback(settings.host):
            self._token = made_token(settings.token_file)
        app = web.Application(client_max_size=_MOST_BYTES, middlewares=[self._guarded])
        app.router.add_get("/status", self._status)
        app.router.add_get("/events", self._events)
        app.router.add_get("/history", self._history)
        app.router.add_get("/changes", self._changes)
        app.router.add_post("/opt", self._opt)
        app.router.add_post("/restore", self._restore)
        app.router.add_post("/give-back", self._give_back)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S, keepalive_timeout=_SILENT_S)
        await runner.setup()
        try:
            self._connections = Connections(cast(web.Server, runner.server), most=_MOST_CONNECTIONS, silent_s=_SILENT_S)
            listener = await self._listener(self._connections)
            try:
                await asyncio.Event().wait()
            finally:
                listener.close()
        finally:
            await runner.cleanup()

    async def _listener(self, connections: Connections) -> asyncio.Server:
        """Return what listens, once the port is free and the address is one of this machine."""
        host, port = self._settings.host, self._settings.port
        is_told = False
        while True:
            try:
                return await asyncio.get_running_loop().create_server(connections, host, port)
            except OSError as error:
                if not is_told:
                    _log.error("the local API cannot listen: tried again", host=host, port=port, problem=str(error))
                is_told = True
            await asyncio.sleep(_LISTEN_AGAIN_S)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse strangers, and answer every mistake with its name in JSON."""
        if self._connections is not None:
            self._connections.asked(request.transport)
        try:
            self._must_be_welcome(request)
            return await handler(request)
        except web.HTTPException as refusal:
            return web.json_response({"error": refusal.text or refusal.reason}, status=refusal.status)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    def _must_be_welcome(self, request: web.Request) -> None:
        """Keep web pages out (DNS rebinding, forged requests) and, beyond loopback, whoever has no token."""
        origin = request.headers.get("Origin")
        if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES or (
            origin is not None and origin.partition("://")[2] != request.host
        ):
            raise web.HTTPForbidden(text="Origin: expected no page of another site")
        if self._token is None:
            host = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
            if not is_loopback(host or request.host):
                raise web.HTTPMisdirectedRequest(text="Host: expected an address of this machine, as 127.0.0.1")
        else:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                raise web.HTTPUnauthorized(text="Authorization: expected Bearer and the token in local.token_file")
        if request.method == "POST" and request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="Content-Type: expected application/json")

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._desk.status())

    async def _events(self, _: web.Request) -> web.Response:
        return web.json_response(self._desk.events())

    async def _history(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "100")
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) <= 9):
            raise ValueError("limit: expected a whole number from 1 on")
        return web.json_response(self._desk.history(int(text)))

    async def _opt(self, request: web.Request) -> web.Response:
        given = await _members(request, {"scope", "opt", "reason", "until"})
        scope = OptScope.parse(_string(given, "scope", "") or "")
        word, reason, until = given.get("opt"), _string(given, "reason"), _string(given, "until")
        if word not in ("in", "out", "withdraw"):
            raise ValueError("opt: expected in, out or withdraw")
        if word == "withdraw":
            if not await self._desk.withdraw(scope):
                raise web.HTTPNotFound(text=f"scope: nothing was said about {scope}")
        else:
            await self._desk.opt(scope, opted_in=word == "in", reason=reason, until=_instant(until))
        return web.json_response(self._desk.status())

    async def _restore(self, request: web.Request) -> web.Response:
        given = await _members(request, {"reason"})
        return web.json_response(await self._desk.restore(_string(given, "reason")))

    async def _give_back(self, request: web.Request) -> web.Response:
        given = await _members(request, {"circuit"})
        circuit_id = _string(given, "circuit", "") or ""
        if not await self._desk.give_back(circuit_id):
            raise web.HTTPNotFound(text=f"circuit: {circuit_id[:80]!r} is not one that its owner has taken over")
        return web.json_response(self._desk.status())

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        """Send the status now and whenever it has changed, as server-sent events."""
        if self._streams >= _MOST_STREAMS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_STREAMS} streams are open already")
        self._streams += 1
        try:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            await answer.prepare(request)
            sent = ""
            while True:
                changed = self._changed
                status = json.dumps(self._desk.status())
                await answer.write(f"data: {status}\n\n".encode() if status != sent else b": still here\n\n")
                sent = status
                try:
                    async with asyncio.timeout(_HEARTBEAT_S):
                        await changed.wait()
                except TimeoutError:
                    continue
        except ConnectionError:  # it has gone away
            return answer
        finally:
            self._streams -= 1


async def _members(request: web.Request, known: set[str]) -> dict[str, Any]:
    """Return the JSON object of a request; raises ValueError naming what is wrong."""
    try:
        async with asyncio.timeout(_SILENT_S):
            text = await request.text()
        given = json.loads(text or "{}")
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body has not arrived within {_SILENT_S:g} s") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ValueError("the body: expected a JSON object")
    if unknown := sorted(given.keys() - known):
        raise ValueError(f"{unknown[0][:80]}: there is no such member; known are {', '.join(sorted(known))}")
    return given


def _string(given: dict[str, Any], name: str, default: str | None = None) -> str | None:
    value = given.get(name, default)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: expected text")
    return value


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except Invalid as error:
        raise ValueError(f"until: {error}") from None
