"""The bridge as one ven: the events it may see, a resource for each panel and circuit, and the reports it owes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

import structlog

from bridge_mqtt.health import Health
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Vtn
from bridge_mqtt.store import Store, programs
from bridge_mqtt.vtn_side.event_reader import EventReader, ReadEvents
from bridge_mqtt.vtn_side.report_store import ReportRows
from bridge_mqtt.vtn_side.resource_keeper import ResourceKeeper
from openadr_client import (
    NO_RETRY,
    NOT_MODIFIED,
    VEN_OBJECTS,
    Clock,
    PushReceiver,
    PushSettings,
    Refused,
    Registration,
    ReportOutbox,
    Tell,
    Unauthorized,
    UnexpectedAnswer,
    VtnClient,
    VtnError,
)
from openadr_profiles.v31 import Program

_log = structlog.get_logger(__name__)

_LOOK_EVERY_POLLS: Final = 4


def client_for(settings: Vtn, clock: Clock) -> VtnClient:
    """Return a client with these settings; raises ``openadr_client.BadCertificateFile``."""
    # The bridge asks again by itself, and goes on for as long as it takes.
    return settings.client_with(retry=NO_RETRY, clock=clock)


_REPORTS_AT_A_TIME: Final = 20
"""So many reports are read at once, since a page of a large event may have a megabyte."""


class Gateway:
    """Registration, polling and sending as one ven. Every method may raise ``openadr_client.VtnError``."""

    seen_by: None = None

    def __init__(
        self, settings: Vtn, *, client: VtnClient, store: Store, registry: Registry, health: Health, clock: Clock
    ) -> None:
        self._settings = settings
        self._client = client
        self._store = store
        self._health = health
        rows = ReportRows(store, clock, at_most=_REPORTS_AT_A_TIME)
        self._outbox = ReportOutbox(client, rows, clock=clock)
        rows.left_alone = lambda: self._outbox.left_alone(clock.now())
        self._registration = Registration(client, settings.ven_name, with_resources=False)
        self._resources = ResourceKeeper(
            client,
            lambda: registry,
            health=health,
            clock=clock,
            concurrent=settings.concurrent,
            every_s=settings.poll_interval_s,
            look_every_s=settings.poll_interval_s * _LOOK_EVERY_POLLS,
        )
        self._reader = EventReader(store, health, clock)
        self._looked_for: set[str] = set()
        self.pause_s = settings.poll_interval_s
        self.targets: Collection[str] = ()
        self.programs: Mapping[str, Program] = {}

    async def listen(self, settings: PushSettings, tell: Tell) -> None:
        """Receive the VTN's notifications for us, once we are registered; raises LibraryMissing."""
        receiver = PushReceiver(self._client, settings, name=self._settings.ven_name, objects=VEN_OBJECTS)
        await self._registration.follow(lambda ven_id: receiver.run(tell, ven_id=ven_id))

    async def register(self) -> None:
        """See to it that the VTN has our ven; repeatable. Its resources are brought by ``keep_resources``."""
        await self._registration.keep({})
        self._take_targets()

    async def keep_resources(self) -> None:
        """See to a resource for every panel and circuit heard of, until cancelled, beside everything else."""
        await self._registration.follow(self._resources.run)

    async def poll(self, _: Callable[[], None]) -> ReadEvents:
        """Read the programs and events we may see and store what has changed.

        Programs that cannot be read now hold back only the new events that may be theirs, for sign and units come from
        a program; where we may not read programs at all, there are none.
        """
        programs_changed, problem = False, None
        try:
            programs_changed = await self._poll_programs()
        except Unauthorized:
            self._forget_polls()
            raise
        except Refused as error:
            if self._health.set_aside("programs", str(error)):
                _log.warning("programs cannot be read: their names and units count for nothing", problem=str(error))
        except VtnError as error:
            problem = error
        except BaseException:
            self._forget_polls()
            raise
        try:
            taken = await self._poll_events(only_known_programs=problem is not None)
        except BaseException:  # the last answers may not have been stored: ask for them again
            self._forget_polls()
            raise
        problem = problem or taken.problem
        if problem is not None:
            self._forget_polls()
        return ReadEvents(programs_changed or taken.changed, problem)

    async def recall(self) -> None:
        """Take over the programs that an earlier run has read."""
        async with self._store.reading() as connection:
            self.programs = await programs.all_(connection)

    async def send_reports(self) -> int:
        """Send the reports that the VTN does not have yet, each once; return how many were sent."""
        dealt_with = await self._outbox.send()
        await self._withdraw_what_is_gone()
        return dealt_with

    async def _withdraw_what_is_gone(self) -> None:
        """Look once whether the events are still there whose reports the VTN does not take.

        One that was deleted in its last moments was over here before that was noticed, and is not looked for any more.
        """
        troubled = {each.event_id for each in self._outbox.left_alone()}
        new = troubled - self._looked_for
        self._looked_for &= troubled
        gone = []
        for event_id in sorted(new):
            with suppress(Refused, UnexpectedAnswer):
                if await self._client.events.find(event_id) is None:
                    gone.append(event_id)
            self._looked_for.add(event_id)
        await self._reader.withdraw(gone)

    async def _poll_programs(self) -> bool:
        """Read the names of programs and the units of their payloads (VENCLIENT-022), which events do not repeat."""
        found = await self._client.programs.poll()
        self._health.put_back("programs")
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

    async def _poll_events(self, *, only_known_programs: bool) -> ReadEvents:
        found = await self._client.events.poll(active=True)
        if found is NOT_MODIFIED:
            return ReadEvents(changed=False)
        try:
            await self._registration.look()
        except Unauthorized:
            raise
        except VtnError as error:  # then the targets are those of the last time
            _log.warning("our ven cannot be read", problem=str(error))
        self._take_targets()
        only = self.programs.keys() if only_known_programs else None
        return await self._reader.take(found, self._client.events.find, only_programs=only)

    def _forget_polls(self) -> None:
        self._client.programs.forget_polls()
        self._client.events.forget_polls()

    def _take_targets(self) -> None:
        """Take over the targets of the ven as last read, since business logic may change them at any time."""
        if (ven := self._registration.ven) is not None:
            self.targets = (ven.id, *(ven.targets or ()))
