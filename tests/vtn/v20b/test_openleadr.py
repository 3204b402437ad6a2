"""The client of OpenLEADR, an implementation that knows nothing of ours, as a VEN in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.pki import Pki, TlsFiles
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import OPERATOR, RealTime, fingerprint_of, v20b_settings
from vtn.settings import Settings

_SCRIPT = Path(__file__).with_name("openleadr_ven.py")


class OpenleadrVen:
    """The process, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []

    async def listen(self) -> None:
        """Read what it says, until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"{"):
                self.said.append(json.loads(line))

    def heard(self, **members: Any) -> bool:
        """Return whether it has said something with these members."""
        return any(members.items() <= each.items() for each in self.said)


@asynccontextmanager
async def openleadr(port: int, files: TlsFiles) -> AsyncIterator[OpenleadrVen]:
    """Run the VEN."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_SCRIPT),
        f"https://127.0.0.1:{port}/OpenADR2/Simple/2.0b",
        str(files.certificate),
        str(files.key),
        str(files.ca),
        stdout=asyncio.subprocess.PIPE,
    )
    ven = OpenleadrVen(process)
    listening = asyncio.create_task(ven.listen())
    try:
        yield ven
    finally:
        process.kill()
        await process.wait()
        await listening


async def started(settings: Settings) -> VtnUnderTest:
    """Start a VTN that goes by the time of this machine."""
    vtn = VtnUnderTest(settings, RealTime())
    await vtn.start()
    return vtn


async def test_a_whole_session_with_a_restart_in_between(migrated_url: str, pki: Pki) -> None:
    """B-REG, B-POL, B-EVT-009, B-EVT-010, B-EVT-041, B-CRE-001, B-RPT-011: event, opt, change, cancel, report."""
    files = pki.client("openleadr")
    settings = settings_for(migrated_url, v20b=v20b_settings(pki, poll_s=1, telemetry_every_s=1, telemetry_back_s=1))
    vtn = await started(settings)
    stores, port = vtn.server.stores, vtn.server.port_20b
    assert stores is not None
    assert port is not None
    await stores.v20b.vens.enrol("home-1", by=OPERATOR, fingerprint=fingerprint_of(files))
    bl = vtn.bl
    program = await bl.program()
    start = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def event_of(level: int) -> dict[str, Any]:
        return {
            "programID": program["id"],
            "intervalPeriod": {"start": start, "duration": "PT30M"},
            "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [level]}]}],
        }

    async with openleadr(port, files) as ven:
        event = (await bl.post("/events", event_of(1))).ok(201)
        await wait_until(lambda: ven.heard(what="event", id=event["id"], number=0), timeout_s=60)
        (await bl.put(f"/events/{event['id']}", event_of(2))).ok()
        await wait_until(lambda: ven.heard(what="event", id=event["id"], number=1), timeout_s=60)
        await vtn.stop()

        again = v20b_settings(pki, poll_s=1, telemetry_every_s=1, telemetry_back_s=1) | {"port": port}
        vtn = await started(settings_for(migrated_url, v20b=again))
        bl = vtn.bl

        async def opted_in() -> bool:
            return "optIn" in json.dumps((await bl.get("/reports", {"eventID": event["id"]})).ok())

        async def measured() -> bool:
            found = [each for each in (await bl.get("/reports")).ok() if each["eventID"] != event["id"]]
            return '"values": [1500.0]' in json.dumps(found)

        await wait_until(opted_in, timeout_s=60)
        await wait_until(measured, timeout_s=60)
        (await bl.delete(f"/events/{event['id']}")).ok()
        await wait_until(lambda: ven.heard(what="event", id=event["id"], status="cancelled"), timeout_s=60)
        assert ven.process.returncode is None
    await vtn.stop()
