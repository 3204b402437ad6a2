"""What is counted while serving, in the format of Prometheus: never by client, ven or object."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The numbers of one process."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        build = Gauge("oadr_vtn_build_info", "The version that runs.", ["version"], registry=self._registry)
        build.labels(version).set(1)
        self._requests = Counter(
            "oadr_vtn_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._durations = Histogram(
            "oadr_vtn_request_duration_seconds",
            "Time from the request's header to the answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._under_way = Gauge("oadr_vtn_requests_under_way", "Requests being answered.", registry=self._registry)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def begin(self) -> None:
        """A request has come."""
        self._under_way.inc()

    def end(self, method: str, route: str, status: int, duration_s: float) -> None:
        """It was answered. ``route`` is the path with its variables, so that there are only so many."""
        self._under_way.dec()
        key = (method if method in _METHODS else "other", route, status)
        found = self._known.get(key)
        if found is None:
            found = self._requests.labels(key[0], route, str(status)), self._durations.labels(key[0], route)
            self._known[key] = found
        found[0].inc()
        found[1].observe(duration_s)

    def text(self) -> bytes:
        """All numbers."""
        return generate_latest(self._registry)
