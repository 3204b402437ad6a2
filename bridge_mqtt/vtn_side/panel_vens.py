"""The bridge as many vens, one for each panel: what each sees, the panels it has, the reports each owes.

Events that several vens see are stored once, with the panels that see them. All clients share the connections of one,
and a few requests are on their way at a time, so a round takes as long as it takes; whoever was told of something by
the VTN comes first. A ven that fails is set aside by name, and the others go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from bridge_mqtt.health import Health
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Vtn
from bridge_mqtt.store import Store, events, programs, viewers
from bridge_mqtt.store.reports import StoredReport
from bridge_mqtt.vtn_side.credentials import PanelCredential, read_credentials
from bridge_mqtt.vtn_side.event_reader import EventReader, ReadEvents
from bridge_mqtt.vtn_side.panel_ven import PanelVen, Sight
from bridge_mqtt.vtn_side.report_store import ReportRows
from bridge_mqtt.vtn_side.resource_keeper import for_each
from openadr_client import (
    VEN_OBJECTS,
    Clock,
    KeptReport,
    PushReceiver,
    PushSettings,
    ReadAgain,
    ReceivedNotification,
    Refused,
    Tell,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    VtnClient,
    VtnError,
)
from openadr_profiles.v31 import Event, Program

_log = structlog.get_logger(__name__)

_PIECE: Final = 200
"""Vens whose answers are stored together."""
_LISTENING: Final = 100
"""Vens that keep a connection for notifications each; of more, all only ask."""
_LOOK_S_EACH: Final = 0.1
"""Seconds for each ven between two looks at the resources of all."""
_LOOK_POLLS: Final = 4


class PanelVens:
    """Registration, polling and sending for every panel with credentials. Methods may raise VtnError.

    Raises:
        BadCredentials: the file of credentials cannot be used.
    """

    targets: Collection[str] = ()

    def __init__(
        self,
        settings: Vtn,
        file: Path,
        *,
        client: VtnClient,
        store: Store,
        registry: Registry,
        health: Health,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._health = health
        self._clock = clock
        self._reader = EventReader(store, health, clock)
        self._rows = ReportRows(store, clock)
        self._rows.left_alone = self._left_alone
        self._of_nobody: dict[tuple[str, str], StoredReport] = {}
        credentials = read_credentials(file, settings.url)
        look_every_s = max(_LOOK_POLLS * settings.poll_interval_s, _LOOK_S_EACH * len(credentials))

        def a_ven(credential: PanelCredential) -> PanelVen:
            return PanelVen(
                settings,
                credential,
                shared=client,
                rows=self._rows,
                registry=registry,
                health=health,
                clock=clock,
                look_every_s=look_every_s,
            )

        self._vens = {ven_id: a_ven(credential) for ven_id, credential in credentials.items()}
        self._seen: dict[str, set[str]] = {}
        self._told: set[str] = set()
        self._took_s = 0.0
        self.programs: Mapping[str, Program] = {}

    @property
    def pause_s(self) -> float:
        """Return the seconds of the clock from one round to the next: the VTN rests at least half of the time."""
        return max(self._settings.poll_interval_s, self._took_s)

    @property
    def seen_by(self) -> Mapping[str, Collection[str]]:
        """Return by event the panels that see it."""
        return self._seen

    async def recall(self) -> None:
        """Take over the programs that an earlier run has read, and what each panel saw."""
        async with self._store.reading() as connection:
            self.programs = await programs.all_(connection)
            self._seen = await viewers.all_(connection)

    async def listen(self, settings: PushSettings, tell: Tell) -> None:
        """Receive notifications for each ven once it is registered, unless they are too many; raises LibraryMissing."""
        vens = list(self._vens.values())
        if len(vens) > _LISTENING:
            _log.info("the VTN is only asked: too many vens for a connection each", vens=len(vens), most=_LISTENING)
            vens = []

        async def follow(ven: PanelVen) -> None:
            receiver = PushReceiver(ven.client, settings, name=ven.ven_id, objects=VEN_OBJECTS)

            def told(what: ReceivedNotification | ReadAgain) -> None:
                self._told.add(ven.ven_id)
                tell(what)

            await ven.registration.follow(lambda id_: receiver.run(told, ven_id=id_))

        tasks = [asyncio.create_task(follow(ven)) for ven in vens]
        try:
            await asyncio.gather(*tasks)
            await asyncio.Event().wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def register(self) -> None:
        """Do nothing: each ven is registered when its events are asked for."""

    async def keep_resources(self) -> None:
        """See to the resources of every ven that is registered, until cancelled, a few at a time."""

        async def keep(ven: PanelVen) -> None:
            await asyncio.sleep(0)
            if ven.registration.ven is None:
                return
            name = f"resources of {ven.ven_id}"
            try:
                await ven.resources.keep(ven.registration.ven.id)
            except (Unreachable, asyncio.CancelledError):
                raise
            except VtnError as error:
                self._set_aside(name, str(error))
            else:
                self._health.put_back(name)

        while True:
            try:
                await for_each(self._in_use(), keep, at_once=self._settings.concurrent)
            except VtnError as error:
                _log.warning("resources not registered yet", problem=str(error))
            await self._clock.sleep(self._settings.poll_interval_s)

    async def poll(self, on_change: Callable[[], None]) -> ReadEvents:
        """Read the events that each ven may see and store what has changed; ``on_change`` is called after each piece.

        Raises:
            Unauthorized: no ven at all has got in.
        """
        began, begun_at = time.monotonic(), self._clock.now()
        told, self._told = self._told, set()
        order = sorted(self._in_use(), key=lambda ven: ven.ven_id not in told)
        result = _Round()
        changed = False
        for start in range(0, len(order), _PIECE):
            async with self._store.reading() as connection:
                versions = await events.open_versions(connection)
            sights: list[Sight] = []
            problem: VtnError | None = None
            try:
                await for_each(
                    order[start : start + _PIECE],
                    lambda ven: self._look(ven, versions, sights, result),  # noqa: B023 - called before the next piece
                    at_once=self._settings.concurrent,
                )
            except VtnError as error:
                problem = error
            if await self._take(sights, versions):
                changed = True
                on_change()
            if problem is not None:
                self._told |= told
                return ReadEvents(changed, problem)
        self._took_s = (self._clock.now() - begun_at).total_seconds()
        if result.refused is not None and not result.got_in:
            raise result.refused
        if len(order) >= _PIECE:
            _log.info("events of all vens are read", vens=len(order), took_s=round(time.monotonic() - began, 1))
        return ReadEvents(changed)

    async def send_reports(self) -> int:
        """Send the reports that the VTN does not have yet, each once, as the ven it is of; return how many."""
        waiting: dict[str, list[KeptReport[StoredReport]]] = {}
        for each in await self._rows.unsent():
            waiting.setdefault(each.request.client_name, []).append(each)
        sent = 0

        async def send(ven_id: str) -> None:
            nonlocal sent
            ven = self._vens.get(ven_id)
            if ven is None:
                self._of_nobody |= {(each.row.event_id, each.row.name): each.row for each in waiting[ven_id]}
                self._set_aside(f"reports of {ven_id}", "it has no credentials, so nobody can send them")
                return
            name = f"reports of {ven_id}"
            try:
                sent += await ven.send(waiting[ven_id])
            except Unreachable:
                raise
            except VtnError as error:
                self._set_aside(name, str(error))
            else:
                self._health.put_back(name)

        await for_each(list(waiting), send, at_once=self._settings.concurrent)
        return sent

    def _left_alone(self) -> list[StoredReport]:
        """Return the reports that keep no other from its turn: they wait after a failure, or nobody can send them."""
        now = self._clock.now()
        return [*self._of_nobody.values(), *(each for ven in self._vens.values() for each in ven.left_alone(now))]

    def _in_use(self) -> list[PanelVen]:
        """Return the vens of panels that belong to this bridge; name panels without credentials."""
        for panel in self._registry:
            if panel.ven_id not in self._vens:
                self._set_aside(f"panel {panel.ven_id}", "it has no line in vtn.credentials_file: it sees no events")
        return [ven for ven_id, ven in self._vens.items() if self._registry.get(ven_id) is not None]

    async def _look(self, ven: PanelVen, versions: Mapping[str, datetime], sights: list[Sight], result: _Round) -> None:
        """Ask for one ven; raise only what concerns all."""
        seen = [event_id for event_id, who in self._seen.items() if ven.ven_id in who]
        try:
            sight = await ven.look(seen, versions)
            await self._read_programs(ven, () if sight is None else sight.events, result)
        except (Unauthorized, Refused, UnexpectedAnswer) as error:
            if isinstance(error, Unauthorized):
                result.refused = error
            self._set_aside(f"ven {ven.ven_id}", str(error))
            return
        except VtnError as error:
            result.failed += 1
            ven.client.events.forget_polls()
            if isinstance(error, Unreachable) or result.failed > self._settings.concurrent:
                raise
            self._set_aside(f"ven {ven.ven_id}", str(error))
            return
        except BaseException:
            ven.client.events.forget_polls()
            raise
        result.got_in = True
        self._health.put_back(f"ven {ven.ven_id}")
        if sight is not None:
            sights.append(sight)

    async def _read_programs(self, ven: PanelVen, seen: Iterable[Event], result: _Round) -> None:
        """Read all programs once a round, and those of these events that nobody else may see (VENCLIENT-022)."""
        if not result.has_programs:
            result.has_programs = True
            found = await ven.client.programs.search()
            self.programs = {**self.programs, **{program.id: program for program in found}}
        for program_id in {event.program_id for event in seen} - self.programs.keys():
            try:
                program = await ven.client.programs.find(program_id)
            except (Refused, UnexpectedAnswer):  # we may not read it: then its defaults count for nothing
                continue
            if program is not None:
                self.programs = {**self.programs, program_id: program}

    async def _take(self, sights: Collection[Sight], versions: Mapping[str, datetime]) -> bool:
        """Store what these vens have seen; return True if anything is new."""
        if not sights:
            return False
        try:
            return await self._store_all(sights, versions)
        except BaseException:  # the answers were not stored: ask for them again
            for sight in sights:
                sight.ven.client.events.forget_polls()
            raise

    async def _store_all(self, sights: Collection[Sight], versions: Mapping[str, datetime]) -> bool:
        newest: dict[str, Event] = {}
        for sight in sights:
            self._reader.name_broken(sight.broken)
            for event in sight.events:
                known = newest.get(event.id)
                if known is None or known.modification_date_time < event.modification_date_time:
                    newest[event.id] = event
        async with self._store.reading() as connection:
            before = await events.known_versions(connection, list(newest))
            stored_programs = await programs.all_(connection)
        new = [each for id_, each in newest.items() if id_ not in before or before[id_] < each.modification_date_time]
        if stored_programs != self.programs:
            async with self._store.transaction() as connection:
                await programs.replace(connection, self.programs.values())
        await self._reader.save(new)
        added = {(id_, sight.ven.ven_id) for sight in sights for id_ in sight.listed}
        added = {(id_, ven_id) for id_, ven_id in added if ven_id not in self._seen.get(id_, ())}
        removed = {(id_, sight.ven.ven_id) for sight in sights for id_ in sight.gone}
        if not new and not added and not removed:
            return False
        seen = {id_: set(who) for id_, who in self._seen.items()}
        for id_, ven_id in added:
            seen.setdefault(id_, set()).add(ven_id)
        for id_, ven_id in removed:
            seen.get(id_, set()).discard(ven_id)
        unseen = [id_ for id_, who in seen.items() if not who]
        async with self._store.transaction() as connection:
            await viewers.add(connection, added)
            await viewers.remove(connection, removed)
        await self._reader.withdraw([id_ for id_ in unseen if id_ in versions])
        self._seen = {id_: who for id_, who in seen.items() if who}
        return True

    def _set_aside(self, what: str, reason: str) -> None:
        if self._health.set_aside(what, reason):
            _log.warning("set aside", what=what, problem=reason)


class _Round:
    """Hold what has happened in a round: the vens that failed, and whether any got in."""

    def __init__(self) -> None:
        self.failed = 0
        self.got_in = self.has_programs = False
        self.refused: Unauthorized | None = None
