"""Compare what was received with what was due: nothing lost, nothing to others, each object's changes in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.e2e.ledger.entitled import Due, Message

Key: TypeAlias = tuple[str, str, str]
"""Id of an object, operation, and the version by its last modification."""

_NOT_COMPARED = frozenset({"objectOperations"})
"""Bearer tokens are taken out of a subscription's entries (SUBS-011); ``test_subscriptions`` looks at that."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A notification as it arrived."""

    operation: str
    object_type: str
    object: Mapping[str, Any]

    @staticmethod
    def of(body: bytes) -> Heard:
        """Read a notification; raises KeyError or ValueError for anything else."""
        read = json.loads(body)
        return Heard(read["operation"], read["objectType"], read["object"])

    @property
    def key(self) -> Key:
        """Return which version of which object it is about."""
        return self.object["id"], self.operation, self.object["modificationDateTime"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Count how much a verdict rests on."""

    due: int
    certain: int
    received: int
    repeated: int


def counts(due: Mapping[str, Sequence[Due]], heard: Mapping[str, Sequence[Heard]]) -> Counts:
    """Return how many messages were due, and how many came."""
    every = [one for each in due.values() for one in each]
    received = [(name, one.key) for name, each in heard.items() for one in each]
    return Counts(len(every), sum(one.certain for one in every), len(received), len(received) - len(set(received)))


def problems(due: Mapping[str, Sequence[Due]], heard: Mapping[str, Sequence[Heard]]) -> list[str]:
    """Return what is wrong, a line for each: lost, foreign, wrong or out of order; empty if all is well."""
    return [
        f"{name}: {problem}"
        for name in sorted({*due, *heard})
        for problem in _of_recipient(due.get(name, ()), heard.get(name, ()))
    ]


def _of_recipient(due: Sequence[Due], heard: Sequence[Heard]) -> Iterator[str]:
    known = {_key(message): (place, message) for place, one in enumerate(due) for message in one.messages}
    came: dict[str, list[int]] = {}
    for one in heard:
        if one.key not in known:
            yield f"is not entitled to {_words(one.key)}, or it never happened"
            continue
        place, message = known[one.key]
        came.setdefault(message.object_id, []).append(place)
        meant = [each for each in due[place].messages if _key(each) == one.key]
        yield from (f"{_words(one.key)}: {problem}" for problem in _content(one, meant))
    for place, expected in enumerate(due):
        message = expected.messages[0]
        if expected.certain and place not in came.get(message.object_id, ()):
            yield f"never heard of {_words(_key(message))}"
    for object_id, places in came.items():
        if problem := _disorder(places):
            yield f"{object_id}: {problem}"


def _disorder(places: Sequence[int]) -> str:
    """Return what is wrong with the order of one object's changes.

    What was sent and not recorded comes again, and then everything behind it comes again: after each message comes the
    next one, the same, or an earlier one; the first is the first, and the last is the last.
    """
    rank = {place: number for number, place in enumerate(sorted(set(places)))}
    order = [rank[place] for place in places]
    last = -1
    for number in order:
        if number > last + 1:
            return f"came in the order {order}"
        last = number
    return "" if last == len(rank) - 1 else f"ends with an older version: {order}"


def _content(heard: Heard, messages: Sequence[Message]) -> Iterator[str]:
    message = messages[0]
    if heard.object_type != message.object_type or heard.object.get("objectType") != message.object_type:
        yield f"is called {heard.object_type} and {heard.object.get('objectType')}"
    shown = heard.object.get("targets")
    allowed = [each.targets for each in messages]
    if (tuple(shown) if shown is not None else ()) not in {targets or () for targets in allowed}:
        yield f"shows the targets {shown}, and not {' or '.join(map(str, allowed))}"
    members = json.loads(f"{{{message.row['members']}}}")
    for name in members.keys() - _NOT_COMPARED:
        if heard.object.get(name) != members[name]:
            yield f"has {name} {heard.object.get(name)!r}, and not {members[name]!r}"


def _key(message: Message) -> Key:
    return message.object_id, message.operation, message.modified_at


def _words(key: Key) -> str:
    object_id, operation, modified_at = key
    return f"{operation} of {object_id} as of {modified_at}"
