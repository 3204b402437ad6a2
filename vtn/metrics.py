"""Metrics in the format of Prometheus; no label names a client, ven or object.

Numbers are counted where all workers can read them, so that any worker can tell the sum, and a worker that dies
takes nothing with it. A slot holds rows: the first for numbers without labels, then one for each method, route and
status, written once with its key in front of its values and never moved. A counter with a label has a row of its own.

prometheus_client writes the text only. Its multiprocess mode counts in files, which stay behind when a worker dies and
have to be swept; a request costs 14 microseconds there and 0.8 here (gauge, counter and histogram, one core of a small
server), and its import, which a start here does without, 0.1 seconds.
"""

from __future__ import annotations

import asyncio
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeAlias

from vtn.processes.shared_memory import SharedMemory

if TYPE_CHECKING:
    from prometheus_client import Metric

    from vtn.services import Services

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS: Final = (*(str(bound) for bound in _BUCKETS), "+Inf")
_SUM: Final = len(_BOUNDS)

_KEY_BYTES: Final = 256
_ROW_BYTES: Final = 768
_ROW: Final = _ROW_BYTES // 8
_FIRST_VALUE: Final = _KEY_BYTES // 8
_LENGTH: Final = struct.Struct("@H")
_LONGEST: Final = _KEY_BYTES - _LENGTH.size
_REST: Final = ("other", "other", 0)
"""Row that counts requests when no free row is left."""

UNDER_WAY: Final = 0
CONNECTIONS: Final = 1
REFUSED: Final = 2
ANSWERS_BYTES: Final = 3
ANSWERS_MADE: Final = 4
REPORTS_WAITING: Final = 5
REPLACED: Final = 6
ABANDONED: Final = 7
BODIES_BYTES: Final = 8
BODIES_REFUSED: Final = 9
UNSUITABLE: Final = 10
SENDING_BYTES: Final = 11
SENDING_REFUSED: Final = 12
SENDING_CUT: Final = 13
WEBSOCKETS: Final = 14
WEBSOCKET_MESSAGES: Final = 15
WEBSOCKETS_DROPPED: Final = 16
READS_DROPPED: Final = 17
UNKNOWN_20B: Final = 18
INVALID_20B: Final = 19
TELEMETRY_MISSING_20B: Final = 20
PUSHED_20B: Final = 21
PUSHES_20B_FAILED: Final = 22
UNREACHED_20B: Final = 23
REPORTS_READ: Final = 24
REPORTS_UNREADABLE: Final = 25
VALUES_LEFT_OUT: Final = 26
VALUES_ASSUMED: Final = 27
REPORTS_UNREAD: Final = 28

_GAUGES: Final = {
    UNDER_WAY: ("oadr_vtn_requests_under_way", "Requests being answered."),
    CONNECTIONS: ("oadr_vtn_connections", "Connections open."),
    ANSWERS_BYTES: ("oadr_vtn_answers_kept_bytes", "Memory for answers that may be given again, about."),
    REPORTS_WAITING: ("oadr_vtn_reports_waiting", "Reports that wait for the next commit."),
    BODIES_BYTES: ("oadr_vtn_bodies_bytes", "Bodies of requests in hand, as declared, received or unpacked."),
    SENDING_BYTES: ("oadr_vtn_answers_in_flight_bytes", "Memory for large answers that are being sent."),
    WEBSOCKETS: ("oadr_vtn_websockets", "Websockets open."),
    REPORTS_UNREAD: ("oadr_vtn_reports_unread", "Reports that wait to be read into the tables of readings and events."),
    UNREACHED_20B: ("oadr_vtn_20b_unreached", "VENs of OpenADR 2.0b that pushes do not reach, after many attempts."),
}
_COUNTERS: Final = {
    REFUSED: ("oadr_vtn_connections_refused", "Connections refused because there were too many."),
    ANSWERS_MADE: ("oadr_vtn_answers_made", "Answers to GET made anew, because none was kept that still held."),
    ABANDONED: ("oadr_vtn_uploads_abandoned", "Requests whose client hung up before the body was whole."),
    BODIES_REFUSED: ("oadr_vtn_bodies_refused", "Requests refused because bodies took all the memory meant for them."),
    SENDING_REFUSED: (
        "oadr_vtn_answers_refused",
        "Requests refused because large answers took all the memory for them.",
    ),
    SENDING_CUT: ("oadr_vtn_answers_cut", "Large answers that ended early, as an object or the database was gone."),
    WEBSOCKET_MESSAGES: ("oadr_vtn_websocket_messages", "Messages sent to websockets."),
    WEBSOCKETS_DROPPED: ("oadr_vtn_websockets_dropped", "Websockets closed because their clients did not read."),
    READS_DROPPED: ("oadr_vtn_reads_not_told", "Reads of which nobody was told, because too many waited."),
    UNKNOWN_20B: ("oadr_vtn_20b_unknown_certificates", "Requests with a certificate that nobody has enrolled."),
    INVALID_20B: ("oadr_vtn_20b_invalid_messages", "Messages to VENs that check_sent found against the schemas."),
    TELEMETRY_MISSING_20B: ("oadr_vtn_20b_telemetry_missing", "Times that a VEN's values were overdue."),
    PUSHED_20B: ("oadr_vtn_20b_pushes", "Messages pushed to VENs of OpenADR 2.0b and answered by them."),
    PUSHES_20B_FAILED: ("oadr_vtn_20b_pushes_failed", "Attempts to push a message to a VEN of OpenADR 2.0b in vain."),
    UNSUITABLE: ("oadr_vtn_unsuitable_payload_values", "Events and reports with payload values unlike their type."),
    REPORTS_READ: ("oadr_vtn_reports_read", "Reports read into the tables of readings and events."),
    REPORTS_UNREADABLE: ("oadr_vtn_reports_unreadable", "Reports of which nothing could be read."),
    VALUES_LEFT_OUT: ("oadr_vtn_report_values_left_out", "Values in reports that could not be read."),
    VALUES_ASSUMED: ("oadr_vtn_report_values_without_units", "Values in reports without a unit, taken as kWh or kW."),
    REPLACED: ("oadr_vtn_workers_replaced", "Workers that ended and were replaced."),
}

