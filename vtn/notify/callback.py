"""The proof that who is behind a callback URL wants to be called (WEBHOOK-002 … WEBHOOK-007)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from openadr_profiles.v31 import Invalid, ObjectOperation
from vtn.errors import TooManyRequests
from vtn.notify.url_judge import NotCallable, UrlJudge

_BODY_LIMIT: Final = 4096
_AT_ONCE: Final = 8
_WAITING: Final = 64


class Callbacks:
    """Checks the callback URLs of subscriptions, and asks those who are there."""

    def __init__(self, judge: UrlJudge) -> None:
        self._settings = judge.settings
        self._judge = judge
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def check(self, entries: Iterable[ObjectOperation], *, plain: bool = False) -> None:
        """Raise Invalid for a URL that may not be called, as far as its text tells (WEBHOOK-001, WEBHOOK-025).

        ``plain`` allows http whatever the settings say (V301-043).
        """
        for number, entry in enumerate(entries):
            if problem := self._judge.problem(entry.callback_url, plain=plain):
                raise Invalid(_member(number), problem)

    async def verify(self, entries: Sequence[ObjectOperation], known: frozenset[str] = frozenset()) -> None:
        """Ask each distinct URL that is not ``known`` whether it wants to be called; raises Invalid for one that fails.

        With ``verify_echo`` off only the addresses are judged, as far as the name can be resolved.
        """
        await self._verify_all(entries, known, echo=self._settings.verify_echo)

    async def verify_addresses(self, entries: Sequence[ObjectOperation], known: frozenset[str] = frozenset()) -> None:
        """Do the same without asking: only the addresses are judged (V301-043)."""
        await self._verify_all(entries, known, echo=False)

    async def _verify_all(self, entries: Sequence[ObjectOperation], known: frozenset[str], *, echo: bool) -> None:
        asked: dict[str, tuple[int, ObjectOperation]] = {}
        for number, entry in enumerate(entries):
            if entry.callback_url not in known:
                asked.setdefault(entry.callback_url, (number, entry))
        if len(asked) > self._settings.max_urls:
            raise Invalid("objectOperations", f"more than {self._settings.max_urls} different callback URLs")
        if self._waiting + len(asked) > _WAITING:
            raise TooManyRequests("too many callback URLs are being verified; try again later", retry_after_s=5)
        self._waiting += len(asked)
        try:
            verifications = (self._verify(number, entry, echo=echo) for number, entry in asked.values())
            for result in await asyncio.gather(*verifications, return_exceptions=True):
                if result is not None:
                    raise result
        finally:
            self._waiting -= len(asked)

    async def _verify(self, number: int, entry: ObjectOperation, *, echo: bool) -> None:
        async with self._turn:
            try:
                if echo:
                    await self._challenge(entry)
                else:
                    await self._judge_addresses(URL(entry.callback_url))
            except NotCallable as error:
                raise Invalid(_member(number), f"{entry.callback_url[:200]} {error}") from error

    async def _challenge(self, entry: ObjectOperation) -> None:
        """WEBHOOK-002 … WEBHOOK-007: a random value, which must come back."""
        value = secrets.token_urlsafe(24)
        headers = {"Accept-Encoding": "identity"}
        if entry.bearer_token is not None:
            headers["Authorization"] = f"Bearer {entry.bearer_token}"
        connector = await self._judge.connector(force_close=True)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                    auto_decompress=False,
                ) as session,
                session.get(
                    URL(entry.callback_url).extend_query(echo=value), headers=headers, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise NotCallable("was asked to echo a value and did not answer 200")
                body = await _beginning(response)
        except TimeoutError:
            raise NotCallable("did not answer in time") from None
        except (aiohttp.ClientError, ValueError, OSError):
            raise NotCallable("cannot be reached, or its certificate is not trusted") from None
        if not _echoes(body, value):
            raise NotCallable("did not echo the value it was sent in the parameter echo")

    async def _judge_addresses(self, url: URL) -> None:
        host, port = url.host or "", url.port or 443
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._judge.addresses(host, port)
        except (OSError, UnicodeError):
            return  # unknown at present; judged again when it is called


def _echoes(body: bytes, value: str) -> bool:
    """Return True for the value, the value as a JSON text, or an object with it as ``echo`` (WEBHOOK-004)."""
    body = body.strip()
    if body == value.encode():
        return True
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return bool((found.get("echo") if isinstance(found, dict) else found) == value)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) <= _BODY_LIMIT and (chunk := await response.content.read(_BODY_LIMIT)):
        body += chunk
    return bytes(body) if len(body) <= _BODY_LIMIT else b""


def _member(number: int) -> str:
    return f"objectOperations[{number}].callbackUrl"
