"""Read reports into the tables of facts: readings, corrections, removals, and what cannot be read."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from openadr_profiles.v31 import ReportRequest, decode, encode
from tests.vtn.facts.fleet import BL, Fleet, metered, opt_in, opt_out, opts_of, shed, status_of
from vtn.store.facts.instants import in_ms
from vtn.store.facts.tables import (
    BASELINE,
    DRAWN,
    event_opts,
    event_sheds,
    meters,
    read_reports,
    readings,
    report_corrections,
    report_queue,
)
from vtn.store.facts.writer import TakenByAnother
from vtn.store.tables import reports

QUARTER_MS = 15 * 60 * 1000


async def energies(fleet: Fleet) -> list[tuple[str, int, int, float]]:
    """Return resource, kind, number of the quarter since the first one, and kWh of all readings."""
    columns = (meters.c.resource, readings.c.kind, readings.c.starts_at_ms, readings.c.kwh)
    rows = await fleet.database.rows(select(*columns).join(meters, meters.c.id == readings.c.meter_id))
    first = min((row["starts_at_ms"] for row in rows), default=0)
    found = [(r["resource"], r["kind"], (r["starts_at_ms"] - first) // QUARTER_MS, round(r["kwh"], 6)) for r in rows]
    return sorted(found)


async def test_readings_are_the_energy_of_each_interval(fleet: Fleet) -> None:
    """USAGE in Wh, mean DEMAND in kW over 15 minutes, and a BASELINE: each in kWh, of its resource (REPORT-006)."""
    event = await fleet.event(await fleet.program())
    start = fleet.now
    await fleet.report("c1", metered(event, start, [500, -250], units="WH"))
    await fleet.report("c1", metered(event, start, [4], units="KW", type="DEMAND", resource="kitchen"))
    await fleet.report("c1", metered(event, start, [8], units="KW", type="BASELINE"))

    await fleet.read()

    assert await energies(fleet) == [
        ("AGGREGATED_REPORT", DRAWN, 0, 0.5),
        ("AGGREGATED_REPORT", DRAWN, 1, -0.25),
        ("AGGREGATED_REPORT", BASELINE, 0, 2.0),
        ("kitchen", DRAWN, 0, 1.0),
    ]
    times = await fleet.rows(readings, readings.c.starts_at_ms, readings.c.length_ms)
    assert times[0] == (in_ms(start), QUARTER_MS)


async def test_of_two_reports_of_the_same_time_the_last_changed_counts(fleet: Fleet) -> None:
    """Whichever is read first; and what the older one says returns when the newer one goes."""
    event = await fleet.event(await fleet.program())
    start = fleet.now
    first = await fleet.report("c1", metered(event, start, [1, 1, 1]))
    second = await fleet.report("c1", metered(event, start + timedelta(minutes=15), [2, 2]))
    third = await fleet.report("c1", metered(event, start + timedelta(minutes=30), [3, 3]))

    await fleet.read()
    assert [kwh for *_, kwh in await energies(fleet)] == [1, 2, 3, 3]

    await fleet.change(first, metered(event, start, [4, 4, 4]))
    await fleet.read()
    assert [kwh for *_, kwh in await energies(fleet)] == [4, 4, 4, 3]

    await fleet.remove(first)
    await fleet.read()
    assert [kwh for *_, kwh in await energies(fleet)] == [2, 3, 3]

    await fleet.remove(third)
    await fleet.read()
    assert [kwh for *_, kwh in await energies(fleet)] == [2, 2]
    await fleet.remove(second)
    await fleet.read()
    for table in (readings, meters, read_reports, report_corrections, report_queue):
        assert await fleet.count(table) == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_report_that_was_corrected_twice_returns_in_steps(fleet: Fleet, order: tuple[int, ...]) -> None:
    """Three reports of one time are removed in any order: the newest of those that are left counts."""
    event = await fleet.event(await fleet.program())
    all_reports = []
    for value in (1, 2, 3):
        all_reports.append(await fleet.report("c1", metered(event, fleet.now, [value])))
        await fleet.read()
    left = {0, 1, 2}
    for number in order:
        await fleet.remove(all_reports[number])
        left.discard(number)
        await fleet.read()
        assert [kwh for *_, kwh in await energies(fleet)] == ([max(left) + 1] if left else [])


async def test_opts_and_sheds_return_when_a_page_goes(fleet: Fleet) -> None:
    """Two pages of a report speak of the same circuit."""
    event = await fleet.event(await fleet.program())
    start = fleet.now
    await fleet.report("c1", status_of(event, start, [shed("kitchen", 1)]))
    await fleet.report("c1", opts_of(event, start, [opt_in("kitchen")]))
    status = await fleet.report("c1", status_of(event, start, [shed("kitchen", 2)], page="2"))
    opts = await fleet.report("c1", opts_of(event, start, [opt_out("kitchen", "hot oven")], page="2"))
    await fleet.read()
    assert await fleet.rows(event_sheds, event_sheds.c.delivered_kw) == [(2.0,)]
    assert await fleet.rows(event_opts, event_opts.c.reason) == [("hot oven",)]

    await fleet.remove(status)
    await fleet.remove(opts)
    await fleet.read()

    assert await fleet.rows(event_sheds, event_sheds.c.delivered_kw) == [(1.0,)]
    assert await fleet.rows(event_opts, event_opts.c.reason) == [(None,)]


async def test_what_is_deleted_with_an_event_or_a_program_leaves_nothing(fleet: Fleet) -> None:
    """Foreign keys remove the reports, and the queue hears of it (EVT-012)."""
    program = await fleet.program()
    events = [await fleet.event(program) for _ in range(2)]
    for event in events:
        await fleet.report("c1", metered(event, fleet.now, [1]))
        await fleet.report("c1", opts_of(event, fleet.now, [opt_in()]))
        await fleet.report("c1", status_of(event, fleet.now, [shed("AGGREGATED_REPORT", 1)]))
    await fleet.read()
    assert await fleet.count(event_opts) == await fleet.count(event_sheds) == 2

    await fleet.stores.events.delete(events[0].id, by=BL)
    await fleet.read()
    assert await fleet.count(event_opts) == await fleet.count(event_sheds) == 1
    await fleet.stores.programs.delete(program, by=BL)
    await fleet.read()

    for table in (readings, meters, event_opts, event_sheds, read_reports, report_queue):
        assert await fleet.count(table) == 0


async def test_numbers_that_are_none_are_left_out_and_counted(fleet: Fleet) -> None:
    """1e308, texts, truths, other units; a value without a unit is taken as kWh, and that is counted, too."""
    event = await fleet.event(await fleet.program())
    await fleet.report("c1", metered(event, fleet.now, [1e308, "NaN", True, "7", -1.5, 10**30], units="KWH"))
    await fleet.report("c2", metered(event, fleet.now, [1, 2], units="HZ"))
    await fleet.report("c3", metered(event, fleet.now, [1, 2]))
    document = encode(status_of(event, fleet.now, [shed("AGGREGATED_REPORT", 1)])).replace(
        b'"values":[1.0]', b'"values":[1e308]', 1
    )
    await fleet.report("c4", decode(document, ReportRequest))

    await fleet.read()

    assert [kwh for *_, kwh in await energies(fleet)] == [1, 2, -1.5]
    found = await fleet.rows(
        read_reports, read_reports.c.client_id, read_reports.c.taken, read_reports.c.left_out, read_reports.c.assumed
    )
    assert found == [("c1", 1, 5, 0), ("c2", 0, 2, 0), ("c3", 2, 0, 2), ("c4", 1, 1, 0)]
    assert (fleet.reader.read, fleet.reader.left_out, fleet.reader.assumed) == (4, 8, 2)
    assert await fleet.rows(event_sheds, event_sheds.c.requested_kw, event_sheds.c.delivered_kw) == [(None, 1.0)]


async def test_readings_of_other_ages_are_left_out(fleet: Fleet) -> None:
    """Of the year 1 and of the year 9000, where there is no partition; in PostgreSQL months are partitions."""
    event = await fleet.event(await fleet.program())
    for year in (1, 1900, fleet.now.year - 2, fleet.now.year + 3, 9000):
        await fleet.report("c1", metered(event, fleet.now.replace(year=year, month=3), [1]))
    for days in (-399, -40, 0, 399):
        await fleet.report("c1", metered(event, fleet.now + timedelta(days=days), [2]))

    await fleet.read()

    assert [kwh for *_, kwh in await energies(fleet)] == [2, 2, 2, 2]
    assert fleet.reader.left_out == fleet.reader.unreadable == 5


async def test_reports_that_cannot_be_read_stop_no_other(fleet: Fleet) -> None:
    """Meet what no version of ours would store: cut off, of another kind, with a name that PostgreSQL does not take."""
    event = await fleet.event(await fleet.program())
    garbled = [await fleet.report("c1", metered(event, fleet.now, [1])) for _ in range(3)]
    good = await fleet.report("c1", metered(event, fleet.now, [2], resource="a\0b"))
    texts = ['"eventID":', '"eventID":"x","resources":7', '"clientID":"c1","\\ud800":1']
    async with fleet.database.write() as connection:
        for report, members in zip(garbled, texts, strict=True):
            await connection.execute(update(reports).where(reports.c.id == report.id).values(members=members))

    await fleet.read()

    assert [(resource, kwh) for resource, *_, kwh in await energies(fleet)] == [("a\ufffdb", 2.0)]
    troubled = dict(await fleet.rows(read_reports, read_reports.c.report_id, read_reports.c.trouble))
    assert troubled[good.id] is None
    assert all(str(troubled[one.id]).startswith("it is no report: ") for one in garbled)
    assert (fleet.reader.read, fleet.reader.unreadable) == (4, 3)


async def test_a_report_that_cannot_be_stored_is_found_among_others(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted with its trouble; the others of the same transaction are stored."""
    event = await fleet.event(await fleet.program())
    for number in range(5):
        await fleet.report(f"c{number}", metered(event, fleet.now, [number]))
    write = fleet.reader._writer.write

    async def refuse(queued: Any, said: Any) -> None:
        if any(one.report.client_id == "c3" and one.readings for one in said):
            raise ValueError("the driver cannot write this")
        await write(queued, said)

    monkeypatch.setattr(fleet.reader._writer, "write", refuse)

    await fleet.read()

    assert [kwh for *_, kwh in await energies(fleet)] == [0, 1, 2, 4]
    troubled = dict(await fleet.rows(read_reports, read_reports.c.client_id, read_reports.c.trouble))
    assert troubled == {"c0": None, "c1": None, "c2": None, "c3": "it cannot be stored: ValueError", "c4": None}


