"""VENs of OpenADR 2.0b, for business logic. An extension of OpenADR Fleet, which other VTNs do not have."""

from __future__ import annotations

from typing import Final

from openadr_client.errors import UnexpectedAnswer
from openadr_client.extensions import all_pages, offered
from openadr_client.objects import Send
from openadr_profiles.v31 import Invalid, decode, encode
from openadr_profiles.ven_20b import EnrolledVen, EnrolmentRequest, OrderRequest

_PATH: Final = "/vens_20b"


class Vens20b:
    """VENs that are enrolled for OpenADR 2.0b by their certificates."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def search(self, *, ven_name: str | None = None) -> list[EnrolledVen] | None:
        """Return enrolled VENs by name: all, or the one of this name. None if this VTN does not offer 2.0b."""
        query = () if ven_name is None else (("venName", ven_name),)
        return await offered(all_pages(self._send, _PATH, EnrolledVen, query))

    async def enrol(self, given: EnrolmentRequest) -> EnrolledVen | None:
        """Enrol a VEN, or change what is known of it; None if this VTN does not offer 2.0b."""
        return await offered(self._sent(_PATH, given))

    async def order(self, given: OrderRequest) -> EnrolledVen | None:
        """Have a VEN told something about its registration; None if this VTN does not offer 2.0b."""
        return await offered(self._sent(f"{_PATH}/orders", given))

    async def _sent(self, path: str, given: EnrolmentRequest | OrderRequest) -> EnrolledVen:
        answer = await self._send("POST", path, body=encode(given))
        try:
            return decode(answer.body, EnrolledVen)
        except Invalid as error:
            raise UnexpectedAnswer(f"POST {path} is not answered as it should be: {error}") from error
