"""A client of OpenADR 3.1 VTNs, for VENs, for business logic and for scripts; `docs/client.md` has its rules.

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
        Refused,
        TemporarilyUnavailable,
        Unauthorized,
        Unconfirmed,
        UnexpectedAnswer,
        Unreachable,
        UntrustedServer,
        VtnError,
    )
    from openadr_client.handlers import HandlerVen
    from openadr_client.helpers import (
        Reading,
        attributes,
        event_request,
        find_or_create_program,
        put_report,
        readings,
        report_request,
        wait_for_reports,
    )
    from openadr_client.mqtt import MqttLink, Received, stop_if_cancelled
    from openadr_client.objects import NOT_MODIFIED, Broken, Found, NotModified
    from openadr_client.polling import EventChanges, compare_events, is_newer
    from openadr_client.pooled_transport import PooledTransport
    from openadr_client.registration import register_resource, register_ven
    from openadr_client.report_sender import KeptReport, PendingReports, send_reports
    from openadr_client.settings import BrokerSettings, ClientAuthentication, ConnectionSettings, web_address
    from openadr_client.short_transport import ShortTransport

__all__ = [
    "NOT_MODIFIED",
    "NO_RETRY",
    "AnswerTooLarge",
    "Backoff",
    "BadCertificateFile",
    "Broken",
    "BrokerError",
    "BrokerRefused",
    "BrokerSettings",
    "BrokerUnreachable",
    "BrokerUntrusted",
    "ClientAuthentication",
    "ConnectionSettings",
    "ClientError",
    "Clock",
    "Conflict",
    "EventChanges",
    "Forbidden",
    "Found",
    "FoundVtn",
    "HandlerVen",
    "InvalidRequest",
    "KeptReport",
    "LibraryMissing",
    "ManualClock",
    "MqttLink",
    "NotFound",
    "NotModified",
    "NotSent",
    "PooledTransport",
    "Reading",
    "Received",
    "Refused",
    "PendingReports",
    "Retry",
    "ScaledClock",
    "ShortTransport",
    "SystemClock",
    "TemporarilyUnavailable",
    "Unauthorized",
    "Unconfirmed",
    "UnexpectedAnswer",
    "Unreachable",
    "UntrustedServer",
    "VtnClient",
    "VtnError",
    "attributes",
    "compare_events",
    "discover",
    "event_request",
    "find_or_create_program",
    "is_newer",
    "put_report",
    "readings",
    "register_resource",
    "register_ven",
    "report_request",
    "send_reports",
    "stop_if_cancelled",
    "wait_for_reports",
    "web_address",
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
    "HandlerVen": "handlers",
    "Reading": "helpers",
    "attributes": "helpers",
    "event_request": "helpers",
    "find_or_create_program": "helpers",
    "put_report": "helpers",
    "readings": "helpers",
    "report_request": "helpers",
    "wait_for_reports": "helpers",
    "MqttLink": "mqtt",
    "Received": "mqtt",
    "stop_if_cancelled": "mqtt",
    "Broken": "objects",
    "Found": "objects",
    "NOT_MODIFIED": "objects",
    "NotModified": "objects",
    "EventChanges": "polling",
    "compare_events": "polling",
    "is_newer": "polling",
    "PooledTransport": "pooled_transport",
    "register_resource": "registration",
    "register_ven": "registration",
    "KeptReport": "report_sender",
    "PendingReports": "report_sender",
    "send_reports": "report_sender",
    "BrokerSettings": "settings",
    "ClientAuthentication": "settings",
    "ConnectionSettings": "settings",
    "web_address": "settings",
    "ShortTransport": "short_transport",
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
