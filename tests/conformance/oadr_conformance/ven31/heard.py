"""Memory of one examination of a VEN: what it asked, what it was answered, and what the scenario did meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oadr_conformance.wire import HttpExchange, Obj

_MOST: Final = 20_000
_MOST_BYTES: Final = 128 * 1024 * 1024


@dataclass(frozen=True)
class HeardRequest:
    """One request of the VEN; ``at`` is on the monotonic clock, ``path`` is below the prefix."""

    exchange: HttpExchange
    at: float
    path: str
    query: Mapping[str, str]
    token: str
    """`valid`, `expired`, `revoked`, `unknown` or `none`."""
    fault: str = ""
    """Name of the trouble that it was answered with."""

    @property
    def method(self) -> str:
        """Return the HTTP method."""
        return self.exchange.method

    @property
    def status(self) -> int:
        """Return the HTTP status of the answer."""
        return self.exchange.status

    @property
    def skip(self) -> int:
        """Return what the query asks to leave out."""
        text = self.query.get("skip", "0")
        return int(text) if text.isdecimal() else 0

    def json(self) -> Any:
        """Return the body as JSON; None if it is none."""
        try:
            return json.loads(self.exchange.request_body)
        except (ValueError, RecursionError):
            return None

    def object(self) -> Obj:
        """Return the body as a JSON object; an empty one if it is none."""
        value = self.json()
        return value if isinstance(value, dict) else {}


@dataclass
class HeardRecord:
    """All that was heard, in order, and when the scenario did what."""

    requests: list[HeardRequest] = field(default_factory=list)
    dropped: int = 0
    """Requests beyond those that are kept."""
    marks: dict[str, float] = field(default_factory=dict)
    """Stage of the scenario -> when it came, on the monotonic clock."""
    events: dict[str, Obj] = field(default_factory=dict)
    """Name of an event in the scenario -> the event."""
    ends: dict[str, float] = field(default_factory=dict)
    """Name of an event -> its end, on the monotonic clock."""
    first_pages: set[str] = field(default_factory=set)
    """Paths of lists of which a first page was read, and that went on."""
    last_pages: set[str] = field(default_factory=set)
    """Paths of lists of which a later page was read, up to the end of the list."""
    _bytes: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, request: HeardRequest) -> None:
        """Keep a request, and let who waits look again."""
        exchange = request.exchange
        self._bytes += len(exchange.request_body) + len(exchange.body) + len(exchange.url)
        if len(self.requests) < _MOST and self._bytes < _MOST_BYTES:
            self.requests.append(request)
        else:
            self.dropped += 1
        self._news.set()

    def mark(self, stage: str) -> None:
        """Note that a stage begins now."""
        self.marks[stage] = time.monotonic()

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds, looked at after each request; return False if it does not within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return holds()
        return True

    def of(self, method: str, path: str) -> list[HeardRequest]:
        """Return the requests with this method, to this path or below it if it ends with a slash."""
        return [
            one
            for one in self.requests
            if one.method == method and (one.path.startswith(path) if path.endswith("/") else one.path == path)
        ]

    @property
    def reads(self) -> list[HeardRequest]:
        """Return the requests for the first page of events."""
        return [one for one in self.of("GET", "/events") if one.skip == 0]

    def read_since(self, moment: float) -> bool:
        """Return True if events were read, without trouble, after a moment."""
        return any(one.at > moment and one.status in {200, 304} and not one.fault for one in self.reads)

    def read_after(self, fault: str) -> bool:
        """Return True if events were read, without trouble, after the last answer with this one."""
        troubles = [one.at for one in self.requests if one.fault == fault]
        return bool(troubles) and self.read_since(troubles[-1])

    @property
    def reports(self) -> list[HeardRequest]:
        """Return the reports that were sent, whether new or again, in order."""
        return [*_sorted([*self.of("POST", "/reports"), *self.of("PUT", "/reports/")])]

    def reports_about(self, event: str, payload_type: str) -> list[HeardRequest]:
        """Return the accepted reports about an event of the scenario that have a payload of this type."""
        about = self.events.get(event, {}).get("id")
        return [
            one
            for one in self.reports
            if one.status in {200, 201} and one.object().get("eventID") == about and payload_type in types_in(one)
        ]


def _sorted(requests: Iterable[HeardRequest]) -> list[HeardRequest]:
    return sorted(requests, key=lambda one: one.at)


def resources_in(report: HeardRequest) -> list[Obj]:
    """Return the resources of a report, as far as they have the shape of any."""
    resources = report.object().get("resources")
    return [one for one in resources if isinstance(one, dict)] if isinstance(resources, list) else []


def intervals_in(resource: Obj) -> list[Obj]:
    """Return the intervals of a resource in a report, as far as they have the shape of any."""
    intervals = resource.get("intervals")
    return [one for one in intervals if isinstance(one, dict)] if isinstance(intervals, list) else []


def payload_types(interval: Obj) -> set[str]:
    """Return the payload types of an interval."""
    payloads = interval.get("payloads")
    return {str(one.get("type")) for one in payloads if isinstance(one, dict)} if isinstance(payloads, list) else set()


def types_in(report: HeardRequest) -> set[str]:
    """Return all payload types of a report."""
    return {
        name
        for resource in resources_in(report)
        for interval in intervals_in(resource)
        for name in payload_types(interval)
    }
