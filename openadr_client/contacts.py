"""Contacts: when the VTN last heard of its clients. An extension of OpenADR Fleet, which other VTNs do not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from openadr_client.errors import Refused, TemporarilyUnavailable, UnexpectedAnswer
from openadr_client.objects import PAGE_SIZE, Send
from openadr_profiles.contact import Contact
from openadr_profiles.v31 import Invalid, decode

_PATH: Final = "/contacts"
_NAMED_AT_ONCE: Final = 20
"""Client ids in one request: as many long ones as fit into the address."""
_WORTH_NAMING: Final = 2000
"""For more clients it takes fewer requests to read all, unless the fleet is far larger still."""


class Contacts:
    """The last contact of each client, for business logic."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def search(self, *, client_ids: Sequence[str] | None = None) -> dict[str, Contact] | None:
        """Contacts by client id: all, or those of these clients. None if this VTN does not offer them.

        A client that was never heard of has none. What another process of the VTN heard may be a minute old.
        """
        try:
            if client_ids is None:
                return await self._all()
            if len(client_ids) > _WORTH_NAMING:
                every = await self._all()
                return {each: every[each] for each in client_ids if each in every}
            found: dict[str, Contact] = {}
            for start in range(0, len(client_ids), _NAMED_AT_ONCE):
                query = [("clientID", each) for each in client_ids[start : start + _NAMED_AT_ONCE]]
                found |= {each.client_id: each for each in await self._page([*query, ("limit", str(PAGE_SIZE))])}
        except TemporarilyUnavailable as error:
            if error.status != 501:
                raise
            return None
        except (Refused, UnexpectedAnswer):  # a VTN that has no such path may answer anything
            return None
        return found

    async def _all(self) -> dict[str, Contact]:
        found: dict[str, Contact] = {}
        skip = 0
        while True:
            page = await self._page([("skip", str(skip)), ("limit", str(PAGE_SIZE))])
            found |= {each.client_id: each for each in page}
            if len(page) < PAGE_SIZE:
                return found
            skip += len(page)

    async def _page(self, query: Sequence[tuple[str, str]]) -> list[Contact]:
        answer = await self._send("GET", _PATH, query=query)
        try:
            return decode(answer.body, list[Contact])
        except Invalid as error:
            raise UnexpectedAnswer(f"GET {_PATH} is not a list of contacts: {error}") from error
