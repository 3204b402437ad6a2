"""Watch a VEN from a process of its own, and end each limit at its expiry if the VEN does not.

It hears through its standard input what the VEN holds and until when, in lines of JSON: first a job (the driver and its
circuits), then `{"hold": id, "until": t, "switch_on": true}` and `{"drop": id}`. `t` is on the machine's monotonic
clock, which all processes share and nobody sets. While the pipe is open a limit that is past its time belongs to a VEN
that hangs, and is ended a moment later. When the pipe is closed the VEN is gone: what it still holds is ended at its
time, at once on SIGTERM, or never if another VEN has come meanwhile that knows the circuit: it holds the lock, with the
ids of its circuits in it. With nothing left to hold the process ends.

It imports next to nothing until it has to act, and a driver only then.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, Final

_PATIENCE_S: Final = 5.0
"""So long after the expiry of a limit a VEN that is there may still end it itself."""
_AGAIN_S: Final = 5.0
"""A device that does not answer is asked again after so long."""
_MOST_LOOKS: Final = 3
"""So often another VEN is seen to hold the lock before the circuits are left to it."""
_MOST_TRIES: Final = 12
"""So often a device is asked of whose circuits the VEN that runs knows nothing: both may want the same connection."""
_MOST_SAID: Final = 100
_LONGEST_LINE: Final = 1 << 20


class HeldLimits:
    """Hold what the VEN holds, as its lines tell, and what is to be ended when."""

    def __init__(self) -> None:
        self.job: dict[str, Any] | None = None
        self.held: dict[str, tuple[float, bool]] = {}
        self.is_open = True
        self.is_stopped = False
        self.looks_left = _MOST_LOOKS
        self._rest = b""
        self._said: set[str] = set()
        self._tries_left = _MOST_TRIES

    def feed(self, data: bytes) -> None:
        """Take what has come through the pipe; nothing means that it is closed."""
        if not data:
            self.is_open = False
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise ValueError("a line of the VEN is too long")
        for line in lines:
            self._take(json.loads(line))

    def overdue(self, now: float) -> dict[str, bool]:
        """Return the circuits whose limits are to be ended now, each with whether it is to be switched on."""
        if not self.is_open and self.is_stopped:
            return {id_: switch_on for id_, (_, switch_on) in self.held.items()}
        late = now - (_PATIENCE_S if self.is_open else 0.0)
        return {id_: switch_on for id_, (until, switch_on) in self.held.items() if until <= late}

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until a limit is overdue; None if there is none."""
        until = min((until for until, _ in self.held.values()), default=None)
        return None if until is None else max(until + (_PATIENCE_S if self.is_open else 0.0) - now, 0.0)

    def put_off(self, circuits: dict[str, bool]) -> None:
        """Come back to these circuits in a while; a service manager kills what it cannot wait for."""
        for circuit_id, switch_on in circuits.items():
            self.held[circuit_id] = (time.monotonic() + _AGAIN_S, switch_on)
            self.is_stopped = False

    def leave(self, circuits: dict[str, bool], theirs: frozenset[str] | None) -> None:
        """Leave circuits to another VEN, whose circuits are `theirs` (None: all); for good if it is seen again."""
        self.put_off(circuits)
        self.looks_left -= 1
        if self.looks_left <= 0:
            self.held = {id_: each for id_, each in self.held.items() if theirs is not None and id_ not in theirs}

    def ended(self, circuit_ids: set[str]) -> None:
        """Forget limits that are ended."""
        for circuit_id in circuit_ids:
            self.held.pop(circuit_id, None)
            self._said.clear()

    def give_up(self, circuits: dict[str, bool]) -> None:
        """Count a try to end limits of circuits that nobody knows any more, and forget them when it was the last."""
        self._tries_left -= 1
        if circuits and self._tries_left <= 0:
            self.say(f"limits of {', '.join(sorted(circuits))} cannot be ended: switch them on by hand")
            self.held = {id_: each for id_, each in self.held.items() if id_ not in circuits}

    def say(self, text: str) -> None:
        """Write a line for whoever reads the log of the VEN, unless it was written since a limit was ended."""
        if text in self._said:
            return
        if len(self._said) >= _MOST_SAID:
            self._said.clear()
        self._said.add(text)
        with suppress(OSError):
            sys.stderr.write(f"watchdog of the VEN: {text}\n")
            sys.stderr.flush()

    def _take(self, told: dict[str, Any]) -> None:
        if self.job is None:
            self.job = told
        elif "hold" in told:
            self.held[told["hold"]] = (float(told["until"]), bool(told["switch_on"]))
        else:
            self.held.pop(told["drop"], None)


