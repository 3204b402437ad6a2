"""A process that delivers notifications and does nothing else: ``oadr vtn dispatch``, beside servers or for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from vtn.counters.revisions import Revisions
from vtn.deliveries import Deliveries
from vtn.notify.url_judge import Lookup, UrlJudge, system_lookup
from vtn.processes.collector import spare_the_collector
from vtn.services import Closing, Service, Services
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.host_changes import counters_of, listener_of
from vtn.store.migrate import check_migrated, migrate
from vtn.store.sealing import prepare_secrets
from vtn.store.stamps import Stamps
from vtn.store.vault import Vault

_log = structlog.get_logger(__name__)

_SERVICES_END_S: Final = 5.0


class DeliveryProcess:
    """Deliver what is in the outbox of a database, without HTTP. Any number may run, on any number of hosts."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime], lookup: Lookup = system_lookup) -> None:
        self.services = Services(())
        self._settings = settings
        self._now = now
        self._lookup = lookup
        self._revisions = Revisions()
        self._database = Database(settings.database, self._revisions)
        self._closing = Closing()
        self._closing.add("revisions", self._revisions.stop)
        self._closing.add("database", self._database.close)

    async def run(self) -> None:
        """Deliver until cancelled; raises DatabaseMissing, another StartFailed, or ServiceFailed."""
        try:
            await self._start()
            spare_the_collector()
            await self.services.failed()
        finally:
            await self._closing.close()

    async def _start(self) -> None:
        settings, database = self._settings, self._database
        database.check_exists()
        listener = listener_of(database)
        self._revisions.start(counters_of(database), listener)
        await (migrate if settings.database.migrate else check_migrated)(database)
        vault = Vault(settings)
        await prepare_secrets(database, vault)
        if listener is not None:
            database.fail_fast_while(listener.hangs)
        judge = UrlJudge(settings.webhook, lookup=self._lookup)
        deliveries = Deliveries(settings, database, Stamps(self._now), vault, judge, self._now)
        services = [*deliveries.services(), Service("cancelled_transactions", self._revisions.settle_cancelled)]
        if listener is not None:
            services.append(Service("listener", listener.run))
        self.services = Services(services, grace_s=_SERVICES_END_S)
        self._closing.add("deliveries", deliveries.close)
        self._closing.add("services", self.services.stop)
        self.services.start()
        _log.info("notifications are delivered by this process", database=database.name)
