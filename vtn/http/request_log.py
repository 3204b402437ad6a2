"""One line for each request, at a cost that does not show: rendered and written many at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec
import structlog

_FLUSH_S: Final = 0.25
_LINES: Final = 500

_Seen: TypeAlias = tuple[str, str, int, float, str | None, str, tuple[str, str] | None, float]
"""Fields recorded for a request while serving; they are formatted later."""


class _Entry(msgspec.Struct, omit_defaults=True, gc=False):
    method: str
    path: str
    status: int
    duration_ms: float
    client_id: str | None
    request_id: str
    event: str
    level: str
    timestamp: datetime
    reference: str | None = None
    detail: str | None = None


class RequestLog:
    """Entries of the event ``request``. Where the log is JSON they are collected for a moment, else they go at once.

    A process that is killed loses the requests of its last quarter of a second from the log.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger("vtn.requests")
        self._encoder = msgspec.json.Encoder()
        self._seen: list[_Seen] = []
        self._direct = False
        self._later: asyncio.TimerHandle | None = None

    def add(
        self,
        method: str,
        path: str,
        *,
        status: int,
        duration_s: float,
        client_id: str | None,
        request_id: str,
        refusal: tuple[str, str] | None,
    ) -> None:
        """Note one request; ``refusal`` are the reference and the detail of the problem it was answered with."""
        if not self._seen:
            self._direct = _is_json()
        seen = (method, path, status, duration_s, client_id, request_id, refusal, time.time())
        if not self._direct:
            self._tell(_entry(seen))
            return
        self._seen.append(seen)
        if len(self._seen) >= _LINES:
            self.flush()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._seen:
            seen, self._seen = self._seen, []
            text = self._encoder.encode_lines(map(_entry, seen)).decode()
            structlog.get_config()["logger_factory"]().msg(text.rstrip("\n"))

    async def write_the_rest(self, _: object) -> None:
        """Write what was collected, at the end."""
        self.flush()

    def _tell(self, entry: _Entry) -> None:
        members = msgspec.structs.asdict(entry)
        for name in ("event", "level", "timestamp", *(() if entry.reference else ("reference", "detail"))):
            del members[name]
        self._log.info("request", **members)


def _entry(seen: _Seen) -> _Entry:
    method, path, status, duration_s, client_id, request_id, refusal, at = seen
    ms, moment = round(duration_s * 1000, 2), datetime.fromtimestamp(at, UTC)
    reference, detail = refusal or (None, None)
    return _Entry(method, path, status, ms, client_id, request_id, "request", "info", moment, reference, detail)


def _is_json() -> bool:
    processors = structlog.get_config()["processors"]
    is_json = bool(processors) and isinstance(processors[-1], structlog.processors.JSONRenderer)
    return is_json and structlog.get_logger().is_enabled_for(logging.INFO)
