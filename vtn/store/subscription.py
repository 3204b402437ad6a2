"""Subscriptions in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import structlog
from msgspec.structs import replace
from sqlalchemy import Boolean, ColumnElement, FromClause, RowMapping, Select, exists, func, select

from openadr_profiles.v31 import Invalid, ObjectOperation, ObjectType, SubscriptionRequest, decode, encode
from openadr_profiles.v31.common import distinct
from vtn.access import Caller
from vtn.errors import Forbidden, NotFound, SecretsKeyUnusable, Unavailable
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large, Row
from vtn.store.objects import Objects, View, shared_columns
from vtn.store.outbox.changes import outlast_older_writes
from vtn.store.outbox.notes import Notes
from vtn.store.outbox.subscribers import follow_subscription
from vtn.store.query import SubscriptionQuery
from vtn.store.rows import ObjectRow, Precondition, RowPage, SubscriptionRow
from vtn.store.sealing import opened_tokens, sealed_tokens, without_tokens
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, programs, subscriptions
from vtn.store.typed_targets import Records, matching, stored_records
from vtn.store.vault import Vault
from vtn.store.visibility import Visibility, owned, share_a_target

_log = structlog.get_logger(__name__)

Verify: TypeAlias = Callable[[Sequence[ObjectOperation], frozenset[str]], Awaitable[None]]
"""Asks the callbacks of some entries, but for the URLs that are known, whether they want to be called; or raises."""

_PROGRAM = (programs.c.id.label("found_program_id"), programs.c.targets.label("program_targets"))


class SubscriptionStore(Objects):
    """Subscriptions: a VEN's own, all of them for business logic; tokens for the owner only (SUBS-001 … SUBS-016).

    Callbacks are verified before anything is stored (WEBHOOK-005), and that takes its time: no connection is held
    meanwhile. One statement finds out whether the subscription could be stored, so that nobody is called for one that
    cannot be; the one that stores it makes the same conditions.
    """

    table = subscriptions
    kind = ObjectType.SUBSCRIPTION

    def __init__(
        self,
        database: Database,
        stamps: Stamps,
        notes: Notes,
        visibility: Visibility,
        vault: Vault,
        *,
        verify: Verify,
        max_per_client: int,
    ) -> None:
        super().__init__(database, stamps, notes)
        self._visibility = visibility
        self._vault = vault
        self._verify = verify
        self._max_per_client = max_per_client

    async def search(self, query: SubscriptionQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of subscriptions (PAGE-022)."""
        clauses: list[ColumnElement[bool]] = owned(subscriptions.c.client_id, visible_to)
        if query.typed is not None:
            clauses.append(matching(subscriptions, query.typed))
        if query.of_a_program:
            clauses.append(subscriptions.c.program_id.is_not(None))
        if query.program_id is not None:
            clauses.append(subscriptions.c.program_id == query.program_id)
        if query.client_name is not None:
            clauses.append(subscriptions.c.client_name == query.client_name)
        if query.objects is not None:
            clauses.append(share_a_target(subscriptions.c.objects, query.objects))
        rows = await self._page(query.page, clauses)
        return await self._seen_page(rows, self._view(visible_to), audience=visible_to.client_id)

    async def get(self, object_id: str, *, visible_to: Caller, of_a_program: bool = False) -> ObjectRow | Large:
        """Return one subscription; raises NotFound also when it is another client's (SUBS-003).

        ``of_a_program`` asks for one of a program; raises NotFound for any other (V301-042).
        """
        mine = owned(subscriptions.c.client_id, visible_to)
        if of_a_program:
            mine.append(subscriptions.c.program_id.is_not(None))
        return await self._seen_object(object_id, mine, self._view(visible_to), audience=visible_to.client_id)

    async def create(
        self,
        subscription: SubscriptionRequest,
        *,
        by: Caller,
        reader: Caller | None = None,
        records: Records | None = None,
        face: str | None = None,
        verify: Verify | None = None,
    ) -> ObjectRow:
        """Store a new subscription of the caller's. ``face`` is the version it is made on, None for 3.1 (V301-040).

        ``reader`` is the caller as it sees programs there, if not as usual (V301-007): it is told by its role.
        ``verify`` asks its callbacks, if not as usual.
        Raises Invalid unless the caller sees its program (SUBS-004), Forbidden for one too many (SUBS-016).
        """
        reader = reader or by
        await self._check_new(subscription, reader)
        await (verify or self._verify)(subscription.object_operations, frozenset())
        row = self._row({"face": face})
        row |= self._columns(subscription, by.client_id, row["id"], records, None)
        while not await self._add(row, subscription, by, reader):
            await self._check_new(subscription, reader)  # says why; or nothing is in the way any more
        await self._outlast_older_writes()
        return self._seen(row, by)

    async def replace(
        self,
        object_id: str,
        subscription: SubscriptionRequest,
        *,
        by: Caller,
        reader: Caller | None = None,
        check: Precondition | None = None,
        records: Records | None = None,
        verify: Verify | None = None,
    ) -> ObjectRow:
        """Put a subscription in the place of another; it stays its client's (SUBS-010), and on its face (V301-040).

        Who cannot see the bearer tokens cannot lose them either: where somebody else than the owner gives none, the one
        stored for the same callback URL stays. ``reader`` is the caller as it sees programs, as in ``create``.
        """
        reader = reader or by
        present = await self._replaceable(object_id, subscription, by, reader, check)
        known = frozenset(one.callback_url for one in _entries(present))
        await (verify or self._verify)(subscription.object_operations, known)
        while (changed := await self._change(present, subscription, by, reader, records)) is None:
            present = await self._replaceable(
                object_id, subscription, by, reader, check
            )  # somebody else has changed it
        await self._outlast_older_writes()
        return changed

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a subscription; returns what it was."""
        async with self._database.write() as connection:
            statement = self._selected(object_id, owned(subscriptions.c.client_id, by))
            row = await self._locked(connection, statement, None)
            if check is not None:
                check(self._seen(row, by))
            await self._writes.delete(connection, object_id, present=row)
        return self._seen(row, by)

    async def _outlast_older_writes(self) -> None:
        """Let writes end that do not know of this subscription: who reads after the answer and listens misses none."""
        with suppress(Unavailable):  # it is stored, and the answer says so
            await outlast_older_writes(self._database)

    async def _check_new(self, subscription: SubscriptionRequest, by: Caller) -> None:
        """Raise what stands in the way of a new subscription, in one statement."""
        (row,) = await self._database.rows(self._with_program(_count(by.client_id).subquery(), subscription, by))
        if row["count"] >= self._max_per_client:
            raise Forbidden(f"a client may have {self._max_per_client} subscriptions; delete one first")
        self._check_program(row, subscription, by)

    async def _replaceable(
        self,
        object_id: str,
        subscription: SubscriptionRequest,
        by: Caller,
        reader: Caller,
        check: Precondition | None,
    ) -> RowMapping:
        """Return the row that a subscription would replace; ``check`` gets it as the caller sees it."""
        mine = owned(subscriptions.c.client_id, by)
        statement = self._with_program(subscriptions, subscription, reader).where(
            subscriptions.c.id == object_id, *mine
        )
        row = await self._database.row(statement)
        if row is None:
            raise NotFound
        if check is not None:
            check(self._seen(row, by))
        self._check_program(row, subscription, reader)
        return row

    def _check_program(self, row: RowMapping, subscription: SubscriptionRequest, by: Caller) -> None:
        """Raise Invalid unless the program in this row, with the caller's grants beside it, is there and visible."""
        if subscription.program_id is None:
            return
        entitlement = self._visibility.entitlement_in(row, by)
        if row["found_program_id"] is None or not (entitlement is None or entitlement.admits(row["program_targets"])):
            raise _no_program()

    async def _add(self, row: dict[str, Any], subscription: SubscriptionRequest, by: Caller, reader: Caller) -> bool:
        """Store a new row if there is room and its program is visible; returns True if it did."""
        clauses = [self._room(by.client_id), *self._program_visible(row["program_id"], reader)]
        async with self._writing() as connection:
            made = await self._writes.insert_if(connection, row, clauses)
            if made:
                entries = subscription.object_operations
                await follow_subscription(connection, row, entries, sees_everything=by.sees_everything)
        return made

    async def _change(
        self,
        present: RowMapping,
        subscription: SubscriptionRequest,
        by: Caller,
        reader: Caller,
        records: Records | None,
    ) -> ObjectRow | None:
        """Put a subscription in the place of a row unless that has changed; returns what it is now, None if it has."""
        if not _owns(present, by):
            subscription = _with_tokens_of(subscription, self._entries_with_tokens(present))
        changed = {
            "modified_at": self._stamps.next(after=present["modified_at"]),
            **self._columns(subscription, present["client_id"], present["id"], records, present["target_records"]),
        }
        as_seen = subscriptions.c.modified_at == present["modified_at"]
        clauses = [as_seen, *self._program_visible(subscription.program_id, reader)]
        async with self._writing() as connection:
            made = await self._writes.update_if(connection, present, changed, clauses)
            if made:
                row = {**present, **changed}
                role = by.sees_everything if _owns(present, by) else None
                await follow_subscription(connection, row, subscription.object_operations, sees_everything=role)
        return self._seen({**present, **changed}, by) if made else None

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """Yield a transaction; raises Invalid if the program of a subscription is gone when it commits."""
        try:
            async with self._database.write() as connection:
                yield connection
        except ConstraintViolated as error:
            raise _dangling(error) from error

    def _room(self, client_id: str) -> ColumnElement[bool]:
        """Return a clause: the client may have one more subscription, now and until the transaction ends."""
        if not self._database.is_sqlite:  # a client's requests take turns (migration 0006)
            return func.openadr_may_subscribe(client_id, self._max_per_client, type_=Boolean)
        return _count(client_id).scalar_subquery() < self._max_per_client  # there is one writer

    def _program_visible(self, program_id: str | None, by: Caller) -> list[ColumnElement[bool]]:
        """Return a clause: the caller sees the program. The same statement reads its targets, so they are current."""
        if program_id is None:
            return []
        return [exists().where(programs.c.id == program_id, *self._visibility.program_for(by))]

    def _with_program(self, from_: FromClause, subscription: SubscriptionRequest, by: Caller) -> Select[Any]:
        """Return a statement for rows with the program a subscription names and the targets the caller holds."""
        if subscription.program_id is None:
            return select(from_)
        program = from_.outerjoin(programs, programs.c.id == subscription.program_id)
        held, joined = self._visibility.with_grants(program, by)
        return select(from_, *_PROGRAM, *held).select_from(joined)

    def _view(self, by: Caller) -> View:
        return lambda rows: [self._seen(row, by) for row in rows]

    def _seen(self, row: Row, by: Caller) -> SubscriptionRow:
        """Return a subscription with its tokens for its owner, without them for everybody else."""
        common = *shared_columns(row), row["target_records"]
        if not _owns(row, by):
            return SubscriptionRow(*common, hides_tokens=row["has_tokens"], face=row["face"])
        tokens = None if row["tokens"] is None else tuple(self._tokens(row))
        return SubscriptionRow(*common, tokens, face=row["face"])

    def _entries_with_tokens(self, row: RowMapping) -> tuple[ObjectOperation, ...]:
        entries = _entries(row)
        if row["tokens"] is None:
            return entries
        pairs = zip(entries, self._tokens(row), strict=True)
        return tuple(replace(entry, bearer_token=token) for entry, token in pairs)

    def _tokens(self, row: Row) -> list[str | None]:
        try:
            return opened_tokens(self._vault, row["id"], row["tokens"])
        except SecretsKeyUnusable as error:
            _log.error("the tokens of a subscription cannot be read", id=row["id"], reason=str(error))
            raise Unavailable("the bearer tokens of this subscription cannot be read at present") from error

    def _columns(
        self,
        subscription: SubscriptionRequest,
        client_id: str,
        object_id: str,
        records: Records | None,
        before: str | None,
    ) -> dict[str, Any]:
        targets = subscription.targets or ()
        members, tokens = without_tokens(subscription)
        sealed = sealed_tokens(self._vault, object_id, tokens)
        return {
            "program_id": subscription.program_id,
            "client_id": client_id,
            "client_name": subscription.client_name,
            "objects": distinct(kind.value for entry in subscription.object_operations for kind in entry.objects),
            "targets": targets,
            "target_records": stored_records(records, before, targets),
            "has_tokens": sealed is not None,
            "tokens": sealed,
            "members": f'"clientID":{encode(client_id).decode()},{members}',
        }


def _count(client_id: str) -> Select[Any]:
    """Return a statement that counts the subscriptions of a client."""
    return select(func.count().label("count")).where(subscriptions.c.client_id == client_id)


def _owns(row: Row, by: Caller) -> bool:
    return bool(row["client_id"] == by.client_id)


def _with_tokens_of(subscription: SubscriptionRequest, present: tuple[ObjectOperation, ...]) -> SubscriptionRequest:
    tokens = {entry.callback_url: entry.bearer_token for entry in present}
    entries = tuple(
        replace(entry, bearer_token=tokens.get(entry.callback_url)) if entry.bearer_token is None else entry
        for entry in subscription.object_operations
    )
    return replace(subscription, object_operations=entries)


def _entries(row: RowMapping) -> tuple[ObjectOperation, ...]:
    """Return the object operations of a subscription, without the tokens."""
    return decode(f"{{{row['members']}}}", SubscriptionRequest).object_operations


def _no_program() -> Invalid:
    return Invalid("programID", "there is no such program")


def _dangling(error: ConstraintViolated) -> Exception:
    return _no_program() if error.is_of(constraint(subscriptions, "program_id")) else error
