"""Tell who is entitled to hear of a change: a model of its own, written from the requirements and from no code of ours.

PRIV-003 … PRIV-017, SUBS-008, SUBS-020 … SUBS-028, MQTT-015 … MQTT-032. A transaction finds its recipients at some
moment between its begin and its commit. Where grants or subscriptions changed in between, the model does not know at
which: it answers for each moment, and what differs between them may be delivered and need not.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tests.e2e.ledger.audit import Change

Row: TypeAlias = Mapping[str, Any]

_SEEN_LATE_S: Final = 0.25
"""A transaction is visible to others a little later than PostgreSQL notes its commit: this much at most."""


@dataclass(frozen=True, slots=True)
class Message:
    """Hold what a recipient has to be told of a change. ``targets`` are the ones shown; None: it has none at all."""

    operation: str
    object_type: str
    object_id: str
    modified_at: str
    targets: tuple[str, ...] | None
    row: Row = field(compare=False, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class Due:
    """A change that one recipient has to hear of, or may. ``messages``: any of them is right."""

    change: Change = field(repr=False)
    messages: tuple[Message, ...]
    certain: bool


@dataclass(slots=True)
class World:
    """The rows that decide who is entitled, as they were committed at one moment."""

    tables: dict[str, dict[str, Row]]

    def rows(self, object_type: str) -> Iterable[Row]:
        """Return all rows of a kind."""
        return self.tables[object_type].values()

    def row(self, object_type: str, object_id: str | None) -> Row | None:
        """Return one row; None if there is none."""
        return None if object_id is None else self.tables[object_type].get(object_id)

    def urls(self) -> set[str]:
        """Return the callback URLs of all subscriptions."""
        return {url for row in self.rows("SUBSCRIPTION") for url in urls_of(row)}

    def after(self, changes: Iterable[Change]) -> World:
        """Return the world after a commit."""
        tables = {kind: dict(rows) for kind, rows in self.tables.items()}
        for change in changes:
            if change.object_type not in tables:
                continue
            if change.after is None:
                tables[change.object_type].pop(change.object_id, None)
            else:
                tables[change.object_type][change.object_id] = change.after
        return World(tables)

    def granted(self, client_id: str) -> frozenset[str] | None:
        """Return the targets that a client holds (PRIV-003, with the ven's id: R-12); None without a ven."""
        ven = next((row for row in self.rows("VEN") if row["client_id"] == client_id), None)
        if ven is None:
            return None
        held = {*ven["targets"], ven["id"]}
        for resource in self.rows("RESOURCE"):
            if resource["ven_id"] == ven["id"] and resource["client_id"] == client_id:
                held.update(resource["targets"])
        return frozenset(held)


class History:
    """The worlds between the commits."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._worlds = [World({kind: {} for kind in ("PROGRAM", "EVENT", "VEN", "RESOURCE", "SUBSCRIPTION")})]
        self._times: list[float] = []
        self._place: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        by_transaction: dict[str, list[Change]] = {}
        for change in changes:
            by_transaction.setdefault(change.transaction, []).append(change)
        for name, together in sorted(by_transaction.items(), key=lambda item: item[1][0].committed):
            self._place[name] = len(self._times)
            self._times.append(together[0].committed)
            before = self._worlds[-1]
            self._worlds.append(before.after(together))
            if any(change.object_type == "SUBSCRIPTION" for change in together):
                for url in before.urls() - self._worlds[-1].urls():
                    self._gone[url] = self._place[name]

    def seen_by(self, change: Change) -> Sequence[World]:
        """Return the worlds that the transaction of a change may have seen, all without what it did itself."""
        last = self._place[change.transaction]
        first = min(bisect_left(self._times, change.began - _SEEN_LATE_S), last)
        return self._worlds[first : last + 1]

    def just_after(self, change: Change) -> World:
        """Return the world with what the transaction did."""
        return self._worlds[self._place[change.transaction] + 1]

    def is_wanted_since(self, change: Change, url: str) -> bool:
        """Return True if a subscription had the URL from the change to the end without a break."""
        return url in self._worlds[-1].urls() and self._gone.get(url, -1) < self._place[change.transaction]


@dataclass(frozen=True, slots=True)
class Audience:
    """Say who sees a program or event: everybody, or who holds one target of each list that is not empty (PRIV-016)."""

    targets: tuple[str, ...]
    program_targets: tuple[str, ...]

    @property
    def is_public(self) -> bool:
        """Return True for everybody."""
        return not self.targets and not self.program_targets

    def sees(self, held: frozenset[str] | None) -> bool:
        """Return True if somebody who holds these targets sees it."""
        held = held or frozenset()
        return all(not wanted or not held.isdisjoint(wanted) for wanted in (self.targets, self.program_targets))

    def matches(self, held: frozenset[str] | None, asked: tuple[str, ...]) -> bool:
        """Return True if it is for a subscription of theirs with these targets (SUBS-023, SUBS-024)."""
        return self.sees(held) and (not asked or not (held or frozenset()).intersection(asked).isdisjoint(self.targets))


class Entitled:
    """Answers who is entitled to which message. ``business_logic``: the client ids that see everything."""

    def __init__(self, changes: Sequence[Change], business_logic: frozenset[str]) -> None:
        self._history = History(changes)
        self._business_logic = business_logic
        self._changes = changes

    def webhooks(self) -> dict[str, list[Due]]:
        """Return what is due at each callback URL, in the order of the commits.

        What was under way to a URL that a subscription lost may be dropped, even if it was given back (SUBS-015).
        """
        due: dict[str, list[Due]] = {}
        for change in self._changes:
            for url, found in self._by_moment(change, self._webhooks_in, with_itself=True).items():
                certain = found.certain and self._history.is_wanted_since(change, url)
                due.setdefault(url, []).append(Due(change, found.messages, certain))
        return due

    def topics(self) -> dict[str, list[Due]]:
        """Return what is due on each topic of MQTT, without the prefix, in the order of the commits."""
        due: dict[str, list[Due]] = {}
        for change in self._changes:
            for topic, found in self._by_moment(change, self._topics_in).items():
                due.setdefault(topic, []).append(found)
        return due

    def everything(self) -> list[Due]:
        """Return what is due to business logic that listens to everything, as by a websocket."""
        return [Due(each, (_whole(each.operation, each.object_type, each.row),), True) for each in self._changes]

    def _by_moment(self, change: Change, ask: Any, *, with_itself: bool = False) -> dict[str, Due]:
        """Return what is due to each recipient, certain if it is at each moment."""
        worlds = list(self._history.seen_by(change))
        if with_itself and change.object_type == "SUBSCRIPTION":
            worlds.append(self._history.just_after(change))  # may it hear of itself? SUBS says nothing
        answers = [ask(change, world) for world in worlds]
        due = {}
        for recipient in dict.fromkeys(name for answer in answers for name in answer):
            messages = tuple(dict.fromkeys(answer[recipient] for answer in answers if recipient in answer))
            due[recipient] = Due(change, messages, all(recipient in answer for answer in answers))
        return due

    def _webhooks_in(self, change: Change, world: World) -> dict[str, Message]:
        found: dict[str, Message] = {}
        for subscription in world.rows("SUBSCRIPTION"):
            message = self._for_subscription(change, world, subscription)
            if message is None:
                continue
            for url, wanted in urls_of(subscription).items():
                if (message.object_type, message.operation) in wanted:
                    found[url] = message
        return found

    def _for_subscription(self, change: Change, world: World, subscription: Row) -> Message | None:
        client_id = subscription["client_id"]
        asked = tuple(subscription["targets"])
        if change.object_type not in {"PROGRAM", "EVENT"}:
            if client_id in self._business_logic:
                filtered = asked and change.object_type in {"VEN", "RESOURCE"}  # the others have no targets to be met
                if filtered and set(asked).isdisjoint(change.row["targets"]):
                    return None
            elif change.row["client_id"] != client_id:
                return None
            if change.object_type == "REPORT" and not _is_of_program(subscription, self._program_of(change, world)):
                return None
            return _whole(change.operation, change.object_type, change.row)
        return self._seen_for_subscription(change, world, subscription)

    def _seen_for_subscription(self, change: Change, world: World, subscription: Row) -> Message | None:
        """SUBS-022 … SUBS-027 for programs and events."""
        client_id, asked = subscription["client_id"], tuple(subscription["targets"])
        rows = [row for row in (change.before, change.after) if row is not None]
        if client_id in self._business_logic:
            if any(
                _is_of_program(subscription, _program_in(change, row))
                and (not asked or not set(asked).isdisjoint(row["targets"]))
                for row in rows
            ):
                return _whole(change.operation, change.object_type, change.row)
            return None
        held = world.granted(client_id)
        matched = [
            audience_of(change, row, world).matches(held, asked)
            and _is_of_program(subscription, _program_in(change, row))
            for row in rows
        ]
        if not any(matched):
            return None
        if audience_of(change, change.row, world).sees(held):
            return _shown(change.operation, change.object_type, change.row, held, asked)
        if change.operation == "UPDATE" and matched[0]:
            return _shown("DELETE", change.object_type, rows[0], held, asked)
        return None

    def _program_of(self, change: Change, world: World) -> str | None:
        """Return the program of the event of a report."""
        event = world.row("EVENT", change.row["event_id"]) or self._history.just_after(change).row(
            "EVENT", change.row["event_id"]
        )
        return None if event is None else event["program_id"]

    def _topics_in(self, change: Change, world: World) -> dict[str, Message]:
        row, operation = change.row, change.operation
        word = operation.lower()
        whole = _whole(operation, change.object_type, row)
        match change.object_type:
            case "PROGRAM" | "EVENT":
                return dict.fromkeys(_of_everything(change), whole) | dict(self._of_vens(change, world))
            case "REPORT" | "SUBSCRIPTION":
                return {f"{change.object_type.lower()}s/{word}": whole}
            case "VEN":
                own = () if operation == "CREATE" else (f"vens/{row['id']}/{word}",)
                return dict.fromkeys((f"vens/{word}", *own), whole)
            case _:
                ven = world.row("VEN", row["ven_id"])
                found = {f"resources/{word}": whole}
                if ven is not None and ven["client_id"] == row["client_id"]:
                    found[f"vens/{row['ven_id']}/resources/{word}"] = whole
                return found

    def _of_vens(self, change: Change, world: World) -> Iterator[tuple[str, Message]]:
        """Yield the topics of the public tree and those of vens (MQTT-021 … MQTT-027).

        A ven that was told of it in its own tree hears there that it is for everybody now.
        """
        now = audience_of(change, change.row, world)
        before = now
        if change.operation == "UPDATE" and change.before is not None:
            before = audience_of(change, change.before, world)
        yield from self._public(change, before, now)
        if before.is_public and now.is_public:
            return
        for ven in world.rows("VEN"):
            held = world.granted(ven["client_id"])
            saw, sees = before.sees(held), now.sees(held)
            if sees:
                message = _shown(change.operation, change.object_type, change.row, held, ())
            elif saw and not sees and not before.is_public and change.before is not None:
                message = _shown("DELETE", change.object_type, change.before, held, ())
            else:
                continue
            if now.is_public and not saw:
                continue
            yield from ((topic, message) for topic in _ven_topics(change, ven["id"], message.operation))

    @staticmethod
    def _public(change: Change, before: Audience, now: Audience) -> Iterator[tuple[str, Message]]:
        if now.is_public:
            message = _whole(change.operation, change.object_type, change.row)
        elif before.is_public and change.before is not None:
            message = _whole("DELETE", change.object_type, change.before)
        else:
            return
        yield from ((f"public/{topic}", message) for topic in _public_topics(change, message.operation))


def urls_of(subscription: Row) -> dict[str, set[tuple[str, str]]]:
    """Return the callback URLs of a subscription with the kinds and operations wanted there (SUBS-008)."""
    found: dict[str, set[tuple[str, str]]] = {}
    for entry in json.loads(f"{{{subscription['members']}}}")["objectOperations"]:
        wanted = found.setdefault(entry["callbackUrl"], set())
        wanted.update((kind, operation) for kind in entry["objects"] for operation in entry["operations"])
    return found


def audience_of(change: Change, row: Row, world: World) -> Audience:
    """Return who sees a version of a program or event."""
    if change.object_type == "PROGRAM":
        return Audience(tuple(row["targets"]), ())
    program = world.row("PROGRAM", row["program_id"])
    return Audience(tuple(row["targets"]), () if program is None else tuple(program["targets"]))


def _program_in(change: Change, row: Row) -> str | None:
    """Return the program that a subscription's programID is compared with; None: it does not matter (SUBS-022)."""
    return row["program_id"] if change.object_type == "EVENT" else None


def _is_of_program(subscription: Row, program_id: str | None) -> bool:
    return program_id is None or subscription["program_id"] is None or subscription["program_id"] == program_id


def _whole(operation: str, object_type: str, row: Row) -> Message:
    targets = row.get("targets")
    return Message(
        operation, object_type, row["id"], row["modified_at"], None if targets is None else tuple(targets), row
    )


def _shown(operation: str, object_type: str, row: Row, held: frozenset[str] | None, asked: tuple[str, ...]) -> Message:
    """Return a program or event with its targets hidden (PRIV-013): as GET by id shows it (WEBHOOK-012)."""
    shown = tuple(target for target in row["targets"] if target in (held or ()))
    return Message(operation, object_type, row["id"], row["modified_at"], shown, row)


def _of_everything(change: Change) -> Iterator[str]:
    """Yield the topics of business logic."""
    word, row = change.operation.lower(), change.row
    if change.object_type == "EVENT":
        yield f"events/{word}"
        yield f"events/programs/{row['program_id']}/{word}"
        return
    yield f"programs/{word}"
    if change.operation != "CREATE":
        yield f"programs/{row['id']}/{word}"


def _public_topics(change: Change, operation: str) -> Iterator[str]:
    word, row = operation.lower(), change.row
    if change.object_type == "EVENT":
        yield f"events/programs/{row['program_id']}/{word}"
        return
    yield f"programs/{word}"
    if operation != "CREATE":
        yield f"programs/{row['id']}/{word}"


def _ven_topics(change: Change, ven_id: str, operation: str) -> Iterator[str]:
    word, row = operation.lower(), change.row
    if change.object_type == "EVENT":
        yield f"vens/{ven_id}/events/{word}"
        yield f"vens/{ven_id}/programs/{row['program_id']}/events/{word}"
        return
    yield f"vens/{ven_id}/programs/{word}"
    if operation != "CREATE":
        yield f"vens/{ven_id}/programs/{row['id']}/{word}"
