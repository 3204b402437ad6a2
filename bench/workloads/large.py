"""Memory for large objects: a heavy report is replaced, and pages of heavy reports are read by several at once.

The title says by how much the peak of the largest process grew. The reports stay in the store: measure it alone.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from bench.documents import as_bytes, report
from bench.load import load
from bench.measure import Series
from bench.results import Case, Goal
from bench.wire import request
from bench.workloads.context import WorkloadContext, always, bearer

_RESOURCES: Final = 250
_READINGS: Final = 60_000
_STORED: Final = 10
_READERS: Final = 4
_TIMES_ITS_SIZE: Final = 20.0
_PAGES_MB: Final = 200.0


async def of_reports(context: WorkloadContext) -> None:
    """Measure: a PUT takes at most 20 times the bytes of a report; pages at most 200 MB, whatever they hold."""
    vtn = context.vtn
    if vtn.meter is None:
        context.skip("large", "it watches the server's process")
        return
    ven = msgspec.json.decode((await vtn.ven.read("/vens")).body)[0]
    event = await vtn.bl.create("/events", {"programID": vtn.program_id, "eventName": "heavy"})
    resources = [{"resourceName": f"heavy-{number}", "venID": ven["id"]} for number in range(_RESOURCES)]
    await vtn.ven.create_all("/resources", resources)
    vtn.meter.forget_peak()
    idle_mb = vtn.meter.peak_mb()
    document = report(event["id"], readings=_READINGS)
    stored = [await vtn.ven.create("/reports", document) for _ in range(_STORED)]
    body, headers = as_bytes(document), bearer(vtn.ven) | {"Content-Type": "application/json"}
    size_mb = len(body) / 1e6

    put = request(vtn.address, "PUT", f"/reports/{stored[0]['id']}", headers=headers, body=body)
    title = f"POST and PUT of {size_mb:.1f} MB of numbers, {_RESOURCES} resources"
    await _measure(context, put, title, connections=1, before_mb=idle_mb, most_mb=_TIMES_ITS_SIZE * size_mb)
    page = request(vtn.address, "GET", f"/reports?eventID={event['id']}", headers=bearer(vtn.ven))
    title = f"page of {_STORED * size_mb:.0f} MB"
    vtn.meter.forget_peak()
    before_mb = vtn.meter.peak_mb()
    await _measure(context, page, title, connections=_READERS, before_mb=before_mb, most_mb=_PAGES_MB)


async def _measure(
    context: WorkloadContext, asked: bytes, title: str, *, connections: int, before_mb: float, most_mb: float
) -> None:
    vtn = context.vtn
    meter = vtn.meter
    if meter is None:
        return
    cpu = meter.cpu_s()
    sample = await load(vtn.address, always(asked), connections=connections, seconds=context.seconds, expect=200)
    grown_mb = meter.peak_mb() - before_mb
    series = Series("VTN")
    series.add(sample, cpu_s=meter.cpu_s() - cpu, rss_mb=meter.rss_mb())
    goals = partial(_goals, grown_mb, most_mb)
    context.keep("large", f"{title}: {grown_mb:.0f} MB", series, connections=connections, goals=goals)


def _goals(grown_mb: float, most_mb: float, case: Case) -> tuple[Goal, ...]:
    return (Goal(f"{case.title}: growth of the peak in MB", grown_mb, most_mb, at_most=True),)
