"""The bridge as an OpenADR client: its ven and resources, the events it may see, and the reports it owes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from bridge_mqtt.panels import Registry
from bridge_mqtt.resources import resource_name
from bridge_mqtt.settings import Vtn
from bridge_mqtt.store import Store, events, programs, reports
from bridge_mqtt.store.reports import ReportState, StoredReport
from openadr_client.client import NOT_MODIFIED, VtnClient
from openadr_client.clock import Clock
from openadr_client.errors import Conflict, NotFound, Refused
from openadr_profiles.panel import Load, is_critical
from openadr_profiles.v31 import Attribute, Event, Program, ValuesMap, Ven, VenResourceRequest, VenVenRequest

_log = structlog.get_logger(__name__)


def client_for(settings: Vtn, clock: Clock) -> VtnClient:
    """Return a client with these settings; raises ``openadr_client.errors.BadCertificateFile``."""
    return VtnClient(
        base_url=settings.url,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        token_url=settings.token_url,
        scope=settings.scope,
        audience=settings.audience,
        client_authentication=settings.client_authentication,
        ca_file=settings.ca_file,
        client_certificate=settings.client_certificate,
        client_key=settings.client_key,
        clock=clock,
    )


class VtnSide:
    """Registration, polling and sending. Every method may raise ``openadr_client.errors.VtnError``."""

    def __init__(self, settings: Vtn, *, client: VtnClient, store: Store, registry: Registry, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._store = store
        self._registry = registry
        self._clock = clock
        self._ven: Ven | None = None
        self._resources: set[str] = set()
        self.targets: Collection[str] = ()
        self.programs: Mapping[str, Program] = {}

    async def register(self) -> None:
        """See to it that the VTN has our ven and a resource for every panel and circuit heard of; repeatable."""
        known = self._ven
        if known is None:
            known = self._ven = await self._own_ven()
            self._resources = {each.resource_name for each in await self._client.resources.search(ven_id=known.id)}
            self.targets = (known.id, *(known.targets or ()))
            _log.info("registered with the VTN", ven_id=known.id, ven_name=known.ven_name, targets=known.targets)
        for name, attributes in self._wanted().items():
            if name not in self._resources:
                request = VenResourceRequest(resource_name=name, ven_id=known.id, attributes=attributes or None)
                try:
                    await self._client.resources.create(request)
                except Conflict:
                    _log.debug("resource is there already", resource_name=name)
                self._resources.add(name)

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
        await self._refresh_targets()
        now = self._clock.now()
        async with self._store.reading() as connection:
            known = await events.known_versions(connection, [event.id for event in found])
            open_events = await events.open_(connection)
        new = [event for event in found if known.get(event.id) != event.modification_date_time]
        seen = {event.id for event in found} | {broken.id for broken in found.broken}
        gone = []
        for event_id, stored in open_events.items():
            if event_id in seen or stored.withdrawn_at is not None:
                continue
            now_there = await self._look_again(event_id)
            if now_there is None:
                gone.append(event_id)
            elif now_there.modification_date_time != stored.event.modification_date_time:
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
        async with self._store.reading() as connection:
            waiting = await reports.unsent(connection)
        for stored in waiting:
            try:
                report_id = await self._send(stored)
                state, values = ReportState.SENT, {"report_id": report_id, "sent_at": self._clock.now()}
            except Refused as error:
                _log.error("report refused", event_id=stored.event_id, report=stored.name, problem=str(error))
                state, values = ReportState.REFUSED, {"problem": str(error)}
            async with self._store.transaction() as connection:
                await reports.mark(connection, stored, state, **values)
        return len(waiting)

    async def _send(self, stored: StoredReport) -> str:
        """Create or replace; a report that an interrupted attempt has created is found by its name."""
        report_id = stored.report_id
        if report_id is None:
            mine = await self._client.reports.search(event_id=stored.event_id, client_name=stored.report.client_name)
            report_id = next((each.id for each in mine if each.report_name == stored.name), None)
        if report_id is not None:
            try:
                return (await self._client.reports.replace(report_id, stored.report)).id
            except NotFound:
                _log.warning("the VTN has lost a report", event_id=stored.event_id, report=stored.name)
        return (await self._client.reports.create(stored.report)).id

    async def _own_ven(self) -> Ven:
        name = self._settings.ven_name
        found = await self._find_ven(name)
        if found is not None:
            return found
        try:
            return await self._client.vens.create(VenVenRequest(ven_name=name))
        except Conflict:
            found = await self._find_ven(name)
            if found is None:
                raise
            return found

    async def _find_ven(self, name: str) -> Ven | None:
        visible = await self._client.vens.search()
        named = next((ven for ven in visible if ven.ven_name == name), None)
        return named or (visible[0] if len(visible) == 1 else None)

    async def _refresh_targets(self) -> None:
        """Read the ven's targets again, since business logic may change them at any time."""
        if self._ven is not None:
            self._ven = await self._client.vens.get(self._ven.id)
            self.targets = (self._ven.id, *(self._ven.targets or ()))

    async def _look_again(self, event_id: str) -> Event | None:
        """An event that is not listed as active any more: None if deleted, else as it is now (over, called off)."""
        try:
            return await self._client.events.get(event_id)
        except NotFound:
            return None

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


def _attributes(load: Load) -> tuple[ValuesMap, ...]:
    known = [_attribute("CRITICAL", is_critical(load))]
    if load.name:
        known.append(_attribute(Attribute.DESCRIPTION, load.name))
    if load.capacity_kw:
        known.append(_attribute(Attribute.MAX_POWER_CONSUMPTION, load.capacity_kw))
    return tuple(known)


def _attribute(type_: str, value: str | float | bool) -> ValuesMap:
    return ValuesMap(type=type_, values=(value,))
