"""Put together what serves OpenADR 2.0b: a listener with mutual TLS, its services, and the work in the background.

It is imported by servers that have ``[v20b]`` only: it needs libraries for XML.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from vtn.api.v20b.application import Door, application
from vtn.api.v20b.counts import Counts20b
from vtn.api.v20b.ei_event import EiEvent
from vtn.api.v20b.ei_opt import EiOpt
from vtn.api.v20b.ei_register_party import EiRegisterParty
from vtn.api.v20b.ei_report import EiReport
from vtn.api.v20b.event_desk import EventDesk
from vtn.api.v20b.event_losses import LossLog
from vtn.api.v20b.identity import Identity
from vtn.api.v20b.oadr_poll import OadrPoll, PendingMessages
from vtn.api.v20b.opt_desk import OptDesk
from vtn.api.v20b.overdue import OverdueReports
from vtn.api.v20b.push_address import PushAddresses
from vtn.api.v20b.push_client import PushClient
from vtn.api.v20b.push_delivery import PushDelivery
from vtn.api.v20b.pusher import Pusher, lease_s
from vtn.api.v20b.report_asking import ReportAsking
from vtn.api.v20b.services import PATH, Service20b
from vtn.api.v20b.session import MessageService
from vtn.api.v20b.signatures import Signatures
from vtn.api.v20b.wire import MessageWire
from vtn.contacts import ContactRecorder
from vtn.http import body, headers
from vtn.http.connections import Runner
from vtn.http.mutual_tls import MutualTls, Peers
from vtn.http.sockets import bound
from vtn.metrics import Metrics
from vtn.services import Closing, Service
from vtn.settings import Settings
from vtn.store.lease import Lease
from vtn.store.stores import Stores
from vtn.v20b_settings import V20b

_GRACE_S: Final = 5.0


class Listener20b:
    """The listener of one process. ``port`` is known once it is made."""

    def __init__(
        self,
        settings: Settings,
        v20b: V20b,
        stores: Stores,
        contacts: ContactRecorder,
        metrics: Metrics | None,
        *,
        push_lease: Callable[..., Lease],
        now: Callable[[], datetime],
        shared_port: bool,
    ) -> None:
        self._settings = settings
        self._v20b = v20b
        self._stores = stores
        self._contacts = contacts
        self._metrics = metrics
        self._push_lease = push_lease
        self._now = now
        self._pusher: Pusher | None = None
        self._tls = None if v20b.trusted_proxies else MutualTls(v20b, self._hang_up)
        self._socket = bound(v20b.host, v20b.port, shared=shared_port)
        self.port: int = self._socket.getsockname()[1]
        self._counts = Counts20b(metrics)
        self._identity = Identity(v20b, stores.v20b.vens, Peers(v20b), self._counts, now)
        self._wire = MessageWire(v20b, Signatures.of(v20b, stores.v20b.nonces, now=now), self._counts)
        self._runner = self._made_runner()

    @property
    def url(self) -> str:
        """Return the address that VENs are given, as far as this server knows its own name."""
        v20b = self._v20b
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{v20b.host}:{self.port}{v20b.prefix}{PATH.rstrip('/')}"

    def services(self) -> list[Service]:
        """Return the background services, which run in every process."""
        overdue = OverdueReports(self._stores.v20b.reports, self._counts, every_s=self._v20b.poll_s)
        services = [Service("overdue_20b", overdue.run)]
        if self._tls is not None:
            services.append(Service("certificates_20b", self._tls.follow))
        if self._pusher is not None:
            services.append(Service("push_20b", self._pusher.run))
        return services

    def close_socket(self) -> None:
        """Stop listening, if it has not begun."""
        self._socket.close()

    def renew_certificate(self) -> None:
        """Read the certificates again now."""
        if self._tls is not None:
            self._tls.reload()

    def _hang_up(self) -> None:
        """Have VENs connect again: who is trusted has changed."""
        self._runner.hang_up()

    async def prepare(self, closing: Closing) -> None:
        """Get ready to take requests; ``closing`` ends them."""
        closing.add("requests of OpenADR 2.0b", self._runner.cleanup)
        await self._runner.setup()

    async def listen(self) -> None:
        """Begin to take requests."""
        await self._runner.listen(self._socket, None if self._tls is None else self._tls.context)

    def _made_runner(self) -> Runner:
        settings, v20b = self._settings, self._v20b
        limits = settings.limits
        budget = body.Budget(
            most=max(limits.bodies_bytes, v20b.max_body_bytes),
            most_per_address=None
            if v20b.trusted_proxies
            else max(limits.bodies_per_address_bytes, v20b.max_body_bytes),
        )
        app, entrance = application(settings, v20b, self._door(), budget=budget, metrics=self._metrics)
        return Runner(
            app,
            entrance,
            limits,
            headers=headers.fixed(settings),
            metrics=self._metrics,
            shutdown_timeout=_GRACE_S,
        )

    def _door(self) -> Door:
        stores, v20b = self._stores, self._v20b
        asking = ReportAsking(v20b, stores)
        reports = EiReport(v20b, stores, asking, self._counts)
        base_url = self._settings.public_url or f"http://{v20b.vtn_id}"
        opts = OptDesk(stores.v20b.answers, stores.reports, base_url=base_url)
        desk = EventDesk(
            stores.v20b.events,
            LossLog(self._counts),
            vtn_id=v20b.vtn_id,
            base_url=base_url,
            retry_polls=v20b.retry_polls,
        )
        events = EiEvent(desk, stores.v20b.events, stores.v20b.answers, opts)
        addresses = None if v20b.push is None else PushAddresses(v20b.push)
        party = EiRegisterParty(v20b, stores.v20b.registrations, stores.v20b.outbox, addresses)
        pending = PendingMessages(stores.v20b.outbox, events, asking.message)
        services: dict[Service20b, MessageService] = {
            Service20b.EI_REGISTER_PARTY: party,
            Service20b.EI_EVENT: events,
            Service20b.EI_OPT: EiOpt(stores.v20b.events, stores.v20b.answers, opts),
            Service20b.EI_REPORT: reports,
            Service20b.OADR_POLL: OadrPoll(pending, asking.bring_up_to_date),
        }
        door = Door(
            v20b,
            self._identity,
            self._wire,
            services,
            self._contacts,
            self._counts,
            heard_response=party.heard_response,
            now=self._now,
        )
        if addresses is not None:
            self._pusher = self._made_pusher(addresses, pending, asking, door)
        return door

    def _made_pusher(
        self, addresses: PushAddresses, pending: PendingMessages, asking: ReportAsking, door: Door
    ) -> Pusher | None:
        """Return what pushes; None if nothing is to be pushed."""
        stores, v20b = self._stores, self._v20b
        context = None if self._tls is None else self._tls.client_context
        if v20b.push is None or context is None:
            return None
        client = PushClient(v20b.push, addresses, self._wire, context, max_bytes=v20b.max_body_bytes)
        lease = self._push_lease(lease_s=lease_s(v20b.push))
        delivery = PushDelivery(
            stores,
            pending,
            asking.bring_up_to_date,
            client,
            door,
            self._contacts,
            vtn_id=v20b.vtn_id,
            now=self._now,
        )
        return Pusher(v20b, v20b.push, stores.v20b.vens, delivery, lease, metrics=self._metrics)
