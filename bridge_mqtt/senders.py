"""Tell who reports to the VTN about which panels: the bridge's ven about all, or each panel's ven about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge_mqtt.model import PanelRecord
from bridge_mqtt.settings import Vtn


@dataclass(frozen=True)
class Sender:
    """A client that reports: its name in reports, and what tells its reports in the store from those of others."""

    client_name: str
    key: str
    panels: tuple[PanelRecord, ...]


def senders(settings: Vtn, panels: Sequence[PanelRecord]) -> list[Sender]:
    """Return who reports about these panels; one whose id is too long for a ven's name reports nothing."""
    if settings.identity == "gateway":
        return [Sender(settings.ven_name, "", tuple(panels))]
    return [Sender(panel.ven_id, panel.ven_id, (panel,)) for panel in panels]