async def test_two_readers_read_every_report_once(fleet: Fleet) -> None:
    """One of them holds the lease; the other one does not write what was taken by it."""
    event = await fleet.event(await fleet.program())
    for number in range(3):
        await fleet.report(f"c{number}", metered(event, fleet.now, [number]))
    other = fleet.new_reader()
    queued = await other._writer.queued()
    assert queued is not None

    await fleet.read()
    with pytest.raises(TakenByAnother):  # it lost the lease while it decoded
        await other._writer.write(queued, other._said(queued.reports))
    assert await other._lease.take()
    with pytest.raises(TakenByAnother):  # it has the lease, and entries that are gone
        await other._writer.write(queued, other._said(queued.reports))

    await fleet.report("c9", metered(event, fleet.now, [9]))
    assert not await fleet.reader.read_all()
    assert await fleet.count(readings) == 3
    assert await other.read_all()
    assert await fleet.count(readings) == 4


async def test_a_meter_is_whole_unless_another_one_has_it(fleet: Fleet) -> None:
    """The total of a ven counts and not its circuits; without one its panels do, and not the circuits of these."""
    event = await fleet.event(await fleet.program())
    names = {"home": ["kitchen", "AGGREGATED_REPORT"], "bridge": ["p1", "p1/oven", "p2/oven", "p3"]}
    total = None
    for client, resources in names.items():
        for name in resources:
            report = await fleet.report(client, metered(event, fleet.now - timedelta(minutes=15), [1], resource=name))
            total = report if name == "AGGREGATED_REPORT" else total

    async def whole() -> list[Any]:
        return [row[0] for row in await fleet.rows(meters, meters.c.resource, meters.c.is_whole) if row[1]]

    await fleet.read()
    assert await whole() == ["AGGREGATED_REPORT", "p1", "p2/oven", "p3"]
    assert total is not None
    await fleet.remove(total)
    await fleet.read()
    assert await whole() == ["kitchen", "p1", "p2/oven", "p3"]
