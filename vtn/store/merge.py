"""One page of all reports on many events, put together from the newest of each event.

An index has the reports of one event in their order, but not those of several events. The page cannot show more events
than it has reports, and those with the newest reports come first: one look into the index for every event finds them,
and then each of these few gives its newest. What this takes grows with the events, not with the reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select, true

from vtn.store.query import Page
from vtn.store.tables import reports
from vtn.store.walks import newest_first


def merged(page: Page, event_ids: Select[Any], clauses: Sequence[ColumnElement[bool]], *, sqlite: bool) -> Select[Any]:
    """The ids of the reports on a page of those on any of these events, in their order."""
    most = page.skip + page.limit
    every = event_ids.subquery()
    heads, head = _beside(every, 1, clauses, sqlite=sqlite)
    liveliest = select(every.c.id).select_from(heads).order_by(*newest_first(head)).limit(most).subquery()
    candidates, candidate = _beside(liveliest, most, clauses, sqlite=sqlite)
    found = select(candidate.c.id).select_from(candidates).order_by(*newest_first(candidate))
    return found.limit(page.limit).offset(page.skip)


def _beside(
    events: FromClause, most: int, clauses: Sequence[ColumnElement[bool]], *, sqlite: bool
) -> tuple[FromClause, FromClause]:
    """Events joined with the newest reports of each, and these reports alone. SQLite has no LATERAL."""
    newest = select(reports.c.id, reports.c.created_at).where(reports.c.event_id == events.c.id, *clauses)
    newest = newest.order_by(*newest_first(reports)).limit(most).correlate(events)
    if not sqlite:
        each = newest.lateral()
        return events.join(each, true()), each
    found = reports.alias()
    return events.join(found, found.c.id.in_(newest.with_only_columns(reports.c.id))), found
