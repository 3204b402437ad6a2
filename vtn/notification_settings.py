"""Settings of notifications: callback URLs, the MQTT broker, deliveries and websockets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from vtn.settings_group import SettingsGroup, is_loopback

_TOPIC_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9._~-]+/)*")


class Webhook(SettingsGroup):
    """Rules for the callback URLs of subscriptions, and their verification (requirements 0.2, WEBHOOK)."""

    require_https: bool = True
    """Refuse http. Off for tests only."""
    verify_echo: bool = True
    """Store a subscription only after each of its URLs has sent back a random value."""
    allow_private_addresses: bool = False
    """Call loopback, private and link-local addresses too. For tests; ``allowed`` opens single ones."""
    allowed: tuple[str, ...] = ()
    """Host names, addresses and networks (``10.1.0.0/16``) that may be called although they are private."""
    denied_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (
        *(21, 22, 23, 25, 53, 110, 143, 389, 445, 465, 587, 636, 1433, 1521, 1883, 2049, 2375, 2376, 2379),
        *(3306, 3389, 5432, 5672, 5900, 6379, 8883, 9042, 9200, 11211, 27017),
    )
    """Ports of services that must not be reached through a callback URL."""
    max_urls: Annotated[int, Field(ge=1, le=64)] = 20
    """Different callback URLs in one subscription."""
    timeout_s: Annotated[float, Field(ge=1, le=30)] = 10.0
    """Time limit for the answer of a callback."""
    ca_file: Path | None = None
    """Additional certificate authorities for receivers' certificates, as PEM (WEBHOOK-028)."""
    signing_key_file: Path | None = None
    """A file with a key, 32 bytes in base64: notifications are signed (Standard Webhooks), with a secret for each
    client that is made of the key and the client's id."""


class MqttAccess(SettingsGroup):
    """Say who may read what at the broker, and how clients prove who they are, as ``/notifiers`` tells (MQTT-004)."""

    method: Literal["OAUTH2_BEARER_TOKEN", "ACCOUNT", "CERTIFICATE", "ANONYMOUS"] = "OAUTH2_BEARER_TOKEN"
    """OAUTH2_BEARER_TOKEN: the access token is the password (MQTT-039). ACCOUNT: each client is told a user name and a
    password of its own (MQTT-047). CERTIFICATE: each is given a client certificate. ANONYMOUS: everybody reads
    everything."""
    username: Annotated[str, Field(min_length=1, max_length=1000)] = "{clientID}"
    """The user name that goes with a token: the client's id, or another text for all of them."""
    dynamic_security: bool = False
    """Make accounts and roles at a Mosquitto with its dynamic-security plugin, for ACCOUNT and CERTIFICATE. Needs the
    extra ``mqtt``."""
    admin_user: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The account that may command the plugin; by default ``mqtt.user``."""
    admin_password: SecretStr | None = None
    callbacks: bool = False
    """Serve ``/broker/…``, where a broker asks who may connect and who may do what, for OAUTH2_BEARER_TOKEN and
    ACCOUNT."""
    callback_secret: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Secret that a broker shows with each question; without it only a broker on this host may ask."""
    client_ca_cert: Path | None = None
    """For CERTIFICATE: the authority of clients' certificates, PEM, which the broker trusts."""
    client_ca_key: Path | None = None
    """Its private key, PEM."""
    certificate_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Lifetime of clients' certificates; each answer of ``/notifiers`` has a new one."""

    @model_validator(mode="after")
    def _fits_the_method(self) -> MqttAccess:
        method = self.method
        if self.dynamic_security and method not in {"ACCOUNT", "CERTIFICATE"}:
            raise ValueError("dynamic_security knows passwords and certificates, no tokens: set method to ACCOUNT")
        if self.callbacks and method not in {"OAUTH2_BEARER_TOKEN", "ACCOUNT"}:
            raise ValueError("callbacks are for the methods OAUTH2_BEARER_TOKEN and ACCOUNT")
        if self.callbacks and self.dynamic_security:
            raise ValueError("callbacks and dynamic_security exclude each other: a broker has one of them")
        if self.callbacks and self.username != "{clientID}":
            raise ValueError("callbacks need the username {clientID}: later the broker asks by user name only")
        if method == "ACCOUNT" and not (self.callbacks or self.dynamic_security):
            raise ValueError("method ACCOUNT needs dynamic_security or callbacks: no broker would know the accounts")
        if method == "CERTIFICATE" and not (self.dynamic_security and self.client_ca_cert and self.client_ca_key):
            raise ValueError("method CERTIFICATE needs dynamic_security, client_ca_cert and client_ca_key")
        if (self.admin_user is None) != (self.admin_password is None):
            raise ValueError("admin_user and admin_password belong together")
        self._refuse_what_has_no_effect()
        return self

    def _refuse_what_has_no_effect(self) -> None:
        """Raise ValueError for what is given and would have no effect: somebody relies on it."""
        if self.admin_user is not None and not self.dynamic_security:
            raise ValueError("admin_user and admin_password are for dynamic_security, which is off")
        if self.callback_secret is not None and not self.callbacks:
            raise ValueError("callback_secret is for callbacks, which are off")
        if (self.client_ca_cert or self.client_ca_key) and self.method != "CERTIFICATE":
            raise ValueError(f"client_ca_cert and client_ca_key are for the method CERTIFICATE, not {self.method}")


