"""A small client with which the bench prepares a VTN."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bench.documents import as_bytes
from bench.errors import Unusable
from bench.wire import Address

_AT_ONCE = 8
_ID: Final = re.compile(rb'"id":"([^"]+)"')


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer as it came, packed if it was packed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ApiClient:
    """Requests with one token."""

    def __init__(self, session: aiohttp.ClientSession, address: Address, token: str) -> None:
        self._session = session
        self._address = address
        self.token = token

    def having(self, token: str) -> ApiClient:
        """Return the same for the owner of another token."""
        return ApiClient(self._session, self._address, token)

    async def get(self, target: str, headers: Mapping[str, str] | None = None) -> ApiAnswer:
        """Return the answer to a GET, with its body as bytes."""
        return await self._ask("GET", target, headers=headers)

    async def read(self, target: str, headers: Mapping[str, str] | None = None) -> ApiAnswer:
        """Return the same if it is a 200; raises Unusable otherwise."""
        answer = await self.get(target, headers)
        if answer.status != 200:
            raise Unusable(f"GET {self._address.url}{target}: {answer.status} {answer.body[:500]!r}")
        return answer

    async def create(self, target: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return a new object; raises Unusable if the server will not have it."""
        return self._made(target, await self._ask("POST", target, body=as_bytes(document)))

    async def replace(self, target: str, document: dict[str, Any]) -> None:
        """Put an object in the place of one that is there; raises Unusable if the server will not have it."""
        answer = await self._ask("PUT", target, body=as_bytes(document))
        if answer.status != 200:
            raise Unusable(f"PUT {self._address.url}{target}: {answer.status} {answer.body[:500]!r}")

    async def create_large(self, target: str, document: bytes) -> str:
        """Return the id of a new object that is not worth reading; raises Unusable if the server will not have it."""
        answer = await self._ask("POST", target, body=document)
        found = _ID.search(answer.body)
        return found[1].decode() if answer.status == 201 and found else str(self._made(target, answer)["id"])

    async def create_all(self, target: str, documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Several, a few at a time."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(document: dict[str, Any]) -> dict[str, Any]:
            async with room:
                return await self.create(target, document)

        return list(await asyncio.gather(*map(one, documents)))

    async def delete_all(self, targets: Iterable[str]) -> None:
        """Remove objects that may be gone already."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(target: str) -> None:
            async with room:
                await self._ask("DELETE", target)

        await asyncio.gather(*map(one, targets))

    def _made(self, target: str, answer: ApiAnswer) -> dict[str, Any]:
        if answer.status != 201:
            raise Unusable(f"POST {self._address.url}{target}: {answer.status} {answer.body[:500]!r}")
        made: dict[str, Any] = json.loads(answer.body)
        return made

    async def _ask(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> ApiAnswer:
        kind = {} if body is None else {"Content-Type": "application/json"}
        async with self._session.request(
            method,
            f"{self._address.url}{target}",
            data=body,
            headers={"Authorization": f"Bearer {self.token}", **kind, **(headers or {})},
            skip_auto_headers=("Accept-Encoding",),
        ) as answer:
            return ApiAnswer(answer.status, answer.headers, await answer.read())


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections for preparing, which leave bodies as they are."""
    async with aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=120)) as opened:
        yield opened


async def token(opened: aiohttp.ClientSession, url: str, client_id: str, secret: str) -> str:
    """Return an access token (client credentials); raises Unusable."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    async with opened.post(url, data=form, skip_auto_headers=("Accept-Encoding",)) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise Unusable(f"POST {url}: {answer.status} {body[:500]!r}")
        return str(json.loads(body)["access_token"])
