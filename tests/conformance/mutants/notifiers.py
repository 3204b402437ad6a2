"""Stands in for `/notifiers` in front of a VTN that has none, so that the checks of its rows can be proved too."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from mutants.proxy import ProxiedAnswer, ProxiedRequest

_COLLECTIONS: Final = {"events", "reports", "subscriptions", "vens", "resources"}
_OBJECT: Final = re.compile(r"(programs|vens)/([^/]+)")


async def notifiers(asked: ProxiedRequest, send: Callable[[ProxiedRequest], Awaitable[ProxiedAnswer]]) -> ProxiedAnswer:
    """Return what a VTN without a broker answers (rows M33..M45); the real one says which objects are visible."""
    claims = asked.claims
    if not claims:
        return _problem(401)
    if asked.below == "/notifiers":
        return ProxiedAnswer(200).with_json({"WEBHOOK": True})
    if not any(scope.startswith("read") for scope in str(claims["scope"]).split()):
        return _problem(403)
    topic = asked.below.removeprefix("/notifiers/mqtt/topics/")
    if topic in _COLLECTIONS and claims["role"] != "BL":
        return _problem(403)
    if found := _OBJECT.match(topic):
        path = f"{asked.prefix}/{found[1]}/{found[2]}"
        if (await send(replace(asked, path=path, query=()))).status != 200:
            return _problem(404)
    return _problem(404)


def _problem(status: int) -> ProxiedAnswer:
    body: dict[str, Any] = {"type": "about:blank", "title": "Refused", "status": status, "detail": "stand-in"}
    return ProxiedAnswer(status).with_json(body)
