"""The statements that find the endpoints that are due: they are asked after each change, so they are made once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, Text, and_, bindparam, case, exists, func, or_, select

from vtn.store.prepared import Prepared
from vtn.store.tables import deliveries, endpoints, subscriptions

_PENDING: Final = exists().where(deliveries.c.endpoint_id == endpoints.c.id, deliveries.c.ended_at.is_(None))


def _is_free() -> ColumnElement[bool]:
    """Return a clause: nobody holds the endpoint, and it is due."""
    now = bindparam("now", type_=Text)
    return and_(
        or_(endpoints.c.leased_until.is_(None), endpoints.c.leased_until <= now),
        or_(endpoints.c.due_at.is_(None), endpoints.c.due_at <= now),
    )


def _free(failed: ColumnElement[bool]) -> Select[Any]:
    """Return a statement that locks ids of endpoints to be leased, those that were left alone longest first.

    They are due by ``now``, of channels ``push``, ``most`` in all and ``per_client`` of a client, none of ``busy``.
    """
    busy = bindparam("busy", expanding=True, type_=Text)
    others = or_(endpoints.c.client_id.is_(None), endpoints.c.client_id.not_in(busy))
    longest_alone = endpoints.c.leased_until.asc().nulls_first(), endpoints.c.id
    place = func.row_number().over(partition_by=endpoints.c.client_id, order_by=longest_alone).label("place")
    channels = endpoints.c.push.in_(bindparam("push", expanding=True, type_=Text))
    ranked = (
        select(endpoints.c.id, endpoints.c.leased_until, place)
        .where(channels, _is_free(), failed, others, _PENDING)
        .subquery()
    )
    chosen = (
        select(ranked.c.id)
        .where(ranked.c.place <= bindparam("per_client", type_=Integer))
        .order_by(ranked.c.leased_until.asc().nulls_first(), ranked.c.id)
        .limit(bindparam("most", type_=Integer))
    )
    free = select(endpoints.c.id).where(endpoints.c.id.in_(chosen), _is_free())
    # Whoever writes a delivery holds the key of its endpoint until it commits, and must not hide it from us.
    return free.with_for_update(skip_locked=True, key_share=True)


FREE_WORKING: Final = _free(endpoints.c.failures == 0)
FREE_FAILING: Final = _free(endpoints.c.failures > 0)

WITH_TOKENS: Final = (
    select(endpoints, subscriptions.c.tokens, subscriptions.c.modified_at.label("as_of"))
    .outerjoin(subscriptions)
    .where(endpoints.c.id.in_(bindparam("ids", expanding=True, type_=Text)))
)
"""Endpoints ``ids`` with the tokens of their subscriptions."""


@cache
def earliest(push: Sequence[str]) -> Prepared:
    """Return a statement for the time at which the next endpoint of these channels is due, or its lease ends.

    It finds an empty text for an endpoint that was never left alone or leased, and null if nothing waits.
    """
    due, leased = func.coalesce(endpoints.c.due_at, ""), func.coalesce(endpoints.c.leased_until, "")
    later: ColumnElement[Any] = case((leased > due, leased), else_=due)
    channels = or_(*(endpoints.c.push == word for word in push))
    return select(func.min(later).label("due")).where(channels, _PENDING)
