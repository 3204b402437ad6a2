"""Settings of OpenADR 2.0b: a second listener with mutual TLS, and how its VENs are treated."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from vtn.settings_group import SettingsGroup

CIPHERS: Final = "ECDHE-ECDSA-AES128-SHA256:AES128-SHA256:ECDHE+AESGCM"
"""The two suites that OpenADR 2.0b asks for first (B-SEC-002), then those of today."""


class V20bPush(SettingsGroup):
    """Send messages to VENs that register for it, instead of waiting for their polls (B-TRN-005)."""

    cert: Path | None = None
    """The certificate chain that VENs are shown, PEM; by default that of the listener."""
    key: Path | None = None
    """Its private key, PEM."""
    allowed: tuple[str, ...] = ()
    """Host names, addresses and networks (``10.1.0.0/16``) of VENs that may be called although they are private."""
    allow_private_addresses: bool = False
    """Call VENs at loopback, private and link-local addresses too; ``allowed`` opens single ones."""
    connect_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Time limit for a connection with TLS."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 15.0
    """Time limit for a message and its answer, the connection included."""
    at_once: Annotated[int, Field(ge=1, le=1000)] = 64
    """VENs that are sent something at the same time; a quarter as many of those that did not answer last time."""
    first_retry_s: Annotated[float, Field(gt=0, le=3600)] = 2.0
    longest_retry_s: Annotated[float, Field(gt=0, le=86400)] = 300.0
    """Pauses after a failure, each twice the last one and varied by half: the first one and the longest."""
    alarm_after: Annotated[int, Field(ge=1, le=1000)] = 8
    """Failures in a row after which the log says that a VEN cannot be reached. It is tried on, and nothing is lost."""

    @model_validator(mode="after")
    def _is_pair(self) -> V20bPush:
        if (self.cert is None) != (self.key is None):
            raise ValueError(f"cert and key belong together: {'cert' if self.cert is None else 'key'} is missing")
        return self


class V20b(SettingsGroup):
    """OpenADR 2.0b (profile B, simple HTTP) on a listener of its own."""

    enabled: bool = True
    """Serve it. Needs the extra ``oadr20b``."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8443
    """0 takes a free port."""
    prefix: Annotated[str, Field(pattern=r"^(?:/[A-Za-z0-9._~-]+)*$")] = ""
    """A path before ``/OpenADR2/Simple/2.0b``."""
    cert: Path | None = None
    """The certificate chain with an elliptic-curve key, PEM."""
    key: Path | None = None
    """Its private key, PEM."""
    rsa_cert: Path | None = None
    """The certificate chain with an RSA key, PEM, for devices that know no other (B-SEC-003)."""
    rsa_key: Path | None = None
    ca: Path | None = None
    """Authorities of the VENs' certificates, PEM (B-SEC-004)."""
    crl: Path | None = None
    """Lists of revoked certificates of all these authorities, PEM (B-SEC-014)."""
    watch_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Interval of checks of the files; changed ones are used for new connections."""
    ciphers: str = CIPHERS
    """Ciphers of TLS 1.2 in OpenSSL's words, the preferred ones first."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies that terminate TLS and check certificates; then this server does neither, and
    takes requests from there alone (B-SEC-007)."""
    proxy_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "X-Client-Cert"
    """The header in which a proxy hands on the VEN's certificate, PEM in percent-encoding (nginx:
    ``$ssl_client_escaped_cert``)."""
    vtn_id: Annotated[str, Field(min_length=1, max_length=128)] = "OpenADR-Fleet"
    """The vtnID. At least one known VEN needs an upper-case letter in it."""
    poll_s: Annotated[int, Field(ge=1, le=86400)] = 10
    """The interval of polls that VENs are asked to keep (B-REG-004)."""
    polls_allowed: Annotated[float, Field(ge=1.0, le=1000.0)] = 10.0
    """How much more often a VEN may poll, on average, before it is answered 429 (B-POL-005)."""
    burst: Annotated[int, Field(ge=5, le=10_000)] = 100
    """Requests of one VEN allowed at once, whatever they are."""
    retry_polls: Annotated[int, Field(ge=1, le=1000)] = 3
    """Polls after which a message that was not acknowledged is offered again (B-POL-004)."""
    offline_after_polls: Annotated[int, Field(ge=2, le=1000)] = 6
    """Polls that a registered VEN may miss before it counts as offline (B-POL-007)."""
    auto_enrol: bool = False
    """Enrol every VEN that has a certificate of a known authority, when it registers (B-REG-016)."""
    strict_registration: bool = False
    """Refuse a VEN that registers anew without naming its registration, instead of giving it a new one (B-REG-009)."""
    signatures: bool = False
    """Expect signed messages, and sign our own, with every VEN (B-SEC-009)."""
    replay_window_s: Annotated[int, Field(ge=5, le=3600)] = 60
    """How far the time of a signature may be off (B-SEC-010)."""
    max_body_bytes: Annotated[int, Field(ge=4096, le=64 * 1024 * 1024)] = 1024 * 1024
    """The largest body (B-TRN-003)."""
    body_s: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Time limit for a body."""
    check_sent: bool = False
    """Check every message that is sent against the schemas, and log those that do not pass (B-GEN-013)."""
    max_report_specifiers: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_report_points: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Reports and, in all of them, data points (rIDs) that one VEN may register."""
    telemetry: bool = True
    """Ask VENs for the telemetry they offer, whether there is an event or not."""
    telemetry_program: Annotated[str, Field(min_length=1, max_length=128)] = "OpenADR 2.0b telemetry"
    """Name of the program of reports that belong to no event; it is made when it is first needed."""
    telemetry_every_s: Annotated[int, Field(ge=1, le=86400)] = 60
    telemetry_back_s: Annotated[int, Field(ge=1, le=86400)] = 300
    """Interval of values, and of reports with them, where no event says otherwise; within what the VEN offers."""
    push: V20bPush | None = None
    """Push to VENs that ask for it; without it they are told to poll."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ip_network(entry)
            except ValueError:
                raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, not {entry!r}") from None
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> V20b:
        if not self.enabled:
            return self
        pairs = {"cert": self.cert, "key": self.key}, {"rsa_cert": self.rsa_cert, "rsa_key": self.rsa_key}
        for pair in pairs:
            missing = [name for name, file in pair.items() if file is None]
            if len(missing) == 1:
                raise ValueError(f"{' and '.join(pair)} belong together: {missing[0]} is missing")
        if self.trusted_proxies:
            return self._behind_proxy()
        if self.cert is None and self.rsa_cert is None:
            raise ValueError("cert and key, or rsa_cert and rsa_key, are missing: VENs are met over TLS only")
        if self.ca is None:
            raise ValueError("ca is missing: VENs prove who they are by certificates of an authority")
        return self

    def _behind_proxy(self) -> V20b:
        if self.push is not None:
            raise ValueError("push needs cert, key and ca of this server, which trusted_proxies leaves to the proxy")
        in_use = {"cert", "rsa_cert"} if self.signatures else set()
        every = ("cert", "rsa_cert", "ca", "crl")
        given = [name for name in every if getattr(self, name) is not None and name not in in_use]
        if given:
            raise ValueError(
                f"{', '.join(given)}: the proxy in trusted_proxies terminates TLS, so these have no effect"
            )
        return self
