"""Rows of the outbox as a test wants them, put into the database as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, update

from tests.vtn.harness import VtnUnderTest, unique
from vtn.store.database import Database
from vtn.store.outbox.queue import Ended, Outbox, TurnEnd
from vtn.store.outbox.rows import Delivery, Endpoint, Push
from vtn.store.stamps import Stamps
from vtn.store.tables import deliveries, endpoints, notifications, subscriptions


class OutboxRows:
    """Subscriptions with an endpoint each, and deliveries to them, at the time of the test's clock."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self.database: Database = vtn.server._database
        self.stamps = Stamps(vtn.now)
        self.outbox = Outbox(self.database, self.stamps, vtn.server._vault)

    async def endpoint(self, client_id: str = "home-1", *, push: str = "WEBHOOK", **members: Any) -> str:
        """Insert an endpoint; of a webhook with its subscription. Returns its id."""
        at = self.stamps.next()
        id_ = unique("endpoint") if push == "WEBHOOK" else push.lower()
        row: dict[str, Any] = {"id": id_, "push": push, "sees_everything": False, "targets": (), "failures": 0}
        async with self.database.write() as connection:
            if push == "WEBHOOK":
                row |= {"subscription_id": f"of-{id_}", "client_id": client_id, "url": f"https://{id_}.example/hook"}
                subscription = {
                    "id": f"of-{id_}",
                    "created_at": at,
                    "modified_at": at,
                    "client_id": client_id,
                    "client_name": f"Name of {client_id}",
                    "objects": ("EVENT",),
                    "targets": (),
                    "has_tokens": False,
                    "members": f'"clientID":"{client_id}","clientName":"Name of {client_id}","objectOperations":[]',
                }
                await connection.execute(insert(subscriptions).values(subscription))
            await connection.execute(insert(endpoints).values(row | members))
        return id_

    async def delivery(self, endpoint_id: str, object_id: str = "e1", text: str = "p", **members: Any) -> int:
        """Insert a change of an event and its delivery; returns the delivery's id."""
        at = self.stamps.next()
        note: dict[str, Any] = {
            "noted_at": at,
            "object_type": "EVENT",
            "operation": "CREATE",
            "object_id": object_id,
            "targets_inside": False,
            "has_tokens": False,
            "created_at": at,
            "modified_at": at,
            "targets": (),
            "program_targets": (),
            "members": f'"programID":"p","eventName":"{text}"',
        }
        async with self.database.write() as connection:
            made = insert(notifications).values(note).returning(notifications.c.seq)
            seq = (await connection.execute(made)).scalar_one()
            row = {"seq": seq, "endpoint_id": endpoint_id, "operation": "CREATE", "attempts": 0}
            added = insert(deliveries).values(row | members).returning(deliveries.c.id)
            return int((await connection.execute(added)).scalar_one())

    async def claim(self, *, by: str = "me", limit: int = 9) -> list[Endpoint]:
        """Lease endpoints that are due, those that work first."""
        found: list[Endpoint] = []
        for failing in (False, True):
            found += await self.outbox.claim(
                by=by, lease_s=9, limit=limit, push=Push, failing=failing, per_client=limit
            )
        return found

    async def pending(self, endpoint_id: str) -> Sequence[Delivery]:
        """Return what waits for an endpoint."""
        return (await self.outbox.pending(endpoint_id, limit=9, max_bytes=10**6)).deliveries

    async def leave(self, turn: TurnEnd, *ended: Ended) -> None:
        """Record how a dispatcher leaves an endpoint, whether it had leased it or not."""
        async with self.database.write() as connection:
            held = update(endpoints).where(endpoints.c.id == turn.endpoint_id)
            await connection.execute(held.values(leased_by="me", leased_until=self.stamps.now))
        await self.outbox.record(ended, [turn], by="me")
