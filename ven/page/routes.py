"""Serve the page of a VEN: what happens and why, and what its owner can say to it, with or without JavaScript."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiohttp import web

from openadr_client import Clock
from ven.control import Control
from ven.decision import OptScope
from ven.desk import OwnerDesk
from ven.local_api.admission import COOKIE, SESSION_S, LocalAdmission, TriedTooOften, WrongSecret
from ven.page import power, trial
from ven.page.changes import PageChanges
from ven.page.forms import CSRF, instant_of, read_form
from ven.page.rendering import PREFIX, PageRenderer, root_of
from ven.page.sentence import in_words
from ven.page.survey import MOST_EVENTS, PageSurvey
from ven.panel.power_trace import PowerTrace
from ven.settings import VenSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOME: Final = "/"
_AT: Final = f"/{PREFIX}"
LOGIN: Final = f"{_AT}login"
_OPEN: Final = (LOGIN, f"{_AT}static/")
_FIRST_EVENTS: Final = 5
_DECISIONS: Final = 50
_MOST_STREAMS: Final = 8
_HEARTBEAT_S: Final = 15.0
_AT_LEAST_S: Final = 1.0
_MOST_SKIPPED: Final = 100_000
_SAID: Final = {
    "in": "Taking part: it counts at once.",
    "out": "Not taking part: circuits that were limited for it return.",
    "withdraw": "The rules in the settings decide again.",
    "restored": "Out of every event that is under way: circuits return.",
    "given-back": "The circuit may be limited again.",
}


class VenPage:
    """Answer the requests for the page; ``admission`` tells who may ask, and `LocalApi` has asked it."""

    def __init__(
        self, settings: VenSettings, control: Control, desk: OwnerDesk, clock: Clock, admission: LocalAdmission
    ) -> None:
        self._settings = settings
        self._control = control
        self._desk = desk
        self._clock = clock
        self._admission = admission
        self._zone: tzinfo = ZoneInfo(settings.opt.timezone)
        self._survey = PageSurvey(control, desk, ven_name=settings.ven_name)
        self._renderer = PageRenderer(Path(__file__).parent)
        self._changes = PageChanges(control, desk)
        self._streams = 0

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Have the requests for the page answered."""
        for path, read in {
            HOME: self._home,
            f"{_AT}events": self._events,
            f"{_AT}history": self._history,
            f"{_AT}simulate": self._simulate,
            f"{_AT}power.json": self._power_json,
            f"{_AT}power.csv": self._power_csv,
            f"{_AT}changes": self._stream,
            f"{_AT}static/{{name}}": self._renderer.asset,
            LOGIN: self._login,
        }.items():
            router.add_get(path, read)
        acts: dict[str, tuple[tuple[str, ...], Callable[[web.Request, dict[str, str]], Awaitable[str]]]] = {
            "opt": (("scope", "opt", "reason", "until"), self._opt),
            "restore": (("reason",), self._restore),
            "give-back": (("circuit",), self._give_back),
        }
        for name, (fields, act) in acts.items():
            router.add_post(f"{_AT}{name}", self._acting(fields, act))
        router.add_post(LOGIN, self._sign_in)
        router.add_post(f"{_AT}logout", self._sign_out)

    def is_mine(self, request: web.Request) -> bool:
        """Return True if a request is for the page, so that a browser is to be answered."""
        return request.path == HOME or request.path.startswith(_AT)

    def is_open(self, request: web.Request) -> bool:
        """Return True if the request is for what everybody may see: the form to sign in, and the files of pages."""
        return request.path.startswith(_OPEN)

    def to_login(self, request: web.Request) -> web.StreamResponse:
        """Send a browser that is not signed in to the form; a live update of a page as well."""
        address = f"{root_of(request.path)}{PREFIX}login"
        if request.headers.get("HX-Request") == "true":
            return web.Response(status=401, headers={"HX-Redirect": address})
        return web.Response(status=303, headers={"Location": address})

    async def refused(self, request: web.Request, status: int, problem: str) -> web.StreamResponse:
        """Show what is wrong with a request, in words."""
        values = self._frame(request, title="This cannot be done", place="") | {"detail": problem}
        return await self._renderer.answer(request, "refused.html", values, status=status)

    def tell(self) -> None:
        """Have open pages look for changes."""
        self._changes.tell()

    def close(self) -> None:
        """Let go of what serves the page."""
        self._renderer.close()

    async def _home(self, request: web.Request) -> web.StreamResponse:
        return await self._shown(request, status=200)

    async def _shown(
        self, request: web.Request, *, status: int, refusal: str | None = None, typed: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        now = self._clock.now()
        situation = self._survey.situation(now, most_events=_FIRST_EVENTS)
        words, tone = in_words(situation, self._zone)
        span = request.query.get("span", "24h")
        values = self._frame(request, title="Now", place="home") | {
            "situation": situation,
            "words": words,
            "tone": tone.value,
            "span": span if span in power.SPANS else "24h",
            "spans": tuple(power.SPANS),
            "refusal": refusal,
            "typed": typed or {},
            "has_trace": self._control.trace is not None and self._control.trace.earliest is not None,
        }
        return await self._renderer.answer(request, "home.html", values, status=status)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        skip = _skipped(request)
        situation = self._survey.situation(self._clock.now(), skip=skip)
        values = self._frame(request, title="Events", place="events") | {
            "situation": situation,
            "typed": {},
            "page": _pager(skip, MOST_EVENTS, situation.event_count > skip + MOST_EVENTS),
        }
        return await self._renderer.answer(request, "events.html", values)

    async def _history(self, request: web.Request) -> web.StreamResponse:
        skip = _skipped(request)
        past = self._control.agenda.history
        rows = past[::-1][skip : skip + _DECISIONS]
        values = self._frame(request, title="History", place="history") | {
            "rows": rows,
            "page": _pager(skip, _DECISIONS, len(past) > skip + _DECISIONS),
        }
        return await self._renderer.answer(request, "history.html", values)

    async def _simulate(self, request: web.Request) -> web.StreamResponse:
        fields = {name: value.strip() for name, value in request.query.items() if value.strip()}
        refusal, simulation, rows = None, None, []
        now, settings = self._clock.now(), self._settings
        if fields:
            try:
                if unknown := fields.keys() - set(trial.FIELDS):
                    raise ValueError(f"{min(unknown)[:80]}: there is no such field")
                event = trial.event_of(fields, settings, now, self._zone)
                drawn_kw = self._control.curtailer.undisturbed_kw(now)
                simulation = await self._renderer.work(trial.try_out, event, settings, drawn_kw, now)
                rows = trial.rows(simulation, settings)
            except ValueError as error:
                refusal = str(error)
        values = self._frame(request, title="Simulate", place="simulate") | {
            "kinds": trial.KINDS,
            "typed": fields,
            "refusal": refusal,
            "simulation": simulation,
            "rows": rows,
        }
        return await self._renderer.answer(request, "simulate.html", values, status=422 if refusal else 200)

    async def _power_json(self, request: web.Request) -> web.StreamResponse:
        span, now = _span(request), self._clock.now()
        trace = self._must_trace()
        shades = list(self._shades())
        text = await self._renderer.work(power.chart, trace.snapshot(), shades, now, span, self._settings.opt.timezone)
        answer = web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-store"})
        answer.enable_compression()
        return answer

    async def _power_csv(self, request: web.Request) -> web.StreamResponse:
        span, now = _span(request), self._clock.now()
        text = await self._renderer.work(power.minutes, self._must_trace().snapshot(), now, span)
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="power-{span}.csv"'}
        return web.Response(text=text, content_type="text/csv", headers=headers)

    def _must_trace(self) -> PowerTrace:
        if self._control.trace is None:
            raise web.HTTPNotFound(text="there is no trace of power: it is kept with local.port only")
        return self._control.trace

    def _shades(self) -> Iterable[power.Shade]:
        """Yield the times of the events that are and were taken part in, those that are over first."""
        agenda = self._control.agenda
        latest = {each.event_id: each for each in agenda.history if each.event_id not in agenda}
        for past in latest.values():
            if past.decision.opted_in and not past.reports_only and past.start != past.end:
                yield power.Shade(past.start, past.end, past.event_name or "Event")
        for received, timeline, decision in agenda.events():
            if decision.opted_in and not timeline.cancelled:
                yield power.Shade(timeline.start, timeline.end, received.event.event_name or "Event")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send the topics of what has changed, as server-sent events."""
        if self._streams >= _MOST_STREAMS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_STREAMS} streams are open already")
        self._streams += 1
        try:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            await answer.prepare(request)
            await answer.write(b": listening\n\n")
            known = self._changes.now()
            while True:
                told, found = self._changes.next, self._changes.now()
                topics = " ".join(topic for topic, what in found.items() if known[topic] != what)
                known = found
                if topics:
                    await answer.write(f"event: changed\ndata: {topics}\n\n".encode())
                    await asyncio.sleep(_AT_LEAST_S)
                    continue
                try:
                    async with asyncio.timeout(_HEARTBEAT_S):
                        await told.wait()
                except TimeoutError:
                    await answer.write(b": still here\n\n")
        except ConnectionError:  # it has gone away
            return answer
        finally:
            self._streams -= 1

    def _acting(self, fields: tuple[str, ...], act: Callable[[web.Request, dict[str, str]], Awaitable[str]]) -> Handler:
        """Return a handler for a form: what it has done is said on the page, and so is what is wrong with it."""

        async def handle(request: web.Request) -> web.StreamResponse:
            given: dict[str, str] = {}
            try:
                given = await read_form(request, fields)
                self._admission.must_be_our_form(request, given.pop(CSRF, ""))
                said = await act(request, given)
            except ValueError as error:
                return await self._shown(request, status=422, refusal=str(error), typed=given)
            return web.Response(status=303, headers={"Location": f"{root_of(request.path)}?said={said}"})

        return handle

    async def _opt(self, _: web.Request, given: dict[str, str]) -> str:
        word = given.get("opt", "")
        scope = OptScope.parse(given.get("scope", ""))
        if word not in ("in", "out", "withdraw"):
            raise ValueError("opt: expected in, out or withdraw")
        if word == "withdraw":
            if not await self._desk.withdraw(scope):
                raise ValueError(f"scope: nothing was said about {scope}")
        else:
            until = instant_of(given, "until", self._zone)
            await self._desk.opt(scope, opted_in=word == "in", reason=given.get("reason"), until=until)
        return word

    async def _restore(self, _: web.Request, given: dict[str, str]) -> str:
        await self._desk.restore(given.get("reason"))
        return "restored"

    async def _give_back(self, _: web.Request, given: dict[str, str]) -> str:
        circuit_id = given.get("circuit", "")
        if not await self._desk.give_back(circuit_id):
            raise ValueError(f"circuit: {circuit_id[:80]!r} is not one that its owner has taken over")
        return "given-back"

    async def _login(self, request: web.Request) -> web.StreamResponse:
        if self._admission.is_welcome(request):
            return web.Response(status=303, headers={"Location": root_of(request.path)})
        return await self._asked_to_sign_in(request, 200, None)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        headers = {}
        try:
            given = await read_form(request, ("secret",))
            self._admission.must_be_our_form(request, given.pop(CSRF, ""))
            cookie = self._admission.sign_in(given.get("secret", ""), request.remote or "")
        except WrongSecret:
            status, problem = 401, "This is neither the token nor the PIN."
        except TriedTooOften as error:
            status, problem = 429, f"{error}."
            headers["Retry-After"] = str(int(error.wait_s) + 1)
        except ValueError as error:
            status, problem = 422, str(error)
        else:
            answer = web.Response(status=303, headers={"Location": root_of(request.path)})
            # TLS ends at a proxy; the browser says that its page came over it.
            secure = request.headers.get("Origin", "").startswith("https://")
            answer.set_cookie(
                COOKIE, cookie, max_age=SESSION_S, httponly=True, samesite="Strict", secure=secure, path="/"
            )
            return answer
        return await self._asked_to_sign_in(request, status, problem, headers)

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        given = await read_form(request, ())
        self._admission.must_be_our_form(request, given.pop(CSRF, ""))
        answer = web.Response(status=303, headers={"Location": f"{root_of(request.path)}{PREFIX}login"})
        answer.del_cookie(COOKIE, path="/")
        return answer

    async def _asked_to_sign_in(
        self, request: web.Request, status: int, refusal: str | None, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        values = self._frame(request, title="Sign in", place="login") | {
            "has_pin": self._admission.has_pin,
            "token_file": str(self._settings.local.token_file),
            "refusal": refusal,
        }
        return await self._renderer.answer(request, "login.html", values, status=status, headers=headers)

    def _frame(self, request: web.Request, *, title: str, place: str) -> dict[str, Any]:
        """Return what every page needs."""
        is_in = self._admission.is_welcome(request)
        return {
            "title": title,
            "place": place,
            "system": self._settings.ven_name if is_in else "OpenADR",
            "now": self._clock.now(),
            "zone": self._zone,
            "csrf_token": self._admission.form_token(request),
            "said": _SAID.get(request.query.get("said", "")),
            "refusal": None,
            "is_in": is_in,
            "may_leave": is_in and self._admission.asks_for_login,
            "stream_url": f"{root_of(request.path)}{PREFIX}changes" if is_in else None,
        }


def _span(request: web.Request) -> str:
    span = request.query.get("span", "24h")
    if span not in power.SPANS:
        raise ValueError(f"span: {span[:40]!r} is none of {', '.join(power.SPANS)}")
    return span


def _skipped(request: web.Request) -> int:
    text = request.query.get("skip", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= _MOST_SKIPPED):
        raise ValueError(f"skip: {text[:40]!r} is no whole number from 0 to {_MOST_SKIPPED}")
    return int(text)


def _pager(skip: int, length: int, is_more: bool) -> dict[str, Any]:
    return {
        "number": skip // length + 1,
        "earlier_url": f"?skip={max(skip - length, 0)}" if skip else None,
        "later_url": f"?skip={skip + length}" if is_more else None,
    }
