"""Deliveries as pages show them: the broker of MQTT, single endpoints, and a notification that tries a subscription."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import func, insert, literal, select, update

from openadr_profiles.subscription_health import EndpointState
from vtn.errors import Conflict, NotFound
from vtn.store.database import Database, touch
from vtn.store.outbox.rows import Operation, Push
from vtn.store.stamps import Stamps
from vtn.store.tables import deliveries, endpoints, notifications, subscriptions

_ENDPOINTS_AT_MOST: Final = 64


class BrokerState(Struct, frozen=True, gc=False):
    """Hold how deliveries to the MQTT broker fare; instants are stamps."""

    state: EndpointState
    failures: int
    last_success_at: str | None
    last_failure_at: str | None
    last_error: str | None


class TriedEndpoint(Struct, frozen=True, gc=False):
    """The last trial of an endpoint: its delivery, and what became of it (None: not made yet)."""

    delivery_id: int
    noted_at: str
    url: str
    outcome: str | None
    attempts: int
    error: str | None


class DeliveryPages:
    """Reads what pages of deliveries need beside ``OutboxListing``, and tries subscriptions."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def broker(self) -> BrokerState | None:
        """Return how the broker fares; None without one."""
        row = await self._database.row(select(endpoints).where(endpoints.c.push == str(Push.MQTT)).limit(1))
        if row is None:
            return None
        state = EndpointState.WORKING
        if row["broken_at"] is not None:
            state = EndpointState.BROKEN
        elif row["failures"]:
            state = EndpointState.FAILING
        elif row["last_success_at"] is None and row["last_failure_at"] is None:
            state = EndpointState.NEW
        return BrokerState(state, row["failures"], row["last_success_at"], row["last_failure_at"], row["last_error"])

    async def try_subscription(self, subscription_id: str) -> int:
        """Have each endpoint of a subscription be told that its subscription was read; returns how many there are.

        That is true, is what a receiver may be told at any time (SUBS-029), and changes nothing for it. It goes the way
        of any other notification: in its order, signed, with its token. Raises NotFound, Conflict without an endpoint.
        """
        now = self._stamps.now
        of = select(
            literal(now),
            literal("SUBSCRIPTION"),
            literal(str(Operation.READ)),
            subscriptions.c.id,
            subscriptions.c.client_id,
            subscriptions.c.program_id,
            literal(False),
            subscriptions.c.has_tokens,
            subscriptions.c.created_at,
            subscriptions.c.modified_at,
            subscriptions.c.targets,
            literal((), notifications.c.program_targets.type),
            subscriptions.c.members,
            subscriptions.c.target_records,
        ).where(subscriptions.c.id == subscription_id)
        columns = [
            *("noted_at", "object_type", "operation", "object_id", "client_id", "program_id", "targets_inside"),
            *("has_tokens", "created_at", "modified_at", "targets", "program_targets", "members", "target_records"),
        ]
        its = endpoints.c.subscription_id == subscription_id
        async with self._database.write() as connection:
            made = insert(notifications).from_select(columns, of).returning(notifications.c.seq)
            seq = (await connection.execute(made)).scalars().first()
            if seq is None:
                raise NotFound("there is no such subscription; it may have been deleted")
            told = select(literal(seq), endpoints.c.id, literal(str(Operation.READ)), literal(0)).where(its)
            added = insert(deliveries).from_select(["seq", "endpoint_id", "operation", "attempts"], told)
            count = (await connection.execute(added)).rowcount
            if not count:
                raise Conflict("the subscription has no callback URL that is told of anything")
            await connection.execute(update(endpoints).where(its, endpoints.c.broken_at.is_(None)).values(due_at=None))
            touch(connection, deliveries)
        return int(count)

    async def trials(self, subscription_id: str) -> Sequence[TriedEndpoint]:
        """Return the newest trial of each endpoint of a subscription that is still kept."""
        newest = (
            select(func.max(deliveries.c.id).label("id"))
            .select_from(deliveries.join(notifications, notifications.c.seq == deliveries.c.seq))
            .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
            .where(
                endpoints.c.subscription_id == subscription_id,
                notifications.c.object_id == subscription_id,
                notifications.c.operation == str(Operation.READ),
            )
            .group_by(deliveries.c.endpoint_id)
            .limit(_ENDPOINTS_AT_MOST)
            .subquery()
        )
        found = (
            select(deliveries, notifications.c.noted_at, endpoints.c.url)
            .join(newest, newest.c.id == deliveries.c.id)
            .join(notifications, notifications.c.seq == deliveries.c.seq)
            .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
            .order_by(deliveries.c.id)
        )
        return [
            TriedEndpoint(row["id"], row["noted_at"], row["url"] or "", row["outcome"], row["attempts"], row["error"])
            for row in await self._database.rows(found)
        ]
