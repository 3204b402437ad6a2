"""Events to read: lists, one of them, its acknowledgments, circuits, metrics and performance."""

from __future__ import annotations

from aiohttp import web

from bridge_mqtt.api.answers import ack_page, answer, found, listed
from bridge_mqtt.api.parameters import (
    ACK_PARAMETERS,
    END,
    PAGE_PARAMETERS,
    START,
    VEN_ID,
    ack_query,
    instant,
    limit,
    limit_parameter,
    page,
)
from bridge_mqtt.api.refusals import NoSuchThing
from bridge_mqtt.api.route import ApiRoute
from bridge_mqtt.explaining import MOST_PANELS, PANELS
from bridge_mqtt.view import View
from bridge_mqtt.view.shapes import CurrentEventAnswer, EventAnswer, EventMetricsAnswer, PerformanceAnswer

_TAG = "events"


class EventRoutes:
    """Answers questions about events."""

    def __init__(self, view: View) -> None:
        self._view = view

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        one = "/api/events/{eventId}"
        return (
            ApiRoute(
                method="GET",
                path="/api/events",
                handle=self._events,
                summary="The events, those that were read last first",
                tag=_TAG,
                parameters=PAGE_PARAMETERS,
                answer=list[EventAnswer],
            ),
            ApiRoute(
                method="GET",
                path="/api/events/history",
                handle=self._history,
                summary="Events that begin between start and end",
                tag=_TAG,
                parameters=(START, END, *PAGE_PARAMETERS),
                answer=list[EventAnswer],
            ),
            ApiRoute(
                method="GET",
                path="/api/events/current",
                handle=self._current,
                summary="The active event that began last, or null",
                tag=_TAG,
                answer=CurrentEventAnswer | None,
            ),
            ApiRoute(
                method="GET",
                path=one,
                handle=self._event,
                summary="One event: state and history, windows and their split, and panels in pages",
                tag=_TAG,
                parameters=PAGE_PARAMETERS,
                answer=CurrentEventAnswer,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/metrics",
                handle=self._metrics,
                summary="How an event goes now",
                tag=_TAG,
                answer=EventMetricsAnswer,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/acks",
                handle=self._acks,
                summary="The acknowledgments of an event, newest first",
                tag=_TAG,
                parameters=ACK_PARAMETERS,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/circuits",
                handle=self._circuits,
                summary="What the circuits of each panel did, by the panel's own answer",
                tag=_TAG,
                parameters=PAGE_PARAMETERS,
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/explanation",
                handle=self._explanation,
                summary="What an event asked of whom and why, and how that changed",
                tag=_TAG,
                parameters=(VEN_ID, limit_parameter(PANELS, MOST_PANELS)),
                refusals=(404,),
            ),
            ApiRoute(
                method="GET",
                path=f"{one}/performance",
                handle=self._performance,
                summary="What was asked and what was delivered, by panel",
                tag=_TAG,
                answer=PerformanceAnswer,
                refusals=(404,),
            ),
        )

    async def _events(self, request: web.Request) -> web.Response:
        skip, most = page(request)
        return await listed(request, await self._view.events.events(skip=skip, limit=most), skip=skip, limit=most)

    async def _history(self, request: web.Request) -> web.Response:
        skip, most = page(request)
        start, end = instant(request, "start"), instant(request, "end")
        events = await self._view.events.events(skip=skip, limit=most, start=start, end=end)
        return await listed(request, events, skip=skip, limit=most)

    async def _current(self, _: web.Request) -> web.Response:
        return answer(await self._view.events.current())

    async def _event(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        skip, most = page(request)
        return found(await self._view.events.event(event_id, skip=skip, limit=most), _no_event(event_id))

    async def _metrics(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        return found(await self._view.events.metrics(event_id), _no_event(event_id))

    async def _acks(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        query = ack_query(request, event_id=event_id)
        if not await self._view.records.knows_event(event_id):
            raise NoSuchThing(_no_event(event_id))
        return await ack_page(await self._view.records.acks(query), query.limit)

    async def _circuits(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        skip, most = page(request)
        panels = await self._view.events.circuits(event_id, skip=skip, limit=most)
        if panels is None:
            raise NoSuchThing(_no_event(event_id))
        return await listed(request, panels, skip=skip, limit=most)

    async def _explanation(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        panels, ven_id = limit(request, PANELS, MOST_PANELS), request.query.get("venId")
        explanation = await self._view.records.explanation(event_id, panels=panels, ven_id=ven_id)
        return found(explanation, _no_event(event_id))

    async def _performance(self, request: web.Request) -> web.Response:
        event_id = request.match_info["eventId"]
        return found(await self._view.figures.performance(event_id), _no_event(event_id))


def _no_event(event_id: str) -> str:
    return f"no event {event_id[:128]!r}"
