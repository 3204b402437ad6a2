"""Pages of events by target on SQLite, which cannot know beforehand how many events have a target.

Few are looked up by their targets and put into order. Among many it is quicker to walk from the newest on and test each
until the page is full. The statement has both ways in it; a count that stops early leaves nothing to do on one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    case,
    column,
    func,
    literal,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from vtn.store.query import Page
from vtn.store.tables import events
from vtn.store.types import overlaps, overlaps_here

_MANY: Final = 1000
_EVENT_TARGETS: Final = table("event_targets", column("target"), column("event_id"))
_BEFORE_ALL: Final = ""
_AFTER_ALL: Final = "~"


def newest_by_target(
    page: Page, clauses: Sequence[ColumnElement[bool]], columns: Sequence[ColumnElement[Any]]
) -> CompoundSelect[Any] | None:
    """Return a statement for the newest events that meet the clauses; None if none is about the targets of events."""
    asked = next((part for clause in clauses for part in iterate(clause) if _is_about_events(part)), None)
    if not isinstance(asked, overlaps):
        return None
    _, targets = asked.clauses
    held = select(func.json_each(targets).table_valued("value").c.value)
    some = select(literal(1)).select_from(_EVENT_TARGETS).where(_EVENT_TARGETS.c.target.in_(held)).limit(_MANY + 1)
    many = select(func.count() > _MANY).select_from(some.subquery()).scalar_subquery()
    walked = select(*columns).where(
        events.c.created_at >= case((many, _BEFORE_ALL), else_=_AFTER_ALL),
        *(replacement_traverse(clause, {}, _tested) for clause in clauses),
    )
    return (
        union_all(walked, _looked_up(many, clauses, columns))
        .order_by(column("created_at").desc(), column("id").desc())
        .limit(page.limit)
        .offset(page.skip)
    )


def _looked_up(
    many: ColumnElement[bool], clauses: Sequence[ColumnElement[bool]], columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    few = select(literal(1).label("one")).where(~many).subquery("few")
    return select(*columns).select_from(few.join(events, true())).where(*clauses)


def _is_about_events(part: Any) -> bool:
    return isinstance(part, overlaps) and getattr(next(iter(part.clauses)), "table", None) is events


def _tested(element: Any, **_: Any) -> Any:
    return overlaps_here(*element.clauses) if _is_about_events(element) else None
