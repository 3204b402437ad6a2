"""Endpoints of subscriptions: one for each callback URL, kept in step with the subscription (SUBS-008, SUBS-010)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import bindparam, delete, exists, insert, select, update

from openadr_profiles.v31 import ObjectOperation, SubscriptionRequest, decode
from vtn.access import Role
from vtn.store.engine import AsyncConnection
from vtn.store.outbox.rows import Push
from vtn.store.tables import clients, endpoint_operations, endpoints, subscriptions

_WORKS: Mapping[str, Any] = {"failures": 0, "broken_at": None, "due_at": None}
"""A subscription that is put again makes a broken endpoint work again (WEBHOOK-019)."""


async def follow_subscription(
    connection: AsyncConnection,
    row: Mapping[Any, Any],
    entries: Sequence[ObjectOperation],
    *,
    sees_everything: bool | None,
) -> None:
    """Make the endpoints those of a subscription, given its row and entries, in the transaction that writes it.

    What waits for an endpoint that stays is delivered; what waits for one that goes is dropped (SUBS-015).
    ``sees_everything`` says that its client is business logic; None if somebody else writes who need not know: then it
    is as before, and without endpoints as the client is registered.
    """
    subscription_id = row["id"]
    known = select(endpoints.c.id, endpoints.c.sees_everything)
    found = await connection.execute(known.where(endpoints.c.subscription_id == subscription_id))
    present: dict[str, bool] = {one.id: one.sees_everything for one in found}
    if sees_everything is None:
        sees_everything = next(iter(present.values()), None)
    if sees_everything is None:
        role = select(clients.c.role).where(clients.c.client_id == row["client_id"])
        sees_everything = (await connection.execute(role)).scalar() == str(Role.BL)
    first_entries, pairs = _by_endpoint(subscription_id, entries)
    if gone := present.keys() - first_entries.keys():
        await connection.execute(delete(endpoints).where(endpoints.c.id.in_(sorted(gone))))
    common = {
        "program_id": row["program_id"],
        "targets": row["targets"],
        "sees_everything": sees_everything,
        **_WORKS,
    }
    kept = [{"endpoint": each, "number": number} for each, number in first_entries.items() if each in present]
    if kept:
        its = endpoints.c.id == bindparam("endpoint")
        await connection.execute(update(endpoints).where(its).values(entry=bindparam("number"), **common), kept)
        stale = endpoint_operations.c.endpoint_id.in_(sorted(one["endpoint"] for one in kept))
        await connection.execute(delete(endpoint_operations).where(stale))
    new = [
        {
            "id": endpoint_id,
            "push": str(Push.WEBHOOK),
            "subscription_id": subscription_id,
            "client_id": row["client_id"],
            "entry": number,
            "url": entries[number].callback_url,
            "face": row["face"],
            **common,
        }
        for endpoint_id, number in first_entries.items()
        if endpoint_id not in present
    ]
    if new:
        await connection.execute(insert(endpoints), new)
    if pairs:
        await connection.execute(insert(endpoint_operations), pairs)


async def add_missing_endpoints(connection: AsyncConnection) -> None:
    """Make the endpoints of subscriptions that have none, as those of a backup of an earlier version.

    A client that is not known to be business logic is told what a VEN sees. Leases and pauses of endpoints end.
    """
    await connection.execute(update(endpoints).values(leased_by=None, leased_until=None, due_at=None))
    lacking = (
        select(subscriptions, clients.c.role)
        .outerjoin(clients, clients.c.client_id == subscriptions.c.client_id)
        .where(~exists().where(endpoints.c.subscription_id == subscriptions.c.id))
    )
    for row in (await connection.execute(lacking)).mappings().all():
        entries = decode(f"{{{row['members']}}}", SubscriptionRequest).object_operations
        await follow_subscription(connection, row, entries, sees_everything=row["role"] == str(Role.BL))


def endpoint_id_of(subscription_id: str, url: str) -> str:
    """Return the id of a callback URL's endpoint: it stays the same when the subscription is put again."""
    return str(uuid5(NAMESPACE_URL, f"{subscription_id} {url}"))


def _by_endpoint(
    subscription_id: str, entries: Sequence[ObjectOperation]
) -> tuple[dict[str, int], list[dict[str, str]]]:
    """Return the number of the first entry of each endpoint, and all that they want to hear of, each pair once."""
    first: dict[str, int] = {}
    pairs: dict[tuple[str, str, str], None] = {}
    for number, entry in enumerate(entries):
        endpoint_id = endpoint_id_of(subscription_id, entry.callback_url)
        first.setdefault(endpoint_id, number)
        for kind in entry.objects:
            pairs |= dict.fromkeys((endpoint_id, str(kind), str(word)) for word in entry.operations)
    names = ("endpoint_id", "object_type", "operation")
    return first, [dict(zip(names, pair, strict=True)) for pair in pairs]
