"""Define all settings of a VEN, in one frozen object; `oadr` reads them from flags, environment and files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from openadr_client import NO_RETRY, Clock, ConnectionSettings, VtnClient
from ven.asks import SheddingRules
from ven.decision import OptRules
from ven.panel.circuits import BranchCircuit


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VtnSettings(ConnectionSettings):
    """Hold the address of the VTN and our credentials there: a ready ``token`` may take the place of id and secret."""

    token: SecretStr | None = None
    allow_unverified: bool = False
    timeout_s: float = Field(default=30.0, gt=0, le=600)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.token is not None and self.client_id is not None:
            raise ValueError("give either client_id and client_secret, or token, not both")
        return self

    def client(self, clock: Clock) -> VtnClient:
        """Return a client that asks once: the agent asks again by itself, for as long as it takes."""
        return self.client_with(
            token=self.token, verify=not self.allow_unverified, timeout_s=self.timeout_s, retry=NO_RETRY, clock=clock
        )


class DriverSettings(_Group):
    """Name the driver that switches the circuits, and its options, which its own documentation lists."""

    kind: str = "simulated"
    options: dict[str, Any] = Field(default_factory=dict)


class VenSettings(_Group):
    """Hold all settings of one VEN.

    ``sample_s`` is the time between two readings of the circuits, ``poll_s`` between two looks at the VTN (with
    jitter), ``status_s`` between two status reports while circuits are curtailed. The baseline of an event is the mean
    power over the ``baseline_s`` before its start. ``settle_s`` after its return a circuit's final power is read. All
    are seconds of the clock that the VEN runs on.
    """

    vtn: VtnSettings
    ven_name: str = Field(min_length=1, max_length=128)
    client_name: str | None = Field(default=None, min_length=1, max_length=128)
    rename: bool = False
    store: Path = Path("ven.sqlite3")
    circuits: tuple[BranchCircuit, ...] = Field(min_length=1)
    driver: DriverSettings = DriverSettings()
    opt: OptRules = OptRules()
    shedding: SheddingRules = SheddingRules()
    poll_s: float = Field(default=300.0, gt=0, le=86400)
    sample_s: float = Field(default=10.0, gt=0, le=3600)
    status_s: float = Field(default=300.0, gt=0, le=86400)
    baseline_s: float = Field(default=300.0, gt=0, le=86400)
    settle_s: float = Field(default=5.0, ge=0, le=3600)

    @field_validator("circuits")
    @classmethod
    def _ids_are_unique(cls, circuits: tuple[BranchCircuit, ...]) -> tuple[BranchCircuit, ...]:
        repeated = [id_ for id_, count in Counter(circuit.id for circuit in circuits).items() if count > 1]
        if repeated:
            raise ValueError(f"circuit ids must differ: {', '.join(repeated)} is given more than once")
        return circuits

    @property
    def reported_as(self) -> str:
        """Return the clientName of our reports (VENCLIENT-021)."""
        return self.client_name or self.ven_name
