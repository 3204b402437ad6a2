"""The examples, run as a reader would run them: programs of their own, against a real VTN."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from openadr_client import SystemClock, event_request, find_or_create_program
from tests.support.waiting import wait_until
from tests.ven.home import SECRET, Town
from vtn.access import Role

EXAMPLES = Path(__file__).parents[2] / "examples"


async def started(name: str, town: Town, client_id: str, **variables: str) -> asyncio.subprocess.Process:
    """Start an example, with its output as pipes."""
    told = {"VTN_URL": town.vtn.base_url, "CLIENT_ID": client_id, "CLIENT_SECRET": SECRET, **variables}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / name,
        env=os.environ | told,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> str:
    """Return what an example has printed when it has ended well."""
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_an_event_is_issued_carried_out_reported_and_written_as_csv(town: Town) -> None:
    """Business logic asks, the thermostat lowers for the time of the event and reports, and both see the report."""
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    home = await started("thermostat.py", town, "home-1", POLL_S="0.2")
    try:
        await wait_until(town.bl.vens.search)
        said = await finished(await started("issue_event.py", town, "bl", BEGINS_IN_S="3", LENGTH_S="3"))
    finally:
        home.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(60):
                out, err = await home.communicate()
        finally:
            with suppress(ProcessLookupError):
                home.kill()

    assert "home-1 thermostat: DEMAND 1.2 KW" in said.splitlines()
    assert "home-1 AGGREGATED_REPORT: OPT OPT_IN" in said.splitlines()
    printed = [line for line in out.decode().splitlines() if "[info " not in line]  # nobody has configured the log
    assert printed == ["setpoint 19 °C", "setpoint 21 °C", "reported"], err.decode()
    table = await finished(await started("reports_to_csv.py", town, "bl"))
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["payload_type"] == "DEMAND"]
    assert [(row["resource_name"], row["value"], row["units"]) for row in rows] == [("thermostat", "1.2", "KW")]


async def test_the_prices_of_the_next_day_are_printed(town: Town) -> None:
    program = await find_or_create_program(town.bl, "prices")
    start = SystemClock().now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hour = timedelta(hours=1)
    prices = event_request(program.id, "PRICE", [0.31, 0.28, *[0.2] * 40], start=start, duration=hour, units="KWH")
    await town.bl.events.create(prices)
    await town.bl.events.create(event_request(program.id, "SIMPLE", [1], start=start, duration=hour))
    lines = (await finished(await started("prices.py", town, "bl"))).splitlines()
    assert lines[:2] == [f"{start:%d %H:%M} 0.31  per KWH", f"{start + hour:%d %H:%M} 0.28  per KWH"]
    assert len(lines) == 24


def test_every_example_is_run() -> None:
    run = {"issue_event.py", "thermostat.py", "reports_to_csv.py", "prices.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == run