def main() -> None:
    """Watch until there is nothing left to watch."""
    if os.fork():  # the VEN has no child to wait for, and init takes care of this process
        os._exit(0)
    os.setsid()
    signals, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = HeldLimits()
    signal.signal(signal.SIGTERM, lambda *_: setattr(watch, "is_stopped", True))
    while watch.is_open or watch.held:
        _listen(watch, signals)
        if overdue := watch.overdue(time.monotonic()):
            _act(watch, overdue)


def _listen(watch: HeldLimits, signals: int) -> None:
    """Wait for a line, a signal or the next expiry, whatever comes first."""
    sources = [0, signals] if watch.is_open else [signals]
    wait_s = 0.0 if watch.overdue(time.monotonic()) else watch.wait_s(time.monotonic())
    ready, _, _ = select.select(sources, [], [], wait_s)
    if signals in ready:
        os.read(signals, 1024)
    if 0 in ready:
        watch.feed(os.read(0, 1 << 16))


def _act(watch: HeldLimits, overdue: dict[str, bool]) -> None:
    """End limits, but not of circuits that another VEN looks after."""
    job = watch.job or {}
    lock = None
    is_another_there = False
    if not watch.is_open:
        with suppress(OSError):  # without a lock nobody can tell, and the limits are overdue
            lock = os.open(job["lock"], os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if lock is not None and _is_held_by_another(lock):
            is_another_there = True
            theirs = _circuits_in(lock)
            known = {id_: on for id_, on in overdue.items() if theirs is None or id_ in theirs}
            overdue = {id_: on for id_, on in overdue.items() if id_ not in known}
            if known:
                watch.leave(known, theirs)
            if not overdue:
                return
            why = "is gone, and the one that runs does not know them"
        else:
            watch.looks_left = _MOST_LOOKS
            why = "hangs" if watch.is_open else "is gone"
        watch.say(f"the VEN {why}: limits of {', '.join(sorted(overdue))} are ended")
        ended = _release(watch, job, overdue)
    finally:
        if lock is not None:
            os.close(lock)
    watch.ended(ended)
    left = {id_: on for id_, on in overdue.items() if id_ not in ended}
    if is_another_there:
        watch.give_up(left)
    watch.put_off({id_: on for id_, on in left.items() if id_ in watch.held})


def _circuits_in(lock: int) -> frozenset[str] | None:
    """Return the circuits of the VEN that holds the lock; None if it does not say, and all may be its own."""
    try:
        told = json.loads(os.pread(lock, _LONGEST_LINE, 0))
    except (OSError, ValueError):
        return None
    return frozenset(map(str, told)) if isinstance(told, list) else None


def _is_held_by_another(lock: int) -> bool:
    """Return True if another VEN runs; if not, keep it from starting while we end limits."""
    import fcntl  # noqa: PLC0415 # not before there is something to do

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _release(watch: HeldLimits, job: dict[str, Any], overdue: dict[str, bool]) -> set[str]:
    """Return the circuits whose limits are ended; whatever fails is said and leaves the others alone."""
    import asyncio  # noqa: PLC0415

    from ven.safety.releasing import release  # noqa: PLC0415

    try:
        ended = asyncio.run(release(job, overdue))
    except Exception as error:
        watch.say(f"limits cannot be ended: {type(error).__name__}: {error}")
        return set()
    if left := sorted(overdue.keys() - ended):
        watch.say(f"the device does not end the limits of {', '.join(left)}: it is asked again")
    return ended


if __name__ == "__main__":
    main()
