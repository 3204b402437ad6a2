"""The session of a bridge that is gone: what the broker kept for it is taken, and its connection ended if it has one.

A broker gives the messages of a shared subscription to one of its subscribers, also to one that is away or stopped: it
keeps them for that one. Connecting with its client id ends its connection (a message that it was about to publish does
not leave any more) and brings what was kept. The session is left without subscriptions; its owner may come back to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from bridge_mqtt.settings import Settings
from bridge_mqtt.topics import LONGEST_PAYLOAD, all_filters
from openadr_client import BrokerError, BrokerUnreachable, MqttLink, Received

_log = structlog.get_logger(__name__)

_QUIET_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.05


async def adopt(
    client_id: str,
    settings: Settings,
    *,
    take: Callable[[Sequence[Received]], Awaitable[None]],
    now: Callable[[], datetime],
) -> bool:
    """Take what the broker keeps for a bridge until nothing more comes; return False to try again later."""
    taken = 0
    quiet_since = asyncio.get_running_loop().time()

    async def count(batch: Sequence[Received]) -> None:
        nonlocal taken, quiet_since
        await take(batch)
        taken += len(batch)
        quiet_since = asyncio.get_running_loop().time()

    broker = settings.broker.model_copy(update={"client_id": client_id})
    link = MqttLink(
        broker,
        filters=(),
        unwanted=all_filters(settings),
        take=count,
        now=now,
        prefix=broker.topic_prefix,
        longest=LONGEST_PAYLOAD,
    )
    try:
        async with link:
            if link.session_was_kept:
                await _until_quiet(link, lambda: quiet_since)
    except BrokerUnreachable as error:
        _log.warning(
            "session of a bridge that is gone cannot be taken over yet", client_id=client_id, problem=str(error)
        )
        return False
    except BrokerError as error:
        _log.warning("session of a bridge that is gone cannot be taken over", client_id=client_id, problem=str(error))
        return True
    _log.info("session of a bridge that is gone is taken over", client_id=client_id, messages=taken)
    return True


async def _until_quiet(link: MqttLink, quiet_since: Callable[[], float]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    receiving = asyncio.create_task(link.run())
    try:
        while loop.time() - max(began, quiet_since()) < _QUIET_S:
            if receiving.done():
                receiving.result()
                return
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
