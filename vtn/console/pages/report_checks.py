"""Late and missing reports of an event: what its report descriptors ask for, against what each VEN has sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from openadr_profiles.fleet.report_checks import (
    DescriptorChecks,
    ReceivedReport,
    ReportArrival,
    ReportCheck,
    check_reports,
    largest_shift,
)
from openadr_profiles.v31 import Event, Report
from openadr_profiles.v31.timeline import Timeline
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import Visit
from vtn.errors import Malformed
from vtn.store.console.report_lookup import ReportLookup
from vtn.store.console.reports import AskedVen, ReportListing
from vtn.store.query import Page

_VENS_SHOWN: Final = 25
_REPORTS_EACH: Final = 60
_GRACE_MIN: Final = 5
_MOST_GRACE_MIN: Final = 10_080
_TIMES_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class VenChecks:
    """Hold what became of the reports that an event asks of one VEN; ``is_cut``: it has more."""

    ven: AskedVen
    asked: Sequence[DescriptorChecks]
    reports: int
    is_cut: bool

    @property
    def troubled(self) -> list[ReportCheck]:
        """Return the latest reports that are missing or came late."""
        bad = [
            check
            for each in self.asked
            for check in each.checks
            if check.state in {ReportArrival.LATE, ReportArrival.MISSING}
        ]
        return sorted(bad, key=lambda check: check.due.intended)[-_TIMES_SHOWN:]

    def count(self, state: str) -> int:
        """Return how many reports are in a state."""
        return sum(each.of(ReportArrival(state)) for each in self.asked)

    @property
    def free(self) -> int:
        """Return how many reports there are of those whose time the VEN chooses."""
        return sum(each.count for each in self.asked if each.is_free)


async def show(visit: Visit) -> web.StreamResponse:
    """Show what each VEN owes, page by page."""
    text, grace_min = visit.query("event"), _grace(visit)
    event_id = await visit.console.store(ReportLookup).event_called(text) if text else None
    if event_id is None:
        return visit.render(
            "report_checks.html", asked=text, event=None, grace_min=grace_min, found=None, next_due=None
        )
    listing, page = visit.console.store(ReportListing), visit.page_asked(_VENS_SHOWN)
    event = await listing.event(event_id)
    settings = visit.console.settings
    vens = await listing.asked_vens(
        event_id, settings.privacy, names=settings.v301.name_targets, page=Page(page.skip, page.limit)
    )
    shown = page.of(vens)
    reports = await listing.of_vens(event_id, [ven.client_id for ven in shown.items], each=_REPORTS_EACH)
    checks = await asyncio.to_thread(_checked, event, shown.items, reports, visit.now, timedelta(minutes=grace_min))
    upcoming = [each.next_due for ven in checks for each in ven.asked if each.next_due is not None]
    return visit.render(
        "report_checks.html",
        asked=text,
        event=event,
        grace_min=grace_min,
        found=shown,
        checks=checks,
        next_due=min(upcoming, default=None),
    )


def _checked(
    event: Event, vens: Sequence[AskedVen], reports: dict[str, list[Report]], now: datetime, grace: timedelta
) -> list[VenChecks]:
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    allowed = grace + largest_shift(event)
    found = []
    for ven in vens:
        own = reports.get(ven.client_id, [])
        received = [ReceivedReport.of(one.id, one.modification_date_time, one) for one in own]
        joined_at = max(datetime.fromisoformat(ven.created_at), event.created_date_time)
        asked = check_reports(
            timeline, event.report_descriptors or (), received, joined_at=joined_at, now=now, grace=allowed
        )
        found.append(VenChecks(ven, asked, len(own), len(own) >= _REPORTS_EACH))
    return found


def _grace(visit: Visit) -> int:
    """Return the minutes after its time in which a report is in time; raises Malformed."""
    text = visit.query("grace", str(_GRACE_MIN)) or str(_GRACE_MIN)
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= _MOST_GRACE_MIN):
        raise Malformed(f"grace: expected minutes from 0 to {_MOST_GRACE_MIN}")
    return int(text)


ROUTES = (ConsoleRoute("GET", "/reports/checks", show, name="report_checks", title="Late and missing reports"),)
