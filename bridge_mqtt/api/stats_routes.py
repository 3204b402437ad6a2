"""The fleet as a whole, now and over time, and the messages that could not be used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from bridge_mqtt.api import parameters
from bridge_mqtt.api.answers import answer
from bridge_mqtt.api.parameters import HISTORY_PARAMETERS, limit_parameter
from bridge_mqtt.api.route import ApiRoute
from bridge_mqtt.view import View
from bridge_mqtt.view.shapes import HistoryAnswer, LoadTypeAnswer, NetworkStatsAnswer

_TAG = "stats"
_USUAL_QUARANTINE = 100
_MOST_QUARANTINE = 1_000


class StatsRoutes:
    """Answers questions about all panels together."""

    def __init__(self, view: View, now: Callable[[], datetime]) -> None:
        self._view = view
        self._now = now

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        return (
            ApiRoute(
                method="GET",
                path="/api/stats/network",
                handle=self._network,
                summary="The fleet now",
                tag=_TAG,
                answer=NetworkStatsAnswer,
            ),
            ApiRoute(
                method="GET",
                path="/api/stats/loads",
                handle=self._loads,
                summary="All circuits by their type",
                tag=_TAG,
                answer=list[LoadTypeAnswer],
            ),
            ApiRoute(
                method="GET",
                path="/api/stats/network/history",
                handle=self._history,
                summary="The power of all panels together in steps of time",
                tag=_TAG,
                parameters=HISTORY_PARAMETERS,
                answer=HistoryAnswer,
            ),
            ApiRoute(
                method="GET",
                path="/api/quarantine",
                handle=self._quarantine,
                summary="Messages that could not be used, newest first",
                tag="panels",
                parameters=(limit_parameter(_USUAL_QUARANTINE, _MOST_QUARANTINE),),
            ),
        )

    async def _network(self, _: web.Request) -> web.Response:
        return answer(await self._view.stats.network())

    async def _loads(self, _: web.Request) -> web.Response:
        return answer(await self._view.stats.loads())

    async def _history(self, request: web.Request) -> web.Response:
        start, end, step_s = parameters.steps(request, self._now())
        return answer(await self._view.history.network(start, end, step_s))

    async def _quarantine(self, request: web.Request) -> web.Response:
        limit = parameters.limit(request, _USUAL_QUARANTINE, _MOST_QUARANTINE)
        return answer(await self._view.records.quarantine(limit))
