"""The HTTP application: the routes of every version, each guarded by who may use it, behind one entrance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import hdrs, web

from vtn.access import NOBODY_KNOWN, Caller, anonymous
from vtn.api.collection import Call, OpenRoute, Route
from vtn.api.version import ApiVersion
from vtn.auth.rate_limiter import RateLimiter
from vtn.contacts import ContactRecorder
from vtn.errors import NotFound, Unauthenticated
from vtn.http import body, headers, problem
from vtn.http.aiohttp_internals import handler_of
from vtn.http.cors import CrossOrigin
from vtn.http.entrance import CLIENT, Entrance, Handle
from vtn.http.request_log import RequestLog
from vtn.http.sending import SendBudget
from vtn.http.tls import ClientCertificates
from vtn.metrics import Metrics
from vtn.settings import Settings


def application(
    settings: Settings,
    versions: Iterable[ApiVersion],
    *,
    origin_routes: Iterable[OpenRoute],
    caller_of: Callable[[web.Request], Awaitable[Caller]],
    budget: body.Budget,
    contacts: ContactRecorder,
    sending: SendBudget,
    metrics: Metrics | None = None,
    limiter: RateLimiter | None = None,
    anonymous_limiter: RateLimiter | None = None,
    certificates: ClientCertificates | None = None,
) -> tuple[web.Application, Entrance]:
    """Return everything the server answers: each version below its prefixes, ``origin_routes`` beside them."""
    app = web.Application(client_max_size=settings.body_limit_bytes)
    app[body.TIMEOUT_S], app[body.NESTING] = settings.limits.body_s, settings.limits.nesting
    app[body.BUDGET] = budget
    often: dict[str, Handle] = {}
    problem_writers: dict[str, problem.WriteProblem] = {}

    def add(method: str, path: str, handler: Handle) -> None:
        if method == hdrs.METH_GET:
            app.router.add_get(path, handler)
            if "{" not in path:
                often[path] = handler
        else:
            app.router.add_route(method, path, handler)

    public, origin = settings.public.programs, settings.public_url or ""

    def guarded(route: Route, protocol: str, base: str) -> Handle:
        with_token = _guarded(route, protocol, base, caller_of, contacts, sending, limiter, certificates)
        if not public or not route.permission.or_anonymous:
            return with_token
        return _or_public(with_token, route, base, anonymous(public), sending, anonymous_limiter)

    for version in versions:
        for prefix in version.prefixes:
            problem_writers[prefix] = version.write_problem
            for route in version.routes:
                add(route.method, prefix + route.path, guarded(route, version.name, origin + prefix))
            for open_route in version.open_routes:
                add(open_route.method, prefix + open_route.path, open_route.handler)
        for route in version.origin_routes:
            add(route.method, route.path, guarded(route, version.name, origin))
    for open_route in origin_routes:
        add(open_route.method, open_route.path, open_route.handler)

    log = RequestLog() if settings.log_requests else None
    if log is not None:
        app.on_cleanup.append(log.write_the_rest)
    return app, Entrance(
        handler_of(app),
        often,
        problem_writers=problem_writers,
        headers=headers.fixed(settings),
        invalid_token_status=settings.auth.invalid_token_status,
        metrics=metrics,
        log=log,
        cors=CrossOrigin(settings.cors) if settings.cors.origins else None,
    )


def _guarded(
    route: Route,
    protocol: str,
    base: str,
    caller_of: Callable[[web.Request], Awaitable[Caller]],
    contacts: ContactRecorder,
    sending: SendBudget,
    limiter: RateLimiter | None,
    certificates: ClientCertificates | None,
) -> Handle:
    """Return a handler that authenticates and authorises the caller before anything else (GEN-009, MATRIX-003).

    It notes the contact, and the problem if the request is refused.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await caller_of(request)
        client_id = request[CLIENT] = caller.client_id
        try:
            if certificates is not None:
                certificates.check(request, client_id)
            said = request.headers
            contacts.heard(client_id, protocol, software=said.get(hdrs.USER_AGENT), date=said.get(hdrs.DATE))
            if limiter is not None:
                limiter.take(client_id)
            route.permission.check(caller)
            return await route.handler(Call(request, caller, base, sending))
        except Exception as error:
            refusal = problem.refusal(error, invalid_token_status=401)
            if refusal is not None and _is_problem(route, refusal.status):
                asked = f"{route.method} {route.path}"
                contacts.refused(client_id, protocol, status=refusal.status, title=refusal.title, request=asked)
            raise

    return handle


def _is_problem(route: Route, status: int) -> bool:
    """Return True if a refusal is worth an operator's look.

    Not what happens in the best of fleets: an object that is gone when it is read or removed, an object that changed
    meanwhile, a client that hangs up. An error of the server is no problem of the client.
    """
    if status == 404:
        return route.method in {hdrs.METH_POST, hdrs.METH_PUT}
    return 400 <= status < 500 and status not in {412, problem.CLIENT_GONE}


def _or_public(
    with_token: Handle,
    route: Route,
    base: str,
    caller: Caller,
    sending: SendBudget,
    limiter: RateLimiter | None,
) -> Handle:
    """Extend a handler to callers without a token, who see what is public (COMPAT-017); an invalid token is refused.

    What is not public is answered like every request without a token, whether it exists or not. ``limiter`` counts by
    address.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        if hdrs.AUTHORIZATION in request.headers:
            return await with_token(request)
        route.permission.check(caller)
        if limiter is not None:
            limiter.take(request.remote or "")
        try:
            return await route.handler(Call(request, caller, base, sending))
        except NotFound:
            raise Unauthenticated(NOBODY_KNOWN) from None

    return handle
