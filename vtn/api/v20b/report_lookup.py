"""Find reports of VENs by their names: a process that was killed has stored one and not noted its id."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from vtn.store.query import ReportQuery
from vtn.store.report import ReportStore
from vtn.store.rows import RowPage
from vtn.store.v20b.vens import Ven20b


class _Named(Struct, frozen=True):
    report_name: str | None = msgspec.field(name="reportName", default=None)


async def newest_of_name(reports: ReportStore, ven: Ven20b, event_id: str, name: str | None) -> str | None:
    """Return the id of a VEN's newest report of this name on an event; None if there is none among its newest 50."""
    page = await reports.search(ReportQuery(event_id=event_id, client_name=ven.name), visible_to=ven.caller)
    rows = page if isinstance(page, RowPage) else ()
    return next((row.id for row in rows if _name_in(row.members) == name), None)


def _name_in(members: str) -> str | None:
    return msgspec.json.decode(f"{{{members}}}", type=_Named).report_name
