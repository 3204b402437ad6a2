"""The outbox as an operator sees it: how endpoints fare, what waits or was given up, to be sent again or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, case, exists, func, null, or_, select, update

from openadr_profiles.subscription_health import EndpointState, SubscriptionHealth
from vtn.store.database import Database
from vtn.store.large import Row
from vtn.store.outbox.queue import Outcome
from vtn.store.outbox.rows import Operation, Push
from vtn.store.query import SubscriptionHealthQuery
from vtn.store.stamps import NEVER, Stamps
from vtn.store.tables import deliveries, delivery_totals, endpoints, notifications, subscriptions

_PENDING: Final = deliveries.c.ended_at.is_(None)
_DEAD: Final = deliveries.c.outcome == str(Outcome.DEAD)
_STATE: Final = case(
    (endpoints.c.broken_at.is_not(None), EndpointState.BROKEN.value),
    (endpoints.c.failures > 0, EndpointState.FAILING.value),
    (and_(endpoints.c.last_success_at.is_(None), endpoints.c.last_failure_at.is_(None)), EndpointState.NEW.value),
    else_=EndpointState.WORKING.value,
)
_DROPPED_BY: Final = "dropped by an operator"


class Waiting(StrEnum):
    """Why a delivery is listed: it is still to be made, or it was given up."""

    PENDING = "PENDING"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The deliveries that are meant: those that wait or were given up, and to which all that is given here applies."""

    ids: tuple[int, ...] | None = None
    subscription_id: str | None = None
    client_id: str | None = None
    push: Push | None = None
    waiting: Waiting | None = None
    after: int | None = None
    """Only those with greater numbers: a further part of a list."""

    def clauses(self) -> list[ColumnElement[bool]]:
        """Return the conditions on a delivery."""
        its = [
            column == value
            for column, value in (
                (endpoints.c.subscription_id, self.subscription_id),
                (endpoints.c.client_id, self.client_id),
                (endpoints.c.push, None if self.push is None else str(self.push)),
            )
            if value is not None
        ]
        found: list[ColumnElement[bool]] = [_STATES[self.waiting]]
        if self.ids is not None:
            found.append(deliveries.c.id.in_(self.ids))
        if self.after is not None:
            found.append(deliveries.c.id > self.after)
        if its:
            found.append(deliveries.c.endpoint_id.in_(select(endpoints.c.id).where(*its)))
        return found


_STATES: Final[dict[Waiting | None, ColumnElement[bool]]] = {
    None: or_(_PENDING, _DEAD),
    Waiting.PENDING: _PENDING,
    Waiting.DEAD: _DEAD,
}
_WHY: Final = case((and_(_PENDING, endpoints.c.failures > 0), endpoints.c.last_error), else_=null())
"""Why a delivery waits for an endpoint that is not reached."""


class ListedDelivery(Struct, frozen=True, gc=False):
    """A delivery that waits or was given up. ``due_at`` is when the next attempt is made.

    ``error`` is that of its last attempt, or why its endpoint is not reached at present, which is no attempt.

    ``subscription_id``, ``client_id`` and ``url`` are None for the broker of MQTT.
    """

    id: int
    state: Waiting
    push: Push
    noted_at: str
    object_type: str
    operation: Operation
    object_id: str
    subscription_id: str | None
    client_id: str | None
    url: str | None
    attempts: int
    error: str | None
    due_at: str | None


class ChannelFigures(Struct, frozen=True, gc=False):
    """Figures of one way to tell clients. Attempts, delivered and dead are counted since the outbox was made.

    ``oldest_pending_at`` is when the oldest change was made that somebody still has to hear of. ``endpoints`` are
    counted by their state.
    """

    push: Push
    pending: int
    oldest_pending_at: str | None
    endpoints: dict[EndpointState, int]
    attempts: int
    delivered: int
    dead: int


