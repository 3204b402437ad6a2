"""Define all settings of a VEN, in one frozen object; `oadr` reads them from flags, environment and files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from openadr_client import NO_RETRY, ClientAuthentication, Clock, VtnClient, web_address
from ven.asks import SheddingRules
from ven.decision import OptRules
from ven.panel.circuits import BranchCircuit


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VtnSettings(_Group):
    """Hold the address of the VTN and our credentials there.

    ``url`` includes the version, as in ``https://vtn.example/openadr3/3.1.0``. Without ``client_id`` and
    ``client_secret`` (or a ready ``token``) requests go out without a token. ``scope`` and ``audience`` are sent to the
    token server if given; ``client_authentication`` is ``form``, or ``basic`` for a server that takes the id and secret
    in the Authorization header only.
    """

    url: str = Field(pattern=r"^https?://[^\s]+$")
    client_id: str | None = Field(default=None, min_length=1)
    client_secret: SecretStr | None = None
    token: SecretStr | None = None
    token_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    scope: str | None = None
    audience: str | None = None
    client_authentication: ClientAuthentication = "form"
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    allow_unverified: bool = False
    timeout_s: float = Field(default=30.0, gt=0, le=600)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        return web_address(url)

    @field_validator("token_url")
    @classmethod
    def _token_address(cls, url: str | None) -> str | None:
        return url if url is None else web_address(url)

    @model_validator(mode="after")
    def _credentials_fit(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            missing = "client_id" if self.client_id is None else "client_secret"
            raise ValueError(f"client_id and client_secret belong together: {missing} is missing")
        if self.token is not None and self.client_id is not None:
            raise ValueError("give either client_id and client_secret, or token, not both")
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        return self

    def client(self, clock: Clock) -> VtnClient:
        """Return a client with these settings; raises BadCertificateFile."""
        return VtnClient(
            base_url=self.url,
            client_id=self.client_id,
            client_secret=self.client_secret,
            token=self.token,
            token_url=self.token_url,
            scope=self.scope,
            audience=self.audience,
            client_authentication=self.client_authentication,
            ca_file=self.ca_file,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            verify=not self.allow_unverified,
            timeout_s=self.timeout_s,
            retry=NO_RETRY,  # the agent asks again by itself, and goes on for as long as it takes
            clock=clock,
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
