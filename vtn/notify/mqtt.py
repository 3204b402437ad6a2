"""Notifications over MQTT: each change goes to the topics that it belongs to (MQTT-021 … MQTT-037).

The outbox is the queue: a session at the broker would only keep what the outbox keeps as well. So every connection is
new, and what was not acknowledged is sent again, which keeps the order of each topic.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from vtn.errors import BadCertificate
from vtn.http.tls import load_pair
from vtn.notification_settings import Mqtt
from vtn.notify import mqtt_packets as packets
from vtn.notify.channel import NotDelivered
from vtn.notify.mqtt_link import Copy, Link, LinkLost, Message, connected
from vtn.notify.topics import TopicNames, for_everybody
from vtn.store.outbox.rows import Delivery, Endpoint, Push

_log = structlog.get_logger(__name__)

_HOPELESS: Final = frozenset({0x90, 0x95, 0x99})
"""The broker's reasons that another attempt would meet as well: the topic, the size, the form."""
_RECONNECT_S: Final = 15.0
"""The longest pause between attempts to reach the broker: all that VENs are told waits for it (MQTT-035)."""


def tls_context(settings: Mqtt) -> ssl.SSLContext | None:
    """Return what TLS with the broker needs, None for a broker without; raises BadCertificate.

    It reads files, and perhaps the authorities of the system: call it in a thread.
    """
    if not settings.is_encrypted:
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if settings.ca_file is not None:
            context.load_verify_locations(settings.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise BadCertificate(f"mqtt.ca_file: cannot read the authorities in {settings.ca_file}: {error}") from error
    try:
        if settings.cert is not None:
            load_pair(context, settings.cert, settings.key)
    except BadCertificate as error:
        raise BadCertificate(f"mqtt.cert, mqtt.key: {error}") from error
    except (ssl.SSLError, OSError) as error:
        names = f"{settings.cert} and {settings.key}"
        raise BadCertificate(f"mqtt.cert, mqtt.key: cannot use {names}: {error}") from error
    return context


class MqttChannel:
    """Publishes what everybody has to hear over one connection to the broker, which is made when it is needed."""

    push = Push.MQTT

    def __init__(self, settings: Mqtt, content: Callable[[Delivery], bytes]) -> None:
        # Each process keeps a connection of its own; with one name they would end each other's.
        self._settings = settings.model_copy(update={"client_id": f"{settings.client_id}-{secrets.token_hex(4)}"})
        self._content = content
        self._names = TopicNames(settings.prefix)
        self._link: Link | None = None

    async def send(self, endpoint: Endpoint, deliveries: Sequence[Delivery], done: Callable[[Delivery], None]) -> None:
        """Publish deliveries, and call ``done`` for each when all of its copies are acknowledged (MQTT-033).

        Raises NotDelivered for the first one of which the broker refuses a copy, after the others of it were sent.
        """
        publication = _Publication(deliveries, self._messages_of, done)
        try:
            link = await self._connected()
            await link.publish(publication.messages(), publication.taken)
        except (LinkLost, BadCertificate) as error:
            raise NotDelivered(None, str(error), retry_within_s=_RECONNECT_S) from error
        if publication.failure is not None:
            raise publication.failure

    async def close(self) -> None:
        """Take leave of the broker."""
        if self._link is not None:
            await self._link.close()

    async def _connected(self) -> Link:
        if self._link is None or self._link.is_lost:
            tls = await asyncio.to_thread(tls_context, self._settings) if self._settings.is_encrypted else None
            self._link = await connected(self._settings, tls)
        return self._link

    def _messages_of(self, delivery: Delivery) -> list[tuple[Iterator[str], bytes]]:
        """Return topics of a delivery, with what is published at them."""
        public = for_everybody(delivery)
        messages = []
        for part in (delivery,) if public is None else (public, delivery):
            content = self._content(part)
            if self._settings.object_type:
                content = b'{"object_type":"%b",%b' % (part.notification.object_type.encode(), content[1:])
            messages.append((self._names.of(part), content))
        return messages


class _Publication:
    """Deliveries that are being published, and the first failure among them."""

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        messages_of: Callable[[Delivery], Sequence[tuple[Iterator[str], bytes]]],
        done: Callable[[Delivery], None],
    ) -> None:
        self._deliveries = deliveries
        self._messages_of = messages_of
        self._done = done
        self._unwritable: NotDelivered | None = None
        self.failure: NotDelivered | None = None

    def messages(self) -> Iterator[Message]:
        """Give the messages one by one; after a failure none of a further delivery."""
        for delivery in self._deliveries:
            if self.failure is not None:
                return
            try:
                messages = self._messages_of(delivery)
            except Exception as error:  # whatever is wrong with this one, the next ones are to follow
                _log.exception("a notification cannot be written", delivery=delivery.id)
                self._unwritable = NotDelivered(delivery, f"it cannot be written: {type(error).__name__}", final=True)
                yield None, b"", (delivery, True)
                return
            for topics, content in messages:
                for topic in topics:
                    yield topic.encode(), content, (delivery, False)
            yield None, b"", (delivery, True)

    def taken(self, copy: Copy, reason: int) -> None:
        """Take note of what the broker says of a copy."""
        delivery, is_end = copy
        if self.failure is not None:
            return
        if self._unwritable is not None and delivery is self._unwritable.delivery:
            self.failure = self._unwritable
        elif reason >= packets.REFUSED_FROM:
            text = f"the broker refuses a message of {delivery.notification.object_type}: {packets.reason_text(reason)}"
            self.failure = NotDelivered(delivery, text, final=reason in _HOPELESS, retry_within_s=_RECONNECT_S)
        elif is_end:
            self._done(delivery)
