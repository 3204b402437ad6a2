"""Limits end with their event when the VEN is killed, hangs or is stopped: with real processes (V17)."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bench.support.processes import ServerProcess
from openadr_client.clock import SystemClock
from tests.support.waiting import wait_until
from tests.ven.builders import a_circuit, shed_event
from tests.ven.home import SECRET, town
from tests.ven.test_kill import process
from ven.drivers.simulated import create
from ven.panel.circuits import BranchCircuit
from ven.safety import guard as guard_module
from ven.safety.guard import WatchdogGuard
from ven.safety.watchdog import HeldLimits
from vtn.access import Role

LENGTH = timedelta(seconds=15)
CIRCUITS = [a_circuit("heater", shed_share="0.5"), a_circuit("ev", priority=9)]
MARK = "WATCHED_HOME"
"""A variable of the environment by which the processes of one home are found, the watchdog too."""


def lines(*told: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in told)


def hold(circuit_id: str, until: float, *, switch_on: bool = True) -> dict[str, Any]:
    return {"hold": circuit_id, "until": until, "switch_on": switch_on}


def test_limits_are_overdue_at_once_when_the_ven_is_gone_and_later_when_it_may_only_be_late() -> None:
    watch = HeldLimits()
    watch.feed(lines({"kind": "simulated"}, hold("ev", 10), hold("heater", 20, switch_on=False)))
    assert watch.overdue(10) == {}
    assert watch.overdue(16) == {"ev": True}
    watch.feed(b"")
    assert watch.overdue(10) == {"ev": True}
    assert watch.wait_s(4) == 6
    assert watch.overdue(25) == {"ev": True, "heater": False}


def test_a_limit_is_renewed_and_dropped_and_lines_may_come_in_pieces() -> None:
    watch = HeldLimits()
    told = lines({"kind": "simulated"}, hold("ev", 10), hold("ev", 30), hold("heater", 5), {"drop": "heater"})
    for place in range(len(told)):
        watch.feed(told[place : place + 1])
    assert watch.overdue(34) == {}
    assert watch.overdue(35) == {"ev": True}
    assert watch.wait_s(20) == 15
    watch.feed(lines({"drop": "ev"}, {"drop": "ev"}))
    assert watch.wait_s(20) is None


def test_a_service_manager_that_ends_what_a_dead_ven_left_has_limits_ended_at_once() -> None:
    watch = HeldLimits()
    watch.feed(lines({"kind": "simulated"}, hold("ev", 1000)))
    watch.is_stopped = True
    assert watch.overdue(0) == {}, "the VEN is there and ends it itself"
    watch.feed(b"")
    assert watch.overdue(0) == {"ev": True}


def test_endless_line_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        HeldLimits().feed(b"x" * (1 << 21))


def settings(folder: Path, url: str, name: str, *, enforces_expiry: bool) -> dict[str, Any]:
    folder.mkdir()
    return {
        "vtn": {"url": url, "client_id": name, "client_secret": SECRET},
        "ven_name": name,
        "store": str(folder / "ven.sqlite3"),
        "circuits": [each.model_dump(mode="json") for each in CIRCUITS],
        "driver": {"options": {"state_file": str(folder / "panel.json"), "enforces_expiry": enforces_expiry}},
        "push": {"mode": "off"},
        "poll_s": 0.5,
        "sample_s": 0.5,
        "settle_s": 0,
    }


async def limits(home: dict[str, Any]) -> dict[str, Any]:
    """Return the limits that a home's panel keeps, as one finds it who looks at it now."""
    async with create(CIRCUITS, home["driver"]["options"], SystemClock()) as panel:
        return {id_: state.limit_kw for id_, state in (await panel.read()).items() if state.limit_kw is not None}


