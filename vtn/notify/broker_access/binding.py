"""Tell clients how they prove to the MQTT broker who they are: ``authentication`` in ``/notifiers`` (MQTT-004)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from openadr_profiles.v31 import MqttAuthentication
from vtn.access import Caller
from vtn.notification_settings import MqttAccess
from vtn.notify.broker_access.rights import Extent, reads_of
from vtn.store.broker import Account, BrokerStore, username_of_business_logic, username_of_ven

if TYPE_CHECKING:
    from vtn.notify.broker_access.certificates import ClientAuthority

_READY_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_MOST_WAITING: Final = 100
"""Callers that wait for the broker at once; others are answered although it does not have their accounts yet."""


class Binding:
    """Tell each caller what ``/notifiers`` says of the broker's accounts.

    ``authority`` issues certificates, and ``ca_cert`` is that of the broker's own authority, as PEM; both are for
    CERTIFICATE only.
    """

    def __init__(
        self,
        settings: MqttAccess,
        store: BrokerStore,
        *,
        authority: ClientAuthority | None = None,
        ca_cert: str | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._authority = authority
        self._ca_cert = ca_cert
        self._waiting = 0

    async def authentication(self, caller: Caller) -> MqttAuthentication:
        """Return the method and what belongs to it; ``{clientID}`` as it is, for clients to fill in (MQTT-039).

        Everybody is told of its own account only (MQTT-044, MQTT-045). A VEN has one once it has a ven; until then, and
        for whoever may read nothing, the answer is that for tokens, with which the broker lets nobody in.
        """
        method = self._settings.method
        if method == "ANONYMOUS":
            return MqttAuthentication(method=method)
        account = None if method == "OAUTH2_BEARER_TOKEN" else await self._account_of(caller)
        if account is None:
            return MqttAuthentication(method="OAUTH2_BEARER_TOKEN", username=self._settings.username)
        if self._authority is not None:
            issued = await asyncio.to_thread(self._authority.issue, account.username)
            return MqttAuthentication(
                method=method, ca_cert=self._ca_cert, client_cert=issued.certificate, client_key=issued.key
            )
        password = self._store.opened(account)
        return MqttAuthentication(method="OAUTH2_BEARER_TOKEN", username=account.username, password=password)

    async def _account_of(self, caller: Caller) -> Account | None:
        """Return the account of a caller, when the broker has it, or after a moment although it has not yet."""
        reads = reads_of(caller)
        if caller.public is not None or reads in {Extent.NOTHING, Extent.PUBLIC}:
            return None
        ven_id = None if caller.sees_everything else await self._store.ven_of(caller.client_id)
        if ven_id is None and not caller.sees_everything:
            return None
        username = username_of_business_logic(caller.client_id) if ven_id is None else username_of_ven(ven_id)
        ask = partial(self._store.asked, username, ven_id=ven_id, client_id=caller.client_id)
        account = await ask()
        if self._is_ready(account) or self._waiting >= _MOST_WAITING:
            return account
        self._waiting += 1
        try:
            return await self._when_ready(ask)
        finally:
            self._waiting -= 1

    async def _when_ready(self, ask: Callable[[], Awaitable[Account | None]]) -> Account | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _READY_S
        for pause_s in pauses_s():
            await asyncio.sleep(pause_s)
            account = await ask()
            if self._is_ready(account) or loop.time() >= until:
                break
        return account

    def _is_ready(self, account: Account | None) -> bool:
        return account is not None and (account.applied_at is not None or not self._settings.dynamic_security)


def pauses_s() -> Iterator[float]:
    """Return the pauses between looks at an account, without end: each is twice the one before, up to a second."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
