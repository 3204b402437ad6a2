"""Subscriptions in the database."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, RowMapping, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr_profiles.v31 import Invalid, ObjectOperation, ObjectType, SubscriptionRequest, decode, encode
from openadr_profiles.v31.common import distinct
from vtn.access import Reader, Sight
from vtn.errors import Forbidden
from vtn.store.database import Database, violates
from vtn.store.objects import Created, Objects, Precondition, members_of
from vtn.store.query import SubscriptionQuery
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, programs, subscriptions
from vtn.store.visibility import Visibility, owned, share_a_target


class SubscriptionStore(Objects):
    """Subscriptions: a VEN's own, all of them for business logic; tokens for the owner only (SUBS-001 … SUBS-016)."""

    table = subscriptions
    kind = ObjectType.SUBSCRIPTION

    def __init__(self, database: Database, stamps: Stamps, visibility: Visibility, *, max_per_client: int) -> None:
        super().__init__(database, stamps)
        self._visibility = visibility
        self._max_per_client = max_per_client

    async def search(self, query: SubscriptionQuery, *, visible_to: Reader) -> list[str]:
        """One page of subscriptions (PAGE-022)."""
        clauses: list[ColumnElement[bool]] = owned(subscriptions.c.client_id, visible_to)
        if query.program_id is not None:
            clauses.append(subscriptions.c.program_id == query.program_id)
        if query.client_name is not None:
            clauses.append(subscriptions.c.client_name == query.client_name)
        if query.objects is not None:
            clauses.append(share_a_target(subscriptions.c.objects, query.objects))
        return [self._seen(row, visible_to) for row in await self._page(query.page, clauses)]

    async def get(self, object_id: str, *, visible_to: Reader) -> str:
        """One subscription; raises NotFound also when it is another client's (SUBS-003)."""
        return self._seen(await self._one(object_id, owned(subscriptions.c.client_id, visible_to)), visible_to)

    async def callback_urls(self, object_id: str, *, visible_to: Reader) -> frozenset[str]:
        """The callback URLs that a stored subscription has; raises NotFound."""
        row = await self._one(object_id, owned(subscriptions.c.client_id, visible_to))
        return frozenset(entry.callback_url for entry in _entries(row["members"]))

    async def check(self, subscription: SubscriptionRequest, *, by: Reader, new: bool) -> None:
        """Raise what storing it would raise, so that nobody is called for a subscription that cannot be."""
        sight = await self._sight(subscription, by)
        async with self._database.write() as connection:
            if new:
                await self._check_room(connection, by)
            await self._check_program(connection, subscription, sight)

    async def create(self, subscription: SubscriptionRequest, *, by: Reader) -> Created:
        """Store a new subscription of the caller's.

        Raises Invalid unless the caller sees its program (SUBS-004), Forbidden for one too many (SUBS-016).
        """
        sight = await self._sight(subscription, by)
        try:
            async with self._database.write() as connection:
                await self._check_room(connection, by)
                await self._check_program(connection, subscription, sight)
                return await self._insert(connection, _columns(subscription, by.client_id))
        except IntegrityError as error:
            raise _dangling(error) from error

    async def replace(
        self, object_id: str, subscription: SubscriptionRequest, *, by: Reader, check: Precondition | None = None
    ) -> str:
        """Put a subscription in the place of another; it stays its client's (SUBS-010).

        Who cannot see the bearer tokens cannot lose them either: where somebody else than the owner gives none, the one
        stored for the same callback URL stays.
        """
        sight = await self._sight(subscription, by)
        try:
            async with self._database.write() as connection:
                present = await self._present(connection, object_id, by, check)
                await self._check_program(connection, subscription, sight)
                if not _owns(present, by):
                    subscription = _with_tokens_of(subscription, present["members"])
                text = await self._update(connection, present, _columns(subscription, present["client_id"]))
                return text if _owns(present, by) else _without_tokens(text)
        except IntegrityError as error:
            raise _dangling(error) from error

    async def delete(self, object_id: str, *, by: Reader, check: Precondition | None = None) -> str:
        """Remove a subscription; gives what it was."""
        async with self._database.write() as connection:
            row = await self._present(connection, object_id, by, check)
            await connection.execute(delete(subscriptions).where(subscriptions.c.id == object_id))
        return self._seen(row, by)

    async def _present(
        self, connection: AsyncConnection, object_id: str, by: Reader, check: Precondition | None
    ) -> RowMapping:
        """The row that is about to change; ``check`` looks at what the caller may see of it."""
        statement = self._selected(object_id, owned(subscriptions.c.client_id, by))
        row = await self._locked(connection, statement, None)
        if check is not None:
            check(self._seen(row, by))
        return row

    async def _check_room(self, connection: AsyncConnection, by: Reader) -> None:
        if not self._database.is_sqlite:  # SQLite has one writer; here a client's own requests take turns
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"subscriptions {by.client_id}"))))
        mine = select(func.count()).select_from(subscriptions).where(subscriptions.c.client_id == by.client_id)
        if (await connection.execute(mine)).scalar_one() >= self._max_per_client:
            raise Forbidden(f"a client may have {self._max_per_client} subscriptions; delete one first")

    async def _sight(self, subscription: SubscriptionRequest, by: Reader) -> Sight | None:
        """What the caller sees of programs, asked before a connection is held."""
        return None if subscription.program_id is None else await self._visibility.sight(by)

    async def _check_program(
        self, connection: AsyncConnection, subscription: SubscriptionRequest, sight: Sight | None
    ) -> None:
        if subscription.program_id is None:
            return
        visible = self._visibility.program(sight)
        found = select(programs.c.id).where(programs.c.id == subscription.program_id, *visible)
        if (await connection.execute(found)).first() is None:
            raise _no_program()

    def _seen(self, row: RowMapping, by: Reader) -> str:
        text = self._text(row)
        return _without_tokens(text) if row["has_tokens"] and not _owns(row, by) else text


def _owns(row: RowMapping, by: Reader) -> bool:
    return bool(row["client_id"] == by.client_id)


def _without_tokens(text: str) -> str:
    """The object as everybody but its owner gets it (SUBS-011, COMPAT-050)."""
    subscription: dict[str, Any] = msgspec.json.decode(text)
    for entry in subscription["objectOperations"]:
        entry["bearerToken"] = None
    return encode(subscription).decode()


def _with_tokens_of(subscription: SubscriptionRequest, members: str) -> SubscriptionRequest:
    tokens = {entry.callback_url: entry.bearer_token for entry in _entries(members)}
    entries = tuple(
        replace(entry, bearer_token=tokens.get(entry.callback_url)) if entry.bearer_token is None else entry
        for entry in subscription.object_operations
    )
    return replace(subscription, object_operations=entries)


def _entries(members: str) -> tuple[ObjectOperation, ...]:
    return decode(f"{{{members}}}", SubscriptionRequest).object_operations


def _columns(subscription: SubscriptionRequest, client_id: str) -> dict[str, Any]:
    entries = subscription.object_operations
    members = members_of(replace(subscription, targets=None))
    return {
        "program_id": subscription.program_id,
        "client_id": client_id,
        "client_name": subscription.client_name,
        "objects": distinct(kind.value for entry in entries for kind in entry.objects),
        "targets": subscription.targets or (),
        "has_tokens": any(entry.bearer_token is not None for entry in entries),
        "members": f'"clientID":{encode(client_id).decode()},{members}',
    }


def _no_program() -> Invalid:
    return Invalid("programID", "there is no such program")


def _dangling(error: IntegrityError) -> Exception:
    return _no_program() if violates(error, constraint(subscriptions, "program_id")) else error
