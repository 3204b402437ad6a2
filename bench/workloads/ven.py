"""The VEN as a process: what it takes while nothing happens, how soon it acts, and what a large event takes.

A rate here is how many of these one core does in a second, CPU µs the processor time of one; RSS is the VEN's own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import cycle
from statistics import median
from typing import Any, Final

from bench.documents import as_bytes
from bench.homes import VenProcess, home, opted
from bench.load import load
from bench.measure import Series, percentile
from bench.results import Case, Goal
from bench.wire import request
from bench.workloads.context import WorkloadContext

NAME: Final = "VEN"
INTERVALS: Final = 100_000
_CIRCUITS: Final = (8, 32)
_SETTLE_S: Final = 3.0
_IDLE_TIMES: Final = 5
_IDLE_SHARE: Final = 0.01
_RSS_MB: Final = 70.0
_LARGE_RSS_MB: Final = 100.0
_STALL_MS: Final = 50.0
EVENTS: Final = 1_000
_PAGE_MB: Final = 10.0
_PAGES: Final = ("/", "/page/events", "/page/history", "/page/power.json?span=7d")
_PAGES_PER_S: Final = 8.0
_SETTLES_WITHIN_S: Final = 120.0
_PROBES_PER_S: Final = 200.0
_START_CIRCUITS: Final = 8
_ANSWERS_AFTER_S: Final = 0.3
_START_MS: Final = 200.0
_PUSH_MS: Final = 300.0
_AHEAD_S: Final = 3.0
_LASTS_S: Final = 3.0
_LONGEST_S: Final = 600.0
_LARGEST_BODY: Final = 32 * 1024 * 1024
_NOW: Final = "0001-01-01T00:00:00Z"


async def that_is_idle(context: WorkloadContext) -> None:
    """Measure: at most 1 % of a core with a reading each second, and 70 MB with 32 circuits."""
    if not _is_ours(context, "ven-idle"):
        return
    for number in _CIRCUITS:
        for reported in (False, True):
            event = _event(context, _SHED, start=datetime.now(UTC) + timedelta(days=1), lasts_s=3600)
            if reported:
                event = _metered(context)
            made = await context.vtn.bl.create("/events", event)
            async with _home(context, circuit_count=number, sample_s=1, poll_s=300) as there:
                await opted(context.vtn, made["id"])
                await asyncio.sleep(_SETTLE_S)
                idle_s = _IDLE_TIMES * context.seconds
                cpu, began = there.meter.cpu_s(), time.perf_counter()
                await asyncio.sleep(idle_s)
                share = (there.meter.cpu_s() - cpu) / (time.perf_counter() - began)
                rss_mb = there.meter.rss_mb()
            await context.vtn.bl.delete_all([f"/events/{made['id']}"])
            series = series_of([1000 * share], cpu_us=[1e6 * share], rss_mb=rss_mb)
            goals = (
                Goal("{}: share of a core at a reading a second", share, _IDLE_SHARE, at_most=True),
                *((Goal("{}: RSS in MB", rss_mb, _RSS_MB, at_most=True),) if number == max(_CIRCUITS) else ()),
            )
            what = "their energy reported" if reported else "an event tomorrow"
            keep(context, "ven-idle", f"a second, {number} circuits, {what}", series, *goals)


async def with_a_large_event(context: WorkloadContext) -> None:
    """Measure: at most 100 MB with 100,000 intervals, and none of the loop's waits above 50 ms."""
    if not _is_ours(context, "ven-large"):
        return
    await context.vtn.use({"OADR_VTN_BODY_LIMIT_BYTES": str(_LARGEST_BODY)})
    body = as_bytes(_large(context))
    async with _home(context, circuit_count=max(_CIRCUITS), local=True, sample_s=1, poll_s=1) as there:
        await asyncio.sleep(_SETTLE_S)
        quiet_s = await _longest_wait_s(there, context.seconds)
        watching = asyncio.create_task(_longest_wait_s(there, 0.0))
        began, cpu = time.perf_counter(), there.meter.cpu_s()
        there.meter.forget_peak()
        event_id = await context.vtn.bl.create_large("/events", body)
        await opted(context.vtn, event_id)
        taken_s = time.perf_counter() - began
        await asyncio.sleep(context.seconds)
        watching.cancel()
        (longest_s,) = await asyncio.gather(watching)
        rss_mb, peak_mb = there.meter.rss_mb(), there.meter.peak_mb()
        series = series_of([1000 * longest_s], cpu_us=[1e6 * (there.meter.cpu_s() - cpu)], rss_mb=rss_mb)
    found = (
        f"taken in {taken_s:.1f} s, peak {peak_mb:.0f} MB, "
        f"loop busy for {1000 * longest_s:.0f} ms at most ({1000 * quiet_s:.0f} before)"
    )
    goals = (
        Goal("{}: RSS in MB", rss_mb, _LARGE_RSS_MB, at_most=True),
        Goal("{}: longest wait in ms", 1000 * longest_s, _STALL_MS, at_most=True),
    )
    keep(context, "ven-large", f"{INTERVALS:,} intervals", series, *goals, found=found)


