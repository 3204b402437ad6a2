"""Runs a bridge as a process of its own, on a clock that all processes of a test share.

    python -m tests.e2e.bridge_ledger.running SETTINGS.json START MONOTONIC_S SPEED

At ``MONOTONIC_S`` of the machine's monotonic clock the shared clock showed ``START``; it runs ``SPEED`` times as fast.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from bridge_mqtt.serving import run_bridge
from bridge_mqtt.settings import Settings
from openadr_client import ScaledClock


def shared_clock(start: datetime, monotonic_s: float, speed: float) -> ScaledClock:
    """Return the clock that showed ``start`` at a moment of the machine's monotonic clock."""
    return ScaledClock(speed, start=start + timedelta(seconds=(time.monotonic() - monotonic_s) * speed))


def main() -> None:
    """Run until ended."""
    settings, start, monotonic_s, speed = sys.argv[1:]
    clock = shared_clock(datetime.fromisoformat(start), float(monotonic_s), float(speed))
    asyncio.run(run_bridge(Settings.model_validate_json(Path(settings).read_text()), clock=clock))


if __name__ == "__main__":
    main()
