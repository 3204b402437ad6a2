"""The VTN that is measured: ours, started on a database of its own, or any other by its URL and tokens."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import jwt
from pydantic import SecretStr

from bench import documents
from bench.api import ApiClient, session, token
from bench.databases import Databases
from bench.errors import BenchError, Unusable
from bench.processes import Cores, MeasuredProcess, Meter, python
from bench.seeding import client_name, fill_events, fill_reports, fill_resources, fill_vens
from bench.seeding_readings import fill_readings
from bench.support.net import free_port
from bench.wire import Address
from vtn.access import Role, UserRole
from vtn.administration import console_users
from vtn.app import client_registry, system_now
from vtn.settings import DatabaseSettings, Settings

_BL: Final = "bench-bl"
_VEN: Final = "bench-ven"
_USER: Final = "bench"
_PREFIX: Final = "/openadr3/3.1.0"
_FEW_READINGS: Final = 4

_NO_RATE_LIMITS: Final = {
    f"OADR_VTN_AUTH__{name}": "1000000" for name in ("CLIENT_BURST", "CLIENT_PER_S", "ADDRESS_BURST", "ADDRESS_PER_S")
}
"""Token requests are measured as fast as they can be answered; in a deployment they are limited."""


@dataclass(frozen=True, slots=True)
class BenchCredentials:
    """The credentials for which a client gets a token."""

    client_id: str
    secret: str


class Vtn(Protocol):
    """A server that can be prepared for a workload, and is then loaded at ``address``."""

    @property
    def database(self) -> str:
        """Return the database behind it, as it is shown."""

    @property
    def address(self) -> Address:
        """Base URL of the API."""

    @property
    def bl(self) -> ApiClient:
        """Business logic."""

    @property
    def ven(self) -> ApiClient:
        """Return the VEN whose requests are measured."""

    @property
    def program_id(self) -> str:
        """Return a program that everybody sees."""

    @property
    def credentials(self) -> BenchCredentials | None:
        """Return the VEN's, if it may ask for tokens."""

    @property
    def meter(self) -> Meter | None:
        """Watches the server's processes, if it is known which they are."""

    async def hold_events(self, number: int) -> None:
        """Store exactly so many events; the VEN sees one page of them."""

    async def hold_vens(self, number: int) -> None:
        """Store exactly so many vens besides the VEN's own."""

    async def hold_vens_20b(self, number: int) -> list[str] | None:
        """Store exactly so many registered VENs of OpenADR 2.0b besides the others; None if that cannot be done.

        Returns their certificates as a proxy hands them on.
        """

    async def hold_reports(self, number: int) -> bool:
        """Store exactly so many reports on the events that are held, if that can be done in reasonable time."""

    async def hold_readings(self, event_id: str, number: int, midnights: list[datetime], event: datetime) -> bool:
        """Store readings of so many meters of the fleet for days and an event, if that can be done."""

    async def hold_resources(self, panel: str, names: Sequence[str]) -> bool:
        """Store resources of these panels as those of one that is known already, if that can be done."""

    async def use(self, settings: Mapping[str, str]) -> bool:
        """Run with these environment variables from now on; returns False if that cannot be done."""

    async def console_session(self) -> str | None:
        """Return the cookie of somebody who has signed in at the console; None if nobody can."""

    def fleet(self, number: int) -> list[str] | None:
        """Tokens of so many of those vens; None if they cannot be made."""


