"""`HandlerVen`: a VEN as a few handlers, for devices that need no more than to be told of events and to answer.

    async with VtnClient(base_url=url, client_id="home-1", client_secret="…") as vtn:
        ven = HandlerVen(vtn, name="home-1", resources={"thermostat": attributes({"MAX_POWER_CONSUMPTION": 2.0})})

        @ven.on_event
        async def lower(event: Event) -> None:
            await ven.opt(event, True)

        await ven.run()

`ven/` is the whole agent: it decides, curtails circuits, measures, and forgets nothing over a restart. A `HandlerVen`
keeps nothing on disk: after a start every event that is not over is told of again.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

import structlog

from openadr_client.backoff import Backoff
from openadr_client.client import VtnClient
from openadr_client.clock import Clock
from openadr_client.errors import Refused, Unauthorized, UnexpectedAnswer, UntrustedServer, VtnError
from openadr_client.helpers import put_report, report_request
from openadr_client.hints import Hints
from openadr_client.objects import NOT_MODIFIED
from openadr_client.polling import EventChanges, compare_events, is_newer
from openadr_client.push import VEN_OBJECTS, PushReceiver
from openadr_client.registration import Registration
from openadr_client.settings import PushSettings
from openadr_profiles.fleet.reports import Opt, opt_report
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    Event,
    OperatingState,
    Report,
    Timeline,
    Value,
    ValuesMap,
    Ven,
    random_offset,
)

Handler = Callable[[Event], Awaitable[None]]

_log = structlog.get_logger(__name__)

_JITTER: Final = 0.1
_LASTING: Final = (Unauthorized, Refused, UntrustedServer, UnexpectedAnswer)
"""Answers at the first contact that somebody has to do something about."""


class HandlerVen:
    """A VEN that polls its VTN and calls handlers, one after the other, in the order in which they were added.

    A handler that raises, or takes longer than ``handler_s``, is logged and given up; the others and later events go
    on. Anything that lasts, such as waiting for the start of an event, belongs into a handler of `during`.

    Args:
        vtn: an open client; its clock is this VEN's.
        name: the name of the ven, and the client name of its reports.
        resources: the devices of the ven by name, with their attributes.
        attributes: attributes of the ven; those that it has stay if not given.
        poll_s: seconds between two polls, shortened at random by up to a tenth so that a fleet spreads.
        handler_s: real seconds that a handler may take.
        push: how to be told of changes between two polls; by default the first way that the VTN offers. A notification
            is a hint to poll, nothing else.
    """

    def __init__(
        self,
        vtn: VtnClient,
        *,
        name: str,
        resources: Mapping[str, Sequence[ValuesMap]] | None = None,
        attributes: Sequence[ValuesMap] | None = None,
        poll_s: float = 300.0,
        handler_s: float = 30.0,
        push: PushSettings | None = None,
    ) -> None:
        if poll_s <= 0 or handler_s <= 0:
            raise ValueError("poll_s and handler_s: expected positive numbers of seconds")
        self.vtn = vtn
        self.name = name
        self._resources = resources or {}
        self._poll_s = poll_s
        self._handler_s = handler_s
        self._chance = Random(name)  # noqa: S311 # spreads a fleet in time, keeps no secret
        push = push or PushSettings()
        self._push = None if push.mode == "off" else PushReceiver(vtn, push, name=name, objects=VEN_OBJECTS)
        self._hints = Hints(vtn.clock, spread_s=push.spread_s, chance=self._chance)
        self._listening: asyncio.Task[None] | None = None
        self._registration = Registration(vtn, name, attributes=attributes)
        self._events: dict[str, Event] = {}
        self._received: dict[str, tuple[datetime, datetime]] = {}
        self._on_added: list[Handler] = []
        self._on_changed: list[Handler] = []
        self._on_removed: list[Handler] = []
        self._during: list[Handler] = []
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    @property
    def clock(self) -> Clock:
        """Return the clock that this VEN goes by."""
        return self.vtn.clock

    @property
    def events(self) -> tuple[Event, ...]:
        """Return the events that are known and not over, in the order in which they came."""
        return tuple(self._events.values())

    def on_event(self, handler: Handler) -> Handler:
        """Have a handler called with every event that is new or was modified."""
        self._on_changed.append(_checked(handler))
        return self.on_added(handler)

    def on_added(self, handler: Handler) -> Handler:
        """Have a handler called with every event that is new."""
        self._on_added.append(_checked(handler))
        return handler

    def on_changed(self, handler: Handler) -> Handler:
        """Have a handler called with every event that was modified, in its new version."""
        self._on_changed.append(_checked(handler))
        return handler

    def on_removed(self, handler: Handler) -> Handler:
        """Have a handler called with every event that was deleted, in its last version. One that is over is not."""
        self._on_removed.append(_checked(handler))
        return handler

    def during(self, handler: Handler) -> Handler:
        """Have a handler run beside the others for as long as it takes, from when an event is known.

        It is cancelled when the event was modified or deleted, or when this VEN ends, and begun anew with the new
        version: the place to wait for the event's times (`timeline`).
        """
        self._during.append(_checked(handler))
        return handler

    def timeline(self, event: Event) -> Timeline:
        """Return an event in absolute time, as it holds for this VEN (TIME-016, TIME-026).

        "Now" is when this version was received, or this moment if it was not, and a random start is shifted by this
        VEN's own draw, which stays the same after a restart.
        """
        known = self._received.get(event.id)
        is_known = known is not None and known[0] == event.modification_date_time
        anchor = known[1] if known is not None and is_known else self.clock.now()
        return Timeline.of(event, anchor=anchor, offset=random_offset(event, self.name))

    async def run(self) -> None:
        """Register, poll and call handlers until cancelled; a VTN that cannot answer is waited for.

        It polls every `poll_s` seconds, and soon after the VTN told of a change.

        Raises:
            Unauthorized, Refused, UntrustedServer, UnexpectedAnswer: the VTN turns us away at the first contact.
        """
        try:
            await self._poll_forever()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Cancel what runs beside the polling, such as handlers of `during`, and wait; `run` does so at its end."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        for event_id in tuple(self._tasks):
            await self._end(event_id)

    async def _poll_forever(self) -> None:
        backoff = Backoff(self._chance)
        is_known = False
        while True:
            try:
                changed = await self.poll()
            except VtnError as error:
                if isinstance(error, _LASTING) and not is_known:
                    raise
                wait_s = backoff.failed(error)
                _log.warning("VTN not read", ven_name=self.name, problem=str(error), again_in_s=round(wait_s, 1))
            else:
                is_known = True
                backoff.succeeded()
                self._hints.done(changed=changed)
                self._listen()
                wait_s = self._poll_s * (1 - _JITTER * self._chance.random())
                await self._hints.wait(self.clock.now() + timedelta(seconds=wait_s))
                continue
            await self.clock.sleep(wait_s)

    def _listen(self) -> None:
        """Begin to listen for hints, once we are known to the VTN."""
        if self._push is not None and self._listening is None and self._registration.ven is not None:
            push = self._push
            receiving = self._registration.follow(lambda ven_id: push.run(self._hints.tell, ven_id=ven_id))
            self._listening = asyncio.create_task(receiving, name=f"notifications for {self.name}")

    async def poll(self) -> bool:
        """Ask once, registering first if need be, and call the handlers of what has changed; return True if any has.

        Raises:
            VtnError: the VTN could not be asked; the next poll asks for everything that is left.
        """
        await self._registration.keep(self._resources)
        found = await self.vtn.events.poll(active=True)
        if found is NOT_MODIFIED:
            return False
        try:
            return await self._take(compare_events(found, self._known()))
        except BaseException:
            self.vtn.events.forget_polls()  # not all of it was dealt with: ask for it again
            raise

    async def register(self) -> Ven:
        """See to it that the VTN has our ven and resources, and return the ven; asks only if something is not known.

        Raises:
            Refused: there is no ven of ours, and the VTN lets us make none.
        """
        return await self._registration.see_to(self._resources)

    async def opt(self, event: Event, opted_in: bool, reason: str | None = None) -> Report:
        """Tell whether we take part in an event; a later answer replaces an earlier one. Opting out needs a reason.

        The standard has no message for it: this is the report ``opt-<event id>``, as `docs/ven.md` describes.
        """
        if not opted_in and not reason:
            raise ValueError("reason: expected why the event is opted out of")
        state = OperatingState.RUNNING_NORMAL if opted_in else OperatingState.RUNNING_OPTED_OUT
        said = Opt(resource_name=AGGREGATED_REPORT, opted_in=opted_in, reason=reason, state=state)
        request = opt_report(event_id=event.id, client_name=self.name, decided_at=self.clock.now(), opts=(said,))
        return await put_report(self.vtn, request)

    async def report(
        self,
        event: Event,
        payload_type: str,
        values: Mapping[str, Sequence[Value]],
        *,
        start: datetime,
        duration: timedelta,
        units: str | None = None,
        reading_type: str | None = None,
        name: str | None = None,
    ) -> Report:
        """Send a report as `report_request` writes it, or replace the one of this name on this event."""
        request = report_request(
            event,
            self.name,
            payload_type,
            values,
            start=start,
            duration=duration,
            units=units,
            reading_type=reading_type,
            name=name,
        )
        return await put_report(self.vtn, request)

    def _known(self) -> dict[str, datetime]:
        return {id_: event.modification_date_time for id_, event in self._events.items()}

    async def _take(self, changes: EventChanges) -> bool:
        """Call the handlers of what has changed; what is listed first, since looking for the rest may fail."""
        now = self.clock.now()
        told = False
        for event in changes.added:
            if not self.timeline(event).transpired(now):
                told = True
                await self._begin(event)
                await self._call(self._on_added, event)
        for event in changes.changed:
            told = True
            await self._begin(event)
            await self._call(self._on_changed, event)
        for event_id in changes.missing:
            now_there = await self.vtn.events.find(event_id)
            known = self._events.pop(event_id)
            if now_there is None:
                _log.info("event deleted", event_id=event_id)
                told = True
                await self._end(event_id)
                await self._call(self._on_removed, known)
            elif is_newer(now_there, known.modification_date_time):
                told = True
                await self._end(event_id)
                await self._call(self._on_changed, now_there)
        self._received = {id_: at for id_, at in self._received.items() if id_ in self._events}
        self._tasks = {
            id_: tasks for id_, tasks in self._tasks.items() if id_ in self._events or not all(map(_is_done, tasks))
        }
        return told

    async def _begin(self, event: Event) -> None:
        await self._end(event.id)
        self._events[event.id] = event
        self._received[event.id] = (event.modification_date_time, self.clock.now())
        self._tasks[event.id] = [asyncio.create_task(self._guarded(each, event, None)) for each in self._during]

    async def _end(self, event_id: str) -> None:
        tasks = self._tasks.pop(event_id, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, handlers: Sequence[Handler], event: Event) -> None:
        for handler in tuple(handlers):
            await self._guarded(handler, event, self._handler_s)

    async def _guarded(self, handler: Handler, event: Event, longest_s: float | None) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await handler(event)
        except Exception:
            # A handler is the user's own code: whatever is wrong with it, the others and later events go on.
            name = getattr(handler, "__qualname__", repr(handler))
            _log.exception("handler failed", handler=name, event_id=event.id)


def _is_done(task: asyncio.Task[None]) -> bool:
    return task.done()


def _checked(handler: Handler) -> Handler:
    if not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler!r} is not a handler: expected `async def handler(event: Event) -> None`")
    return handler
