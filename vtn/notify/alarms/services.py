"""Put together what evaluates alarms and tells of them, for one process of a server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from vtn.notify.url_judge import UrlJudge
from vtn.services import Service
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.lease import Lease
from vtn.store.stamps import Stamps

if TYPE_CHECKING:
    from vtn.notify.alarms.channel import AlarmChannel
    from vtn.notify.alarms.watch import AlarmWatch
    from vtn.store.console.alarms import AlarmStore


LEASE_S: Final = 150.0
"""Longer than any attempt to tell may take, so that no two processes send the same."""


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
    by = uuid4().hex
    leased_s = max(LEASE_S, 3 * settings.alarms.evaluate_s)
    lease = partial(_lease, database, stamps, by, leased_s)

    def load() -> AlarmWatch:
        from vtn.notify.alarms.watch import AlarmWatch  # noqa: PLC0415 (in a thread, when the server has started)
        from vtn.store.console.alarm_facts import AlarmFacts  # noqa: PLC0415

        facts, store = AlarmFacts(database, stamps), _store(settings, database, stamps)
        return AlarmWatch(settings, facts, store, lease=lease, host=socket.gethostname(), now=now)

    async def evaluate() -> None:
        """Begin after one interval: VENs that nobody heard while no server ran have come back by then."""
        await asyncio.sleep(settings.alarms.evaluate_s)
        watch = await asyncio.to_thread(load)
        await watch.run()

    services = [Service("alarms", evaluate)]
    for each in _channels(settings, judge, about=about, now=now):
        from vtn.notify.alarms.sender import AlarmSender  # noqa: PLC0415 (few servers tell of alarms)

        store = _store(settings, database, stamps)
        sender = AlarmSender(settings.alarms, store, each, lease(f"alarms by {each.name}"))
        services.append(Service(f"alarms_{each.name}", sender.run))
    return services


def _store(settings: Settings, database: Database, stamps: Stamps) -> AlarmStore:
    from vtn.store.console.alarms import AlarmStore  # noqa: PLC0415

    return AlarmStore(database, stamps, channel_names(settings))


def _lease(database: Database, stamps: Stamps, by: str, lease_s: float, name: str) -> Lease:
    return Lease(database, stamps, name=name, by=by, lease_s=lease_s)


def _channels(
    settings: Settings, judge: UrlJudge, *, about: Callable[[], str], now: Callable[[], datetime]
) -> list[AlarmChannel]:
    alarms = settings.alarms
    found: list[AlarmChannel] = []
    if alarms.webhook is not None:
        from vtn.notify.alarms.webhook import AlarmWebhookChannel  # noqa: PLC0415 (few servers tell of alarms)
        from vtn.notify.signature import WebhookSigner  # noqa: PLC0415

        key_file = settings.webhook.signing_key_file
        signer = None if key_file is None else WebhookSigner(key_file)
        found.append(AlarmWebhookChannel(alarms.webhook, judge, now, signer))
    if alarms.email is not None:
        from vtn.notify.alarms.email import AlarmEmailChannel  # noqa: PLC0415 (few servers tell of alarms)

        found.append(AlarmEmailChannel(alarms.email, now, about=about))
    if alarms.mqtt is not None and settings.mqtt is not None:
        from vtn.notify.alarms.mqtt import AlarmMqttChannel  # noqa: PLC0415 (few servers have a broker)

        found.append(AlarmMqttChannel(alarms.mqtt, settings.mqtt))
    return found
