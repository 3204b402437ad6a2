"""The bridge and its panels: from the second of an event to the last command and the last stored answer; metering.

Rates are panels in a second, from the event's second until the last answer is stored. The reference is a bare loop of
aiomqtt that commands the same panels over the same broker and hears their answers, in the same round.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

from bench.bridges import GROUPS, BridgeProcess, bare_s, bridge, shed_event
from bench.measure import Series, percentile
from bench.panel_fleet import EVERY_S
from bench.results import Case, Goal
from bench.workloads.context import WorkloadContext

NAME: Final = "bridge"
BARE: Final = "bare aiomqtt"
METERED_PER_S: Final = 2_000
EVENTS: Final = len(GROUPS)
_MANY: Final = 1_000
_AHEAD_S: Final = 8.0
_PREPARED_PER_S: Final = 500
"""An event is issued so many seconds before it begins, and one second more for so many panels."""
_IDLE_S: Final = 3.0
_LEAST_CPU_S: Final = 0.01
"""What the operating system's clock of processor time shows as one step."""
LASTS_S: Final = {1_000: 20}
LASTS_LONG_S: Final = 60
_PATIENCE_S: Final = 120.0
REPORTS_S: Final = 20.0
_MOST_ROUNDS: Final = 3
_SHED_KW: Final = 1.0
_OF_BARE: Final = 0.3
_STALL_MS: Final = 50.0
_FLAT: Final = 1.5
_FIRST_S: Final = 0.1
METERING_TIMES: Final = 300
_LAG_S: Final = 2.0
_LAG_EVERY_S: Final = 1.0

_LIMITS: Final = {200: (0.3, 0.5, 150.0), 1_000: (1.0, 2.0, 250.0), 10_000: (5.0, 8.0, 600.0)}
"""By the number of panels: seconds to the last command, to the last stored answer, RSS in MB."""


@dataclass(frozen=True, slots=True)
class Round:
    """One event over all panels; times are seconds after its start (or end, for ``restored_s``)."""

    first_command_s: float
    last_command_s: float
    last_stored_s: float
    restored_s: float
    stall_s: float
    cpu_us: float
    """Processor time of the bridge per panel beside metering, from the event's issue until the last stored answer."""


async def that_dispatches(context: WorkloadContext) -> None:
    """Measure dispatch at growing numbers of panels, each of which measures every five seconds."""
    if not _is_ours(context, "bridge-dispatch"):
        return
    costs: list[float] = []
    for panels in context.panels:
        async with bridge(context, panels, every_s=EVERY_S) as there:
            rounds, bare = await _rounds(context, there, [(None, _SHED_KW * panels)])
            costs.append(median(each.cpu_us for each in rounds))
            goals = [
                *_goals(there, panels, rounds),
                Goal("{}: cost of a panel beside the first number", costs[-1] / costs[0], _FLAT, at_most=True),
            ]
            _keep(context, "bridge-dispatch", f"{panels:,} panels", panels, there, rounds, bare, goals)


async def with_many_events(context: WorkloadContext) -> None:
    """Measure events that begin in the same second, each for a part of the panels."""
    if not _is_ours(context, "bridge-many-events"):
        return
    panels = min(_MANY, max(context.panels))
    async with bridge(context, panels, every_s=EVERY_S) as there:
        each_kw = _SHED_KW * panels / EVENTS
        rounds, bare = await _rounds(context, there, [(target, each_kw) for target in GROUPS])
        name = f"{EVENTS} events at once, {panels:,} panels"
        _keep(context, "bridge-many-events", name, panels, there, rounds, bare, _goals(there, panels, rounds))


