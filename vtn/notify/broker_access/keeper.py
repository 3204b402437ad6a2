"""Keep the accounts of a Mosquitto with dynamic security as the vens and clients in the database say.

One process does it, under a lease. Accounts are rows before they are at the broker and until they are gone from there
(``vtn/store/broker.py``), so a process that ends in between, a broker that was away, or one that was restored from an
old copy loses nothing: whenever a connection is made, what the broker has is compared with the rows.

The plugin writes its whole file with every command, and the broker does nothing else meanwhile: few commands go out at
a time, for those first who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, TypeAlias

import structlog

from vtn.counters.revisions import Revision, Watch
from vtn.errors import BrokerFailed, Unavailable
from vtn.notify.broker_access.dynamic_security import (
    Command,
    DynamicSecurity,
    account,
    remove_account,
    remove_role,
)
from vtn.notify.broker_access.roles import Roles
from vtn.store.broker import Account, BrokerStore
from vtn.store.lease import Lease

_log = structlog.get_logger(__name__)

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[DynamicSecurity]]

LEASE_S: Final = 30.0
_AT_ONCE: Final = 10
_LAST: Final = -1000
"""The priority of a role that denies what no other role has allowed."""
_MADE_AT_ONCE: Final = 500
_LOOK_EVERY_S: Final = 0.1
_ROUND_EVERY_S: Final = 5.0
_UNKNOWN_EVERY_S: Final = 0.3
_RETRY_S: Final = 3.0
_HEARS_S: Final = 2.0
"""Time for which the account of a removed ven stays until the message that says so is published."""


class Keeper:
    """Makes the accounts of new vens at the broker and removes those of removed ones.

    ``publisher`` is the account that this server publishes with: its user name, and its password unless the operator
    made it, who then only lacks the right to publish.
    """

    def __init__(
        self,
        store: BrokerStore,
        lease: Lease,
        connect: Connect,
        roles: Roles,
        *,
        publisher: tuple[str, str | None],
        watch: Callable[[], Watch | None],
        with_passwords: bool,
    ) -> None:
        self._store = store
        self._lease = lease
        self._connect = connect
        self._roles = roles
        self._publisher = publisher
        self._watch = watch
        self._with_passwords = with_passwords
        self._hears_until: dict[str, float] = {}
        self._said: str | None = None
        """Why the accounts are not kept, if that was said: a broker that is away for an hour is told of once."""

    async def run(self) -> None:
        """Keep the accounts until cancelled. A broker or database that is away is tried again and again."""
        while True:
            try:
                await self._keep()
                self._said = None
            except (BrokerFailed, Unavailable) as error:
                if str(error) != self._said:
                    self._said = str(error)
                    _log.warning("the accounts at the MQTT broker are not kept at present", reason=self._said)
            await asyncio.sleep(_RETRY_S)

    async def _keep(self) -> None:
        """Keep the accounts while this process has the lease, over one connection."""
        if not await self._lease.take():
            return
        try:
            async with self._connect() as broker:
                await self._compare(broker)
                if self._said is not None:
                    _log.info("the accounts at the MQTT broker are kept again")
                    self._said = None
                changes = _Changes(self._watch())
                while await self._lease.take():
                    while await self._round(broker):
                        if not await self._lease.take():
                            return
                    await changes.wait(broker)
        finally:
            with suppress(Unavailable):
                await self._lease.release()

    async def _compare(self, broker: DynamicSecurity) -> None:
        """Make the shared roles, remove what nobody should have, and note what the broker does not have as it should.

        Accounts and roles with other beginnings are an operator's and stay as they are.
        """
        roles, beginning = self._roles, self._roles.beginning
        await self._store.renew_kind(with_passwords=self._with_passwords)
        accounts, rules = await broker.accounts(beginning), await broker.roles(beginning)
        # The plugin ends the connections of everybody whose role is changed.
        await broker.do([each for each in roles.shared if not _is_made(each, rules)])
        await self._admit_publisher(broker, accounts)
        known = {each.username: each for each in await self._store.all()}
        strangers = [name for name, held in accounts.items() if name not in known and roles.vtn not in held]
        wanted = {name for each in known.values() for name in roles.held(each.ven_id)}
        unused = rules.keys() - wanted - {command["rolename"] for command in roles.shared}
        for removals in (
            [remove_account(name) for name in sorted(strangers)],
            [remove_role(name) for name in sorted(unused)],
        ):
            for start in range(0, len(removals), _AT_ONCE):
                await broker.do(removals[start : start + _AT_ONCE])
        await self._store.apply_again(
            [
                name
                for name, each in known.items()
                if each.applied_at is not None and not self._is_right(each, accounts.get(name), rules)
            ]
        )

    async def _admit_publisher(self, broker: DynamicSecurity, accounts: dict[str, list[str]]) -> None:
        username, password = self._publisher
        vtn = self._roles.vtn
        if password is not None:
            await broker.do([account(username, password, [vtn])])
        elif vtn not in accounts.get(username, ()):
            if not await broker.knows(username):
                raise BrokerFailed(
                    f"the broker has no account {username}, which publishes (mqtt.user): make it there, or set "
                    "mqtt.password and this server makes it"
                )
            behind_its_own = {"username": username, "rolename": vtn, "priority": _LAST}
            await broker.do([{"command": "addClientRole"} | behind_its_own])

    def _is_right(self, wanted: Account, held: list[str] | None, rules: dict[str, list[Command]]) -> bool:
        """Return True if the broker has an account with the roles and rules that it should have."""
        if held is None or set(held) != set(self._roles.held(wanted.ven_id)):
            return False
        if wanted.ven_id is None:
            return True
        return _is_made(self._roles.of_ven(wanted.ven_id), rules)

    async def _round(self, broker: DynamicSecurity) -> bool:
        """Carry out the next few changes; False if there is nothing to do."""
        ended = await self._store.ended(limit=_AT_ONCE)
        if ended:
            await self._remove(broker, ended)
            return True
        waiting = await self._store.waiting(limit=_AT_ONCE)
        if waiting:
            usable = [each for each in waiting if await self._store.is_usable(each)]
            await broker.do([self._roles.of_ven(each.ven_id) for each in usable if each.ven_id is not None])
            await broker.do([self._command(each) for each in usable])
            await self._store.took(usable)
            return True
        return await self._store.make_missing(limit=_MADE_AT_ONCE) > 0

    async def _remove(self, broker: DynamicSecurity, ended: list[Account]) -> None:
        """Remove accounts with their roles. A ven may first hear that it was removed, but not for long."""
        now = asyncio.get_running_loop().time()
        unpublished = await self._store.unpublished(ended)
        self._hears_until = {name: self._hears_until.get(name, now + _HEARS_S) for name in unpublished}
        ready = [each for each in ended if now >= self._hears_until.get(each.username, now)]
        if not ready:
            await asyncio.sleep(_LOOK_EVERY_S)
            return
        await broker.do([remove_account(each.username) for each in ready])
        await broker.do([remove_role(self._roles.name_of_ven(each.ven_id)) for each in ready if each.ven_id])
        await self._store.forget(ready)

    def _command(self, wanted: Account) -> Command:
        return account(wanted.username, self._store.opened(wanted), self._roles.held(wanted.ven_id))


class _Changes:
    """Waits until vens, clients or accounts may have changed, and a few seconds at most."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch
        self._seen: Revision | None = None

    async def wait(self, broker: DynamicSecurity) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _ROUND_EVERY_S
        while loop.time() < until:
            broker.check()
            revision = None if self._watch is None else self._watch.heard()
            if revision is None:
                until = min(until, loop.time() + _UNKNOWN_EVERY_S)
            elif revision != self._seen:
                self._seen = revision
                return
            await asyncio.sleep(_LOOK_EVERY_S)


def _is_made(role: Command, rules: dict[str, list[Command]]) -> bool:
    """Return True if the broker has a role as the command would make it."""
    return _comparable(rules.get(role["rolename"], [])) == _comparable(role["acls"])


def _comparable(rules: Iterable[Command]) -> list[tuple[str, str, bool, int]]:
    return sorted((rule["acltype"], rule["topic"], rule["allow"], rule.get("priority", 0)) for rule in rules)
