"""The deliveries that are to be made: who may make those of an endpoint now, in which order, and how they ended.

Dispatchers lease endpoints, not deliveries: whoever holds the lease makes the deliveries of an endpoint one after the
other, so that their order holds. A lease that is not prolonged ends, and another dispatcher goes on where this one
stopped; what was delivered and not yet recorded is delivered again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Integer, Text, and_, bindparam, case, delete, exists, func, or_, select, update

from vtn.errors import SecretsKeyUnusable
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.large import Row
from vtn.store.outbox.free import FREE_FAILING, FREE_WORKING, WITH_TOKENS, earliest
from vtn.store.outbox.pending import NEXT, delivery_of
from vtn.store.outbox.rows import Delivery, Endpoint, Push
from vtn.store.outbox.totals import OutcomeTotals
from vtn.store.sealing import opened_tokens
from vtn.store.stamps import NEVER, Stamps
from vtn.store.tables import deliveries, endpoints, notifications, subscriptions
from vtn.store.vault import Vault

_AT_ONCE: Final = 5000
_RECORDED_AT_ONCE: Final = 1000
_ANY_SIZE: Final = 2**40


class Outcome(StrEnum):
    """Name how a delivery ended."""

    DELIVERED = "DELIVERED"
    DEAD = "DEAD"
    """Given up; ``oadr vtn outbox retry`` makes it again."""
    DROPPED = "DROPPED"
    """Taken out by an operator, or too old."""


class Ended(Struct, frozen=True, gc=False):
    """A delivery that needs no further attempt. ``error`` is what an operator is shown of a failure."""

    delivery_id: int
    outcome: Outcome
    error: str | None = None


class Pending(Struct, frozen=True):
    """The next deliveries of an endpoint; none, and ``is_large``, if the first of them is larger than was asked for.

    ``is_all`` says that there were no more when they were read.
    """

    deliveries: Sequence[Delivery]
    is_large: bool = False
    is_all: bool = False


class TurnEnd(Struct, frozen=True, gc=False):
    """Say how an endpoint is left by the dispatcher that leased it, which gives the lease back.

    ``failures`` counts failed attempts in a row. ``retry_in_s`` leaves it alone for so long; None with ``broken`` means
    until somebody sets it going again. ``error`` is the last failure of the turn. ``failed``: the turn ends with an
    attempt that failed and will be made again; ``tried`` is the delivery, None if the endpoint was not reached.
    ``as_of`` is that of the endpoint: if its subscription was put since then, only the lease is given back.
    """

    endpoint_id: str
    failures: int = 0
    retry_in_s: float | None = 0.0
    broken: bool = False
    succeeded: bool = False
    error: str | None = None
    failed: bool = False
    tried: int | None = None
    as_of: str = ""


class Outbox:
    """Leases endpoints, reads their pending deliveries in order, and records how those ended."""

    def __init__(self, database: Database, stamps: Stamps, vault: Vault) -> None:
        self._database = database
        self._stamps = stamps
        self._vault = vault
        self.watch = database.watch(subscriptions)
        """Tells when endpoints of webhooks may have gone."""
        self.recorded = database.recorded.waiter()
        """Tells that there may be more to deliver; for one dispatcher."""

    async def claim(
        self,
        *,
        by: str,
        lease_s: float,
        limit: int,
        push: Iterable[Push],
        failing: bool,
        per_client: int,
        busy_clients: Collection[str] = (),
    ) -> list[Endpoint]:
        """Lease up to ``limit`` endpoints that have something to deliver and are due; raises Unavailable.

        ``by`` names the dispatcher. ``failing`` asks for those whose last attempt failed, else for the others. At most
        ``per_client`` of one client, none of ``busy_clients``; those that were left alone longest come first.
        Endpoints that another dispatcher holds are passed over, without waiting for it.
        """
        asked = {
            "push": _words(push),
            "now": self._stamps.now,
            "busy": list(busy_clients),
            "per_client": per_client,
            "most": limit,
        }
        leased = {"leased_by": by, "leased_until": self._stamps.ago(timedelta(seconds=-lease_s))}
        async with self._database.write() as connection:
            ids = (await connection.execute(FREE_FAILING if failing else FREE_WORKING, asked)).scalars().all()
            if not ids:
                return []
            await connection.execute(update(endpoints).where(endpoints.c.id.in_(ids)).values(leased))
            rows = (await connection.execute(WITH_TOKENS, {"ids": ids})).mappings().all()
        return [self._endpoint(row) for row in rows]

    async def prolong(self, endpoint_ids: Collection[str], *, by: str, lease_s: float) -> None:
        """Prolong the leases of a dispatcher that it uses; one that it knows nothing of must end by itself."""
        until = self._stamps.ago(timedelta(seconds=-lease_s))
        held = endpoints.c.leased_by == by, endpoints.c.id.in_(endpoint_ids)
        async with self._database.write() as connection:
            await connection.execute(update(endpoints).where(*held).values(leased_until=until))

    async def there(self, endpoint_ids: Collection[str]) -> Mapping[str, str]:
        """Return which of these endpoints of webhooks there still are, with the last change of the subscription.

        A subscription that is deleted takes its own away with it (SUBS-015).
        """
        as_of = subscriptions.c.modified_at
        found = select(endpoints.c.id, as_of).join(subscriptions).where(endpoints.c.id.in_(endpoint_ids))
        return {row["id"]: row["modified_at"] for row in await self._database.rows(found)}

    async def pending(
        self, endpoint_id: str, *, limit: int, max_bytes: int, after: int = 0, even_large: bool = False
    ) -> Pending:
        """Return the next deliveries of an endpoint behind the delivery ``after``, in the order of the changes.

        They are ``limit`` at most, whose objects have ``max_bytes`` in all. ``even_large`` returns one of any size.
        """
        values: dict[str, Any] = {"endpoint_id": endpoint_id, "after": after, "most": limit, "max_bytes": max_bytes}
        if even_large:
            values |= {"most": 1, "max_bytes": _ANY_SIZE}
        rows = await self._database.found(NEXT, values)
        if not rows:
            return Pending((), is_all=True)
        if rows[0]["members"] is None:
            return Pending((), is_large=True)
        found = [delivery_of(row) for row in rows]
        return Pending(found, is_all=not even_large and rows[0]["waiting"] == len(rows) < limit)

    async def record(self, ended: Sequence[Ended], turns: Sequence[TurnEnd] = (), *, by: str = "") -> None:
        """Record deliveries that are over and endpoints that are left by the dispatcher ``by``, in one transaction."""
        by_result: dict[tuple[Outcome, str | None], list[int]] = {}
        for one in ended:
            by_result.setdefault((one.outcome, one.error), []).append(one.delivery_id)
        totals = OutcomeTotals()
        async with self._database.write() as connection:
            for (outcome, error), ids in by_result.items():
                values = {"ended_at": self._stamps.now, "outcome": str(outcome), "error": error}
                for first in range(0, len(ids), _RECORDED_AT_ONCE):
                    some = deliveries.c.id.in_(sorted(ids[first : first + _RECORDED_AT_ONCE]))
                    these = (some, deliveries.c.ended_at.is_(None))
                    await totals.count_ended(
                        connection, these, delivered=outcome is Outcome.DELIVERED, dead=outcome is Outcome.DEAD
                    )
                    done = update(deliveries).where(*these)
                    await connection.execute(done.values(values | {"attempts": deliveries.c.attempts + 1}))
            if turns:
                await self._leave(connection, turns, by)
            for turn in turns:
                if turn.failed:
                    await totals.count_failure(connection, turn.endpoint_id)
            await totals.add_to(connection)

    async def _leave(self, connection: AsyncConnection, turns: Sequence[TurnEnd], by: str) -> None:
        """Record how endpoints are left; one that is not leased any more has been taken over and stays as it is."""
        now = self._stamps.now
        held = and_(endpoints.c.id == bindparam("endpoint"), endpoints.c.leased_by == by)
        succeeded, broken = bindparam("succeeded", type_=Integer), bindparam("broken", type_=Integer)
        failed = bindparam("last", type_=Text)
        as_of = bindparam("as_of", type_=Text)
        # A subscription that was put makes its endpoints work at once; a turn that began before must not undo that.
        its = subscriptions.c.id == endpoints.c.subscription_id
        is_as_it_was = or_(as_of == "", exists().where(its, subscriptions.c.modified_at == as_of))
        broken_at = case((broken == 1, func.coalesce(endpoints.c.broken_at, now)), else_=None)
        left = update(endpoints).where(held)
        left = left.values(
            leased_by=None,
            leased_until=now,
            failures=case((is_as_it_was, bindparam("fails", type_=Integer)), else_=endpoints.c.failures),
            due_at=case((is_as_it_was, bindparam("due", type_=Text)), else_=endpoints.c.due_at),
            broken_at=case((is_as_it_was, broken_at), else_=endpoints.c.broken_at),
            last_success_at=case((succeeded == 1, now), else_=endpoints.c.last_success_at),
            last_failure_at=case((failed != "", now), else_=endpoints.c.last_failure_at),
            last_error=case((failed != "", failed), else_=endpoints.c.last_error),
        )
        values = [
            {
                "endpoint": turn.endpoint_id,
                "fails": turn.failures,
                "due": self._due(turn),
                "broken": int(turn.broken),
                "succeeded": int(turn.succeeded),
                "last": turn.error or "",
                "as_of": turn.as_of,
            }
            for turn in sorted(turns, key=lambda turn: turn.endpoint_id)
        ]
        await connection.execute(left, values)
        for turn in turns:
            if turn.tried is not None:
                tried = {"attempts": deliveries.c.attempts + 1, "error": turn.error}
                await connection.execute(update(deliveries).where(deliveries.c.id == turn.tried).values(tried))

    async def due_in_s(self, push: Iterable[Push]) -> float | None:
        """Return in how many seconds the next endpoint with something to deliver is due, or its lease ends.

        It is 0 for now, and None if nothing waits.
        """
        (row,) = await self._database.found(earliest(tuple(_words(push))), {})
        found: str | None = row["due"]
        if not found:
            return None if found is None else 0.0
        left = datetime.fromisoformat(found) - datetime.fromisoformat(self._stamps.now)
        return max(0.0, left.total_seconds())

    async def expire(self, push: Push, *, age: timedelta, outcome: Outcome) -> int:
        """End pending deliveries of changes older than ``age``, whose horizon is over (MQTT-036); return how many.

        Some at a time: after an outage there may be millions, and nobody has to wait for all of them.
        """
        old = select(notifications.c.seq).where(notifications.c.noted_at < self._stamps.ago(age))
        its = select(endpoints.c.id).where(endpoints.c.push == str(push))
        late = deliveries.c.ended_at.is_(None), deliveries.c.endpoint_id.in_(its), deliveries.c.seq.in_(old)
        some = select(deliveries.c.id).where(*late).order_by(deliveries.c.id).limit(_AT_ONCE)
        over = update(deliveries).where(deliveries.c.id.in_(some), deliveries.c.ended_at.is_(None))
        expired, count = 0, _AT_ONCE
        while count == _AT_ONCE:
            values = {"ended_at": self._stamps.now, "outcome": str(outcome), "error": "too old"}
            async with self._database.write() as connection:
                count = (await connection.execute(over.values(values))).rowcount
                if outcome is Outcome.DEAD:
                    totals = OutcomeTotals()
                    totals.count_expired(push, count)
                    await totals.add_to(connection)
            expired += count
        return expired

    async def prune(self, *, delivered_age: timedelta, dead_age: timedelta, noted_age: timedelta) -> int:
        """Remove what has been kept long enough, some at a time; return the number of rows.

        Changes go when no delivery of theirs is left and they are older than ``noted_age``, so that a websocket can go
        on from where it was.
        """
        ended, outcome = deliveries.c.ended_at, deliveries.c.outcome
        fine = (ended < self._stamps.ago(delivered_age)) & (outcome != str(Outcome.DEAD))
        dead = (ended < self._stamps.ago(dead_age)) & (outcome == str(Outcome.DEAD))
        unheard = ~exists().where(deliveries.c.seq == notifications.c.seq)
        old = notifications.c.noted_at < self._stamps.ago(noted_age)
        removed = 0
        for table, key, clause in (
            (deliveries, deliveries.c.id, or_(fine, dead)),
            (notifications, notifications.c.seq, old & unheard),
        ):
            some = delete(table).where(key.in_(select(key).where(clause).limit(_AT_ONCE)))
            count = _AT_ONCE
            while count == _AT_ONCE:
                async with self._database.write() as connection:
                    count = (await connection.execute(some)).rowcount
                removed += count
        return removed

    def _due(self, turn: TurnEnd) -> str | None:
        if turn.retry_in_s is None:
            return NEVER  # until somebody sets it going again
        return self._stamps.ago(timedelta(seconds=-turn.retry_in_s)) if turn.retry_in_s else None

    def _endpoint(self, row: Row) -> Endpoint:
        token = problem = None
        if row["tokens"] is not None and row["entry"] is not None:
            try:
                token = opened_tokens(self._vault, row["subscription_id"], row["tokens"])[row["entry"]]
            except SecretsKeyUnusable as error:
                problem = f"its bearer token cannot be read: {error}"
        return Endpoint(
            id=row["id"],
            push=Push(row["push"]),
            subscription_id=row["subscription_id"],
            client_id=row["client_id"],
            url=row["url"],
            bearer_token=token,
            failures=row["failures"],
            broken_at=row["broken_at"],
            problem=problem,
            as_of=row["as_of"] or "",
            face=row["face"],
        )


def _words(push: Iterable[Push]) -> list[str]:
    return [str(one) for one in push]
