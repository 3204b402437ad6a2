"""kill -9 of a real process in the middle of an event."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.support.processes import ServerProcess
from openadr_client.clock import SystemClock
from openadr_profiles.v31 import Duration, IntervalPeriod
from tests.support.waiting import wait_until
from tests.ven.builders import shed_event
from tests.ven.home import SECRET, as_request, town
from vtn.access import Role

FROM_NOW_ON = timedelta(seconds=5)
"""Length of what is left of the event when its end is set, once the home is there again: a busy machine needs long."""

PROGRAM = """
import asyncio, json, signal, sys
from ven.agent import run_ven
from ven.settings import VenSettings

async def run():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    await run_ven(VenSettings.model_validate(json.load(open(sys.argv[1]))))

asyncio.run(run())
"""


@contextmanager
def process(folder: Path, settings: dict[str, Any]) -> Iterator[ServerProcess]:
    """A VEN in a process of its own, started and ended by the test, with its files in a folder that is there."""
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    log = folder / "ven.log"
    ven = ServerProcess(
        [sys.executable, "-c", PROGRAM, str(file)], log=log, ready=lambda: "registered" in ven.log_text()
    )
    try:
        yield ven
    finally:
        ven.stop()


async def test_home_killed_in_mid_event_goes_on_without_a_second_shed_and_restores(
    tmp_path: Path, empty_database: Path
) -> None:
    clock = SystemClock()
    state_file = tmp_path / "panel.json"
    async with town(tmp_path, clock, database=empty_database) as there:
        await there.vtn.clients.add("home", Role.VEN, secret=SECRET)
        circuits = [
            {"id": "fridge", "breaker_amps": 10, "rated_kw": 1, "critical": True},
            {"id": "heater", "breaker_amps": 20, "rated_kw": 4, "shed_share": 0.5},
            {"id": "ev", "breaker_amps": 32, "rated_kw": 7, "shed_share": 1, "priority": 9},
        ]
        settings = {
            "vtn": {"url": there.vtn.base_url, "client_id": "home", "client_secret": SECRET},
            "ven_name": "home",
            "store": str(tmp_path / "ven.sqlite3"),
            "circuits": circuits,
            "driver": {"options": {"seed": 5, "state_file": str(state_file), "enforces_expiry": False}},
            "safety": {"expiry_s": 3600},
            "poll_s": 0.2,
            "sample_s": 0.1,
            "status_s": 0.5,
            "settle_s": 0,
        }

        def panel() -> Any:
            there = json.loads(state_file.read_text()) if state_file.exists() else {}
            return {name: there.get(name, {}) for name in ("limits_kw", "switched")}

        with process(tmp_path, settings) as ven:
            await asyncio.to_thread(ven.start)
            event = await there.issue(shed_event(-100, start=clock.now() + timedelta(seconds=0.5), minutes=600))
            await wait_until(lambda: len(panel()["limits_kw"]) == 2, what="circuits limited")
            before = panel()
            assert before["switched"] == {"ev": 1, "heater": 1}
            await wait_until(lambda: there.status(event), what="status reported")
            ven.stop(signal.SIGKILL)
            assert panel() == before
            (tmp_path / "ven.log").write_text("")
            await asyncio.to_thread(ven.start)
            assert panel() == before

            end = clock.now() + FROM_NOW_ON
            period: Any = event.interval_period
            shorter = IntervalPeriod(start=period.start, duration=Duration.of(end - period.start.at))
            await there.bl.events.replace(event.id, as_request(event, interval_period=shorter))
            await wait_until(lambda: panel()["limits_kw"] == {}, timeout_s=120, what="circuits returned")
            assert clock.now() >= end
            assert panel()["switched"] == {"ev": 2, "heater": 2}

            async def final_kw() -> object:
                *_, latest = await there.status(event)
                return next(shed.final_kw for shed in latest.sheds if shed.resource_name == "AGGREGATED_REPORT")

            await wait_until(final_kw, what="final power reported")
            assert len(await there.opts(event)) == 1