class OutboxListing:
    """Reads how the outbox stands, and changes what an operator wants changed."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def health(self, query: SubscriptionHealthQuery) -> list[SubscriptionHealth]:
        """Return one page of the callback URLs of subscriptions, oldest subscription first, and how each fares."""
        if not query.page.limit:
            return []
        its = (deliveries.c.endpoint_id == endpoints.c.id,)
        pending, dead = (select(func.count()).where(*its, clause).scalar_subquery() for clause in (_PENDING, _DEAD))
        oldest = (
            select(notifications.c.noted_at)
            .select_from(deliveries.join(notifications))
            .where(*its, _PENDING)
            .order_by(deliveries.c.id)
            .limit(1)
            .scalar_subquery()
        )
        shown = (
            subscriptions.c.client_name,
            _STATE.label("state"),
            pending.label("pending"),
            dead.label("dead"),
            oldest.label("oldest"),
        )
        found: Select[Any] = (
            select(endpoints, *shown)
            .join(subscriptions)
            .order_by(subscriptions.c.created_at, subscriptions.c.id, endpoints.c.id)
            .limit(query.page.limit)
            .offset(query.page.skip)
        )
        if query.client_id is not None:
            found = found.where(endpoints.c.client_id == query.client_id)
        if query.subscription_id is not None:
            found = found.where(endpoints.c.subscription_id == query.subscription_id)
        if query.troubled:
            has_dead = exists().where(*its, _DEAD)
            found = found.where(or_(endpoints.c.failures > 0, endpoints.c.broken_at.is_not(None), has_dead))
        return [_health(row) for row in await self._database.rows(found)]

    async def deliveries(self, selection: Selection, *, limit: int) -> list[ListedDelivery]:
        """Return the first deliveries of a selection, in the order of the changes."""
        changed = (notifications.c.noted_at, notifications.c.object_type, notifications.c.object_id)
        reached = (endpoints.c.push, endpoints.c.subscription_id, endpoints.c.client_id, endpoints.c.url)
        found = (
            select(deliveries, *changed, *reached, endpoints.c.due_at, _WHY.label("why"))
            .select_from(deliveries.join(notifications).join(endpoints))
            .where(*selection.clauses())
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        return [_listed(row) for row in await self._database.rows(found)]

    async def retry(self, selection: Selection) -> tuple[int, int]:
        """Have what was given up made again, and all endpoints of the selection tried at once (WEBHOOK-019).

        Returns how many deliveries that were given up are pending again, and how many endpoints are tried.
        """
        anew = {"ended_at": None, "outcome": None, "error": None, "attempts": 0}
        armed = {"failures": 0, "broken_at": None, "due_at": None}
        clauses = selection.clauses()
        async with self._database.write() as connection:
            its = select(deliveries.c.endpoint_id).where(*clauses)
            tried = await connection.execute(update(endpoints).where(endpoints.c.id.in_(its)).values(armed))
            made = await connection.execute(update(deliveries).where(*clauses, _DEAD).values(anew))
        return made.rowcount, tried.rowcount

    async def drop(self, selection: Selection) -> int:
        """Take deliveries out, so that nobody hears of them; returns how many."""
        values = {"ended_at": self._stamps.now, "outcome": str(Outcome.DROPPED), "error": _DROPPED_BY}
        async with self._database.write() as connection:
            return (await connection.execute(update(deliveries).where(*selection.clauses()).values(values))).rowcount

    async def figures(self) -> list[ChannelFigures]:
        """Return the figures of each way to tell clients that has an endpoint, or had one."""
        per_endpoint = (
            select(deliveries.c.endpoint_id, func.count().label("pending"), func.min(deliveries.c.id).label("oldest"))
            .where(_PENDING)
            .group_by(deliveries.c.endpoint_id)
            .subquery()
        )
        by_state = (
            select(
                endpoints.c.push,
                _STATE.label("state"),
                func.count().label("endpoints"),
                func.coalesce(func.sum(per_endpoint.c.pending), 0).label("pending"),
                func.min(per_endpoint.c.oldest).label("oldest"),
            )
            .select_from(endpoints.outerjoin(per_endpoint, per_endpoint.c.endpoint_id == endpoints.c.id))
            .group_by(endpoints.c.push, _STATE)
            .subquery()
        )
        noted = deliveries.join(notifications)
        found = select(by_state, notifications.c.noted_at).select_from(
            by_state.outerjoin(noted, deliveries.c.id == by_state.c.oldest)
        )
        states = await self._database.rows(found)
        totals = {row["push"]: row for row in await self._database.rows(select(delivery_totals))}
        return [
            _figures(push, [row for row in states if row["push"] == push], totals.get(push))
            for push in Push
            if push in totals or any(row["push"] == push for row in states)
        ]


def _health(row: Row) -> SubscriptionHealth:
    return SubscriptionHealth(
        subscription_id=row["subscription_id"],
        client_id=row["client_id"],
        client_name=row["client_name"],
        callback_url=row["url"],
        protocol=f"OpenADR {row['face'] or '3.1'}",
        state=EndpointState(row["state"]),
        pending=row["pending"],
        dead=row["dead"],
        failures=row["failures"],
        oldest_pending=_instant(row["oldest"]),
        broken_since=_instant(row["broken_at"]),
        next_attempt=_instant(_due_at(row)) if row["pending"] else None,
        last_success=_instant(row["last_success_at"]),
        last_failure=_instant(row["last_failure_at"]),
        last_error=row["last_error"],
    )


def _instant(at: str | None) -> datetime | None:
    return None if at is None else datetime.fromisoformat(at)


def _listed(row: Row) -> ListedDelivery:
    state = Waiting.PENDING if row["ended_at"] is None else Waiting.DEAD
    return ListedDelivery(
        id=row["id"],
        state=state,
        push=Push(row["push"]),
        noted_at=row["noted_at"],
        object_type=row["object_type"],
        operation=Operation(row["operation"]),
        object_id=row["object_id"],
        subscription_id=row["subscription_id"],
        client_id=row["client_id"],
        url=row["url"],
        attempts=row["attempts"],
        error=row["error"] or row["why"],
        due_at=_due_at(row) if state is Waiting.PENDING else None,
    )


def _figures(push: Push, states: Sequence[Row], totals: Row | None) -> ChannelFigures:
    oldest = [row["noted_at"] for row in states if row["noted_at"] is not None]
    return ChannelFigures(
        push=push,
        pending=sum(int(row["pending"]) for row in states),
        oldest_pending_at=min(oldest, default=None),
        endpoints={EndpointState(row["state"]): row["endpoints"] for row in states},
        attempts=0 if totals is None else totals["attempts"],
        delivered=0 if totals is None else totals["delivered"],
        dead=0 if totals is None else totals["dead"],
    )


def _due_at(row: Row) -> str | None:
    """Return when an endpoint is tried next; None for now, and for one that is left alone after 410."""
    due: str | None = row["due_at"]
    return None if due == NEVER else due
