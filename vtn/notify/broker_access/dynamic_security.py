"""Command the dynamic-security plugin of Mosquitto: accounts and roles, over its topic below ``$CONTROL``.

Roles allow what may be done and deny the rest, with a lower priority: so the rights of an account do not depend on the
broker's defaults, which let everybody receive whatever matches a subscription. Commands may be repeated: what is there
already is changed, and what is gone already is gone.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias
from uuid import uuid4

import aiomqtt

from vtn.errors import BrokerFailed
from vtn.notify.broker_access.rights import Rights

Command: TypeAlias = dict[str, Any]

_TOPIC: Final = "$CONTROL/dynamic-security/v1"
_PAGE: Final = 500
_REFUSED_SUBSCRIPTION: Final = 0x80
_DENIED: Final = ("#", "$SYS/#", "$CONTROL/#", "$share/#")
_READING: Final = ("subscribePattern", "publishClientReceive")
_PUBLISHING: Final = "publishClientSend"
_THERE: Final = {"createClient": "Client already exists", "createRole": "Role already exists"}
_GONE: Final = {"deleteClient": "Client not found", "deleteRole": "Role not found"}


@asynccontextmanager
async def connected(
    host: str, port: int, *, username: str, password: str, tls: ssl.SSLContext | None, timeout_s: float
) -> AsyncIterator[DynamicSecurity]:
    """Yield a connection that commands the plugin. It and its commands raise BrokerFailed."""
    where = f"the dynamic security of the broker {host}:{port}, as {username}"
    client = aiomqtt.Client(
        host,
        port,
        username=username,
        password=password,
        identifier=f"openadr-vtn-access-{uuid4().hex[:12]}",
        tls_context=tls,
        timeout=timeout_s,
    )
    try:
        with _failures(where):
            async with client:
                granted = await client.subscribe(f"{_TOPIC}/response", 1)
                if any(_code(one) >= _REFUSED_SUBSCRIPTION for one in granted):
                    raise BrokerFailed(f"{where}: this user may not command it")
                yield DynamicSecurity(client, where, timeout_s=timeout_s)
    finally:
        for outcome in (client._connected, client._disconnected):  # noqa: SLF001 (or asyncio complains that nobody has)
            if outcome.done() and not outcome.cancelled():
                outcome.exception()


class DynamicSecurity:
    """Makes, changes, lists and removes accounts and roles."""

    def __init__(self, client: aiomqtt.Client, where: str, *, timeout_s: float) -> None:
        self._client = client
        self._where = where
        self._timeout_s = timeout_s

    def check(self) -> None:
        """Raise BrokerFailed if the connection has ended since the last command."""
        if self._client._disconnected.done():  # noqa: SLF001 (a command would tell, and there may be none for long)
            raise BrokerFailed(f"{self._where}: the connection is lost")

    async def do(self, commands: Sequence[Command]) -> None:
        """Carry out commands in their order; raises BrokerFailed for the first that is refused.

        To make what is there already is to change it, and to remove what is gone already is nothing.
        """
        if not commands:
            return
        changes: list[Command] = []
        for command, answer in zip(commands, await self._exchange(commands), strict=True):
            error, name = answer.get("error"), command["command"]
            if error is None or error == _GONE.get(name):
                continue
            if error != _THERE.get(name):
                raise BrokerFailed(f"{self._where}: {name} is refused: {error}")
            changes.append(command | {"command": name.replace("create", "modify")})
        if changes:
            await self.do(changes)

    async def roles(self, beginning: str) -> dict[str, list[Command]]:
        """Return the rules of all roles whose names begin so."""
        found = await self._listed("listRoles", "roles")
        return {role["rolename"]: role.get("acls", []) for role in found if role["rolename"].startswith(beginning)}

    async def accounts(self, beginning: str) -> dict[str, list[str]]:
        """Return the roles of each account that has a role whose name begins so."""
        found = await self._listed("listClients", "clients")
        roles = {each["username"]: [role["rolename"] for role in each.get("roles", [])] for each in found}
        return {name: held for name, held in roles.items() if any(role.startswith(beginning) for role in held)}

    async def knows(self, username: str) -> bool:
        """Return True if there is an account of this name; raises BrokerFailed."""
        (answer,) = await self._exchange([{"command": "getClient", "username": username}])
        if answer.get("error") not in (None, _GONE["deleteClient"]):
            raise BrokerFailed(f"{self._where}: getClient is refused: {answer['error']}")
        return "error" not in answer

    async def _listed(self, command: str, member: str) -> list[Command]:
        found: list[Command] = []
        while True:
            page = {"command": command, "verbose": True, "count": _PAGE, "offset": len(found)}
            (answer,) = await self._exchange([page])
            if "error" in answer:
                raise BrokerFailed(f"{self._where}: {command} is refused: {answer['error']}")
            found += answer["data"][member]
            if not answer["data"][member] or len(found) >= answer["data"]["totalCount"]:
                return found

    async def _exchange(self, commands: Sequence[Command]) -> list[Command]:
        """Send commands and return their answers."""
        marked = [command | {"correlationData": uuid4().hex} for command in commands]
        wanted = {command["correlationData"]: place for place, command in enumerate(marked)}
        answers: dict[int, Command] = {}
        with _failures(self._where):
            async with asyncio.timeout(self._timeout_s):
                await self._client.publish(_TOPIC, json.dumps({"commands": marked}))  # the answers are the receipt
                while len(answers) < len(marked):
                    message = await anext(self._client.messages)
                    for answer in _responses(message.payload):
                        place = wanted.get(answer.get("correlationData"))
                        if place is not None:
                            answers[place] = answer
        return [answers[place] for place in range(len(marked))]


def role(name: str, rights: Rights, *, denies_others: bool) -> Command:
    """Return the command that makes a role with exactly these rights, and perhaps denies everything else."""
    reads = [_rule(kind, topic) for topic in rights.reads for kind in _READING]
    publishes = [_rule(_PUBLISHING, topic) for topic in rights.publishes]
    denied = [_rule(kind, topic, allow=False) for kind in (*_READING, _PUBLISHING) for topic in _DENIED]
    return {"command": "createRole", "rolename": name, "acls": reads + publishes + (denied if denies_others else [])}


def account(username: str, password: str | None, roles: Sequence[str]) -> Command:
    """Return the command that makes an account; the first of its roles decides before the others.

    Without a password the account is for whoever shows a certificate of this name.
    """
    held = [{"rolename": name, "priority": -place} for place, name in enumerate(roles)]
    found = {"command": "createClient", "username": username, "roles": held}
    return found if password is None else found | {"password": password}


def remove_account(username: str) -> Command:
    """Return the command that removes an account; its open connections end (MQTT-041)."""
    return {"command": "deleteClient", "username": username}


def remove_role(name: str) -> Command:
    """Return the command that removes a role."""
    return {"command": "deleteRole", "rolename": name}


def _rule(kind: str, topic: str, *, allow: bool = True) -> Command:
    return {"acltype": kind, "topic": topic, "priority": 0 if allow else -1, "allow": allow}


def _responses(payload: object) -> list[Command]:
    """Return the answers in a message; none if it is not one of the plugin's."""
    try:
        found = json.loads(payload if isinstance(payload, bytes | bytearray | str) else b"")["responses"]
    except (ValueError, KeyError, TypeError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _code(granted: object) -> int:
    value = getattr(granted, "value", granted)
    return value if isinstance(value, int) else _REFUSED_SUBSCRIPTION


@contextmanager
def _failures(where: str) -> Iterator[None]:
    """Turn failures of the connection into BrokerFailed."""
    try:
        yield
    except TimeoutError as error:
        raise BrokerFailed(f"{where}: no answer in time; is the plugin loaded?") from error
    except (aiomqtt.MqttError, ssl.SSLError, OSError) as error:
        raise BrokerFailed(f"{where}: {error}") from error
