"""Set up a VEN in a browser on its own machine: paste the join line, name driver and circuits, try both, and start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Any, Final, Protocol, cast

from aiohttp import web

from openadr_client import Clock
from openadr_client.checkup import Checkup
from ven.doctor import try_driver
from ven.drivers.registry import known_drivers
from ven.errors import VenError
from ven.joining import JoinStep, join_vtn
from ven.local_api.admission import LocalAdmission
from ven.local_api.connections import Connections
from ven.page.forms import CSRF, read_form
from ven.page.houses import HOUSES
from ven.page.rendering import PREFIX, PageRenderer, root_of
from ven.panel.circuits import CircuitState
from ven.settings import VenSettings

_MOST_BYTES: Final = 128 * 1024
_MOST_CONNECTIONS: Final = 16
_SILENT_S: Final = 10.0
_GRACE_S: Final = 1.0
_Act = Callable[[dict[str, str]], Awaitable[None]]


class SetupProblem(VenError):
    """Say that what was given cannot be used; the message says what, why and what was expected, and shows no secret."""


class SetupWork(Protocol):
    """Keep what somebody gives in the browser; the command that serves the page knows in which file and how."""

    house: str
    """Hold the settings of driver and circuits as text, as they are or will be in the file."""
    port: int
    """Hold the port at which the page of the VEN is to be, in examples."""

    @property
    def config(self) -> Path:
        """Return the file of settings."""

    @property
    def settings(self) -> VenSettings | None:
        """Return the settings as they are in the file; None before there is a join line."""

    def keep_line(self, line: str) -> None:
        """Write settings for a join line; raises SetupProblem."""

    def keep_house(self, text: str) -> None:
        """Write other settings of driver and circuits; raises SetupProblem."""


class SetupPage:
    """Serve the page until somebody starts the VEN there. Only this machine may ask."""

    def __init__(self, work: SetupWork, clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self._admission = LocalAdmission(None, None, clock)
        self._renderer = PageRenderer(Path(__file__).parent)
        self._steps: list[JoinStep] = []
        self._check: Checkup | None = None
        self._states: dict[str, CircuitState] = {}
        self._is_over = asyncio.Event()
        self._connections: Connections | None = None
        self._one_at_a_time = asyncio.Lock()

    async def serve(self, port: int, ready: Callable[[], None]) -> None:
        """Listen on 127.0.0.1 until the VEN is to be started, or cancelled; ``ready`` is called once it listens.

        Raises:
            SetupProblem: the port cannot be used.
        """
        app = web.Application(client_max_size=_MOST_BYTES, middlewares=[self._guarded])
        app.router.add_get("/", self._show)
        app.router.add_get(f"/{PREFIX}static/{{name}}", self._renderer.asset)
        acts: dict[str, tuple[tuple[str, ...], _Act]] = {
            "line": (("line",), self._line),
            "house": (("house",), self._house),
            "test": ((), self._test),
            "start": ((), self._start),
        }
        for name, (fields, act) in acts.items():
            app.router.add_post(f"/{PREFIX}{name}", self._acting(fields, act))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S, keepalive_timeout=_SILENT_S)
        await runner.setup()
        try:
            server = cast(web.Server, runner.server)
            self._connections = Connections(server, most=_MOST_CONNECTIONS, silent_s=_SILENT_S)
            try:
                listener = await asyncio.get_running_loop().create_server(self._connections, "127.0.0.1", port)
            except OSError as error:
                raise SetupProblem(f"port {port} cannot be used: {error.strerror}: name another with --port") from None
            ready()
            try:
                await self._is_over.wait()
            finally:
                listener.close()
        finally:
            await runner.cleanup()
            self._renderer.close()

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if self._connections is not None:
            self._connections.asked(request.transport)
        try:
            self._admission.must_come_from_here(request)
            return await handler(request)
        except web.HTTPException as refusal:
            return web.json_response({"error": refusal.text or refusal.reason}, status=refusal.status)

    def _acting(self, fields: tuple[str, ...], act: _Act) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            given: dict[str, str] = {}
            try:
                given = await read_form(request, fields)
                self._admission.must_be_our_form(request, given.pop(CSRF, ""))
                async with self._one_at_a_time:
                    await act(given)
            except (ValueError, SetupProblem) as error:
                return await self._shown(request, status=422, refusal=str(error), house=given.get("house"))
            if self._is_over.is_set():
                return await self._renderer.answer(request, "started.html", self._frame(request))
            return web.Response(status=303, headers={"Location": root_of(request.rel_url.raw_path)})

        return handle

    async def _line(self, given: dict[str, str]) -> None:
        await asyncio.to_thread(self._work.keep_line, given.get("line", ""))
        self._steps = []
        settings = self._work.settings
        if settings is not None:
            self._steps = [step async for step in join_vtn(settings, self._clock)]

    async def _house(self, given: dict[str, str]) -> None:
        await asyncio.to_thread(self._work.keep_house, given.get("house", "").replace("\r\n", "\n") + "\n")
        self._check, self._states = None, {}

    async def _test(self, _: dict[str, str]) -> None:
        if self._work.settings is None:
            raise SetupProblem("there are no settings yet: paste the join line first")
        check, states = await try_driver(self._work.settings, self._clock)
        self._check, self._states = check, dict(states)

    async def _start(self, _: dict[str, str]) -> None:
        if self._work.settings is None:
            raise SetupProblem("there are no settings yet: paste the join line first")
        self._is_over.set()

    async def _show(self, request: web.Request) -> web.StreamResponse:
        kind = request.query.get("kind")
        example = HOUSES.get(kind or "")
        local = f"\n[local]\nport = {self._work.port}\n"
        return await self._shown(request, house=None if example is None else example + local)

    async def _shown(
        self, request: web.Request, *, status: int = 200, refusal: str | None = None, house: str | None = None
    ) -> web.StreamResponse:
        settings = self._work.settings
        values = self._frame(request) | {
            "refusal": refusal,
            "config": str(self._work.config),
            "settings": settings,
            "steps": self._steps,
            "house": house or self._work.house,
            "drivers": await asyncio.to_thread(known_drivers),
            "examples": sorted(HOUSES),
            "check": self._check,
            "circuits": [] if settings is None else settings.circuits,
            "states": self._states,
        }
        return await self._renderer.answer(request, "setup.html", values, status=status)

    def _frame(self, request: web.Request) -> dict[str, Any]:
        settings = self._work.settings
        return {
            "title": "Set up",
            "place": "setup",
            "system": "A new VEN" if settings is None else settings.ven_name,
            "now": self._clock.now(),
            "zone": UTC,
            "csrf_token": self._admission.form_token(request),
            "said": None,
            "refusal": None,
            "is_in": False,
            "may_leave": False,
            "port": None if settings is None else settings.local.port,
        }
