"""The book: what every panel holds and which command is on its way to it, in memory, and changes to it.

The database has the same. The book is read once at the start, and again after a transaction that failed; in between,
each turn collects its changes, writes them in bulk, and enters them into the book once they are committed. So a turn
costs what it changes, not the number of panels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Command, Holding, PanelRecord
from bridge_mqtt.store import allocations, commands, panels
from bridge_mqtt.store.allocations import Part
from openadr_profiles.panel import CommandState, Op

_OUTSTANDING = {CommandState.QUEUED, CommandState.SENT}


class Book:
    """Know what panels hold (``holdings``) and wait for (``outstanding``); ``apply`` and ``read`` change it."""

    def __init__(self) -> None:
        self.holdings: dict[str, Holding] = {}
        self.outstanding: dict[str, Command] = {}
        self.queue: dict[str, Command] = {}
        """The commands to be sent, by correlation id, oldest first."""
        self.pinged: dict[str, datetime] = {}
        """When each panel was last sent a ping."""
        self.is_stale = True
        self._by_correlation: dict[str, Command] = {}
        self._holders: Counter[str] = Counter()

    def holds(self, event_id: str) -> bool:
        """Return True if any panel holds, or may hold, the event."""
        return self._holders[event_id] > 0

    def command(self, correlation_id: str) -> Command | None:
        """Return the command with this correlation id if it is queued or waits for its answer."""
        return self._by_correlation.get(correlation_id)

    async def read(self, connection: AsyncConnection) -> None:
        """Read everything from the database."""
        held = await commands.held(connection)
        waiting = await commands.outstanding(connection)
        pinged = await commands.last_pings(connection)
        self.holdings, self.outstanding, self.pinged = held, waiting, pinged
        self._by_correlation = {command.correlation_id: command for command in waiting.values()}
        queued = (command for command in waiting.values() if command.state is CommandState.QUEUED)
        in_order = sorted(queued, key=lambda command: (command.queued_at, command.id or 0))
        self.queue = {command.correlation_id: command for command in in_order}
        self._holders = Counter(holding.event_id for holding in held.values())
        self.is_stale = False

    def apply(self, changes: PanelChanges) -> set[str]:
        """Enter what has been committed; return the events that no panel holds any more."""
        for command in changes.commands.values():
            self._enter(command)
        for command in changes.queued.values():
            self._enter(command)
        released = set()
        for ven_id, holding in changes.holdings.items():
            before = self.holdings.pop(ven_id, None)
            if before is not None:
                self._holders[before.event_id] -= 1
                released.add(before.event_id)
            if holding is not None:
                self.holdings[ven_id] = holding
                self._holders[holding.event_id] += 1
        self._holders += Counter()  # forgets events without holders
        return {event_id for event_id in released if not self.holds(event_id)}

    def _enter(self, command: Command) -> None:
        known = self.outstanding.get(command.ven_id)
        if command.state in _OUTSTANDING:
            self.outstanding[command.ven_id] = self._by_correlation[command.correlation_id] = command
        else:
            self._by_correlation.pop(command.correlation_id, None)
            if known is not None and known.correlation_id == command.correlation_id:
                del self.outstanding[command.ven_id]
        if command.state is CommandState.QUEUED:
            self.queue[command.correlation_id] = command
        else:
            self.queue.pop(command.correlation_id, None)
        if command.op is Op.PING and command.sent_at is not None:
            self.pinged[command.ven_id] = max(command.sent_at, self.pinged.get(command.ven_id, command.sent_at))


@dataclass
class PanelChanges:
    """Hold what one turn changes. Nothing is written before ``write``, nothing is in the book before ``Book.apply``."""

    queued: dict[str, Command] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    confirmed: dict[str, datetime] = field(default_factory=dict)
    holdings: dict[str, Holding | None] = field(default_factory=dict)
    parts: dict[Part, dict[str, Any]] = field(default_factory=dict)
    recoveries: Counter[Part] = field(default_factory=Counter)
    answers: dict[str, PanelRecord] = field(default_factory=dict)

    def queue(self, command: Command) -> None:
        """Add a command to be sent."""
        self.queued[command.correlation_id] = command

    def change(self, command: Command, **values: Any) -> Command:
        """Change members of a command and return it as it is now."""
        changed = replace(self.commands.get(command.correlation_id, command), **values)
        self.commands[command.correlation_id] = changed
        return changed

    def confirm(self, correlation_id: str, at: datetime) -> None:
        """Set that telemetry shows what a command did whose answer is overdue."""
        self.confirmed[correlation_id] = at

    def hold(self, holding: Holding) -> None:
        """Set what a panel holds, instead of what it held."""
        self.holdings[holding.ven_id] = holding

    def drop(self, ven_id: str) -> None:
        """Set that a panel holds nothing of ours."""
        self.holdings[ven_id] = None

    def held_by(self, ven_id: str, book: Book) -> Holding | None:
        """Return what a panel holds after these changes."""
        return self.holdings[ven_id] if ven_id in self.holdings else book.holdings.get(ven_id)

    def change_part(self, part: Part, **values: Any) -> None:
        """Change members of a panel's part in a window."""
        self.parts.setdefault(part, {}).update(values)

    def count_recovery(self, part: Part) -> None:
        """Count one more loss of a shed by the panel in this window."""
        self.recoveries[part] += 1

    @property
    def panels_with_parts(self) -> set[str]:
        """Return the panels whose part in a split has changed."""
        return {ven_id for _, _, ven_id in (*self.parts, *self.recoveries)}

    async def write(self, connection: AsyncConnection) -> None:
        """Write everything, with a few statements however many panels there are.

        What is no longer outstanding goes first: the database refuses a second outstanding command for a panel.
        """
        await commands.save(connection, list(self.commands.values()))
        await commands.confirm(connection, self.confirmed)
        await commands.queue(connection, list(self.queued.values()))
        await commands.hold_all(connection, [each for each in self.holdings.values() if each is not None])
        await commands.drop_all(connection, [ven_id for ven_id, each in self.holdings.items() if each is None])
        if self.parts:
            await allocations.change_parts(connection, self.parts)
        await allocations.count_recoveries(connection, self.recoveries)
        await panels.save_answers(connection, list(self.answers.values()))


def part_of(holding: Holding) -> Part:
    """Return the key of the part that a holding belongs to."""
    return holding.event_id, holding.window_start, holding.ven_id
