"""Events that are ordered at the bridge's own interface: made, called off and deleted at the VTN as business logic.

The bridge carries them out like any other event, once it has read them there; so the VTN has the truth of all events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from bridge_mqtt.settings import Issuing, Vtn
from openadr_client import NO_RETRY, Clock, VtnClient
from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.fleet.power import Sign, Signs
from openadr_profiles.v31 import (
    Duration,
    Event,
    EventPayloadDescriptor,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    Program,
    Start,
    Unit,
    ValuesMap,
    Ven,
)

_log = structlog.get_logger(__name__)


class CannotIssue(Exception):
    """The VTN would take the event, and nobody would see it; the text says what is missing there."""


@dataclass(frozen=True, kw_only=True)
class ShedOrder:
    """A reduction of ``shed_kw`` (above 0) from ``start`` to ``end``; for one panel, or for all without ``ven_id``."""

    shed_kw: Decimal
    start: datetime
    end: datetime
    name: str | None = None
    ven_id: str | None = None


class Issuer:
    """Writes events. Every method may raise ``openadr_client.ClientError``.

    ``on_change`` is called when the VTN has something new for the bridge to read.
    """

    def __init__(
        self, settings: Issuing, vtn: Vtn, client: VtnClient, *, signs: Signs, on_change: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._vtn = vtn
        self._client = client
        self._signs = signs
        self._on_change = on_change

    async def create(self, order: ShedOrder) -> Event:
        """Make an event at the VTN and return it as the VTN has stored it.

        Raises:
            CannotIssue: the program does not exist, or no target would show the event to the bridge.
        """
        program = await self._program()
        targets = await self._targets(order.ven_id)
        less = Decimal(1) if self._signs.of(program.program_name) is Sign.POSITIVE_SHEDS else Decimal(-1)
        payload = ValuesMap(type=EventPayloadType.DISPATCH_SETPOINT_RELATIVE, values=(float(less * order.shed_kw),))
        event = await self._client.events.create(
            EventRequest(
                program_id=program.id,
                event_name=order.name,
                targets=targets,
                interval_period=IntervalPeriod(
                    start=Start.of(order.start), duration=Duration.of(order.end - order.start)
                ),
                payload_descriptors=(EventPayloadDescriptor(payload_type=payload.type, units=Unit.KW),),
                intervals=(Interval(id=0, payloads=(payload,)),),
            )
        )
        _log.info("event issued", event_id=event.id, shed_kw=float(order.shed_kw), ven_id=order.ven_id)
        self._on_change()
        return event

    async def call_off(self, event_id: str) -> None:
        """Call an event off at the VTN; its plan stays readable there (EVT-019). Panels that hold it are restored."""
        event = await self._client.events.get(event_id)
        await self._client.events.replace(event_id, cancelled(event))
        _log.info("event called off", event_id=event_id)
        self._on_change()

    async def delete(self, event_id: str) -> None:
        """Delete an event at the VTN; panels that hold it are restored."""
        await self._client.events.delete(event_id)
        _log.info("event deleted", event_id=event_id)
        self._on_change()

    async def _program(self) -> Program:
        name = self._settings.program
        found = await self._client.programs.search(program_name=name)
        if not found:
            raise CannotIssue(f"issuing.program: the VTN has no program {name!r}; make it there, or name another one")
        return found[0]

    async def _targets(self, ven_id: str | None) -> tuple[str, ...]:
        """Return the targets that show an event to the bridge, and in it mean the panel or all of them."""
        if ven_id is None:
            return self._settings.targets or ((await self._own_ven()).id,)
        panels_own = await self._client.vens.search(ven_name=ven_id)
        if panels_own:  # it is a ven of its own at the VTN, and such are targets by their ids
            return (panels_own[0].id,)
        ven = await self._own_ven()
        held = set(ven.targets or ())
        for resource in await self._client.resources.search(ven_id=ven.id):
            held |= set(resource.targets or ())
        if ven_id not in held:
            raise CannotIssue(
                f"the VTN would not show the bridge an event for {ven_id!r}: give its ven "
                f"{self._vtn.ven_name!r} the target {ven_id!r} there"
            )
        return (ven_id,)

    async def _own_ven(self) -> Ven:
        found = await self._client.vens.search(ven_name=self._vtn.ven_name)
        if not found:
            raise CannotIssue(
                f"the VTN has no ven {self._vtn.ven_name!r} that could be meant: wait until the bridge has registered, "
                "or set issuing.targets"
            )
        return found[0]


def issuing_client(settings: Issuing, vtn: Vtn, clock: Clock) -> VtnClient:
    """Return a client of the bridge's VTN with the credentials of business logic; raises BadCertificateFile.

    It repeats nothing by itself: who asks is told what happened, since a second attempt may make a second event.
    """
    own = {"client_id": settings.client_id, "client_secret": settings.client_secret, "scope": settings.scope}
    return vtn.model_copy(update=own).client_with(retry=NO_RETRY, clock=clock)
