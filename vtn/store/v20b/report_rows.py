"""Rows of requests for reports: what a VEN of OpenADR 2.0b was asked for, and how far that has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping


class RequestState(StrEnum):
    """Name how far a request for a report has come."""

    ASKED = "ASKED"
    """The VEN has not been told."""
    OFFERED = "OFFERED"
    """It was told, and has not answered."""
    PENDING = "PENDING"
    """It has agreed."""
    DONE = "DONE"
    """It has sent all, or does not want to send anything."""
    CANCELLED = "CANCELLED"
    """It is to be told to stop."""
    STOPPING = "STOPPING"
    """It was told to stop, and has not answered."""


ENDED: Final = frozenset({RequestState.CANCELLED, RequestState.STOPPING})
"""States of requests that are not wanted any more."""
OPEN: Final = frozenset({RequestState.ASKED, RequestState.OFFERED})
"""States of requests that a VEN has not answered."""


@dataclass(frozen=True, slots=True)
class AskedReport:
    """A request for a report. ``content`` is the request as JSON, ``reports`` the ids of reports by their names."""

    id: str
    specifier_id: str
    event_id: str
    digest: str
    state: RequestState
    content: str
    reports: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A report to be asked for; ``digest`` is that of everything but its id."""

    id: str
    specifier_id: str
    event_id: str
    digest: str
    content: str


def values_of(ven_id: str, new: NewRequest, created_at: str) -> dict[str, Any]:
    """Return the row of a request that a VEN has not been told of."""
    return {
        "id": new.id,
        "ven_id": ven_id,
        "specifier_id": new.specifier_id,
        "event_id": new.event_id,
        "digest": new.digest,
        "state": RequestState.ASKED.value,
        "content": new.content,
        "reports": "{}",
        "created_at": created_at,
        "is_silent": False,
    }


def asked_in(row: RowMapping | Any) -> AskedReport:
    """Return the request in a row."""
    reports = msgspec.json.decode(row["reports"], type=dict[str, str])
    return AskedReport(
        row["id"],
        row["specifier_id"],
        row["event_id"],
        row["digest"],
        RequestState(row["state"]),
        row["content"],
        reports,
    )
