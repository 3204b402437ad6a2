"""Builds the VTN from its settings: the only place where parts are wired together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from vtn.api.about import About
from vtn.api.application import application
from vtn.api.collection import OpenRoute
from vtn.api.payload_values import PayloadValues
from vtn.api.v31 import version as v31
from vtn.api.version import ApiVersion
from vtn.auth.bearer import Bearer
from vtn.auth.clients import Clients
from vtn.auth.endpoint import TokenEndpoint
from vtn.auth.external import ExternalTokens
from vtn.auth.keys import SigningKeys
from vtn.auth.rate_limiter import RateLimiter
from vtn.auth.secrets import Secrets
from vtn.auth.tokens import Tokens
from vtn.auth.wrong_secrets import WrongSecrets
from vtn.cache.responses import ResponseCache
from vtn.contacts import Contacts
from vtn.counters.revisions import Revisions
from vtn.errors import LibraryMissing, Unavailable
from vtn.http import headers
from vtn.http.body import Budget
from vtn.http.connections import Runner
from vtn.http.entrance import Entrance
from vtn.http.sending import SendBudget
from vtn.http.sockets import bound, make_room
from vtn.http.tls import ClientCertificates, ServerTls
from vtn.metrics import (
    ANSWERS_BYTES,
    ANSWERS_MADE,
    BODIES_BYTES,
    BODIES_REFUSED,
    REPORTS_WAITING,
    SENDING_BYTES,
    SENDING_CUT,
    SENDING_REFUSED,
    UNSUITABLE,
    Metrics,
)
from vtn.notify.callback import Callbacks, Lookup, system_lookup
from vtn.processes.collector import spare_the_collector
from vtn.processes.shared_memory import SharedMemory
from vtn.processes.timestamps import SharedTimestamps
from vtn.retention import Retention
from vtn.settings import Settings
from vtn.store.client import ClientStore
from vtn.store.contact import ContactStore
from vtn.store.database import Database
from vtn.store.host_changes import counters_of, listener_of
from vtn.store.migrate import check_migrated, migrate
from vtn.store.program import ProgramStore
from vtn.store.sealing import prepare_secrets
from vtn.store.signing_key import SigningKeyStore
from vtn.store.stamps import Stamps
from vtn.store.stores import Stores
from vtn.store.vault import Vault

if TYPE_CHECKING:
    from vtn.mdns import Announcement

_log = structlog.get_logger(__name__)

_GRACE_S = 5.0


def system_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class VtnServer:
    """A VTN that can be started and stopped once. ``clients`` adds and lists who may get tokens.

    With ``shared`` it is one of several workers, which serve the same port and have this memory in common.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = system_now,
        lookup: Lookup = system_lookup,
        shared: SharedMemory | None = None,
    ) -> None:
        self._shared_port = shared is not None
        self._shared = shared = shared or SharedMemory()
        self._now = now
        self.settings = settings
        self._revisions = Revisions()
        self._database = Database(settings.database, self._revisions)
        self._vault = Vault(settings)
        self._stamps = Stamps(now)
        self._secrets = Secrets(settings.auth)
        self.clients = Clients(ClientStore(self._database), self._stamps, self._secrets)
        keys = SigningKeys(settings.auth, SigningKeyStore(self._database), self._stamps, now, self._vault)
        self._tokens = Tokens(settings.auth, now, self.clients, keys)
        external = settings.auth.external
        self._bearer = Bearer(
            self._tokens if settings.auth.gives_tokens else None,
            None
            if external is None
            else ExternalTokens(external, now, self.clients, token_cache=settings.auth.token_cache),
            self.clients,
        )
        self._endpoint = TokenEndpoint(
            settings.auth,
            self.clients,
            self._tokens,
            token_url=self._token_url,
            per_client=self._limiter(
                "tokens per client", burst=settings.auth.client_burst, per_s=settings.auth.client_per_s
            ),
            guesses=self._guesses(),
        )
        self._metrics = Metrics(metadata.version("openadr-fleet"), shared) if settings.metrics else None
        self._contact_store = ContactStore(self._database)
        self._contacts = Contacts(settings.contacts, self._contact_store, now)
        self._sending = SendBudget(settings.limits.answers_in_flight_bytes, largest=settings.body_limit_bytes)
        self._callbacks = Callbacks(settings.webhook, lookup=lookup)
        self._runner: Runner | None = None
        self._revocations: asyncio.Task[None] | None = None
        self._tls: ServerTls | None = None
        self._announcement: Announcement | None = None
        self._certificates: asyncio.Task[None] | None = None
        self._removing: asyncio.Task[None] | None = None
        self._sampling: asyncio.Task[None] | None = None
        self._storing: asyncio.Task[None] | None = None
        self._port = settings.port

    @property
    def origin(self) -> str:
        """Return scheme, host and port as clients reach the server; the port is known once it is started."""
        if self.settings.public_url is not None:
            return self.settings.public_url
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{'https' if self.settings.tls else 'http'}://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """Return the address of the API, as clients are told it."""
        return self.origin + self.settings.prefixes[0]

    async def start(self) -> None:
        """Bring the database up to date and listen; raises a StartFailed and leaves nothing running when it cannot."""
        _log.info("VTN is starting", database=self._database.name)
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        _log.info("VTN started", base_url=self.base_url, database=self._database.name)

    async def prepare(self) -> None:
        """Bring the database up to date, with everything in it that a server needs; raises a StartFailed."""
        await (migrate if self.settings.database.migrate else check_migrated)(self._database)
        await prepare_secrets(self._database, self._vault)
        await self._tokens.load_keys()
        if not self._shared_port and self.settings.auth.gives_tokens and not await self.clients.list():
            _log.warning("there are no clients, so nobody can get a token; add one: oadr vtn client add NAME --role bl")

    def renew_certificate(self) -> None:
        """Read the certificate again now, for connections from now on (TLS-006)."""
        if self._tls is not None:
            self._tls.reload()

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.start()
        spare_the_collector()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Finish the requests that are under way, then close everything."""
        if self._announcement is not None:
            await self._announcement.stop()
            self._announcement = None
        for task in (self._revocations, self._certificates, self._removing, self._sampling, self._storing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._revocations = self._certificates = self._removing = self._sampling = self._storing = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            with suppress(TimeoutError):  # a database that hangs must not keep us from ending
                async with asyncio.timeout(_GRACE_S):
                    await self._contacts.store()
        self._secrets.close()
        await self._database.close()
        await self._revisions.stop()

    async def _start(self) -> None:
        tls = self._tls = None if self.settings.tls is None else ServerTls(self.settings.tls)
        socket = bound(self.settings.host, self.settings.port, shared=self._shared_port)
        try:
            self._port = socket.getsockname()[1]
            listener = listener_of(self._database)
            self._revisions.start(counters_of(self._database), listener)
            await self.prepare()
            if listener is not None:
                self._database.fail_fast_while(listener.hangs)
            await self.clients.read_revocations()
            make_room(self.settings.limits.connections)
            stores = self._stores()
            self._runner = Runner(
                *self._application(stores),
                self.settings.limits,
                headers=headers.fixed(self.settings),
                metrics=self._metrics,
                shutdown_timeout=_GRACE_S,
            )
            await self._runner.setup()
            await self._runner.listen(socket, None if tls is None else tls.context)
        except BaseException:
            socket.close()
            raise
        self._revocations = asyncio.create_task(self._follow_revocations(), name="revocations")
        self._storing = asyncio.create_task(self._contacts.run(), name="contacts")
        if self._metrics is not None:
            self._sampling = asyncio.create_task(self._metrics.follow(), name="metrics")
        if self.settings.reports.retention_days is not None:
            self._removing = asyncio.create_task(self._retention(stores).run(), name="retention")
        if self.settings.mdns.enabled:
            self._announcement = _announcement(
                self.settings,
                self._port,
                stores.programs,
            )
            await self._announcement.start()
        if tls is not None:
            self._certificates = asyncio.create_task(tls.follow(), name="certificates")

    def _application(self, stores: Stores) -> tuple[web.Application, Entrance]:
        versions = self._versions(stores)
        tls, limits = self.settings.tls, self.settings.limits
        budget = self._body_budget()
        about = About(self._database, self._metrics, versions[0].describe)
        return application(
            self.settings,
            versions,
            origin_routes=(OpenRoute("POST", "/auth/token", self._endpoint.token), *about.routes()),
            metrics=self._metrics,
            limiter=None
            if limits.requests_per_s is None
            else self._limiter("requests per client", burst=limits.requests_burst, per_s=limits.requests_per_s),
            anonymous_limiter=self._anonymous_limiter(),
            certificates=ClientCertificates(tls.clients) if tls is not None and tls.clients else None,
            budget=budget,
            contacts=self._contacts,
            sending=self._memory_for_answers(),
            caller_of=self._bearer.caller_of,
        )

    def _body_budget(self) -> Budget:
        """Return the memory budget for bodies; no limit per address behind a proxy, where all clients share one."""
        settings, limits = self.settings, self.settings.limits
        most, most_per_address = limits.bodies_bytes, limits.bodies_per_address_bytes
        budget = Budget(
            most=max(most, settings.body_limit_bytes),
            most_per_address=None if settings.behind_proxy else max(most_per_address, settings.body_limit_bytes),
        )
        if self._metrics is not None:
            self._metrics.sample(BODIES_BYTES, lambda: budget.held)
            self._metrics.sample(BODIES_REFUSED, lambda: budget.refused)
        return budget

    def _memory_for_answers(self) -> SendBudget:
        """Return the memory budget for large answers."""
        sending = self._sending
        if self._metrics is not None:
            self._metrics.sample(SENDING_BYTES, lambda: sending.flight.held + sending.texts.held)
            self._metrics.sample(SENDING_REFUSED, lambda: sending.flight.refused)
            self._metrics.sample(SENDING_CUT, lambda: sending.cut)
        return sending

    def _stores(self) -> Stores:
        return Stores(
            self.settings, self._database, self._stamps, self._contact_store, self._vault, self._callbacks.verify
        )

    def _versions(self, stores: Stores) -> tuple[ApiVersion, ...]:
        """Return the versions of the standard that are served; ``/openapi.json`` describes the first."""
        settings, stamps = self.settings, self._stamps
        cache = ResponseCache(max_bytes=settings.answers_bytes, now=lambda: stamps.now)
        if self._metrics is not None:
            self._metrics.sample(ANSWERS_BYTES, lambda: cache.size_bytes)
            self._metrics.sample(ANSWERS_MADE, lambda: cache.made)
            self._metrics.sample(REPORTS_WAITING, lambda: stores.reports.waiting)
        auth_routes = (
            OpenRoute("GET", "/auth/server", self._endpoint.server),
            OpenRoute("POST", "/auth/token", self._endpoint.token),
        )
        values = PayloadValues(settings.validation, self._count_unsuitable)
        return (
            v31.version(
                settings,
                stores,
                cache,
                values=values,
                callbacks=self._callbacks,
                contacts=self._contacts,
                auth_routes=auth_routes,
            ),
        )

    def _count_unsuitable(self) -> None:
        if self._metrics is not None:
            self._metrics.add(UNSUITABLE, 1)

    def _retention(self, stores: Stores) -> Retention:
        return Retention(self.settings.reports, stores.reports, self._now)

    def _limiter(self, name: str, *, burst: int, per_s: float) -> RateLimiter:
        """Return the rate limit, which all workers share."""
        seats = self._shared.part(name)
        moments = SharedTimestamps(seats, self._shared.seat) if len(seats) > 1 else None
        return RateLimiter(burst=burst, per_s=per_s, now=self._now, moments=moments)

    def _anonymous_limiter(self) -> RateLimiter | None:
        """Return the limit on requests without a token; behind a proxy everybody has one address, so there is none."""
        public = self.settings.public
        if not public.programs or self.settings.behind_proxy:
            return None
        return self._limiter("anonymous requests per address", burst=public.requests_burst, per_s=public.requests_per_s)

    def _guesses(self) -> WrongSecrets:
        """Return the limits on wrong secrets; behind a proxy all clients have one address."""
        auth = self.settings.auth
        return WrongSecrets(
            per_client=self._limiter("wrong secrets per client", burst=auth.failure_burst, per_s=auth.failure_per_s),
            per_address=None
            if self.settings.behind_proxy
            else self._limiter("wrong secrets per address", burst=auth.address_burst, per_s=auth.address_per_s),
        )

    def _token_url(self, request: web.Request) -> str:
        """Return the URL of the token endpoint, at the public address or else the one the client used."""
        external = self.settings.auth.external
        if external is not None and not self.settings.auth.gives_tokens:
            return external.token_url
        origin = self.settings.public_url or self._origin_of(request)
        return origin + request.path.removesuffix("/server") + "/token"

    def _origin_of(self, request: web.Request) -> str:
        """Return the address the client used, if it is one of this server's: a foreign Host is never sent back.

        Else the address the connection came to.
        """
        address, port = request.get_extra_info("sockname", (self.settings.host, self._port))[:2]
        try:
            url = request.url.origin()
        except ValueError:  # a Host that cannot be read
            url = None
        named = None if url is None else url.host
        if url is not None and named is not None and self._is_ours(named, address):
            return str(url)
        host = f"[{address}]" if ":" in address else address
        return f"{request.scheme}://{host}:{port}"

    def _is_ours(self, name: str, address: str) -> bool:
        if name in {address, self.settings.host, "localhost", socket.gethostname()}:
            return True
        return self._tls is not None and self._tls.is_for(name)

    async def _follow_revocations(self) -> None:
        while True:
            await asyncio.sleep(self.settings.auth.revocation_poll_s)
            try:
                await self.clients.read_revocations()
                await self._bearer.refresh_keys()
            except Unavailable:
                _log.warning("the database does not answer; revocations of other processes are not known")


def build(settings: Settings, *, now: Callable[[], datetime] = system_now) -> VtnServer:
    """Return a VTN that is ready to be started. ``now`` gives aware instants; all of its times come from there."""
    return VtnServer(settings, now=now)


@asynccontextmanager
async def client_registry(
    settings: Settings, *, now: Callable[[], datetime] = system_now, make: bool = True
) -> AsyncIterator[Clients]:
    """Clients without a server, for administration: the same database, brought up to date first.

    Raises DatabaseMissing if there is none yet and ``make`` is off.
    """
    database, secrets = Database(settings.database), Secrets(settings.auth)
    try:
        if not make:
            database.check_exists()
        await (migrate if settings.database.migrate else check_migrated)(database)
        yield Clients(ClientStore(database), Stamps(now), secrets)
    finally:
        secrets.close()
        await database.close()


async def migrate_database(settings: Settings) -> str:
    """Bring the tables up to date and name the database."""
    database = Database(settings.database)
    try:
        await migrate(database)
        await prepare_secrets(database, Vault(settings))
        return database.name
    finally:
        await database.close()


def _announcement(settings: Settings, port: int, programs: ProgramStore) -> Announcement:
    try:
        from vtn.mdns import Announcement  # noqa: PLC0415 (an extra, installed where it is used)
    except ModuleNotFoundError as error:
        raise LibraryMissing("mdns.enabled needs more libraries: pip install 'openadr-fleet[mdns]'") from error
    return Announcement(settings, port=port, program_names=programs.public_names)
