"""The documents that are stored and sent: a program, events of 24 intervals, reports of 96, vens, and their targets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

SEEN_EVENTS: Final = 50
"""The number of stored events that the measured VEN sees, however many there are: one page."""

INTERVALS: Final = 24
READINGS: Final = 96

WATCHED: Final = "feeder-0"
"""The target that the measured VEN polls with."""

SPARE: Final = tuple(f"zone-{number}" for number in range(40))
"""Further targets that it holds and no event has: a request for some of them differs, but has the same answer."""


def feeders(stored: int) -> int:
    """Return the number of feeders for ``stored`` events: each has as many events as one page holds."""
    return max(1, stored // SEEN_EVENTS)


def feeder(number: int, stored: int) -> str:
    """Return the target of the ``number``-th of ``stored`` events."""
    return f"feeder-{number % feeders(stored)}"


def questions() -> Iterator[tuple[str, ...]]:
    """Sets of targets, different ones 91,390 times, that all have the same answer for the measured VEN."""
    return ((WATCHED, *some) for some in itertools.cycle(itertools.combinations(SPARE, 4)))


def program(name: str) -> dict[str, Any]:
    """Return a program that everybody sees."""
    return {"programName": name}


def event(program_id: str, targets: tuple[str, ...], number: int = 0) -> dict[str, Any]:
    """Return a day of hourly prices, different ones for every number."""
    prices = Random(number)  # always the same ones
    return {
        "programID": program_id,
        "eventName": f"day-ahead-{number}",
        "targets": list(targets),
        "priority": 2,
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE", "units": "KWH"}],
        "intervalPeriod": {"start": "2035-06-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT0S"},
        "intervals": [
            {"id": hour, "payloads": [{"type": "PRICE", "values": [round(prices.uniform(0.05, 0.6), 5)]}]}
            for hour in range(INTERVALS)
        ],
    }


def levels(program_id: str, number: int, first: int = 0) -> dict[str, Any]:
    """Return a day of hourly load levels for everybody, which begin with ``first``."""
    return {
        "programID": program_id,
        "eventName": f"levels-{number}",
        "intervalPeriod": {"start": "2035-06-01T00:00:00Z", "duration": "PT1H"},
        "intervals": [
            {"id": hour, "payloads": [{"type": "SIMPLE", "values": [(first + hour) % 4]}]} for hour in range(INTERVALS)
        ],
    }


def wire_id(place: int) -> str:
    """Return the venID of the ``place``-th VEN of OpenADR 2.0b."""
    return f"VEN-{place}"


def report(event_id: str, number: int = 0, *, readings: int = READINGS) -> dict[str, Any]:
    """Return a day of a meter's quarter hours, different ones for every number; or only the first of them."""
    usage = Random(number)
    return {
        "eventID": event_id,
        "clientName": "home-1",
        "reportName": f"usage-{number}",
        "payloadDescriptors": [
            {
                "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
                "payloadType": "USAGE",
                "units": "KWH",
                "readingType": "DIRECT_READ",
            }
        ],
        "resources": [
            {
                "resourceName": "main-meter",
                "intervalPeriod": {"start": "2035-06-01T00:00:00Z", "duration": "PT15M"},
                "intervals": [
                    {"id": slot, "payloads": [{"type": "USAGE", "values": [round(usage.uniform(0, 2), 3)]}]}
                    for slot in range(readings)
                ],
            }
        ],
    }


def ven(name: str, client_id: str, targets: tuple[str, ...]) -> dict[str, Any]:
    """Return a ven as business logic enrols it."""
    return {"objectType": "BL_VEN_REQUEST", "clientID": client_id, "venName": name, "targets": list(targets)}


def as_bytes(document: dict[str, Any]) -> bytes:
    """Compact JSON, as clients send it."""
    return json.dumps(document, separators=(",", ":")).encode()
