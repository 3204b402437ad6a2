"""Business logic: ask every VEN to shed for a while, wait for what they report, and print it.

VTN_URL=http://127.0.0.1:8080/openadr3/3.1.0 CLIENT_ID=bl-1 CLIENT_SECRET=… python examples/issue_event.py
"""

import asyncio
import os
from datetime import timedelta

from openadr_client import VtnClient, event_request, find_or_create_program, readings, wait_for_reports

BEGINS_IN = timedelta(seconds=float(os.environ.get("BEGINS_IN_S", "60")))
LENGTH = timedelta(seconds=float(os.environ.get("LENGTH_S", "3600")))


async def main() -> None:
    async with VtnClient(
        base_url=os.environ["VTN_URL"],
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
    ) as vtn:
        program = await find_or_create_program(vtn, "demand-response")
        begins = vtn.clock.now() + BEGINS_IN
        event = await vtn.events.create(
            event_request(program.id, "SIMPLE", [1], start=begins, duration=LENGTH, name="less heat")
        )
        print(f"event {event.id} begins at {begins:%H:%M:%S}")

        # One VEN of this example sends two reports: that it takes part, and afterwards its power.
        patience_s = (BEGINS_IN + LENGTH).total_seconds() + 300
        reports = await wait_for_reports(vtn, event.id, at_least=2, within_s=patience_s, poll_s=1)
        for each in readings(reports):
            print(
                f"{each.client_name} {each.resource_name}: {each.payload_type} {each.value} {each.units or ''}".rstrip()
            )


if __name__ == "__main__":
    asyncio.run(main())
