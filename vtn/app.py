"""Start and stop the VTN: its parts, made from its settings, its background services, and the order of closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import import_module, metadata
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from vtn.auth import revocations
from vtn.auth.bearer import Bearer
from vtn.auth.clients import Clients
from vtn.auth.endpoint import TokenEndpoint
from vtn.auth.keys import SigningKeys
from vtn.auth.secrets import Secrets
from vtn.auth.tokens import OwnTokens
from vtn.console.streams import ConsoleStreams
from vtn.contacts import ContactRecorder
from vtn.counters.revisions import Revisions
from vtn.deliveries import Deliveries
from vtn.errors import LibraryMissing, Unavailable
from vtn.evaluations import Evaluations
from vtn.fact_upkeep import CURVE_LEASE, READINGS_LEASE, REMOVE_EVERY_S, CurveRecorder, ReadingsRetention
from vtn.facts import LEASE_S, FactReader
from vtn.http import headers
from vtn.http.addresses import Addresses
from vtn.http.connections import Runner
from vtn.http.sending import SendBudget
from vtn.http.sockets import bound, make_room
from vtn.http.tls import ServerTls
from vtn.metrics import Metrics
from vtn.notify.alarms.services import alarm_services
from vtn.notify.callback import Callbacks
from vtn.notify.url_judge import Lookup, UrlJudge, system_lookup
from vtn.processes.collector import spare_the_collector
from vtn.processes.shared_memory import SharedMemory
from vtn.rate_limits import RateLimits
from vtn.retention import Retention
from vtn.services import Closing, Service, Services
from vtn.settings import Settings
from vtn.store.client import ClientStore
from vtn.store.console.users import UserStore
from vtn.store.contact import ContactStore
from vtn.store.database import Database
from vtn.store.facts.curves import EventCurves
from vtn.store.facts.writer import FACTS_LEASE, FactWriter
from vtn.store.host_changes import counters_of, listener_of
from vtn.store.lease import Lease
from vtn.store.listener import PostgresListener
from vtn.store.migrate import check_migrated, migrate
from vtn.store.outbox.broker import add_broker, remove_broker
from vtn.store.sealing import prepare_secrets
from vtn.store.signing_key import SigningKeyStore
from vtn.store.stamps import Stamps
from vtn.store.stores import Stores
from vtn.store.vault import Vault
from vtn.wiring import Wiring, websockets

if TYPE_CHECKING:
    from vtn.auth.external import ExternalTokens
    from vtn.console.users import ConsoleUsers
    from vtn.listener_20b import Listener20b
    from vtn.notify.broker_access.access import BrokerAccess

_log = structlog.get_logger(__name__)

_GRACE_S = 5.0
_SERVICES_END_S = 5.0


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
        shared = shared or SharedMemory()
        self._now = now
        self.settings = settings
        self._revisions = Revisions()
        self._database = Database(settings.database, self._revisions)
        self._vault = Vault(settings)
        self._stamps = Stamps(now)
        self._secrets = Secrets(settings.auth)
        self.clients = Clients(ClientStore(self._database), self._stamps, self._secrets)
        keys = SigningKeys(settings.auth, SigningKeyStore(self._database), self._stamps, now, self._vault)
        self._tokens = OwnTokens(settings.auth, now, self.clients, keys)
        self._bearer = Bearer(
            self._tokens if settings.auth.gives_tokens else None,
            _external_tokens(settings, now, self.clients),
            self.clients,
        )
        self._addresses = Addresses(settings)
        self._rate_limits = RateLimits(settings, shared, now)
        self._endpoint = TokenEndpoint(
            settings.auth,
            self.clients,
            self._tokens,
            token_url=self._addresses.token_url,
            per_client=self._rate_limits.tokens(),
            guesses=self._rate_limits.wrong_secrets(),
        )
        self._metrics = Metrics(metadata.version("openadr-fleet"), shared) if settings.metrics else None
        self._contact_store = ContactStore(self._database)
        self._contacts = ContactRecorder(settings.contacts, self._contact_store, now)
        self._sending = SendBudget(settings.limits.answers_in_flight_bytes, largest=settings.body_limit_bytes)
        self._url_judge = UrlJudge(settings.webhook, lookup=lookup)
        self._callbacks = Callbacks(self._url_judge)
        self._listener_20b: Listener20b | None = None
        self.stores: Stores | None = None
        """The stores, once the server is started."""
        self._websockets = websockets(settings, self._database, self._stamps, now)
        self._console_streams = ConsoleStreams(settings.console, self._revisions)
        self._evaluations: Evaluations | None = None
        self._broker: BrokerAccess | None = None
        self._tls: ServerTls | None = None
        self._runner: Runner | None = None
        self.services = Services(())
        self._closing = Closing()
        self._closing.add("revisions", self._revisions.stop)
        self._closing.add("database", self._database.close)
        self._closing.add("secrets", self._secrets.close)

    @property
    def origin(self) -> str:
        """Return scheme, host and port as clients reach the server; the port is known once it is started."""
        return self._addresses.origin

    @property
    def base_url(self) -> str:
        """Return the address of the API, as clients are told it."""
        return self.origin + self.settings.prefixes[0]

    @property
    def console_address(self) -> dict[str, str]:
        """Return where the console is, as ``console`` for a line of the log; empty if it is not served."""
        return {"console": f"{self.origin}/console"} if self.settings.has_console else {}

    @property
    def port(self) -> int:
        """Return the port that is listened on; it is known once the server is started."""
        return self._addresses.port

    def console_users(self) -> ConsoleUsers:
        """Return the people who may use the console, for whoever started this server."""
        from vtn.console.users import ConsoleUsers  # noqa: PLC0415 (most servers are not asked)
        from vtn.store.console.users import UserStore  # noqa: PLC0415

        return ConsoleUsers(UserStore(self._database), self._stamps, self._secrets)

    @property
    def port_20b(self) -> int | None:
        """Return the port of OpenADR 2.0b, known once the server is started; None if it is not served."""
        return None if self._listener_20b is None else self._listener_20b.port

    async def start(self) -> None:
        """Bring the database up to date and listen; raises a StartFailed and leaves nothing running when it cannot."""
        _log.info("VTN is starting", database=self._database.name)
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        _log.info("VTN started", base_url=self.base_url, **self.console_address, database=self._database.name)
        if self._listener_20b is not None:
            _log.info("VENs of OpenADR 2.0b are served", url=self._listener_20b.url)

    async def prepare(self) -> None:
        """Bring the database up to date, with everything in it that a server needs; raises a StartFailed."""
        await (migrate if self.settings.database.migrate else check_migrated)(self._database)
        await prepare_secrets(self._database, self._vault)
        await self._tokens.load_keys()
        await self._prepare_broker()
        if not self._shared_port and self.settings.auth.gives_tokens and not await self.clients.list():
            _log.warning("there are no clients, so nobody can get a token; add one: oadr vtn client add NAME --role bl")
        if not self._shared_port and self.settings.has_console and self.settings.console.oidc is None:
            await self._say_how_to_get_into_the_console()

    async def _say_how_to_get_into_the_console(self) -> None:
        """Log how to make the first user of the console, if there is none."""
        if not await UserStore(self._database).any():
            _log.info("nobody can use the console yet; add a user: oadr vtn user add NAME --role admin")

    async def _prepare_broker(self) -> None:
        """Have changes recorded for the MQTT broker if there is one; raises BadCertificate."""
        settings = self.settings.mqtt
        if settings is not None:
            if settings.is_encrypted:
                from vtn.notify.mqtt import tls_context  # noqa: PLC0415 (few servers have a broker)

                await asyncio.to_thread(tls_context, settings)
            await add_broker(self._database)
        elif dropped := await remove_broker(self._database):
            _log.warning(
                "there is no MQTT broker in the settings any more: what waited for it is dropped", dropped=dropped
            )

    def renew_certificate(self) -> None:
        """Read the certificate again now, for connections from now on (TLS-006)."""
        if self._tls is not None:
            self._tls.reload()
        if self._listener_20b is not None:
            self._listener_20b.renew_certificate()

    async def run(self) -> None:
        """Serve until cancelled; raises ServiceFailed when a service fails without which the server must not go on."""
        await self.start()
        spare_the_collector()
        try:
            await self.services.failed()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Finish the requests that are under way, then close everything, whatever fails meanwhile."""
        await self._closing.close()

    async def _start(self) -> None:
        tls = self._tls = None if self.settings.tls is None else ServerTls(self.settings.tls)
        if tls is not None:
            self._addresses.use(tls)
        socket = bound(self.settings.host, self.settings.port, shared=self._shared_port)
        self._closing.add("port", socket.close)
        self._addresses.port = socket.getsockname()[1]
        listener = listener_of(self._database)
        self._revisions.start(counters_of(self._database), listener)
        await self.prepare()
        if listener is not None:
            self._database.fail_fast_while(listener.hangs)
        await self.clients.read_revocations()
        make_room(self.settings.limits.connections)
        stores = self.stores = self._stores()
        if self.settings.mqtt is not None:
            from vtn.notify.broker_access.access import BrokerAccess  # noqa: PLC0415 (few servers have a broker)

            self._broker = BrokerAccess(self.settings.mqtt, self._database, self._stamps, self._vault, self._now)
        listener_20b = self._listener_20b = self._made_listener_20b(stores)
        services = self._services(stores, listener, tls)
        services += alarm_services(
            self.settings, self._database, self._stamps, self._url_judge, about=lambda: self.origin, now=self._now
        )
        if self.settings.notify.dispatch:
            deliveries = Deliveries(
                self.settings, self._database, self._stamps, self._vault, self._url_judge, self._now
            )
            self._closing.add("deliveries", deliveries.close)
            services += deliveries.services()
        self.services = Services(services, grace_s=_SERVICES_END_S)
        if self._metrics is not None:
            self._metrics.sample_services(self.services)
        self._runner = Runner(
            *self._wiring(stores).application(),
            self.settings.limits,
            headers=headers.fixed(self.settings),
            metrics=self._metrics,
            shutdown_timeout=_GRACE_S,
        )
        self._closing.add("last contacts", partial(_last, "contacts", self._contacts.store))
        self._closing.add("last reads", partial(_last, "reads", stores.reads.store))
        self._closing.add("requests", self._runner.cleanup)
        if listener_20b is not None:
            await listener_20b.prepare(self._closing)
        self._closing.add("services", self.services.stop)
        self._closing.add("websockets", self._websockets.close)
        self._closing.add("pages", self._console_streams.close)
        await self._runner.setup()
        await self._runner.listen(socket, None if tls is None else tls.context)
        if listener_20b is not None:
            await listener_20b.listen()
        self.services.start()

    def _stores(self) -> Stores:
        return Stores(
            self.settings, self._database, self._stamps, self._contact_store, self._vault, self._callbacks.verify
        )

    def _services(self, stores: Stores, listener: PostgresListener | None, tls: ServerTls | None) -> list[Service]:
        """Return the background services. They run in every worker, so each must bear others of its kind."""
        settings = self.settings
        follow_revocations = partial(
            revocations.follow, self.clients, self._bearer, every_s=settings.auth.revocation_poll_s
        )
        services = [
            Service("revocations", follow_revocations, is_vital=True),
            Service("contacts", self._contacts.run),
            Service("cancelled_transactions", self._revisions.settle_cancelled),
            Service("websockets", self._websockets.run),
            Service("evaluations", self._evaluating(stores).run),
        ]
        if stores.reads.enabled:
            services.append(Service("reads", stores.reads.run))
        if listener is not None:
            services.append(Service("listener", listener.run))
        if self._metrics is not None:
            services.append(Service("metrics", self._metrics.follow))
        if settings.reports.retention_days is not None:
            services.append(Service("retention", Retention(settings.reports, stores.reports, self._now).run))
        services.extend(self._fact_services(stores))
        if settings.has_console:
            services.append(Service("event_repeats", self._repeating(stores)))
        if settings.mdns.enabled:
            services.append(Service("mdns", self._announcement(stores)))
        if tls is not None:
            services.append(Service("certificates", tls.follow))
        if self._broker is not None:
            services.extend(self._broker.services())
        if self._listener_20b is not None:
            services.extend(self._listener_20b.services())
        return services

    def _repeating(self, stores: Stores) -> Callable[[], Awaitable[None]]:
        """Return what issues the events of templates that repeat; it is loaded when there is one."""
        every_s = self.settings.safety.repeat_check_s

        async def run() -> None:
            while True:
                if await stores.repeats.any():
                    break
                await asyncio.sleep(every_s)
            repeats = await asyncio.to_thread(import_module, "vtn.console.issuing.repeats")
            lease = Lease(self._database, self._stamps, name=repeats.LEASE, by=uuid4().hex, lease_s=4 * every_s)
            await repeats.RepeatIssuer(
                self.settings, self._database, self._stamps, stores.events, lease, self._now
            ).run()

        return run

    def _fact_services(self, stores: Stores) -> list[Service]:
        """Return the services that fill the tables of what reports say."""
        settings, by = self.settings.facts, uuid4().hex
        if not settings.read:
            return []
        lease = partial(Lease, self._database, self._stamps, by=by)
        reader = FactReader(
            settings,
            FactWriter(self._database, self._stamps, by=by),
            lease(name=FACTS_LEASE, lease_s=LEASE_S),
            self._database.reported.waiter(),
            now=self._now,
            is_busy=lambda: stores.reports.waiting > 0,
        )
        if self._metrics is not None:
            reader.show_in(self._metrics)
        of_curves = lease(name=CURVE_LEASE, lease_s=3 * settings.curve_every_s)
        curves = CurveRecorder(settings, EventCurves(self._database), of_curves, self._now)
        services = [Service("facts", reader.run), Service("fact_curves", curves.run)]
        if settings.readings_days is not None:
            of_readings = lease(name=READINGS_LEASE, lease_s=REMOVE_EVERY_S)
            retention = ReadingsRetention(settings.readings_days, self._database, of_readings, self._now)
            services.append(Service("fact_retention", retention.run))
        return services

    def _made_listener_20b(self, stores: Stores) -> Listener20b | None:
        """Return the listener for OpenADR 2.0b, its port taken; None if there is to be none. Raises a StartFailed."""
        v20b = self.settings.v20b
        if v20b is None or not v20b.enabled:
            return None
        try:
            from vtn.listener_20b import Listener20b  # noqa: PLC0415 (an extra, installed where it is used)
        except ModuleNotFoundError as error:
            raise LibraryMissing("v20b needs more libraries: pip install 'openadr-fleet[oadr20b]'") from error
        made = Listener20b(
            self.settings,
            v20b,
            stores,
            self._contacts,
            self._metrics,
            push_lease=partial(Lease, self._database, self._stamps, name="push_20b", by=uuid4().hex),
            now=self._now,
            shared_port=self._shared_port,
        )
        self._closing.add("port of OpenADR 2.0b", made.close_socket)
        self._addresses.port_20b = made.port
        return made

    def _announcement(self, stores: Stores) -> Callable[[], Awaitable[None]]:
        try:
            from vtn.mdns import Announcement  # noqa: PLC0415 (an extra, installed where it is used)
        except ModuleNotFoundError as error:
            raise LibraryMissing("mdns.enabled needs more libraries: pip install 'openadr-fleet[mdns]'") from error
        return Announcement(self.settings, port=self.port, program_names=stores.programs.public_names).run

    def _evaluating(self, stores: Stores) -> Evaluations:
        """Return what evaluates events here: who asks and the service that does it share one queue."""
        if self._evaluations is None:
            self._evaluations = Evaluations(stores, self._now)
        return self._evaluations

    def _wiring(self, stores: Stores) -> Wiring:
        return Wiring(
            settings=self.settings,
            database=self._database,
            stamps=self._stamps,
            stores=stores,
            contacts=self._contacts,
            bearer=self._bearer,
            addresses=self._addresses,
            endpoint=self._endpoint,
            callbacks=self._callbacks,
            evaluations=self._evaluating(stores),
            websockets=self._websockets,
            sending=self._sending,
            rate_limits=self._rate_limits,
            services=self.services,
            metrics=self._metrics,
            broker=self._broker,
            clients=self.clients,
            secrets=self._secrets,
            console_streams=self._console_streams,
            now=self._now,
        )


async def _last(what: str, store: Callable[[], Awaitable[None]]) -> None:
    """Store what was noted last; a database that hangs must not keep the server from ending."""
    try:
        async with asyncio.timeout(_GRACE_S):
            await store()
    except (TimeoutError, Unavailable):
        _log.warning("the database does not answer; what was noted last is not stored", what=what)


def _external_tokens(settings: Settings, now: Callable[[], datetime], clients: Clients) -> ExternalTokens | None:
    if settings.auth.external is None:
        return None
    from vtn.auth.external import ExternalTokens  # noqa: PLC0415 (with it all of PyJWT and its algorithms)

    return ExternalTokens(settings.auth.external, now, clients, token_cache=settings.auth.token_cache)


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