async def that_is_looked_at(context: WorkloadContext) -> None:
    """Measure: its page with 1,000 events takes at most 10 MB more, and none of the loop's waits above 50 ms."""
    if not _is_ours(context, "ven-page"):
        return
    made = []
    for number in range(EVENTS):
        start = datetime.now(UTC) + timedelta(hours=1 + number)
        made.append(await context.vtn.bl.create("/events", _event(context, _SHED, start=start, lasts_s=1800)))
    async with _home(context, circuit_count=max(_CIRCUITS), sample_s=1, poll_s=300) as alone:
        await opted(context.vtn, made[-1]["id"])
        await asyncio.sleep(_SETTLE_S)
        alone_mb = alone.meter.rss_mb()
    async with _home(context, circuit_count=max(_CIRCUITS), local=True, sample_s=1, poll_s=300) as there:
        quiet_s = await _settled_wait_s(there)
        watching = asyncio.create_task(_longest_wait_s(there, 0.0))
        cpu = there.meter.cpu_s()
        looks = await _look_at_pages(there, context.seconds)
        watching.cancel()
        (longest_s,) = await asyncio.gather(watching)
        cpu_us = 1e6 * (there.meter.cpu_s() - cpu) / len(looks)
        rss_mb = there.meter.rss_mb()
    await context.vtn.bl.delete_all([f"/events/{each['id']}" for each in made])
    more_mb = rss_mb - alone_mb
    series = series_of([1000 * each for each in looks], cpu_us=[cpu_us], rss_mb=rss_mb)
    found = f"{more_mb:.1f} MB more, loop busy for {1000 * longest_s:.0f} ms at most ({1000 * quiet_s:.0f} before)"
    goals = (
        Goal("{}: RSS in MB more than without", more_mb, _PAGE_MB, at_most=True),
        Goal("{}: longest wait in ms", 1000 * longest_s, _STALL_MS, at_most=True),
    )
    keep(context, "ven-page", f"{max(_CIRCUITS)} circuits, {EVENTS:,} events", series, *goals, found=found)


async def _settled_wait_s(there: VenProcess) -> float:
    """Return the longest wait of a second once a VEN has told of all its decisions; at the latest after two minutes."""
    ends = time.monotonic() + _SETTLES_WITHIN_S
    while (longest_s := await _longest_wait_s(there, 1.0)) > _STALL_MS / 1000 and time.monotonic() < ends:
        continue
    return longest_s


async def _look_at_pages(there: VenProcess, seconds: float) -> Sequence[float]:
    """Return how many seconds each page took, eight a second, each of them once at least."""
    assert there.local is not None
    asked, ends, sent = cycle([request(there.local, "GET", path) for path in _PAGES]), time.monotonic() + seconds, 0

    def pages() -> bytes:
        nonlocal sent
        if sent >= len(_PAGES) and time.monotonic() > ends:
            raise StopIteration
        sent += 1
        return next(asked)

    loaded = await load(there.local, pages, connections=4, seconds=_LONGEST_S, expect=200, per_second=_PAGES_PER_S)
    return loaded.latencies_s


async def at_a_start(context: WorkloadContext) -> None:
    """Measure: circuits are told within 200 ms of the second, although each of eight takes 0.3 s."""
    if not _is_ours(context, "ven-start"):
        return
    for at_once, sample_s in ((True, 1), (False, 10)):
        options = {"answers_after_s": _ANSWERS_AFTER_S, "at_once": at_once}
        driver = {"kind": "noted", "options": options}
        starts, ends = [], []
        async with _home(context, circuit_count=_START_CIRCUITS, driver=driver, sample_s=sample_s) as there:
            cpu = there.meter.cpu_s()
            for _ in range(context.rounds):
                known = len(there.notes())
                start = datetime.fromtimestamp(math.ceil(time.time() + _AHEAD_S), UTC)
                await context.vtn.bl.create("/events", _event(context, _SHED, start=start, lasts_s=_LASTS_S))
                limits = await there.told("limit", since=known, number=_START_CIRCUITS)
                back = await there.told("release", since=known, number=_START_CIRCUITS)
                starts.append(1000 * (max(limits) - start.timestamp()))
                ends.append(1000 * (max(back) - start.timestamp() - _LASTS_S))
            cpu_us = 1e6 * (there.meter.cpu_s() - cpu) / context.rounds
            rss_mb = there.meter.rss_mb()
        reads = "read together" if at_once else "read one by one"
        for what, late_ms in (("start", starts), ("end", ends)):
            series = series_of(late_ms, cpu_us=[cpu_us], rss_mb=rss_mb)
            goal = Goal("{}: latest in ms", max(late_ms), _START_MS, at_most=True)
            keep(context, "ven-start", f"{what}, {_START_CIRCUITS} circuits of 0.3 s, {reads}", series, goal)


