"""Accounts at the MQTT broker, and the tokens that clients showed to it.

There is an account for each ven, and for each client of business logic that asked for one. An account is a row before
the broker hears of it, and until the broker has forgotten it, so that nothing is lost between the two. It ends with its
ven or client, when the ven becomes another client's, and when the tokens of its client are taken back: then the next
account has another password.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import structlog
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, insert, not_, or_, select, update

from vtn.errors import SecretsKeyUnusable
from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.outbox.rows import Operation, Push
from vtn.store.sealing import password_place
from vtn.store.stamps import Stamps
from vtn.store.tables import (
    broker_accounts,
    broker_logins,
    clients,
    deliveries,
    endpoints,
    notifications,
    removed_clients,
    vens,
)
from vtn.store.vault import Vault

_log = structlog.get_logger(__name__)

_accounts: Final = broker_accounts.c
_SWEEP_EVERY: Final = timedelta(hours=1)


class Account(Struct, frozen=True, gc=False):
    """An account at the broker: of a ven, or of business logic, which has no ``ven_id``. ``password`` is sealed."""

    username: str
    ven_id: str | None
    client_id: str
    password: str | None
    made_at: str
    asked_at: str | None = None
    applied_at: str | None = None


class Login(Struct, frozen=True, gc=False):
    """The latest token that a client showed to the broker; ``reads`` is what it allows, and instants are stamps."""

    client_id: str
    reads: str
    issued_at: str
    expires_at: str


def username_of_ven(ven_id: str) -> str:
    """Return the user name of a ven at the broker (MQTT-047)."""
    return f"ven-{ven_id}"


def username_of_business_logic(client_id: str) -> str:
    """Return the user name of a client of business logic: of a length and letters that certificates can carry."""
    return f"bl-{uuid5(NAMESPACE_OID, client_id)}"


class BrokerStore:
    """Accounts and logins. ``make_password`` gives a new password, or None where accounts have none.

    ``at_broker`` says that a broker is told of accounts, so that they stay until it has forgotten them.
    """

    def __init__(
        self,
        database: Database,
        stamps: Stamps,
        vault: Vault,
        *,
        make_password: Callable[[], str | None],
        at_broker: bool,
    ) -> None:
        self._database = database
        self._stamps = stamps
        self._vault = vault
        self._make_password = make_password
        self._at_broker = at_broker
        self._swept_at = ""

    async def ven_of(self, client_id: str) -> str | None:
        """Return the id of a client's ven; None if it has none."""
        row = await self._database.row(select(vens.c.id).where(vens.c.client_id == client_id))
        return None if row is None else str(row["id"])

    async def account(self, username: str) -> Account | None:
        """Return an account; None if there is none, or if it has ended."""
        found = select(broker_accounts).where(_accounts.username == username, not_(_is_over()))
        row = await self._database.row(found)
        return None if row is None else _account(row)

    async def asked(self, username: str, *, ven_id: str | None, client_id: str) -> Account | None:
        """Return the account that its client asks for, made if need be; None while the client may have none."""
        account = await self.account(username)
        if account is None:
            if not self._at_broker:
                await self._delete_ended(username)
            await self._make([(username, ven_id, client_id)])
            account = await self.account(username)
        if account is not None and account.asked_at is None:
            await self._change([account], asked_at=self._stamps.now)
        return account if account is None or await self.is_usable(account) else None

    async def _delete_ended(self, username: str) -> None:
        """Delete an account if it has ended, and now and then all that have: no broker has to be told of that."""
        is_time = self._swept_at <= self._stamps.ago(_SWEEP_EVERY)
        if is_time:
            self._swept_at = self._stamps.now
        which = _is_over() if is_time else and_(_accounts.username == username, _is_over())
        async with self._database.write() as connection:
            await connection.execute(delete(broker_accounts).where(which))

    async def make_missing(self, *, limit: int) -> int:
        """Make accounts for vens that have none, as many as ``limit``; returns how many were missing."""
        missing = (
            select(vens.c.id, vens.c.client_id)
            .outerjoin(broker_accounts, _accounts.ven_id == vens.c.id)
            .where(_accounts.username.is_(None), not_(_is_refused(vens.c.client_id)))
            .order_by(vens.c.id)
            .limit(limit)
        )
        rows = await self._database.rows(missing)
        await self._make([(username_of_ven(row["id"]), row["id"], row["client_id"]) for row in rows])
        return len(rows)

    async def ended(self, *, limit: int) -> list[Account]:
        """Return accounts that the broker has to forget, the oldest first."""
        found = select(broker_accounts).where(_is_over()).order_by(_accounts.made_at).limit(limit)
        return [_account(row) for row in await self._database.rows(found)]

    async def unpublished(self, accounts: Iterable[Account]) -> set[str]:
        """Return the user names of those whose ven's removal is still to be published at the broker."""
        names = {account.ven_id: account.username for account in accounts if account.ven_id is not None}
        if not names:
            return set()
        removals = (
            select(notifications.c.object_id)
            .join(deliveries, deliveries.c.seq == notifications.c.seq)
            .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
            .where(
                deliveries.c.ended_at.is_(None),
                endpoints.c.push == str(Push.MQTT),
                notifications.c.object_type == "VEN",
                notifications.c.operation == str(Operation.DELETE),
                notifications.c.object_id.in_(names),
            )
        )
        return {names[row["object_id"]] for row in await self._database.rows(removals)}

    async def waiting(self, *, limit: int) -> list[Account]:
        """Return accounts that the broker has not taken yet; those that somebody waits for come first."""
        found = (
            select(broker_accounts)
            .where(_accounts.applied_at.is_(None), not_(_is_over()))
            .order_by(_accounts.asked_at.asc().nulls_last(), _accounts.username)
            .limit(limit)
        )
        return [_account(row) for row in await self._database.rows(found)]

    async def all(self) -> list[Account]:
        """Return every account."""
        return [_account(row) for row in await self._database.rows(select(broker_accounts))]

    async def took(self, accounts: Iterable[Account]) -> None:
        """Record that the broker has taken these accounts, as they are here."""
        await self._change(accounts, applied_at=self._stamps.now)

    async def forget(self, accounts: Iterable[Account]) -> None:
        """Remove accounts that the broker has forgotten."""
        async with self._database.write() as connection:
            for account in accounts:
                await connection.execute(delete(broker_accounts).where(*_same(account)))

    async def apply_again(self, usernames: Collection[str]) -> None:
        """Note that the broker does not have these accounts as they should be."""
        async with self._database.write() as connection:
            for username in usernames:
                changed = update(broker_accounts).where(_accounts.username == username)
                await connection.execute(changed.values(applied_at=None))

    async def renew_kind(self, *, with_passwords: bool) -> None:
        """Make accounts again that were made while another method of authentication was set."""
        other = _accounts.password.is_(None) if with_passwords else _accounts.password.is_not(None)
        for row in await self._database.rows(select(broker_accounts).where(other)):
            await self.renew(_account(row))

    async def renew(self, account: Account) -> None:
        """Give an account a new password."""
        password = self._password(account.username)
        await self._change([account], password=password, made_at=self._stamps.next(), applied_at=None)

    async def logged_in(self, login: Login) -> None:
        """Keep the latest token of a client; an older one changes nothing."""
        values = {name: getattr(login, name) for name in login.__struct_fields__}
        known = broker_logins.c.client_id == login.client_id
        newer = update(broker_logins).where(known, broker_logins.c.expires_at <= login.expires_at).values(values)
        try:
            async with self._database.write() as connection:
                if (await connection.execute(newer)).rowcount:
                    return
                if (await connection.execute(select(broker_logins.c.client_id).where(known))).first() is None:
                    await connection.execute(insert(broker_logins).values(values))
        except ConstraintViolated:
            return  # the same client, at the same time

    async def login(self, client_id: str) -> Login | None:
        """Return the latest token of a client, if it has not expired."""
        holding = broker_logins.c.client_id == client_id, broker_logins.c.expires_at > self._stamps.now
        row = await self._database.row(select(broker_logins).where(*holding))
        return None if row is None else Login(**row)

    async def is_usable(self, account: Account) -> bool:
        """Return True if the password of an account can be opened; otherwise the account gets another one."""
        try:
            self.opened(account)
        except SecretsKeyUnusable as error:
            _log.warning("an account at the MQTT broker gets a new password", user=account.username, reason=str(error))
            await self.renew(account)
            return False
        return True

    def opened(self, account: Account) -> str | None:
        """Return the password of an account; raises SecretsKeyUnusable."""
        if account.password is None:
            return None
        return self._vault.open(account.password, place=password_place(account.username))

    def _password(self, username: str) -> str | None:
        password = self._make_password()
        return None if password is None else self._vault.seal(password, place=password_place(username))

    async def _make(self, wanted: Sequence[tuple[str, str | None, str]]) -> None:
        """Make accounts, except where one is there already."""
        made_at = self._stamps.next()
        rows = [
            Account(username, ven_id, client_id, self._password(username), made_at)
            for username, ven_id, client_id in wanted
        ]
        try:
            await self._insert(rows)
        except ConstraintViolated:  # another process makes some of them
            for row in rows:
                with suppress(ConstraintViolated):
                    await self._insert([row])

    async def _insert(self, accounts: Sequence[Account]) -> None:
        if not accounts:
            return
        async with self._database.write() as connection:
            await connection.execute(insert(broker_accounts), [asdict(account) for account in accounts])

    async def _change(self, accounts: Iterable[Account], **columns: str | None) -> None:
        async with self._database.write() as connection:
            for account in accounts:
                await connection.execute(update(broker_accounts).where(*_same(account)).values(columns))


