"""Tell of changes by webhook as the demanding VTN does: the legal opposite of ours where the standard leaves a choice.

Its challenge is short and is not repeated for a changed subscription; it takes any body that includes the value,
whatever the status, and follows redirects. It says POST and PUT as figure 6 of the Definition does, tells everything
late, twice, in no order and with members that nobody knows, and never again what a callback did not take.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

Obj = dict[str, Any]
WORDS: Final = {"CREATE": "POST", "UPDATE": "PUT", "DELETE": "DELETE"}
_LATE_S: Final = 0.1


class Webhooks:
    """Calls the callbacks of subscriptions; trusts one authority."""

    def __init__(self, ca_file: Path) -> None:
        self._trusted = ssl.create_default_context(cafile=str(ca_file))
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End every call."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def wants_to_be_called(self, url: str) -> bool:
        """Return True if the URL gives a random value back."""
        value = secrets.token_hex(4)
        try:
            async with self._http().get(URL(url).update_query(echo=value)) as response:
                return value in await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return False

    def tell(self, entry: Obj, kind: str, operation: str, obj: Obj) -> None:
        """Tell of a change at the URL of an entry, some time."""
        body = {"objectType": kind.upper(), "operation": WORDS[operation], "object": obj, "attempt": None}
        task = asyncio.create_task(self._post(entry, json.dumps(body).encode()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, entry: Obj, body: bytes) -> None:
        headers = {"Content-Type": "application/json;charset=utf-8"}
        if token := entry.get("bearerToken"):
            headers["Authorization"] = f"Bearer {token}"
        for _ in range(2):
            await asyncio.sleep(_LATE_S * (1 + secrets.randbelow(3)))
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._http().post(entry["callbackUrl"], data=body, headers=headers):
                    pass

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._trusted, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5))
        return self._session


def entries_for(subscriptions: Iterable[Obj], kind: str, operation: str) -> Iterable[tuple[Obj, Obj]]:
    """Return the subscriptions, each with an entry of it, that name this operation on this kind of object."""
    for subscription in subscriptions:
        for entry in subscription["objectOperations"]:
            if kind.upper() in entry["objects"] and operation in entry["operations"]:
                yield subscription, entry
