"""Which fault each check exists for. A check must fail on every fault that names it."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from mutants.handlers import Fault
from mutants.wrong_301 import WRONG_301
from mutants.wrong_answers import ANSWERS
from mutants.wrong_decisions import DECISIONS
from mutants.wrong_notifications import NOTIFICATIONS

TABLE: Final = (*DECISIONS, *ANSWERS, *NOTIFICATIONS)


def _by_requirement() -> dict[str, list[tuple[str, Fault]]]:
    """The patterns under the requirement they begin with; under an empty text where that has a wildcard itself."""
    found: dict[str, list[tuple[str, Fault]]] = {}
    for fault in (*TABLE, *WRONG_301):
        for pattern in fault.patterns:
            requirement = pattern.partition("/")[0]
            found.setdefault("" if set(requirement) & set("*?[") else requirement, []).append((pattern, fault))
    return found


_PATTERNS: Final = _by_requirement()


def _matches(key: str) -> list[tuple[str, Fault]]:
    candidates = _PATTERNS.get(key.partition("/")[0], []) + _PATTERNS.get("", [])
    return [(pattern, fault) for pattern, fault in candidates if fnmatchcase(key, pattern)]


def faults_of(key: str) -> list[Fault]:
    """Return the faults this check has to fail on."""
    return list(dict.fromkeys(fault for _, fault in _matches(key)))


def unused_patterns(keys: Iterable[str], table: Iterable[Fault] = TABLE) -> list[str]:
    """Patterns that name no check: the table has to follow the suite."""
    used = {(fault.name, pattern) for key in keys for pattern, fault in _matches(key)}
    return [
        f"{fault.name}: {pattern}" for fault in table for pattern in fault.patterns if (fault.name, pattern) not in used
    ]
