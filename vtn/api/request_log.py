"""One line for each request, at a cost that does not show: rendered directly and written many at a time."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

_FLUSH_S: Final = 0.25
_LINES: Final = 500


class RequestLog:
    """Entries of the event ``request``. Where the log is JSON they are collected for a moment, else they go at once.

    A process that is killed loses the requests of its last quarter of a second from the log.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger("vtn.requests")
        self._lines: list[str] = []
        self._direct = False
        self._later: asyncio.TimerHandle | None = None

    def add(self, **members: Any) -> None:
        """Note one request."""
        if not self._lines:
            self._direct = _is_json()
        if not self._direct:
            self._log.info("request", **members)
            return
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        entry = members | {"event": "request", "level": "info", "timestamp": at}
        self._lines.append(msgspec.json.encode(entry).decode())
        if len(self._lines) >= _LINES:
            self.flush()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._lines:
            lines, self._lines = self._lines, []
            structlog.get_config()["logger_factory"]().msg("\n".join(lines))


def _is_json() -> bool:
    processors = structlog.get_config()["processors"]
    is_json = bool(processors) and isinstance(processors[-1], structlog.processors.JSONRenderer)
    return is_json and structlog.get_logger().is_enabled_for(logging.INFO)
