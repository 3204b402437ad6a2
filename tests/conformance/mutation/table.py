"""Which fault each check exists for. A check must fail on every fault that names it."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from mutation.handlers import Fault
from mutation.wrong_answers import ANSWERS
from mutation.wrong_decisions import DECISIONS

TABLE: Final = (*DECISIONS, *ANSWERS)


def faults_of(key: str) -> list[Fault]:
    """The faults this check has to fail on."""
    return [fault for fault in TABLE if any(fnmatchcase(key, pattern) for pattern in fault.patterns)]


def unused_patterns(keys: Iterable[str]) -> list[str]:
    """Patterns that name no check: the table has to follow the suite."""
    known = list(keys)
    return [
        f"{fault.name}: {pattern}"
        for fault in TABLE
        for pattern in fault.patterns
        if not any(fnmatchcase(key, pattern) for key in known)
    ]