async def that_meters(context: WorkloadContext) -> None:
    """Measure 2,000 messages of eight circuits a second for ten minutes (300 times ``--seconds``)."""
    if not _is_ours(context, "bridge-metering"):
        return
    panels = max(context.panels)
    async with bridge(context, panels, every_s=panels / METERED_PER_S) as there:
        seconds = METERING_TIMES * context.seconds
        sent, cpu = there.fleet.measured, there.meter.cpu_s()
        lags, stall_s = await context.watched(_lags(there, seconds), there.api)
        sent = there.fleet.measured - sent
        cpu_us = 1e6 * (there.meter.cpu_s() - cpu) / max(1, sent)
        series = _series(lags, [sent / seconds], cpu_us=[cpu_us], rss_mb=there.meter.rss_mb())
        goals = (
            Goal("{}: messages in a second", sent / seconds, 0.99 * METERED_PER_S),
            Goal("{}: longest until a message is stored, in s", max(lags), _LAG_S, at_most=True),
            Goal("{}: longest wait of the loop in ms", 1000 * stall_s, _STALL_MS, at_most=True),
        )
        found = (
            f"stored after {1000 * median(lags):.0f} ms, {1000 * max(lags):.0f} at most; loop busy {1000 * stall_s:.0f}"
        )
        name = f"{METERED_PER_S:,} messages/s for {seconds:.0f} s, {panels:,} panels"
        context.keep(
            "bridge-metering", f"{name} ({found} ms)", series, connections=1, goals=lambda _: _named(name, goals)
        )


async def _rounds(
    context: WorkloadContext, there: BridgeProcess, asked: Sequence[tuple[str | None, float]]
) -> tuple[list[Round], list[float]]:
    rounds, bare = [], []
    for _ in range(min(context.rounds, _MOST_ROUNDS)):
        bare.append(await bare_s(context, there))
        rounds.append(await _round(context, there, asked))
    return rounds, bare


async def _round(context: WorkloadContext, there: BridgeProcess, asked: Sequence[tuple[str | None, float]]) -> Round:
    """Issue events that start in the same second; return once they are over and their reports are due."""
    panels = len(there.fleet.ven_ids)
    idle_cpu, idle_at = there.meter.cpu_s(), time.time()
    await asyncio.sleep(_IDLE_S)
    cpu, issued_at = there.meter.cpu_s(), time.time()
    idle = (cpu - idle_cpu) / (issued_at - idle_at)
    ahead_s = _AHEAD_S + panels / _PREPARED_PER_S
    start = datetime.fromtimestamp(math.ceil(time.time() + ahead_s), UTC)
    length_s = next((length for most, length in LASTS_S.items() if panels <= most), LASTS_LONG_S)
    made = [
        await context.vtn.bl.create(
            "/events",
            shed_event(
                context.vtn.program_id,
                start,
                length_s=length_s,
                shed_kw=kw,
                **({} if target is None else {"target": target}),
            ),
        )
        for target, kw in asked
    ]
    events = [event["id"] for event in made]
    began, ends = start.timestamp(), start.timestamp() + length_s

    async def work() -> tuple[float, float, float]:
        """Wait in here too, since what looks at the loop begins by collecting garbage, with no eye on the panels."""
        await asyncio.sleep(began - time.time())
        stored_at = await _all_stored(there, events, "shedPanel", panels)
        busy_s = there.meter.cpu_s() - cpu - idle * (stored_at - issued_at)
        restored_at = await _all_stored(there, events, "restorePanel", panels, until=ends)
        await asyncio.sleep(REPORTS_S)
        return stored_at, busy_s, restored_at

    (stored_at, busy_s, restored_at), stall_s = await context.watched(work(), there.api)
    await context.vtn.bl.delete_all([f"/events/{event_id}" for event_id in events])
    told = [there.fleet.told[event_id] for event_id in events]
    return Round(
        first_command_s=min(each.first_shed_at for each in told) - began,
        last_command_s=max(each.last_shed_at for each in told) - began,
        last_stored_s=stored_at - began,
        restored_s=restored_at - ends,
        stall_s=stall_s,
        cpu_us=1e6 * max(busy_s, _LEAST_CPU_S) / panels,
    )


async def _all_stored(there: BridgeProcess, events: Sequence[str], op: str, count: int, *, until: float = 0.0) -> float:
    async def stored() -> bool:
        return sum([await there.acks_of(event_id, op) for event_id in events]) >= count

    within_s = _PATIENCE_S + max(0.0, until - time.time())
    return await there.until(stored, f"{count} answers to {op}", within_s=within_s)


