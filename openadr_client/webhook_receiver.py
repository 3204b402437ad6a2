"""Notifications by webhook: a small HTTP server that answers the VTN's challenge and takes what it posts to us."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

import structlog

from openadr_client.errors import (
    BadCertificateFile,
    NotFound,
    NoWay,
    TemporarilyUnavailable,
    Unauthorized,
    Unreachable,
    UnreadableNotification,
    VtnError,
)
from openadr_client.faces import FACE_31, Face
from openadr_client.notifications import MAX_NOTIFICATION, ReadAgain, Tell, Told, Way, read_notification
from openadr_client.settings import PushSettings
from openadr_client.signatures import is_signed, signing_key
from openadr_client.topic_choice import OBJECT_KINDS
from openadr_profiles.v31 import ObjectOperation, Subscription, SubscriptionRequest

if TYPE_CHECKING:
    from aiohttp import web

    from openadr_client.client import VtnClient
    from openadr_profiles.v31 import Notifiers

_log = structlog.get_logger(__name__)

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_.~-]{1,512}", re.ASCII)
_OPERATIONS: Final = ("CREATE", "UPDATE", "DELETE")
_BODY_S: Final = 10.0
"""Real seconds within which a body must have come."""
_AT_ONCE: Final = 8
"""Bodies that are read at the same time; together at most 40 MiB."""
_REMEMBERED: Final = 1000
"""Ids of notifications of which a repeat is not told again."""
_LOOK_AFTER_S: Final = 3600.0
"""Seconds between two looks whether the VTN still has our subscription, up to a fifth less."""
_LOOK_FOR_PROGRAMS_S: Final = 300.0
"""The same while there is no program to subscribe to, where a subscription is for one."""
_JITTER: Final = 0.2
_LEAVE_S: Final = 3.0


class CallbackApplication:
    """The receiver's side of webhooks, as an aiohttp application: ``application`` can be served by any program.

    ``bearer_token`` is what the subscription says, and what every POST must carry; None takes any POST. With
    ``signing_secret`` it must be signed as well. ``tell`` gets what came, one call for each notification; ``face`` is
    that of the client by which the VTN was subscribed to.
    """

    def __init__(
        self, tell: Tell, *, bearer_token: str | None, signing_secret: str | None = None, face: Face = FACE_31
    ) -> None:
        self._tell = tell
        self._face = face
        self._expected = None if bearer_token is None else f"Bearer {bearer_token}".encode()
        self._key = None if signing_secret is None else signing_key(signing_secret)
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def application(self) -> web.Application:
        """Return the application, which answers at every path: a proxy before it may have changed it."""
        from aiohttp import web  # noqa: PLC0415 # not every client is a server

        made = web.Application(client_max_size=MAX_NOTIFICATION)
        made.router.add_get("/{path:.*}", self._answer_challenge, allow_head=False)
        made.router.add_post("/{path:.*}", self._take)
        return made

    async def _answer_challenge(self, request: web.Request) -> web.Response:
        """Give back the value of ``echo`` if it is one, and nothing else of the request (VENCLIENT-016)."""
        value = request.query.get("echo", "")
        if not _CHALLENGE.fullmatch(value):
            return _plain(400, "expected ?echo= with 1 to 512 letters, digits, or any of - _ . ~")
        return _plain(200, value)

    async def _take(self, request: web.Request) -> web.Response:
        """Take a notification (VENCLIENT-017): who sent it is checked before any of its body is read."""
        from aiohttp import web  # noqa: PLC0415 # see above

        given = request.headers.get("Authorization", "").encode()
        if self._expected is not None and not hmac.compare_digest(given, self._expected):
            return _plain(401, "expected the bearer token of the subscription", **{"WWW-Authenticate": "Bearer"})
        if self._reading.locked():
            return _plain(503, "busy", **{"Retry-After": "1"})
        async with self._reading:
            try:
                async with asyncio.timeout(_BODY_S):
                    body = await request.read()
            except TimeoutError:
                return _plain(408, "the body did not come in time")
            except web.HTTPRequestEntityTooLarge:
                self._tell(ReadAgain("a notification that is too long", "webhook"))
                raise
        if self._key is not None and not is_signed(request.headers, body, key=self._key, now=datetime.now(UTC)):
            return _plain(401, "expected a signature with the common secret")
        return self._told(request.headers.get("webhook-id") or request.headers.get("X-Request-ID"), body)

    def _told(self, id_: str | None, body: bytes) -> web.Response:
        if id_ is not None and self._is_repeat(id_):
            return _plain(200, "")
        try:
            told: Told = read_notification(body, way="webhook", id_=id_, face=self._face)
        except UnreadableNotification as error:
            self._tell(ReadAgain("a notification that could not be read", "webhook"))
            return _plain(400, str(error))
        self._tell(told)
        return _plain(200, "")

    def _is_repeat(self, id_: str) -> bool:
        """Return True if this notification was told already; the last thousand are remembered."""
        key = id_[:256]
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False


class WebhookReceiver:
    """Serves a `CallbackApplication` and keeps a subscription at the VTN that points to it.

    The subscription has a new bearer token at each start. It is found again by its callback URL, and deleted when the
    receiver ends in order, so that the VTN does not go on calling.
    """

    way: Way = "webhook"

    def __init__(
        self, vtn: VtnClient, *, settings: PushSettings, name: str, objects: Collection[str] = OBJECT_KINDS
    ) -> None:
        if settings.callback_url is None:
            raise ValueError("settings.callback_url: expected the address at which the VTN reaches us")
        self._vtn = vtn
        self._settings = settings
        self._url: str = settings.callback_url
        self._name = name
        self._objects = tuple(objects)
        self._chance = Random()  # noqa: S311 # spreads a fleet in time, keeps no secret
        self._programs_told = asyncio.Event()
        self.port: int | None = None
        """The port that we listen at, once we do."""

    async def receive(self, tell: Tell, _: Notifiers | None = None, /) -> None:
        """Listen and subscribe, and tell until cancelled or the VTN turns us away; see `Receiver`.

        Raises:
            NoWay: we cannot listen at the address of the settings.
            VtnError: the VTN takes no subscription of ours.
            BadCertificateFile: the certificate of the receiver cannot be used.
        """
        from aiohttp import web  # noqa: PLC0415 # not every client is a server

        settings, token = self._settings, secrets.token_urlsafe(32)
        secret = settings.signing_secret.get_secret_value() if settings.signing_secret is not None else None
        callback = CallbackApplication(
            self._noting(tell), bearer_token=token, signing_secret=secret, face=self._vtn.face
        )
        runner = web.AppRunner(callback.application(), access_log=None, lingering_time=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.listen_host, settings.listen_port, ssl_context=self._tls())
            try:
                await site.start()
            except OSError as error:
                where = f"{settings.listen_host}:{settings.listen_port}"
                raise NoWay(f"cannot listen for webhooks at {where}: {error.strerror or error}") from error
            self.port = runner.addresses[0][1]
            await self._keep_subscribed(token, tell)
        finally:
            self.port = None
            await runner.cleanup()

    async def _keep_subscribed(self, token: str, tell: Tell) -> None:
        kept: dict[str | None, str] = {}
        try:
            while True:
                self._programs_told.clear()
                if await self._subscribe_to_all(kept, token):
                    tell(ReadAgain("subscribed", self.way))
                wait_s = _LOOK_AFTER_S if kept else _LOOK_FOR_PROGRAMS_S
                until = self._vtn.clock.now() + timedelta(seconds=wait_s * (1 - _JITTER * self._chance.random()))
                await self._vtn.clock.wait_for(self._programs_told, until=until)
        finally:
            for id_ in kept.values():
                await self._unsubscribe(id_)

    async def _subscribe_to_all(self, kept: dict[str | None, str], token: str) -> bool:
        """See to it that all our subscriptions are there, by program where each is for one; True if any was not."""
        if not self._vtn.face.subscribes_by_program:
            return await self._subscribe_if_need_be(kept, None, token)
        wanted = await self._programs(kept)
        for program_id in kept.keys() - wanted:  # the program is gone, or is not shown to us any more
            await self._unsubscribe(kept.pop(program_id))
        is_new = False
        refused: dict[str | None, VtnError] = {}
        for program_id in sorted(wanted, key=str):
            try:
                is_new |= await self._subscribe_if_need_be(kept, program_id, token)
            except Unauthorized:
                raise
            except VtnError as error:  # as one too many, or a program that went meanwhile: the others are told of
                refused[program_id] = error
        if refused:
            first, problem = next(iter(refused.items()))
            if not kept:
                raise problem
            _log.warning("programs not subscribed to", how_many=len(refused), first=first, problem=str(problem))
        return is_new

    async def _subscribe_if_need_be(self, kept: dict[str | None, str], program_id: str | None, token: str) -> bool:
        """See to it that one subscription is there; True if it was not."""
        if program_id in kept and await self._is_there(kept[program_id]):
            return False
        kept.pop(program_id, None)
        stored = await self._subscribe(self._subscription(token, program_id))
        _log.info("subscribed to the VTN's notifications", callback_url=self._url, id=stored.id)
        kept[program_id] = stored.id
        return True

    async def _programs(self, kept: Collection[str | None]) -> set[str | None]:
        """Return the ids of all programs; those that are subscribed to stay if the VTN does not say all of them."""
        try:
            found = await self._vtn.programs.search()
        except Unauthorized:
            raise
        except VtnError as error:
            if not kept:
                raise
            _log.info("programs not looked at", problem=str(error))
            return set(kept)
        return {program.id for program in found} | (set(kept) if found.broken else set())

    def _noting(self, tell: Tell) -> Tell:
        """Return what hands on what is told, and notes changes of programs, for which there are subscriptions."""

        def noted(told: Told) -> None:
            is_by_program = self._vtn.face.subscribes_by_program
            if is_by_program and not isinstance(told, ReadAgain) and told.object_type == "PROGRAM":
                self._programs_told.set()
            tell(told)

        return noted

    async def _is_there(self, id_: str) -> bool:
        try:
            return await self._vtn.subscriptions.find(id_) is not None
        except (Unreachable, TemporarilyUnavailable) as error:
            _log.debug("subscription not looked at", id=id_, problem=str(error))
            return True

    def _subscription(self, token: str, program_id: str | None) -> SubscriptionRequest:
        operation = ObjectOperation(
            objects=self._objects,  # type: ignore[arg-type] # the words are the same
            operations=_OPERATIONS,
            callback_url=self._url,
            bearer_token=token,
        )
        return SubscriptionRequest(client_name=self._name, program_id=program_id, object_operations=(operation,))

    async def _subscribe(self, wanted: SubscriptionRequest) -> Subscription:
        """Write our subscription, in place of one that an earlier run has left."""
        for each in await self._vtn.subscriptions.search(client_name=self._name, program_id=wanted.program_id):
            is_same = wanted.program_id in {None, each.program_id}
            if is_same and any(operation.callback_url == self._url for operation in each.object_operations):
                return await self._vtn.subscriptions.replace(each.id, wanted)
        return await self._vtn.subscriptions.create(wanted)

    async def _unsubscribe(self, id_: str) -> None:
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._vtn.subscriptions.delete(id_)
        except NotFound:
            _log.info("the subscription was gone already", id=id_)
        except (VtnError, TimeoutError) as error:
            _log.info("subscription left behind", id=id_, problem=str(error) or "no answer in time")

    def _tls(self) -> ssl.SSLContext | None:
        certificate, key = self._settings.certificate, self._settings.key
        if certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key, password=lambda: "")  # or OpenSSL asks for one on the terminal
        except (OSError, ssl.SSLError) as error:
            raise BadCertificateFile(
                f"push.certificate {certificate} and push.key {key}: not a certificate with its key (PEM): {error}"
            ) from error
        return context


def _plain(status: int, text: str, **headers: str) -> web.Response:
    from aiohttp import web  # noqa: PLC0415 # see above

    headers |= {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return web.Response(status=status, text=text, content_type="text/plain", headers=headers)
