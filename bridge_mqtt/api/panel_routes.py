"""Panels to read, which the original calls vens: what they are, did and measured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from bridge_mqtt.api import parameters
from bridge_mqtt.api.answers import ack_page, answer, found, listed
from bridge_mqtt.api.parameters import BEFORE, END, HISTORY_PARAMETERS, PAGE_PARAMETERS, START, limit_parameter
from bridge_mqtt.api.refusals import NoSuchThing
from bridge_mqtt.api.route import ApiRoute, Handler, Parameter
from bridge_mqtt.view import View
from bridge_mqtt.view.shapes import (
    BaselineAnswer,
    CircuitHistoryAnswer,
    HistoryAnswer,
    LoadAnswer,
    ShadowAnswer,
    ShedCapacityAnswer,
    TelemetryAnswer,
    VenAnswer,
    VenEventAnswer,
    VenSummaryAnswer,
)

_TAG = "vens"
_LOAD_ID = Parameter(name="load_id", text="One circuit instead of all.", schema={"type": "string"})
_EVENT_ID = Parameter(name="eventId", text="The baseline that was frozen for this event.", schema={"type": "string"})


class PanelRoutes:
    """Answers questions about panels and their circuits."""

    def __init__(self, view: View, now: Callable[[], datetime]) -> None:
        self._view = view
        self._now = now

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        return (*self._lists(), *self._of_one(), *self._over_time())

    def _lists(self) -> tuple[ApiRoute, ...]:
        return (
            ApiRoute(
                method="GET",
                path="/api/panels",
                handle=self._panels,
                summary="The panels in the bridge's own words",
                tag="panels",
                parameters=PAGE_PARAMETERS,
            ),
            ApiRoute(
                method="GET",
                path="/api/panels/{venId}",
                handle=self._panel,
                summary="One panel with its circuits and newest commands",
                tag="panels",
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path="/api/vens",
                handle=self._vens,
                summary="The panels",
                tag=_TAG,
                parameters=PAGE_PARAMETERS,
                answer=list[VenAnswer],
            ),
            ApiRoute(
                method="GET",
                path="/api/vens/summary",
                handle=self._summary,
                summary="The panels in one line each",
                tag=_TAG,
                parameters=PAGE_PARAMETERS,
                answer=list[VenSummaryAnswer],
            ),
        )

    def _of_one(self) -> tuple[ApiRoute, ...]:
        one = "/api/vens/{venId}"

        def about(path: str, handle: Handler, summary: str, type_: object, *given: Parameter) -> ApiRoute:
            return ApiRoute(
                method="GET",
                path=one + path,
                handle=handle,
                summary=summary,
                tag=_TAG,
                parameters=given,
                answer=type_,
                refusals=(404,),
            )

        return (
            about("", self._ven, "One panel", VenAnswer),
            about("/acks", self._acks, "Its acknowledgments, newest first", None, *parameters.ACK_PARAMETERS),
            about(
                "/events",
                self._events,
                "Its answers about events, newest first, with circuits",
                list[VenEventAnswer],
                START,
                END,
                BEFORE,
                limit_parameter(100, parameters.MOST_ACKS),
            ),
            about("/shadow", self._shadow, "Its device shadow", ShadowAnswer),
            about("/baseline", self._baseline, "Its baseline, now or of an event", BaselineAnswer, _EVENT_ID),
            about("/shed-capacity", self._shed_capacity, "What it could shed now", ShedCapacityAnswer),
            about("/loads", self._loads, "Its circuits", list[LoadAnswer]),
            about("/loads/{loadId}", self._load, "One circuit", LoadAnswer),
        )

    def _over_time(self) -> tuple[ApiRoute, ...]:
        one = "/api/vens/{venId}"
        pages = (START, END, BEFORE)
        return (
            ApiRoute(
                method="GET",
                path=f"{one}/telemetry",
                handle=self._telemetry,
                summary="Its samples, newest first",
                tag=_TAG,
                parameters=(*pages, limit_parameter(100, parameters.MOST_SNAPSHOTS)),
                answer=TelemetryAnswer,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/circuits/history",
                handle=self._circuits,
                summary="Its circuits over time, newest first",
                tag=_TAG,
                parameters=(_LOAD_ID, *pages, limit_parameter(1_000, parameters.MOST_SNAPSHOTS)),
                answer=CircuitHistoryAnswer,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/history",
                handle=self._history,
                summary="Its mean power in steps of time",
                tag=_TAG,
                parameters=HISTORY_PARAMETERS,
                answer=HistoryAnswer,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/loads/{{loadId}}/history",
                handle=self._load_history,
                summary="The mean power of one circuit in steps of time",
                tag=_TAG,
                parameters=HISTORY_PARAMETERS,
                answer=HistoryAnswer,
                refusals=(404,),
            ),
        )

    async def _panels(self, request: web.Request) -> web.Response:
        skip, limit = parameters.page(request)
        return await listed(request, await self._view.panels.panels(skip=skip, limit=limit), skip=skip, limit=limit)

    async def _panel(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        return found(await self._view.panels.panel(ven_id), _no_panel(ven_id))

    async def _vens(self, request: web.Request) -> web.Response:
        skip, limit = parameters.page(request)
        return await listed(request, await self._view.panels.vens(skip=skip, limit=limit), skip=skip, limit=limit)

    async def _summary(self, request: web.Request) -> web.Response:
        skip, limit = parameters.page(request)
        return await listed(request, await self._view.panels.summary(skip=skip, limit=limit), skip=skip, limit=limit)

    async def _ven(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        return found(await self._view.panels.ven(ven_id), _no_panel(ven_id))

    async def _acks(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        query = parameters.ack_query(request, ven_id=ven_id)
        self._must_know(ven_id)
        return await ack_page(await self._view.records.acks(query), query.limit)

    async def _events(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        limit = parameters.limit(request, 100, parameters.MOST_ACKS)
        start, end = parameters.instant(request, "start"), parameters.instant(request, "end")
        before = parameters.before_id(request)
        self._must_know(ven_id)
        return answer(await self._view.records.ven_events(ven_id, start=start, end=end, before_id=before, limit=limit))

    async def _shadow(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        return found(await self._view.panels.shadow(ven_id), _no_panel(ven_id))

    async def _baseline(self, request: web.Request) -> web.Response:
        ven_id, event_id = request.match_info["venId"], request.query.get("eventId")
        self._must_know(ven_id)
        baseline = await self._view.figures.baseline(ven_id, event_id)
        return found(baseline, f"no baseline of panel {ven_id[:80]!r} for event {(event_id or '')[:128]!r}")

    async def _shed_capacity(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        return found(self._view.panels.shed_capacity(ven_id), _no_panel(ven_id))

    async def _loads(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        self._must_know(ven_id)
        return answer(self._view.panels.loads(ven_id))

    async def _load(self, request: web.Request) -> web.Response:
        ven_id, load_id = request.match_info["venId"], request.match_info["loadId"]
        self._must_know(ven_id)
        load = next((each for each in self._view.panels.loads(ven_id) if each.id == load_id), None)
        return found(load, no_circuit(ven_id, load_id))

    async def _telemetry(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        span = parameters.span(request, 100, parameters.MOST_SNAPSHOTS)
        self._must_know(ven_id)
        return answer(await self._view.history.telemetry(ven_id, span))

    async def _circuits(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        span = parameters.span(request, 1_000, parameters.MOST_SNAPSHOTS)
        self._must_know(ven_id)
        return answer(await self._view.history.circuits(ven_id, request.query.get("load_id"), span))

    async def _history(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        start, end, step_s = parameters.steps(request, self._now())
        self._must_know(ven_id)
        return answer(await self._view.history.panel(ven_id, start, end, step_s))

    async def _load_history(self, request: web.Request) -> web.Response:
        ven_id, load_id = request.match_info["venId"], request.match_info["loadId"]
        start, end, step_s = parameters.steps(request, self._now())
        self._must_know(ven_id)
        if all(each.id != load_id for each in self._view.panels.loads(ven_id)):
            raise NoSuchThing(no_circuit(ven_id, load_id))
        return answer(await self._view.history.load(ven_id, load_id, start, end, step_s))

    def _must_know(self, ven_id: str) -> None:
        if not self._view.panels.knows(ven_id):
            raise NoSuchThing(_no_panel(ven_id))


def _no_panel(ven_id: str) -> str:
    return f"no panel {ven_id[:255]!r}"


def no_circuit(ven_id: str, load_id: str) -> str:
    """Say that a panel has no such circuit."""
    return f"panel {ven_id[:80]!r} has no circuit {load_id[:80]!r}"
