"""Tell of alarms over the MQTT broker: one message each, at a topic of its kind."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence

from vtn.alarm_settings import AlarmMqtt
from vtn.errors import BadCertificate
from vtn.notification_settings import Mqtt
from vtn.notify import mqtt_packets as packets
from vtn.notify.alarms.channel import NotTold, document
from vtn.notify.mqtt import tls_context
from vtn.notify.mqtt_link import Copy, Link, LinkLost, connected
from vtn.store.console.alarms import AlarmMessage


class AlarmMqttChannel:
    """Publish messages with acknowledgement, over a connection of its own."""

    name = "mqtt"

    def __init__(self, settings: AlarmMqtt, broker: Mqtt) -> None:
        own = f"{broker.client_id}-alarms-{secrets.token_hex(4)}"
        self._broker = broker.model_copy(update={"client_id": own, "retain": False})
        self._topic = settings.topic
        self._link: Link | None = None

    async def tell(self, messages: Sequence[AlarmMessage]) -> None:
        """Publish messages in order; raises NotTold unless the broker acknowledges each."""
        refused: list[int] = []

        def taken(_: Copy, reason: int) -> None:
            if reason >= packets.REFUSED_FROM:
                refused.append(reason)

        contents = [(self._topic_of(each), json.dumps(document(each), ensure_ascii=False)) for each in messages]
        try:
            link = await self._connected()
            await link.publish(((topic.encode(), content.encode(), None) for topic, content in contents), taken)
        except (LinkLost, BadCertificate) as error:
            raise NotTold(str(error)) from error
        if refused:
            raise NotTold(f"the broker refuses a message: {packets.reason_text(refused[0])}")

    async def close(self) -> None:
        """Take leave of the broker."""
        if self._link is not None:
            await self._link.close()

    def _topic_of(self, message: AlarmMessage) -> str:
        return f"{self._topic}/{'test' if message.alarm is None else message.alarm.kind.lower()}"

    async def _connected(self) -> Link:
        if self._link is None or self._link.is_lost:
            tls = await asyncio.to_thread(tls_context, self._broker) if self._broker.is_encrypted else None
            self._link = await connected(self._broker, tls)
        return self._link
