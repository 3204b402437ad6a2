"""The HTTP interface of the bridge: what it knows, to read. Commands come from OpenADR events only."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
import structlog
from aiohttp import web

from bridge_mqtt.errors import ApiUnavailable, StoreUnavailable
from bridge_mqtt.health import Health
from bridge_mqtt.settings import ApiSettings
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.view import View
from openadr_profiles.panel import AckStatus
from openadr_profiles.panel.vocabulary import canonical_op

_log = structlog.get_logger(__name__)

_OPEN_TO_ALL = {"/health", "/ready"}
_MOST = 1_000
_USUAL = 100

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Listens while entered; raises ApiUnavailable if the address cannot be used."""

    def __init__(self, settings: ApiSettings, *, view: View, health: Health) -> None:
        self._settings = settings
        self._view = view
        self._health = health
        self._port = settings.port
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def run(self) -> None:
        """Answer requests until cancelled; if it was closed before, listen again on the same port."""
        if self._runner is None:
            await self._listen()
        try:
            await asyncio.get_running_loop().create_future()  # the requests have tasks of their own
        finally:
            await self._close()

    async def _listen(self) -> None:
        runner = web.AppRunner(self._application(), access_log=None)
        await runner.setup()
        host, port = self._settings.host, self._port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ApiUnavailable(f"the API cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._runner = runner
        self._port = runner.addresses[0][1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._port}"
        _log.info("API listens", url=self.url)

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard, _problems])
        application.add_routes(
            [
                web.get("/health", self._get_health),
                web.get("/ready", self._get_ready),
                web.get("/api/panels", self._get_panels),
                web.get("/api/panels/{venId}", self._get_panel),
                web.get("/api/events", self._get_events),
                web.get("/api/events/{eventId}", self._get_event),
                web.get("/api/events/{eventId}/acks", self._get_event_acks),
                web.get("/api/vens/{venId}/acks", self._get_panel_acks),
                web.get("/api/vens/{venId}/events", self._get_panel_acks),
                web.get("/api/quarantine", self._get_quarantine),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask for the token, if there is one, for everything but the health of the process."""
        token = self._settings.token
        if token is not None and request.path not in _OPEN_TO_ALL:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
                answer = _problem(401, "Unauthorized", "a bearer token is needed")
                answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
        return await handler(request)

    async def _get_health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"}, status=200 if self._health.running else 503)

    async def _get_ready(self, _: web.Request) -> web.Response:
        return _json(self._health.as_json(), status=200 if self._health.ready else 503)

    async def _get_panels(self, _: web.Request) -> web.Response:
        return _json(await self._view.panels())

    async def _get_panel(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        return _found(await self._view.panel(ven_id), f"no panel {ven_id!r}")

    async def _get_events(self, request: web.Request) -> web.Response:
        return _json(await self._view.events(_limit(request)))

    async def _get_event(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        return _found(await self._view.event(event_id), f"no event {event_id!r}")

    async def _get_event_acks(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        query = _ack_query(request, event_id=event_id)
        if not await self._view.knows_event(event_id):
            return _found(None, f"no event {event_id!r}")
        return await self._ack_page(query)

    async def _get_panel_acks(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        query = _ack_query(request, ven_id=ven_id)
        if not self._view.knows_panel(ven_id):
            return _found(None, f"no panel {ven_id!r}")
        return await self._ack_page(query)

    async def _get_quarantine(self, request: web.Request) -> web.Response:
        return _json(await self._view.quarantine(_limit(request)))

    async def _ack_page(self, query: AckQuery) -> web.Response:
        page = await self._view.acks(query)
        more = page[-1]["id"] if len(page) == query.limit else None
        return _json({"acks": page, "nextBefore": more})


class _BadQuery(ValueError):
    """A query parameter that cannot be used; the text names it."""


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except _BadQuery as error:
        return _problem(400, "Bad Request", str(error))
    except StoreUnavailable as error:
        _log.error("database not available", problem=str(error), path=request.path)
        return _problem(503, "Service Unavailable", "the database is not available")
    except web.HTTPException as error:
        return _problem(error.status, error.reason, f"{request.method} {request.path}")


def _ack_query(request: web.Request, *, ven_id: str | None = None, event_id: str | None = None) -> AckQuery:
    known = {"op", "status", "correlationId", "start", "end", "limit", "before", "eventId"}
    if unknown := set(request.query) - known:
        raise _BadQuery(f"{min(unknown)}: no such parameter; known are {', '.join(sorted(known))}")
    op, status = request.query.get("op"), request.query.get("status")
    if status is not None and status not in AckStatus.__members__.values():
        raise _BadQuery(f"status: {status!r} is none of {', '.join(AckStatus)}")
    return AckQuery(
        ven_id=ven_id,
        event_id=event_id or request.query.get("eventId"),
        op=None if op is None else canonical_op(op),
        status=status,
        correlation_id=request.query.get("correlationId"),
        start=_instant(request, "start"),
        end=_instant(request, "end"),
        before_id=_number(request, "before", 1, 2**63 - 1),
        limit=_limit(request),
    )


def _limit(request: web.Request) -> int:
    return _number(request, "limit", 1, _MOST) or _USUAL


def _number(request: web.Request, name: str, least: int, most: int) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise _BadQuery(f"{name}: {text!r} is not a number from {least} to {most}")
    return int(text)


def _instant(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _BadQuery(f"{name}: {text!r} is not an instant such as 2026-01-31T16:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _found(value: Any, problem: str) -> web.Response:
    return _json(value) if value is not None else _problem(404, "Not Found", problem)


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _problem(status: int, title: str, detail: str) -> web.Response:
    body = msgspec.json.encode({"status": status, "title": title, "detail": detail})
    return web.Response(body=body, status=status, content_type="application/problem+json")
