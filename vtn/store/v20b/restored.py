"""Raise the numbers of 2.0b events that come from a backup: VENs may have heard of later ones (B-EVT-011)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import and_, insert, select, update

from vtn.store.engine import AsyncConnection
from vtn.store.v20b.event_rows import IssueState
from vtn.store.v20b.event_tables import oadr20b_deliveries, oadr20b_events, oadr20b_projections

RAISED_BY: Final = 1000
"""More changes than an event has between a backup and its loss."""


async def raise_numbers(connection: AsyncConnection) -> None:
    """Raise all numbers, so that every VEN is told of its events anew and takes them for later ones.

    Deliveries are raised by one less: what was sent last is no longer what is to be sent.
    """
    issues, shown, sent = oadr20b_events.c, oadr20b_projections.c, oadr20b_deliveries.c
    present = and_(shown.event_id == issues.event_id, shown.issue == issues.issue, shown.number == issues.number)
    copied = (
        select(shown.event_id, shown.issue, shown.number + RAISED_BY, shown.content, shown.made_at)
        .join(oadr20b_events, present)
        .where(issues.state == IssueState.LIVE.value)
    )
    await connection.execute(
        insert(oadr20b_projections).from_select(["event_id", "issue", "number", "content", "made_at"], copied)
    )
    started = issues.state != IssueState.NO_FORM.value
    await connection.execute(update(oadr20b_events).where(started).values(number=issues.number + RAISED_BY))
    await connection.execute(
        update(oadr20b_deliveries).values(
            number=sent.number + RAISED_BY - 1, answered_number=sent.answered_number + RAISED_BY - 1
        )
    )
