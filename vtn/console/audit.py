"""The audit trail: every act of somebody at the console, noted when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

import msgspec
import structlog
from aiohttp import web

from vtn.console.console import Console
from vtn.console.sessions import address_of
from vtn.store.console.audit import ActRow, ActStore

_log = structlog.get_logger(__name__)

Facts: TypeAlias = Mapping[str, Any] | str | None
"""Hold what was there before or after an act, as names and values; None: nothing."""

_LONGEST_WHAT: Final = 400
_LONGEST_FACTS: Final = 16 * 1024
_SWEPT_EVERY: Final = 200


class AuditTrail:
    """Notes acts, in the database and in the log, and forgets those that are older than is kept."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._store = ActStore(console.database)
        self._noted = 0

    async def note(
        self,
        request: web.Request,
        user_name: str,
        act: str,
        what: str,
        *,
        before: Facts = None,
        after: Facts = None,
    ) -> None:
        """Note what a user did to what. Facts longer than 16 KiB are cut off."""
        row = ActRow(
            done_at=self._console.stamps.now,
            user_name=user_name,
            act=act,
            what=what[:_LONGEST_WHAT],
            before=_text(before),
            after=_text(after),
            address=address_of(request, self._console),
        )
        await self._store.note(row)
        _log.info("act at the console", user=user_name, act=act, what=row.what)
        days = self._console.settings.console.audit_days
        self._noted += 1
        if days is not None and self._noted % _SWEPT_EVERY == 1:
            await self._store.forget(before=self._console.stamps.ago(timedelta(days=days)))


def _text(facts: Facts) -> str | None:
    if facts is None:
        return None
    text = msgspec.json.encode(facts, enc_hook=str).decode()
    return text if len(text) <= _LONGEST_FACTS else msgspec.json.encode(f"{text[:_LONGEST_FACTS]} …").decode()
