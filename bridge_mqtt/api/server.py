"""The HTTP server of the bridge: listens, asks who is there, and answers every mistake with its name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Self

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge_mqtt.api.answers import problem
from bridge_mqtt.api.cors import cors
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.refusals import ApiRefusal, Away, WrongQuestion
from bridge_mqtt.api.route import ApiRoute, Handler, Right
from bridge_mqtt.errors import ApiUnavailable, NotLeading, StoreBusy, StoreUnavailable
from bridge_mqtt.settings import ApiSettings

_log = structlog.get_logger(__name__)

MOST_BYTES = 64 * 1024
"""The largest body that is read."""
_GRACE_S = 1.0
_SILENT_S = 30.0
ANSWER_WITHIN_S = 20.0
"""A question that takes longer is given up."""


class Api:
    """Listens while entered; raises ApiUnavailable if the address cannot be used."""

    def __init__(
        self,
        settings: ApiSettings,
        routes: Sequence[ApiRoute],
        guard: Guard,
        *,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._guard = guard
        self._answer_within_s = answer_within_s
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
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            logger=_quiet_logger(),
            shutdown_timeout=_GRACE_S,
            keepalive_timeout=_SILENT_S,
        )
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
        application = web.Application(
            client_max_size=MOST_BYTES, middlewares=[cors(self._settings.allowed_origins), _refusals]
        )
        for route in self._routes:
            handle = self._guarded(route)
            for path in {route.path, f"{route.path}/"}:
                application.router.add_route(route.method, path, handle)
        return application

    def _guarded(self, route: ApiRoute) -> Handler:
        """Return a handler that first looks at who asks, and whether the query has only what the route knows."""

        async def handle(request: web.Request) -> web.StreamResponse:
            await self._guard.admit(request, route.right)
            if unknown := set(request.query) - route.names:
                known = f"known are {', '.join(sorted(route.names))}" if route.names else "there are none here"
                raise WrongQuestion(f"{min(unknown)[:80]}: no such parameter; {known}")
            if route.right is Right.WRITE:  # its parts have limits of their own, and none is broken off half done
                return await route.handle(request)
            limit = asyncio.timeout(self._answer_within_s)
            try:
                async with limit:
                    return await route.handle(request)
            except (TimeoutError, StoreUnavailable):
                if not limit.expired():
                    raise
                raise Away(f"there was no answer within {self._answer_within_s:g} s; ask for less at once") from None

        return handle


def _quiet_logger() -> logging.Logger:
    """Return a logger for the server that leaves out requests that are no HTTP: anybody can send any number of them."""
    logger = logging.getLogger("aiohttp.server.bridge")
    logger.addFilter(_is_no_nonsense)
    return logger


def _is_no_nonsense(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class _OfHttp(ApiRefusal):
    """A refusal of the HTTP library: no such path or method, or a body that is too large."""

    def __init__(self, error: web.HTTPException, request: web.Request) -> None:
        super().__init__(f"{request.method} {request.path}")
        self.status, self.title = error.status, error.reason
        if isinstance(error, web.HTTPMethodNotAllowed):
            self.headers["Allow"] = ", ".join(sorted(error.allowed_methods))


class _Unexpected(ApiRefusal):
    """A fault of ours; what it is stands in the log only."""

    status, title = 500, "Internal Server Error"


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiRefusal as refusal:
        return problem(refusal)
    except StoreUnavailable as error:
        if not isinstance(error, StoreBusy):
            _log.error("database not available", problem=str(error), path=request.path)
        return problem(Away(str(error) if isinstance(error, StoreBusy) else "the database is not available"))
    except NotLeading as error:
        return problem(Away(f"nothing was changed: {error}"))
    except web.HTTPException as error:
        return problem(_OfHttp(error, request))
    except Exception as error:
        _log.error("request failed", path=request.path, exc_info=error)
        return problem(_Unexpected(f"{request.method} {request.path} failed here; the log says why"))
