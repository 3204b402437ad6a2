"""Request bodies, small ones and complete ones. Every function returns a fresh dictionary; members override."""

from __future__ import annotations

from typing import Any, Final

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

NOBODYS_ID: Final = "00000000-0000-4000-8000-00000000dead"
"""A well-formed id that no object has."""


def program(name: str, **members: Any) -> Obj:
    """A program with nothing but its name."""
    return {"programName": name, **members}


def interval(number: int = 0, value: object = 0.17, type_: str = "PRICE", **members: Any) -> Obj:
    """An interval with one payload of one value."""
    return {"id": number, "payloads": [{"type": type_, "values": [value]}], **members}


def event(program_id: str, **members: Any) -> Obj:
    """An event with one price interval."""
    return {"programID": program_id, "intervals": [interval()], **members}


def report(event_id: str, **members: Any) -> Obj:
    """A report without resources."""
    return {"eventID": event_id, "clientName": "conformance", "resources": [], **members}


def operation(url: str, **members: Any) -> Obj:
    """One entry of objectOperations."""
    return {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": url, **members}


def subscription(client_name: str, **members: Any) -> Obj:
    """A subscription that never fires."""
    return {"clientName": client_name, "objectOperations": [], **members}


def bl_ven(client_id: str, name: str, **members: Any) -> Obj:
    """A ven as business logic creates it."""
    return {"objectType": "BL_VEN_REQUEST", "clientID": client_id, "venName": name, **members}


def ven_ven(name: str, **members: Any) -> Obj:
    """A ven as the VEN registers it."""
    return {"objectType": "VEN_VEN_REQUEST", "venName": name, **members}


def bl_resource(client_id: str, ven_id: str, name: str, **members: Any) -> Obj:
    """A resource as business logic creates it."""
    return {
        "objectType": "BL_RESOURCE_REQUEST",
        "clientID": client_id,
        "venID": ven_id,
        "resourceName": name,
        **members,
    }


def ven_resource(ven_id: str, name: str, **members: Any) -> Obj:
    """A resource as the VEN registers it."""
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
