"""The description of /auth/server and /auth/token, which every version of OpenADR 3 has (M31, M32)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from vtn.api.collection import OpenRoute
from vtn.api.openapi import ERRORS, Json, Schemas, json_content, problems


class _AuthServerInfo(msgspec.Struct, kw_only=True):
    """Tells the URL that gives tokens."""

    token_url: Annotated[str, Meta(min_length=2, max_length=8000, extra_json_schema={"format": "uri"})] = msgspec.field(
        name="tokenURL"
    )


class _ClientCredentialRequest(msgspec.Struct, kw_only=True):
    """Credentials of a client. A Basic header may carry the id and the secret instead."""

    grant_type: str
    client_id: Annotated[str, Meta(max_length=4096)]
    client_secret: Annotated[str, Meta(max_length=4096)]
    scope: str | None = None


class _ClientCredentialResponse(msgspec.Struct, kw_only=True):
    """An access token."""

    access_token: Annotated[str, Meta(min_length=1, max_length=4096)]
    token_type: Annotated[str, Meta(min_length=6, max_length=6)]
    expires_in: int
    scope: str


class _AuthError(msgspec.Struct, kw_only=True):
    """Tells why there is no token: an error of OAuth 2.0 and a problem at once."""

    error: str
    error_description: str
    type: str
    title: str
    status: int
    detail: str


def describe_auth(route: OpenRoute, schemas: Schemas) -> Json:
    """Return the operation of a route of /auth; raises KeyError for any other."""
    if (route.method, route.path) == ("GET", "/auth/server"):
        success = {"200": {"description": "As asked.", "content": json_content(schemas.of(_AuthServerInfo))}}
        return {
            "tags": ["auth"],
            "operationId": "getAuthServerInfo",
            "summary": "Where tokens are to be had.",
            "security": [],
            "responses": success | problems({429, 431, 500}, schemas),
        }
    if (route.method, route.path) != ("POST", "/auth/token"):
        raise KeyError(f"{route.method} {route.path}")
    form = "application/x-www-form-urlencoded"
    answer = json_content(schemas.of(_ClientCredentialResponse))
    declined = {
        str(status): {"description": ERRORS[status], "content": json_content(schemas.of(_AuthError))}
        for status in (400, 401, 429)
    }
    return {
        "tags": ["auth"],
        "operationId": "fetchToken",
        "summary": "A token for the credentials of a client.",
        "security": [],
        "requestBody": {"required": True, "content": {form: {"schema": schemas.of(_ClientCredentialRequest)}}},
        "responses": {"200": {"description": "A token.", "content": answer}}
        | declined
        | problems({408, 413, 431, 500, 501, 503}, schemas),
    }
