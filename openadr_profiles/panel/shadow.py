"""Shadow documents: what a panel reports of itself on its own topic of the broker (panel contract, section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from openadr_profiles.panel import reading
from openadr_profiles.panel.identity import panel_of_topic
from openadr_profiles.panel.reading import Unreadable

SHADOW_FILTER: Final = "$aws/things/+/shadow/update"
MOST_BYTES: Final = 32 * 1024
"""So long is what a panel reports of itself at most; those of panels in use have two kilobytes."""


class ShadowReport(Struct, frozen=True, kw_only=True):
    """Hold what a panel says of itself: ``state.reported`` of its message, with null for what has gone."""

    ven_id: str
    reported: dict[str, Any]
    received_at: datetime


def is_shadow(topic: str) -> bool:
    """Return True for the topic on which a panel reports its shadow document."""
    return topic.startswith("$aws/things/")


def read_shadow(topic: str, payload: bytes, received_at: datetime) -> ShadowReport | Unreadable | None:
    """Read a message of ``$aws/things/{venId}/shadow/update``; never raises.

    None if it has a ``desired`` state only: what a panel is to become, by itself or others, and not what it is.
    """
    ven_id = panel_of_topic(topic)
    document = reading.read_document(payload)
    if isinstance(document, str):
        return reading.unreadable(topic, ven_id, document, payload)
    state = document.members.get("state")
    reported = state.get("reported") if isinstance(state, Mapping) else None
    if reported is None and isinstance(state, Mapping) and "desired" in state:
        return None
    if ven_id is None or not isinstance(reported, dict):
        reason = "the topic names no panel" if ven_id is None else "expected an object at state.reported"
        return reading.unreadable(topic, ven_id, reason, payload)
    if problem := _unbearable(reported):
        return reading.unreadable(topic, ven_id, f"state.reported {problem}", payload)
    return ShadowReport(ven_id=ven_id, reported=reported, received_at=received_at)


def _unbearable(reported: Mapping[str, Any]) -> str | None:
    try:
        size = len(msgspec.json.encode(reported))
    except ValueError as error:  # half of a pair of surrogates
        return f"cannot be stored: {error}"
    return f"has {size} bytes, more than {MOST_BYTES}" if size > MOST_BYTES else None


def merged(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shadow state after a change: members are replaced, objects merged, and null takes a member away.

    If it grows beyond `MOST_BYTES`, what the change says is all that is left.
    """
    found = _merged(before, change)
    return found if len(msgspec.json.encode(found)) <= MOST_BYTES else _merged({}, change)


def _merged(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(before)
    for name, value in change.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping):
            known = found.get(name)
            found[name] = _merged(known if isinstance(known, Mapping) else {}, value)
        else:
            found[name] = value
    return found
