"""Tell what events delivered, for business logic: /performance/results, an extension of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from vtn.access import Permission, Scope
from vtn.api.collection import Answer, Call, Route
from vtn.evaluations import Evaluations
from vtn.store.stores import Stores

if TYPE_CHECKING:
    from vtn.api.performance_answers import PerformanceAnswers

PATH: Final = "/performance/results"
_READ: Final = Permission(frozenset({Scope.READ_ALL, Scope.READ_BL}), only_bl=True)
_CHANGE: Final = Permission(frozenset({Scope.WRITE_EVENTS}), only_bl=True)


class _LateAnswers:
    """Holds what answers, from the first question on."""

    def __init__(self, stores: Stores, evaluations: Evaluations) -> None:
        self._stores = stores
        self._evaluations = evaluations
        self._answers: PerformanceAnswers | None = None

    def by(self, choose: Callable[[PerformanceAnswers], Answer]) -> Answer:
        """Return the handler of one kind of question."""

        async def handle(call: Call) -> web.StreamResponse:
            if self._answers is None:
                self._answers = await asyncio.to_thread(self._load)
            return await choose(self._answers)(call)

        return handle

    def _load(self) -> PerformanceAnswers:
        from vtn.api.performance_answers import PerformanceAnswers  # noqa: PLC0415 (few servers are asked)

        return PerformanceAnswers(self._stores.performance, self._evaluations)


def routes(stores: Stores, evaluations: Evaluations) -> tuple[Route, ...]:
    """Return the routes of results. Who may write events may have them evaluated, removed and frozen."""
    late, one = _LateAnswers(stores, evaluations), f"{PATH}/{{id}}"
    return (
        Route("GET", PATH, late.by(lambda its: its.search), _READ),
        Route("POST", PATH, late.by(lambda its: its.create), _CHANGE),
        Route("GET", one, late.by(lambda its: its.get), _READ),
        Route("DELETE", one, late.by(lambda its: its.remove), _CHANGE),
        Route("POST", f"{one}/freeze", late.by(lambda its: its.freeze), _CHANGE),
        Route("GET", f"{one}/participants", late.by(lambda its: its.participants), _READ),
        Route("GET", f"{one}/differences", late.by(lambda its: its.differences), _READ),
        Route("GET", f"{one}/settlement", late.by(lambda its: its.settlement), _READ),
    )
