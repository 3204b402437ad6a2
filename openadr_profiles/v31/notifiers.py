"""Notifiers: how a VTN can tell of changes, the answer of ``GET /notifiers``.

Unknown keys and members are ignored: VTNs announce ways of their own beside those of the standard (VENCLIENT-029).
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from openadr_profiles.v31.common import Text, Uri, Wire


class MqttAuthentication(Wire, frozen=True, kw_only=True):
    """Describe how clients prove to a broker who they are.

    ``method`` is ANONYMOUS, OAUTH2_BEARER_TOKEN (``username`` is a text, or ``{clientID}`` for the client's id) or
    CERTIFICATE (three PEM texts, of which ``client_key`` is a secret). With ``password`` a broker that knows no tokens
    is given an account of its own (R-45, MQTT-047); without it the password is the access token (MQTT-039).
    """

    method: Text
    username: Text | None = None
    password: str | None = None
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


class OperationTopics(Wire, frozen=True, kw_only=True):
    """The topics of the operations on some objects; some VTNs leave out what a client does not need (MQTT-008).

    ``all`` is a filter for every operation.
    """

    create: Text | None = field(name="CREATE", default=None)
    update: Text | None = field(name="UPDATE", default=None)
    delete: Text | None = field(name="DELETE", default=None)
    all: Text | None = field(name="ALL", default=None)

    @property
    def filters(self) -> tuple[str, ...]:
        """Return what to subscribe to: ``all`` if there is one, else every topic (VENCLIENT-014)."""
        every = (self.all,) if self.all else (self.create, self.update, self.delete)
        return tuple(topic for topic in every if topic)


class NotifierTopics(Wire, frozen=True, kw_only=True):
    """The answer of every endpoint below ``/notifiers/mqtt/topics``."""

    topics: OperationTopics


class Notifiers(Wire, frozen=True, kw_only=True):
    """The ways of telling that a VTN has; every VTN has webhooks."""

    webhook: bool = field(name="WEBHOOK")
    mqtt: MqttNotifier | None = field(name="MQTT", default=None)
    websocket: Any = field(name="WEBSOCKET", default=None)
    """An extension, which other VTNs may announce in another form: see ``websocket_uris``."""

    @property
    def websocket_uris(self) -> tuple[str, ...]:
        """Return the addresses of the VTN's websocket, as ours announces it; none if it has none."""
        found = self.websocket.get("URIS") if isinstance(self.websocket, dict) else None
        return tuple(uri for uri in found if isinstance(uri, str)) if isinstance(found, list) else ()
