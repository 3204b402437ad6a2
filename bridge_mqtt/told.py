"""Which of the events that free panels show they were told by us: those are ended when they are over (12.4, no. 5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.book import Book
from bridge_mqtt.panels import Registry
from bridge_mqtt.store import commands


class ShownEvents:
    """The events that panels show without holding one, asked of the database once for each."""

    def __init__(self, registry: Registry, book: Book) -> None:
        self._registry = registry
        self._book = book
        self._told: dict[str, tuple[str, bool]] = {}

    def ours(self, ven_id: str) -> Collection[str]:
        """Return the event that a free panel shows, if it is known that it was told it by us."""
        told = self._told.get(ven_id)
        return {told[0]} if told is not None and told == (self._shown_by(ven_id), True) else ()

    def is_unknown(self, ven_id: str) -> bool:
        """Return True if a free panel shows an event of which it is not known yet who told it."""
        shown, told = self._shown_by(ven_id), self._told.get(ven_id)
        return shown is not None and (told is None or told[0] != shown)

    async def ask(self, connection: AsyncConnection, ven_ids: Sequence[str]) -> None:
        """Ask for those of some panels that are unknown."""
        shown = {
            ven_id: event_id
            for ven_id in ven_ids
            if self.is_unknown(ven_id) and (event_id := self._shown_by(ven_id)) is not None
        }
        told = await commands.were_told(connection, shown)
        self._told |= {ven_id: (event_id, ven_id in told) for ven_id, event_id in shown.items()}

    def forget(self, ven_id: str) -> None:
        """Forget what is known of a panel, since it is told something new."""
        self._told.pop(ven_id, None)

    def _shown_by(self, ven_id: str) -> str | None:
        panel = self._registry.get(ven_id)
        return None if panel is None or ven_id in self._book.holdings else panel.event_id
