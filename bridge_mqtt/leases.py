"""Leases: who of several bridges leads, and which of them are alive. Pure; the database keeps them and has the clock.

A bridge takes the lease ``LEAD`` to plan, decide, send and report. Each taking has a higher ``epoch`` than the one
before, so that a bridge that was stopped and goes on later is told apart from one that still leads. Beside it each
bridge holds a lease of its own, by which the others see that it is alive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

LEAD: Final = "lead"
_ALIVE: Final = "bridge:"


@dataclass(frozen=True, slots=True)
class BridgeLease:
    """A lease as the database has it; ``holder`` is the client id of a bridge at the broker."""

    name: str
    holder: str
    epoch: int
    expires_at: datetime


def presence(client_id: str) -> str:
    """Return the name of the lease by which a bridge shows that it is alive."""
    return f"{_ALIVE}{client_id}"


def is_presence(name: str) -> bool:
    """Return True if a lease shows that a bridge is alive."""
    return name.startswith(_ALIVE)


def claim(
    found: BridgeLease | None, name: str, holder: str, *, epoch: int | None, now: datetime, valid: timedelta
) -> BridgeLease | None:
    """Return the lease as a bridge renews or takes it now, or None while another one has it.

    ``epoch`` is the one under which the bridge holds the lease, None if it does not know of any. The name alone proves
    nothing: another process may run with the same settings.
    """
    until = now + valid
    if found is None:
        return BridgeLease(name, holder, 1, until)
    if found.holder == holder and found.epoch == epoch:
        return replace(found, expires_at=until)
    if found.expires_at <= now:
        return BridgeLease(name, holder, found.epoch + 1, until)
    return None
