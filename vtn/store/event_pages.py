"""Pages of events by target on SQLite, which cannot know beforehand how many events have a target.

Few are looked up by their targets and put into order. Among many it is quicker to walk from the newest on and test each
until the page is full. The statement has both ways in it; a count that stops early leaves nothing to do on one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
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

from vtn.store.tables import events

_MANY: Final = 1000
_EVENT_TARGETS: Final = table("event_targets", column("target"), column("event_id"))
_BEFORE_ALL: Final = ""
_AFTER_ALL: Final = "~"


def newest_by_target(
    targets: BindParameter[Any],
    *,
    looked_up: Sequence[ColumnElement[bool]],
    tested: Sequence[ColumnElement[bool]],
    columns: Sequence[ColumnElement[Any]],
) -> CompoundSelect[Any]:
    """Return a statement for the newest events, in their order, without a limit.

    ``targets`` are those of which an event has one. The clauses of ``looked_up`` find events by them (``overlaps``),
    those of ``tested`` say the same and look at the event at hand (``overlaps_here``).
    """
    held = select(func.json_each(targets).table_valued("value").c.value)
    some = select(literal(1)).select_from(_EVENT_TARGETS).where(_EVENT_TARGETS.c.target.in_(held)).limit(_MANY + 1)
    many = select(func.count() > _MANY).select_from(some.subquery()).scalar_subquery()
    walked = select(*columns).where(events.c.created_at >= case((many, _BEFORE_ALL), else_=_AFTER_ALL), *tested)
    both = union_all(walked, _looked_up(many, looked_up, columns))
    return both.order_by(column("created_at").desc(), column("id").desc())


def _looked_up(
    many: ColumnElement[bool], clauses: Sequence[ColumnElement[bool]], columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    few = select(literal(1).label("one")).where(~many).subquery("few")
    return select(*columns).select_from(few.join(events, true())).where(*clauses)
