"""The description of lists that are an extension: they are of no object of the standard, and for business logic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from openadr_profiles.contact import Contact
from openadr_profiles.subscription_health import SubscriptionHealth
from openadr_profiles.v31.common import Name, ObjectID
from openadr_profiles.ven_20b import EnrolledVen, EnrolmentRequest, OrderRequest
from vtn.api.collection import Route
from vtn.api.openapi import PAGE, Json, Schemas, json_content, problems, security

ANSWERS: Final = frozenset({Contact.__name__, SubscriptionHealth.__name__, EnrolledVen.__name__})
"""The types of what is in the lists."""


def _list(
    route: Route, schemas: Schemas, *, tag: str, operation: str, summary: str, of: type, order: str, **filters: Any
) -> tuple[str, Json]:
    first = {"description": f"How many to leave out at the beginning, in the order of {order}."}
    answer = {"type": "array", "items": schemas.of(of)}
    return route.path, {
        "x-extension": True,
        "description": "An extension: not part of the OpenADR standard.",
        "tags": [tag],
        "operationId": operation,
        "summary": f"{summary} For business logic.",
        "security": security(route.permission),
        "parameters": [
            schemas.parameter(*item) | (first if item[0] == "skip" else {}) for item in (filters | PAGE).items()
        ],
        "responses": {"200": {"description": "As asked.", "content": json_content(answer)}}
        | problems({400, 401, 403, 429, 431, 500, 503}, schemas),
    }


def _change(
    route: Route, schemas: Schemas, *, operation: str, summary: str, given: type, answer: type
) -> tuple[str, Json]:
    return route.path, {
        "x-extension": True,
        "description": "An extension: not part of the OpenADR standard.",
        "tags": ["vens"],
        "operationId": operation,
        "summary": f"{summary} For business logic.",
        "security": security(route.permission),
        "requestBody": {"required": True, "content": json_content(schemas.of(given))},
        "responses": {"200": {"description": "As it is now.", "content": json_content(schemas.of(answer))}}
        | problems({400, 401, 403, 408, 409, 413, 415, 429, 431, 500, 503}, schemas),
    }


DESCRIBED: Final[dict[tuple[str, str], Callable[[Route, Schemas], tuple[str, Json]]]] = {
    ("GET", "/contacts"): partial(
        _list,
        tag="contacts",
        operation="searchContacts",
        summary="List when clients were last heard of, by client id.",
        of=Contact,
        order="client ids",
        clientID=list[Name],
    ),
    ("GET", "/subscription_health"): partial(
        _list,
        tag="subscriptions",
        operation="searchSubscriptionHealth",
        summary="List the callback URLs of subscriptions, and how each fares.",
        of=SubscriptionHealth,
        order="the subscriptions, the oldest first",
        subscriptionID=ObjectID,
        clientID=Name,
    ),
    ("GET", "/vens_20b"): partial(
        _list,
        tag="vens",
        operation="searchVens20b",
        summary="List the VENs that are enrolled for OpenADR 2.0b.",
        of=EnrolledVen,
        order="the names",
        venName=Name,
    ),
    ("POST", "/vens_20b"): partial(
        _change,
        operation="enrolVen20b",
        summary="Enrol a VEN of OpenADR 2.0b by the fingerprint of its certificate, or change what is known of it.",
        given=EnrolmentRequest,
        answer=EnrolledVen,
    ),
    ("POST", "/vens_20b/orders"): partial(
        _change,
        operation="orderVen20b",
        summary="Have a VEN of OpenADR 2.0b told to register again, or that its registration ends.",
        given=OrderRequest,
        answer=EnrolledVen,
    ),
}
"""Descriptions of each of them, by path and operation."""
