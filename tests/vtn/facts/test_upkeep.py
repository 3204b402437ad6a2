"""Fill the tables in a server, note curves, remove old readings, and go on where another process was killed."""

from __future__ import annotations

import io
from datetime import timedelta

from sqlalchemy import text

from openadr_profiles.fleet.cancellation import cancelled
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.facts.fleet import BL, Fleet, metered, opt_in, opts_of, shed, status_of
from tests.vtn.harness import VtnUnderTest
from vtn.app import migrate_database
from vtn.fact_upkeep import CURVE_LEASE, CurveRecorder, ReadingsRetention
from vtn.facts import LEASE_S
from vtn.settings import FactSettings
from vtn.store.archive import read_archive, write_archive
from vtn.store.database import Database
from vtn.store.facts.curves import EventCurves
from vtn.store.facts.tables import event_curve, event_opts, readings, report_queue
from vtn.store.lease import Lease
from vtn.store.stamps import Stamps
from vtn.store.vault import Vault

WHOLE = "AGGREGATED_REPORT"


async def test_a_server_reads_what_it_stores(fleet: Fleet, start_vtn: StartVtn) -> None:
    """Without being asked, and also what another process left unread; it counts what it reads."""
    event = await fleet.event(await fleet.program())
    await fleet.report("left by another", metered(event, fleet.now, [1]))
    other = await start_vtn(facts={"read": True})
    client = other.home()
    await other.bl.ven_for(client)

    await client.post("/reports", {"eventID": event.id, "clientName": "c", "resources": []})
    assert other.server.stores is not None
    await Fleet(other).report(client.client_id, opts_of(event, fleet.now, [opt_in()]))

    async def answered() -> bool:
        return (await fleet.facts.funnel(event.id)).answered == 1 and await fleet.count(readings) == 1

    await wait_until(answered, timeout_s=30)
    await wait_until(lambda: _is_told(other, "oadr_vtn_reports_read_total 3.0"), timeout_s=30)
    assert await fleet.count(report_queue) == 0


async def _is_told(vtn: VtnUnderTest, line: str) -> bool:
    answer = await vtn.ask("GET", f"{vtn.origin}/metrics")
    return line in answer.raw.decode()


async def test_another_process_goes_on_when_a_reader_was_killed(fleet: Fleet) -> None:
    """The lease of who was killed ends by the clock; nothing was lost with it."""
    event = await fleet.event(await fleet.program())
    await fleet.report("c1", metered(event, fleet.now, [1]))
    killed = fleet.new_reader()
    assert await killed._lease.take()
    assert await killed._writer.queued() is not None

    assert not await fleet.reader.read_all()
    fleet.vtn.now.pass_(seconds=LEASE_S + 1)
    await fleet.read()

    assert await fleet.count(readings) == 1


def recorder(fleet: Fleet) -> CurveRecorder:
    """Return what notes curves in a server."""
    lease = Lease(fleet.database, fleet.vtn.server._stamps, name=CURVE_LEASE, by=str(id(fleet)), lease_s=30)
    return CurveRecorder(FactSettings(), EventCurves(fleet.database), lease, fleet.vtn.now)


async def test_the_curve_of_an_event_is_noted_while_somebody_reports(fleet: Fleet) -> None:
    """Prove that what is not known is not 0, and a time at which nothing was noted is a gap."""
    start = fleet.now
    event = await fleet.event(
        await fleet.program(),
        intervalPeriod={"start": start.isoformat(), "duration": "PT1H"},
        intervals=[{"id": 0, "payloads": []}],
    )
    notes = recorder(fleet)
    assert not await notes.note()
    for client, kw in (("c1", 1.5), ("c2", 2.0)):
        await fleet.report(client, opts_of(event, start, [opt_in()]))
        await fleet.report(client, status_of(event, start, [shed(WHOLE, kw), shed("oven", kw)]))
    await fleet.read()

    assert await notes.note()
    assert await notes.note()
    fleet.vtn.now.pass_(seconds=40)
    assert await notes.note()
    [first, second] = await fleet.facts.curve(event.id)
    assert (first.requested_kw, first.baseline_kw, first.delivered_kw) == (2.0, 10.0, 3.5)
    assert (second.at - first.at, second.reporting, second.taking_part) == (timedelta(seconds=40), 2, 2)

    await fleet.stores.events.replace(event.id, cancelled(event), by=BL)
    assert not await notes.note()
    await fleet.stores.events.delete(event.id, by=BL)
    assert await fleet.count(event_curve) == 0


async def test_readings_are_removed_when_they_are_too_old(fleet: Fleet) -> None:
    """On PostgreSQL by whole months, so that those of the month itself stay for a while."""
    event = await fleet.event(await fleet.program())
    for days in (0, 100, 399):
        await fleet.report("c1", metered(event, fleet.now - timedelta(days=days), [days]))
    await fleet.read()
    lease = Lease(fleet.database, fleet.vtn.server._stamps, name="test", by="x", lease_s=1)

    await ReadingsRetention(150, fleet.database, lease, fleet.vtn.now).remove_due()

    assert [row[0] for row in await fleet.rows(readings, readings.c.kwh)] == [0, 100]


async def test_a_backup_keeps_curves_and_reads_the_rest_again(fleet: Fleet, database_url: str) -> None:
    """The tables that can be made again are not in it."""
    start = fleet.now
    event = await fleet.event(await fleet.program(), intervalPeriod={"start": start.isoformat()})
    await fleet.report("c1", status_of(event, start, [shed(WHOLE, 1)]))
    await fleet.report("c1", opts_of(event, start, [opt_in()]))
    await fleet.report("c1", metered(event, start, [3]))
    await fleet.read()
    await recorder(fleet).note()
    lines: list[bytes] = []
    await write_archive(fleet.database, lines.append)
    settings = settings_for(database_url)
    await migrate_database(settings)
    database = Database(settings.database)

    await read_archive(database, io.BytesIO(b"".join(lines)), Vault(settings))

    restored = fleet.elsewhere(database, Stamps(fleet.vtn.now))
    assert await restored.count(event_curve) == 1
    assert await restored.count(readings) == await restored.count(event_opts) == 0
    await restored.read()
    assert await restored.count(readings) == await restored.count(event_opts) == 1
    await database.close()


async def test_reports_from_before_the_tables_are_read(fleet: Fleet) -> None:
    """The migration queues all of them, as its last statement does here."""
    event = await fleet.event(await fleet.program())
    for number in range(3):
        await fleet.report("c1", metered(event, fleet.now + timedelta(hours=number), [number]))
    await fleet.forget()
    async with fleet.database.write() as connection:
        await connection.execute(text("INSERT INTO report_queue (report_id) SELECT id FROM reports"))

    await fleet.read()

    assert await fleet.count(readings) == 3
