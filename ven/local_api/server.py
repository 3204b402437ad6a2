"""Serve the local API and the page of the VEN, to whom `LocalAdmission` lets in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Protocol, cast

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from openadr_client import Clock
from openadr_profiles.v31 import Invalid, parse_instant
from ven.decision import OptScope
from ven.desk import OwnerDesk
from ven.local_api.admission import LocalAdmission
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
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServedPage(Protocol):
    """Serve people in browsers, beside the programs that speak JSON; `ven.page` has it."""

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Have the requests for the page answered."""

    def is_mine(self, request: web.Request) -> bool:
        """Return True if a request is for the page."""

    def is_open(self, request: web.Request) -> bool:
        """Return True if everybody may see what a request is for."""

    def to_login(self, request: web.Request) -> web.StreamResponse:
        """Send a browser that is not signed in to where that is done."""

    async def refused(self, request: web.Request, status: int, problem: str) -> web.StreamResponse:
        """Show what is wrong with a request."""

    def tell(self) -> None:
        """Have open pages look for changes. Does nothing else, and does not raise."""

    def close(self) -> None:
        """Let go of what serves the page."""


class LocalApi:
    """Serve one desk until cancelled; ``page`` makes the page for whom its argument lets in."""

    def __init__(
        self, settings: LocalSettings, desk: OwnerDesk, *, clock: Clock, page: Callable[[LocalAdmission], ServedPage]
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._clock = clock
        self._make_page = page
        self._page: ServedPage | None = None
        self._changed = asyncio.Event()
        self._streams = 0
        self._connections: Connections | None = None

    def tell(self) -> None:
        """Have streams look for changes: something may have happened."""
        self._changed.set()
        self._changed = asyncio.Event()
        if self._page is not None:
            self._page.tell()

    async def run(self) -> None:
        """Listen until cancelled; an address that cannot be used is logged once and tried again.

        Raises:
            VenError: the token's file cannot be used.
        """
        settings = self._settings
        token = None if is_loopback(settings.host) else made_token(settings.token_file)
        pin = None if settings.pin is None else settings.pin.get_secret_value()
        admission = LocalAdmission(token, pin, self._clock)
        page = self._page = self._make_page(admission)
        app = web.Application(client_max_size=_MOST_BYTES, middlewares=[self._guarded(page, admission)])
        app.router.add_get("/status", self._status)
        app.router.add_get("/events", self._events)
        app.router.add_get("/history", self._history)
        app.router.add_get("/changes", self._changes)
        app.router.add_post("/opt", self._opt)
        app.router.add_post("/restore", self._restore)
        app.router.add_post("/give-back", self._give_back)
        page.add_to(app.router)
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
            page.close()

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

    def _guarded(self, page: ServedPage, admission: LocalAdmission) -> Middleware:
        """Return what refuses strangers, and answers every mistake with its name: in JSON, or as a page for people."""

        @web.middleware
        async def handle(request: web.Request, handler: _Handler) -> web.StreamResponse:
            if self._connections is not None:
                self._connections.asked(request.transport)
            is_shown = False  # whoever is kept out is told as little as can be
            try:
                admission.must_come_from_here(request)
                is_shown = page.is_mine(request)
                if not admission.is_welcome(request) and not page.is_open(request):
                    if is_shown and "Authorization" not in request.headers:
                        return page.to_login(request)
                    raise web.HTTPUnauthorized(text="Authorization: expected Bearer and the token in local.token_file")
                if request.method == "POST" and not is_shown and request.content_type != "application/json":
                    raise web.HTTPUnsupportedMediaType(text="Content-Type: expected application/json")
                return await handler(request)
            except web.HTTPException as refusal:
                status, problem = refusal.status, refusal.text or refusal.reason
            except ValueError as error:
                status, problem = 400, str(error)
            if is_shown:
                return await page.refused(request, status, problem)
            return web.json_response({"error": problem}, status=status)

        return handle

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
