"""Circuits that somebody switches on or off through the bridge: a command row like any other, sent and confirmed.

A panel takes one command at a time, so an event that begins meanwhile waits for the answer, at most until its deadline.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

import structlog

from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.model import Command, PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.turns import Turns
from openadr_profiles.panel import CommandState, Load, Op, correlation_id, is_critical
from openadr_profiles.panel.identity import ENTROPY_BYTES

_log = structlog.get_logger(__name__)


class NotSwitchable(Exception):
    """The circuit cannot be switched now; the text says what stands against it."""


class LoadOrders:
    """Queues orders, and sees from the panel's samples that they were carried out.

    ``on_queued`` is called when there is something to send, ``on_done`` with panels that are free again.
    """

    def __init__(
        self,
        turns: Turns,
        registry: Registry,
        policy: Policy,
        *,
        now: Callable[[], datetime],
        on_queued: Callable[[], None],
        on_done: Callable[[Iterable[str]], None],
    ) -> None:
        self._turns = turns
        self._registry = registry
        self._policy = policy
        self._now = now
        self._on_queued = on_queued
        self._on_done = on_done
        self._shown: set[str] = set()
        self._due = asyncio.Event()

    async def switch(self, ven_id: str, load_id: str, *, enabled: bool) -> Command:
        """Queue an order for a circuit that the panel has; raises NotSwitchable or StoreUnavailable."""
        panel = self._registry.get(ven_id)
        load = None if panel is None else next((each for each in panel.loads if each.id == load_id), None)
        if panel is None or load is None:
            raise NotSwitchable(f"panel {ven_id!r} has no circuit {load_id!r}")
        async with self._turns.change() as turn:
            self._must_be_free(panel, load, enabled=enabled)
            command = Command(
                correlation_id=correlation_id("load", None, secrets.token_bytes(ENTROPY_BYTES)),
                ven_id=ven_id,
                op=Op.SET_LOAD,
                reason="by hand",
                state=CommandState.QUEUED,
                queued_at=self._now(),
                load_id=load_id,
                enabled=enabled,
            )
            turn.changes.queue(command)
        _log.info("circuit is switched by hand", ven_id=ven_id, load_id=load_id, enabled=enabled)
        self._on_queued()
        return command

    def measured(self, ven_ids: Collection[str]) -> None:
        """Look soon whether these panels show what was ordered."""
        shown = {ven_id for ven_id in ven_ids if self._confirmed(ven_id) is not None}
        if shown:
            self._shown |= shown
            self._due.set()

    async def run(self) -> None:
        """Confirm orders until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            shown, self._shown = self._shown, set()
            await self._turns.persist(lambda shown=shown: self._confirm(shown))  # type: ignore[misc]
            self._on_done(shown)

    async def _confirm(self, ven_ids: Collection[str]) -> None:
        async with self._turns.change() as turn:
            for ven_id in ven_ids:
                command = self._confirmed(ven_id)
                if command is not None:
                    answer = {"state": CommandState.ACKED, "answered_at": self._now(), "answered_by": "telemetry"}
                    turn.changes.change(command, **answer)
                    _log.info("circuit was switched", ven_id=ven_id, load_id=command.load_id, enabled=command.enabled)

    def _confirmed(self, ven_id: str) -> Command | None:
        """Return the order that waits for its answer if a sample taken after it shows that it was carried out."""
        command = self._turns.book.outstanding.get(ven_id)
        panel = self._registry.get(ven_id)
        if command is None or panel is None or command.op is not Op.SET_LOAD or command.sent_at is None:
            return None
        if panel.sample_received_at is None or panel.sample_received_at <= command.sent_at:
            return None
        is_so = any(load.id == command.load_id and load.enabled is command.enabled for load in panel.loads)
        return command if is_so else None

    def _must_be_free(self, panel: PanelRecord, load: Load, *, enabled: bool) -> None:
        book, ven_id = self._turns.book, panel.ven_id
        if not enabled and is_critical(load):
            raise NotSwitchable(f"circuit {load.id!r} is critical: it is never switched off from here")
        if panel.dialect is None or not is_online(panel, self._now(), self._policy):
            raise NotSwitchable(f"panel {ven_id!r} is offline: what is sent to it now is lost")
        if ven_id in book.holdings or panel.event_id is not None:
            event_id = book.holdings[ven_id].event_id if ven_id in book.holdings else panel.event_id
            raise NotSwitchable(
                f"panel {ven_id!r} holds event {event_id!r}: switching a circuit would undo it; stop the event first"
            )
        if ven_id in book.outstanding:
            raise NotSwitchable(f"panel {ven_id!r} has not answered its last command yet: try again in some seconds")
