"""Tell of messages that are no commands, each kind of them once, however many somebody sends. No I/O but the log's."""

from __future__ import annotations

from typing import Final

from ven.troubles import Troubles

_QUIET_S: Final = 60.0
_MOST: Final = 16


class Rejections:
    """Hold what was rejected, by where it came, until nothing more was rejected there for a minute.

    A good command among bad ones ends nothing: whoever sends both in turn would fill the log. Instants are in seconds
    by a clock that is never set.
    """

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._told: dict[str, set[str]] = {}
        self._last_s: dict[str, float] = {}

    def tell(self, what: str, problem: str, at_s: float) -> None:
        """Log a problem unless it is known of this place, or there are too many; both texts are our own."""
        self.look(at_s)
        if what not in self._told and len(self._told) >= _MOST:
            return
        told = self._told.setdefault(what, set())
        self._last_s[what] = at_s
        if problem not in told and len(told) < _MOST:
            told.add(problem)
            self._troubles.tell(what, problem)

    def look(self, at_s: float) -> None:
        """Forget the places where nothing was rejected for a minute."""
        for what in [each for each, last_s in self._last_s.items() if at_s - last_s >= _QUIET_S]:
            del self._told[what], self._last_s[what]
            self._troubles.over(what)