class Mqtt(SettingsGroup):
    """The MQTT broker that notifications are published to (MQTT-001 … MQTT-037)."""

    url: str
    """``mqtt://host:1883`` or ``mqtts://host:8883``: where this server reaches the broker."""
    public_urls: tuple[str, ...] = ()
    """URLs that clients are told, if they are not ``url``: ``mqtts``, ``mqtt``, ``wss`` or ``ws`` (MQTT-003)."""
    insecure: bool = False
    """Let anybody's messages and passwords cross a network without TLS. For tests and closed networks (R-37)."""
    user: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The account of this server at the broker; it publishes, so it needs the right to."""
    password: SecretStr | None = None
    ca_file: Path | None = None
    """Additional certificate authorities for the broker's certificate, as PEM."""
    cert: Path | None = None
    """The certificate chain that this server shows to the broker, PEM."""
    key: Path | None = None
    """Its private key, PEM."""
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] = "openadr-vtn"
    """The beginning of the name of its connection; each process adds something of its own."""
    prefix: Annotated[str, Field(max_length=200)] = "openadr3/"
    """The beginning of every topic; empty, or words with a / after each."""
    retain: bool = False
    """Let the broker keep the last message of each topic for whoever subscribes later (R-35)."""
    object_type: bool = False
    """Write the kind of object as ``object_type`` too, beside ``objectType`` (COMPAT-085)."""
    expiry_s: Annotated[int, Field(ge=0, le=2**32 - 1)] = 3600
    """Time for which a broker of MQTT 5 keeps a message for clients that are away; 0: without limit (MQTT-034)."""
    inflight: Annotated[int, Field(ge=1, le=65535)] = 1000
    """Messages that the broker has not acknowledged yet, at most; a broker of MQTT 5 may ask for fewer."""
    timeout_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """Time limit for connecting, and for the broker's next acknowledgment."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """Interval of signs of life to the broker."""
    access: MqttAccess = MqttAccess()

    @field_validator("url")
    @classmethod
    def _of_the_broker(cls, value: str) -> str:
        return _broker_url(value, {"mqtt": 1883, "mqtts": 8883})

    @field_validator("public_urls")
    @classmethod
    def _for_clients(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_broker_url(url, {"mqtts": None, "mqtt": None, "wss": None, "ws": None}) for url in urls)

    @field_validator("prefix")
    @classmethod
    def _of_topics(cls, value: str) -> str:
        if not _TOPIC_PREFIX.fullmatch(value):
            raise ValueError(f"expected words with a / after each, such as openadr3/, not {value!r}")
        return value

    @model_validator(mode="after")
    def _protected(self) -> Mqtt:
        if self.password is not None and self.user is None:
            raise ValueError("password is given without user")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")
        if not self.is_encrypted and (self.cert or self.ca_file):
            raise ValueError("ca_file, cert and key are for mqtts")
        if self.access.dynamic_security and (self.access.admin_user or self.user) is None:
            raise ValueError("access.dynamic_security needs access.admin_user, or user with the right to command it")
        if self.access.callbacks and (self.user is None or self.password is None):
            raise ValueError("access.callbacks needs user and password: the broker asks this server about itself, too")
        if self.access.method == "CERTIFICATE" and self.ca_file is None:
            raise ValueError("access.method CERTIFICATE needs ca_file: clients are told the broker's authority")
        for url in () if self.insecure else (self.url, *self.public_urls):
            parts = urlsplit(url)
            if parts.scheme in {"mqtt", "ws"} and not is_loopback(parts.hostname or ""):
                raise ValueError(f"{url} is without TLS: use mqtts or wss, or say insecure in a test or closed network")
        return self

    @property
    def is_encrypted(self) -> bool:
        """Return True if this server speaks TLS with the broker."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port of the broker."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    @property
    def uris(self) -> tuple[str, ...]:
        """Return the URLs that clients are told."""
        return self.public_urls or (self.url,)


