"""Read and switch the circuits through the driver; know the last reading, the limits, and when one was lifted.

Circuits are switched at the same time, and each call has a deadline: one that fails or hangs touches no other circuit.
What the owner switches is left alone (`ven.panel.ownership`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

import structlog

from openadr_client import Clock
from ven.drivers import Driver
from ven.errors import DriverFailed
from ven.panel.calls import DriverCalls, sound
from ven.panel.charging import StoredEnergy
from ven.panel.circuits import BranchCircuit, CircuitState
from ven.panel.meter import PowerReading, RollingBaseline
from ven.panel.own_limits import OwnLimits
from ven.panel.ownership import PUT_IT_BACK, CircuitLimit, Override, expires_at
from ven.panel.returns import Returns
from ven.store.own_limits import OwnLimitRecords

_log = structlog.get_logger(__name__)

_RESTORE_WITHIN_S: Final = 2.0
"""Real seconds that a device has for each answer when the agent ends; a service manager waits for ten or more."""
_READ_WITHIN_S: Final = 5.0
"""Real seconds that a step waits for a reading at most: circuits have to be switched with or without it."""
_STEP_S: Final = 1.0
"""Real seconds that a step waits for what it switches: another circuit may be due to return meanwhile."""
_MOMENT_S: Final = 0.05
"""Real seconds that a circuit has in a step which failed at the last try."""
_TRIED_AGAIN_AFTER: Final = timedelta(seconds=5)

_Switching: TypeAlias = tuple[str, Callable[[], Coroutine[Any, Any, bool]]]
"""The id of a circuit, and what switches it: True if that was news to the device."""


class LimitGuard(Protocol):
    """End limits at their expiry when we are gone or hang; `ven.safety.guard` has it for devices that do not."""

    async def hold(self, circuit_id: str, expires_at: datetime, *, switch_on: bool = True) -> None:
        """Have a limit ended at its expiry if we do not. Never raises."""

    def drop(self, circuit_id: str) -> None:
        """Have a limit forgotten: it is ended. Never raises."""


class Switchgear:
    """Read and switch. A circuit that fails is logged and tried again next time; the others are not affected.

    Every step is `read`, `judge`, `lift`, `intend`, `lower`, in this order. A limit is given the expiry `now + expiry`,
    but none after the events that want it, and is renewed in the second half of that time. `deadline_s` is what each
    call of the driver may take, in real seconds; `spread` is the time over which circuits return. A `guard` is told of
    every limit before the device is.

    A circuit that takes longer than a second, or that failed before, is not waited for: it is switched behind the step,
    and later steps leave it alone until that has ended. Then ``again`` is called if there is something new, for a step
    is due.
    """

    def __init__(
        self,
        circuits: Sequence[BranchCircuit],
        driver: Driver,
        clock: Clock,
        records: OwnLimitRecords,
        *,
        baseline_s: float,
        hold: timedelta,
        expiry: timedelta,
        deadline_s: float,
        spread: timedelta = timedelta(0),
        guard: LimitGuard | None = None,
        again: Callable[[], None] | None = None,
    ) -> None:
        self.circuits = tuple(circuits)
        self.ids = tuple(circuit.id for circuit in circuits)
        self.last: PowerReading | None = None
        self.states: Mapping[str, CircuitState] = {}
        self.lifted_at: dict[str, datetime] = {}
        self._driver = driver
        self._guard = guard
        self._clock = clock
        self._expiry = expiry
        self._spread = spread
        self._own = OwnLimits(self.ids, records, expiry=expiry)
        self._returns = Returns({circuit.id: circuit.priority for circuit in circuits}, spread=spread)
        self._calls = DriverCalls(deadline_s=deadline_s)
        self._under_way: frozenset[str] | None = None
        self._wanted: Mapping[str, CircuitLimit] = {}
        self._again = again or (lambda: None)
        self._switching: dict[str, asyncio.Task[bool]] = {}
        self._behind: set[str] = set()
        self._left_out: set[str] = set()
        self._moving: set[str] = set()
        self._failing: dict[str, str] = {}
        self.read_takes = timedelta(0)
        """The time that the last reading took, by the clock."""
        self._baseline = RollingBaseline(span=timedelta(seconds=baseline_s), hold=hold)

    async def load(self) -> None:
        """Take up the limits and overrides that an earlier process has left; call before the first reading."""
        await self._own.load()
        for circuit_id, own in self._own.stranded.items():
            told = f"an earlier run has limited it to {own.limit_kw} kW, and it is not in the settings any more"
            self._failing[circuit_id] = told = f"{told}: {PUT_IT_BACK}"
            _log.error("a limit of ours cannot be ended", circuit=circuit_id, problem=told)
        if self._guard is not None:
            for circuit_id, own in list(self._own.own.items()):
                await self._guard.hold(circuit_id, self._clock.now() + self._expiry, switch_on=not own.taken)

    @property
    def limits(self) -> Mapping[str, Decimal]:
        """Return our limits in kW that are in force, or may be, by circuit id."""
        return self._own.limits_kw

    @property
    def left_alone(self) -> Mapping[str, str]:
        """Return the circuits that are not to be limited now, each with the reason."""
        return self._own.left_alone

    @property
    def available(self) -> tuple[BranchCircuit, ...]:
        """Return all circuits, those to be left alone now as circuits of which nothing may be taken."""
        left_alone = self.left_alone
        return tuple(
            each.model_copy(update={"shed_share": Decimal(0)}) if each.id in left_alone else each
            for each in self.circuits
        )

    @property
    def problems(self) -> dict[str, str]:
        """Return what the device cannot do now, by circuit id or ``reading``."""
        return dict(self._failing)

    @property
    def overrides(self) -> Mapping[str, Override]:
        """Return the circuits that their owner has taken over during an event, by id."""
        return self._own.overrides

    @property
    def stranded(self) -> Collection[str]:
        """Return the circuits that an earlier run has limited and that are not in the settings any more."""
        return self._own.stranded.keys()

    def stored(self, circuit_ids: Iterable[str]) -> dict[str, StoredEnergy]:
        """Return what these circuits have stored by the last reading; those that do not tell are left out."""
        states = ((id_, self.states[id_]) for id_ in circuit_ids if id_ in self.states)
        return {
            id_: StoredEnergy(state.charge_kwh, state.capacity_kwh)
            for id_, state in states
            if state.charge_kwh is not None and state.capacity_kwh is not None
        }

    def give_back(self, circuit_id: str) -> None:
        """End an override: the circuit may be limited again. Forget a limit on one that is not ours any more."""
        if circuit_id in self.stranded:
            self._failing.pop(circuit_id, None)
        self._own.give_back(circuit_id)

    async def read(self) -> PowerReading | None:
        """Read the circuits; return None if the device does not answer."""
        self._moving = set(self._switching)
        began_s = self._clock.monotonic_s()
        try:
            within_s = min(self._calls.deadline_s, _READ_WITHIN_S)
            self.states = sound(await self._calls.make("read", self._driver.read, deadline_s=within_s), self.ids)
        except DriverFailed as error:
            self.states = {}
            self._tell("reading", "circuits cannot be read", error)
            return None
        finally:
            self.read_takes = timedelta(seconds=max(self._clock.monotonic_s() - began_s, 0.0))
        self._failing.pop("reading", None)
        self.last = PowerReading(
            self._clock.now(),
            self._known(lambda state: state.power_kw),
            counter_kwh=self._known(lambda state: state.energy_kwh),
            charge_kwh=self._known(lambda state: state.charge_kwh),
            capacity_kwh=self._known(lambda state: state.capacity_kwh),
        )
        left_alone = self.left_alone
        if not self.limits and all(each.limit_kw is None or id_ in left_alone for id_, each in self.states.items()):
            self._baseline.add(self.last)
        return self.last

    @property
    def is_slow(self) -> bool:
        """Return True if the last reading took so long that circuits had better be switched before the next one."""
        return self.read_takes.total_seconds() > _MOMENT_S * self._clock.speed

    def judge(self, under_way: Iterable[str], *, is_settled: bool = True) -> None:
        """Learn from the last reading what the owner has done; `under_way` are the events that are carried out now.

        It is not settled if it came right after switching, or before: limits that it does not show are not missing.
        Of circuits that we were switching while it was made it says nothing: what moves there is our own hand.
        """
        self._under_way = frozenset(under_way)
        self._own.judge(self._at_rest(), self._clock.now(), self._under_way, is_settled=is_settled)

    def judge_switching(self) -> None:
        """Learn from the reading after switching, during the same events: what moves later is the owner's hand."""
        if self._under_way is not None:
            self._own.judge(self._at_rest(), self._clock.now(), self._under_way, is_settled=False)

    def undisturbed_kw(self, now: datetime) -> dict[str, Decimal]:
        """Return the mean uncurtailed power in kW before now, by circuit id."""
        return self._baseline.at(now, self.ids)

    async def lift(self, wanted: Mapping[str, CircuitLimit]) -> bool:
        """Let circuits draw more where the wanted limits say so; True if any was switched."""
        self._wanted = dict(wanted)
        now = self._clock.now()
        own = self._own.own
        more = {id_: limit for id_, limit in wanted.items() if id_ in own and limit.limit_kw > own[id_].limit_kw}
        more = self._own.intend(more, now)
        over = [id_ for id_ in own if id_ not in wanted and not own[id_].taken]
        back, waiting = self._returns.due(over, now)
        back += [id_ for id_ in own if own[id_].taken]
        kept = {id_: CircuitLimit(own[id_].limit_kw, at - self._spread) for id_, at in waiting.items()}
        kept = {id_: limit for id_, limit in kept.items() if self._is_due(id_, limit, now)}
        switching: list[_Switching] = [(id_, partial(self._release, id_)) for id_ in (*back, *self._own.not_back())]
        switching += [(id_, partial(self._limit, id_, limit)) for id_, limit in (more | kept).items()]
        return await self._all(switching)

    def intend(self, wanted: Mapping[str, CircuitLimit]) -> None:
        """Have it recorded which circuits are about to be limited: it has to be on disk before `lower`."""
        self._own.intend(wanted, self._clock.now())

    async def lower(self, wanted: Mapping[str, CircuitLimit]) -> bool:
        """Let circuits draw less where the wanted limits say so, and renew limits; True if any was switched."""
        now = self._clock.now()
        allowed = self._own.intend(wanted, now)
        due = {id_: limit for id_, limit in allowed.items() if self._is_due(id_, limit, now)}
        return await self._all((id_, partial(self._limit, id_, limit)) for id_, limit in due.items())

    async def restore(self) -> None:
        """Lift every limit in force, whatever fails: each circuit for itself, none for longer than a few seconds."""
        await self._end_switching()
        self._moving = set(self._switching)
        try:
            told = await self._calls.make("read", self._driver.read, deadline_s=_RESTORE_WITHIN_S)
            self.states = sound(told, self.ids)
            if self._under_way is None:  # nobody can tell which overrides are over
                self._own.adopt(self.states, self._clock.now())
            else:
                self.judge(self._under_way)
        except Exception as error:  # those that we know of are lifted
            _log.error("limits cannot be read", problem=str(error))
        back = [(id_, partial(self._release, id_, deadline_s=_RESTORE_WITHIN_S)) for id_ in self._own.own]
        await self._all(back, is_last=True)

    def next_wake(self, now: datetime) -> datetime | None:
        """Return when there is something to switch again: a turn to return, or what failed at the last try."""
        turn = self._returns.next_after(now)
        now = self._clock.now()
        if not self._is_undone(now):
            return turn
        again = now + _TRIED_AGAIN_AFTER
        return again if turn is None else min(turn, again)

    def _is_undone(self, now: datetime) -> bool:
        """Return True if a circuit should have returned and has not, or should be limited and is not."""
        for id_, own in self._own.own.items():
            wanted = self._wanted.get(id_)
            if own.taken or wanted is None:
                if own.taken or not self._returns.has_turn(id_, now):
                    return True
            elif self._is_due(id_, wanted, now):
                return True
        return False

    def _at_rest(self) -> dict[str, CircuitState]:
        """Return the states of the circuits that were not being switched since the last reading began."""
        return {id_: state for id_, state in self.states.items() if id_ not in self._moving}

    def _known(self, member: Callable[[CircuitState], Decimal | None]) -> dict[str, Decimal]:
        """Return one member of the states by circuit id, of those circuits of which it is known."""
        each = ((id_, member(self.states[id_])) for id_ in self.ids if id_ in self.states)
        return {id_: value for id_, value in each if value is not None}

    def _is_due(self, circuit_id: str, limit: CircuitLimit, now: datetime) -> bool:
        """Return True if the device is to be told of a limit: it is new or lost, or its expiry is to be another."""
        known = self._own.own[circuit_id].expires_at
        if known is None or circuit_id in self._own.missing:
            return True
        wanted = expires_at(limit, now, expiry=self._expiry, spread=self._spread)
        return wanted < known or (wanted > known and known - now <= self._expiry / 2)

    async def _all(self, switching: Iterable[_Switching], *, is_last: bool = False) -> bool:
        """Switch circuits at the same time; True if any was switched meanwhile.

        Those that take longer than a second go on behind this step, and so do those that failed before, after a moment.
        At the last time all have as long as they need. A circuit that still is at an earlier switching is left out: it
        is tried again when that is over.
        """
        tasks: dict[str, asyncio.Task[bool]] = {}
        for id_, switch in switching:
            if id_ in self._switching:
                self._left_out.add(id_)
            else:
                self._moving.add(id_)
                tasks[id_] = self._switching[id_] = asyncio.create_task(switch(), name=f"switching: {id_}")
                tasks[id_].add_done_callback(partial(self._over, id_))
        try:
            if waited_for := [task for id_, task in tasks.items() if is_last or id_ not in self._failing]:
                await asyncio.wait(waited_for, timeout=None if is_last else _STEP_S)
            if failing := [task for task in tasks.values() if not task.done()]:
                await asyncio.wait(failing, timeout=_MOMENT_S)
        except BaseException:
            for task in tasks.values():
                task.cancel()
            raise
        self._behind |= {id_ for id_, task in tasks.items() if not task.done()}
        return any(_is_true(task) for task in tasks.values())

    def _over(self, circuit_id: str, task: asyncio.Task[bool]) -> None:
        """Take note that a circuit is switched, or that this has failed."""
        del self._switching[circuit_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            problem = DriverFailed(f"{type(error).__name__}: {error}".rstrip(": "))
            self._tell(circuit_id, "circuit cannot be switched", problem)
        is_news = circuit_id in self._behind and _is_true(task)
        if is_news or circuit_id in self._left_out:
            self._again()
        self._behind.discard(circuit_id)
        self._left_out.discard(circuit_id)

    async def _end_switching(self) -> None:
        """Let what is switched behind come to its end, and cancel it if that takes long."""
        if tasks := set(self._switching.values()):
            _, late = await asyncio.wait(tasks, timeout=_RESTORE_WITHIN_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_RESTORE_WITHIN_S)

    async def _release(self, circuit_id: str, *, deadline_s: float | None = None) -> bool:
        """End our limit on a circuit, and remember it; False if the device did not do it."""
        own = self._own.own.get(circuit_id)
        switch_on = own is None or not own.taken
        is_last = deadline_s is not None
        if self._guard is not None and own is not None and not (is_last and switch_on):  # we try again ourselves
            await self._guard.hold(circuit_id, self._clock.now() + self._expiry, switch_on=switch_on)

        async def call() -> None:
            await self._driver.release(circuit_id, switch_on=switch_on)

        if not await self._call(circuit_id, "circuit cannot be returned", call, deadline_s=deadline_s):
            return False
        self._own.ended(circuit_id)
        if self._guard is not None:
            self._guard.drop(circuit_id)
        self._returns.returned(circuit_id)
        self.lifted_at[circuit_id] = self._clock.now()
        _log.info("circuit returned", circuit=circuit_id, switched_on=switch_on)
        return True

    async def _limit(self, circuit_id: str, limit: CircuitLimit) -> bool:
        """Limit a circuit or renew its limit, and remember it; True if that was new to the device."""
        until = expires_at(limit, self._clock.now(), expiry=self._expiry, spread=self._spread)

        async def call() -> None:
            await self._driver.limit(circuit_id, limit.limit_kw, expires_at=until)

        if self._guard is not None:
            await self._guard.hold(circuit_id, until)
        if (own := self._own.own.get(circuit_id)) is None:
            return False
        is_new = own.expires_at is None and not own.seen
        if not await self._call(circuit_id, "circuit cannot be limited", call):
            return False
        if (own := self._own.own.get(circuit_id)) is None or own.limit_kw != limit.limit_kw:
            self._again()  # another limit is wanted meanwhile, or none
            return False
        self._own.given(circuit_id, until, self._clock.now())
        if is_new:
            _log.info("circuit limited", circuit=circuit_id, limit_kw=str(limit.limit_kw))
        return is_new

    async def _call(
        self, circuit_id: str, failure: str, call: Callable[[], Any], *, deadline_s: float | None = None
    ) -> bool:
        try:
            await self._calls.make(circuit_id, call, deadline_s=deadline_s)
        except DriverFailed as error:
            self._tell(circuit_id, failure, error)
            return False
        if self._failing.pop(circuit_id, None) is not None:
            _log.info("circuit answers again", circuit=circuit_id)
        return True

    def _tell(self, what: str, failure: str, error: DriverFailed) -> None:
        """Log a failure once: it is tried again at every reading."""
        if self._failing.get(what) != (told := f"{failure}: {error}"):
            self._failing[what] = told
            _log.error(failure, circuit=what, problem=str(error))


def _is_true(task: asyncio.Task[bool]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result()
