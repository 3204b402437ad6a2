"""Push what is pending to one VEN: the messages that its polls would bring, in that order, one at a time (B-TRN-005).

A message leaves its queue when the VEN has acknowledged it, and not before: of what a process that was killed had
under way, the next one finds that it is due again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol

from openadr_profiles.v20b.codes import is_success
from openadr_profiles.v20b.messages import (
    CanceledPartyRegistration,
    CanceledReport,
    CancelPartyRegistration,
    CancelReport,
    CreatedEvent,
    CreatedReport,
    CreateReport,
    DistributeEvent,
    Message,
    RegisteredReport,
    RegisterReport,
    RequestReregistration,
    Response,
)
from vtn.api.v20b.identity import PROTOCOL
from vtn.api.v20b.oadr_poll import PendingMessages
from vtn.api.v20b.push_client import NotPushed, PushClient
from vtn.api.v20b.refusals import RefusedMessage
from vtn.api.v20b.services import Service20b
from vtn.api.v20b.session import Answer, Session20b, element_of
from vtn.contacts import ContactRecorder
from vtn.store.stamps import stamp
from vtn.store.stores import Stores
from vtn.store.v20b.vens import Ven20b

_PARTY, _EVENT, _REPORT = Service20b.EI_REGISTER_PARTY, Service20b.EI_EVENT, Service20b.EI_REPORT
_PUSHED: Final[dict[type[Message], tuple[Service20b, tuple[type[Message], ...]]]] = {
    CancelPartyRegistration: (_PARTY, (CanceledPartyRegistration,)),
    RequestReregistration: (_PARTY, (Response,)),
    DistributeEvent: (_EVENT, (Response, CreatedEvent)),
    RegisterReport: (_REPORT, (RegisteredReport,)),
    CreateReport: (_REPORT, (CreatedReport,)),
    CancelReport: (_REPORT, (CanceledReport,)),
}
"""Which service of a VEN a message goes to, and what it may be answered with."""


class Takes(Protocol):
    """Take the answers of VENs, as if they had been sent as requests."""

    async def handled(self, name: Service20b, message: Message, session: Session20b) -> Answer:
        """Take a message; raises RefusedMessage."""


class PushDelivery:
    """Sends VENs what is pending. ``before`` brings up to date what a VEN is to be asked for."""

    def __init__(
        self,
        stores: Stores,
        pending: PendingMessages,
        before: Callable[[Ven20b, datetime], Awaitable[None]],
        client: PushClient,
        door: Takes,
        contacts: ContactRecorder,
        *,
        vtn_id: str,
        now: Callable[[], datetime],
    ) -> None:
        self._stores = stores
        self._pending = pending
        self._before = before
        self.client: Final = client
        self._door = door
        self._contacts = contacts
        self._vtn_id = vtn_id
        self._now = now

    async def one(self, ven: Ven20b) -> bool:
        """Push the next message to a VEN; return False if nothing is pending.

        Raises NotPushed, after what did not reach the VEN is due again, and RefusedMessage if the VEN is gone.
        """
        now = self._now()
        await self._before(ven, now)
        message = await self._pending.next(ven, now, is_pushed=True)
        if message is None:
            return False
        service, expected = _PUSHED[type(message)]
        try:
            known = await self._stores.v20b.vens.fingerprints(ven.id)
            answer, shown = await self.client.call(ven, known, service, message)
            self._contacts.heard(ven.client_id, PROTOCOL)
            if not isinstance(answer, expected):
                wanted = " or ".join(f"oadr{each.__name__}" for each in expected)
                raise NotPushed(f"it answers {element_of(message)} with {element_of(answer)}; expected {wanted}")
            session = Session20b(ven, self._vtn_id, self._now(), shown)
            await self._take(service, message, answer, session)
        except NotPushed:
            await self._missed(ven, message, now)
            raise
        return True

    async def _take(self, service: Service20b, message: Message, answer: Message, session: Session20b) -> None:
        """Take the answer of a VEN: it acknowledges what was pushed."""
        ven = session.ven
        if isinstance(answer, Response):
            code, said = answer.response.code, (answer.response.description or "")[:200]
            if not is_success(code):
                raise NotPushed(f"it answers {element_of(message)} with {code}: {said}")
            if answer.ven_id is not None and answer.ven_id != ven.ven_id:
                raise NotPushed("the venID of its answer is another's")
        if isinstance(message, DistributeEvent):
            unanswered = {event.descriptor.event_id for event in message.events if event.response_required != "always"}
            await self._stores.v20b.events.reached(ven.id, message.request_id, unanswered)
            if isinstance(answer, Response):  # what the VEN thinks of the events, it posts
                return
        try:
            await self._door.handled(service, answer, session)
        except RefusedMessage as error:
            raise NotPushed(f"its {element_of(answer)} is refused: {error.description}") from None

    async def _missed(self, ven: Ven20b, message: Message, now: datetime) -> None:
        if isinstance(message, DistributeEvent):
            await self._stores.v20b.events.missed(ven.id, message.request_id, stamp(now))
        else:
            await self._stores.v20b.outbox.missed(ven.id, element_of(message))
