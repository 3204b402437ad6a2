"""EiOpt of a VTN: VENs opt in to or out of an event, or for times, of their own accord (B-OPT)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.messages import (
    CanceledOpt,
    CancelOpt,
    CreatedOpt,
    CreateOpt,
    Message,
    Period,
    QualifiedEventID,
    Target,
)
from vtn.api.v20b.event_examination import Entry
from vtn.api.v20b.opt_desk import OptContent, OptDesk, encoded_content
from vtn.api.v20b.refusals import RefusedMessage, accepted
from vtn.api.v20b.session import Answer, Session20b
from vtn.store.stamps import stamp
from vtn.store.v20b.answers import AnswerStore20b, OptRow, TooManyOpts
from vtn.store.v20b.event_rows import DeliveryRow, IssueRow
from vtn.store.v20b.events import EventStore20b
from vtn.store.v20b.vens import Ven20b

_TOLERANCE: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(days=366)
_LONGEST_TEXT: Final = 255
_LONGEST_CONTEXT: Final = 1000
_MOST_WINDOWS: Final = 200
_MOST_RESOURCES: Final = 200
_REASONS: Final = frozenset(
    {
        "economic",
        "emergency",
        "mustRun",
        "notParticipating",
        "outageRunStatus",
        "overrideStatus",
        "participating",
    }
)


class EiOpt:
    """Takes opts and takes them back."""

    def __init__(self, events: EventStore20b, answers: AnswerStore20b, opts: OptDesk) -> None:
        self._events = events
        self._answers = answers
        self._opts = opts

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message of this service; raises RefusedMessage."""
        if isinstance(message, CreateOpt):
            return await self._created(message, session)
        if isinstance(message, CancelOpt):
            return await self._cancelled(message, session)
        raise RefusedMessage(Code.NOT_RECOGNIZED, "EiOpt takes oadrCreateOpt and oadrCancelOpt only")

    async def _created(self, message: CreateOpt, session: Session20b) -> CreatedOpt:
        event, times = message.qualified_event_id, message.availabilities
        if (event is None) == (times is None):
            raise RefusedMessage(Code.INVALID_DATA, "expected either qualifiedEventID or vavailability")
        if len(message.opt_id) > _LONGEST_TEXT:
            raise RefusedMessage(Code.INVALID_DATA, f"optID: expected at most {_LONGEST_TEXT} characters")
        if len(message.opt_reason) > _LONGEST_TEXT or len(message.market_context or "") > _LONGEST_CONTEXT:
            raise RefusedMessage(Code.INVALID_DATA, "optReason or marketContext is too long")
        if message.opt_reason not in _REASONS and not message.opt_reason.startswith("x-"):
            raise RefusedMessage(Code.INVALID_DATA, f"optReason: expected {', '.join(sorted(_REASONS))} or x-...")
        content = OptContent(
            resources=await self._resources(message.target, session.ven),
            device_classes=_device_classes(message.device_class),
            market_context=message.market_context or None,
        )
        if event is not None:
            return await self._for_event(message, event, content, session)
        return await self._for_times(message, times or (), content, session)

    async def _for_event(
        self, message: CreateOpt, event: QualifiedEventID, content: OptContent, session: Session20b
    ) -> CreatedOpt:
        """Opt for an event, whatever was answered before (B-OPT-002)."""
        ven = session.ven
        found = (await self._events.delivered(ven.id, [event.event_id])).get(event.event_id)
        if found is None:
            raise RefusedMessage(Code.INVALID_ID, "eventID: no such event was sent")
        issue, sent = found
        if event.modification_number != sent.number:
            raise RefusedMessage(
                Code.INVALID_DATA,
                f"modificationNumber is {event.modification_number}, the last one sent is {sent.number}",
            )
        if content.market_context not in {None, issue.market_context}:
            raise RefusedMessage(Code.NOT_RECOGNIZED, "marketContext is not that of the event")
        said = _said(message, content, session, issue=issue, number=sent.number)
        if await self._opted(said):
            await self._opts.report(ven, [issue.event_id])
        return _accepted(message)

    async def _for_times(
        self, message: CreateOpt, times: Sequence[Period], content: OptContent, session: Session20b
    ) -> CreatedOpt:
        """Opt for times, which are marked on events; these are sent all the same (B-OPT-004, B-OPT-005)."""
        ven, now = session.ven, session.now
        windows = _windows(times, now)
        if content.market_context is not None and await self._opts.program_in(content.market_context) is None:
            raise RefusedMessage(Code.NOT_RECOGNIZED, "marketContext is not known")
        ends_at = max(start + timedelta(seconds=length_s) for start, length_s in windows)
        content = OptContent(
            resources=content.resources,
            device_classes=content.device_classes,
            market_context=content.market_context,
            windows=windows,
        )
        said = _said(message, content, session, ends_at=stamp(ends_at))
        if await self._opted(said):
            await self._mark(ven, now)
            await self._opts.report_schedules(ven)
        return _accepted(message)

    async def _mark(self, ven: Ven20b, now: datetime) -> None:
        """Mark the events that were sent before on which the VEN has just said that it is not available."""
        at = stamp(now)
        entries = [
            _entry(its.issue, its.sent)
            for its in await self._events.open_deliveries(ven.caller, ven.id)
            if its.is_there and not its.sent.is_cancelled and (its.issue.starts_at or "") >= at
        ]
        await self._answers.note(await self._opts.marks(ven, entries, now))
        await self._opts.catch_up(ven)

    async def _opted(self, said: OptRow) -> bool:
        try:
            return await self._answers.opted(said)
        except TooManyOpts as error:
            raise RefusedMessage(Code.NOT_ALLOWED, f"{error}; cancel one of them") from None

    async def _cancelled(self, message: CancelOpt, session: Session20b) -> CanceledOpt:
        """Take an opt back: what was said before holds again (B-OPT-008)."""
        found = await self._answers.taken_back(session.ven.id, message.opt_id)
        if found is None:
            raise RefusedMessage(Code.INVALID_ID, "optID: there is no such opt")
        await self._opts.catch_up(session.ven)
        if any(row.event_id is None for row in found):
            await self._mark(session.ven, session.now)  # other schedules may hold there, for which there was no room
            await self._opts.report_schedules(session.ven)
        return CanceledOpt(response=accepted(message.request_id), opt_id=message.opt_id)

    async def _resources(self, target: Target, ven: Ven20b) -> tuple[str, ...]:
        """Return the resources that an opt is for, none if it is for the whole VEN (B-OPT-003)."""
        if any(ven_id != ven.ven_id for ven_id in target.ven_ids):
            raise RefusedMessage(Code.INVALID_ID, "eiTarget: another VEN")
        plain = Target(ven_ids=target.ven_ids, resource_ids=target.resource_ids)
        if target != plain:
            raise RefusedMessage(Code.TARGET_MISMATCH, "eiTarget: expected this VEN or resources of it")
        names = tuple(dict.fromkeys(target.resource_ids))
        if len(names) > _MOST_RESOURCES:
            raise RefusedMessage(Code.INVALID_DATA, f"eiTarget: expected at most {_MOST_RESOURCES} resources")
        if names and len(await self._answers.resource_names(ven.id, names)) != len(names):
            raise RefusedMessage(Code.TARGET_MISMATCH, "eiTarget: a resource that this VEN does not have")
        return names


