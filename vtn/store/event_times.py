"""The columns by which events are searched: name, start, end, and since when an event is cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, column, func, select, table, text

from openadr_profiles.v31 import EventRequest, Invalid, decode
from openadr_profiles.v31.timeline import span_of
from vtn.store.stamps import stamp

_AT_ONCE: Final = 200
_SMALL: Final = 64 * 1024
_EVENTS: Final = table(
    "events", *(column(name) for name in ("id", "created_at", "modified_at", "members", "starts_at"))
)
_FILL: Final = text(
    "UPDATE events SET name = :name, starts_at = :starts_at, cancelled_at = :cancelled_at WHERE id = :id"
)


def searched(event: EventRequest, at: str, created_at: str) -> dict[str, str | None]:
    """Return the columns by which an event written ``at`` a moment is searched.

    ``ends_at`` is when it is over for every VEN, if ever (PAGE-028, EVT-018); "now" is the time of this write.
    """
    span = span_of(event, written_at=datetime.fromisoformat(at), created_at=datetime.fromisoformat(created_at))
    return {
        "name": event.event_name,
        "starts_at": stamp(span.start),
        "ends_at": None if span.end is None else stamp(span.end),
        "cancelled_at": at if span.cancelled else None,
    }


def fill_in(connection: Connection) -> None:
    """Fill the columns of events that an earlier version wrote. One that cannot be read keeps nothing in them."""
    for rows in _without_start(connection):
        filled = [{"id": row["id"], **columns} for row in rows if (columns := _columns(row)) is not None]
        if filled:
            connection.execute(_FILL, filled)


def _without_start(connection: Connection) -> Iterator[list[Mapping[Any, Any]]]:
    """Yield the events without a start, many small ones or one large one at a time."""
    its, last = _EVENTS.c, ""
    while True:
        sizes = select(its.id, func.length(its.members).label("size")).where(its.id > last, its.starts_at.is_(None))
        found = connection.execute(sizes.order_by(its.id).limit(_AT_ONCE)).all()
        if not found:
            return
        last = found[-1].id
        small = [each.id for each in found if each.size <= _SMALL]
        for ids in (small, *([each.id] for each in found if each.size > _SMALL)):
            if ids:
                yield list(connection.execute(select(_EVENTS).where(its.id.in_(ids))).mappings())


def _columns(row: Mapping[Any, Any]) -> dict[str, str | None] | None:
    try:
        event = decode(f"{{{row['members']}}}".encode(), EventRequest)
    except Invalid:
        return None
    return searched(event, row["modified_at"], row["created_at"])
