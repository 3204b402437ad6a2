"""The topics of a VTN's broker: asked from the VTN, never put together here (VENCLIENT-014)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from openadr_client.errors import UnexpectedAnswer
from openadr_client.objects import Send
from openadr_profiles.v31 import Invalid, NotifierTopics, OperationTopics, decode

_ROOT: Final = "/notifiers/mqtt/topics"


class Topics:
    """The twelve endpoints for topics. A VTN without a broker answers each with NotFound, a VEN gets some refused."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def programs(self) -> OperationTopics:
        """Return the topics of all programs."""
        return await self._of("programs")

    async def program(self, program_id: str) -> OperationTopics:
        """Return the topics of one program."""
        return await self._of("programs", program_id)

    async def program_events(self, program_id: str) -> OperationTopics:
        """Return the topics of the events of one program."""
        return await self._of("programs", program_id, "events")

    async def events(self) -> OperationTopics:
        """Return the topics of all events; for business logic, as are the next four."""
        return await self._of("events")

    async def reports(self) -> OperationTopics:
        """Return the topics of all reports."""
        return await self._of("reports")

    async def subscriptions(self) -> OperationTopics:
        """Return the topics of all subscriptions."""
        return await self._of("subscriptions")

    async def vens(self) -> OperationTopics:
        """Return the topics of all vens."""
        return await self._of("vens")

    async def resources(self) -> OperationTopics:
        """Return the topics of all resources."""
        return await self._of("resources")

    async def ven(self, ven_id: str) -> OperationTopics:
        """Return the topics of one ven."""
        return await self._of("vens", ven_id)

    async def ven_events(self, ven_id: str) -> OperationTopics:
        """Return the topics of the events for one ven."""
        return await self._of("vens", ven_id, "events")

    async def ven_programs(self, ven_id: str) -> OperationTopics:
        """Return the topics of the programs for one ven."""
        return await self._of("vens", ven_id, "programs")

    async def ven_resources(self, ven_id: str) -> OperationTopics:
        """Return the topics of the resources of one ven."""
        return await self._of("vens", ven_id, "resources")

    async def _of(self, *path: str) -> OperationTopics:
        where = "/".join((_ROOT, *(quote(part, safe="") for part in path)))
        answer = await self._send("GET", where)
        try:
            return decode(answer.body, NotifierTopics).topics
        except Invalid as error:
            raise UnexpectedAnswer(f"GET {where} does not tell topics: {error}") from error
