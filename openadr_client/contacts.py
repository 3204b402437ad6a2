"""Contacts: when the VTN last heard of its clients. An extension of OpenADR Fleet, which other VTNs do not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from openadr_client.errors import Refused
from openadr_client.extensions import all_pages, offered, one_page
from openadr_client.objects import PAGE_SIZE, Send
from openadr_profiles.contact import Contact

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
            return await offered(self._found(client_ids))
        except Refused:  # other VTNs also refuse what they do not know, and contacts only add to what is shown
            return None

    async def _found(self, client_ids: Sequence[str] | None) -> dict[str, Contact]:
        if client_ids is None:
            return {each.client_id: each for each in await all_pages(self._send, _PATH, Contact)}
        if len(client_ids) > _WORTH_NAMING:
            every = await self._found(None)
            return {each: every[each] for each in client_ids if each in every}
        found: dict[str, Contact] = {}
        for start in range(0, len(client_ids), _NAMED_AT_ONCE):
            query = [("clientID", each) for each in client_ids[start : start + _NAMED_AT_ONCE]]
            page = await one_page(self._send, _PATH, Contact, [*query, ("limit", str(PAGE_SIZE))])
            found |= {each.client_id: each for each in page}
        return found
