"""Answer a broker that asks this server who may connect, and who may do what (MQTT-039 … MQTT-042).

The password of a client is its access token, and its user name is its client id; or, with accounts, both are those of
its account. What a token allows ends with it: brokers are told when, and asked later they hear that nothing is allowed.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import structlog

from vtn.access import Caller
from vtn.errors import SecretsKeyUnusable, Unauthenticated
from vtn.notification_settings import Mqtt
from vtn.notify.broker_access import rights
from vtn.notify.broker_access.rights import Extent, Rights, reads_of
from vtn.store.broker import BrokerStore, Login
from vtn.store.stamps import stamp

_log = structlog.get_logger(__name__)

LONGEST: Final = 65535
"""The longest text of MQTT, in bytes."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Say whether somebody may connect, and until when; ``expires_at`` is None if without end."""

    is_admitted: bool
    expires_at: datetime | None = None


REFUSED: Final = Admission(is_admitted=False)


class Token(Protocol):
    """A token that holds, as ``Bearer.verified`` gives it."""

    @property
    def caller(self) -> Caller: ...
    @property
    def issued_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...


Verify: TypeAlias = Callable[[str], Awaitable[Token]]
"""Return what a token says; raises Unauthenticated, or Unavailable."""
StillHolds: TypeAlias = Callable[[str, datetime], bool]
"""Return True if a token of a client that was issued then has not been taken back."""


class Doorkeeper:
    """Decides for a broker. Nobody is a superuser."""

    def __init__(self, settings: Mqtt, store: BrokerStore, *, verify: Verify, still_holds: StillHolds) -> None:
        self._settings = settings
        self._store = store
        self._verify = verify
        self._still_holds = still_holds
        self._has_accounts = settings.access.method == "ACCOUNT"

    async def connects(self, username: str, password: str) -> Admission:
        """Say whether somebody may connect; raises Unavailable while the database or an issuer's keys are away."""
        if self._is_this_server(username):
            own = self._settings.password
            return Admission(own is not None and _same(own.get_secret_value(), password))
        if self._has_accounts:
            return Admission(await self._has_account(username, password))
        return await self._shows_token(username, password)

    async def may_subscribe(self, username: str, topic_filter: str) -> bool:
        """Return True if somebody who connected may subscribe to a filter."""
        return (await self._rights(username)).may_subscribe(topic_filter)

    async def may_read(self, username: str, topic: str) -> bool:
        """Return True if a message may be delivered to somebody who subscribed."""
        return (await self._rights(username)).may_read(topic)

    async def may_publish(self, username: str, topic: str) -> bool:
        """Return True if somebody who connected may publish: this server only."""
        return (await self._rights(username)).may_publish(topic)

    async def _shows_token(self, username: str, token: str) -> Admission:
        try:
            verified = await self._verify(token)
        except Unauthenticated:
            return REFUSED
        caller = verified.caller
        reads = reads_of(caller)
        if caller.client_id != username or reads is Extent.NOTHING:
            return REFUSED
        issued_at, expires_at = stamp(verified.issued_at), stamp(verified.expires_at)
        await self._store.logged_in(Login(username, reads, issued_at, expires_at))
        return Admission(is_admitted=True, expires_at=verified.expires_at)

    async def _has_account(self, username: str, password: str) -> bool:
        account = await self._store.account(username)
        try:
            own = None if account is None else self._store.opened(account)
        except SecretsKeyUnusable as error:
            _log.warning("the password of an account cannot be read", user=username, reason=str(error))
            return False
        return own is not None and _same(own, password)

    async def _rights(self, username: str) -> Rights:
        prefix = self._settings.prefix
        if self._is_this_server(username):
            return rights.of_this_server(prefix)
        if self._has_accounts:
            account = await self._store.account(username)
            if account is None:
                return rights.NONE
            return rights.of_business_logic(prefix) if account.ven_id is None else rights.of_ven(prefix, account.ven_id)
        login = await self._store.login(username)
        if login is None or not self._still_holds(login.client_id, datetime.fromisoformat(login.issued_at)):
            return rights.NONE
        if login.reads == Extent.EVERYTHING:
            return rights.of_business_logic(prefix)
        return rights.of_ven(prefix, await self._store.ven_of(username) if login.reads == Extent.OWN else None)

    def _is_this_server(self, username: str) -> bool:
        return self._settings.user is not None and username == self._settings.user


def _same(own: str, shown: str) -> bool:
    return hmac.compare_digest(own.encode(), shown.encode())