class OwnVtn:
    """``oadr vtn run`` with its default settings, except that it does not limit how often a client asks for tokens."""

    def __init__(self, http: aiohttp.ClientSession, databases: Databases, folder: Path, cores: Cores) -> None:
        self._http = http
        self._databases = databases
        self._url = databases.create()
        self._cores = cores
        self._log = folder / f"vtn-{free_port()}.log"
        self._key = secrets.token_hex(32)
        self._process: MeasuredProcess | None = None
        self._more: dict[str, str] = {}
        self._stored_events = 0
        self._template_events: list[str] = []
        self._template_ven = ""
        self.database = databases.name
        self.address = Address("127.0.0.1", free_port(), _PREFIX)
        self.program_id = ""
        self.credentials: BenchCredentials | None = None
        self.bl: ApiClient
        self.ven: ApiClient

    @property
    def meter(self) -> Meter:
        """Watches the present process."""
        assert self._process is not None
        return Meter(self._process.pid)

    async def start(self) -> None:
        """Register clients, start, and store what all workloads share."""
        database = DatabaseSettings(url=SecretStr(self._url))
        settings = Settings.model_validate({"database": database, "auth": {"signing_key": self._key}})
        async with client_registry(settings) as clients:
            bl = await clients.add(_BL, Role.BL)
            ven = await clients.add(_VEN, Role.VEN)
        self.credentials = BenchCredentials(ven.client_id, ven.secret)
        await self._serve()
        tokens = f"{self.address.url}/auth/token"
        self.bl = ApiClient(self._http, self.address, await token(self._http, tokens, bl.client_id, bl.secret))
        self.ven = ApiClient(self._http, self.address, await token(self._http, tokens, ven.client_id, ven.secret))
        self.program_id = (await self.bl.create("/programs", documents.program("bench")))["id"]
        targets = (documents.WATCHED, *documents.SPARE)
        await self.bl.create("/vens", documents.ven("bench-home", _VEN, targets))
        days = (documents.event(self.program_id, ("nobody",), number) for number in range(documents.SEEN_EVENTS))
        self._template_events = [made["id"] for made in await self.bl.create_all("/events", days)]
        template = documents.ven("bench-template-name", "bench-template-client", ("nobody",))
        self._template_ven = (await self.bl.create("/vens", template))["id"]

    async def hold_events(self, number: int) -> None:
        self.stop()
        await fill_events(self._url, self._template_events, number)
        self._stored_events = number
        await self._settle()

    async def hold_vens(self, number: int) -> None:
        self.stop()
        await fill_vens(self._url, self._template_ven, number, self._stored_events)
        await self._settle()

    async def hold_vens_20b(self, number: int) -> list[str]:
        from bench.seeding_20b import certificates, fill_vens_20b, in_header  # noqa: PLC0415 (one workload needs it)

        ders = certificates(number)
        self.stop()
        await fill_vens_20b(self._url, self._template_ven, ders)
        await self._settle()
        return [in_header(der) for der in ders]

    async def hold_reports(self, number: int) -> bool:
        seen = json.loads((await self.ven.read("/events?limit=1")).body)
        template = await self.ven.create("/reports", documents.report(seen[0]["id"], readings=_FEW_READINGS))
        self.stop()
        await fill_reports(self._url, template["id"], number)
        await self._settle()
        return True

    async def hold_readings(self, event_id: str, number: int, midnights: list[datetime], event: datetime) -> bool:
        self.stop()
        await fill_readings(self._url, event_id, number, midnights, event)
        await self._settle()
        return True

    async def hold_resources(self, panel: str, names: Sequence[str]) -> bool:
        self.stop()
        await fill_resources(self._url, panel, names)
        await self._settle()
        return True

    async def use(self, settings: Mapping[str, str]) -> bool:
        self.stop()
        self._more = dict(settings)
        await self._serve()
        return True

    async def console_session(self) -> str:
        word = secrets.token_urlsafe(12)
        settings = Settings.model_validate({"database": DatabaseSettings(url=SecretStr(self._url))})
        async with console_users(settings, now=system_now) as users:
            await users.add(_USER, UserRole.ADMIN, word)
        root = f"http://{self.address.host}:{self.address.port}/console"
        async with self._http.post(
            f"{root}/login", data={"name": _USER, "password": word}, allow_redirects=False
        ) as answer:
            cookies = "; ".join(f"{each.key}={each.value}" for each in answer.cookies.values())
        if answer.status != 303 or not cookies:
            raise BenchError(f"nobody can sign in at the console: {answer.status}")
        return cookies

    def fleet(self, number: int) -> list[str]:
        claims = jwt.decode(self.ven.token, options={"verify_signature": False})
        head = jwt.get_unverified_header(self.ven.token)
        return [
            jwt.encode(
                {name: client_name(place) if value == _VEN else value for name, value in claims.items()},
                self._key,
                algorithm="HS256",
                headers={"kid": head["kid"]} if "kid" in head else None,
            )
            for place in range(number)
        ]

    def log_end(self) -> str:
        """Return the last lines of the server, to explain a failure."""
        return "" if self._process is None else self._process.log_end()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    async def _settle(self) -> None:
        self._databases.settle(self._url)
        await self._serve()

    async def _serve(self) -> None:
        environment = {
            **_NO_RATE_LIMITS,
            "OADR_VTN_DATABASE__URL": self._url,
            "OADR_VTN_AUTH__SIGNING_KEY": self._key,
            **self._more,
        }
        self._process = MeasuredProcess(
            python("oadr", "vtn", "run", "--port", str(self.address.port)),
            cores=self._cores.server,
            log=self._log,
            environment=environment,
        )
        await self._process.start(self.address.host, self.address.port)


