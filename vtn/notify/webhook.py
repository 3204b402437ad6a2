"""The channel of webhooks: each delivery is one POST to the callback URL of a subscription (WEBHOOK-008 …)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import aiohttp
from yarl import URL

from vtn.notify.channel import NotDelivered
from vtn.notify.signature import WebhookSigner
from vtn.notify.url_judge import NotCallable, UrlJudge
from vtn.store.outbox.rows import Delivery, Endpoint, Push

_BODY_LIMIT: Final = 4096
_IDLE_S: Final = 15.0
_KEPT: Final = 512
"""Endpoints whose connection is kept for the next delivery; this bounds the idle connections."""
_LATER: Final = frozenset({408, 425, 429})
_ASKS_FOR_A_PAUSE: Final = frozenset({429, 503})
_GONE: Final = 410


class WebhookChannel:
    """Send deliveries to callback URLs.

    ``content`` writes the body of one for the face of its subscription, ``now`` is the time of day. URLs of
    subscriptions made on ``plain_faces`` may be http (V301-043).
    """

    push = Push.WEBHOOK

    def __init__(
        self,
        judge: UrlJudge,
        content: Callable[[Delivery, str | None], bytes],
        now: Callable[[], datetime],
        signer: WebhookSigner | None = None,
        plain_faces: Collection[str] = (),
    ) -> None:
        self._plain_faces = plain_faces
        self._signer = signer
        self._judge = judge
        self._content = content
        self._now = now
        self._opening = asyncio.Lock()
        self._sessions: _Sessions | None = None
        self._kept: dict[str, float] = {}

    async def send(self, endpoint: Endpoint, deliveries: Sequence[Delivery], done: Callable[[Delivery], None]) -> None:
        """Send deliveries one after the other; raises NotDelivered for the first that is not answered 2xx."""
        text = endpoint.url or ""
        if problem := self._judge.problem(
            text, plain=endpoint.face in self._plain_faces
        ):  # the rules may have changed since it was stored
            raise NotDelivered(None, f"its URL may not be called: {problem}")
        url = URL(text)
        sessions = self._sessions or await self._open()
        was_kept = endpoint.id in self._kept
        session = sessions.keeping if self._keeps(endpoint.id) else sessions.single
        for delivery in deliveries:
            body = self._content(delivery, endpoint.face)
            headers = self._headers(endpoint, delivery, body)
            try:
                await self._exchange(session, url, headers, body, delivery)
            except _HungUp as error:
                if not was_kept:
                    raise error.failure from None
                # That the receiver had closed a kept connection shows only when it is used again.
                await self._exchange_anew(sessions.single, url, headers, body, delivery)
            was_kept = session is sessions.keeping
            done(delivery)

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = self._sessions, None
        for session in sessions or ():
            await session.close()

    async def _open(self) -> _Sessions:
        async with self._opening:
            if self._sessions is None:
                keeping = await self._session(keepalive_timeout=_IDLE_S)
                self._sessions = _Sessions(keeping, await self._session(force_close=True))
            return self._sessions

    async def _session(self, **options: Any) -> aiohttp.ClientSession:
        """Return a session. How many requests there are at once, the dispatcher says."""
        return aiohttp.ClientSession(
            connector=await self._judge.connector(_Connector, limit=0, **options),
            timeout=aiohttp.ClientTimeout(total=self._judge.settings.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json", "User-Agent": "OpenADR-Fleet"},
            auto_decompress=False,
        )

    def _keeps(self, endpoint_id: str) -> bool:
        """Return True if the connection of an endpoint may be kept, idle, for its next delivery."""
        now, kept = asyncio.get_running_loop().time(), self._kept
        if endpoint_id not in kept and len(kept) >= _KEPT:
            for other in [other for other, used_at in kept.items() if now - used_at > 2 * _IDLE_S]:
                del kept[other]
            if len(kept) >= _KEPT:
                return False
        kept[endpoint_id] = now
        return True

    def _headers(self, endpoint: Endpoint, delivery: Delivery, body: bytes) -> dict[str, str]:
        """Return the headers of a delivery: an id that is the same in each attempt, the attempt's number, the token.

        The time of the change is part of the id: numbers begin anew in a database that was restored (WEBHOOK-032).
        """
        named = f"{endpoint.id} {delivery.id} {delivery.notification.noted_at}"
        id_ = blake2b(named.encode(), digest_size=16).hexdigest()
        headers = {"X-Request-ID": id_, "X-Attempt": str(delivery.attempts + 1)}
        if endpoint.bearer_token is not None:
            headers["Authorization"] = f"Bearer {endpoint.bearer_token}"
        if self._signer is not None and endpoint.client_id is not None:
            headers |= self._signer.headers(endpoint.client_id, id_=id_, at_s=int(self._now().timestamp()), body=body)
        return headers

    async def _exchange_anew(
        self, session: aiohttp.ClientSession, url: URL, headers: dict[str, str], body: bytes, delivery: Delivery
    ) -> None:
        try:
            await self._exchange(session, url, headers, body, delivery)
        except _HungUp as error:
            raise error.failure from None

    async def _exchange(
        self, session: aiohttp.ClientSession, url: URL, headers: dict[str, str], body: bytes, delivery: Delivery
    ) -> None:
        """Send one delivery; raises NotDelivered, or _HungUp with one.

        A receiver that was not reached has not seen the delivery: then the failure is that of the endpoint.
        """
        progress = _Progress()
        _progress.set(progress)
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                status, asked = response.status, response.headers.get("Retry-After")
                try:
                    await _discard(response)
                except (aiohttp.ClientError, TimeoutError):  # the status is the answer, whatever becomes of its body
                    response.close()
        except NotCallable as error:
            raise NotDelivered(None, str(error)) from None
        except TimeoutError:
            if progress.is_connected:
                raise NotDelivered(delivery, "it did not answer in time") from None
            raise NotDelivered(None, "no connection in time") from None
        except aiohttp.ClientConnectorCertificateError:
            raise NotDelivered(None, "its certificate is not trusted") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if not progress.is_connected:
                raise NotDelivered(None, "it cannot be reached") from None
            if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
                raise _HungUp(NotDelivered(delivery, "it hung up")) from None
            raise NotDelivered(delivery, "it did not answer in HTTP") from None
        if not 200 <= status < 300:
            raise self._refused(delivery, status, asked)

    def _refused(self, delivery: Delivery, status: int, asked: str | None) -> NotDelivered:
        """Return what a status other than 2xx means (WEBHOOK-016, WEBHOOK-019, WEBHOOK-020)."""
        return NotDelivered(
            delivery,
            f"it answered {status}",
            final=400 <= status < 500 and status not in _LATER,
            gone=status == _GONE,
            retry_after_s=self._pause(asked) if status in _ASKS_FOR_A_PAUSE and asked is not None else None,
        )

    def _pause(self, asked: str) -> float | None:
        """Return the seconds that ``Retry-After`` asks for, as a number or a date; None if it is neither."""
        asked = asked.strip()
        if asked.isdecimal():
            return float(asked[:10])
        try:
            until = parsedate_to_datetime(asked)
        except (ValueError, OverflowError):
            return None
        until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
        return max(0.0, (until - self._now()).total_seconds())


class _Sessions(NamedTuple):
    """Connections that are kept for the next delivery, and those that are not."""

    keeping: aiohttp.ClientSession
    single: aiohttp.ClientSession


class _HungUp(Exception):
    """A connection ended before the answer; ``failure`` is what that means if it was a new one."""

    def __init__(self, failure: NotDelivered) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class _Progress:
    """Note how far an exchange has come: before there is a connection, nothing can have been sent."""

    __slots__ = ("is_connected",)

    def __init__(self) -> None:
        self.is_connected = False


_progress: ContextVar[_Progress] = ContextVar("progress of an exchange")


class _Connector(aiohttp.TCPConnector):
    """Notes that an exchange has a connection. A trace of aiohttp tells it, too, at a tenth of the whole exchange."""

    async def connect(self, *arguments: Any, **named: Any) -> Any:
        """Return a connection, new or kept."""
        connection = await super().connect(*arguments, **named)
        _progress.get().is_connected = True
        return connection


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Read a short body, so that the connection can be used again; a long one ends it (WEBHOOK-027)."""
    left = _BODY_LIMIT
    while left > 0:
        chunk = await response.content.read(left)
        if not chunk:
            return
        left -= len(chunk)
    response.close()