async def that_is_told(context: WorkloadContext) -> None:
    """Measure: circuits are told within 300 ms of the POST of an event that begins now; websocket."""
    if not _is_ours(context, "ven-push"):
        return
    for name, push in (("", {"spread_s": 0}), (", spread over 0.5 s as by default", {})):
        reactions = []
        driver = {"kind": "noted", "options": {"answers_after_s": 0}}
        async with _home(context, circuit_count=_START_CIRCUITS, driver=driver, push=push, poll_s=300) as there:
            cpu = there.meter.cpu_s()
            for number in range(context.rounds + 1):
                known, told_at = len(there.notes()), time.time()
                event = await context.vtn.bl.create("/events", _event(context, _SHED, start=None, lasts_s=600))
                limits = await there.told("limit", since=known, number=_START_CIRCUITS)
                await context.vtn.bl.delete_all([f"/events/{event['id']}"])
                await there.told("release", since=known, number=_START_CIRCUITS)
                if number:
                    reactions.append(1000 * (max(limits) - told_at))
            cpu_us = 1e6 * (there.meter.cpu_s() - cpu) / (context.rounds + 1)
            series = series_of(reactions, cpu_us=[cpu_us], rss_mb=there.meter.rss_mb())
        goals = () if name else (Goal("{}: longest in ms", max(reactions), _PUSH_MS, at_most=True),)
        keep(context, "ven-push", f"websocket{name}", series, *goals)


def series_of(ms: Sequence[float], *, cpu_us: Sequence[float], rss_mb: float | None = None) -> Series:
    """Return a series of times in ms; its rate is how many of these a second has room for on one core."""
    return Series(
        NAME,
        rates=[1e6 / max(median(cpu_us), 1.0)],
        p50_ms=[median(ms)],
        p99_ms=[percentile(ms, 99)],
        cpu_us=list(cpu_us),
        generator_cpu=[0.0],
        rss_mb=rss_mb,
    )


def keep(
    context: WorkloadContext, workload: str, name: str, series: Series, *goals: Goal, found: str | None = None
) -> None:
    """Report a case, with what else was found; ``{}`` in the text of a goal is where the case is named."""

    def named(_: Case) -> tuple[Goal, ...]:
        return tuple(
            Goal(each.text.format(f"{workload} {name}"), each.value, each.bound, at_most=each.at_most) for each in goals
        )

    title = name if found is None else f"{name}: {found}"
    context.keep(workload, title, series, connections=1, goals=named)


_SHED: Final = {"type": "SIMPLE", "values": [3]}


def _home(context: WorkloadContext, **settings: Any) -> AbstractAsyncContextManager[VenProcess]:
    return home(context.vtn, context.cores, context.folder, **settings)


def _is_ours(context: WorkloadContext, workload: str) -> bool:
    if context.vtn.meter is None or context.vtn.credentials is None:
        context.skip(workload, "it starts our own VEN, and knows the VTN's clients")
        return False
    return True


def _event(
    context: WorkloadContext, payload: dict[str, Any], *, start: datetime | None, lasts_s: float
) -> dict[str, Any]:
    return {
        "programID": context.vtn.program_id,
        "eventName": "bench",
        "intervalPeriod": {"start": _NOW if start is None else start.isoformat(), "duration": f"PT{lasts_s:.0f}S"},
        "intervals": [{"id": 0, "payloads": [payload]}],
    }


def _metered(context: WorkloadContext) -> dict[str, Any]:
    """Return an event of a day, of which the energy in each quarter of an hour is to be reported."""
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "programID": context.vtn.program_id,
        "eventName": "metered",
        "reportDescriptors": [{"payloadType": "USAGE", "units": "KWH", "frequency": 1}],
        "intervalPeriod": {"start": now.isoformat(), "duration": "PT15M"},
        "intervals": [{"id": each, "payloads": [{"type": "PRICE", "values": [0.25]}]} for each in range(96)],
    }


def _large(context: WorkloadContext) -> dict[str, Any]:
    """Return an event under way with 100,000 intervals of a quarter of an hour."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return {
        **_event(context, _SHED, start=start, lasts_s=900),
        "intervals": [
            {"id": number, "payloads": [{"type": "SIMPLE", "values": [number % 4]}]} for number in range(INTERVALS)
        ],
    }


async def _longest_wait_s(there: VenProcess, seconds: float) -> float:
    """Return the longest that the local API took to answer: about the longest that the loop was busy with one thing.

    Watches for so many seconds; for 0, until it is cancelled.
    """
    assert there.local is not None
    probe, ends, is_over, sent = request(there.local, "GET", "/nothing"), time.monotonic() + seconds, False, 0

    def probes() -> bytes:
        nonlocal sent
        if sent and (is_over or (seconds and time.monotonic() > ends)):
            raise StopIteration
        sent += 1
        return probe

    probing = asyncio.create_task(
        load(there.local, probes, connections=1, seconds=_LONGEST_S, expect=404, per_second=_PROBES_PER_S)
    )
    try:
        await asyncio.shield(probing)
    except asyncio.CancelledError:
        is_over = True
    return max((await probing).latencies_s)
