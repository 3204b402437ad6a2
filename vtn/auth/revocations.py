"""Follow what other processes revoke: clients, their tokens, and keys."""

from __future__ import annotations

import asyncio

import structlog

from vtn.auth.bearer import Bearer
from vtn.auth.clients import Clients
from vtn.errors import Unavailable

_log = structlog.get_logger(__name__)


async def follow(clients: Clients, bearer: Bearer, *, every_s: float) -> None:
    """Read what was revoked, and which keys have come and gone, every so often until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await clients.read_revocations()
            await bearer.refresh_keys()
        except Unavailable:
            _log.warning("the database does not answer; revocations of other processes are not known")
