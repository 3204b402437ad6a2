"""The bridge as an OpenADR client: its ven and resources, the events it may see, and the reports it owes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import structlog

from bridge_mqtt.panels import Registry
from bridge_mqtt.resources import resource_name
from bridge_mqtt.settings import Vtn
from bridge_mqtt.store import Store, events, programs, reports
from bridge_mqtt.store.reports import ReportState, StoredReport
from openadr_client import (
    NO_RETRY,
    NOT_MODIFIED,
    VEN_OBJECTS,
    Clock,
    KeptReport,
    PushReceiver,
    PushSettings,
    Registration,
    ReportOutbox,
    Tell,
    VtnClient,
    compare_events,
    is_newer,
)
from openadr_profiles.panel import Load, is_critical
from openadr_profiles.v31 import Attribute, Program, ValuesMap

_log = structlog.get_logger(__name__)


def client_for(settings: Vtn, clock: Clock) -> VtnClient:
    """Return a client with these settings; raises ``openadr_client.BadCertificateFile``."""
    # The bridge asks again by itself, and goes on for as long as it takes.
    return settings.client_with(retry=NO_RETRY, clock=clock)


class VtnSide:
    """Registration, polling and sending. Every method may raise ``openadr_client.VtnError``."""

    def __init__(self, settings: Vtn, *, client: VtnClient, store: Store, registry: Registry, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._store = store
        self._registry = registry
        self._clock = clock
        self._outbox = ReportOutbox(client, _Reports(store, clock), clock=clock)
        self._registration = Registration(client, settings.ven_name)
        self.targets: Collection[str] = ()
        self.programs: Mapping[str, Program] = {}

    async def listen(self, settings: PushSettings, tell: Tell) -> None:
        """Receive the VTN's notifications for us, once we are registered; raises LibraryMissing."""
        receiver = PushReceiver(self._client, settings, name=self._settings.ven_name, objects=VEN_OBJECTS)
        await self._registration.follow(lambda ven_id: receiver.run(tell, ven_id=ven_id))

    async def register(self) -> None:
        """See to it that the VTN has our ven and a resource for every panel and circuit heard of; repeatable."""
        await self._registration.keep(self._wanted())
        self._take_targets()

    async def poll(self) -> bool:
        """Read the programs and events we may see and store what has changed; return True if anything has."""
        try:
            changed = await self._poll_programs()
            return await self._poll_events() or changed
        except BaseException:  # the last answers may not have been stored: ask for them again
            self._client.programs.forget_polls()
            self._client.events.forget_polls()
            raise

    async def recall_programs(self) -> None:
        """Take over the programs that an earlier run has read."""
        async with self._store.reading() as connection:
            self.programs = await programs.all_(connection)

    async def _poll_programs(self) -> bool:
        """Read the names of programs and the units of their payloads (VENCLIENT-022), which events do not repeat."""
        found = await self._client.programs.poll()
        if found is NOT_MODIFIED:
            return False
        broken = {each.id for each in found.broken}
        kept = {id_: program for id_, program in self.programs.items() if id_ in broken}
        shown = kept | {program.id: program for program in found}
        if shown == self.programs:
            return False
        async with self._store.transaction() as connection:
            await programs.replace(connection, shown.values())
        self.programs = shown
        return True

    async def _poll_events(self) -> bool:
        found = await self._client.events.poll(active=True)
        if found is NOT_MODIFIED:
            return False
        await self._registration.look()
        self._take_targets()
        now = self._clock.now()
        async with self._store.reading() as connection:
            known = await events.known_versions(connection, [event.id for event in found])
            open_events = await events.open_(connection)
        open_versions = {
            event_id: stored.event.modification_date_time
            for event_id, stored in open_events.items()
            if stored.withdrawn_at is None
        }
        changes = compare_events(found, {**open_versions, **known})
        new = [*changes.added, *changes.changed]
        gone = []
        for event_id in changes.missing:
            now_there = await self._client.events.find(event_id)  # deleted, or not active any more
            if now_there is None:
                gone.append(event_id)
            elif is_newer(now_there, open_versions[event_id]):
                new.append(now_there)
        async with self._store.transaction() as connection:
            for event in new:
                await events.save(connection, event, now)
            for event_id in gone:
                await events.withdraw(connection, event_id, now)
        for event in new:
            _log.info("event read", event_id=event.id, modified=event.modification_date_time.isoformat())
        for event_id in gone:
            _log.info("event withdrawn", event_id=event_id)
        return bool(new or gone)

    async def send_reports(self) -> int:
        """Send the reports that the VTN does not have yet, each once; return how many were sent."""
        return await self._outbox.send()

    def _take_targets(self) -> None:
        """Take over the targets of the ven as last read, since business logic may change them at any time."""
        if (ven := self._registration.ven) is not None:
            self.targets = (ven.id, *(ven.targets or ()))

    def _wanted(self) -> Mapping[str, tuple[ValuesMap, ...]]:
        wanted: dict[str, tuple[ValuesMap, ...]] = {}
        for panel in self._registry:
            name = resource_name(panel.ven_id)
            if name is None:
                continue
            wanted[name] = (_attribute(Attribute.DESCRIPTION, panel.name),) if panel.name else ()
            for load in panel.loads:
                circuit = resource_name(panel.ven_id, load.id)
                if circuit is not None:
                    wanted[circuit] = _attributes(load)
        return wanted


class _Reports:
    """The reports in the bridge's database, as the client sends them.

    No row says that an attempt was begun, so a report without an id is always looked for first.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def unsent(self) -> list[KeptReport[StoredReport]]:
        async with self._store.reading() as connection:
            waiting = await reports.unsent(connection)
        return [KeptReport(each.report, each.report_id, may_exist=True, row=each) for each in waiting]

    async def creating(self, report: KeptReport[StoredReport]) -> None:
        """Do nothing: see above."""

    async def sent(self, report: KeptReport[StoredReport], vtn_id: str) -> None:
        await self._mark(report.row, ReportState.SENT, report_id=vtn_id, sent_at=self._clock.now())

    async def refused(self, report: KeptReport[StoredReport], problem: str) -> None:
        await self._mark(report.row, ReportState.REFUSED, problem=problem)

    async def _mark(self, stored: StoredReport, state: ReportState, **values: Any) -> None:
        async with self._store.transaction() as connection:
            await reports.mark(connection, stored, state, **values)


def _attributes(load: Load) -> tuple[ValuesMap, ...]:
    known = [_attribute("CRITICAL", is_critical(load))]
    if load.name:
        known.append(_attribute(Attribute.DESCRIPTION, load.name))
    if load.capacity_kw:
        known.append(_attribute(Attribute.MAX_POWER_CONSUMPTION, load.capacity_kw))
    return tuple(known)


def _attribute(type_: str, value: str | float | bool) -> ValuesMap:
    return ValuesMap(type=type_, values=(value,))
