"""Tell what events delivered, for business logic. An extension of OpenADR Fleet, which other VTNs do not have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, TypeVar

from openadr_client.errors import Refused, UnexpectedAnswer
from openadr_client.extensions import all_pages, offered, one_page
from openadr_client.objects import PAGE_SIZE, Send
from openadr_profiles.performance import (
    EvaluationRequest,
    ParticipantPerformance,
    PerformanceDifference,
    PerformanceResult,
)
from openadr_profiles.v31 import Invalid, decode, encode

T = TypeVar("T")

_PATH: Final = "/performance/results"


class PerformanceResults:
    """Results of events: evaluations under way, drafts, and those that are frozen."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def evaluate(self, request: EvaluationRequest) -> PerformanceResult | None:
        """Have an event evaluated; None if this VTN does not offer it. Its result is there a while later."""
        try:
            if await offered(one_page(self._send, _PATH, PerformanceResult, [("limit", "0")])) is None:
                return None
        except Refused:  # other VTNs also refuse what they do not know
            return None
        return await self._read("POST", _PATH, PerformanceResult, encode(request))

    async def search(self, *, event_id: str | None = None, frozen: bool = False) -> list[PerformanceResult] | None:
        """Return results without their sums, the newest first; None if this VTN does not offer them."""
        query = [("eventID", event_id)] if event_id is not None else []
        if frozen:
            query.append(("frozen", "true"))
        return await offered(all_pages(self._send, _PATH, PerformanceResult, query))

    async def get(self, id_: str) -> PerformanceResult:
        """Return a result with its sums."""
        return await self._read("GET", f"{_PATH}/{id_}", PerformanceResult)

    async def freeze(self, id_: str) -> PerformanceResult:
        """Keep a result for good."""
        return await self._read("POST", f"{_PATH}/{id_}/freeze", PerformanceResult)

    async def remove(self, id_: str) -> PerformanceResult:
        """Remove a result that is not frozen, and end its evaluation."""
        return await self._read("DELETE", f"{_PATH}/{id_}", PerformanceResult)

    async def participants(self, id_: str) -> AsyncIterator[list[ParticipantPerformance]]:
        """Yield the participants of a result page by page; a page has fewer where they have many steps."""
        path, skip = f"{_PATH}/{id_}/participants", 0
        while page := await one_page(
            self._send, path, ParticipantPerformance, [("skip", str(skip)), ("limit", str(PAGE_SIZE))]
        ):
            yield page
            skip += len(page)

    async def differences(self, id_: str, to: str) -> list[PerformanceDifference]:
        """Return the participants of whom another result of the same event says something else."""
        return await all_pages(self._send, f"{_PATH}/{id_}/differences", PerformanceDifference, [("to", to)])

    async def _read(self, method: str, path: str, type_: type[T], body: bytes | None = None) -> T:
        answer = await self._send(method, path, body=body)
        try:
            return decode(answer.body, type_)
        except Invalid as error:
            raise UnexpectedAnswer(f"{method} {path} is not answered as it should be: {error}") from error
