"""A check: one small question to a VTN, tied to the requirement that decides the right answer."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final, TypeVar

from oadr_conformance.basis import Basis, basis_of
from oadr_conformance.errors import Misused
from oadr_conformance.rulings import ruling_of
from oadr_conformance.v20b.standing import basis20b_of, ruling20b_of
from oadr_conformance.ven31.standing import ven_basis_of, ven_ruling_of

T = TypeVar("T")
Body = Callable[[Any], Awaitable[None]]


class Level(StrEnum):
    """Levels of requirements (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


MUST, SHOULD, MAY = Level


class Standing(StrEnum):
    """Origin of a check: a MUST or SHOULD of the standard, or our ruling where the standard leaves a choice."""

    MUST = "MUST of the standard"
    SHOULD = "SHOULD of the standard"
    RULING = "our ruling"


NEEDS: Final[Mapping[str, str]] = {
    "bl": "business logic",
    "ven": "a VEN",
    "ven2": "a second VEN",
    "secret": "client id and secret (a token alone cannot ask for fewer scopes)",
    "callback": "a callback URL the VTN accepts",
    "expired": "an expired token",
    "receiver": "a place at which the VTN can call the suite",
    "notifiers": "a VTN that has /notifiers",
    "operator": "business logic at the same VTN, by OpenADR 3.1",
    "stranger": "a certificate that nobody enrolled",
    "push": "a place at which the VTN can push to the suite",
    "order": "an operator of the VTN who sends orders to the VEN",
    "certificates": "a place for pushes over https",
    "tls": "a VTN that is reached by https",
    "signed": "a VTN that demands XML signatures of the VEN",
    "unsigned": "a VTN that demands no XML signatures of the VEN",
    "configured": "a VEN that is configured for the VTN of the suite",
}


@dataclass(frozen=True)
class Check:
    """One question to a VTN; `requirement` is the line that decides, `also` are lines it covers on the way."""

    requirement: str
    case: str
    also: tuple[str, ...]
    level: Level
    sentence: str
    topic: str
    """Reference to the topic, for a check that rests on a ruling of ours."""
    needs: frozenset[str]
    body: Body

    @property
    def question(self) -> str:
        """Return the part of its name shared with the other cases of its table: `bad paging`."""
        return self.case.partition(": ")[0]

    @property
    def ruling(self) -> str:
        """Return the reason why the standard does not decide it; empty if it does."""
        return next(
            (why for of in (ruling20b_of, ven_ruling_of, ruling_of) if (why := of(self.requirement, self.case))), ""
        )

    @property
    def basis(self) -> tuple[Basis, ...]:
        """Return the sentences of the standard that forbid the other behaviour; none for a ruling of ours."""
        if self.ruling:
            return ()
        return next(
            (found for of in (basis20b_of, ven_basis_of, basis_of) if (found := of(self.requirement, self.case))), ()
        )

    @property
    def section(self) -> str:
        """Return the basis as text; for a ruling, where the matter is treated."""
        return "; ".join(map(str, self.basis)) or self.topic

    @property
    def standing(self) -> Standing:
        """Return the origin of the check."""
        if self.ruling:
            return Standing.RULING
        return Standing.MUST if self.level is MUST else Standing.SHOULD

    @property
    def key(self) -> str:
        """Return the unique name of this check: `PAGE-008/bad paging: limit=51`."""
        return f"{self.requirement}/{self.case}"

    @property
    def requirements(self) -> tuple[str, ...]:
        """Return every requirement this check speaks for."""
        return (self.requirement, *self.also)

    @property
    def area(self) -> str:
        """Return the group of the requirement: `PAGE` for `PAGE-008`, `B-EVT` for `B-EVT-001`."""
        return area_of(self.requirement)

    def matches(self, patterns: Iterable[str]) -> bool:
        """Return True if one of the patterns (an area, a requirement, a key, with `*` and `?`) matches this check."""
        names = (self.area, *self.requirements, self.key)
        return any(fnmatchcase(name.upper(), pattern.upper()) for pattern in patterns for name in names)


class Area:
    """The checks of one module. The first sentence of a check's docstring is the sentence the check rests on."""

    def __init__(self, section: str, *, always: str = "bl") -> None:
        """
        Args:
            section: where the matter is treated.
            always: what each of its checks needs, beside what it names itself.
        """
        self.section = section
        self._always = frozenset(always.split())
        self.checks: list[Check] = []

    def check(
        self, requirements: str, level: Level = MUST, *, needs: str = "", section: str = ""
    ) -> Callable[[Body], Body]:
        """Register one check; `requirements` are IDs parted by blanks, the first decides the key."""

        def register(body: Body) -> Body:
            self._add(requirements, _title(body), level, needs, section, _sentence(body), body)
            return body

        return register

    def each(
        self,
        requirements: str,
        cases: Mapping[str, T],
        level: Level = MUST,
        *,
        needs: str | Callable[[T], str] = "",
        section: str = "",
    ) -> Callable[[Callable[[Any, T], Awaitable[None]]], Callable[[Any, T], Awaitable[None]]]:
        """Register one check per case; the case's value is the second argument, its name is part of the key."""

        def register(body: Callable[[Any, T], Awaitable[None]]) -> Callable[[Any, T], Awaitable[None]]:
            sentence = _sentence(body)
            for name, value in cases.items():
                wanted = needs if isinstance(needs, str) else needs(value)
                case = f"{_title(body)}: {name}"
                self._add(requirements, case, level, wanted, section, sentence, _bound(body, value))
            return body

        return register

    def _add(
        self, requirements: str, case: str, level: Level, needs: str, section: str, sentence: str, body: Body
    ) -> None:
        first, *also = requirements.split()
        wanted = frozenset(needs.split()) | self._always
        if unknown := wanted - NEEDS.keys():
            raise ValueError(f"{first}: unknown needs {sorted(unknown)}")
        self.checks.append(Check(first, case, tuple(also), level, sentence, section or self.section, wanted, body))


def area_of(requirement: str) -> str:
    """Return the group of a requirement: `PAGE` for `PAGE-008`, `PRIV` for `PRIV-EX-17`, `B-EVT` for `B-EVT-001`."""
    parts = requirement.split("-")
    return "-".join(parts[:2]) if parts[0] == "B" else parts[0]


def select(checks: Iterable[Check], patterns: Iterable[str]) -> list[Check]:
    """Return the checks that one of the patterns names; all of them without patterns.

    Raises:
        Misused: a pattern names nothing.
    """
    checks, patterns = list(checks), list(patterns)
    if not patterns:
        return checks
    for pattern in patterns:
        if not any(check.matches([pattern]) for check in checks):
            names = dict.fromkeys(name for check in checks for name in (check.area, *check.requirements))
            near = ", ".join(get_close_matches(pattern.upper(), names))
            raise Misused(f"no check is named {pattern!r}; {f'near to it: {near}; ' if near else ''}'list' shows all")
    return [check for check in checks if check.matches(patterns)]


def _bound(body: Callable[[Any, T], Awaitable[None]], value: T) -> Body:
    async def run(probe: Any) -> None:
        await body(probe, value)

    return run


def _title(body: Callable[..., object]) -> str:
    return body.__name__.replace("_", " ")


def _sentence(body: Callable[..., object]) -> str:
    text = inspect.getdoc(body)
    if not text:
        raise ValueError(f"{body.__qualname__} has no docstring, so nobody knows what it rests on")
    return " ".join(text.split())
