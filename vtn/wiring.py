"""Put the HTTP application of a server together: the versions of the API, and what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aiohttp import web

from vtn.api.about import About
from vtn.api.application import application
from vtn.api.collection import OpenRoute
from vtn.api.payload_values import PayloadValues
from vtn.api.v31 import version as v31
from vtn.api.v31.render import notification_renderers
from vtn.api.v301 import version as v301
from vtn.api.version import ApiVersion
from vtn.auth.bearer import Bearer
from vtn.auth.clients import Clients
from vtn.auth.endpoint import TokenEndpoint
from vtn.auth.secrets import Secrets
from vtn.cache.responses import ResponseCache
from vtn.console.console import Console
from vtn.console.door import METHODS, ConsoleDoor
from vtn.console.streams import ConsoleStreams
from vtn.contacts import ContactRecorder
from vtn.evaluations import Evaluations
from vtn.http.addresses import Addresses
from vtn.http.body import Budget
from vtn.http.entrance import Entrance
from vtn.http.sending import SendBudget
from vtn.http.tls import ClientCertificates
from vtn.metrics import (
    ANSWERS_BYTES,
    ANSWERS_MADE,
    BODIES_BYTES,
    BODIES_REFUSED,
    READS_DROPPED,
    REPORTS_WAITING,
    SENDING_BYTES,
    SENDING_CUT,
    SENDING_REFUSED,
    UNSUITABLE,
    WEBSOCKET_MESSAGES,
    WEBSOCKETS,
    WEBSOCKETS_DROPPED,
    Metrics,
)
from vtn.notify.callback import Callbacks
from vtn.notify.content import Content
from vtn.notify.websocket import Websockets
from vtn.outbox_metrics import OutboxMetrics
from vtn.rate_limits import RateLimits
from vtn.services import Services
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.outbox.changes import NotedChanges
from vtn.store.outbox.holders import Holders
from vtn.store.stamps import Stamps
from vtn.store.stores import Stores
from vtn.store.visibility import Visibility

if TYPE_CHECKING:
    from vtn.notify.broker_access.access import BrokerAccess


@dataclass(frozen=True, slots=True)
class Wiring:
    """Hold the parts of a server that answer requests."""

    settings: Settings
    database: Database
    stamps: Stamps
    stores: Stores
    contacts: ContactRecorder
    bearer: Bearer
    addresses: Addresses
    endpoint: TokenEndpoint
    callbacks: Callbacks
    evaluations: Evaluations
    websockets: Websockets
    sending: SendBudget
    rate_limits: RateLimits
    services: Services
    metrics: Metrics | None
    broker: BrokerAccess | None
    clients: Clients
    secrets: Secrets
    console_streams: ConsoleStreams
    now: Callable[[], datetime]

    def application(self) -> tuple[web.Application, Entrance]:
        """Return the application and the entrance before it."""
        settings, versions, budget, sending = self.settings, self.versions(), self._body_budget(), self.sending
        about = About(self.database, self.metrics, self._outbox_metrics(), self.services, versions[0].describe)
        if self.metrics is not None:
            self.metrics.sample(BODIES_BYTES, lambda: budget.held)
            self.metrics.sample(BODIES_REFUSED, lambda: budget.refused)
            self.metrics.sample(SENDING_BYTES, lambda: sending.flight.held + sending.texts.held)
            self.metrics.sample(SENDING_REFUSED, lambda: sending.flight.refused)
            self.metrics.sample(SENDING_CUT, lambda: sending.cut)
            listeners = self.websockets.listeners
            self.metrics.sample(WEBSOCKETS, lambda: len(listeners))
            self.metrics.sample(WEBSOCKET_MESSAGES, lambda: listeners.sent)
            self.metrics.sample(WEBSOCKETS_DROPPED, lambda: listeners.dropped)
        return application(
            settings,
            versions,
            origin_routes=(
                OpenRoute("POST", "/auth/token", self.endpoint.token),
                *about.routes(),
                *self._broker_routes(),
                *self._console_routes(),
            ),
            metrics=self.metrics,
            limiter=self.rate_limits.requests(),
            anonymous_limiter=self.rate_limits.anonymous_requests(),
            certificates=ClientCertificates(settings.tls.clients) if settings.tls and settings.tls.clients else None,
            budget=budget,
            contacts=self.contacts,
            sending=sending,
            caller_of=self.bearer.caller_of,
        )

    def versions(self) -> tuple[ApiVersion, ...]:
        """Return the versions of the standard that are served; ``/openapi.json`` describes the first."""
        settings, stamps = self.settings, self.stamps
        reports, reads = self.stores.reports, self.stores.reads
        cache = ResponseCache(max_bytes=settings.answers_bytes, now=lambda: stamps.now)
        if self.metrics is not None:
            self.metrics.sample(ANSWERS_BYTES, lambda: cache.size_bytes)
            self.metrics.sample(ANSWERS_MADE, lambda: cache.made)
            self.metrics.sample(REPORTS_WAITING, lambda: reports.waiting)
            self.metrics.sample(READS_DROPPED, lambda: reads.dropped)
        auth_routes = (
            OpenRoute("GET", "/auth/server", self.endpoint.server),
            OpenRoute("POST", "/auth/token", self.endpoint.token),
        )
        values = PayloadValues(settings.validation, self._count_unsuitable)
        return (
            v31.version(
                settings,
                self.stores,
                cache,
                values=values,
                callbacks=self.callbacks,
                contacts=self.contacts,
                authentication=None if self.broker is None else self.broker.binding.authentication,
                evaluations=self.evaluations,
                websockets=self.websockets,
                holding=self.bearer.holding,
                origin=self.addresses.reached_by,
                auth_routes=auth_routes,
            ),
            v301.version(settings, self.stores, cache, values=values, callbacks=self.callbacks, endpoint=self.endpoint),
        )

    def _broker_routes(self) -> tuple[OpenRoute, ...]:
        """Return the routes on which a broker asks what clients may do, if it is set to (MQTT-016)."""
        mqtt = self.settings.mqtt
        if mqtt is None or self.broker is None or not mqtt.access.callbacks:
            return ()
        from vtn.api import broker  # noqa: PLC0415 (few servers are asked by a broker)

        return broker.routes(
            mqtt.access, self.broker.doorkeeper(verify=self.bearer.verified, still_holds=self.clients.still_holds)
        )

    def _console_routes(self) -> tuple[OpenRoute, ...]:
        """Return the routes of the console, if it is served."""
        if not self.settings.has_console:
            return ()
        door = ConsoleDoor(
            Console(
                settings=self.settings,
                database=self.database,
                stores=self.stores,
                stamps=self.stamps,
                contacts=self.contacts,
                clients=self.clients,
                secrets=self.secrets,
                addresses=self.addresses,
                services=self.services,
                guesses=self.rate_limits.wrong_passwords(),
                evaluations=self.evaluations,
                streams=self.console_streams,
                now=self.now,
            )
        )
        return tuple(OpenRoute(method, path, door.answer) for path in door.paths() for method in METHODS)

    def _outbox_metrics(self) -> OutboxMetrics:
        return OutboxMetrics(self.stores.outbox_listing, self.stamps)

    def _body_budget(self) -> Budget:
        """Return the memory budget for bodies; no limit per address behind a proxy, where all clients share one."""
        settings, limits = self.settings, self.settings.limits
        most, most_per_address = limits.bodies_bytes, limits.bodies_per_address_bytes
        return Budget(
            most=max(most, settings.body_limit_bytes),
            most_per_address=None if settings.behind_proxy else max(most_per_address, settings.body_limit_bytes),
        )

    def _count_unsuitable(self) -> None:
        if self.metrics is not None:
            self.metrics.add(UNSUITABLE, 1)


def notification_content() -> Content:
    """Return what writes notifications: objects in the form of the version of the standard that is told of them."""
    return Content(notification_renderers())


def websockets(settings: Settings, database: Database, stamps: Stamps, now: Callable[[], datetime]) -> Websockets:
    """Return what tells the websockets of this process of changes."""
    changes = NotedChanges(database, stamps)
    holders = Holders(database, Visibility(database, settings.privacy, names=settings.v301.name_targets))
    shown = notification_content().shown
    return Websockets(settings.websocket, changes, holders, shown, now=now)
