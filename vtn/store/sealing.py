"""The secrets in the database: seals those of earlier versions, seals all of them anew, tells whose keys they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from sqlalchemy import ColumnElement, func, select, text, update

from openadr_profiles.v31 import SubscriptionRequest, decode, encode
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.objects import members_of
from vtn.store.tables import broker_accounts, signing_keys, subscriptions
from vtn.store.vault import PREFIX_LETTERS, Vault, is_sealed, key_id_of

_log = structlog.get_logger(__name__)

_LOCK: Final = 0x0ADF_5EA1  # any number that no other program takes in the same database
HIDDEN: Final = ""
"""Placeholder for a token in a subscription's members; the token is sealed in a column of its own."""


def key_place(kid: str) -> str:
    """Return the place of a signing key, as ``Vault`` needs it."""
    return f"signing_keys/{kid}"


def tokens_place(subscription_id: str) -> str:
    """Return the place of a subscription's bearer tokens, as ``Vault`` needs it."""
    return f"subscriptions/{subscription_id}"


def password_place(username: str) -> str:
    """Return the place of the password of an account at the MQTT broker, as ``Vault`` needs it."""
    return f"broker_accounts/{username}"


async def needed_keys(connection: AsyncConnection) -> Counter[str]:
    """Return the number of secrets sealed by each key, by the key's id."""
    found: Counter[str] = Counter()
    for column in (signing_keys.c.secret, subscriptions.c.tokens, broker_accounts.c.password):
        prefix = func.substr(column, 1, PREFIX_LETTERS).label("prefix")
        counted = select(prefix, func.count().label("secrets")).where(column.is_not(None)).group_by(prefix)
        for row in await connection.execute(counted):
            if is_sealed(row.prefix):
                found[key_id_of(row.prefix)] += row.secrets
    return found


async def prepare_secrets(database: Database, vault: Vault) -> None:
    """Make sure that the secrets can be opened, and seal those that an earlier version left in plain text.

    Raises SecretsKeyUnusable, and then nothing was changed.
    """
    async with database.snapshot() as connection:
        vault.check(await needed_keys(connection))
        if not await _has_plain(connection):
            return
    async with _alone(database) as connection:
        if database.is_sqlite:
            await connection.exec_driver_sql("PRAGMA secure_delete = ON")  # the plain text is overwritten
        count = await seal_plain(connection, vault)
    if database.is_sqlite:
        await database.empty_log()
    if count:
        _log.warning(
            "secrets that an earlier version kept in plain text are sealed now; if others could read the database or a "
            "backup of it, end all tokens: oadr vtn key rotate --end-tokens",
            secrets=count,
        )


async def seal_plain(connection: AsyncConnection, vault: Vault) -> int:
    """Seal what is in plain text, in the transaction at hand; gives how many secrets that were."""
    count = 0
    for row in (await connection.execute(select(signing_keys.c.kid, signing_keys.c.secret))).all():
        if not is_sealed(row.secret):
            await _put_key(connection, vault, row.kid, row.secret)
            count += 1
    plain = select(subscriptions.c.id, subscriptions.c.client_id, subscriptions.c.members).where(_is_plain())
    for subscription_id, client_id, members in (await connection.execute(plain)).all():
        shown, tokens = without_tokens(decode(f"{{{members}}}", SubscriptionRequest))
        owned = f'"clientID":{encode(client_id).decode()},{shown}'
        values = {"members": owned, "tokens": sealed_tokens(vault, subscription_id, tokens)}
        await connection.execute(update(subscriptions).where(subscriptions.c.id == subscription_id).values(values))
        count += 1
    return count


async def reseal(database: Database, vault: Vault) -> int:
    """Seal every secret under the first key of the file, all or none; gives their number."""
    count = 0
    async with _alone(database) as connection:
        await seal_plain(connection, vault)
        for row in (await connection.execute(select(signing_keys.c.kid, signing_keys.c.secret))).all():
            await _put_key(connection, vault, row.kid, vault.open(row.secret, place=key_place(row.kid)))
            count += 1
        found = select(subscriptions.c.id, subscriptions.c.tokens).where(subscriptions.c.tokens.is_not(None))
        for row in (await connection.execute(found)).all():
            tokens = opened_tokens(vault, row.id, row.tokens)
            changed = update(subscriptions).where(subscriptions.c.id == row.id)
            await connection.execute(changed.values(tokens=sealed_tokens(vault, row.id, tokens)))
            count += 1
        count += await _reseal_passwords(connection, vault)
    return count


async def _reseal_passwords(connection: AsyncConnection, vault: Vault) -> int:
    found = select(broker_accounts.c.username, broker_accounts.c.password).where(
        broker_accounts.c.password.is_not(None)
    )
    rows = (await connection.execute(found)).all()
    for username, password in rows:
        place = password_place(username)
        sealed = vault.seal(vault.open(password, place=place), place=place)
        changed = update(broker_accounts).where(broker_accounts.c.username == username)
        await connection.execute(changed.values(password=sealed))
    return len(rows)


def without_tokens(subscription: SubscriptionRequest) -> tuple[str, list[str | None]]:
    """Return a subscription's members without its bearer tokens, and the tokens of its entries."""
    entries = subscription.object_operations
    tokens = [entry.bearer_token for entry in entries]
    hidden = tuple(
        entry if entry.bearer_token is None else msgspec.structs.replace(entry, bearer_token=HIDDEN)
        for entry in entries
    )
    return members_of(msgspec.structs.replace(subscription, object_operations=hidden, targets=None)), tokens


def sealed_tokens(vault: Vault, subscription_id: str, tokens: list[str | None]) -> str | None:
    """Seal the tokens of a subscription for storing; return None if there are none."""
    if not any(token is not None for token in tokens):
        return None
    return vault.seal(msgspec.json.encode(tokens).decode(), place=tokens_place(subscription_id))


def opened_tokens(vault: Vault, subscription_id: str, sealed: str) -> list[str | None]:
    """Open the tokens that ``sealed_tokens`` has sealed; raises SecretsKeyUnusable."""
    return msgspec.json.decode(vault.open(sealed, place=tokens_place(subscription_id)), type=list[str | None])


async def _put_key(connection: AsyncConnection, vault: Vault, kid: str, secret: str) -> None:
    sealed = vault.seal(secret, place=key_place(kid))
    await connection.execute(update(signing_keys).where(signing_keys.c.kid == kid).values(secret=sealed))


def _is_plain() -> ColumnElement[bool]:
    return subscriptions.c.has_tokens.is_(True) & subscriptions.c.tokens.is_(None)


async def _has_plain(connection: AsyncConnection) -> bool:
    keys = (await connection.execute(select(signing_keys.c.secret))).scalars()
    if not all(is_sealed(secret) for secret in keys):
        return True
    return (await connection.execute(select(subscriptions.c.id).where(_is_plain()).limit(1))).first() is not None


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[AsyncConnection]:
    """Yield a transaction in which nobody else seals or changes what is sealed."""
    async with database.write() as connection:
        if not database.is_sqlite:  # SQLite's transaction for writing is the lock
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.execute(
                text("LOCK TABLE signing_keys, subscriptions, broker_accounts IN SHARE ROW EXCLUSIVE MODE")
            )
        yield connection
