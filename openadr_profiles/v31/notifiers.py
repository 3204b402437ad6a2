"""Notifiers: how a VTN can tell of changes, the answer of ``GET /notifiers``.

Unknown keys and members are ignored: VTNs announce ways of their own beside those of the standard (VENCLIENT-029).
"""

from __future__ import annotations

from msgspec import field

from openadr_profiles.v31.common import Text, Uri, Wire


class MqttAuthentication(Wire, frozen=True, kw_only=True):
    """Describe how clients prove to a broker who they are.

    ``method`` is ANONYMOUS, OAUTH2_BEARER_TOKEN (``username`` is a text, or ``{clientID}`` for the client's id) or
    CERTIFICATE (three PEM texts, of which ``client_key`` is a secret).
    """

    method: Text
    username: Text | None = None
    ca_cert: str | None = field(name="caCert", default=None)
    client_cert: str | None = field(name="clientCert", default=None)
    client_key: str | None = field(name="clientKey", default=None)

    def __repr__(self) -> str:
        return f"MqttAuthentication(method={self.method!r}, username={self.username!r})"


class MqttNotifier(Wire, frozen=True, kw_only=True):
    """A broker that the VTN publishes to."""

    uris: tuple[Uri, ...] = field(name="URIS")
    serialization: Text
    authentication: MqttAuthentication


class Notifiers(Wire, frozen=True, kw_only=True):
    """The ways of telling that a VTN has; every VTN has webhooks."""

    webhook: bool = field(name="WEBHOOK")
    mqtt: MqttNotifier | None = field(name="MQTT", default=None)
