"""Put the HTTP application of a server together: the versions of the API, and what they need."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from vtn.api.about import About
from vtn.api.application import application
from vtn.api.collection import OpenRoute
from vtn.api.payload_values import PayloadValues
from vtn.api.v31 import version as v31
from vtn.api.version import ApiVersion
from vtn.auth.bearer import Bearer
from vtn.auth.endpoint import TokenEndpoint
from vtn.cache.responses import ResponseCache
from vtn.contacts import ContactRecorder
from vtn.http.body import Budget
from vtn.http.entrance import Entrance
from vtn.http.sending import SendBudget
from vtn.http.tls import ClientCertificates
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
from vtn.notify.callback import Callbacks
from vtn.rate_limits import RateLimits
from vtn.services import Services
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.stamps import Stamps
from vtn.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Wiring:
    """Hold the parts of a server that answer requests."""

    settings: Settings
    database: Database
    stamps: Stamps
    stores: Stores
    contacts: ContactRecorder
    bearer: Bearer
    endpoint: TokenEndpoint
    callbacks: Callbacks
    sending: SendBudget
    rate_limits: RateLimits
    services: Services
    metrics: Metrics | None

    def application(self) -> tuple[web.Application, Entrance]:
        """Return the application and the entrance before it."""
        settings, versions, budget, sending = self.settings, self.versions(), self._body_budget(), self.sending
        about = About(self.database, self.metrics, self.services, versions[0].describe)
        if self.metrics is not None:
            self.metrics.sample(BODIES_BYTES, lambda: budget.held)
            self.metrics.sample(BODIES_REFUSED, lambda: budget.refused)
            self.metrics.sample(SENDING_BYTES, lambda: sending.flight.held + sending.texts.held)
            self.metrics.sample(SENDING_REFUSED, lambda: sending.flight.refused)
            self.metrics.sample(SENDING_CUT, lambda: sending.cut)
        return application(
            settings,
            versions,
            origin_routes=(OpenRoute("POST", "/auth/token", self.endpoint.token), *about.routes()),
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
        settings, stamps, reports = self.settings, self.stamps, self.stores.reports
        cache = ResponseCache(max_bytes=settings.answers_bytes, now=lambda: stamps.now)
        if self.metrics is not None:
            self.metrics.sample(ANSWERS_BYTES, lambda: cache.size_bytes)
            self.metrics.sample(ANSWERS_MADE, lambda: cache.made)
            self.metrics.sample(REPORTS_WAITING, lambda: reports.waiting)
        auth_routes = (
            OpenRoute("GET", "/auth/server", self.endpoint.server),
            OpenRoute("POST", "/auth/token", self.endpoint.token),
        )
        return (
            v31.version(
                settings,
                self.stores,
                cache,
                values=PayloadValues(settings.validation, self._count_unsuitable),
                callbacks=self.callbacks,
                contacts=self.contacts,
                auth_routes=auth_routes,
            ),
        )

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
