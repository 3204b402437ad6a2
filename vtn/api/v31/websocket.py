"""The websocket that tells of changes: GET /notifiers/ws, an extension of ours (announced as WEBSOCKET)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from aiohttp import web

from openadr_profiles.v31 import ObjectType
from vtn.access import READ_OWNED, READ_TARGETED, Caller, Permission
from vtn.api.collection import Call, Route
from vtn.api.query import Query
from vtn.errors import Forbidden, Malformed
from vtn.http.websocket import OpenSocket
from vtn.notify.interest import OPERATIONS, Interest
from vtn.notify.listening import Listening
from vtn.notify.places import Place
from vtn.notify.websocket import Websockets
from vtn.store.outbox.rows import BY_TARGETS, OBJECT_TYPES, Operation

PATH: Final = "/notifiers/ws"
_LISTEN: Final = Permission(READ_TARGETED.scopes | READ_OWNED.scopes)

Origin: TypeAlias = Callable[[web.Request], str]
"""Returns scheme, host and port of this server, as the client of a request reaches it."""
Holding: TypeAlias = Callable[[web.Request], Awaitable[Callable[[], bool]]]
"""Returns what tells whether the token of a request still holds."""


def routes(websockets: Websockets, holding: Holding) -> tuple[Route, ...]:
    """Return the route of the websocket."""

    async def listen(call: Call) -> web.StreamResponse:
        """Open a websocket that tells of the changes that the caller may see; every message goes to the client."""
        interest, after = _interest(call.query, call.caller), _place(call.query)
        talk = partial(_talk, websockets, interest, after, call.caller, await holding(call.request))
        socket = OpenSocket(talk)
        socket.check(call.request)
        websockets.listeners.check_room(call.caller.client_id)
        return socket

    return (Route("GET", PATH, listen, _LISTEN),)


def announcement(origin: Origin, call: Call) -> dict[str, Any]:
    """Return what ``/notifiers`` says of the websocket to a caller."""
    base = call.base if call.base.startswith("http") else origin(call.request) + call.base
    return {
        "URIS": [f"ws{base.removeprefix('http')}{PATH}"],
        "serialization": "JSON",
        "authentication": {"method": "OAUTH2_BEARER_TOKEN"},
    }


async def _talk(
    websockets: Websockets,
    interest: Interest,
    after: Place | None,
    caller: Caller,
    holds: Callable[[], bool],
    socket: OpenSocket,
) -> None:
    listening = Listening(
        socket, interest, client_id=caller.client_id, sees_everything=caller.sees_everything, holds=holds
    )
    await websockets.tell(listening, socket.until_closed, after=after)


def _interest(query: Query, caller: Caller) -> Interest:
    """Read the filters; raises Malformed, or Forbidden for kinds of objects that the caller has no scope for."""
    permitted = frozenset(kind for kind in OBJECT_TYPES if not _permission(kind).scopes.isdisjoint(caller.scopes))
    kinds = _words(query, "objects", frozenset(OBJECT_TYPES))
    if kinds is not None and (others := kinds - permitted):
        kind = min(others)
        raise Forbidden(f"for {kind} this needs one of the scopes {', '.join(sorted(_permission(kind).scopes))}")
    operations = _words(query, "operations", frozenset(map(str, OPERATIONS)))
    targets = query.texts("targets")
    return Interest(
        object_types=permitted if kinds is None else kinds,
        operations=OPERATIONS if operations is None else frozenset(map(Operation, operations)),
        program_id=query.object_id("programID"),
        targets=None if targets is None else frozenset(targets),
    )


def _permission(kind: str) -> Permission:
    return READ_TARGETED if kind in BY_TARGETS else READ_OWNED


def _words(query: Query, name: str, known: frozenset[str]) -> frozenset[str] | None:
    words = query.texts(name)
    if words is None:
        return None
    if unknown := set(words) - known:
        expected = [str(kind) for kind in ObjectType if kind in known] or sorted(known)
        raise Malformed(f"{name}: expected {', '.join(expected)}, not {min(unknown)[:40]}")
    return frozenset(words)


def _place(query: Query) -> Place | None:
    text = query.text("after")
    if text is None:
        return None
    place = Place.read(text)
    if place is None:
        raise Malformed("after: expected the `resume` of a message that came before, such as 1042-1780000000")
    return place
