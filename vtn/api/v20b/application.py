"""The HTTP application of OpenADR 2.0b: five paths, POST only, and one way for every message (1.3).

Limits come first, then who it is, then what was sent. Bad input is answered 4xx or with a message, never 5xx.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Final, TypeAlias

import structlog
from aiohttp import hdrs, web

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.errors import NotAMessage, Refused
from openadr_profiles.v20b.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatePartyRegistration,
    EiResponse,
    Message,
    Poll,
    QueryRegistration,
    RequestReregistration,
    Response,
)
from vtn.api.v20b.counts import Counts20b
from vtn.api.v20b.identity import PROTOCOL, Identity
from vtn.api.v20b.refusals import PROFILES, RefusedMessage
from vtn.api.v20b.services import PATH, TO_VTN, Service20b, refusal
from vtn.api.v20b.session import Answer, MessageService, Session20b, element_of
from vtn.api.v20b.wire import MessageWire
from vtn.contacts import ContactRecorder
from vtn.errors import Malformed, UnsupportedMediaType
from vtn.http import body, headers, problem
from vtn.http.aiohttp_internals import handler_of
from vtn.http.entrance import CLIENT, Entrance
from vtn.http.request_log import RequestLog
from vtn.metrics import Metrics
from vtn.settings import Settings
from vtn.store.v20b.vens import Ven20b
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/xml"

_BEFORE_REGISTRATION: Final = (QueryRegistration, CreatePartyRegistration)
_NOT_FOR_REPORTERS: Final = frozenset({Service20b.EI_EVENT, Service20b.EI_OPT})

_LONGEST: Final = 500

Heard: TypeAlias = Callable[[Session20b, Response], Awaitable[None]]


class Door:
    """Answers the messages of VENs. ``services`` are by their names in the path."""

    def __init__(
        self,
        settings: V20b,
        identity: Identity,
        wire: MessageWire,
        services: Mapping[Service20b, MessageService],
        contacts: ContactRecorder,
        counts: Counts20b,
        *,
        heard_response: Heard,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._wire = wire
        self._services = services
        self._contacts = contacts
        self._counts = counts
        self._heard_response = heard_response
        self._now = now

    async def answer(self, name: Service20b, request: web.Request) -> web.Response:
        """Answer one request to the service ``name``."""
        fingerprint = self._identity.fingerprint(request)
        _check_headers(request)
        async with body.Body(request, packed=False, most=self._settings.max_body_bytes) as raw:
            ven = await self._identity.ven(fingerprint, request)
            if ven is not None:
                request[CLIENT] = ven.client_id
                said = request.headers
                self._contacts.heard(
                    ven.client_id, PROTOCOL, software=said.get(hdrs.USER_AGENT), date=said.get(hdrs.DATE)
                )
            answer = await self._answered(name, raw, fingerprint, ven)
        signs = ven is not None and self._wire.signs_for(ven)
        content = b"" if answer is None else await self._wire.written(answer, signed=signs)
        return web.Response(body=content, content_type=MEDIA_TYPE)

    async def _answered(self, name: Service20b, raw: bytes, fingerprint: str, ven: Ven20b | None) -> Answer:
        """Return the answer to a body; raises Malformed if there is no message in it."""
        try:
            message = await self._wire.read(raw, fingerprint, ven)
        except NotAMessage as error:
            raise Malformed(error.reason) from None
        except Refused as error:
            if ven is None:
                return self._refusal(None, error.name, *_UNKNOWN, error.request_id)
            return self._refusal(ven, error.name, error.code, error.description, error.request_id)
        element = element_of(message)
        if ven is None and self._settings.auto_enrol and isinstance(message, CreatePartyRegistration):
            ven = await self._identity.enrolled(fingerprint, message.ven_name)
        if ven is None:
            return self._refusal(None, element, *_UNKNOWN, _request_id_of(message), opt_id=_opt_id_of(message))
        digest = blake2b(raw, digest_size=16).hexdigest()
        session = Session20b(ven, self._settings.vtn_id, self._now(), fingerprint, digest)
        try:
            return await self.handled(name, message, session)
        except RefusedMessage as error:
            request_id = _request_id_of(message)
            code = error.code.value
            return self._refusal(ven, element, code, error.description, request_id, opt_id=_opt_id_of(message))

    async def handled(self, name: Service20b, message: Message, session: Session20b) -> Answer:
        """Answer a message that came as a request to a service, or as the answer to one of ours.

        Raises RefusedMessage.
        """
        ven = session.ven
        if isinstance(message, Response):
            _check_ven_id(message.ven_id, ven)
            await self._heard_response(session, message)
            return None
        if type(message) not in TO_VTN[name]:
            raise RefusedMessage(Code.NOT_RECOGNIZED, f"{element_of(message)} is not a message for {name}")
        if ven.is_disabled:
            raise RefusedMessage(Code.NOT_REGISTERED_OR_AUTHORIZED, "this VEN is disabled here; ask its operator")
        if not isinstance(message, _BEFORE_REGISTRATION):
            _check_ven_id(getattr(message, "ven_id", None), ven)
            if not ven.is_registered and isinstance(message, Poll):
                return RequestReregistration(ven_id=ven.ven_id)
            if not ven.is_registered and not isinstance(message, CancelPartyRegistration | CanceledPartyRegistration):
                raise RefusedMessage(Code.NOT_REGISTERED_OR_AUTHORIZED, "this VEN is not registered; register it first")
        if ven.report_only and name in _NOT_FOR_REPORTERS:
            raise RefusedMessage(Code.NOT_ALLOWED, f"this VEN registered for reports only, not for {name}")
        service = self._services.get(name)
        if service is None:
            raise RefusedMessage(Code.NOT_ALLOWED, f"this VTN does not offer {name}")
        return await service.handle(message, session)

    def _refusal(
        self, ven: Ven20b | None, name: str, code: str, description: str, request_id: str, *, opt_id: str = ""
    ) -> Message:
        self._counts.refused(code)
        if ven is not None:
            self._contacts.refused(ven.client_id, PROTOCOL, status=int(code), title=description[:200], request=name)
        said = EiResponse(code=code, description=description[:_LONGEST], request_id=request_id)
        return refusal(name, said, vtn_id=self._settings.vtn_id, profiles=PROFILES, opt_id=opt_id)


_UNKNOWN: Final = (
    Code.NOT_REGISTERED_OR_AUTHORIZED.value,
    "the certificate of this connection is not enrolled here; the operator of the VTN has its fingerprint in the log",
)


def application(
    settings: Settings, v20b: V20b, door: Door, *, budget: body.Budget, metrics: Metrics | None
) -> tuple[web.Application, Entrance]:
    """Return the application and the entrance before it."""
    app = web.Application(client_max_size=v20b.max_body_bytes)
    app[body.TIMEOUT_S], app[body.NESTING] = v20b.body_s, settings.limits.nesting
    app[body.BUDGET] = budget
    for name in Service20b:
        app.router.add_post(f"{v20b.prefix}{PATH}{name}", _handler(door, name))
    log = RequestLog() if settings.log_requests else None
    if log is not None:
        app.on_cleanup.append(log.write_the_rest)
    return app, Entrance(
        handler_of(app),
        {},
        problem_writers={"": _problem},
        headers=headers.fixed(settings),
        invalid_token_status=401,
        metrics=metrics,
        log=log,
        tidies=False,
    )


def _handler(door: Door, name: Service20b) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return await door.answer(name, request)

    return handle


def _problem(refusal_: problem.Refusal, /, *, accept: str, reference: str) -> web.Response:
    """Write a refusal that no message of OpenADR 2.0b can carry: one line of text."""
    kept = {name: value for name, value in refusal_.headers.items() if name != hdrs.WWW_AUTHENTICATE}
    text = f"{refusal_.status} {refusal_.title}: {refusal_.detail} ({reference})\n"
    return web.Response(text=text, status=refusal_.status, headers=kept)


def _check_headers(request: web.Request) -> None:
    """Raise UnsupportedMediaType or Malformed for a body that is no XML or comes without its length (B-TRN-002)."""
    declared = request.headers.get(hdrs.CONTENT_TYPE, "")
    if declared.partition(";")[0].strip().lower() not in {MEDIA_TYPE, "text/xml"}:
        raise UnsupportedMediaType("Content-Type: expected application/xml")
    if request.headers.get(hdrs.TRANSFER_ENCODING) is not None or request.content_length is None:
        raise Malformed("Content-Length is missing: expected a whole body, without Transfer-Encoding")


def _check_ven_id(ven_id: str | None, ven: Ven20b) -> None:
    """Raise RefusedMessage unless a venID that is given belongs to the certificate (B-GEN-005)."""
    if ven_id is not None and ven_id != ven.ven_id:
        raise RefusedMessage(
            Code.NOT_REGISTERED_OR_AUTHORIZED, "venID: expected the one that belongs to the certificate of this VEN"
        )


def _request_id_of(message: Message) -> str:
    """Return the requestID to echo; a message without one has an empty one (B-GEN-007)."""
    found = getattr(message, "request_id", None)
    response = getattr(message, "response", None)
    return str(found if found is not None else getattr(response, "request_id", ""))


def _opt_id_of(message: Message) -> str:
    return str(getattr(message, "opt_id", "") or "")
