"""Tell what the exchange needs of the side towards the VTN, and the choice between its two forms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from bridge_mqtt.health import Health
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Vtn
from bridge_mqtt.store import Store
from bridge_mqtt.vtn_side.event_reader import ReadEvents
from bridge_mqtt.vtn_side.gateway import Gateway
from bridge_mqtt.vtn_side.panel_vens import PanelVens
from openadr_client import Clock, PushSettings, Tell, VtnClient
from openadr_profiles.v31 import Program


class VtnSide(Protocol):
    """Registration, polling and sending, as one ven or as many. Methods may raise ``openadr_client.VtnError``."""

    @property
    def targets(self) -> Collection[str]:
        """Return the targets of the one ven that we are; none if we are many."""

    @property
    def programs(self) -> Mapping[str, Program]:
        """Return the programs as last read, by id."""

    @property
    def seen_by(self) -> Mapping[str, Collection[str]] | None:
        """Return by event the panels that see it; None if we are one ven."""

    @property
    def pause_s(self) -> float:
        """Return the seconds of the clock between two polls."""

    async def recall(self) -> None:
        """Take over what an earlier run has read."""

    async def listen(self, settings: PushSettings, tell: Tell) -> None:
        """Receive the VTN's notifications until cancelled; raises LibraryMissing."""

    async def register(self) -> None:
        """See to it that the VTN knows us."""

    async def keep_resources(self) -> None:
        """See to the resources of panels and circuits until cancelled."""

    async def poll(self, on_change: Callable[[], None], /) -> ReadEvents:
        """Read and store what we may see; ``on_change`` may be called whenever something new is stored."""

    async def send_reports(self) -> int:
        """Send the reports that the VTN does not have yet, each once; return how many were dealt with."""


def vtn_side(
    settings: Vtn, *, client: VtnClient, store: Store, registry: Registry, health: Health, clock: Clock
) -> VtnSide:
    """Return the side that the settings say; ``client`` is open. Raises BadCredentials."""
    if settings.credentials_file is not None:
        return PanelVens(
            settings,
            settings.credentials_file,
            client=client,
            store=store,
            registry=registry,
            health=health,
            clock=clock,
        )
    return Gateway(settings, client=client, store=store, registry=registry, health=health, clock=clock)
