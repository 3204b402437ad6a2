"""EiRegisterParty: what the VTN offers, and how VENs come and go (B-REG-001 … B-REG-017)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from openadr_profiles.v20b.codes import Code, is_success
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    Message,
    QueryRegistration,
    Response,
)
from vtn.api.v20b.push_address import PushAddresses
from vtn.api.v20b.refusals import PROFILES, RefusedMessage, accepted
from vtn.api.v20b.session import Answer, Session20b
from vtn.store.stamps import stamp
from vtn.store.v20b.outbox import Outbox20b
from vtn.store.v20b.registrations import REREGISTER, Registration20b, RegistrationStore20b
from vtn.store.v20b.vens import Ven20b
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

_REPETITION: Final = timedelta(seconds=60)
"""Time in which the same registration again is the same message sent twice, and no VEN that has lost its state."""


class EiRegisterParty:
    """Registers VENs that are enrolled. Without ``addresses`` none is pushed to."""

    def __init__(
        self,
        settings: V20b,
        registrations: RegistrationStore20b,
        outbox: Outbox20b,
        addresses: PushAddresses | None,
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._registrations = registrations
        self._outbox = outbox

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message of this service."""
        match message:
            case QueryRegistration():
                return self._created(message.request_id, session.ven)
            case CreatePartyRegistration():
                return await self._register(message, session)
            case CancelPartyRegistration():
                return await self._cancel(message, session)
            case CanceledPartyRegistration():
                return await self._canceled(message, session)
        raise RefusedMessage(Code.NOT_RECOGNIZED, "EiRegisterParty does not know this message")

    async def _register(self, message: CreatePartyRegistration, session: Session20b) -> Answer:
        ven, settings = session.ven, self._settings
        self._check_offered(message)
        if message.ven_id is not None and message.ven_id != ven.ven_id:
            raise RefusedMessage(Code.INVALID_ID, "venID: expected the one that belongs to the certificate of this VEN")
        if message.registration_id is not None and message.registration_id != ven.registration_id:
            raise RefusedMessage(Code.INVALID_ID, "registrationID: this VEN has no such registration")
        if message.xml_signature != (settings.signatures or ven.signs):
            expected = "true" if not message.xml_signature else "false"
            raise RefusedMessage(
                Code.COMPLIANCE_ERROR, f"oadrXmlSignature: expected {expected}, as the VTN is set up for this VEN"
            )
        if settings.strict_registration and ven.is_registered and message.registration_id is None:
            raise RefusedMessage(Code.INVALID_ID, "registrationID: this VEN is registered; expected its registrationID")
        given = Registration20b(
            ven_name=message.ven_name,
            push_url=await self._push_url(message),
            report_only=message.report_only,
            signs=ven.signs,
            digest=session.digest,
        )
        registered, is_new = await self._registrations.register(
            ven,
            given,
            renewed=message.registration_id is not None,
            repeated_after=stamp(session.now - _REPETITION),
        )
        if is_new:
            _log.info("a VEN of OpenADR 2.0b has registered", ven=ven.name, venID=ven.ven_id)
        return self._created(message.request_id, registered)

    def _check_offered(self, message: CreatePartyRegistration) -> None:
        """Raise RefusedMessage for a profile or transport that is not offered (B-REG-005)."""
        if message.profile_name != "2.0b":
            raise RefusedMessage(
                Code.COMPLIANCE_ERROR, f"oadrProfileName: {message.profile_name} is not offered; expected 2.0b"
            )
        if message.transport_name != "simpleHttp":
            raise RefusedMessage(
                Code.COMPLIANCE_ERROR,
                f"oadrTransportName: {message.transport_name} is not offered; expected simpleHttp",
            )

    async def _push_url(self, message: CreatePartyRegistration) -> str | None:
        """Return the address to push to, None for a VEN that polls; raises RefusedMessage (B-REG-006)."""
        if message.http_pull_model is not False:
            return None
        address = (message.transport_address or "").strip()
        if not address:
            raise RefusedMessage(Code.INVALID_DATA, "oadrTransportAddress: expected the address to push to")
        if self._addresses is None:
            raise RefusedMessage(Code.COMPLIANCE_ERROR, "oadrHttpPullModel: this VTN does not push; expected true")
        if problem := await self._addresses.problem_of_host(address):
            raise RefusedMessage(Code.INVALID_DATA, f"oadrTransportAddress: {problem}")
        return address

    async def _cancel(self, message: CancelPartyRegistration, session: Session20b) -> Answer:
        ven = session.ven
        answer = CanceledPartyRegistration(
            response=accepted(message.request_id), registration_id=message.registration_id, ven_id=ven.ven_id
        )
        if not ven.is_registered and await self._is_repeated(session):
            return answer
        if not ven.is_registered or message.registration_id != ven.registration_id:
            raise RefusedMessage(Code.INVALID_ID, "registrationID: this VEN has no such registration")
        await self._registrations.end(ven.id, digest=session.digest)
        _tell_end(ven, "its VEN")
        return answer

    async def _canceled(self, message: CanceledPartyRegistration, session: Session20b) -> Answer:
        """Take the VEN's answer to a cancellation by this VTN (B-REG-013)."""
        ven, response = session.ven, message.response
        agrees = is_success(response.code)
        if not await self._registrations.cancel_answered(ven.id, agrees=agrees, digest=session.digest):
            if ven.is_registered or not await self._is_repeated(session):
                raise RefusedMessage(Code.OUT_OF_SEQUENCE, "this VTN did not cancel the registration")
        elif agrees:
            _tell_end(ven, "this VTN")
        else:
            _log.warning(
                "a VEN does not let its registration be cancelled",
                ven=ven.name,
                code=response.code,
                description=response.description,
            )
        return Response(response=accepted(response.request_id), ven_id=ven.ven_id)

    async def _is_repeated(self, session: Session20b) -> bool:
        """Return True if this very message ended the registration a moment ago (B-GEN-011)."""
        after = stamp(session.now - _REPETITION)
        return await self._registrations.was_ended_by(session.ven.id, session.digest, after=after)

    async def heard_response(self, session: Session20b, message: Response) -> None:
        """Take ``oadrResponse`` as the answer to a request to register again, the only one it can be (B-REG-010)."""
        if is_success(message.response.code):
            await self._outbox.acknowledged(session.ven.id, REREGISTER)

    def _created(self, request_id: str, ven: Ven20b) -> CreatedPartyRegistration:
        return CreatedPartyRegistration(
            response=accepted(request_id),
            registration_id=ven.registration_id or None,
            ven_id=ven.ven_id if ven.is_registered else None,
            vtn_id=self._settings.vtn_id,
            profiles=PROFILES,
            requested_poll_freq=Duration20b(seconds=self._settings.poll_s),
        )


def _tell_end(ven: Ven20b, by: str) -> None:
    _log.info("a registration for OpenADR 2.0b has ended", ven=ven.name, venID=ven.ven_id, by=by)