def processes(folder: Path) -> dict[int, bytes]:
    """Return the command lines of the processes of a home that are alive, by process id."""
    mark, found = f"{MARK}={folder}".encode(), {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes()
    return found


async def limited(home: dict[str, Any]) -> None:
    async def both() -> bool:
        return len(await limits(home)) == 2

    await wait_until(both, what=f"{home['ven_name']}: circuits limited")


async def returned(home: dict[str, Any]) -> None:
    async def none() -> bool:
        return await limits(home) == {}

    await wait_until(none, timeout_s=60, what=f"{home['ven_name']}: circuits returned")


def resume(ven: ServerProcess) -> None:
    if ven.pid is not None:
        os.kill(ven.pid, signal.SIGCONT)


async def gone(folder: Path) -> None:
    await wait_until(lambda: not processes(folder), what=f"{folder.name}: no process is left")


async def killed(pid: int) -> None:
    """Kill a process and wait until its files are closed: it lets go of its memory, and of its environment, before."""

    def is_over() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    os.kill(pid, signal.SIGKILL)
    await wait_until(is_over, what="it is dead")


async def test_limits_end_with_their_event_whatever_becomes_of_the_ven(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four homes: killed with a plain relay, killed with a device that ends limits itself, hanging, and stopped."""
    clock = SystemClock()
    vens: dict[str, ServerProcess] = {}
    homes: dict[str, dict[str, Any]] = {}
    async with town(tmp_path, clock, database=empty_database) as there:
        with ExitStack() as stack:
            for name in ("killed", "device", "hangs", "stopped"):
                await there.vtn.clients.add(name, Role.VEN, secret=SECRET)
                folder = tmp_path / name
                homes[name] = settings(folder, there.vtn.base_url, name, enforces_expiry=name == "device")
                vens[name] = stack.enter_context(process(folder, homes[name]))
                monkeypatch.setenv(MARK, str(folder))
                await asyncio.to_thread(vens[name].start)
            assert [len(processes(tmp_path / name)) for name in homes] == [2, 1, 2, 2], "a watchdog where it is needed"
            end = clock.now() + LENGTH
            await there.issue(shed_event(-100, start=end - LENGTH, minutes=LENGTH / timedelta(minutes=1)))
            await asyncio.gather(*map(limited, homes.values()))

            vens["killed"].stop(signal.SIGKILL)
            vens["device"].stop(signal.SIGKILL)
            hanging = vens["hangs"].pid
            assert hanging is not None
            os.kill(hanging, signal.SIGSTOP)
            stack.callback(resume, vens["hangs"])
            assert clock.now() < end, "the machine is too slow for this test"
            assert set(await limits(homes["killed"])) == {"heater", "ev"}, "the event goes on"
            vens["stopped"].stop(signal.SIGTERM)
            assert await limits(homes["stopped"]) == {}
            for name in ("killed", "device", "hangs"):
                await returned(homes[name])
                assert clock.now() >= end, "an event is carried out to its end"
            for name in ("killed", "device", "stopped"):
                await gone(tmp_path / name)
            resume(vens["hangs"])
            vens["hangs"].stop(signal.SIGTERM)
            await gone(tmp_path / "hangs")
            assert await limits(homes["hangs"]) == {}


def guard(folder: Path, home: dict[str, Any], circuits: Sequence[BranchCircuit] = CIRCUITS) -> WatchdogGuard:
    options = home["driver"]["options"]
    return WatchdogGuard(
        kind="simulated", options=options, circuits=circuits, deadline_s=5, lock=folder / "lock", clock=SystemClock()
    )


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A home's settings, with a panel whose charger is limited and that ends no limit itself."""
    folder = tmp_path / "home"
    monkeypatch.setenv(MARK, str(folder))
    home = settings(folder, "http://127.0.0.1:1", "home", enforces_expiry=False)
    async with create(CIRCUITS, home["driver"]["options"], SystemClock()) as panel:
        await panel.limit("ev", Decimal(0), expires_at=SystemClock().now())
    return home


async def test_watchdog_that_dies_is_started_again_and_hears_all_that_is_held(
    tmp_path: Path, home: dict[str, Any]
) -> None:
    soon, late = (SystemClock().now() + timedelta(seconds=seconds) for seconds in (1, 3600))
    async with guard(tmp_path, home) as watched:
        await watched.hold("ev", soon)
        await watched.hold("heater", late)
        (watchdog,) = processes(tmp_path / "home")
        await killed(watchdog)
        await gone(tmp_path / "home")
        await watched.hold("heater", late)
        assert len(processes(tmp_path / "home")) == 1
        watched.drop("heater")
    await returned(home)
    await gone(tmp_path / "home")


async def test_circuits_that_find_at_once_that_the_watchdog_is_gone_start_one_new_one(
    tmp_path: Path, home: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, late = tmp_path / "home", SystemClock().now() + timedelta(seconds=3600)
    starts: list[int] = []
    launched = guard_module._launched

    def counted() -> int:
        starts.append(launched())
        return starts[-1]

    monkeypatch.setattr(guard_module, "_launched", counted)

    async def renewed_after_its_death() -> int:
        (watchdog,) = processes(folder)
        await killed(watchdog)
        await gone(folder)
        await asyncio.gather(*(watched.hold(each.id, late) for each in CIRCUITS * 5))
        return len(processes(folder))

    async with guard(tmp_path, home) as watched:
        assert await renewed_after_its_death() == 1
        assert len(starts) == 2
        assert await renewed_after_its_death() == 0, "not twice in a minute"
        assert len(starts) == 2
        monkeypatch.setattr(watched, "_again_at", 0.0)
        await watched.hold("ev", late)
        assert len(processes(folder)) == 1, "a minute later"
        for each in CIRCUITS:
            watched.drop(each.id)
    await gone(folder)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("raised", [RuntimeError("can't start new thread"), OSError("too many open files"), None])
async def test_watchdog_that_cannot_be_started_leaves_nothing_open_and_raises_nothing(
    tmp_path: Path, home: dict[str, Any], monkeypatch: pytest.MonkeyPatch, raised: Exception | None
) -> None:
    started, go_on = threading.Event(), threading.Event()
    launched = guard_module._launched

    def hangs() -> int:
        started.set()
        if raised is not None:
            raise raised
        go_on.wait(30)
        return launched()

    async with guard(tmp_path, home) as watched:
        (watchdog,) = processes(tmp_path / "home")
        monkeypatch.setattr(guard_module, "_launched", hangs)  # the guard may see its death before we do
        await killed(watchdog)
        await gone(tmp_path / "home")
        held = asyncio.create_task(watched.hold("ev", SystemClock().now() + timedelta(seconds=3600)))
        await wait_until(started.is_set, what="it is started")
        before = open_files()
        if raised is None:
            held.cancel()
            with suppress(asyncio.CancelledError):
                await held
            go_on.set()
            await gone(tmp_path / "home")
        else:
            await held
        await wait_until(lambda: open_files() <= before, what="the pipe is closed")
    await gone(tmp_path / "home")


async def test_start_of_a_watchdog_that_hangs_holds_up_nobody(
    tmp_path: Path, home: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    launched = guard_module._launched

    def hangs() -> int:
        go_on.wait(30)
        return launched()

    monkeypatch.setattr(guard_module, "_launched", hangs)
    monkeypatch.setattr(guard_module, "_STARTED_WITHIN_S", 0.05)
    with capture_logs() as logs:
        async with guard(tmp_path, home) as watched:
            await watched.hold("ev", SystemClock().now() + timedelta(seconds=3600))
    assert "it has not started within 0.05 s" in {log.get("problem") for log in logs}
    go_on.set()
    await gone(tmp_path / "home")


async def test_watchdog_of_a_dead_ven_ends_limits_of_circuits_that_the_next_one_does_not_know(
    tmp_path: Path, home: dict[str, Any]
) -> None:
    heater = [each for each in CIRCUITS if each.id == "heater"]
    async with create(CIRCUITS, home["driver"]["options"], SystemClock()) as panel:
        await panel.limit("heater", Decimal(0), expires_at=SystemClock().now())
    async with guard(tmp_path, home) as dead:
        for circuit_id in ("ev", "heater"):
            await dead.hold(circuit_id, SystemClock().now() + timedelta(seconds=1))
        (first,) = processes(tmp_path / "home")
    async with guard(tmp_path, home, heater):
        await wait_until(lambda: first not in processes(tmp_path / "home"), what="the first watchdog ends")
        assert set(await limits(home)) == {"heater"}
    await gone(tmp_path / "home")


async def test_watchdog_of_a_dead_ven_leaves_the_circuits_to_the_next_one(tmp_path: Path, home: dict[str, Any]) -> None:
    async with guard(tmp_path, home) as dead:
        await dead.hold("ev", SystemClock().now() + timedelta(seconds=1))
        (first,) = processes(tmp_path / "home")
    async with guard(tmp_path, home) as alive:
        await alive.hold("ev", SystemClock().now() + timedelta(seconds=3600))
        await wait_until(lambda: first not in processes(tmp_path / "home"), what="the first watchdog ends")
        assert set(await limits(home)) == {"ev"}
        alive.drop("ev")
    await gone(tmp_path / "home")
    assert set(await limits(home)) == {"ev"}


async def test_ven_without_a_watchdog_goes_on(
    tmp_path: Path, home: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    with capture_logs() as logs:
        async with guard(tmp_path / "nowhere", home) as watched:
            await watched.hold("ev", SystemClock().now())
            watched.drop("ev")
    assert {log["event"] for log in logs} >= {
        "the watchdog's lock cannot be used",
        "no watchdog: limits may stay if this process is killed",
    }
