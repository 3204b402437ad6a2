"""Ask a charger in the local network by HTTP: short answers, no redirects, one deadline for each question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from ven.drivers.quantities import MOST_BYTES, Implausible, object_of
from ven.errors import DriverFailed


class HttpCharger:
    """Hold the connection to one charger."""

    def __init__(self, url: str, *, answer_s: float) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=answer_s)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the JSON object at a path; raises DriverFailed."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.get(f"{self._url}{path}", params=query, allow_redirects=False) as answer:
                body = await answer.content.read(MOST_BYTES + 1)
                while len(body) <= MOST_BYTES and (more := await answer.content.read(MOST_BYTES + 1 - len(body))):
                    body += more
                if answer.status != 200:
                    raise DriverFailed(f"{self._url} answers with status {answer.status}")
                return object_of(body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DriverFailed(f"{self._url} does not answer: {str(error)[:100] or 'it takes too long'}") from error
        except Implausible as error:
            raise DriverFailed(f"{self._url}: {error}") from error

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None
