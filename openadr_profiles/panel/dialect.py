"""The language of one panel program: how it is told to shed, what its answers and samples look like, what it can do.

Each program is one object of a subclass in a module of its own; ``dialects.py`` lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from openadr_profiles.panel.commands import restore_message, shed_message
from openadr_profiles.panel.load import Load, is_critical
from openadr_profiles.panel.switching import switch_by_delta
from openadr_profiles.panel.vocabulary import AckStatus

_WATT = Decimal("0.001")
_NOTHING = Decimal(0)


class Dialect(ABC):
    """The language of one panel program (rule C9)."""

    name: str
    """Its name in settings, the API and the database."""
    shed_op: str
    """Its word for a shed command."""
    outcome_member: str
    """The member of its answers that says how it went."""
    can_restore: bool
    """False if a shed can only run out: it is then told in pieces."""
    piece_s: int
    """The longest shed it is told with one command, in seconds, unless the settings say otherwise."""
    piece_bounds_s: tuple[int, int]
    """The shortest and longest ``piece_s`` that the settings may choose."""

    def shed_message(
        self,
        *,
        ven_id: str,
        correlation_id: str,
        event_id: str,
        amount_kw: float | Decimal,
        now: datetime,
        until: datetime,
    ) -> bytes:
        """Return a shed command in this dialect; raises UnsendableCommand or UnsafePanelId."""
        return shed_message(
            op=self.shed_op,
            ven_id=ven_id,
            correlation_id=correlation_id,
            event_id=event_id,
            amount_kw=amount_kw,
            now=now,
            until=until,
        )

    def restore_message(self, *, ven_id: str, correlation_id: str, event_id: str, now: datetime) -> bytes:
        """Return a restore command in this dialect; raises UnsendableCommand or UnsafePanelId."""
        return restore_message(ven_id=ven_id, correlation_id=correlation_id, event_id=event_id, now=now)

    def switch_message(
        self, *, ven_id: str, correlation_id: str, load_id: str, enabled: bool, now: datetime
    ) -> tuple[str, bytes]:
        """Return topic and bytes that switch one circuit; raises UnsendableCommand or UnsafePanelId."""
        return switch_by_delta(ven_id=ven_id, load_id=load_id, enabled=enabled, now=now)

    @abstractmethod
    def outcome(self, members: Mapping[str, Any], op: str, error: str | None, warnings: list[str]) -> AckStatus | None:
        """Return how a command went if the answer is in this dialect, else None (rule R4).

        ``op`` is canonical; ``error`` is the answer's error text. What is unusable is added to ``warnings``.
        """

    @abstractmethod
    def wrote_sample(self, topic: str, members: Mapping[str, Any]) -> bool:
        """Return True if a metering message can only be of this program."""

    @abstractmethod
    def shed_share(self, load: Load) -> Decimal:
        """Return the largest share (0 to 1) of a circuit that the program sheds; critical ones are looked at apart."""

    def shed_capability_kw(self, loads: Iterable[Load]) -> Decimal:
        """Return the most that the program can really shed from these circuits now, in kW to the watt."""
        total = _NOTHING
        for load in loads:
            if load.enabled is not False and not is_critical(load):
                total += Decimal(str(max(load.current_power_kw or 0.0, 0.0))) * self.shed_share(load)
        return total.quantize(_WATT)

    def __repr__(self) -> str:
        return f"<dialect {self.name}>"
