"""The home on OpenADR 2.0b: the client of OpenLEADR, and a simulated panel that it controls, in a process of its own.

``python -m oadr.demo.ven_20b`` reads its orders, one line of JSON, from standard input and ends when that is closed. It
writes a line once it is registered.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from openleadr import OpenADRClient

from oadr.demo.home_20b import REGISTERED, Orders
from oadr.demo.homes import HOME_20B
from openadr_client import Clock
from ven.drivers.simulated import Curve, SimulatedOptions, SimulatedPanel
from ven.panel.circuits import BranchCircuit

_SIGNAL: Final = "LOAD_DISPATCH"
_EVERY_S: Final = 0.2
_SAMPLE: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class AskedShed:
    """An interval of an event, and how much less it asks for, in kW."""

    start: datetime
    end: datetime
    kw: Decimal


def windows(event: dict[str, Any]) -> list[AskedShed]:
    """Return what an event asks for, from its signal LOAD_DISPATCH in kW; nothing once it is cancelled."""
    found: list[AskedShed] = []
    if event["event_descriptor"]["event_status"] == "cancelled":
        return found
    for signal in event["event_signals"]:
        if signal["signal_name"] != _SIGNAL:
            continue
        at = event["active_period"]["dtstart"]
        for interval in signal["intervals"]:
            end = at + interval["duration"]
            found.append(AskedShed(at, end, -Decimal(str(interval["signal_payload"]))))
            at = end
    return found


class House:
    """Sheds what events ask for, the circuits that matter least first, and measures."""

    def __init__(self, state_file: Path, clock: Clock) -> None:
        circuits = [BranchCircuit.model_validate(circuit) for circuit in HOME_20B.circuits]
        options = SimulatedOptions(seed=HOME_20B.seed, state_file=state_file)
        self._clock = clock
        self._panel = SimulatedPanel(circuits, options, clock)
        self._curves = {circuit.id: Curve.of(circuit, options) for circuit in circuits}
        sheddable = (circuit for circuit in circuits if not circuit.critical)
        self._sheddable = sorted(sheddable, key=lambda circuit: -circuit.priority)
        self._events: dict[str, list[AskedShed]] = {}
        self._measured_at = clock.now()

    async def on_event(self, event: dict[str, Any]) -> str:
        """Opt in to an event, new or changed."""
        self._events[event["event_descriptor"]["event_id"]] = windows(event)
        return "optIn"

    async def follow(self) -> None:
        """Keep the circuits at what is asked for now."""
        while True:
            await self.adjust()
            await asyncio.sleep(_EVERY_S)

    async def adjust(self) -> None:
        """Limit the circuits by what is asked for now, and give back the others."""
        now = self._clock.now()
        held = [each for event in self._events.values() for each in event if each.start <= now < each.end]
        left = sum((each.kw for each in held), Decimal(0))
        for circuit in self._sheddable:
            wanted = self._curves[circuit.id].kw(now)
            take = min(left, wanted * Decimal(str(circuit.shed_share)))
            if take > 0:
                await self._panel.limit(circuit.id, wanted - take, expires_at=max(each.end for each in held))
                left -= take
            else:
                await self._panel.release(circuit.id, switch_on=True)

    async def demand(self) -> list[tuple[datetime, float]]:
        """Measure the power of the whole house, in kW."""
        self._measured_at = self._clock.now()
        states = await self._panel.read()
        return [(self._measured_at, float(sum(state.power_kw or 0 for state in states.values())))]

    def baseline(self) -> list[tuple[datetime, float]]:
        """Estimate the power of the house without any event, in kW, when it was last measured."""
        at = self._measured_at
        return [(at, float(sum(curve.kw(at) for curve in self._curves.values())))]


async def main() -> None:
    """Register, opt in to events, shed and report, until standard input is closed."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    line = await reader.readline()
    if not line:
        return
    orders = msgspec.json.decode(line, type=Orders)
    house = House(Path(orders.state_file), orders.clock())
    client = OpenADRClient(
        ven_name=HOME_20B.name,
        vtn_url=orders.url,
        cert=orders.certificate,
        key=orders.key,
        ca_file=orders.ca,
        disable_signature=True,
        show_fingerprint=False,
        allow_jitter=False,
    )
    client.add_handler("on_event", house.on_event)
    client.add_handler("on_update_event", house.on_event)
    for callback, report_type, reading in (
        (house.demand, "demand", "Direct Read"),
        (house.baseline, "baseline", "Estimated"),
    ):
        client.add_report(
            callback=callback,
            resource_id="meter",
            measurement="POWER_REAL",
            scale="k",
            report_type=report_type,
            reading_type=reading,
            report_duration=timedelta(hours=1),
            sampling_rate=_SAMPLE,
        )
    await client.run()
    if client.registration_id is None:
        sys.exit("the VTN did not register this VEN")
    sys.stdout.buffer.write(REGISTERED)
    sys.stdout.buffer.flush()
    work = {asyncio.create_task(house.follow()), asyncio.create_task(reader.read())}
    done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    await client.stop()
    for task in work - done:
        task.cancel()
    for task in done:
        task.result()


if __name__ == "__main__":
    logging.getLogger("openleadr").setLevel(logging.WARNING)
    asyncio.run(main())
