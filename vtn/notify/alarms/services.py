"""Put together what evaluates alarms and tells of them, for one process of a server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime
from functools import partial
from uuid import uuid4

from vtn.notify.alarms.channel import AlarmChannel
from vtn.notify.alarms.email import AlarmEmailChannel
from vtn.notify.alarms.sender import LEASE_S, AlarmSender
from vtn.notify.alarms.watch import AlarmWatch
from vtn.notify.alarms.webhook import AlarmWebhookChannel
from vtn.notify.signature import WebhookSigner
from vtn.notify.url_judge import UrlJudge
from vtn.services import Service
from vtn.settings import Settings
from vtn.store.console.alarm_facts import AlarmFacts
from vtn.store.console.alarms import AlarmStore
from vtn.store.database import Database
from vtn.store.lease import Lease
from vtn.store.stamps import Stamps


def channel_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the channels that the settings give."""
    alarms = settings.alarms
    given = (("webhook", alarms.webhook), ("email", alarms.email), ("mqtt", alarms.mqtt))
    return tuple(name for name, channel in given if channel is not None)


def alarm_services(
    settings: Settings,
    database: Database,
    stamps: Stamps,
    judge: UrlJudge,
    *,
    about: Callable[[], str],
    now: Callable[[], datetime],
) -> list[Service]:
    """Return the services: one that evaluates, and one for each channel. ``about`` is the address of this server.

    Each bears others of its kind in other processes.
    """
    if not settings.alarms.enabled:
        return []
    store = AlarmStore(database, stamps, channel_names(settings))
    by = uuid4().hex
    leased_s = max(LEASE_S, 3 * settings.alarms.evaluate_s)
    lease = partial(_lease, database, stamps, by, leased_s)
    watch = AlarmWatch(settings, AlarmFacts(database, stamps), store, lease=lease, host=socket.gethostname(), now=now)
    senders = [
        Service(f"alarms_{each.name}", AlarmSender(settings.alarms, store, each, lease(f"alarms by {each.name}")).run)
        for each in _channels(settings, judge, about=about, now=now)
    ]
    return [Service("alarms", watch.run), *senders]


def _lease(database: Database, stamps: Stamps, by: str, lease_s: float, name: str) -> Lease:
    return Lease(database, stamps, name=name, by=by, lease_s=lease_s)


def _channels(
    settings: Settings, judge: UrlJudge, *, about: Callable[[], str], now: Callable[[], datetime]
) -> list[AlarmChannel]:
    alarms, found = settings.alarms, list[AlarmChannel]()
    if alarms.webhook is not None:
        key_file = settings.webhook.signing_key_file
        signer = None if key_file is None else WebhookSigner(key_file)
        found.append(AlarmWebhookChannel(alarms.webhook, judge, now, signer))
    if alarms.email is not None:
        found.append(AlarmEmailChannel(alarms.email, now, about=about))
    if alarms.mqtt is not None and settings.mqtt is not None:
        from vtn.notify.alarms.mqtt import AlarmMqttChannel  # noqa: PLC0415 (few servers have a broker)

        found.append(AlarmMqttChannel(alarms.mqtt, settings.mqtt))
    return found
