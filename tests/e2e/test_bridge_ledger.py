"""No panel is shed twice or left shed, no answer is lost, every result is reported once, whatever is killed meanwhile.

``--kills 100`` makes the day long, ``--seed`` another one; `docs/development.md` tells of both.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from bench.support.postgres import prepare
from openadr_profiles.v31 import Report
from tests.e2e.bridge_ledger.day import Day
from tests.e2e.bridge_ledger.place import Place, a_place
from tests.support.mosquitto import Mosquitto
from tests.support.once import Once

PANELS: Final = 12
UNDISTURBED: Final = (2, 8)
"""Things that business logic and owners do between two faults."""
SETTLED_S: Final = 300.0

log = logging.getLogger(__name__)


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, once: Once, mosquitto: Mosquitto
) -> AsyncIterator[Place]:
    """Everything that an event passes through."""
    async with a_place(request.param, tmp_path, once("postgres", prepare), mosquitto, PANELS) as made:
        yield made


async def test_no_panel_is_shed_twice_or_left_shed_and_every_result_is_reported_once(
    place: Place, pytestconfig: pytest.Config
) -> None:
    """C6, C7, C8, R13, R19, 12.4 together; panel contract 14: 1, 2, 6, 8, 9, 22, 23."""
    chance = random.Random(pytestconfig.getoption("seed"))
    day = Day(place, chance)
    while place.kills < pytestconfig.getoption("kills"):
        for _ in range(chance.randint(*UNDISTURBED)):
            await day.go_on()
            await asyncio.sleep(chance.uniform(0, 0.3))
        await place.go_wrong(chance)
    await day.end()
    async with asyncio.timeout(SETTLED_S):
        while left := await _unsettled(place):
            log.info("not settled: %s", left)
            await asyncio.sleep(0.5)
    books = await place.books()
    log.info(
        "%s events, %s commands, %s answers, faults %s",
        len(day.made),
        sum(sum(panel.told.values()) for panel in place.panels),
        sum(len(panel.confirmed) for panel in place.panels),
        dict(place.faults),
    )
    assert {
        panel.model.ven_id: panel.model.most_stacked for panel in place.panels if panel.model.most_stacked > 1
    } == {}
    assert [id_ for panel in place.panels for id_, times in panel.told.items() if times > 1] == []
    assert books.doubles == []
    lost = [id_ for panel in place.panels for id_ in panel.confirmed if id_ not in books.acks]
    assert set(lost) - place.excused == set()
    assert [id_ for id_, rows in books.acks.items() if rows > 1] == []
    await _each_is_reported_once(place, day)


async def _unsettled(place: Place) -> str:
    """Say what is not at its end yet."""
    holding = [panel.model.ven_id for panel in place.panels if panel.model.event_id is not None]
    books = await place.books()
    left = {
        "panels that shed": holding,
        "commands": books.outstanding,
        "holdings": books.holdings,
        "events without all reports": books.unreported,
        "reports to be sent": books.unsent_reports,
    }
    return ", ".join(f"{what}: {count}" for what, count in left.items() if count)


async def _each_is_reported_once(place: Place, day: Day) -> None:
    """Look at what the VTN has of the events that were not deleted: those take their reports with them."""
    for event_id in sorted(day.made.keys() - day.deleted):
        found = list(await place.operator.reports.search(event_id=event_id))
        names = Counter(report.report_name for report in found)
        assert [name for name, times in names.items() if times > 1] == []
        rows = Counter(row.resource_name for report in found if _is(report, "status-") for row in report.resources)
        assert [name for name, times in rows.items() if times > 1] == []
        took_part = {panel.model.ven_id for panel in place.panels if event_id in panel.took_part}
        assert took_part <= rows.keys()
        told = {row.resource_name for report in found if _is(report, "opt-") for row in report.resources}
        assert took_part <= told


def _is(report: Report, name: str) -> bool:
    return (report.report_name or "").startswith(name)