class Notify(SettingsGroup):
    """Deliveries of notifications: retries, endpoints that do not answer, and what is kept."""

    dispatch: bool = True
    """Make deliveries in the processes of this server; off: `oadr vtn dispatch` makes them."""
    endpoints_at_once: Annotated[int, Field(ge=4, le=4096)] = 128
    """Endpoints that a process delivers to at the same time; a quarter of them to those whose last attempt failed, and
    at most a quarter to those of one client at first."""
    lease_s: Annotated[float, Field(ge=1, le=600)] = 30.0
    """Time after which another process goes on with the deliveries of one that was killed."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    """Attempts at one notification before it is a dead letter; a receiver that cannot be reached at all is not one."""
    first_retry_s: Annotated[float, Field(gt=0, le=300)] = 1.0
    """Pause after a failed attempt; it doubles with each further one, up to ``longest_retry_s``."""
    longest_retry_s: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """The longest pause; what a receiver asks for (`Retry-After`) is at most this, too."""
    broken_after: Annotated[int, Field(ge=1, le=1000)] = 20
    """Failed attempts in a row after which an endpoint is broken: a warning is logged, and it is only probed."""
    probe_s: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Interval of attempts at a broken endpoint."""
    pending_hours: Annotated[float, Field(gt=0, le=8760)] = 72.0
    """Time after which a notification that could not be delivered to a webhook is a dead letter."""
    broker_pending_hours: Annotated[float, Field(gt=0, le=8760)] = 24.0
    """Time after which a notification that could not be published over MQTT is dropped (MQTT-036)."""
    keep_delivered_hours: Annotated[float, Field(ge=0, le=8760)] = 24.0
    """Time for which deliveries that were made are kept, to be looked at."""
    keep_changes_hours: Annotated[float, Field(ge=0, le=8760)] = 24.0
    """Time for which changes are kept for websockets that come back."""
    keep_dead_days: Annotated[float, Field(ge=0, le=3650)] = 30.0
    """Time for which dead letters are kept, to be made again."""


class Websocket(SettingsGroup):
    """Websockets that tell clients of changes: ``/notifiers/ws``, an extension of ours."""

    max_clients: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Websockets that a process has at once; more are answered 503. They count as connections, too."""
    max_per_client: Annotated[int, Field(ge=1, le=100_000)] = 20
    """The same for one client; more are answered 429."""
    heartbeat_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Interval of messages that say that the server is there."""
    resume_s: Annotated[int, Field(ge=60, le=86_400)] = 900
    """Time for which a client may be away and be told afterwards what it missed."""
    waiting_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Messages that may wait for a client that reads slowly; if more do at its next one, its connection is closed."""
    all_waiting_bytes: Annotated[int, Field(ge=1024 * 1024)] = 32 * 1024 * 1024
    """The same for all clients of a process together: the slowest are closed first."""


def _broker_url(text: str, ports: Mapping[str, int | None]) -> str:
    """Return the URL of a broker, with the port if its scheme has a usual one; raises ValueError if it is none."""
    example = f"expected a URL such as {next(iter(ports))}://broker.example"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(example) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected no user name or password in the URL: user and password are for them")
    is_websocket = parts.scheme in {"ws", "wss"}
    if parts.scheme not in ports or not host or parts.query or parts.fragment:
        raise ValueError(f"{example}, not {text!r}")
    if parts.path.strip("/") and not is_websocket:
        raise ValueError(f"{example}, without a path, not {text!r}")
    usual = ports[parts.scheme]
    if port is not None or usual is None:
        return text if is_websocket else text.rstrip("/")
    return f"{parts.scheme}://{parts.netloc.rstrip(':')}:{usual}"