@dataclass(frozen=True, slots=True)
class ForeignOptions:
    """The address and tokens of a VTN that is not ours. ``pid`` is its process on this machine, for memory and CPU."""

    url: str
    bl_token: str
    ven_token: str
    ven_client_id: str
    client_secret: str | None = None
    pid: int | None = None


class ForeignVtn:
    """Any OpenADR 3.1 VTN; prepared through its API, and cleaned up afterwards."""

    database = "behind the URL"

    def __init__(self, http: aiohttp.ClientSession, options: ForeignOptions) -> None:
        self.address = Address.of(options.url)
        self.bl = ApiClient(http, self.address, options.bl_token)
        self.ven = ApiClient(http, self.address, options.ven_token)
        self.meter = None if options.pid is None else Meter(options.pid)
        self.credentials = (
            None if options.client_secret is None else BenchCredentials(options.ven_client_id, options.client_secret)
        )
        self.program_id = ""
        self._client_id = options.ven_client_id
        self._run = secrets.token_hex(4)
        self._events: list[str] = []
        self._vens: list[str] = []
        self._own: list[str] = []

    async def start(self) -> None:
        """Store what all workloads share."""
        made = await self.bl.create("/programs", documents.program(f"bench-{self._run}"))
        self.program_id = made["id"]
        self._own.append(f"/programs/{self.program_id}")
        home = documents.ven(f"bench-{self._run}", self._client_id, (documents.WATCHED, *documents.SPARE))
        try:
            self._own.append(f"/vens/{(await self.bl.create('/vens', home))['id']}")
        except Unusable as error:
            raise Unusable(f"the client {self._client_id} must not have a ven yet ({error})") from error

    async def hold_events(self, number: int) -> None:
        await self.bl.delete_all(self._events)
        wanted = (
            documents.event(self.program_id, (documents.feeder(place, number),), place) for place in range(number)
        )
        self._events = _paths("events", await self.bl.create_all("/events", wanted))

    async def hold_vens(self, number: int) -> None:
        await self.bl.delete_all(self._vens)
        names = (f"bench-{self._run}-{place}" for place in range(number))
        wanted = (documents.ven(name, name, (documents.feeder(0, 50),)) for name in names)
        self._vens = _paths("vens", await self.bl.create_all("/vens", wanted))

    async def hold_vens_20b(self, number: int) -> list[str] | None:
        return None

    async def hold_reports(self, number: int) -> bool:
        return False

    async def hold_readings(self, event_id: str, number: int, midnights: list[datetime], event: datetime) -> bool:
        return False

    async def hold_resources(self, panel: str, names: Sequence[str]) -> bool:
        return False

    async def use(self, settings: Mapping[str, str]) -> bool:
        return False

    async def console_session(self) -> str | None:
        return None

    def fleet(self, number: int) -> list[str] | None:
        return None

    async def clean_up(self) -> None:
        """Remove everything that was stored, in reverse."""
        for paths in (self._vens, self._events, *([path] for path in reversed(self._own))):
            await self.bl.delete_all(paths)


@asynccontextmanager
async def own_vtn(databases: Databases, folder: Path, cores: Cores) -> AsyncIterator[Vtn]:
    """Ours, for the time of the block."""
    async with session() as http:
        vtn = OwnVtn(http, databases, folder, cores)
        try:
            await vtn.start()
            yield vtn
        except BenchError as error:
            error.add_note(vtn.log_end())
            raise
        finally:
            vtn.stop()


@asynccontextmanager
async def foreign_vtn(options: ForeignOptions) -> AsyncIterator[Vtn]:
    """Another one, cleaned up at the end of the block."""
    async with session() as http, AsyncExitStack() as stack:
        vtn = ForeignVtn(http, options)
        stack.push_async_callback(vtn.clean_up)
        await vtn.start()
        yield vtn


def _paths(collection: str, made: list[dict[str, Any]]) -> list[str]:
    return [f"/{collection}/{each['id']}" for each in made]
