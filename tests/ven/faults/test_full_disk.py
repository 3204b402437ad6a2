"""A disk that is full for a while: reports that are kept already are sent, each once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from openadr_profiles.v31 import ReportDescriptor
from tests.ven.builders import START, shed_event
from tests.ven.faults.faulty_home import FaultyHome
from tests.ven.home import SECRET, Town
from vtn.access import Role

MINUTE = timedelta(minutes=1)


async def test_full_disk_holds_up_no_report_and_has_none_sent_twice(town: Town) -> None:
    """What became of a report counts at once, and a process that is killed meanwhile finds its reports at the VTN."""
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    home = FaultyHome(town.settings(), town.clock)
    asked = (ReportDescriptor(payload_type="USAGE"),)
    await home.start()
    await home.until(START - 20 * MINUTE)  # events from before our memory are looked after more carefully anyway
    events = [await town.issue(shed_event(-3, id_=f"e{each}", report_descriptors=asked)) for each in range(3)]
    await home.until(START - 10 * MINUTE)
    await town.close_vtn()
    await home.until(START + 70 * MINUTE)
    waiting = await home.unsent()
    assert len(waiting) == 4, "what each event asked for, and the status of the one that held"
    before = len(home.requests)
    home.is_disk_full = True
    await town.reopen_vtn()
    try:
        await home.until(START + 120 * MINUTE)
        new = Counter(home.requests[before:])
        assert new["POST /reports"] == len(waiting)
        assert [each for each in new if each.startswith("PUT ")] == []
        reports = {event.id: await town.bl.reports.search(event_id=event.id) for event in events}
        await home.die()
        assert await home.unsent() == [], "sent again, and the disk is still full"
        home.is_disk_full = False
        await home.until(START + 150 * MINUTE)
        assert await home.unsent() == []
        for event in events:
            found = await town.bl.reports.search(event_id=event.id)
            assert {report.id for report in found} == {report.id for report in reports[event.id]}
            assert len({report.report_name for report in found}) == len(found) >= 2
    finally:
        await home.kill()
