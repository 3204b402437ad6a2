"""Define all settings of a VEN, in one frozen object; `oadr` reads them from flags, environment and files."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from openadr_client import NO_RETRY, Clock, ConnectionSettings, PushSettings, VtnClient
from ven.asks import SheddingRules
from ven.decision import OptRules
from ven.home_broker import HomeBroker
from ven.panel.circuits import BranchCircuit, Kilowatts

_SHORTEST_EXPIRY_S: Final = 120.0
_Topic = Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*$", max_length=128)]
"""The beginning of MQTT topics: no wildcard, and nothing that belongs to the broker."""


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
    """Name the driver that switches the circuits, and its options, which its own documentation lists.

    ``deadline_s`` is what one call of it may take, in real seconds; a step of the control loop is a few of them.
    """

    kind: str = "simulated"
    options: dict[str, Any] = Field(default_factory=dict, repr=False)  # there may be a password in it
    deadline_s: float = Field(default=5.0, gt=0, le=10)


class SafetySettings(_Group):
    """Hold how limits end by themselves, how circuits return, and what holds while the VTN cannot be heard.

    ``expiry_s`` is twice ``sample_s`` by default, and at least 120 s. ``return_spread_s`` is the time over which
    circuits return that are released together. ``limit_kw`` is the most that the panel may draw when the VTN was not
    heard for ``link_lost_s``, until it is heard again, or for ``limit_for_s``.
    """

    expiry_s: float | None = Field(default=None, gt=0, le=86400)
    return_spread_s: float = Field(default=0.0, ge=0, le=3600)
    limit_kw: Kilowatts | None = None
    link_lost_s: float | None = Field(default=None, gt=0, le=30 * 86400)
    limit_for_s: float | None = Field(default=None, gt=0, le=30 * 86400)

    @model_validator(mode="after")
    def _a_lost_link_has_both(self) -> Self:
        if (self.limit_kw is None) != (self.link_lost_s is None):
            raise ValueError("give both limit_kw and link_lost_s, or none of them")
        if self.limit_for_s is not None and self.limit_kw is None:
            raise ValueError("limit_for_s needs limit_kw and link_lost_s")
        return self


class BaselineSettings(_Group):
    """Say what a baseline is: the ``mean`` before the event, or by ``x_of_y`` what earlier days drew at its hours.

    Of the latest ``y`` days of its kind (workdays or weekend) count the ``x`` with the highest power.
    """

    method: Literal["mean", "x_of_y"] = "mean"
    x: int = Field(default=5, ge=1, le=20)
    y: int = Field(default=10, ge=1, le=20)

    @model_validator(mode="after")
    def _x_is_a_part_of_y(self) -> Self:
        if self.x > self.y:
            raise ValueError(f"baseline.x is {self.x} and baseline.y {self.y}; expected x of y days, so x at most y")
        return self


class ReportSettings(_Group):
    """Say how reports are made whose time a VEN may choose itself: one about each ``own_interval_s`` of its event."""

    own_interval_s: float = Field(default=900.0, ge=1, le=86_400)


class LocalSettings(_Group):
    """Hold where the local API listens; without ``port`` there is none.

    ``token_file`` is made at the first start if ``host`` is reached from other machines. With ``pin``, 6 to 32 digits,
    a browser there may sign in without the token.
    """

    port: int | None = Field(default=None, ge=1, le=65535)
    host: str = "127.0.0.1"
    token_file: Path = Path("ven-local-token")
    pin: SecretStr | None = None

    @field_validator("pin")
    @classmethod
    def _pin_is_long_enough(cls, pin: SecretStr | None) -> SecretStr | None:
        if pin is not None and re.fullmatch("[0-9]{6,32}", pin.get_secret_value()) is None:
            raise ValueError("expected 6 to 32 digits")
        return pin


class HomeAssistantSettings(_Group):
    """Hold how Home Assistant sees this VEN; without a ``broker`` it does not.

    ``discovery_prefix`` is that of its MQTT integration, below ``state_prefix`` are our own topics. ``device_name`` is
    the VEN's name by default. ``measured_s`` are the least seconds between two messages of which all are about measured
    power; with any other change the newest power is told at once.
    """

    broker: HomeBroker | None = None
    discovery_prefix: _Topic = "homeassistant"
    state_prefix: _Topic = "openadr"
    device_name: str | None = Field(default=None, min_length=1, max_length=128)
    measured_s: float = Field(default=30.0, ge=0, le=3600)


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
    safety: SafetySettings = SafetySettings()
    opt: OptRules = OptRules()
    shedding: SheddingRules = SheddingRules()
    push: PushSettings = PushSettings()
    local: LocalSettings = LocalSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()
    reports: ReportSettings = ReportSettings()
    baseline: BaselineSettings = BaselineSettings()
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

    @model_validator(mode="after")
    def _limits_outlive_a_sample(self) -> Self:
        if self.safety.expiry_s is not None and self.safety.expiry_s < 2 * self.sample_s:
            raise ValueError("safety.expiry_s must be at least twice sample_s, for a limit is renewed at a reading")
        return self

    @model_validator(mode="after")
    def _a_link_is_lost_after_two_polls(self) -> Self:
        if self.safety.link_lost_s is not None and self.safety.link_lost_s < 2 * self.poll_s:
            raise ValueError("safety.link_lost_s must be at least twice poll_s, for the VTN is heard at a poll")
        return self

    @property
    def expiry(self) -> timedelta:
        """Return the time after which a device ends a limit of ours that is not renewed."""
        return timedelta(seconds=self.safety.expiry_s or max(2 * self.sample_s, _SHORTEST_EXPIRY_S))

    @model_validator(mode="after")
    def _storage_is_known(self) -> Self:
        unknown = set(self.shedding.storage) - {circuit.id for circuit in self.circuits}
        if unknown:
            raise ValueError(f"shedding.storage names {min(unknown)}, which is no circuit")
        if both := set(self.shedding.storage) & {circuit.id for circuit in self.circuits if circuit.limits_feed_in}:
            raise ValueError(
                f"shedding.storage names {min(both)}, whose limits are on what it feeds in (limits_feed_in): it cannot "
                "be limited in what it is charged with as well"
            )
        return self

    @property
    def feeds_in(self) -> bool:
        """Return True if there are circuits that are limited in what they feed in."""
        return any(circuit.limits_feed_in for circuit in self.circuits)

    @property
    def reported_as(self) -> str:
        """Return the clientName of our reports (VENCLIENT-021)."""
        return self.client_name or self.ven_name
