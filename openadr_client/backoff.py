"""Waiting times before another attempt (VENCLIENT-025): `Backoff` for loops that never give up, `Retry` for one call.

Both are our own, and small. Importing tenacity takes 14 ms of processor time and stamina 22 ms, a tenth of a short
command; both measure on the machine's clock instead of the injected one, and what is left to write around them is all
that matters here: Retry-After and its bounds, and which requests must not be sent twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final, TypeVar

import structlog

from openadr_client.clock import Clock
from openadr_client.errors import TemporarilyUnavailable, Unreachable

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_LONGEST_ASKED_S: Final = 3600.0
"""Longest wait that a VTN may ask for; one that asks for days would silence a VEN for good."""
_IDEMPOTENT: Final = frozenset({"GET", "PUT", "DELETE"})
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses that may be others a moment later; 501 and 505 will not."""


class Backoff:
    """Doubles from ``first_s`` to ``longest_s`` seconds, with jitter down to a half, unless the VTN says how long.

    A VTN that asks for less than ``first_s`` gets the growing wait all the same, and one that asks for more than an
    hour gets an hour.
    """

    def __init__(self, chance: Random | None = None, *, first_s: float = 1.0, longest_s: float = 900.0) -> None:
        self._chance = chance or Random()  # noqa: S311 # spreads attempts in time, keeps no secret
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    def failed(self, error: BaseException | None = None) -> float:
        """Return the seconds to wait after this failure."""
        wait_s = min(self._first_s * 2.0**self._failures, self._longest_s)
        self._failures = min(self._failures + 1, 30)
        asked_s = error.retry_after_s if isinstance(error, TemporarilyUnavailable) else None
        if asked_s is not None and asked_s >= self._first_s:
            return min(asked_s, _LONGEST_ASKED_S)
        return wait_s * (1 - 0.5 * self._chance.random())


@dataclass(frozen=True, slots=True)
class Retry:
    """Limits for repeating a call that failed for a passing reason, in seconds of the client's clock.

    At most ``attempts`` are made, and none begins later than ``total_s`` after the call. A VTN that asks for a longer
    wait than that is left is not asked again: the call fails at once with what it said.
    """

    attempts: int = 4
    total_s: float = 60.0
    first_s: float = 0.5
    longest_s: float = 15.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.total_s, self.first_s, self.longest_s) < 0:
            raise ValueError("Retry: expected attempts of at least 1 and seconds that are not negative")


NO_RETRY: Final = Retry(attempts=1)
"""For programs that wait between attempts themselves."""


class Attempts:
    """The attempts of one call, of which fetching a token may be a part."""

    def __init__(self, limits: Retry, clock: Clock, chance: Random) -> None:
        self._left = limits.attempts
        self._clock = clock
        self._until = clock.now() + timedelta(seconds=limits.total_s)
        self._backoff = Backoff(chance, first_s=limits.first_s, longest_s=limits.longest_s)
        self.unclear = False
        """True once an attempt failed that may have been carried out."""

    async def of(self, method: str, action: Callable[[], Awaitable[T]]) -> T:
        """Return what the action gives, repeated if `may_repeat` and while there are attempts and time left."""
        while True:
            try:
                return await action()
            except (Unreachable, TemporarilyUnavailable) as error:
                self._left -= 1
                if self._left < 1 or not may_repeat(method, error):
                    raise
                wait_s = self._backoff.failed(error)
                if self._clock.now() + timedelta(seconds=wait_s) > self._until:
                    raise
                self.unclear = self.unclear or not isinstance(error, Unreachable) or error.was_sent
                _log.info("asking the VTN again", method=method, problem=str(error), again_in_s=round(wait_s, 2))
            await self._clock.sleep(wait_s)


def may_repeat(method: str, error: Unreachable | TemporarilyUnavailable) -> bool:
    """Decide whether a request may be sent again after this error, and whether that can help.

    GET, PUT and DELETE do the same when done twice (RFC 9110 section 9.2.2). A POST would make a second object: it is
    repeated only if no byte of it has left, or if it was refused unread (429). A gateway's 503 proves nothing.
    """
    if isinstance(error, Unreachable):
        return not error.is_lasting and (method in _IDEMPOTENT or not error.was_sent)
    return error.status == 429 or (error.status in _PASSING and method in _IDEMPOTENT)