_FIRST_SERVICE: Final = 40
_LAST_SERVICE: Final = _ROW - 2
"""Numbers of the row for numbers without labels that are kept for services, two each: restarts, and one that runs."""

_SAMPLE_S: Final = 1.0

_Key: TypeAlias = tuple[str, str, int]

_LABELLED: Final = "="
"""In the place of the method: a row with one number for each value of a label."""
_MOST_VALUES: Final = _ROW - _FIRST_VALUE


class LabelledCounter:
    """A counter with one label, whose values are all known beforehand."""

    def __init__(self, name: str, meaning: str, label: str, places: Mapping[str, int], own: memoryview[float]) -> None:
        self.name = name
        self.meaning = meaning
        self.label = label
        self.places = places
        self._own = own

    def add(self, value: str, more: float = 1.0) -> None:
        """Count ``more`` under a value of the label; raises KeyError for one that is not known."""
        self._own[self.places[value]] += more


class Metrics:
    """The numbers of all workers, of which this process counts its own."""

    def __init__(self, version: str, shared: SharedMemory) -> None:
        self._parts = shared.part("metrics")
        self._own = self._parts[shared.slot].cast("d")
        self._raw = self._parts[shared.slot]
        self._places = {key: number * _ROW + _FIRST_VALUE for number, key in _keys(self._raw)}
        self._next = len(self._places) + 1
        self._sampled: list[tuple[int, float, Callable[[], float]]] = []
        clear_gauges(self._raw)
        self._services: list[str] = []
        self._labelled: list[LabelledCounter] = []
        self._sums = _Sums(version, self._parts, self._services, self._labelled)

    def begin(self) -> None:
        """Count a request that begins."""
        self._own[UNDER_WAY] += 1.0

    def end(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an answered request. ``route`` is the path with its variables, so that there are only so many."""
        own = self._own
        own[UNDER_WAY] -= 1.0
        key = (method if method in _METHODS else "other", route, status)
        at = self._places.get(key)
        if at is None:
            at = self._place(key)
        own[at + bisect_left(_BUCKETS, duration_s)] += 1.0
        own[at + _SUM] += duration_s

    def abandon(self) -> None:
        """Count a request whose client hung up before its body was whole: there is nobody to answer."""
        self._own[UNDER_WAY] -= 1.0
        self._own[ABANDONED] += 1.0

    def add(self, number: int, more: float) -> None:
        """Change a number without labels."""
        self._own[number] += more

    def labelled(self, name: str, meaning: str, *, label: str, values: Iterable[str]) -> LabelledCounter:
        """Return a counter with one label; all workers ask for the same ones, with the same values.

        Raises ValueError for more values than a row has numbers.
        """
        every = list(values)
        if len(every) > _MOST_VALUES:
            raise ValueError(f"{name}: expected at most {_MOST_VALUES} values of {label}")
        first = self._place((_LABELLED, name, 0))
        places = {value: first + number for number, value in enumerate(every)}
        made = LabelledCounter(name, meaning, label, places, self._own)
        self._labelled.append(made)
        return made

    def sample(self, number: int, source: Callable[[], float]) -> None:
        """Take a number from elsewhere, from time to time and when somebody asks this process."""
        before = self._own[number] if number in _COUNTERS else 0.0
        self._sampled.append((number, before, source))

    def sample_services(self, services: Services) -> None:
        """Take the numbers of background services. All workers have the same ones, in the same order."""
        for name in services.names:
            number = _FIRST_SERVICE + 2 * len(self._services)
            if number > _LAST_SERVICE:
                raise ValueError(f"there is no room for the numbers of the service {name!r}")
            self._services.append(name)
            self._sampled.append((number, self._own[number], partial(services.restarts.__getitem__, name)))
            self._sampled.append((number + 1, 0.0, partial(services.is_running, name)))

    async def follow(self) -> None:
        """Take the numbers from elsewhere, for those who ask other processes."""
        while True:
            self._take_samples()
            await asyncio.sleep(_SAMPLE_S)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        from prometheus_client import generate_latest  # noqa: PLC0415 (a start need not wait for it)

        self._take_samples()
        return generate_latest(self._sums)

    def _take_samples(self) -> None:
        for number, before, source in self._sampled:
            self._own[number] = before + source()

    def _place(self, key: _Key) -> int:
        """Return the place of a key's values; a route that is too long counts with those that begin like it."""
        method, route, status = key
        text = f"{method} {status} {route}".encode()[:_LONGEST]
        written = _key(text)
        if written not in self._places:
            is_full = self._next >= len(self._raw) // _ROW_BYTES - 1
            self._places[written] = self._place(_REST) if is_full and key != _REST else self._new_row(text)
        self._places[key] = self._places[written]
        return self._places[key]

    def _new_row(self, text: bytes) -> int:
        """Add a row; other processes see it once its length is written."""
        number, self._next = self._next, self._next + 1
        start = number * _ROW_BYTES
        self._raw[start + _LENGTH.size : start + _LENGTH.size + len(text)] = text
        _LENGTH.pack_into(self._raw, start, len(text))
        return number * _ROW + _FIRST_VALUE


def count(part: memoryview, number: int) -> None:
    """Add one to a number that the process of this slot does not count itself."""
    part.cast("d")[number] += 1.0


def clear_gauges(part: memoryview) -> None:
    """Set the gauges of a process that has ended to zero."""
    numbers = part.cast("d")
    for number in (*_GAUGES, *range(_FIRST_SERVICE + 1, _LAST_SERVICE + 2, 2)):
        numbers[number] = 0.0


class _Sums:
    """The sums over all slots, as the library collects them."""

    def __init__(
        self,
        version: str,
        parts: Sequence[memoryview],
        services: Sequence[str],
        labelled: Sequence[LabelledCounter],
    ) -> None:
        self._version = version
        self._parts = parts
        self._services = services
        self._labelled = labelled

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        from prometheus_client.metrics_core import (  # noqa: PLC0415 (a start need not wait for it)
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        slots = [part.cast("d") for part in self._parts]
        counts: defaultdict[_Key, float] = defaultdict(float)
        by_value: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * _MOST_VALUES)
        durations: dict[tuple[str, str], list[float]] = {}
        for part, slot in zip(self._parts, slots, strict=True):
            for number, (method, route, status) in _keys(part):
                first = number * _ROW + _FIRST_VALUE
                if method == _LABELLED:
                    more_by_value = slot[first : first + _MOST_VALUES]
                    by_value[route] = [one + more for one, more in zip(by_value[route], more_by_value, strict=True)]
                    continue
                values = list(slot[first : first + _SUM + 1])
                counts[method, route, status] += sum(values[:_SUM])
                before = durations.setdefault((method, route), [0.0] * len(values))
                durations[method, route] = [one + more for one, more in zip(before, values, strict=True)]
        build = GaugeMetricFamily("oadr_vtn_build_info", "The version that runs.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        requests = CounterMetricFamily("oadr_vtn_requests", "Requests answered.", labels=["method", "route", "status"])
        for (method, route, status), count in counts.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests
        histogram = HistogramMetricFamily(
            "oadr_vtn_request_duration_seconds",
            "Time from the request's header to the answer.",
            labels=["method", "route"],
        )
        for labels, values in durations.items():
            buckets = list(zip(_BOUNDS, accumulate(values[:_SUM]), strict=True))
            histogram.add_metric(labels, buckets, values[_SUM])
        yield histogram
        for number, (name, meaning) in _GAUGES.items():
            yield GaugeMetricFamily(name, meaning, sum(slot[number] for slot in slots))
        for number, (name, meaning) in _COUNTERS.items():
            yield CounterMetricFamily(name, meaning, sum(slot[number] for slot in slots))
        for each in self._labelled:
            counter = CounterMetricFamily(each.name, each.meaning, labels=[each.label])
            for label_value, its_count in zip(each.places, by_value[each.name], strict=False):
                counter.add_metric([label_value], its_count)
            yield counter
        restarts = CounterMetricFamily(
            "oadr_vtn_service_restarts", "Starts of background services after they failed.", labels=["service"]
        )
        running = GaugeMetricFamily(
            "oadr_vtn_services_running", "Workers in which a background service runs.", labels=["service"]
        )
        for number, name in enumerate(self._services):
            first = _FIRST_SERVICE + 2 * number
            restarts.add_metric([name], sum(slot[first] for slot in slots))
            running.add_metric([name], sum(slot[first + 1] for slot in slots))
        yield restarts
        yield running


def _keys(part: memoryview) -> Iterator[tuple[int, _Key]]:
    """Yield the rows that have a key, with their numbers."""
    for number in range(1, len(part) // _ROW_BYTES):
        start = number * _ROW_BYTES
        (length,) = _LENGTH.unpack_from(part, start)
        if not length:
            return
        yield number, _key(bytes(part[start + _LENGTH.size : start + _LENGTH.size + length]))


def _key(text: bytes) -> _Key:
    method, status, route = text.decode(errors="replace").split(" ", 2)
    return method, route, int(status)
