"""Authorisation: callers, scopes, and the one rule of visibility that every endpoint and notification applies.

Scopes permit operations; the role decides what is visible (AUTH-039). Programs and events are visible by their targets
(PRIV-005 … PRIV-016), resource groups by the resources in them (COMPAT-088), all other objects to their owner
(PRIV-017). A caller without a token may read nothing, or, if
programs are named public, these programs and their events, as far as neither has targets (COMPAT-017).
``vtn/store/visibility.py`` implements the same rule in SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from openadr_profiles.v31 import Invalid
from openadr_profiles.v31.targets import admits, effective, visible_targets
from vtn.errors import Forbidden, Unauthenticated


class Role(StrEnum):
    """The two kinds of clients."""

    BL = "BL"
    VEN = "VEN"


class UserRole(StrEnum):
    """Name what somebody may do at the console: look; issue events and manage VENs; manage users and settings."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: UserRole) -> bool:
        """Return True if this role includes another one."""
        order = list(UserRole)
        return order.index(self) >= order.index(needed)


class Scope(StrEnum):
    """Scopes of a token (AUTH-011 … AUTH-013)."""

    READ_ALL = "read_all"
    READ_BL = "read_bl"
    READ_TARGETS = "read_targets"
    READ_VEN_OBJECTS = "read_ven_objects"
    WRITE_PROGRAMS = "write_programs"
    WRITE_EVENTS = "write_events"
    WRITE_REPORTS = "write_reports"
    WRITE_SUBSCRIPTIONS = "write_subscriptions"
    WRITE_VENS = "write_vens"


_SCOPE_WORD: Final = re.compile(r"[!#-\[\]-~]{1,128}")
"""RFC 6749 3.3."""
_WORDS: Final = frozenset(scope.value for scope in Scope)
_SHARED: Final = frozenset({Scope.WRITE_SUBSCRIPTIONS, Scope.WRITE_VENS})
DEFAULT_SCOPES: Final = {
    Role.VEN: _SHARED | {Scope.READ_TARGETS, Scope.READ_VEN_OBJECTS, Scope.WRITE_REPORTS},
    Role.BL: _SHARED | {Scope.READ_ALL, Scope.READ_BL, Scope.WRITE_PROGRAMS, Scope.WRITE_EVENTS},
}
"""Scopes of a new client, by role (AUTH-011)."""


ONLY_BL: Final = frozenset({Scope.READ_BL, Scope.WRITE_PROGRAMS, Scope.WRITE_EVENTS})
"""Scopes that a client of the role VEN never holds."""
NOBODY_KNOWN: Final = "a token is needed"
"""The detail for who sends none."""


def scope_named(word: str, role: Role) -> Scope | None:
    """Return the scope a word names; ``write_vens_bl`` and the like are synonyms for the role they name (AUTH-040)."""
    plain = word.removesuffix(f"_{role.lower()}")
    name = plain if plain in _SHARED else word
    return Scope(name) if name in _WORDS else None


def scopes_named(words: Iterable[str], role: Role) -> tuple[frozenset[Scope], frozenset[str]]:
    """Return the scopes that words name, and the words that name none; raises Invalid for an invalid name."""
    scopes, unknown = set(), set()
    for word in words:
        if not _SCOPE_WORD.fullmatch(word):
            raise Invalid("scope", "expected 1 to 128 printable characters without blanks, quotes and backslashes")
        scope = scope_named(word, role)
        if scope is None:
            unknown.add(word)
        else:
            scopes.add(scope)
    return frozenset(scopes), frozenset(unknown)


@lru_cache(maxsize=1024)
def known_scopes(words: frozenset[str], role: Role) -> frozenset[Scope]:
    """Return the scopes that words name, and ignore other words. Clients with the same scopes share one set."""
    return frozenset(scope for word in words if (scope := scope_named(word, role)) is not None)


@dataclass(frozen=True, slots=True)
class Caller:
    """The client a token was issued to. ``granted`` are the targets it holds, once they are known.

    ``public`` is for a caller without a token: the names of the programs it may read. It is None for clients.
    """

    client_id: str
    role: Role
    scopes: frozenset[Scope]
    granted: frozenset[str] | None = None
    public: frozenset[str] | None = None

    @property
    def sees_everything(self) -> bool:
        """Return True for business logic, which reads without restriction (PRIV-001)."""
        return self.role is Role.BL


