"""The description of /notifiers and of the topics of MQTT (M33 … M45)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openadr_profiles.v31.common import ObjectID
from vtn.api.collection import Route
from vtn.api.openapi import Json, Schemas, json_content, problems, security

_URI: Final = Meta(extra_json_schema={"format": "uri"})


class _MqttNotifierAuthenticationAnonymous(msgspec.Struct, tag_field="method", tag="ANONYMOUS"):
    """The broker asks for nothing."""


class _MqttNotifierAuthenticationOauth2BearerToken(msgspec.Struct, tag_field="method", tag="OAUTH2_BEARER_TOKEN"):
    """The password is the access token, or ``password`` if there is one, an extension (MQTT-047).

    The user name may be the text ``{clientID}``: then it is the client's id.
    """

    username: str
    password: str | msgspec.UnsetType = msgspec.UNSET


class _MqttNotifierAuthenticationCertificate(
    msgspec.Struct, tag_field="method", tag="CERTIFICATE", rename="camel", kw_only=True
):
    """The client shows a certificate; all three are PEM."""

    ca_cert: str
    client_cert: str
    client_key: str


class _MqttNotifierBindingObject(msgspec.Struct, kw_only=True):
    """The MQTT broker that notifications are published to."""

    uris: list[Annotated[str, _URI]] = msgspec.field(name="URIS")
    serialization: Literal["JSON"]
    authentication: (
        _MqttNotifierAuthenticationAnonymous
        | _MqttNotifierAuthenticationOauth2BearerToken
        | _MqttNotifierAuthenticationCertificate
    )


class _WebsocketAuthentication(msgspec.Struct, tag_field="method", tag="OAUTH2_BEARER_TOKEN"):
    """An access token, as for every request."""


class _WebsocketNotifier(msgspec.Struct, kw_only=True):
    """The websocket of this server, an extension of ours. The token is sent in the header ``Authorization``."""

    uris: list[Annotated[str, _URI]] = msgspec.field(name="URIS")
    serialization: Literal["JSON"]
    authentication: _WebsocketAuthentication


class _NotifiersResponse(msgspec.Struct, rename="upper", kw_only=True, omit_defaults=True):
    """The ways in which this server tells of changes."""

    webhook: bool
    mqtt: _MqttNotifierBindingObject | msgspec.UnsetType = msgspec.UNSET
    websocket: _WebsocketNotifier


class _NotifierOperationsTopics(msgspec.Struct, rename="upper", kw_only=True):
    """Topics by operation; there is none for the creation of one object. ``ALL`` is a filter for all of them."""

    create: str | msgspec.UnsetType = msgspec.UNSET
    update: str
    delete: str
    all: str | msgspec.UnsetType = msgspec.UNSET


class _NotifierTopicsResponse(msgspec.Struct, kw_only=True):
    """Say where to look for notifications."""

    topics: _NotifierOperationsTopics


_TOPICS: Final = "/notifiers/mqtt/topics"
_NAMES: Final = {
    "/programs": ("Programs", "", "programs; to a VEN, on those without targets"),
    "/programs/{id}": ("Program", "programID", "a program"),
    "/programs/{id}/events": ("ProgramEvents", "programID", "events of a program; to a VEN, on those without targets"),
    "/events": ("Events", "", "events. For business logic"),
    "/reports": ("Reports", "", "reports. For business logic"),
    "/subscriptions": ("Subscriptions", "", "subscriptions. For business logic"),
    "/vens": ("Vens", "", "vens. For business logic"),
    "/resources": ("Resources", "", "resources. For business logic"),
    "/vens/{id}": ("Ven", "venID", "a ven"),
    "/vens/{id}/events": ("VenEvents", "venID", "events with targets that a ven holds"),
    "/vens/{id}/programs": ("VenPrograms", "venID", "programs with targets that a ven holds"),
    "/vens/{id}/resources": ("VenResources", "venID", "resources of a ven"),
}
"""The rest of the standard's name of each operation, its parameter, and what its topics tell of."""


def _notifiers(route: Route, schemas: Schemas) -> tuple[str, Json]:
    success = {"200": {"description": "As asked.", "content": json_content(schemas.of(_NotifiersResponse))}}
    return route.path, {
        "tags": ["notifiers"],
        "operationId": "listAllNotifiers",
        "summary": "List the ways in which this server tells of changes.",
        "security": security(route.permission),
        "responses": success | problems({401, 403, 429, 431, 500, 503}, schemas),
    }


def _topics(route: Route, schemas: Schemas) -> tuple[str, Json]:
    name, parameter, what = _NAMES[route.path.removeprefix(_TOPICS)]
    operation: Json = {
        "tags": ["MQTT_notifier"],
        "operationId": f"listAllMqttNotifierTopics{name}",
        "summary": f"List the topics of MQTT for operations on {what}.",
        "security": security(route.permission),
    }
    if parameter:
        operation["parameters"] = [schemas.parameter(parameter, ObjectID, where="path")]
    success = {"200": {"description": "As asked.", "content": json_content(schemas.of(_NotifierTopicsResponse))}}
    operation["responses"] = success | problems({400, 401, 403, 404, 429, 431, 500, 503}, schemas)
    return route.path.replace("{id}", f"{{{parameter}}}"), operation


DESCRIBED: Final[dict[tuple[str, str], Callable[[Route, Schemas], tuple[str, Any]]]] = {
    ("GET", "/notifiers"): _notifiers,
    **{("GET", _TOPICS + path): _topics for path in _NAMES},
}
"""Routes of notifiers, with what describes each: its path and its operation."""
