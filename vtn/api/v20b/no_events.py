"""EiEvent of a VTN that has no events for VENs of OpenADR 2.0b."""

from __future__ import annotations

from datetime import datetime

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.messages import DistributeEvent, Message, RequestEvent
from vtn.api.v20b.refusals import RefusedMessage, accepted
from vtn.api.v20b.session import Answer, Session20b
from vtn.store.ids import new_id
from vtn.store.v20b.vens import Ven20b


class NoEvents:
    """Answers that there are no events."""

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message of this service."""
        if isinstance(message, RequestEvent):
            return DistributeEvent(response=accepted(message.request_id), request_id=new_id(), vtn_id=session.vtn_id)
        raise RefusedMessage(Code.INVALID_ID, "there is no such event")

    async def distribute(self, ven: Ven20b, now: datetime) -> Message | bytes | None:
        """Return nothing."""
        return None

    async def forget(self, ven_id: str) -> None:
        """Forget nothing."""
