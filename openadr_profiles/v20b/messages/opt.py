"""Messages of the service EiOpt."""

from __future__ import annotations

from datetime import datetime

from openadr_profiles.v20b.messages.common import EMPTY_TARGET, EiResponse, Part, Period, QualifiedEventID, Target


class CreateOpt(Part, frozen=True, kw_only=True):
    """Opt in to or out of an event, or times: exactly one of them (B-OPT-001).

    ``availabilities`` is None without a schedule, and empty for a schedule of no times.
    """

    opt_id: str
    opt_type: str
    opt_reason: str
    market_context: str | None = None
    ven_id: str
    availabilities: tuple[Period, ...] | None = None
    created_date_time: datetime
    request_id: str
    qualified_event_id: QualifiedEventID | None = None
    target: Target = EMPTY_TARGET
    device_class: Target | None = None


class CreatedOpt(Part, frozen=True, kw_only=True):
    """Answer an opt."""

    response: EiResponse
    opt_id: str


class CancelOpt(Part, frozen=True, kw_only=True):
    """Take an opt back (B-OPT-008)."""

    request_id: str
    opt_id: str
    ven_id: str


class CanceledOpt(Part, frozen=True, kw_only=True):
    """Answer an opt that was taken back."""

    response: EiResponse
    opt_id: str | None = None
