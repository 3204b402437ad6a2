"""The description of results of events: they are an extension, and for business logic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from openadr_profiles.performance import (
    EvaluationRequest,
    ParticipantPerformance,
    PerformanceDifference,
    PerformanceResult,
)
from openadr_profiles.v31.common import ObjectID
from vtn.api.collection import Route
from vtn.api.openapi import PAGE, Json, Schemas, json_content, problems, security
from vtn.api.performance import PATH

_ONE: Final = f"{PATH}/{{id}}"
_REFUSED: Final = (400, 401, 403, 429, 431, 500, 503)


def _describe(
    route: Route,
    schemas: Schemas,
    *,
    operation: str,
    summary: str,
    answer: Any = None,
    given: type | None = None,
    query: dict[str, Any] | None = None,
    status: int = 200,
    refused: Iterable[int] = (),
) -> tuple[str, Json]:
    path = route.path.replace("{id}", "{resultID}")
    content = {"text/csv": {"schema": {"type": "string"}}} if answer is None else json_content(schemas.of(answer))
    of_one = [schemas.parameter("resultID", ObjectID, where="path")] if path != route.path else []
    operation_: Json = {
        "x-extension": True,
        "description": "An extension: not part of the OpenADR standard.",
        "tags": ["performance"],
        "operationId": operation,
        "summary": f"{summary} For business logic.",
        "security": security(route.permission),
        "parameters": [*of_one, *(schemas.parameter(*item) for item in (query or {}).items())],
        "responses": {str(status): {"description": "As asked.", "content": content}}
        | problems({*_REFUSED, *refused, *((404,) if of_one else ())}, schemas),
    }
    if given is not None:
        operation_["requestBody"] = {"required": True, "content": json_content(schemas.of(given))}
    return path, operation_


DESCRIBED: Final[dict[tuple[str, str], Callable[[Route, Schemas], tuple[str, Json]]]] = {
    ("GET", PATH): partial(
        _describe,
        operation="searchPerformanceResults",
        summary="List results of events, the newest first, without their sums.",
        answer=list[PerformanceResult],
        query={"eventID": ObjectID, "frozen": bool, **PAGE},
    ),
    ("POST", PATH): partial(
        _describe,
        operation="evaluateEvent",
        summary="Have an event evaluated by baseline and meter, and its result frozen if asked; who freezes needs the "
        "scope write_events.",
        answer=PerformanceResult,
        given=EvaluationRequest,
        status=201,
        refused=(408, 409, 413, 415),
    ),
    ("GET", _ONE): partial(
        _describe,
        operation="searchPerformanceResultByID",
        summary="Read a result: how far it is, its curve and its sums.",
        answer=PerformanceResult,
    ),
    ("DELETE", _ONE): partial(
        _describe,
        operation="deletePerformanceResult",
        summary="Remove a result that is not frozen, which ends its evaluation; the answer is what it was.",
        answer=PerformanceResult,
        refused=(409,),
    ),
    ("POST", f"{_ONE}/freeze"): partial(
        _describe,
        operation="freezePerformanceResult",
        summary="Keep a result for good, as it is.",
        answer=PerformanceResult,
        refused=(409,),
    ),
    ("GET", f"{_ONE}/participants"): partial(
        _describe,
        operation="searchPerformanceParticipants",
        summary="List the participants of a result with their steps, by client ids and resources; a page has fewer "
        "of them where they have many steps, and is empty behind the last.",
        answer=list[ParticipantPerformance],
        query=PAGE,
    ),
    ("GET", f"{_ONE}/differences"): partial(
        _describe,
        operation="searchPerformanceDifferences",
        summary="List the participants of whom another result of the event says something else.",
        answer=list[PerformanceDifference],
        query={"to": ObjectID, **PAGE},
    ),
    ("GET", f"{_ONE}/settlement"): partial(
        _describe,
        operation="readSettlement",
        summary="Read a result as CSV, a line for each participant and step.",
        refused=(409,),
    ),
}
"""Descriptions of each of them, by path and operation."""
