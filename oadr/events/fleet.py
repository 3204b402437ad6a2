"""Read from a VTN what an event is judged by: vens, resources, contacts and the other events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oadr.business_logic.lookup import contacts_of, find, resources_of
from openadr_profiles.contact import Contact
from openadr_profiles.fleet.recipients import Recipient, recipients
from openadr_profiles.v31 import (
    Event,
    Resource,
    Ven,
)
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from openadr_profiles.fleet.status import EventStatus


@dataclass(frozen=True)
class AffectedFleet:
    """Hold what an event is judged by: the vens it may reach, their resources and contacts, and all events.

    ``contacts`` is by client id; None if the VTN tells of none.
    """

    vens: Sequence[Ven]
    resources: Sequence[Resource]
    every_event: Sequence[Event]
    contacts: Mapping[str, Contact] | None = None

    @staticmethod
    async def read(client: VtnClient, targets: Sequence[str]) -> AffectedFleet:
        """Read all vens and resources; with targets only those that hold one: a VTN is not read whole for a group."""
        if not targets:
            events, everybody, resources, contacts = await asyncio.gather(
                client.events.search(), client.vens.search(), client.resources.search(), contacts_of(client)
            )
            return AffectedFleet(everybody, resources, events, contacts)
        events, held, holders = await asyncio.gather(
            client.events.search(), client.resources.search(targets=targets), client.vens.search(targets=targets)
        )
        vens = {ven.id: ven for ven in holders}
        for id_ in {*targets, *(resource.ven_id for resource in held)} - set(vens):
            ven = await _ven_with_id(client, id_)
            if ven is not None:
                vens[id_] = ven
        contacts = await contacts_of(client, [ven.client_id for ven in vens.values()])
        return AffectedFleet(list(vens.values()), await resources_of(client, vens), events, contacts)

    @property
    def events(self) -> list[Event]:
        """Return the events that are not over."""
        now = datetime.now(UTC)
        return [
            each
            for each in self.every_event
            if not Timeline.of(each, anchor=each.modification_date_time).transpired(now)
        ]

    def recipients(self, targets: Sequence[str]) -> list[Recipient]:
        """Return the vens that an event with these targets reaches, with what each can shed."""
        return recipients(targets, self.vens, self.resources, contacts=self.contacts)


async def find_event(client: VtnClient, text: str) -> Event:
    """Return the event with this id, or the only one whose id begins so; raises Failure."""
    return await find(client.events, text, kind="event", every=client.events.search)


async def read_status(client: VtnClient, event_id: str, *, at: datetime) -> EventStatus:
    """Read the VTN's objects and return the status of an event."""
    from openadr_profiles.fleet.status import event_status

    event = await find_event(client, event_id)
    fleet, reports = await asyncio.gather(
        AffectedFleet.read(client, event.targets or ()), client.reports.search(event_id=event.id)
    )
    return event_status(
        event, fleet.vens, fleet.resources, reports, at=at, others=fleet.every_event, contacts=fleet.contacts
    )


async def _ven_with_id(client: VtnClient, id_: str) -> Ven | None:
    from openadr_client import Refused

    if not id_ or not id_.replace("-", "").replace("_", "").isalnum() or not id_.isascii():
        return None
    try:
        return await client.vens.get(id_)
    except Refused:
        return None
