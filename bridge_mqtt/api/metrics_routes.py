"""Figures for monitoring, in the text format of Prometheus."""

from __future__ import annotations

from aiohttp import web

from bridge_mqtt.api.route import ApiRoute, Right
from bridge_mqtt.figures import BridgeFigures, exposition

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsRoutes:
    """Answers ``/metrics`` to anybody who can reach the bridge, as ``/health``: it has numbers and no names."""

    def __init__(self, figures: BridgeFigures) -> None:
        self._figures = figures

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the route."""
        return (
            ApiRoute(
                method="GET",
                path="/metrics",
                handle=self._metrics,
                summary="Figures in the format of Prometheus",
                tag="health",
                right=Right.OPEN,
            ),
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=exposition(self._figures.all()).encode(), headers={"Content-Type": _TYPE})
