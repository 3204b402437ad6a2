"""Settings of connections, for programs that read them from flags, the environment and files. No I/O."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from openadr_profiles.addresses import web_address

if TYPE_CHECKING:
    from openadr_client.client import VtnClient
    from openadr_client.tls import NamedContext

ApiVersion: TypeAlias = Literal["3.1", "3.0.1"]
"""A version of OpenADR 3 with a shape of its own on the wire."""

ClientAuthentication: TypeAlias = Literal["form", "basic"]
"""The way a client sends its id and secret to a token server."""

MqttProtocol: TypeAlias = Literal["auto", "5", "3.1.1"]
"""The version of MQTT that a connection speaks; ``auto`` is 5, or 3.1.1 where a broker does not know 5."""

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class ConnectionSettings(BaseModel):
    """The address of a VTN and our credentials there; a program derives its own settings from them.

    ``url`` is the API's root with its version, as in ``https://vtn.example/openadr3/3.1.0``. ``version`` is 3.1 or
    3.0.1, for a VTN that speaks another one than its URL names; a URL without any is taken for 3.1. Without
    ``client_id`` and ``client_secret`` requests go out without a token. ``token_url`` is asked for tokens instead of
    what the VTN names; ``scope`` (words with blanks between) and ``audience`` are sent to it if given.
    ``client_authentication`` is ``form``, or ``basic`` for a token server that takes the id and secret in the
    Authorization header only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    version: ApiVersion | None = None
    client_id: str | None = Field(default=None, min_length=1)
    client_secret: SecretStr | None = None
    token_url: str | None = None
    scope: str | None = None
    audience: str | None = None
    client_authentication: ClientAuthentication = "form"
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @field_validator("url", "token_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        return url if url is None else web_address(url)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            missing = "client_id" if self.client_id is None else "client_secret"
            raise ValueError(f"client_id and client_secret belong together: {missing} is missing")
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        return self

    def client_with(self, **more: Any) -> VtnClient:
        """Return a client for this connection, with more arguments of `VtnClient`; raises BadCertificateFile."""
        from openadr_client.client import VtnClient  # noqa: PLC0415 # settings are also read where nothing connects

        return VtnClient(
            base_url=self.url,
            version=self.version,
            client_id=self.client_id,
            client_secret=self.client_secret,
            token_url=self.token_url,
            scope=self.scope,
            audience=self.audience,
            client_authentication=self.client_authentication,
            ca_file=self.ca_file,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            **more,
        )


_OF_WEBHOOKS: Final = ("listen_host", "listen_port", "certificate", "key", "signing_secret")

PushMode: TypeAlias = Literal["auto", "off", "mqtt", "websocket", "webhook"]
"""The way of being told of changes, ``auto`` for the first that the VTN offers and that works."""


class PushSettings(BaseModel):
    """Say how to be told of changes instead of only asking now and then (VENCLIENT-013); asking goes on beside it.

    ``auto`` takes MQTT if the VTN has it, else a webhook if ``callback_url`` is set, else the VTN's websocket.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    mode: PushMode = "auto"
    spread_s: Annotated[float, Field(ge=0, le=600)] = 0.5
    """Longest wait before reading after a hint, drawn at random each time: a fleet does not ask all at once."""
    allow_plain_mqtt: bool = False
    """Use a broker without TLS also if the VTN itself is reached over TLS (VENCLIENT-024)."""
    broker_ca_file: Path | None = None
    """CA certificates (PEM) to trust for the broker, besides those that are trusted for the VTN."""
    callback_url: str | None = None
    """The address at which the VTN reaches our webhook receiver, as ``https://home.example/openadr``."""
    listen_host: str = "127.0.0.1"
    """Address that the receiver listens on: 127.0.0.1 behind a proxy that has the certificate."""
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 8443
    """0 takes a free port."""
    certificate: Path | None = None
    key: Path | None = None
    """Certificate and key (PEM) of the receiver; without them it speaks HTTP, for a proxy before it."""
    signing_secret: SecretStr | None = None
    """The secret with which the VTN signs what it sends us; without it signatures are not looked at."""

    @field_validator("callback_url")
    @classmethod
    def _callback(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(web_address(url))
        if parts.query or parts.fragment:
            raise ValueError("expected no query and no fragment in the callback URL")
        return url

    @field_validator("signing_secret")
    @classmethod
    def _signing(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            from openadr_client.signatures import signing_key  # noqa: PLC0415 # few have one

            signing_key(secret.get_secret_value())
        return secret

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "webhook" and self.callback_url is None:
            raise ValueError("mode webhook needs callback_url, the address at which the VTN reaches us")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        given = [name for name in _OF_WEBHOOKS if getattr(self, name) != type(self).model_fields[name].default]
        if given and self.callback_url is None:
            raise ValueError(f"{', '.join(given)} are for webhooks: give callback_url too, or none of them")
        return self


class BrokerSettings(BaseModel):
    """The address of an MQTT broker, who we are to it, and how patient we are. Seconds are real ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    url: str = "mqtt://127.0.0.1:1883"
    """``mqtt://host:port``, or ``mqtts://host:port`` for TLS."""
    username: str | None = None
    password: SecretStr | None = None
    client_id: Annotated[str, Field(min_length=1, max_length=128)]
    """Fixed: the broker keeps messages for it while we are away. Two clients with one id throw each other out."""
    ca_file: Path | None = None
    """CA certificates (PEM) to trust instead of those of the system."""
    client_certificate: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None
    """The name to ask for (SNI) and to verify in the broker's certificate, if it is not the host of the URL."""
    alpn: tuple[Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")], ...] = ()
    """Protocols to offer in the TLS handshake (ALPN), as ``x-amzn-mqtt-ca`` for AWS IoT Core on port 443."""
    protocol: MqttProtocol = "auto"
    """The version of MQTT; ``auto`` speaks 5, and 3.1.1 to a broker that does not know it."""
    session_expiry_s: Annotated[int, Field(ge=0, le=4_294_967_295)] = 604_800
    """How long the broker keeps messages for us while we are away (MQTT 5; for 3.1.1 the broker has its own limit)."""
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 500
    """Messages that the broker sends before the first is stored (MQTT 5; 3.1.1 brokers have their own limit)."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 60
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    reconnect_least_s: Annotated[float, Field(gt=0)] = 0.5
    reconnect_most_s: Annotated[float, Field(gt=0)] = 30.0
    inflight: Annotated[int, Field(ge=1, le=65_535)] = 100
    """Publishes on their way at the same time."""
    queue: Annotated[int, Field(ge=1)] = 10_000
    """QoS 0 messages kept while they cannot be stored, at most 32 MiB of them. The broker limits unconfirmed QoS 1."""

    @field_validator("url")
    @classmethod
    def _mqtt(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.username or parts.path.strip("/"):
            raise ValueError("expected mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS")
        return value

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key belong together: give both or neither")
        if self.password is not None and self.username is None:
            raise ValueError("password is given without username")
        for name in ("ca_file", "client_certificate", "server_name", "alpn"):
            if not self.tls and getattr(self, name):
                raise ValueError(f"{name} is for TLS: use an mqtts:// URL")
        return self

    @property
    def tls(self) -> bool:
        """Return True if the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    def tls_context(self) -> NamedContext | None:
        """Return the TLS context for this broker, or None without TLS; raises BadCertificateFile."""
        if not self.tls:
            return None
        from openadr_client.tls import broker_context  # noqa: PLC0415 # settings are also read where nothing connects

        return broker_context(
            ca_file=self.ca_file,
            certificate=self.client_certificate,
            key=self.client_key,
            server_name=self.server_name,
            alpn=self.alpn,
        )

    @property
    def host(self) -> str:
        """Return the host of the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port of the URL, or the usual one."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]
