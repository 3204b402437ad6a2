"""EiEvent of a VTN: VENs ask for their events, and answer each of them (B-EVT, B-CRE)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from openadr_profiles.v20b.codes import Code, is_success
from openadr_profiles.v20b.messages import (
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    RequestEvent,
    Response,
)
from openadr_profiles.v20b.opt_reports import OptType
from vtn.api.v20b.event_desk import EventDesk
from vtn.api.v20b.opt_desk import OptDesk
from vtn.api.v20b.refusals import RefusedMessage, accepted
from vtn.api.v20b.session import Answer, Session20b
from vtn.store.stamps import stamp
from vtn.store.v20b.answers import AnswerStore20b, OptRow, StoredAnswer20b
from vtn.store.v20b.event_rows import DeliveryRow, IssueRow
from vtn.store.v20b.events import EventStore20b
from vtn.store.v20b.vens import Ven20b

_log = structlog.get_logger(__name__)

_LONGEST: Final = 1000
_MOST_RESPONSES: Final = 1000


class EiEvent:
    """Answers VENs that ask for events or answer them, and distributes events to those that poll."""

    def __init__(self, desk: EventDesk, events: EventStore20b, answers: AnswerStore20b, opts: OptDesk) -> None:
        self._desk = desk
        self._events = events
        self._answers = answers
        self._opts = opts

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message of this service; raises RefusedMessage."""
        if isinstance(message, RequestEvent):
            return await self._requested(message, session)
        if isinstance(message, CreatedEvent):
            return await self._answered(message, session)
        raise RefusedMessage(Code.NOT_RECOGNIZED, "EiEvent takes oadrRequestEvent and oadrCreatedEvent only")

    async def distribute(self, ven: Ven20b, now: datetime, *, is_pushed: bool = False) -> DistributeEvent | None:
        """Return what a VEN has to hear of its events now, noted as sent; None if there is nothing."""
        if self._desk.is_quiet(ven, now):
            return None
        found = await self._desk.distribute(ven, now, is_pushed=is_pushed)
        await self._opts.note_sent(ven, found, now)
        return found.message

    async def _requested(self, message: RequestEvent, session: Session20b) -> DistributeEvent | None:
        ven, now = session.ven, session.now
        await self._opts.catch_up(ven)
        found = await self._desk.requested(ven, now, accepted(message.request_id), message.reply_limit)
        await self._opts.note_sent(ven, found, now)
        return found.message

    async def _answered(self, message: CreatedEvent, session: Session20b) -> Response:
        """Store the answers that are in order, and name the first one that is not (B-CRE-006)."""
        ven = session.ven
        responses = message.event_responses
        if not responses:
            return self._without_answers(message, ven)
        if len(responses) > _MOST_RESPONSES:
            raise RefusedMessage(Code.INVALID_DATA, f"expected at most {_MOST_RESPONSES} eventResponses in a message")
        ids = {response.qualified_event_id.event_id for response in responses}
        sent = await self._events.delivered(ven.id, ids)
        out_of_sequence = not sent and not await self._events.was_sent_any(ven.id)
        unasked = await self._desk.unasked(sent.values())
        request_ids = {delivery.request_id for _, delivery in sent.values()}
        answers: dict[tuple[str, int], StoredAnswer20b] = {}
        wrong: list[tuple[Code, str]] = []
        for response in responses:
            its = sent.get(response.qualified_event_id.event_id)
            if its is None:
                what = "no event was sent before" if out_of_sequence else "no event with this eventID was sent"
                code = Code.OUT_OF_SEQUENCE if out_of_sequence else Code.INVALID_ID
                wrong.append((code, f"{response.qualified_event_id.event_id[:64]}: {what}"))
                continue
            issue, delivery = its
            number = response.qualified_event_id.modification_number
            if number != delivery.number:
                wrong.append(
                    (
                        Code.INVALID_DATA,
                        f"{issue.wire_id}: modificationNumber is {number}, the last one sent is {delivery.number}",
                    )
                )
                continue
            _log_oddities(
                ven,
                issue,
                is_unknown=response.request_id not in request_ids,
                is_unasked=issue.key in unasked,
            )
            answer = _answer(ven, issue, delivery, response, session.now)
            if not _repeats(delivery, answer):
                answers[issue.key] = answer
        await self._answers.store(ven.id, list(answers.values()))
        await self._opts.report(ven, [each.event_id for each in answers.values()])
        if wrong:
            return self._refused(message, ven, wrong)
        return Response(response=accepted(message.response.request_id), ven_id=ven.ven_id)

    def _without_answers(self, message: CreatedEvent, ven: Ven20b) -> Response:
        """Take a message without answers only if it reports an error (B-CRE-005)."""
        if is_success(message.response.code):
            raise RefusedMessage(Code.COMPLIANCE_ERROR, "eventResponses are missing, and eiResponse reports no error")
        _log.warning(
            "a VEN of 2.0b refuses its events",
            ven=ven.name,
            code=message.response.code,
            description=(message.response.description or "")[:200],
        )
        return Response(response=accepted(message.response.request_id), ven_id=ven.ven_id)

    def _refused(self, message: CreatedEvent, ven: Ven20b, wrong: Sequence[tuple[Code, str]]) -> Response:
        code, _ = wrong[0]
        told = "; ".join(what[:200] for _, what in wrong[:3]) + ("; ..." if len(wrong) > 3 else "")
        _log.warning("answers of a VEN of 2.0b are refused", ven=ven.name, code=code.value, answers=told)
        response = EiResponse(code=code.value, description=told, request_id=message.response.request_id)
        return Response(response=response, ven_id=ven.ven_id)


def _answer(
    ven: Ven20b, issue: IssueRow, delivery: DeliveryRow, response: EventResponse, now: datetime
) -> StoredAnswer20b:
    """Return an answer as it is stored: what it means depends on what was sent (B-CRE-008, B-CRE-009)."""
    if not is_success(response.code):
        opt_type = OptType.REJECTED
    elif delivery.is_cancelled:
        opt_type = OptType.CANCEL_CONFIRMED if response.opt_type == "optIn" else OptType.CANNOT_CANCEL
    else:
        opt_type = OptType.IN if response.opt_type == "optIn" else OptType.OUT
    said = OptRow(
        ven_id=ven.id,
        event_id=issue.event_id,
        issue=issue.issue,
        number=delivery.number,
        opt_type=opt_type.value,
        reason=(response.description or "")[:_LONGEST] or None if opt_type is OptType.REJECTED else None,
        response_code=response.code,
        received_at=stamp(now),
    )
    return StoredAnswer20b(
        event_id=issue.event_id,
        issue=issue.issue,
        number=delivery.number,
        opt_type=opt_type.value,
        response_code=response.code,
        closes=delivery.is_cancelled,
        said=said,
    )


def _repeats(delivery: DeliveryRow, answer: StoredAnswer20b) -> bool:
    """Return True if a VEN says again what it said last (B-GEN-011)."""
    return (delivery.answered_number, delivery.opt_type, delivery.response_code) == (
        answer.number,
        answer.opt_type,
        answer.response_code,
    )


def _log_oddities(ven: Ven20b, issue: IssueRow, *, is_unknown: bool, is_unasked: bool) -> None:
    """Log what is accepted although it is odd (B-CRE-003, B-CRE-010)."""
    if is_unknown:
        _log.info(
            "a VEN of 2.0b answers an event with another requestID than it was last sent with",
            ven=ven.name,
            event_id=issue.event_id,
        )
    if is_unasked:
        _log.info("a VEN of 2.0b answers an event that needs no answer", ven=ven.name, event_id=issue.event_id)
