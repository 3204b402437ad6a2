"""Recorded traffic with faults added: what networks, clocks and programs do to it."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.support.panel_captures import Recorded

Alter = Callable[[Sequence[Recorded], random.Random], list[Recorded]]

_TIMES = ("ts", "timestamp")


def twice(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """The first message and half of the others come again, at once or after others, as QoS 1 allows."""
    out = list(messages)
    for place, message in enumerate(messages):
        if place == 0 or chance.random() < 0.5:
            first = out.index(message)
            out.insert(chance.randint(first + 1, min(len(out), first + 6)), message)
    return out


def out_of_order(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """Messages overtake each other by up to six places."""
    places = {id(message): place + chance.uniform(0, 6) for place, message in enumerate(messages)}
    return sorted(messages, key=lambda message: places[id(message)])


def cut_short(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """Only the beginning of each message arrives."""
    return [replace(m, payload=m.payload[: chance.randrange(len(m.payload))]) if m.payload else m for m in messages]


def no_numbers(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """A number of each message is none: NaN, Infinity, a truth, or a text."""
    return [
        _with_number(m, chance.choice([float("nan"), float("inf"), float("-inf"), True, "lots", [], ""]), chance)
        for m in messages
    ]


def huge_numbers(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """A number of each message is one that no panel can mean."""
    return [_with_number(m, chance.choice([1e308, -1e308, 1e25, -1e25, 10**400]), chance) for m in messages]


def wrong_zone(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """Each panel's clock is some hours off, or shows milliseconds."""
    offsets = {m.topic: chance.choice([-12, -5, -1, 1, 2, 14]) * 3600 for m in messages}

    def shift(members: dict[str, Any], topic: str) -> dict[str, Any]:
        return {
            name: value + offsets[topic] if name in _TIMES and isinstance(value, int) else value
            for name, value in members.items()
        }

    return [_changed(message, lambda members, m=message: shift(members, m.topic)) for message in messages]  # type: ignore[misc] # of a default


FAULTS: Mapping[str, Alter] = {
    "twice": twice,
    "out of order": out_of_order,
    "cut short": cut_short,
    "no numbers": no_numbers,
    "huge numbers": huge_numbers,
    "wrong zone": wrong_zone,
}
"""All faults by name."""


def mixed(messages: Sequence[Recorded], chance: random.Random) -> list[Recorded]:
    """Every fault somewhere, and every message as it was as well, in an order of its own."""
    out = list(messages)
    for alter in FAULTS.values():
        out += alter([message for message in messages if chance.random() < 0.3], chance)
    return out_of_order(out, chance)


def as_at(message: Recorded, now: datetime) -> Recorded:
    """Return a message as if the panel had sent it now: recordings are old, and a bridge believes no old clock."""
    later = int((now - message.at).total_seconds())
    moved = _changed(
        message,
        lambda members: {
            name: value + later if name in _TIMES and isinstance(value, int) and not isinstance(value, bool) else value
            for name, value in members.items()
        },
    )
    return replace(moved, at=now)


def _changed(message: Recorded, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Recorded:
    try:
        members = json.loads(message.payload)
    except ValueError:
        return message
    return replace(message, payload=json.dumps(change(members)).encode()) if isinstance(members, dict) else message


def _with_number(message: Recorded, value: object, chance: random.Random) -> Recorded:
    def change(members: dict[str, Any]) -> dict[str, Any]:
        owners = list(_numbers(members))
        if owners:
            owner, name = chance.choice(owners)
            owner[name] = value
        return members

    return _changed(message, change)


def _numbers(members: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Return the places of all numbers in a document, circuits included; times are not among them."""
    found: list[tuple[dict[str, Any], str]] = []
    for name, value in members.items():
        if isinstance(value, dict):
            found += _numbers(value)
        elif isinstance(value, list):
            found += [place for item in value if isinstance(item, dict) for place in _numbers(item)]
        elif isinstance(value, int | float) and not isinstance(value, bool) and name not in _TIMES:
            found.append((members, name))
    return found
