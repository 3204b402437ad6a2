"""Show as current only what holds: not the powers of who has opted out, nor those of an interval that has ended."""

from __future__ import annotations

from datetime import timedelta

from openadr_profiles.v31 import Event
from tests.vtn.facts.fleet import Fleet, opt_in, opt_out, opts_of, shed, status_of
from vtn.fact_upkeep import CURVE_LEASE, CurveRecorder
from vtn.settings import FactSettings
from vtn.store.console.ven import VenFactStore
from vtn.store.facts.curves import EventCurves
from vtn.store.facts.results import NoShedReason
from vtn.store.lease import Lease

WHOLE = "AGGREGATED_REPORT"


async def delivered(fleet: Fleet, event: Event, client_id: str) -> tuple[float | None, ...]:
    """Return the kW that are delivered now by the page of the event, the list of events, and that of one ven."""
    funnel = await fleet.facts.funnel(event.id)
    listed = (await fleet.facts.summaries([event.id]))[event.id]
    assert (funnel.delivering, funnel.requested_kw) == (listed.delivering, listed.requested_kw)
    of_ven = (await VenFactStore(fleet.database, fleet._stamps).answers(client_id, [event.id]))[event.id]
    return funnel.delivered_kw, listed.delivered_kw, of_ven.delivered_kw


async def test_powers_are_current_only_while_they_hold(fleet: Fleet) -> None:
    """One of three opts out in mid event, one's interval ends: neither is shown as shedding, their energy stays."""
    start = fleet.now
    event = await fleet.event(
        await fleet.program(),
        intervalPeriod={"start": start.isoformat(), "duration": "PT2H"},
        intervals=[{"id": 0, "payloads": []}],
    )
    clients = [(await fleet.ven(name)).client_id for name in ("stays", "leaves", "is done")]
    opts = [await fleet.report(client, opts_of(event, start, [opt_in()])) for client in clients]
    lengths = (None, None, timedelta(minutes=30))
    for client, kw, length in zip(clients, (1.5, 2.0, 4.0), lengths, strict=True):
        await fleet.report(client, status_of(event, start, [shed(WHOLE, kw)], length=length))
    await fleet.read()
    assert await delivered(fleet, event, clients[1]) == (7.5, 7.5, 2.0)

    fleet.vtn.now.pass_(seconds=3600)
    await fleet.change(opts[1], opts_of(event, fleet.now, [opt_out(WHOLE, "guests")]))
    await fleet.read()
    assert await delivered(fleet, event, clients[1]) == (1.5, 1.5, None)
    page = await fleet.facts.participants(event.id)
    told = {each.ven_name: (each.delivered_kw, each.delivered_kwh, each.why) for each in page.items}
    assert told == {
        "stays": (1.5, 1.5, None),
        "leaves": (None, 2.0, NoShedReason.OPTED_OUT),
        "is done": (None, 2.0, NoShedReason.ENDED),
    }
    lease = Lease(fleet.database, fleet._stamps, name=CURVE_LEASE, by="a test", lease_s=60)
    assert await CurveRecorder(FactSettings(), EventCurves(fleet.database), lease, lambda: fleet.now).note()
    [point] = await fleet.facts.curve(event.id)
    assert (point.requested_kw, point.delivered_kw, point.reporting, point.taking_part) == (1.0, 1.5, 1, 2)

    fleet.vtn.now.pass_(seconds=7200)  # over: what each did last, but for who went
    [left] = (await fleet.facts.participants(event.id, search="leaves")).items
    assert left.delivered_kwh == 2.0  # its interval has no end: it counts until it opted out
    assert await delivered(fleet, event, clients[2]) == (5.5, 5.5, 4.0)
