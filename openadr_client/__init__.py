"""A client of VTNs of OpenADR 3.1 or 3.0.1, for VENs, business logic and scripts; `docs/client.md` has its rules.

    from openadr_client import VtnClient

    async with VtnClient(base_url="https://vtn.example/openadr3/3.1.0", client_id="bl-1", client_secret="…") as vtn:
        for event in await vtn.events.search(active=True):
            print(event.event_name)

A name is imported when it is first used, so that a program loads only the libraries of what it uses: aiohttp with the
first `VtnClient` that is opened, aiomqtt with `MqttLink`, zeroconf with `discover`. The objects themselves (`Event`,
`ReportRequest`, …) are in `openadr_profiles.v31`.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from openadr_client.backoff import NO_RETRY, Backoff, Retry
    from openadr_client.client import VtnClient
    from openadr_client.clock import Clock, ManualClock, ScaledClock, SystemClock
    from openadr_client.discovery import FoundVtn, discover
    from openadr_client.errors import (
        AnswerTooLarge,
        BadCertificateFile,
        BrokerError,
        BrokerRefused,
        BrokerUnreachable,
        BrokerUntrusted,
        ClientError,
        Conflict,
        Forbidden,
        InvalidRequest,
        LibraryMissing,
        NotFound,
        NotSent,
        NoWay,
        Refused,
        TemporarilyUnavailable,
        Unauthorized,
        Unconfirmed,
        UnexpectedAnswer,
        Unreachable,
        UnreadableNotification,
        UntrustedServer,
        VtnError,
    )
    from openadr_client.handlers import HandlerVen
    from openadr_client.helpers import (
        EventValue,
        Reading,
        attributes,
        event_request,
        event_values,
        find_or_create_program,
        put_report,
        readings,
        report_request,
        wait_for_reports,
    )
    from openadr_client.hints import Hints
    from openadr_client.mqtt import MqttLink, Received
    from openadr_client.mqtt_bounded import BoundedClient, BoundedConnector, RetainedMessage, first_end
    from openadr_client.mqtt_connection import stop_if_cancelled
    from openadr_client.mqtt_prefix import TopicPrefix
    from openadr_client.mqtt_receiver import MqttReceiver
    from openadr_client.notifications import ReadAgain, ReceivedNotification, Receiver, Tell, Way, read_notification
    from openadr_client.objects import NOT_MODIFIED, Broken, Found, NotModified
    from openadr_client.polling import EventChanges, compare_events, is_newer
    from openadr_client.pooled_transport import PooledTransport
    from openadr_client.push import VEN_OBJECTS, PushReceiver, listen
    from openadr_client.registration import Registration, register_resource, register_ven
    from openadr_client.report_sender import KeptReport, PendingReports, ReportOutbox
    from openadr_client.settings import (
        BrokerSettings,
        ClientAuthentication,
        ConnectionSettings,
        PushSettings,
    )
    from openadr_client.short_transport import ShortTransport
    from openadr_client.tokens import AccessToken
    from openadr_client.topics import Topics
    from openadr_client.webhook_receiver import CallbackApplication, WebhookReceiver
    from openadr_client.websocket_receiver import WebsocketReceiver

__all__ = [
    "NOT_MODIFIED",
    "NO_RETRY",
    "VEN_OBJECTS",
    "AccessToken",
    "AnswerTooLarge",
    "Backoff",
    "BadCertificateFile",
    "BoundedClient",
    "BoundedConnector",
    "Broken",
    "BrokerError",
    "BrokerRefused",
    "BrokerSettings",
    "BrokerUnreachable",
    "BrokerUntrusted",
    "CallbackApplication",
    "ClientAuthentication",
    "ConnectionSettings",
    "ClientError",
    "Clock",
    "Conflict",
    "EventChanges",
    "EventValue",
    "Forbidden",
    "Found",
    "FoundVtn",
    "HandlerVen",
    "Hints",
    "InvalidRequest",
    "KeptReport",
    "LibraryMissing",
    "ManualClock",
    "MqttLink",
    "MqttReceiver",
    "NoWay",
    "NotFound",
    "NotModified",
    "NotSent",
    "PooledTransport",
    "PushReceiver",
    "PushSettings",
    "ReadAgain",
    "Reading",
    "Received",
    "ReceivedNotification",
    "Receiver",
    "Refused",
    "Registration",
    "PendingReports",
    "ReportOutbox",
    "RetainedMessage",
    "Retry",
    "ScaledClock",
    "ShortTransport",
    "SystemClock",
    "Tell",
    "TemporarilyUnavailable",
    "TopicPrefix",
    "Topics",
    "Unauthorized",
    "Unconfirmed",
    "UnexpectedAnswer",
    "Unreachable",
    "UnreadableNotification",
    "UntrustedServer",
    "VtnClient",
    "VtnError",
    "Way",
    "WebhookReceiver",
    "WebsocketReceiver",
    "attributes",
    "compare_events",
    "discover",
    "event_request",
    "event_values",
    "find_or_create_program",
    "first_end",
    "is_newer",
    "listen",
    "put_report",
    "read_notification",
    "readings",
    "register_resource",
    "register_ven",
    "report_request",
    "stop_if_cancelled",
    "wait_for_reports",
]

_MODULES: typing.Final = {
    "Backoff": "backoff",
    "NO_RETRY": "backoff",
    "Retry": "backoff",
    "VtnClient": "client",
    "Clock": "clock",
    "ManualClock": "clock",
    "ScaledClock": "clock",
    "SystemClock": "clock",
    "FoundVtn": "discovery",
    "discover": "discovery",
    "AnswerTooLarge": "errors",
    "BadCertificateFile": "errors",
    "BrokerError": "errors",
    "BrokerRefused": "errors",
    "BrokerUnreachable": "errors",
    "BrokerUntrusted": "errors",
    "ClientError": "errors",
    "Conflict": "errors",
    "Forbidden": "errors",
    "InvalidRequest": "errors",
    "LibraryMissing": "errors",
    "NotFound": "errors",
    "NotSent": "errors",
    "Refused": "errors",
    "TemporarilyUnavailable": "errors",
    "Unauthorized": "errors",
    "Unconfirmed": "errors",
    "UnexpectedAnswer": "errors",
    "Unreachable": "errors",
    "UntrustedServer": "errors",
    "VtnError": "errors",
    "NoWay": "errors",
    "UnreadableNotification": "errors",
    "HandlerVen": "handlers",
    "EventValue": "helpers",
    "Reading": "helpers",
    "attributes": "helpers",
    "event_request": "helpers",
    "event_values": "helpers",
    "find_or_create_program": "helpers",
    "put_report": "helpers",
    "readings": "helpers",
    "report_request": "helpers",
    "wait_for_reports": "helpers",
    "Hints": "hints",
    "MqttLink": "mqtt",
    "Received": "mqtt",
    "stop_if_cancelled": "mqtt_connection",
    "TopicPrefix": "mqtt_prefix",
    "BoundedClient": "mqtt_bounded",
    "BoundedConnector": "mqtt_bounded",
    "RetainedMessage": "mqtt_bounded",
    "first_end": "mqtt_bounded",
    "MqttReceiver": "mqtt_receiver",
    "ReadAgain": "notifications",
    "ReceivedNotification": "notifications",
    "Receiver": "notifications",
    "Tell": "notifications",
    "Way": "notifications",
    "read_notification": "notifications",
    "Broken": "objects",
    "Found": "objects",
    "NOT_MODIFIED": "objects",
    "NotModified": "objects",
    "EventChanges": "polling",
    "compare_events": "polling",
    "is_newer": "polling",
    "PooledTransport": "pooled_transport",
    "PushReceiver": "push",
    "VEN_OBJECTS": "push",
    "listen": "push",
    "Registration": "registration",
    "register_resource": "registration",
    "register_ven": "registration",
    "KeptReport": "report_sender",
    "PendingReports": "report_sender",
    "ReportOutbox": "report_sender",
    "BrokerSettings": "settings",
    "ClientAuthentication": "settings",
    "ConnectionSettings": "settings",
    "PushSettings": "settings",
    "ShortTransport": "short_transport",
    "AccessToken": "tokens",
    "Topics": "topics",
    "CallbackApplication": "webhook_receiver",
    "WebhookReceiver": "webhook_receiver",
    "WebsocketReceiver": "websocket_receiver",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module; after that it is found without this function."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not importlib.import_module, which `python -X importtime` does not see.
    value = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    globals()[name] = value
    return typing.cast(object, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