async def _lags(there: BridgeProcess, seconds: float) -> list[float]:
    """Return how long single messages took until they were stored, in seconds, one each second."""
    ids = there.fleet.ven_ids
    lags: list[float] = []
    began = time.monotonic()
    sql = "SELECT count(*) FROM bridge_telemetry WHERE ven_id = :ven_id AND message_num = :number"
    while time.monotonic() - began < seconds:
        ven_id = ids[len(lags) % len(ids)]
        number, sent_at = await there.fleet.next_measurement(ven_id)

        async def stored(ven_id: str = ven_id, number: int = number) -> bool:
            return bool(await there.scalar(sql, ven_id=ven_id, number=number))

        lags.append(await there.until(stored, f"a message of {ven_id} stored", within_s=_PATIENCE_S) - sent_at)
        await asyncio.sleep(_LAG_EVERY_S)
    return lags


def _goals(there: BridgeProcess, panels: int, rounds: Sequence[Round]) -> list[Goal]:
    command_s, stored_s, rss_mb = next((limits for most, limits in _LIMITS.items() if panels <= most), _LIMITS[10_000])
    return [
        Goal("{}: first command in s", max(each.first_command_s for each in rounds), _FIRST_S, at_most=True),
        Goal(
            "{}: first command before its second, in s", -min(each.first_command_s for each in rounds), 0, at_most=True
        ),
        Goal("{}: last command in s", max(each.last_command_s for each in rounds), command_s, at_most=True),
        Goal("{}: last answer stored in s", max(each.last_stored_s for each in rounds), stored_s, at_most=True),
        Goal("{}: RSS in MB", there.meter.peak_mb(), rss_mb, at_most=True),
        Goal(
            "{}: longest wait of the loop in ms", 1000 * max(each.stall_s for each in rounds), _STALL_MS, at_most=True
        ),
        Goal("{}: panels told twice", len(there.fleet.stacked), 0, at_most=True),
        Goal("{}: panels left shedding", there.fleet.shedding(), 0, at_most=True),
    ]


def _keep(
    context: WorkloadContext,
    workload: str,
    name: str,
    panels: int,
    there: BridgeProcess,
    rounds: Sequence[Round],
    bare: Sequence[float],
    goals: Sequence[Goal],
) -> None:
    stored = [each.last_stored_s for each in rounds]
    series = _series(
        stored,
        [panels / each for each in stored],
        cpu_us=[each.cpu_us for each in rounds],
        rss_mb=there.meter.peak_mb(),
    )
    reference = _series(bare, [panels / each for each in bare], cpu_us=[], name=BARE)
    restored_s = median(each.restored_s for each in rounds)
    found = (
        f"first command {median(each.first_command_s for each in rounds):.2f} s, "
        f"last command {median(each.last_command_s for each in rounds):.2f} s, "
        f"last answer stored {median(stored):.2f} s, last restore stored {restored_s:.2f} s, "
        f"loop busy {1000 * max(each.stall_s for each in rounds):.0f} ms at most"
    )

    def of(case: Case) -> tuple[Goal, ...]:
        ratio = Goal("{}: part of the bare loop's rate", case.ratios[BARE], _OF_BARE)
        return _named(f"{workload} {name}", [*goals, ratio])

    context.keep(workload, f"{name} ({found})", series, reference, connections=1, goals=of)


def _series(
    latencies_s: Sequence[float],
    rates: Sequence[float],
    *,
    cpu_us: Sequence[float],
    rss_mb: float | None = None,
    name: str = NAME,
) -> Series:
    return Series(
        name,
        rates=list(rates),
        p50_ms=[1000 * median(latencies_s)],
        p99_ms=[1000 * percentile(latencies_s, 99)],
        cpu_us=list(cpu_us),
        generator_cpu=[0.0],
        rss_mb=rss_mb,
    )


def _named(name: str, goals: Sequence[Goal]) -> tuple[Goal, ...]:
    return tuple(Goal(each.text.format(name), each.value, each.bound, at_most=each.at_most) for each in goals)


def _is_ours(context: WorkloadContext, workload: str) -> bool:
    if context.vtn.meter is None or context.vtn.credentials is None:
        context.skip(workload, "it needs a VTN whose process and credentials are known")
        return False
    return True
