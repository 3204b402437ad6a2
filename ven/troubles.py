"""Let things fail alone: log what goes wrong with each once, and once more when it is well again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

_log = structlog.get_logger(__name__)

_MOST: Final = 1000
"""So many troubles are remembered; the oldest is forgotten for a new one, which may be of something that is gone."""


class Troubles:
    """Hold what is wrong now, by the name of what it is wrong with."""

    def __init__(self) -> None:
        self._now: dict[str, str] = {}

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Run a piece of work whose failure must not touch anything else: log it unless that is known already."""
        try:
            yield
        except Exception as error:
            self.tell(what, f"{type(error).__name__}: {error}", error=error)
        else:
            self.over(what)

    def tell(self, what: str, problem: str, *, error: Exception | None = None) -> None:
        """Log a problem, unless it is the one that is known."""
        if self._now.get(what) == problem:
            return
        self._now.pop(what, None)
        self._now[what] = problem
        if len(self._now) > _MOST:
            del self._now[next(iter(self._now))]
        _log.error("something goes wrong: the rest goes on", what=what, problem=problem, exc_info=error)

    def over(self, what: str) -> None:
        """Forget a problem that there is no more."""
        if self._now.pop(what, None) is not None:
            _log.info("well again", what=what)

    @property
    def now(self) -> dict[str, str]:
        """Return what is wrong now, by its name."""
        return dict(self._now)
