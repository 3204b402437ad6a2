"""Rows of events of OpenADR 2.0b: issues, what a VEN was sent of them, and events as a VEN sees them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from msgspec import Struct
from sqlalchemy import ColumnElement, Table

from vtn.store.rows import ObjectRow
from vtn.store.v20b.event_tables import oadr20b_deliveries, oadr20b_events

Key: TypeAlias = tuple[str, int]
"""An issue: the id of its event, and its number among the issues of that."""


class IssueState(StrEnum):
    """Name what may become of an issue. ENDED and CANCELLED are final (B-EVT-015)."""

    LIVE = "LIVE"
    NO_FORM = "NO_FORM"
    ENDED = "ENDED"
    CANCELLED = "CANCELLED"


class IssueRow(Struct, frozen=True, kw_only=True, gc=False):
    """One issue of an event; instants are stamps. ``wire_id`` is its eventID, ``number`` its modificationNumber."""

    event_id: str
    issue: int
    wire_id: str
    program_id: str
    state: str
    number: int
    market_context: str
    digest: str
    reason: str | None = None
    event_modified_at: str
    program_modified_at: str
    anchor: str | None = None
    created_at: str
    changed_at: str
    starts_at: str | None = None
    over_at: str | None = None
    rolls_at: str | None = None

    @property
    def key(self) -> Key:
        """Return what it is known by."""
        return self.event_id, self.issue

    @property
    def is_live(self) -> bool:
        """Return True if VENs are to have it."""
        return self.state == IssueState.LIVE


class DeliveryRow(Struct, frozen=True, kw_only=True, gc=False):
    """Hold what one VEN was sent of an issue, and its answer; instants are stamps.

    ``number`` is the last number sent; ``shown_number`` is the projection that it was made from, which differs for a
    cancellation that is for this VEN alone.
    """

    ven_id: str
    event_id: str
    issue: int
    registration_id: str
    first_number: int
    number: int
    shown_number: int
    cancelled_at: str | None = None
    is_closed: bool
    request_id: str
    sent_at: str
    sent_times: int
    due_at: str | None = None
    answered_number: int | None = None
    answered_at: str | None = None
    opt_type: str | None = None
    response_code: str | None = None
    report_id: str | None = None
    is_report_due: bool = False

    @property
    def key(self) -> Key:
        """Return the issue."""
        return self.event_id, self.issue

    @property
    def is_cancelled(self) -> bool:
        """Return True if the VEN was told that it is cancelled."""
        return self.cancelled_at is not None

    @property
    def is_answered(self) -> bool:
        """Return True if the last number sent was answered."""
        return self.answered_number == self.number


class OpenDelivery(Struct, frozen=True):
    """Hold a delivery that is not closed. ``is_visible`` says that the VEN may see the event now."""

    issue: IssueRow
    sent: DeliveryRow
    is_there: bool
    is_visible: bool


class SeenEvent(Struct, frozen=True, kw_only=True):
    """An event that a VEN may see now, with its issues that are not final and what the VEN was sent of each."""

    event_id: str
    program_id: str
    modified_at: str
    program_modified_at: str
    issues: tuple[tuple[IssueRow, DeliveryRow | None], ...]

    def is_stale(self, now: str) -> bool:
        """Return True if the event has to be projected (again) before a VEN is told of it."""
        return not self.issues or any(
            row.event_modified_at != self.modified_at
            or row.program_modified_at != self.program_modified_at
            or row.program_id != self.program_id
            or (row.is_live and row.rolls_at is not None and row.rolls_at <= now)
            for row, _ in self.issues
        )


class SeenEvents(Struct, frozen=True):
    """The events that a VEN may see now. ``open_count`` deliveries to it are not closed, of these events or others.

    It is None if no event is seen: then that was not counted. ``has_schedules`` says that it opted for times.
    """

    events: tuple[SeenEvent, ...]
    open_count: int | None
    has_schedules: bool

    @property
    def reports_due(self) -> tuple[str, ...]:
        """Return the events of which an answer is not in the opt report yet."""
        return tuple(
            event.event_id
            for event in self.events
            if any(sent is not None and sent.is_report_due for _, sent in event.issues)
        )


class EventSource20b(Struct, frozen=True, kw_only=True):
    """An event with its program, to be projected. ``event`` is None if it is larger than a message may be."""

    event_id: str
    program_id: str
    modified_at: str
    program_modified_at: str
    event: ObjectRow | None
    program: ObjectRow
    issues: tuple[IssueRow, ...]
    """All issues that are not final, and the last one that is."""


ISSUE: Final = "issue_"
DELIVERY: Final = "delivery_"


def columns(table: Table, prefix: str) -> list[ColumnElement[Any]]:
    """Return the columns of a table with a prefix before their names."""
    return [column.label(prefix + column.name) for column in table.c]


def issue_in(row: Mapping[Any, Any], prefix: str = ISSUE) -> IssueRow | None:
    """Return the issue in a row; None if there is none."""
    if row[f"{prefix}event_id"] is None:
        return None
    return IssueRow(**{column.name: row[prefix + column.name] for column in oadr20b_events.c})


def delivery_in(row: Mapping[Any, Any], prefix: str = DELIVERY) -> DeliveryRow | None:
    """Return the delivery in a row; None if there is none."""
    if row[f"{prefix}event_id"] is None:
        return None
    return DeliveryRow(**{column.name: row[prefix + column.name] for column in oadr20b_deliveries.c})
