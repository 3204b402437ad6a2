"""OadrPoll: one message at a time, the most urgent first (B-POL-001 … B-POL-004)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeAlias

import msgspec

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.messages import (
    CancelPartyRegistration,
    EiResponse,
    Message,
    Poll,
    RegisterReport,
    RequestReregistration,
    Response,
)
from vtn.api.v20b.refusals import RefusedMessage
from vtn.api.v20b.session import Answer, Session20b
from vtn.store.v20b.outbox import Outbox20b, WaitingMessage
from vtn.store.v20b.registrations import CANCEL, OWN_REPORTS, REREGISTER
from vtn.store.v20b.vens import Ven20b

ReportMessage: TypeAlias = Callable[[Ven20b, WaitingMessage], Awaitable[Message | None]]


class Distributes(Protocol):
    """Tell VENs of events."""

    async def distribute(self, ven: Ven20b, now: datetime, *, is_pushed: bool) -> Message | None:
        """Return what a VEN has to hear of its events now, and note that it did; None if there is nothing.

        What ``is_pushed`` has not reached the VEN yet.
        """


class PendingMessages:
    """The next message for a VEN, whether it polls for it or is sent it: registration control, events, all others."""

    def __init__(self, outbox: Outbox20b, events: Distributes, report_message: ReportMessage) -> None:
        self._outbox = outbox
        self._events = events
        self._report_message = report_message

    async def next(self, ven: Ven20b, now: datetime, *, is_pushed: bool = False) -> Message | None:
        """Return the next message and note that it was offered; None if nothing is pending."""
        control = await self._outbox.offer(ven.id, control=True)
        if control is not None:
            return self._control(ven, control)
        if not ven.report_only:
            events = await self._events.distribute(ven, now, is_pushed=is_pushed)
            if events is not None:
                return events
        while (waiting := await self._outbox.offer(ven.id, control=False)) is not None:
            if waiting.kind == OWN_REPORTS:
                asked_for = msgspec.json.decode(waiting.content, type=dict[str, str]).get("report_request_id")
                return RegisterReport(request_id=waiting.request_id, ven_id=ven.ven_id, report_request_id=asked_for)
            message = await self._report_message(ven, waiting)
            if message is not None:
                return message
        return None

    def _control(self, ven: Ven20b, waiting: WaitingMessage) -> Message:
        if waiting.kind == CANCEL:
            return CancelPartyRegistration(
                request_id=waiting.request_id, registration_id=ven.registration_id, ven_id=ven.ven_id
            )
        if waiting.kind == REREGISTER:
            return RequestReregistration(ven_id=ven.ven_id)
        raise AssertionError(waiting.kind)


class OadrPoll:
    """Answers polls. ``before`` brings up to date what a VEN is to be asked for, before something is looked for."""

    def __init__(self, pending: PendingMessages, before: Callable[[Ven20b, datetime], Awaitable[None]]) -> None:
        self._pending = pending
        self._before = before

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a poll with the next message, or that nothing is pending (B-POL-002)."""
        if not isinstance(message, Poll):
            raise RefusedMessage(Code.NOT_RECOGNIZED, "OadrPoll takes polls only")
        await self._before(session.ven, session.now)
        pending = await self._pending.next(session.ven, session.now)
        if pending is not None:
            return pending
        return Response(
            response=EiResponse(code=Code.OK.value, description="OK", request_id=""), ven_id=session.ven.ven_id
        )
