"""Tell when events that were cancelled asked for something before: from their start to their cancellation."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import and_, case, select

from openadr_profiles.fleet.cancellation import PLANNED_PERIOD, planned
from openadr_profiles.v31 import Event, EventRequest, Invalid, decode
from openadr_profiles.v31.timeline import span_of
from vtn.store.database import Database
from vtn.store.event_versions import event_versions
from vtn.store.large import WITH_PAGE_BYTES, Row
from vtn.store.tables import events
from vtn.store.types import octets

_AT_ONCE: Final = 100


async def cancelled_times(
    database: Database, event: Event, *, ending_after: str
) -> list[tuple[datetime, datetime | None]]:
    """Return when other events of the program held that were cancelled after a stamp, and after they had begun.

    The plan of each is the version that the cancellation replaced; where that is not kept, what the event itself says
    of it. Events of more than 64 KiB whose version is not kept are left out.
    """
    its, before = events.c, event_versions.c
    replaced = and_(before.event_id == its.id, before.replaced_at == its.cancelled_at)
    small = case((octets(its.members) <= WITH_PAGE_BYTES, its.members)).label("members")
    columns = (its.id, its.created_at, its.cancelled_at, small, before.made_at, before.members.label("before"))
    chosen = select(*columns).select_from(events.outerjoin(event_versions, replaced))
    chosen = chosen.where(its.program_id == event.program_id, its.id != event.id, its.cancelled_at > ending_after)
    chosen = chosen.order_by(its.id).limit(_AT_ONCE)
    found: list[tuple[datetime, datetime | None]] = []
    last = ""
    while rows := await database.rows(chosen.where(its.id > last)):
        last = rows[-1]["id"]
        for row in rows:
            cancelled_at = datetime.fromisoformat(row["cancelled_at"])
            plan = _plan(row)
            if plan is not None and plan[0] < cancelled_at:
                found.append((plan[0], cancelled_at if plan[1] is None else min(plan[1], cancelled_at)))
    return found


def _plan(row: Row) -> tuple[datetime, datetime | None] | None:
    """Return start and end of a cancelled event as issued; None if it asked for nothing, or its plan is not known."""
    created_at = datetime.fromisoformat(row["created_at"])
    if (issued := _read(row["before"])) is not None:
        span = span_of(issued, written_at=datetime.fromisoformat(row["made_at"]), created_at=created_at)
        if not span.cancelled:
            return (span.start, span.end) if _asks(issued) else None
    present = _read(row["members"])
    return None if present is None or not _asks(present) else planned(present)


def _read(members: str | None) -> EventRequest | None:
    try:
        return None if members is None else decode(f"{{{members}}}".encode(), EventRequest)
    except Invalid:
        return None


def _asks(event: EventRequest) -> bool:
    payloads = (payload for interval in event.intervals or () for payload in interval.payloads)
    return any(payload.type != PLANNED_PERIOD for payload in payloads)
