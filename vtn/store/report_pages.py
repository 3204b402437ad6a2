"""One page of all reports on many events, put together from the newest of each event.

An index has the reports of one event in their order, but not those of several events. The page cannot show more events
than it has reports, and those with the newest reports come first: one look into the index for every event finds them,
and then each of these few gives its newest. What this takes grows with the events, not with the reports. PostgreSQL has
to be told so; SQLite does the like by itself, and leaves an event as soon as its reports are too old for the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select, true

from vtn.store.page_cursors import newest_first
from vtn.store.query import Page
from vtn.store.tables import reports


def merged(page: Page, event_ids: Select[Any], clauses: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return a statement for the ids of the reports on one page of all reports on these events, in their order."""
    most = page.skip + page.limit
    every = event_ids.subquery()
    head = _newest(every, 1, clauses)
    liveliest = select(every.c.id).join(head, true()).order_by(*newest_first(head)).limit(most).subquery()
    candidate = _newest(liveliest, most, clauses)
    found = select(candidate.c.id).select_from(liveliest.join(candidate, true())).order_by(*newest_first(candidate))
    return found.limit(page.limit).offset(page.skip)


def _newest(events: FromClause, most: int, clauses: Sequence[ColumnElement[bool]]) -> FromClause:
    """Return a subquery for the newest reports of each event, to be joined with the events."""
    each = select(reports.c.id, reports.c.created_at).where(reports.c.event_id == events.c.id, *clauses)
    return each.order_by(*newest_first(reports)).limit(most).correlate(events).lateral()
