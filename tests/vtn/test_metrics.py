"""The numbers of /metrics: counted by one process or several, told by any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from vtn.metrics import ANSWERS_MADE, CONNECTIONS, Metrics, clear_gauges
from vtn.processes.shared_memory import SharedMemory, made

REQUESTS = "oadr_vtn_requests_total"
DURATIONS = "oadr_vtn_request_duration_seconds"


def told(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every number under its name and the values of its labels, sorted by the names of these."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


@pytest.fixture
def memory() -> Iterator[int]:
    """Yield the descriptor of the memory that two workers share."""
    fd = made(2)
    yield fd
    os.close(fd)


def worker(memory: int, seat: int) -> Metrics:
    """The numbers of one of two."""
    return Metrics("1", SharedMemory(slots=2, slot=seat, fd=memory))


def answer(metrics: Metrics, route: str, times: int = 1, status: int = 200, duration_s: float = 0.001) -> None:
    """Some requests."""
    for _ in range(times):
        metrics.begin()
        metrics.end("GET", route, status, duration_s)


def test_all_workers_tell_the_sum(memory: int) -> None:
    """Whoever answers the scrape; what only one of them counted too."""
    one, other = worker(memory, 0), worker(memory, 1)
    answer(one, "/a", 3)
    answer(other, "/a", 4, duration_s=0.5)
    answer(other, "/b", status=404)
    other.begin()
    one.add(CONNECTIONS, 2)
    other.add(CONNECTIONS, 5)

    found = told(one)

    assert found == told(other)
    assert found[REQUESTS, "GET", "/a", "200"] == 7
    assert found[REQUESTS, "GET", "/b", "404"] == 1
    assert found[f"{DURATIONS}_count", "GET", "/a"] == 7
    assert found[f"{DURATIONS}_bucket", "0.001", "GET", "/a"] == 3
    assert found[f"{DURATIONS}_bucket", "0.5", "GET", "/a"] == 7
    assert found[f"{DURATIONS}_sum", "GET", "/a"] == pytest.approx(2.003)
    assert found["oadr_vtn_requests_under_way",] == 1
    assert found["oadr_vtn_connections",] == 7


def test_who_takes_a_seat_goes_on_counting_there(memory: int) -> None:
    """A counter never goes backwards, a gauge begins anew."""
    one, other = worker(memory, 0), worker(memory, 1)
    answer(other, "/a", 4)
    answer(other, "/b")
    other.sample(ANSWERS_MADE, lambda: 10)
    told(other)
    other.begin()
    del other

    successor = worker(memory, 1)
    assert told(one)["oadr_vtn_requests_under_way",] == 0
    successor.sample(ANSWERS_MADE, lambda: 2)
    answer(successor, "/a")
    answer(successor, "/c")

    found = told(successor)
    assert [found[REQUESTS, "GET", route, "200"] for route in ("/a", "/b", "/c")] == [5, 1, 1]
    assert found["oadr_vtn_answers_made_total",] == 12
    assert found == told(one)


def test_a_counter_with_a_label_sums_over_workers_and_their_successors(memory: int) -> None:
    """Each value is told from the start; a value that nobody knows is refused."""
    one, other = worker(memory, 0), worker(memory, 1)
    kinds: Any = {"label": "kind", "values": ["A", "B", "other"]}
    ours = one.labelled("oadr_lost", "Lost.", **kinds)
    other.labelled("oadr_lost", "Lost.", **kinds).add("A", 2)
    answer(one, "/a")
    ours.add("A")
    worker(memory, 1).labelled("oadr_lost", "Lost.", **kinds).add("B")

    found = told(one)
    assert [found["oadr_lost_total", kind] for kind in ("A", "B", "other")] == [3, 1, 0]
    assert {name[1:] for name in found if name[0] == REQUESTS} == {("GET", "/a", "200")}
    with pytest.raises(KeyError):
        ours.add("C")
    with pytest.raises(ValueError, match="at most 64"):
        one.labelled("oadr_many", "Many.", label="kind", values=map(str, range(65)))


def test_what_a_dead_worker_had_at_the_moment_is_gone(memory: int) -> None:
    """Even before somebody takes its seat; what it counted stays."""
    one, other = worker(memory, 0), worker(memory, 1)
    other.begin()
    answer(other, "/a")

    clear_gauges(SharedMemory(slots=2, fd=memory).part("metrics")[1])

    found = told(one)
    assert (found["oadr_vtn_requests_under_way",], found[REQUESTS, "GET", "/a", "200"]) == (0, 1)


def test_durations_are_those_of_the_library() -> None:
    """The bounds belong to their buckets."""
    ours, registry = Metrics("1", SharedMemory()), CollectorRegistry()
    bounds = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
    theirs = Histogram(DURATIONS, "Same.", ["method", "route"], buckets=bounds, registry=registry)
    for duration_s in (0.0, 0.0001, *bounds, 0.0011, 0.3, 9.99, 10.01, 3600.0):
        answer(ours, "/a", duration_s=duration_s)
        theirs.labels("GET", "/a").observe(duration_s)

    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith(DURATIONS)]
    assert {line for line in lines if "_created" not in line} <= set(ours.text().decode().splitlines())


def test_more_kinds_of_requests_than_there_is_room_for_are_counted_together(memory: int) -> None:
    """Nothing is lost, nothing grows; also with a successor."""
    one = worker(memory, 0)
    for number in range(6000):
        answer(one, f"/{number}")
    answer(worker(memory, 0), "/7000")

    found = {name[1:]: value for name, value in told(one).items() if name[0] == REQUESTS}
    assert len(found) == 4095
    assert found["other", "other", "0"] == 6001 - 4094
    assert sum(found.values()) == 6001


def test_a_route_that_is_too_long_counts_with_those_that_begin_like_it(memory: int) -> None:
    """Also where it is cut within a letter."""
    one = worker(memory, 0)
    long = "/" + "é" * 200
    answer(one, long + "/a")
    answer(one, long + "/b")
    answer(worker(memory, 0), long + "/a")

    (count,) = [value for (name, *_), value in told(one).items() if name == REQUESTS]
    assert count == 3


def test_methods_that_do_not_exist_are_one() -> None:
    """A client does not decide how many numbers there are."""
    metrics = Metrics("1", SharedMemory())
    for number in range(100):
        metrics.begin()
        metrics.end(f"M{number}", "none", 404, 0.1)

    assert told(metrics)[REQUESTS, "other", "none", "404"] == 100
