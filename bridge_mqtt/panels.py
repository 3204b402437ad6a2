"""The panels of this bridge: what the settings say of each, and what was last heard of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from bridge_mqtt.dialect_detection import DialectDetection
from bridge_mqtt.model import CLOCK_STEP, AddedPanel, PanelRecord
from bridge_mqtt.settings import Settings
from openadr_profiles.panel import (
    ASSUMED,
    Ack,
    Telemetry,
    UnsafePanelId,
    check_panel_id,
    dialect_named,
)

_log = structlog.get_logger(__name__)

MOST_PANELS = 100_000
"""So many panels are registered; those that nobody has listed count, and further ones stay in quarantine."""
_MOST_REFUSALS_TOLD = 100
_CONFIGURED = {
    "ven_id", "name", "groups", "enabled", "capability_kw", "least_kw", "most_kw", "weight", "location", "created_at",
}  # fmt: skip


class Registry:
    """All known panels by id: those of the settings, and those that were added through the interface.

    Everybody else is in quarantine, or registered if the settings say so (rule R17).
    """

    def __init__(self, settings: Settings) -> None:
        self._accepts_all = settings.unregistered == "accept"
        self._refused: set[str] = set()
        self._listed = frozenset(panel.id for panel in settings.panels)
        self.changes = 0
        """Counts up whenever panels come, go, or are configured otherwise."""
        self._dialects = DialectDetection(
            {panel.id: known for panel in settings.panels if (known := dialect_named(panel.dialect))}
        )
        self._panels = {
            panel.id: PanelRecord(
                ven_id=panel.id,
                name=panel.name,
                groups=frozenset(panel.groups),
                enabled=panel.enabled,
                dialect=dialect_named(panel.dialect),
                capability_kw=panel.capability_kw,
                least_kw=panel.least_kw,
                most_kw=panel.most_kw,
                weight=panel.weight,
            )
            for panel in settings.panels
        }

    def __iter__(self) -> Iterator[PanelRecord]:
        return iter(self._panels.values())

    def __len__(self) -> int:
        return len(self._panels)

    def get(self, ven_id: str) -> PanelRecord | None:
        """Return a panel of this bridge, or None."""
        return self._panels.get(ven_id)

    def is_listed(self, ven_id: str) -> bool:
        """Return True if the settings list the panel: then they alone say what it is."""
        return ven_id in self._listed

    def add(self, added: AddedPanel) -> None:
        """Take in a panel that was added through the interface, or what was changed of it.

        Of a panel that the settings list too only the place and the time are taken.
        """
        known = self._panels.get(added.ven_id) or PanelRecord(ven_id=added.ven_id)
        known = replace(known, location=added.location, created_at=added.created_at)
        if added.ven_id not in self._listed:
            known = replace(known, name=added.name, groups=frozenset(added.groups), enabled=added.enabled)
        self.put(known)

    def put(self, panel: PanelRecord) -> None:
        """Set a panel as it is."""
        self._panels[panel.ven_id] = panel
        self.changes += 1

    def remove(self, ven_id: str) -> None:
        """Forget a panel; its messages are those of a stranger from now on."""
        del self._panels[ven_id]
        self.changes += 1

    @property
    def ven_ids(self) -> list[str]:
        """Return the ids of all panels."""
        return list(self._panels)

    def recall(self, heard: Iterable[PanelRecord]) -> None:
        """Take over what an earlier run has heard."""
        for old in heard:
            configured = self._panels.get(old.ven_id)
            if configured is None and not self._accepts_all:
                continue
            configured = configured or PanelRecord(ven_id=old.ven_id)
            state = {f.name: getattr(old, f.name) for f in fields(PanelRecord) if f.name not in _CONFIGURED}
            state["dialect"] = self._dialects.fixed(old.ven_id) or old.dialect
            self._panels[old.ven_id] = replace(configured, **state)

    def admit(self, ven_id: str) -> PanelRecord | None:
        """Return the panel, registered if everybody is; None if it is not ours or its id is unsafe (rule C11)."""
        panel = self._panels.get(ven_id)
        if panel is None and self._accepts_all:
            if len(self._panels) >= MOST_PANELS:
                self._refuse(f"there are {MOST_PANELS:,} panels already")
                return None
            try:
                panel = PanelRecord(ven_id=check_panel_id(ven_id))
            except UnsafePanelId as error:
                self._refuse(str(error))
                return None
            self.put(panel)
        return panel

    def _refuse(self, problem: str) -> None:
        """Log each problem of panels that nobody has listed once: anybody can send any id, as often as he likes."""
        if problem not in self._refused and len(self._refused) < _MOST_REFUSALS_TOLD:
            self._refused.add(problem)
            _log.warning("panel refused", problem=problem)

    def measured(self, sample: Telemetry) -> PanelRecord:
        """Note a sample of one of our panels and return the panel as it is now."""
        panel = self._panels[sample.ven_id]
        fell = (
            sample.message_num is not None and panel.message_num is not None and sample.message_num < panel.message_num
        )
        if panel.sample_at is not None and CLOCK_STEP > panel.sample_at - sample.timestamp > timedelta(0):
            panel = replace(panel, last_seen_at=sample.received_at)  # an old sample, delivered once more or late
            self._panels[panel.ven_id] = panel
            return panel
        if fell:
            _log.warning("panel has restarted", ven_id=panel.ven_id, message_num=sample.message_num)
        dialect = self._dialects.of_sample(sample, panel.dialect)
        panel = replace(
            panel,
            dialect=dialect,
            last_seen_at=sample.received_at,
            sample_at=sample.timestamp,
            sample_received_at=sample.received_at,
            message_num=sample.message_num,
            used_power_kw=sample.used_power_kw,
            shed_power_kw=sample.shed_power_kw,
            baseline_power_kw=sample.baseline_power_kw,
            event_id=sample.event_id,
            tells_event=sample.tells_event,
            restarted_at=sample.received_at if fell else panel.restarted_at,
            free_since=_free_since(panel, sample),
            loads=sample.loads or panel.loads,
            error=sample.error,
        )
        self._panels[panel.ven_id] = panel
        return panel

    def listed(self, sample: Telemetry) -> PanelRecord:
        """Note a list of circuits: it says nothing about the panel as a whole or its event."""
        panel = self._panels[sample.ven_id]
        panel = replace(panel, last_seen_at=sample.received_at, loads=sample.loads or panel.loads)
        self._panels[panel.ven_id] = panel
        return panel

    def answered(self, ack: Ack) -> PanelRecord:
        """Note an answer of one of our panels and return the panel as it is now."""
        panel = self._panels[ack.ven_id]
        dialect = self._dialects.of_ack(ack, panel.dialect)
        latest, received = panel.answered_at, panel.answer_received_at
        if ack.matched:  # answers to other senders' commands do not concern ours
            is_put_back = latest is not None and latest - ack.timestamp >= CLOCK_STEP
            latest = ack.timestamp if latest is None or is_put_back else max(ack.timestamp, latest)
            received = ack.received_at
        panel = replace(
            panel, dialect=dialect, last_seen_at=ack.received_at, answered_at=latest, answer_received_at=received
        )
        self._panels[panel.ven_id] = panel
        return panel

    def cannot_restore(self, ven_id: str) -> None:
        """Treat a panel that refused a restore as one that cannot restore, whatever the settings say."""
        self._panels[ven_id] = replace(self._panels[ven_id], dialect=self._dialects.without_restore(ven_id))


def _free_since(panel: PanelRecord, sample: Telemetry) -> datetime | None:
    """Return since when the panel shows no event; while it shows one, since when it did not before."""
    ended = panel.event_id is not None and sample.event_id is None
    return sample.received_at if ended else panel.free_since


def shed_capability_kw(panel: PanelRecord) -> Decimal:
    """Return the kW the panel can shed now: as configured, else by its circuits (its own claim counts whole loads)."""
    if panel.capability_kw is not None:
        return panel.capability_kw
    return (panel.dialect or ASSUMED).shed_capability_kw(panel.loads)
