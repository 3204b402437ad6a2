"""EiReport: what VENs can report, what they are asked for, and the values they send (B-RPT-001 … B-RPT-024)."""

from __future__ import annotations

from datetime import datetime

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.messages import Message, RegisteredReport, RegisterReport, Response
from vtn.api.v20b.ei_register_party import OWN_REPORTS
from vtn.api.v20b.refusals import RefusedMessage, accepted
from vtn.api.v20b.session import Answer, Session20b
from vtn.store.v20b.outbox import Outbox20b, WaitingMessage
from vtn.store.v20b.vens import Ven20b


class EiReport:
    """Takes reports of VENs."""

    def __init__(self, outbox: Outbox20b) -> None:
        self._outbox = outbox

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message of this service."""
        match message:
            case RegisterReport():
                return RegisteredReport(response=accepted(message.request_id), ven_id=session.ven.ven_id)
            case RegisteredReport():
                await self._outbox.acknowledged(session.ven.id, OWN_REPORTS)
                return Response(response=accepted(message.response.request_id), ven_id=session.ven.ven_id)
        raise RefusedMessage(Code.REPORT_NOT_SUPPORTED, "this VTN takes no reports yet")

    async def bring_up_to_date(self, ven: Ven20b, now: datetime) -> None:
        """Find what a VEN is to be asked for."""

    async def message(self, ven: Ven20b, waiting: WaitingMessage) -> Message | None:
        """Return the message that waits; None if it has no point any more."""
        return None
