"""Answers as JSON; long lists are encoded piece by piece, so that nothing else waits for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from bridge_mqtt.api.refusals import ApiRefusal, NoSuchThing
from bridge_mqtt.view.sources import leisurely

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    body = b"" if status == 204 else msgspec.json.encode(value)
    type_ = None if status == 204 else "application/json"
    return web.Response(body=body, status=status, content_type=type_, headers=_HEADERS | dict(headers or {}))


def found(value: Any, problem: str) -> web.Response:
    """Return the value; raises NoSuchThing if it is None."""
    if value is None:
        raise NoSuchThing(problem)
    return answer(value)


async def listed(request: web.Request, items: Iterable[Any], *, skip: int, limit: int) -> web.Response:
    """Return a page of a list; a header ``Link`` leads to the next one if this one is full."""
    pieces = [msgspec.json.encode(item) async for item in leisurely(items)]
    headers = {}
    if len(pieces) == limit:
        following = request.rel_url.update_query({"skip": str(skip + limit), "limit": str(limit)})
        headers["Link"] = f'<{following}>; rel="next"'
    return web.Response(
        body=b"[" + b",".join(pieces) + b"]", content_type="application/json", headers=_HEADERS | headers
    )


async def ack_page(acks: Sequence[Mapping[str, Any]], limit: int) -> web.Response:
    """Return a page of acknowledgments and the id that the next one ends before."""
    pieces = [msgspec.json.encode(each) async for each in leisurely(acks)]
    following = msgspec.json.encode(acks[-1]["id"] if len(acks) == limit else None)
    body = b'{"acks":[' + b",".join(pieces) + b'],"nextBefore":' + following + b"}"
    return web.Response(body=body, content_type="application/json", headers=_HEADERS)


def problem(refusal: ApiRefusal) -> web.Response:
    """Return a refusal as a problem body."""
    members = {"type": "about:blank", "status": refusal.status, "title": refusal.title, "detail": str(refusal)}
    return web.Response(
        body=msgspec.json.encode(members),
        status=refusal.status,
        content_type="application/problem+json",
        headers=_HEADERS | refusal.headers,
    )
