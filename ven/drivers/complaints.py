"""Say once what is wrong with a circuit's device, and once that it is right again."""

from __future__ import annotations

from typing import Any


class Complaints:
    """Log a problem when it begins or changes, not at every reading; a device that is broken stays so for weeks."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._current: dict[str, str] = {}

    def say(self, circuit_id: str, device: str, problem: str) -> None:
        """Log that a circuit cannot be read, unless its last problem was the same kind of problem."""
        if circuit_id not in self._current:
            self._log.warning("circuit cannot be read", circuit=circuit_id, device=device, problem=problem)
        self._current[circuit_id] = problem

    def clear(self, circuit_id: str) -> None:
        """Log that a circuit can be read again, if it could not."""
        if self._current.pop(circuit_id, None) is not None:
            self._log.info("circuit can be read again", circuit=circuit_id)
