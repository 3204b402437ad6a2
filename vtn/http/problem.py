"""Every refusal as the standard's problem body (PROBLEM-001 … PROBLEM-006): one table, one function."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from openadr_profiles.v31 import Invalid, Problem, encode
from vtn import errors

REALM: Final = 'Bearer realm="VTN"'

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")

CLIENT_GONE: Final = 499
"""Status in the log when the client hung up before it was answered."""

_TABLE: Final[dict[type[Exception], tuple[int, str]]] = {
    Invalid: (400, "Invalid document"),
    errors.Malformed: (400, "Invalid request"),
    errors.Unauthenticated: (401, "Not authenticated"),
    errors.Forbidden: (403, "Not allowed"),
    errors.NotFound: (404, "Not found"),
    errors.TooSlow: (408, "Too slow"),
    errors.ClientGone: (CLIENT_GONE, "Client gone"),
    errors.Conflict: (409, "Conflict"),
    errors.TooLarge: (413, "Body too large"),
    errors.Stale: (412, "Changed meanwhile"),
    errors.UnsupportedMediaType: (415, "Unsupported media type"),
    errors.TooManyRequests: (429, "Too many requests"),
    errors.UpgradeNeeded: (426, "Upgrade required"),
    errors.NotOffered: (501, "Not offered"),
    errors.Unavailable: (503, "Temporarily unavailable"),
}

_FRAMEWORK: Final = {
    404: "there is no such path",
    405: "the path does not have this method",
    413: "the body is larger than this server accepts",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status with what the body and the headers say about it."""

    status: int
    title: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


class WriteProblem(Protocol):
    """Writes the answer to a refused request, in the form of one version of the standard.

    ``accept`` is the header of the request, ``reference`` the URI that the log line carries too.
    """

    def __call__(self, refusal: Refusal, /, *, accept: str, reference: str) -> web.Response: ...


def refusal(error: Exception, *, invalid_token_status: int) -> Refusal | None:
    """Return the refusal for an exception; None if the exception is neither ours nor the framework's."""
    if isinstance(error, web.HTTPException):
        return _of_framework(error)
    for class_ in type(error).__mro__:
        if class_ in _TABLE:
            status, title = _TABLE[class_]
            break
    else:
        return None
    headers: dict[str, str] = {}
    match error:
        case errors.Unauthenticated():
            status = invalid_token_status if error.unverifiable else status
            headers["WWW-Authenticate"] = REALM + (f', error="{error.reason}"' if error.reason else "")
        case errors.Forbidden():
            headers["WWW-Authenticate"] = f'{REALM}, error="insufficient_scope"'
        case errors.TooManyRequests():
            headers["Retry-After"] = str(error.retry_after_s)
        case errors.UpgradeNeeded():
            headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
        case errors.Unavailable():
            headers["Retry-After"] = "2"
    return Refusal(status, title, str(error), headers)


UNEXPECTED: Final = Refusal(500, "Internal error", "something went wrong here; the reference is in the server's log")


def instance_of(request_id: str) -> str:
    """Write the id of a request as the URI that the body and the log line have (PROBLEM-003).

    Ids that clients bring in X-Request-Id need not be UUIDs.
    """
    return ("urn:uuid:" if _UUID.fullmatch(request_id) else "urn:x-request-id:") + request_id


def document(refusal: Refusal, *, reference: str) -> bytes:
    """Write the body. ``reference`` is the URI of the request, ``instance_of`` its id."""
    return encode(Problem(title=refusal.title, status=refusal.status, detail=refusal.detail, instance=reference))


def response(refusal: Refusal, /, *, accept: str, reference: str) -> web.Response:
    """Write the answer to a request, as OpenADR 3 has it."""
    media_type = "application/problem+json" if "application/problem+json" in accept.lower() else "application/json"
    body = document(refusal, reference=reference)
    return web.Response(body=body, status=refusal.status, content_type=media_type, headers=refusal.headers)


def refusal_of_status(status: int, headers: dict[str, str] | None = None) -> Refusal:
    """Refuse in the words of a status, as for paths and methods that do not exist."""
    title = HTTPStatus(status).phrase
    return Refusal(status, title, _FRAMEWORK.get(status, title), headers or {})


def _of_framework(error: web.HTTPException) -> Refusal:
    return refusal_of_status(error.status, {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {})
