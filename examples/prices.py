"""Print what is known of the prices of the next 24 hours, event by event.

VTN_URL=http://127.0.0.1:8080/openadr3/3.1.0 CLIENT_ID=home-1 CLIENT_SECRET=… python examples/prices.py
"""

import asyncio
import os
from datetime import timedelta

from openadr_client import VtnClient, event_values


async def main() -> None:
    async with VtnClient(
        base_url=os.environ["VTN_URL"],
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
    ) as vtn:
        now = vtn.clock.now()
        for event in await vtn.events.search(active=True):
            for each in event_values(event, "PRICE", since=now, until=now + timedelta(days=1)):
                print(f"{each.start:%d %H:%M} {each.value} {each.currency or ''} per {each.units or 'KWH'}")


if __name__ == "__main__":
    asyncio.run(main())
