"""Put together what delivers notifications: in a server, or in a process that does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from openadr_profiles.v301 import VERSION
from vtn.api.v31.render import notification_renderers
from vtn.api.v301.render import notification_form
from vtn.notify.channel import Channel
from vtn.notify.content import Content
from vtn.notify.dispatcher import NotificationDispatcher
from vtn.notify.signature import WebhookSigner
from vtn.notify.upkeep import OutboxUpkeep
from vtn.notify.url_judge import UrlJudge
from vtn.notify.webhook import WebhookChannel
from vtn.services import Service
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.outbox.queue import Outbox
from vtn.store.stamps import Stamps
from vtn.store.vault import Vault


class Deliveries:
    """The services of one process that deliver notifications and keep the outbox small.

    It is made once the database shares its revisions with other processes, so that it hears what they record. Raises
    StartFailed if files that the settings name cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        stamps: Stamps,
        vault: Vault,
        judge: UrlJudge,
        now: Callable[[], datetime],
    ) -> None:
        outbox, content = (
            Outbox(database, stamps, vault),
            Content(notification_renderers(), {VERSION: notification_form(settings.v301.untyped)}),
        )
        key_file = settings.webhook.signing_key_file
        signer = None if key_file is None else WebhookSigner(key_file)
        plain_faces = (VERSION,) if settings.v301.legacy_webhooks else ()
        channels: list[Channel] = [WebhookChannel(judge, content.of, now, signer, plain_faces)]
        if settings.mqtt is not None:
            from vtn.notify.mqtt import MqttChannel, tls_context  # noqa: PLC0415 (few servers have a broker)

            tls_context(settings.mqtt)  # a file that cannot be used is an error now, not at every attempt
            channels.append(MqttChannel(settings.mqtt, content.of))
        self._dispatcher = NotificationDispatcher(outbox, channels, settings.notify)
        self._upkeep = OutboxUpkeep(outbox, settings.notify)

    def services(self) -> list[Service]:
        """Return the services. Each bears others of its kind in other processes."""
        return [Service("deliveries", self._dispatcher.run), Service("outbox", self._upkeep.run)]

    async def close(self) -> None:
        """Close all connections to receivers, after the services have ended."""
        await self._dispatcher.close()
