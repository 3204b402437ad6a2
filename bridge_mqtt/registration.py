"""Panels that are added, changed and deleted through the HTTP interface, and kept in the store.

The settings go before: a panel that they list is changed and deleted there. If one that was added here is listed there
later, what the settings say holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.book import Book
from bridge_mqtt.model import AddedPanel
from bridge_mqtt.panels import MOST_PANELS, Registry
from bridge_mqtt.store import added_panels, panels
from bridge_mqtt.turns import Turns

_log = structlog.get_logger(__name__)


class NoSuchPanel(Exception):
    """The bridge has no such panel."""


class NotRegistrable(Exception):
    """The panel cannot be added, changed or deleted; the text says what stands against it."""


class PanelRegistration:
    """Adds, changes and deletes panels; ``on_change`` is called when events may be for others than before."""

    def __init__(
        self, turns: Turns, registry: Registry, *, now: Callable[[], datetime], on_change: Callable[[], None]
    ) -> None:
        self._turns = turns
        self._registry = registry
        self._now = now
        self._on_change = on_change

    async def add(self, ven_id: str | None, **members: Any) -> str:
        """Add a panel and return its id, one of our own if none is given; raises NotRegistrable or StoreUnavailable."""
        async with self._turns.change() as turn:
            ven_id = ven_id or self._unused_id()
            if self._registry.is_listed(ven_id):
                raise NotRegistrable(f"id: the settings list panel {ven_id!r} already")
            if await added_panels.one(turn.connection, ven_id) is not None:
                raise NotRegistrable(f"id: there is a panel {ven_id!r} already")
            if self._registry.get(ven_id) is None and len(self._registry) >= MOST_PANELS:
                raise NotRegistrable(f"id: there are {MOST_PANELS:,} panels already")
            added = AddedPanel(ven_id=ven_id, created_at=self._now(), **members)
            await panels.ensure(turn.connection, [ven_id])
            await self._save(turn.connection, added)
        self._registry.add(added)
        _log.info("panel added", ven_id=ven_id)
        self._on_change()
        return ven_id

    async def change(self, ven_id: str, **members: Any) -> None:
        """Change members of a panel that was added; raises NoSuchPanel, NotRegistrable or StoreUnavailable."""
        async with self._turns.change() as turn:
            added = replace(await self._added(turn.connection, ven_id, "change it there"), **members)
            await self._save(turn.connection, added)
        self._registry.add(added)
        _log.info("panel changed", ven_id=ven_id, members=sorted(members))
        self._on_change()

    async def remove(self, ven_id: str) -> None:
        """Delete a panel that was added; raises NoSuchPanel, NotRegistrable or StoreUnavailable.

        One that holds a shed, or may, stays: nobody would restore it.
        """
        panel = self._registry.get(ven_id)
        try:
            async with self._turns.change() as turn:
                await self._added(turn.connection, ven_id, "delete it there")
                _must_be_free(self._turns.book, ven_id)
                await added_panels.remove(turn.connection, ven_id)
                self._registry.remove(ven_id)  # before others have their turn
        except BaseException:
            if panel is not None and self._registry.get(ven_id) is None:
                self._registry.put(panel)
            raise
        _log.info("panel deleted", ven_id=ven_id)
        self._on_change()

    async def _added(self, connection: AsyncConnection, ven_id: str, otherwise: str) -> AddedPanel:
        if self._registry.is_listed(ven_id):
            raise NotRegistrable(f"the settings list panel {ven_id!r}: {otherwise}")
        added = await added_panels.one(connection, ven_id)
        if added is not None and self._registry.get(ven_id) is not None:
            return added
        if self._registry.get(ven_id) is None:
            raise NoSuchPanel(f"no panel {ven_id!r}")
        raise NotRegistrable(
            f"panel {ven_id!r} was not added here; it is registered because the setting unregistered is accept: "
            "add it with its id first"
        )

    async def _save(self, connection: AsyncConnection, added: AddedPanel) -> None:
        if added.registration_id is not None:
            other = await added_panels.registered_as(connection, added.registration_id)
            if other not in {None, added.ven_id}:
                raise NotRegistrable(f"registrationId: panel {other!r} has {added.registration_id!r} already")
        await added_panels.save(connection, added)

    def _unused_id(self) -> str:
        while True:
            ven_id = f"ven-{secrets.token_hex(4)}"
            if self._registry.get(ven_id) is None:
                return ven_id


def _must_be_free(book: Book, ven_id: str) -> None:
    """Raise NotRegistrable while a panel holds a shed or has a command to answer."""
    holding = book.holdings.get(ven_id)
    if holding is not None:
        raise NotRegistrable(
            f"panel {ven_id!r} holds event {holding.event_id!r}: set its status to disabled, which restores it, "
            "and delete it then"
        )
    if ven_id in book.outstanding:
        raise NotRegistrable(f"panel {ven_id!r} has not answered its last command yet: try again in some seconds")
