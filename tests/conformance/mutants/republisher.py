"""Makes what a VTN publishes wrong: hears everything at its broker and publishes it again, changed, under other names.

A handler in front of the API gives the suite those names, so nothing has to stand between the suite and the broker.
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from yarl import URL

from mutants.handlers import Obj
from mutants.proxy import Handler, ProxiedAnswer, ProxiedRequest, Upstream

_PREFIX: Final = "mutant/"
_TIMEOUT_S: Final = 10.0
_TOPICS: Final = "/notifiers/mqtt/topics"


@dataclass(frozen=True)
class Message:
    """Hold what is published."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False

    def at(self, topic: str) -> Message:
        """Return the message for another topic."""
        return replace(self, topic=topic)

    @property
    def value(self) -> Obj:
        """Return the notification."""
        found: Obj = json.loads(self.payload)
        return found

    def with_value(self, value: Any) -> Message:
        """Return the message with another payload."""
        return replace(self, payload=json.dumps(value).encode())


Republished = Callable[[Message, Collection[str]], Iterable[Message]]
"""Return what is published instead of a message, given the ids of all vens that there ever were."""


class Republisher:
    """A client of the broker that publishes again what it hears, as `change` makes it."""

    def __init__(self, uri: str, ca_file: Path) -> None:
        self.change: Republished | None = None
        self._vens: set[str] = set()
        self._url = URL(uri)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"mutant-{secrets.token_hex(4)}", protocol=paho.MQTTv311
        )
        self._client.tls_set_context(ssl.create_default_context(cafile=str(ca_file)))
        self._client.on_message = self._on_message
        self._subscribed = threading.Event()
        self._client.on_subscribe = lambda *_told: self._subscribed.set()

    def start(self) -> None:
        """Connect, and listen to everything."""
        self._client.connect(self._url.host or "", self._url.port or 8883)
        self._client.loop_start()  # and no loop() before: paho would leave the sockets of that one open
        self._client.subscribe("#", qos=1)
        if not self._subscribed.wait(_TIMEOUT_S):
            raise TimeoutError("the broker does not confirm the subscription of the mutant")

    def stop(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        if message.topic.startswith(_PREFIX) or not message.payload:
            return
        heard = Message(message.topic, message.payload)
        if heard.value.get("objectType") == "VEN":
            self._vens.add(heard.value["object"]["id"])
        if self.change is not None:
            for made in self.change(heard, self._vens):
                self._client.publish(f"{_PREFIX}{made.topic}", made.payload, made.qos, made.retain)


def renames_topics() -> Handler:
    """Names the topics at which things are published again."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        value = told.json()
        if not asked.below.startswith(_TOPICS) or told.status != 200:
            return told
        return told.with_json({"topics": {key: f"{_PREFIX}{name}" for key, name in value["topics"].items()}})

    return handle


# Faults


def silent() -> Republished:
    """Publishes nothing."""
    return lambda _message, _vens: []


def retold(change: Callable[[Obj], Any]) -> Callable[[], Republished]:
    """Publishes something else."""
    return lambda: lambda message, _vens: [message.with_value(change(message.value))]


def moved(operation: str) -> Callable[[], Republished]:
    """Publishes everything where this operation is told."""
    return lambda: lambda message, _vens: [message.at(f"{message.topic.rpartition('/')[0]}/{operation}")]


def resent(**changes: Any) -> Callable[[], Republished]:
    """Publishes with another quality, or for later."""
    return lambda: lambda message, _vens: [replace(message, **changes)]


def kept_back(wanted: Callable[[Obj], bool]) -> Callable[[], Republished]:
    """Publishes some of it."""
    return lambda: lambda message, _vens: [message] if wanted(message.value) else []


def late(seconds: float) -> Callable[[], Republished]:
    """Publishes after a while."""

    def change(message: Message, _vens: Collection[str]) -> Iterable[Message]:
        time.sleep(seconds)
        return [message]

    return lambda: change


def everywhere() -> Republished:
    """Publishes programs and events for every ven, and where everybody may listen."""

    def change(message: Message, vens: Collection[str]) -> Iterable[Message]:
        beginning, _, rest = message.topic.partition("/")
        value = message.value
        places = [rest]
        kind, operation = value["objectType"], rest.rpartition("/")[2]
        if kind in {"PROGRAM", "EVENT"}:
            places += [f"vens/{ven}/{kind.lower()}s/{operation}" for ven in vens]
            place = f"events/programs/{value['object']['programID']}" if kind == "EVENT" else "programs"
            places.append(f"public/{place}/{operation}")
        return [message.at(f"{beginning}/{place}") for place in dict.fromkeys(places)]

    return change
