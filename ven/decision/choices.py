"""Keep what the owner said by hand: in or out of an event, of a program or of everything, why and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ven.decision.candidate import Decision

MOST_CHOICES: Final = 200
_LONGEST_REASON: Final = 256
_LONGEST_NAME: Final = 128
"""Neither an event's id nor a program's name is longer."""


class ScopeKind(StrEnum):
    """Name what a choice is about; the narrower one counts."""

    EVENT = "event"
    PROGRAM = "program"
    ALL = "all"


@dataclass(frozen=True, order=True)
class OptScope:
    """Hold what a choice is about. ``name`` is an event's id or a program's name, empty for everything."""

    kind: ScopeKind
    name: str = ""

    def __post_init__(self) -> None:
        if bool(self.name) is (self.kind is ScopeKind.ALL):
            raise ValueError(f"scope {self}: expected all, program:NAME or event:ID")
        if len(self.name) > _LONGEST_NAME:
            raise ValueError(f"scope: the name has {len(self.name)} characters, expected at most {_LONGEST_NAME}")
        if not _is_text(self.name):
            raise ValueError("scope: the name holds half of a surrogate pair, expected text that UTF-8 can encode")

    @staticmethod
    def parse(text: str) -> OptScope:
        """Read ``all``, ``program:NAME`` or ``event:ID``; raises ValueError."""
        kind, colon, name = text.partition(":")
        if kind not in set(ScopeKind) or bool(name) is (kind == ScopeKind.ALL) or bool(name) is not bool(colon):
            raise ValueError(f"{text[:80]!r} is no scope: expected all, program:NAME or event:ID")
        return OptScope(ScopeKind(kind), name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


@dataclass(frozen=True)
class OptChoice:
    """Hold one choice. It counts from ``made_at`` to ``until`` (excluded; None: until it is withdrawn)."""

    scope: OptScope
    opted_in: bool
    reason: str | None
    until: datetime | None
    made_at: datetime

    def __post_init__(self) -> None:
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError(f"until {self.until}: expected an instant with a time zone")
        if self.until is not None and self.until <= self.made_at:
            raise ValueError(f"until {self.until.isoformat()}: expected a moment that is still to come")
        if self.reason is not None and len(self.reason) > _LONGEST_REASON:
            raise ValueError(f"the reason has {len(self.reason)} characters: expected at most {_LONGEST_REASON}")
        if not _is_text(self.reason or ""):
            raise ValueError("the reason holds half of a surrogate pair: expected text that UTF-8 can encode")

    @property
    def decision(self) -> Decision:
        """Return the decision that the choice stands for."""
        said = "opted in" if self.opted_in else "opted out"
        return Decision(self.opted_in, self.reason or f"{said} by the owner")


def _is_text(text: str) -> bool:
    """Return True if UTF-8 can encode it: what it cannot is neither written to a file nor sent to a VTN."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Choices:
    """Hold the choices, one for each scope. Of those that are not about one event, no more than `MOST_CHOICES`.

    Those about an event go with it, so there are no more of them than of events; and their owner has to be able to
    say no to each.
    """

    def __init__(self, choices: Iterable[OptChoice] = ()) -> None:
        self._by_scope = {choice.scope: choice for choice in choices}

    @property
    def all(self) -> tuple[OptChoice, ...]:
        """Return all choices, by scope."""
        return tuple(sorted(self._by_scope.values(), key=lambda choice: choice.scope))

    def put(self, choice: OptChoice) -> None:
        """Take a choice in place of an earlier one about the same; raises ValueError if there are too many."""
        standing = sum(scope.kind is not ScopeKind.EVENT for scope in self._by_scope)
        is_new = choice.scope not in self._by_scope and choice.scope.kind is not ScopeKind.EVENT
        if is_new and standing >= MOST_CHOICES:
            raise ValueError(f"there are {MOST_CHOICES} choices already: withdraw some first")
        self._by_scope[choice.scope] = choice

    def withdraw(self, scope: OptScope) -> bool:
        """Forget the choice about this; False if there is none."""
        return self._by_scope.pop(scope, None) is not None

    def drop_ended(self, now: datetime) -> tuple[OptScope, ...]:
        """Forget the choices whose time is over, and return what they were about."""
        ended = tuple(c.scope for c in self._by_scope.values() if c.until is not None and c.until <= now)
        for scope in ended:
            del self._by_scope[scope]
        return ended

    def of(self, event_id: str, program_name: str | None) -> OptChoice | None:
        """Return the choice that counts for an event: about it, else its program, else everything."""
        if not self._by_scope:
            return None
        scopes = [OptScope(ScopeKind.EVENT, event_id)]
        if program_name:
            scopes.append(OptScope(ScopeKind.PROGRAM, program_name))
        found = (self._by_scope.get(scope) for scope in (*scopes, OptScope(ScopeKind.ALL)))
        return next((choice for choice in found if choice is not None), None)

    @property
    def name_programs(self) -> bool:
        """Return True if a choice is about a program."""
        return any(scope.kind is ScopeKind.PROGRAM for scope in self._by_scope)

    def next_end(self) -> datetime | None:
        """Return when the time of a choice is over next; None if never."""
        return min((choice.until for choice in self._by_scope.values() if choice.until is not None), default=None)
