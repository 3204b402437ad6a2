"""The demanding VTN's broker: MQTT 3.1.1 with TLS, for clients that show their token, and each hears its own only.

Where the standard leaves a choice it does the legal opposite of ours: topics have no common beginning and no filter
for all operations, what is published is the object alone (as an answer to GET is), once at most, and business logic is
told nothing of the topics of a ven, nor a VEN of those of programs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final

from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig
from amqtt.session import Session

from bench.support.net import free_port
from tests.support.pki import Pki

Obj = dict[str, Any]
_WORDS: Final = {"CREATE": "new", "UPDATE": "changed", "DELETE": "gone"}
Allowed = Callable[[str, str, str], bool]
"""Return True if a client with this user name and password may hear of this place; of none: if it is admitted."""


class GuardedBroker(Broker):  # type: ignore[misc] # amqtt publishes no types
    """A broker that asks for its clients' rights."""

    allowed: Allowed

    async def _authenticate(self, session: Session, _listener: object = None) -> bool:
        return self.allowed(session.username or "", session.password or "", "")

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        place = topic.partition("/")[0]
        return action is not Action.PUBLISH and self.allowed(session.username or "", session.password or "", place)


class Announcer:
    """The broker, the names of its topics, and what is published there."""

    def __init__(self, pki: Pki) -> None:
        self._pki = pki
        self._salt = secrets.token_hex(2)
        self.port = free_port()
        self._broker: GuardedBroker | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, allowed: Allowed) -> None:
        """Listen."""
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        files = self._pki.server()
        listener = {
            "type": "tcp",
            "bind": f"127.0.0.1:{self.port}",
            "ssl": True,
            "certfile": str(files.certificate),
            "keyfile": str(files.key),
        }
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": False}}
        broker = GuardedBroker(BrokerConfig.from_dict({"listeners": {"default": listener}, "plugins": plugins}))
        broker.allowed = allowed
        await broker.start()
        self._broker = broker

    async def stop(self) -> None:
        """End all connections."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broker is not None:
            await self._broker.shutdown()

    def close_door(self) -> None:
        """Admit nobody from now on."""
        if self._broker is not None:
            self._broker.allowed = lambda _client, _token, _place: False

    @property
    def binding(self) -> Obj:
        """Return what `/notifiers` says of the broker."""
        authentication = {"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}", "realm": "laboratory"}
        uri = f"mqtts://127.0.0.1:{self.port}"
        return {"URIS": [uri], "serialization": "JSON", "authentication": authentication}

    def names(self, place: str, *, of_one_object: bool = False) -> Obj:
        """Return the topics of an endpoint, `vens/7/events`."""
        named = {operation: self._topic(place, operation) for operation in _WORDS}
        if of_one_object:
            del named["CREATE"]
        return named

    def publish(self, place: str, operation: str, obj: Obj) -> None:
        """Publish an object where this operation is told."""
        if self._broker is not None:
            topic = self._topic(place, operation)
            task = asyncio.create_task(self._broker.internal_message_broadcast(topic, json.dumps(obj).encode(), 0))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _topic(self, place: str, operation: str) -> str:
        return f"{place.replace('/', '-')}/{self._salt}/{_WORDS[operation]}"


def places(kind: str, obj: Obj) -> list[str]:
    """Return the endpoints of business logic at which an object is told of."""
    found = [f"{kind}s"]
    if kind == "program":
        found.append(f"programs/{obj['id']}")
    if kind == "event":
        found.append(f"programs/{obj['programID']}/events")
    return found