def anonymous(public_programs: Iterable[str]) -> Caller:
    """Describe a caller without a token, who holds no targets and sees no more than the programs of these names."""
    return Caller("", Role.VEN, frozenset(), granted=frozenset(), public=frozenset(public_programs))


def business_logic_only(caller: Caller) -> None:
    """Raise Forbidden unless the caller is business logic."""
    if caller.role is not Role.BL:
        raise Forbidden("only business logic may do this")


@dataclass(frozen=True, slots=True)
class Permission:
    """The permission an operation requires: any one of the scopes; for some operations a role is enough.

    ``only_bl`` refuses VENs, whatever scopes they have and whatever the request names. ``or_anonymous`` admits callers
    without a token, where the settings name public programs (COMPAT-017). ``any_client`` asks for no scope.
    """

    scopes: frozenset[Scope]
    or_role: Role | None = None
    only_bl: bool = False
    or_anonymous: bool = False
    any_client: bool = False

    def check(self, caller: Caller) -> None:
        """Raise Forbidden, naming the scopes that would help, or Unauthenticated, unless the caller may do it."""
        if caller.public is not None:
            if not self.or_anonymous:
                raise Unauthenticated(NOBODY_KNOWN)
            return
        suffices = self.any_client or (self.or_role is not None and caller.role is self.or_role)
        if not suffices and self.scopes.isdisjoint(caller.scopes):
            raise Forbidden(f"this needs one of the scopes {', '.join(sorted(self.scopes))}")
        if self.only_bl:
            business_logic_only(caller)


READ_TARGETED: Final = Permission(frozenset({Scope.READ_TARGETS, Scope.READ_ALL, Scope.READ_BL}), or_anonymous=True)
READ_ANY: Final = Permission(
    frozenset({Scope.READ_TARGETS, Scope.READ_VEN_OBJECTS, Scope.READ_ALL, Scope.READ_BL}), or_anonymous=True
)
"""For what tells nothing of an object that its reader may not see (AUTH-014, R-02)."""
READ_EVERYTHING: Final = Permission(frozenset({Scope.READ_ALL, Scope.READ_BL}))
ANY_CLIENT: Final = Permission(frozenset(Scope), any_client=True, or_anonymous=True)
READ_OWNED: Final = Permission(frozenset({Scope.READ_VEN_OBJECTS, Scope.READ_ALL, Scope.READ_BL}))
WRITE_PROGRAMS: Final = Permission(frozenset({Scope.WRITE_PROGRAMS}))
WRITE_EVENTS: Final = Permission(frozenset({Scope.WRITE_EVENTS}))
WRITE_REPORTS: Final = Permission(frozenset({Scope.WRITE_REPORTS}))
DELETE_REPORTS_AS_BL_TOO: Final = Permission(frozenset({Scope.WRITE_REPORTS}), or_role=Role.BL)
WRITE_SUBSCRIPTIONS: Final = Permission(frozenset({Scope.WRITE_SUBSCRIPTIONS}))
WRITE_VENS: Final = Permission(frozenset({Scope.WRITE_VENS}))
WRITE_GROUPS: Final = Permission(frozenset({Scope.WRITE_VENS}), only_bl=True)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The programs and events a VEN may see in one request, by the targets it holds and those it asked for.

    ``asked`` is None without a ``targets`` parameter (PRIV-006); with one it may be nothing the VEN holds (PRIV-007).
    ``effective`` are the targets that count: what is held, and asked for if anything is. ``public`` is the caller's.
    """

    granted: frozenset[str]
    asked: frozenset[str] | None = None
    public: frozenset[str] | None = None
    effective: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "effective", effective(self.granted, self.asked))

    def admits(self, targets: Iterable[str], *, program_targets: Iterable[str] = ()) -> bool:
        """Return True if an object is visible; an event also needs a visible program (PRIV-016)."""
        return admits(tuple(targets), self.granted, self.asked) and admits(tuple(program_targets), self.granted, None)

    def shown(self, targets: Iterable[str]) -> tuple[str, ...]:
        """Return the targets of a visible object that may be shown, in their order (PRIV-013)."""
        return visible_targets(targets, self.effective, None)
