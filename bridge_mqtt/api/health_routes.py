"""Health of the bridge; what fails is said with 503, never with 200 (no. 41)."""

from __future__ import annotations

from aiohttp import web

from bridge_mqtt.api.answers import answer
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.refusals import ApiRefusal
from bridge_mqtt.api.route import ApiRoute, Handler, Right
from bridge_mqtt.health import Health
from bridge_mqtt.store import Store, panels

_TAG = "health"


class HealthRoutes:
    """Answers whether the bridge works."""

    def __init__(self, health: Health, store: Store, guard: Guard) -> None:
        self._health = health
        self._guard = guard
        self._store = store

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""

        def open_(path: str, handle: Handler, summary: str) -> ApiRoute:
            return ApiRoute(
                method="GET", path=path, handle=handle, summary=summary, tag=_TAG, right=Right.OPEN, refusals=(503,)
            )

        return (
            open_("/health", self._alive, "200 while the process works"),
            open_("/ready", self._ready, "200 if broker and database can be reached; says what is wrong"),
            open_("/health/db-check", self._database, "200 if the database can be reached"),
            open_("/health/demo-status", self._ready, "The same as /ready, under the original's path"),
        )

    async def _alive(self, _: web.Request) -> web.Response:
        return answer({"status": "ok"}, status=200 if self._health.running else 503)

    async def _ready(self, request: web.Request) -> web.Response:
        try:
            await self._guard.admit(request, Right.READ)
        except ApiRefusal:  # problems name panels and addresses
            said = self._health.in_short()
        else:
            said = self._health.as_json()
        return answer(said, status=200 if self._health.ready else 503)

    async def _database(self, _: web.Request) -> web.Response:
        """Ask the database now; StoreUnavailable is answered with 503."""
        async with self._store.showing() as connection:
            await panels.count(connection)
        return answer({"status": "ok"})
