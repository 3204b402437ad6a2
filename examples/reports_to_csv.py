"""Write every value of the reports on an event, or on all events, as CSV to standard output.

VTN_URL=… CLIENT_ID=bl-1 CLIENT_SECRET=… python examples/reports_to_csv.py [EVENT_ID]
"""

import asyncio
import csv
import os
import sys
from dataclasses import astuple, fields

from openadr_client import Reading, VtnClient, readings


async def main(event_id: str | None) -> None:
    async with VtnClient(
        base_url=os.environ["VTN_URL"],
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
    ) as vtn:
        reports = await vtn.reports.search(event_id=event_id)
    table = csv.writer(sys.stdout)
    table.writerow(field.name for field in fields(Reading))
    table.writerows(astuple(each) for each in readings(reports))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
