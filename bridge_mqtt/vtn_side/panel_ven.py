"""One panel as a ven of its own at the VTN: its client, its registration, the events it sees, its reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge_mqtt.health import Health
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Vtn
from bridge_mqtt.store.reports import StoredReport
from bridge_mqtt.vtn_side.credentials import PanelCredential
from bridge_mqtt.vtn_side.report_store import ReportRows
from bridge_mqtt.vtn_side.resource_keeper import ResourceKeeper
from openadr_client import (
    NO_RETRY,
    NOT_MODIFIED,
    Broken,
    Clock,
    KeptReport,
    Refused,
    Registration,
    ReportOutbox,
    UnexpectedAnswer,
    VtnClient,
    is_newer,
)
from openadr_profiles.v31 import Event


@dataclass(frozen=True)
class Sight:
    """Hold what a panel's ven sees: events as listed, ids of those listed, and of those it does not see any more."""

    ven: PanelVen
    events: tuple[Event, ...]
    broken: tuple[Broken, ...]
    listed: frozenset[str]
    gone: frozenset[str]


class PanelVen:
    """The client of one panel, on the connections of ``shared``. Methods may raise ``openadr_client.VtnError``."""

    def __init__(
        self,
        settings: Vtn,
        credential: PanelCredential,
        *,
        shared: VtnClient,
        rows: ReportRows,
        registry: Registry,
        health: Health,
        clock: Clock,
        look_every_s: float,
    ) -> None:
        self.ven_id = credential.ven_id
        own = {
            "client_id": credential.client_id,
            "client_secret": credential.secret,
            "token_url": credential.token_url or settings.token_url,
        }
        self.client = settings.model_copy(update=own).client_with(retry=NO_RETRY, clock=clock, connections_of=shared)
        self.registration = Registration(self.client, self.ven_id, with_resources=False)
        self.resources = ResourceKeeper(
            self.client,
            lambda: filter(None, [registry.get(self.ven_id)]),
            health=health,
            clock=clock,
            concurrent=1,
            every_s=settings.poll_interval_s,
            look_every_s=look_every_s,
        )
        self._waiting = _Waiting(rows)
        self._outbox = ReportOutbox(self.client, self._waiting, clock=clock)

    async def look(self, seen: Collection[str], versions: Mapping[str, datetime]) -> Sight | None:
        """Register if need be, and return what the VTN shows us; None if that has not changed.

        ``seen`` are the events that we saw before; of those among ``versions``, which may still be carried out, the VTN
        is asked if it does not list them (VENCLIENT-012). A ven that cannot be registered still sees what is for all.
        """
        refused: Refused | None = None
        try:
            await self.registration.keep({})
        except Refused as error:
            refused = error
        try:
            sight = await self._see(seen, versions)
        except BaseException:
            self.client.events.forget_polls()
            raise
        if refused is not None and sight is None:
            raise refused
        return sight

    async def _see(self, seen: Collection[str], versions: Mapping[str, datetime]) -> Sight | None:
        found = await self.client.events.poll(active=True)
        if found is NOT_MODIFIED:
            return None
        listed = frozenset([*(event.id for event in found), *(each.id for each in found.broken if each.id is not None)])
        events, gone = list(found), set()
        for event_id in set(seen) - listed:
            if event_id not in versions:  # it is over: nothing is done for it any more
                gone.add(event_id)
                continue
            try:
                there = await self.client.events.find(event_id)
            except UnexpectedAnswer:  # it is there, in a version that nobody can read
                continue
            if there is None:
                gone.add(event_id)
            elif is_newer(there, versions[event_id]):
                events.append(there)
        return Sight(self, tuple(events), found.broken, listed, frozenset(gone))

    def left_alone(self, now: datetime) -> list[StoredReport]:
        """Return our reports that have to wait after a failure."""
        return self._outbox.left_alone(now)

    async def send(self, waiting: Sequence[KeptReport[StoredReport]]) -> int:
        """Send these reports of ours; return how many were dealt with."""
        self._waiting.reports = waiting
        return await self._outbox.send()


class _Waiting:
    """The reports of one sender, read for all senders at once."""

    def __init__(self, rows: ReportRows) -> None:
        self._rows = rows
        self.reports: Sequence[KeptReport[StoredReport]] = ()
        self.creating, self.sent, self.refused = rows.creating, rows.sent, rows.refused

    async def unsent(self) -> Sequence[KeptReport[StoredReport]]:
        return self.reports
