"""Build in one line what the tests are about: an event in OpenADR 2.0b, and the program it belongs to."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from openadr_profiles.v20b.projection import LossKind, NoForm, NoFormKind, Projection, SignalPart, project
from openadr_profiles.v31 import Event, Program, decode
from tests.profiles.v31.build import WRITTEN, an_event

BASE_URL = "https://vtn.example"


def a_program(**attributes: Any) -> Program:
    """A program with attributes ``OADR20B_...``."""
    document = {
        "id": "program-1",
        "createdDateTime": "2024-12-31T00:00:00Z",
        "modificationDateTime": "2024-12-31T00:00:00Z",
        "programName": "peaks",
        "attributes": [{"type": f"OADR20B_{name}", "values": [value]} for name, value in attributes.items()],
    }
    return decode(json.dumps(document), Program)


def of_type(type_: str, *values: Any, units: str | None = None, currency: str | None = None, **members: Any) -> Event:
    """An event of one hour for each value, from the first of January 2025."""
    descriptor = {"payloadType": type_, "units": units, "currency": currency}
    return an_event(
        **{
            "payloadDescriptors": [{key: value for key, value in descriptor.items() if value is not None}],
            "intervalPeriod": {"start": "2025-01-01T00:00:00Z", "duration": "PT1H"},
            "intervals": [
                {"id": number, "payloads": [{"type": type_, "values": [value]}]} for number, value in enumerate(values)
            ],
            **members,
        }
    )


def told(event: Event, program: Program | None = None, *, now: datetime = WRITTEN) -> Projection:
    """The event as a VEN of 2.0b is told it."""
    projection = project(event, program or a_program(), now=now, anchor=WRITTEN, base_url=BASE_URL)
    assert isinstance(projection, Projection), projection
    return projection


def refused(event: Event, program: Program | None = None) -> NoFormKind:
    """Return why a VEN of 2.0b is not told of the event."""
    found = project(event, program or a_program(), now=WRITTEN, anchor=WRITTEN, base_url=BASE_URL)
    assert isinstance(found, NoForm), found
    return found.kind


def losses(projection: Projection) -> set[LossKind]:
    """The kinds of what is lost."""
    return {loss.kind for loss in projection.losses}


def signal(projection: Projection, name: str) -> SignalPart:
    """The one signal of that name."""
    (found,) = (part for part in projection.signals if part.name == name)
    return found
