"""Pages about panels, for people: a list, and one panel with its circuits, power, events and acknowledgments."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from bridge_mqtt.api.answers import answer
from bridge_mqtt.api.browser_sessions import COOKIE
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.parameters import SKIP, before_id, number
from bridge_mqtt.api.refusals import ApiRefusal, Away, NoSuchThing, NotAllowed, NoToken, WrongQuestion
from bridge_mqtt.api.route import ApiRoute, Handler, Parameter, Right
from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.page.words import in_words
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.view import View
from bridge_mqtt.view.shapes import HistoryPoint
from ven.page.forms import read_form
from ven.page.rendering import PREFIX, PageRenderer, root_of

_TAG: Final = "pages"
_PANELS: Final = 50
_ANSWERS: Final = 10
_ACKS: Final = 20
_LONGEST_SEARCH: Final = 100
_SPANS: Final = {"24h": (timedelta(hours=24), 300), "7d": (timedelta(days=7), 1800)}
_OWN_SITES: Final = frozenset({"none", "same-origin"})
_SHED: Final = "shedPanel"


class PanelPages:
    """Answer browsers. They read only: what changes something has a path of the API, and needs a token."""

    def __init__(self, view: View, guard: Guard, now: Callable[[], datetime]) -> None:
        self._view = view
        self._guard = guard
        self._now = now
        self._renderer = PageRenderer(Path(__file__).parent)

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes; each asks the guard itself, so that a browser is sent to the form to sign in."""
        panel = f"/{PREFIX}panels/{{venId}}"
        return (
            self._route("GET", "/", self._list, "skip", "search"),
            self._route("GET", panel, self._panel, "before", "span"),
            self._route("GET", f"{panel}/power.json", self._power, "span"),
            self._route("GET", f"{panel}/power.csv", self._power_file, "span"),
            self._route("GET", f"/{PREFIX}login", self._login, is_open=True),
            self._route("POST", f"/{PREFIX}login", self._sign_in, is_open=True),
            self._route("POST", f"/{PREFIX}logout", self._sign_out, is_open=True),
            self._route("GET", f"/{PREFIX}static/{{name}}", self._renderer.asset, is_open=True),
        )

    def _route(self, method: str, path: str, handle: Handler, *names: str, is_open: bool = False) -> ApiRoute:
        parameters = tuple(Parameter(name=name, text="", schema=SKIP.schema) for name in names)
        return ApiRoute(
            method=method,
            path=path,
            handle=self._for_people(handle, is_open=is_open),
            summary="A page",
            tag=_TAG,
            right=Right.OPEN,
            parameters=parameters,
        )

    def _for_people(self, handle: Handler, *, is_open: bool) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return a handler that lets in whom the guard lets in, and shows refusals as pages."""

        async def shown(request: web.Request) -> web.StreamResponse:
            try:
                if not is_open:
                    await self._guard.admit(request, Right.READ)
                return await handle(request)
            except NoToken:
                return self._to_login(request)
            except (NotAllowed, WrongQuestion, NoSuchThing) as refusal:
                return await self._refused(request, refusal)
            except StoreUnavailable:
                return await self._refused(request, Away("the database is not available"))

        return shown

    def _to_login(self, request: web.Request) -> web.StreamResponse:
        address = f"{root_of(request.rel_url.raw_path)}{PREFIX}login"
        if request.headers.get("HX-Request") == "true":
            return web.Response(status=401, headers={"HX-Redirect": address})
        return web.Response(status=303, headers={"Location": address})

    async def _refused(self, request: web.Request, refusal: ApiRefusal) -> web.StreamResponse:
        values = self._frame(request, "This cannot be done") | {"detail": str(refusal)}
        return await self._renderer.answer(
            request, "refused.html", values, status=refusal.status, headers=refusal.headers
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        skip = number(request, "skip", 0, 2**31 - 1) or 0
        search = request.query.get("search", "").strip()[:_LONGEST_SEARCH]
        found = await self._view.panels.panels(skip=skip, limit=_PANELS + 1, search=search)
        more = f"&{urlencode({'search': search})}" if search else ""
        values = self._frame(request, "Panels") | {
            "panels": found[:_PANELS],
            "search": search,
            "network": await self._view.stats.network(),
            "current": await self._view.events.current(),
            "page": {
                "number": skip // _PANELS + 1,
                "earlier_url": f"?skip={max(skip - _PANELS, 0)}{more}" if skip else None,
                "later_url": f"?skip={skip + _PANELS}{more}" if len(found) > _PANELS else None,
            },
        }
        return await self._renderer.answer(request, "panels.html", values)

    async def _panel(self, request: web.Request) -> web.StreamResponse:
        ven_id, span, before = request.match_info["venId"], _span(request), before_id(request)
        panel = await self._view.panels.panel(ven_id)
        ven = await self._view.panels.ven(ven_id)
        if panel is None or ven is None:
            raise NoSuchThing(f"there is no panel {ven_id[:128]!r}")
        query = AckQuery(ven_id=ven_id, with_event=True, before_id=before, limit=_ANSWERS)
        answers = await self._view.records.acks(query)
        words, tone = in_words(panel)
        values = self._frame(request, str(panel["name"] or ven_id)) | {
            "panel": panel,
            "shed": ven.metrics.shed_load_ids,
            "gives": {each.id: each.shed_capability_kw for each in ven.loads},
            "words": words,
            "tone": tone,
            "span": span,
            "spans": tuple(_SPANS),
            "answers": answers,
            "names": await self._view.records.event_names({each["eventId"] for each in answers}),
            "shed_op": _SHED,
            "older": answers[-1]["id"] if len(answers) == _ANSWERS else None,
            "is_older": before is not None,
            "acks": await self._view.records.acks(AckQuery(ven_id=ven_id, limit=_ACKS)),
        }
        return await self._renderer.answer(request, "panel.html", values)

    async def _power(self, request: web.Request) -> web.StreamResponse:
        points, step_s = await self._points(request)
        start, end, _ = self._steps(request)
        by_step = {int(each.timestamp.timestamp()) // step_s: each for each in points}
        steps = range(int(start.timestamp()) // step_s, -(-int(end.timestamp()) // step_s))
        return answer(
            {
                "times": [step * step_s for step in steps],
                "series": [
                    {
                        "label": "Drawn",
                        "unit": "kW",
                        "kind": "other",
                        "values": [None if (at := by_step.get(step)) is None else at.used_power_kw for step in steps],
                    },
                    {
                        "label": "Asked to give",
                        "unit": "kW",
                        "kind": "requested",
                        "values": [
                            None if (at := by_step.get(step)) is None else at.requested_reduction_kw for step in steps
                        ],
                    },
                ],
                "shades": _shades(points, step_s),
                "source": f"Measured by the panel: means of {step_s // 60} min, in kW.",
            }
        )

    async def _power_file(self, request: web.Request) -> web.StreamResponse:
        points, _ = await self._points(request)
        text = StringIO()
        table = csv.writer(text)
        table.writerow(["time", "drawn_kw", "shed_kw_as_the_panel_says", "asked_kw", "event_id"])
        for each in points:
            powers = (each.used_power_kw, each.shed_power_kw, each.requested_reduction_kw)
            table.writerow([f"{each.timestamp:%Y-%m-%dT%H:%M:%SZ}", *map(_text, powers), _cell(each.event_id or "")])
        headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="power.csv"'}
        return web.Response(text=text.getvalue(), content_type="text/csv", headers=headers)

    async def _points(self, request: web.Request) -> tuple[tuple[HistoryPoint, ...], int]:
        ven_id = request.match_info["venId"]
        if not self._view.panels.knows(ven_id):
            raise NoSuchThing(f"there is no panel {ven_id[:128]!r}")
        found = await self._view.history.panel(ven_id, *self._steps(request))
        return found.points, found.step_s

    def _steps(self, request: web.Request) -> tuple[datetime, datetime, int]:
        length, step_s = _SPANS[_span(request)]
        end = self._now()
        return end - length, end, step_s

    async def _login(self, request: web.Request) -> web.StreamResponse:
        return await self._asked(request, 200, None)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        _must_be_from_here(request)
        sessions = self._guard.sessions
        try:
            token = (await read_form(request, ("secret",))).get("secret", "")
            await self._guard.admit_token(request, token)
        except web.HTTPException as error:
            return await self._asked(request, error.status, error.text)
        except ValueError as error:
            return await self._asked(request, 422, str(error))
        except (NoToken, NotAllowed):  # who has a right one is not kept out by those who guess
            if not sessions.is_open():
                problem = "Too many wrong tokens: try again in a minute."
                return await self._asked(request, 429, problem, {"Retry-After": "60"})
            sessions.note_wrong()
            return await self._asked(request, 401, "This is no token with which one may read here.")
        found = web.Response(status=303, headers={"Location": root_of(request.rel_url.raw_path)})
        sessions.give(found, sessions.begin(token), secure=request.secure)
        return found

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        _must_be_from_here(request)
        self._guard.sessions.end(request)
        found = web.Response(status=303, headers={"Location": f"{root_of(request.rel_url.raw_path)}{PREFIX}login"})
        found.del_cookie(COOKIE, path="/")
        return found

    async def _asked(
        self, request: web.Request, status: int, refusal: str | None, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        values = self._frame(request, "Sign in") | {"refusal": refusal}
        return await self._renderer.answer(request, "login.html", values, status=status, headers=headers)

    def _frame(self, request: web.Request, title: str) -> dict[str, Any]:
        return {
            "title": title,
            "system": "Panels",
            "now": self._now(),
            "zone": UTC,
            "csrf_token": "",
            "said": None,
            "refusal": None,
            "may_leave": self._guard.sessions.token_of(request) is not None,
        }


def _must_be_from_here(request: web.Request) -> None:
    """Keep forms of other sites out; raises NotAllowed."""
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES or (
        origin is not None and origin.partition("://")[2] != request.host
    ):
        raise NotAllowed("Origin: expected no page of another site")


def _span(request: web.Request) -> str:
    span = request.query.get("span", "24h")
    if span not in _SPANS:
        raise WrongQuestion(f"span: {span[:40]!r} is none of {', '.join(_SPANS)}")
    return span


def _shades(points: Iterable[HistoryPoint], step_s: int) -> list[dict[str, Any]]:
    """Return the times in which the panel showed an event."""
    shades: list[dict[str, Any]] = []
    for each in points:
        if each.event_id is None:
            continue
        at = int(each.timestamp.timestamp())
        if shades and shades[-1]["label"] == each.event_id and shades[-1]["to"] >= at:
            shades[-1]["to"] = at + step_s
        else:
            shades.append({"from": at, "to": at + step_s, "label": each.event_id})
    return shades


def _text(kw: float | None) -> str:
    return "" if kw is None else f"{kw:.3f}"


def _cell(text: str) -> str:
    """Return a text as a cell that no program for tables takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
