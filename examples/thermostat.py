"""A VEN in handler style: a thermostat that heats two degrees less while an event asks for it, and reports its power.

VTN_URL=http://127.0.0.1:8080/openadr3/3.1.0 CLIENT_ID=home-1 CLIENT_SECRET=… python examples/thermostat.py
"""

import asyncio
import os

from openadr_client import HandlerVen, VtnClient, attributes
from openadr_profiles.v31 import Event


class Thermostat:
    """A pretended device: it draws 2 kW at 21 °C, and less when it is set lower."""

    usual_c = 21.0
    setpoint_c = usual_c

    @property
    def power_kw(self) -> float:
        return 2.0 - 0.4 * (self.usual_c - self.setpoint_c)

    def set(self, celsius: float) -> None:
        if celsius != self.setpoint_c:
            print(f"setpoint {celsius:g} °C", flush=True)
        self.setpoint_c = celsius


async def main() -> None:
    thermostat = Thermostat()
    async with VtnClient(
        base_url=os.environ["VTN_URL"],
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
    ) as vtn:
        ven = HandlerVen(
            vtn,
            name=os.environ["CLIENT_ID"],
            resources={"thermostat": attributes({"MAX_POWER_CONSUMPTION": 2.0})},
            poll_s=float(os.environ.get("POLL_S", "60")),
        )

        @ven.on_event
        async def take_part(event: Event) -> None:
            await ven.opt(event, opted_in=True)

        @ven.during
        async def heat_less(event: Event) -> None:
            """Follow the levels of an event to its end, then report the mean power of the last level."""
            now = ven.clock.now()
            timeline = ven.timeline(event)
            lowered_at, lowered_kw = now, None
            try:
                while not timeline.transpired(now):
                    level = timeline.values_at(now).get("SIMPLE")
                    thermostat.set(thermostat.usual_c - (2 if level and level.values[0] else 0))
                    if level:
                        lowered_at, lowered_kw = level.start, thermostat.power_kw
                    change = timeline.next_change(now)
                    if change is None:  # open until it is modified or deleted
                        await asyncio.Event().wait()
                    else:
                        await ven.clock.sleep_until(change)
                        now = change
            finally:  # also when the event is modified or deleted, or this program ends
                thermostat.set(thermostat.usual_c)
            if lowered_kw is not None:
                power = {"thermostat": [lowered_kw]}
                await ven.report(event, "DEMAND", power, start=lowered_at, duration=now - lowered_at, units="KW")
                print("reported", flush=True)

        await ven.run()


if __name__ == "__main__":
    asyncio.run(main())
