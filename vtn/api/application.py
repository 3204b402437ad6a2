"""The HTTP application: routes below every prefix; around each request its reference, its errors and its log line."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from vtn.access import Reader
from vtn.api import body, headers, problem
from vtn.api.answers import Answers
from vtn.api.door import Call, OpenRoute, Route
from vtn.api.request_log import RequestLog
from vtn.auth.limiter import Limiter
from vtn.errors import Malformed, Unavailable
from vtn.metrics import Metrics
from vtn.settings import Settings
from vtn.tls import ClientCertificates

_log = structlog.get_logger(__name__)

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_UNTIDY: Final = re.compile(r"/{2,}|(?<=.)/$")
_CLIENT: Final = web.RequestKey("client_id", str)


def application(
    settings: Settings,
    *,
    routes: Iterable[Route],
    open_routes: Iterable[OpenRoute],
    origin_routes: Iterable[OpenRoute],
    reader_of: Callable[[web.Request], Awaitable[Reader]],
    answers: Answers,
    root_routes: Iterable[Route] = (),
    metrics: Metrics | None = None,
    limiter: Limiter | None = None,
    certificates: ClientCertificates | None = None,
) -> web.Application:
    """Everything the server answers: ``routes`` and ``open_routes`` below the prefixes, the others as they are."""
    log = RequestLog()
    app = web.Application(client_max_size=settings.body_limit_bytes, middlewares=[_around(settings, metrics, log)])

    async def write_the_rest(_: web.Application) -> None:
        log.flush()

    app.on_cleanup.append(write_the_rest)
    app[body.TIMEOUT_S], app[body.NESTING] = settings.limits.body_s, settings.limits.nesting
    routes, open_routes = tuple(routes), tuple(open_routes)
    for prefix in settings.prefixes:
        base = (settings.public_url or "") + prefix
        for route in routes:
            _add(
                app, route.method, prefix + route.path, _guarded(route, base, reader_of, answers, limiter, certificates)
            )
        for open_route in open_routes:
            _add(app, open_route.method, prefix + open_route.path, open_route.handler)
    for open_route in origin_routes:
        _add(app, open_route.method, open_route.path, open_route.handler)
    for route in root_routes:
        _add(
            app,
            route.method,
            route.path,
            _guarded(route, settings.public_url or "", reader_of, answers, limiter, certificates),
        )
    return app


def _add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    if method == hdrs.METH_GET:
        app.router.add_get(path, handler)
    else:
        app.router.add_route(method, path, handler)


def _guarded(
    route: Route,
    base: str,
    reader_of: Callable[[web.Request], Awaitable[Reader]],
    answers: Answers,
    limiter: Limiter | None,
    certificates: ClientCertificates | None,
) -> Handler:
    """Who is asking and whether they may comes before anything else is looked at (GEN-009, MATRIX-003)."""

    async def handle(request: web.Request) -> web.StreamResponse:
        reader = await reader_of(request)
        request[_CLIENT] = reader.client_id
        if certificates is not None:
            certificates.check(request, reader.client_id)
        if limiter is not None:
            limiter.take(reader.client_id)
        route.permission.check(reader)
        return await route.handler(Call(request, reader, base, answers))

    return handle


def _around(settings: Settings, metrics: Metrics | None, log: RequestLog) -> Middleware:
    fixed = tuple(headers.fixed(settings).items())

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        reference = _uuid()
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else reference
        detail: str | None = None
        if metrics is not None:
            metrics.begin()
        try:
            response = await _tidily(request, handler)
        except Exception as error:  # the outermost edge: whatever it is, the caller gets a problem body
            refusal = problem.refusal(_readable(error), invalid_token_status=settings.auth.invalid_token_status)
            if isinstance(error, Unavailable):  # no traceback: while the database is away, every request says so
                _log.error("no database", reference=reference, path=request.path, cause=str(error.__cause__))
            elif refusal is None or refusal.status >= 500:
                _log.error(
                    "request failed", reference=reference, request_id=request_id, path=request.path, exc_info=error
                )
            refusal = refusal or problem.UNEXPECTED
            detail = refusal.detail
            accept = request.headers.get(hdrs.ACCEPT, "")
            response = problem.response(refusal, accept=accept, reference=reference)
        if metrics is not None:
            metrics.end(request.method, _route(request), response.status, time.perf_counter() - started)
        response.headers["X-Request-Id"] = request_id
        for name, value in fixed:
            response.headers[name] = value
        if settings.log_requests:
            log.add(
                request.method,
                request.path,
                status=response.status,
                duration_s=time.perf_counter() - started,
                client_id=request.get(_CLIENT),
                request_id=request_id,
                refusal=None if detail is None else (reference, detail),
            )
        return response

    return around


def _uuid() -> str:
    """A random UUID (version 4), in a third of the time the library takes."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _route(request: web.Request) -> str:
    """The path with its variables, the same for all objects."""
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical


async def _tidily(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle the request; a path with doubled or trailing slashes means the one without (COMPAT-022)."""
    if isinstance(request.match_info.http_exception, web.HTTPNotFound):
        tidy = _UNTIDY.sub(lambda match: "/" if match.end() < len(request.path) else "", request.path)
        if tidy != request.path:
            meant = request.clone(rel_url=request.rel_url.with_path(tidy).with_query(request.rel_url.query))
            match_info = await request.app.router.resolve(meant)
            if match_info.http_exception is None:
                meant._match_info = match_info  # noqa: SLF001 (the framework's own path middleware has no other way)
                match_info.add_app(request.app)
                return await match_info.handler(meant)
    return await handler(request)


def _readable(error: Exception) -> Exception:
    """A body that breaks off or is badly packed is the caller's mistake."""
    if isinstance(error, web.RequestPayloadError):
        return Malformed("the body cannot be read")
    return error