def _device_classes(target: Target | None) -> tuple[str, ...]:
    """Return the device classes that an opt is for; they are all that may be named there (B-OPT-006)."""
    if target is None:
        return ()
    if target != Target(end_device_assets=target.end_device_assets) or len(target.end_device_assets) > _MOST_RESOURCES:
        raise RefusedMessage(Code.INVALID_DATA, "oadrDeviceClass: expected endDeviceAsset only")
    return target.end_device_assets


def _windows(times: Sequence[Period], now: datetime) -> tuple[tuple[datetime, int], ...]:
    """Return the times of a schedule, which lie ahead and have a length (B-OPT-004)."""
    if not 0 < len(times) <= _MOST_WINDOWS:
        raise RefusedMessage(Code.INVALID_DATA, f"vavailability: expected 1 to {_MOST_WINDOWS} times")
    found = []
    for each in times:
        end = each.duration.after(each.start)
        if end is None or not timedelta(0) < end - each.start <= _LONGEST:
            raise RefusedMessage(Code.INVALID_DATA, "vavailability: expected durations of more than 0 and up to a year")
        if each.start < now - _TOLERANCE:
            raise RefusedMessage(Code.INVALID_DATA, "vavailability: expected times that are not over")
        found.append((each.start, int((end - each.start).total_seconds())))
    return tuple(found)


def _said(
    message: CreateOpt,
    content: OptContent,
    session: Session20b,
    *,
    issue: IssueRow | None = None,
    number: int | None = None,
    ends_at: str | None = None,
) -> OptRow:
    return OptRow(
        ven_id=session.ven.id,
        event_id=None if issue is None else issue.event_id,
        issue=None if issue is None else issue.issue,
        number=number,
        opt_id=message.opt_id,
        opt_type=message.opt_type,
        reason=message.opt_reason,
        content=encoded_content(content),
        received_at=stamp(session.now),
        ends_at=ends_at,
    )


def _entry(issue: IssueRow, sent: DeliveryRow) -> Entry:
    return Entry(
        issue=issue,
        number=sent.number,
        shown_number=sent.shown_number,
        cancelled_at=None,
        before=sent,
        is_due=False,
    )


def _accepted(message: CreateOpt) -> CreatedOpt:
    return CreatedOpt(response=accepted(message.request_id), opt_id=message.opt_id)
