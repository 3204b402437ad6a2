"""Answer questions about what events delivered; loaded with the first (``vtn/api/performance.py`` has the routes)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import hdrs, web

from openadr_profiles.performance import EvaluationRequest
from openadr_profiles.v31 import decode, encode
from vtn.api.collection import Call
from vtn.api.json_bodies import small_json
from vtn.api.performance import PATH
from vtn.errors import Conflict, Malformed
from vtn.evaluations import Evaluations
from vtn.http import conditional
from vtn.http.responses import HEADERS, CachedResponse
from vtn.performance.told import difference_of, participant_of, result_of
from vtn.settlements import settlement_pieces
from vtn.store.performance.results import PerformanceStore, ResultState
from vtn.store.query import Page

_MOST_BYTES: Final = 64 * 1024
_MOST_STEPS: Final = 20_000
_STREAM_BYTES: Final = 512 * 1024
_TAKEN_S: Final = 60.0


class PerformanceAnswers:
    """Answers to business logic, which evaluates events and reads their results."""

    def __init__(self, results: PerformanceStore, evaluations: Evaluations) -> None:
        self._results = results
        self._evaluations = evaluations

    async def create(self, call: Call) -> web.StreamResponse:
        """Have an event evaluated; the answer says where its result will be, and does not wait for it."""
        request = decode(await small_json(call.request, most=_MOST_BYTES), EvaluationRequest)
        id_ = await self._evaluations.ask(request, by=call.caller.client_id)
        answer = encode(result_of(await self._results.get(id_)))
        return conditional.written(call.request, answer, status=201, location=f"{call.base}{PATH}/{id_}")

    async def search(self, call: Call) -> web.StreamResponse:
        """Answer with one page of results, the newest first, without their sums."""
        query = call.query
        found = await self._results.search(
            query.page(), event_id=query.object_id("eventID"), frozen=query.flag("frozen")
        )
        return _answer(call, [result_of(row) for row in found])

    async def get(self, call: Call) -> web.StreamResponse:
        """Answer with a result, its curve and its sums."""
        return _answer(call, result_of(await self._results.get(call.object_id)))

    async def remove(self, call: Call) -> web.StreamResponse:
        """Remove a result that is not frozen; this ends its evaluation. The answer is what it was."""
        row = await self._results.get(call.object_id)
        await self._results.remove(call.object_id)
        return conditional.written(call.request, encode(result_of(row)))

    async def freeze(self, call: Call) -> web.StreamResponse:
        """Keep a result for good, as it is."""
        await self._results.freeze(call.object_id, by=call.caller.client_id)
        return conditional.written(call.request, encode(result_of(await self._results.get(call.object_id))))

    async def participants(self, call: Call) -> web.StreamResponse:
        """Answer with one page of the participants of a result, by client ids and resources.

        It has fewer of them where they have many steps, but one at least.
        """
        row = await self._results.get(call.object_id)
        step = timedelta(seconds=row["step_s"])
        page = await self._results.participants(call.object_id, _page(call, row))
        return _answer(call, [participant_of(one, row["starts_at"], step) for one in page])

    async def differences(self, call: Call) -> web.StreamResponse:
        """Answer with one page of the participants of whom another result says something else."""
        other = call.query.object_id("to")
        if other is None:
            raise Malformed("to: expected the id of the result that it is compared with")
        first, second = await self._results.get(call.object_id), await self._results.get(other)
        if first["event_id"] != second["event_id"]:
            raise Malformed("to: expected a result of the same event")
        found = await self._results.differences(call.object_id, other, call.query.page())
        return _answer(call, [difference_of(one) for one in found])

    async def settlement(self, call: Call) -> web.StreamResponse:
        """Send a result as CSV, a line for each participant and step; little of it is in memory at once."""
        row = await self._results.get(call.object_id)
        if row["state"] not in {ResultState.EVALUATED, ResultState.FROZEN}:
            raise Conflict(f"the result is {row['state']}: there is nothing to settle yet")
        headers = HEADERS | {
            hdrs.CONTENT_TYPE: "text/csv; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="settlement-{row["id"]}.csv"',
        }
        response = web.StreamResponse(headers=headers)
        with await call.sending.flight.take(call.caller.client_id, _STREAM_BYTES):
            await response.prepare(call.request)
            if call.request.method != hdrs.METH_HEAD:
                async for piece in settlement_pieces(self._results, row):
                    async with asyncio.timeout(_TAKEN_S):
                        await response.write(piece)
            await response.write_eof()
        return response


def _page(call: Call, row: Mapping[str, Any]) -> Page:
    """Return the page that is asked for, with as many participants as have not too many steps together."""
    length = datetime.fromisoformat(row["ends_at"]) - datetime.fromisoformat(row["starts_at"])
    most = max(1, _MOST_STEPS // (length // timedelta(seconds=row["step_s"]) + 2))
    asked = call.query.page()
    return Page(asked.skip, min(asked.limit, most))


def _answer(call: Call, content: object) -> web.StreamResponse:
    return conditional.read_small(call.request, CachedResponse(encode(content)))
