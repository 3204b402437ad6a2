"""Run the client of OpenLEADR as a VEN in a process of its own: what it hears is printed, one JSON object a line.

python openleadr_ven.py URL CERT KEY CA
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any

from openleadr import OpenADRClient


def say(what: str, **more: Any) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps({"what": what} | more, default=str) + "\n")
    sys.stdout.flush()


async def on_event(event: dict[str, Any]) -> str:
    """Opt in to every event."""
    descriptor = event["event_descriptor"]
    signals = [
        [signal["signal_name"], [interval["signal_payload"] for interval in signal["intervals"]]]
        for signal in event["event_signals"]
    ]
    say(
        "event",
        id=descriptor["event_id"],
        number=descriptor["modification_number"],
        status=descriptor["event_status"],
        signals=signals,
    )
    return "optIn"


async def measure() -> float:
    """Return the power of a house, in watts."""
    return 1500.0


async def main(url: str, cert: str, key: str, ca: str) -> None:
    """Register, and go on until the process is ended."""
    client = OpenADRClient(
        ven_name="openleadr",
        vtn_url=url,
        cert=cert,
        key=key,
        ca_file=ca,
        disable_signature=True,
        check_hostname=False,
        show_fingerprint=False,
        allow_jitter=False,
    )
    client.add_handler("on_event", on_event)
    client.add_handler("on_update_event", on_event)
    client.add_report(
        callback=measure,
        resource_id="meter-1",
        measurement="powerReal",
        unit="W",
        report_name="TELEMETRY_USAGE",
        sampling_rate=timedelta(seconds=1),
    )
    await client.run()
    say("registered", ven_id=client.ven_id, registration_id=client.registration_id)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
