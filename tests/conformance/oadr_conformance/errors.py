"""Errors of an examination of a VTN.

ConformanceError
├── Unreachable    nothing answers at the URL
├── Refused        the VTN does not accept a credential
└── Misused        the options contradict each other or name something unknown
Mismatch           an answer is not the expected one: the check fails
└── SeedFailed     already the data a check needs could not be created
Skipped            the check cannot be made here; says why
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oadr_conformance.wire import HttpExchange


class ConformanceError(Exception):
    """The run cannot be made at all."""


class Unreachable(ConformanceError):
    """Nothing answers at the URL."""


class Refused(ConformanceError):
    """The VTN does not accept a credential."""


class Misused(ConformanceError):
    """The options contradict each other or name something unknown."""


class Mismatch(Exception):
    """An answer is not the expected one."""

    def __init__(self, expected: str, got: str, exchange: HttpExchange | None = None) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got
        self.exchange = exchange


class SeedFailed(Mismatch):
    """The data a check needs could not be created, so the check itself was never reached."""


class Skipped(Exception):
    """The check cannot be made here."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