def _same(account: Account) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that an account is still the one that was read, not one made since."""
    return _accounts.username == account.username, _accounts.made_at == account.made_at


def _is_over() -> ColumnElement[bool]:
    """Return the condition that an account has ended."""
    ven = exists().where(vens.c.id == _accounts.ven_id, vens.c.client_id == _accounts.client_id)
    taken_back = exists().where(
        clients.c.client_id == _accounts.client_id, clients.c.tokens_valid_from > _accounts.made_at
    )
    removed = exists().where(
        removed_clients.c.client_id == _accounts.client_id, removed_clients.c.removed_at > _accounts.made_at
    )
    gone = and_(_accounts.ven_id.is_not(None), not_(ven))
    return or_(gone, taken_back, removed, _is_refused(_accounts.client_id))


def _is_refused(client_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a client may have no account: it is suspended, or was removed.

    Clients of an external authorisation server are in neither table; what can be taken back from them is their ven.
    """
    suspended = exists().where(clients.c.client_id == client_id, clients.c.suspended.is_(True))
    removed = exists().where(removed_clients.c.client_id == client_id)
    there = exists().where(clients.c.client_id == client_id)
    return or_(suspended, and_(removed, not_(there)))


def _account(row: RowMapping) -> Account:
    return Account(**{name: row[name] for name in Account.__struct_fields__})
