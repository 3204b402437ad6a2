"""Starts and stops every part of the demo: VTN, broker, bridge, panels, homes. Each is the real thing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import structlog

import bridge_mqtt.settings
import ven.settings
import vtn.settings
from bridge_mqtt.service import Bridge
from bridge_mqtt.simulators.panels import SimulatedMqttPanel, simulated_panel
from oadr.demo.broker import broker, free_port
from oadr.demo.certificates import Certificates, issue
from oadr.demo.home_20b import Home20b, home_20b
from oadr.demo.homes import HOME_20B, HOMES, PANELS, TARGET, Home, LegacyPanel
from oadr.demo.pace import Pace
from oadr.demo.pages import DemoPages, pages
from oadr.errors import Exit, Failure
from oadr.process.running import cancel
from openadr_client import Clock, VtnClient
from ven.agent import run_ven
from vtn.access import DEFAULT_SCOPES, Caller, Role
from vtn.app import VtnServer, build
from vtn.auth.clients import Credentials
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

BUSINESS_LOGIC = "utility"
BRIDGE = "bridge"
_OPERATOR = Caller("", Role.BL, DEFAULT_SCOPES[Role.BL])


class Fleet:
    """All parts, running while entered. ``failures`` names the parts that have died, and why."""

    def __init__(self, folder: Path, *, clock: Clock, pace: Pace, tls: bool) -> None:
        self.folder = folder
        self.clock = clock
        self.pace = pace
        self.tls = tls
        self.failures: dict[str, str] = {}
        self.credentials: dict[str, Credentials] = {}
        self.panels: dict[str, SimulatedMqttPanel] = {}
        self.certificates: Certificates | None = None
        self._issued: Certificates | None = None
        self.home_20b: Home20b | None = None
        self.pages: DemoPages | None = None
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._started: set[str] = set()
        self._homes: list[asyncio.Event] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def running(self) -> frozenset[str]:
        """Return the parts that have started, of ``view.PARTS``."""
        found = set(self._started)
        if self.panels and all(panel.connected.is_set() for panel in self.panels.values()):
            found.add("panels")
        if len(self._homes) == len(HOMES) and all(home.is_set() for home in self._homes):
            found.add("homes")
        return frozenset(found)

    @property
    def vtn_url(self) -> str:
        """Return the base URL of the VTN's API."""
        return self.vtn.base_url

    @property
    def bridge_url(self) -> str:
        """Return the base URL of the bridge's HTTP API."""
        return self.bridge.api_url

    def _vtn_url_for(self, home: Home) -> str:
        """Return the base URL of the version that a home speaks."""
        if home.language == "3.0.1":
            return self.vtn.origin + self.vtn.settings.v301.prefixes[0]
        return self.vtn_url

    def home_state(self, home: Home) -> Path:
        """Return the file in which a home's simulated panel keeps what limits are in force."""
        return self.folder / f"{home.name}-panel.json"

    def client(self, who: str) -> VtnClient:
        """Return an OpenADR client with the credentials of one of ours."""
        credentials = self.credentials[who]
        return VtnClient(
            base_url=self.vtn_url,
            client_id=credentials.client_id,
            client_secret=credentials.secret,
            ca_file=self.certificates.ca if self.certificates else None,
            clock=self.clock,
        )

    async def _start(self) -> None:
        if HOME_20B in HOMES:  # it loads its libraries meanwhile
            self.home_20b = await self._stack.enter_async_context(home_20b(self.folder))
        if self.tls or self.home_20b:
            names = [BRIDGE, *(panel.id for panel in PANELS), HOME_20B.name]
            self._issued = await asyncio.to_thread(issue, self.folder, names)
        if self.tls:
            self.certificates = self._issued
        self.vtn = await self._start_vtn()
        accounts = [home.name for home in HOMES if home is not HOME_20B]
        for who, role in [(BUSINESS_LOGIC, Role.BL), (BRIDGE, Role.VEN), *((name, Role.VEN) for name in accounts)]:
            self.credentials[who] = await self.vtn.clients.add(who, role)
        early = [await self._start_home_20b()] if self.home_20b else []
        self.pages = await pages(self.vtn, home=HOMES[0].name, home_port=free_port())
        self._started.add("VTN")
        certificates = self.certificates
        tls = (certificates.ca, *certificates.server) if certificates else None
        port = await self._stack.enter_async_context(broker(tls=tls))
        self._started.add("MQTT broker")
        for panel in PANELS:
            self._start_panel(panel, port)
        await self._start_bridge(port)
        self._started.add("bridge")
        started = [await self._start_home(home) for home in HOMES if home is not HOME_20B]
        await asyncio.gather(*(self._until(ready, name) for name, ready in early + started))

    async def _start_vtn(self) -> VtnServer:
        tls = None
        if self.certificates:
            certificate, key = self.certificates.server
            tls = vtn.settings.Tls(cert=certificate, key=key)
        server = build(
            vtn.settings.Settings(
                host="127.0.0.1",
                port=0,
                tls=tls,
                log_requests=False,
                contacts=vtn.settings.ContactSettings(store_s=1),
                facts=vtn.settings.FactSettings(curve_every_s=1),
                database=vtn.settings.DatabaseSettings(url=f"sqlite:///{self.folder / 'vtn.sqlite3'}"),
                # The demo's clock may run an hour a minute, and tokens with it.
                auth=vtn.settings.Auth(token_lifetime_s=max(3600, round(3600 * self.pace.speed))),
                v20b=self._v20b(),
            ),
            now=self.clock.now,
        )
        self._stack.push_async_callback(server.stop)
        await server.start()
        return server

    def _v20b(self) -> V20b | None:
        """Return the settings of OpenADR 2.0b.

        Its VEN counts seconds by the real time, so they are the shortest, and it may miss polls for 10 s of it.
        """
        if self.home_20b is None or self._issued is None:
            return None
        certificate, key = self._issued.server
        return V20b(
            port=0,
            cert=certificate,
            key=key,
            ca=self._issued.ca,
            poll_s=1,
            offline_after_polls=self.pace.whole_seconds(10, least=6, most=1000),
            telemetry_every_s=1,
            telemetry_back_s=1,
        )

    def _start_panel(self, panel: LegacyPanel, port: int) -> None:
        simulated = simulated_panel(
            panel.id,
            panel.dialect,
            bridge_mqtt.settings.Broker.model_validate(self._mqtt(port, panel.id)),
            seed=panel.seed,
            clock=self.clock,
            interval_s=self.pace.seconds(0.25, least=5),
        )
        self.panels[panel.id] = simulated
        self._spawn(panel.id, simulated.run)

    def _mqtt(self, port: int, who: str) -> dict[str, Any]:
        """Return the broker settings of the bridge or of a panel."""
        spoken = {"protocol": "3.1.1"}  # the embedded broker leaves MQTT 5 unanswered
        if self.certificates is None:
            return spoken | {"url": f"mqtt://127.0.0.1:{port}"}
        certificate, key = self.certificates.clients[who]
        return spoken | {
            "url": f"mqtts://127.0.0.1:{port}",
            "ca_file": self.certificates.ca,
            "client_certificate": certificate,
            "client_key": key,
        }

    async def _start_bridge(self, port: int) -> None:
        pace = self.pace
        settings = bridge_mqtt.settings.Settings.model_validate(
            {
                "vtn": {
                    "url": self.vtn_url,
                    "client_id": BRIDGE,
                    "client_secret": self.credentials[BRIDGE].secret,
                    "ca_file": self.certificates.ca if self.certificates else None,
                    "ven_name": BRIDGE,
                    "poll_interval_s": pace.seconds(0.5),
                },
                "broker": self._mqtt(port, BRIDGE),
                "database": {"url": f"sqlite:///{self.folder / 'bridge.sqlite3'}"},
                "panels": [{"id": panel.id, "groups": [TARGET]} for panel in PANELS],
                "dispatch": {
                    "first_contact_s": pace.seconds(2),
                    "offline_after_s": pace.seconds(10),
                    "longest_piece_s": {"envelope": pace.whole_seconds(5, least=5, most=3600)},
                },
                "telemetry": {"baseline_s": pace.seconds(2, least=10)},
                "reporting": {"delay_s": pace.seconds(0.5), "retry_least_s": pace.seconds(0.5)},
                "api": {"port": 0},
            }
        )
        self.bridge = await self._stack.enter_async_context(Bridge(settings, clock=self.clock))
        self._spawn(BRIDGE, self.bridge.run)

    async def _start_home(self, home: Home) -> tuple[str, asyncio.Event]:
        pace = self.pace
        settings = ven.settings.VenSettings.model_validate(
            {
                "vtn": {
                    "url": self._vtn_url_for(home),
                    "client_id": home.name,
                    "client_secret": self.credentials[home.name].secret,
                    "ca_file": self.certificates.ca if self.certificates else None,
                },
                "ven_name": home.name,
                "store": self.folder / f"{home.name}.sqlite3",
                "circuits": home.circuits,
                "driver": {
                    "kind": "simulated",
                    "options": {"seed": home.seed, "state_file": self.home_state(home)},
                },
                "opt": home.opt,
                "poll_s": pace.seconds(0.5),
                "sample_s": pace.seconds(0.25),
                "status_s": pace.seconds(1),
                "local": {"port": self._page_port(home)},
                "baseline_s": pace.seconds(2),
                "settle_s": pace.seconds(0.5),
            }
        )
        ready = asyncio.Event()
        self._homes.append(ready)
        self._spawn(home.name, lambda: run_ven(settings, clock=self.clock, ready=ready))
        return home.name, ready

    def _page_port(self, home: Home) -> int | None:
        """Return the port of a home's page; only one of the homes has one."""
        return self.pages.home_port if self.pages and self.pages.home == home.name else None

    async def _start_home_20b(self) -> tuple[str, asyncio.Event]:
        """Enrol the home by the fingerprint of its certificate, and tell its process where the VTN is."""
        home, issued, port, stores = self.home_20b, self._issued, self.vtn.port_20b, self.vtn.stores
        if home is None or issued is None or port is None or stores is None:
            raise Failure("the VTN does not serve OpenADR 2.0b", Exit.UNEXPECTED)
        name = HOME_20B.name
        await stores.v20b.vens.enrol(name, by=_OPERATOR, fingerprint=issued.fingerprints[name])
        await home.order(port=port, certificates=issued, state_file=self.home_state(HOME_20B), clock=self.clock)
        ready = asyncio.Event()
        self._homes.append(ready)
        self._spawn(name, lambda: home.run(ready))
        return name, ready

    def _spawn(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        async def watched() -> None:
            try:
                await run()
            except Exception as error:
                self.failures[name] = f"{type(error).__name__}: {error}"
                _log.exception("a part of the demo has died", part=name)
                return
            if not self._stopping:
                self.failures[name] = "ended by itself"

        self._tasks.append(asyncio.create_task(watched(), name=name))

    async def _until(self, ready: asyncio.Event, name: str) -> None:
        """Wait for a part's first contact with the VTN, or for its death."""
        while not ready.is_set() and name not in self.failures:
            try:
                await asyncio.wait_for(ready.wait(), timeout=0.1)
            except TimeoutError:
                continue

    async def _stop(self) -> None:
        """Homes, panels and bridge first, so that nobody misses the broker or the VTN."""
        self._stopping = True
        await cancel(self._tasks)
        await self._stack.aclose()
