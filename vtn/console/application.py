"""Answer below ``/console``: find who asks and whether they may, check that a form is ours, then call the page."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl
from uuid import uuid4

import structlog
from aiohttp import hdrs, web
from multidict import MultiDict, MultiDictProxy

from openadr_pages.headers import PRIVATE, SECURITY
from vtn.access import UserRole
from vtn.console import csrf
from vtn.console.audit import AuditTrail
from vtn.console.console import PATH, Console
from vtn.console.pages import PAGES
from vtn.console.pages_made import Pages
from vtn.console.routes import ConsoleRoute
from vtn.console.sessions import ConsoleSession, ConsoleSessions
from vtn.console.visit import Visit, Visitor
from vtn.errors import Forbidden, Malformed, UnsupportedMediaType
from vtn.http import problem
from vtn.http.aiohttp_internals import handler_of
from vtn.http.body import BUDGET, NESTING, TIMEOUT_S, Body
from vtn.http.entrance import CLIENT, Handle

_log = structlog.get_logger(__name__)

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20_000
_EMPTY: MultiDictProxy[str] = MultiDictProxy(MultiDict())
NOBODY = Visitor("", UserRole.VIEWER)


class ConsoleApplication:
    """All pages behind one handler."""

    def __init__(self, console: Console, outer: web.Application) -> None:
        self._console = console
        self._routes = [route for page in PAGES for route in page.ROUTES]
        self.pages = Pages(console, self._routes)
        self._sessions = ConsoleSessions(console)
        self._trail = AuditTrail(console)
        app = web.Application(client_max_size=max(route.most_bytes for route in self._routes))
        app[TIMEOUT_S], app[NESTING], app[BUDGET] = outer[TIMEOUT_S], outer[NESTING], outer[BUDGET]
        self._add(app, self._routes)
        app.freeze()
        self._handle = handler_of(app)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; whatever goes wrong becomes a page that says so."""
        try:
            return await self._handle(request)
        except web.HTTPNotFound as error:
            if request.path != PATH and request.path.endswith("/"):
                raise  # the entrance asks again, without the slash
            return self._problem(request, error)
        except Exception as error:  # the edge: people get a page, never a traceback
            return self._problem(request, error)

    def _add(self, app: web.Application, routes: Sequence[ConsoleRoute]) -> None:
        app.router.add_get(f"{PATH}/static/{{name}}", self.pages.serve_asset)
        for route in routes:
            path = PATH if route.path == "/" else PATH + route.path
            handler = self._guarded(route)
            if route.method == hdrs.METH_GET:
                app.router.add_get(path, handler)
            else:
                app.router.add_route(route.method, path, handler)

    def _guarded(self, route: ConsoleRoute) -> Handle:
        """Return a handler that knows who is asking, and refuses who may not, before the page is run."""

        async def handle(request: web.Request) -> web.StreamResponse:
            session = await self._sessions.of(request)
            if route.role is not None:
                if session is None:
                    return self._to_login(request)
                request[CLIENT] = f"console:{session.user_name}"
                if not session.role.may(route.role):
                    raise Forbidden(f"this needs the role {route.role}; {session.user_name} is {session.role}")
            posted = _EMPTY if request.method in {"GET", "HEAD"} else await self._posted(request, route, session)
            return await route.handler(self._visit(request, route, session, posted))

        return handle

    async def _posted(
        self, request: web.Request, route: ConsoleRoute, session: ConsoleSession | None
    ) -> MultiDictProxy[str]:
        """Read a form that comes from a page of ours; raises Forbidden for one from elsewhere."""
        if not csrf.is_from_here(request, self._console.addresses.reached_by(request)):
            raise Forbidden("the form comes from another site; open the page here and try again")
        if request.content_type != _FORM:
            raise UnsupportedMediaType(f"Content-Type: expected {_FORM}")
        async with Body(request, known=session is not None, packed=False, most=route.most_bytes) as body:
            try:
                pairs = parse_qsl(
                    body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MOST_FIELDS
                )
            except ValueError:
                raise Malformed("the form cannot be read: expected UTF-8 text, form-encoded") from None
        if any("\0" in name or "\0" in value for name, value in pairs):
            raise Malformed("the form has a zero character in it; expected text")
        form = MultiDictProxy(MultiDict(pairs))
        token = request.headers.get(csrf.HEADER) or form.get(csrf.FIELD) or ""
        if route.role is not None and (session is None or not csrf.is_valid(token, session.token)):
            raise Forbidden("the form is older than your session, or does not come from this page; open it again")
        return form

    def _visit(
        self,
        request: web.Request,
        route: ConsoleRoute,
        session: ConsoleSession | None,
        posted: MultiDictProxy[str],
    ) -> Visit:
        user = NOBODY if session is None else Visitor(session.user_name, session.role)
        now = self._console.now()
        return Visit(request, route, user, now, self._console, self.pages, self._trail, session, posted)

    def _to_login(self, request: web.Request) -> web.Response:
        """Send somebody who is not signed in to the login, which leads back here."""
        back = request.rel_url.raw_path_qs.removeprefix(PATH) if request.method == hdrs.METH_GET else ""
        if request.headers.get("HX-Request") == "true":
            address = self.pages.url("login")
            return web.Response(status=401, headers={"HX-Redirect": address} | SECURITY | PRIVATE)
        address = self.pages.url("login", to=back)
        return web.Response(status=303, headers={hdrs.LOCATION: address} | SECURITY | PRIVATE)

    def _problem(self, request: web.Request, error: Exception) -> web.StreamResponse:
        """Return a page that says what is wrong, as an answer of the API would."""
        refusal = problem.refusal(error, invalid_token_status=401)
        reference = uuid4().hex
        if refusal is None or refusal.status >= 500:
            _log.error("page of the console failed", reference=reference, path=request.path, exc_info=error)
        refusal = refusal or problem.UNEXPECTED
        route = ConsoleRoute(request.method, request.path, _no_page, role=None, title=refusal.title)
        visit = self._visit(request, route, None, _EMPTY)
        headers = {name: value for name, value in refusal.headers.items() if name in {"Allow", "Retry-After"}}
        shown = {"status_shown": refusal.status, "detail": refusal.detail, "reference": reference}
        return visit.render("problem.html", status=refusal.status, headers=headers, **shown)


async def _no_page(visit: Visit) -> web.StreamResponse:
    raise web.HTTPNotFound
