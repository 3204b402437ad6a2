"""Request bodies, plain ones and complete ones. Every function returns a fresh dictionary; members override.

A plain body is one that no VTN has a reason to refuse: every required member, no empty list, an event with a start, a
duration and one interval, a report with one measured value. Checks that ask whether something odd is accepted make
their own bodies, so that a VTN which refuses the odd one is still asked everything else.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from oadr_conformance.moments import from_now
from oadr_conformance.wire import Obj

COLLECTIONS: Final = {
    "program": "/programs",
    "event": "/events",
    "report": "/reports",
    "subscription": "/subscriptions",
    "ven": "/vens",
    "resource": "/resources",
}
"""Kind of object -> path of its collection."""

_numbers: Final = count()

NOBODYS_ID: Final = "00000000-0000-4000-8000-00000000dead"
"""A well-formed id that no object has."""


def program(name: str, **members: Any) -> Obj:
    """Return a program with nothing but its name."""
    return {"programName": name, **members}


def interval(number: int = 0, value: object = 0.17, type_: str = "PRICE", **members: Any) -> Obj:
    """Return an interval with one payload of one value."""
    return {"id": number, "payloads": [{"type": type_, "values": [value]}], **members}


def period(**members: Any) -> Obj:
    """Return an hour from tomorrow, each a second later than the one before, so that no two events are the same."""
    return {"start": from_now(days=1, seconds=next(_numbers)), "duration": "PT1H", **members}


def event(program_id: str, **members: Any) -> Obj:
    """Return an event of one hour with one price interval."""
    return {"programID": program_id, "intervalPeriod": period(), "intervals": [interval()], **members}


def reported(name: str = "heat pump", **members: Any) -> Obj:
    """Return one entry of a report's resources: one measured value."""
    return {"resourceName": name, "intervals": [interval(0, 2.5, "USAGE", intervalPeriod=period())], **members}


def report(event_id: str, **members: Any) -> Obj:
    """Return a report with one measured value of one resource."""
    return {"eventID": event_id, "clientName": "conformance", "resources": [reported()], **members}


def operation(url: str, **members: Any) -> Obj:
    """Return an entry of objectOperations: changes of events, which few checks make, so that hardly a call is made."""
    return {"objects": ["EVENT"], "operations": ["UPDATE"], "callbackUrl": url, **members}


def subscription(client_name: str, callback_url: str = "", **members: Any) -> Obj:
    """Return a subscription with one entry; without a URL that the VTN can call, one that has no entry."""
    entries = [operation(callback_url)] if callback_url else []
    return {"clientName": client_name, "objectOperations": entries, **members}


def bl_ven(client_id: str, name: str, **members: Any) -> Obj:
    """Return a ven as business logic creates it."""
    return {"objectType": "BL_VEN_REQUEST", "clientID": client_id, "venName": name, **members}


def ven_ven(name: str, **members: Any) -> Obj:
    """Return a ven as the VEN registers it."""
    return {"objectType": "VEN_VEN_REQUEST", "venName": name, **members}


def bl_resource(client_id: str, ven_id: str, name: str, **members: Any) -> Obj:
    """Return a resource as business logic creates it."""
    return {
        "objectType": "BL_RESOURCE_REQUEST",
        "clientID": client_id,
        "venID": ven_id,
        "resourceName": name,
        **members,
    }


def ven_resource(ven_id: str, name: str, **members: Any) -> Obj:
    """Return a resource as the VEN registers it."""
    return {"objectType": "VEN_RESOURCE_REQUEST", "venID": ven_id, "resourceName": name, **members}


EVENT_DESCRIPTOR: Final = {
    "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
    "payloadType": "PRICE",
    "units": "KWH",
    "currency": "USD",
}
REPORT_DESCRIPTOR: Final = {
    "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
    "payloadType": "USAGE",
    "readingType": "DIRECT_READ",
    "units": "KWH",
    "accuracy": 0.5,
    "confidence": 90,
}
PERIOD: Final = {"start": "2030-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT5M"}
ATTRIBUTE: Final = {"type": "DESCRIPTION", "values": ["first floor"]}
REPORT_REQUEST: Final = {
    "payloadType": "USAGE",
    "readingType": "DIRECT_READ",
    "units": "KWH",
    "targets": ["group-a"],
    "aggregate": True,
    "startInterval": 1,
    "numIntervals": 2,
    "historical": False,
    "frequency": 3,
    "repeat": 4,
    "reportIntervals": "SUB_INTERVALS",
}
