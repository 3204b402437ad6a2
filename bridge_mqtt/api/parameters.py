"""Parameters of queries: what they may be, and reading them strictly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from bridge_mqtt.api.refusals import WrongQuestion
from bridge_mqtt.api.route import Parameter
from bridge_mqtt.store.acks import AckQuery
from bridge_mqtt.view.history import Position, Span
from openadr_profiles.panel import AckStatus
from openadr_profiles.panel.vocabulary import canonical_op

MOST = 10_000
"""The most items of a list in one answer."""
MOST_ACKS = 1_000
MOST_SNAPSHOTS = 5_000
MOST_POINTS = 10_000
_USUAL_ACKS = 100
_USUAL_SPAN = timedelta(days=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_GRANULARITY = re.compile(r"(\d{1,9})(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LARGEST = 2**63 - 1

_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}
START = Parameter(
    name="start", text="An instant such as 2026-01-31T16:00:00Z; without zone it is UTC.", schema=_INSTANT
)
END = Parameter(name="end", text="An instant; what is at it or later is left out.", schema=_INSTANT)
GRANULARITY = Parameter(
    name="granularity",
    text="Length of a step: a number with s, m, h or d. Steps below a second are a second.",
    schema={"type": "string", "default": "5m", "pattern": _GRANULARITY.pattern},
)
BEFORE = Parameter(name="before", text="The nextBefore of the last page.", schema={"type": "string"})
VEN_ID = Parameter(name="venId", text="A panel.", schema={"type": "string"})
SKIP = Parameter(name="skip", text="So many are left out.", schema={"type": "integer", "minimum": 0, "default": 0})


def limit_parameter(usual: int, most: int) -> Parameter:
    """Describe the parameter ``limit``."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": usual}
    return Parameter(name="limit", text="The most that is answered at once.", schema=schema)


ACK_PARAMETERS = (
    Parameter(name="op", text="An operation in any dialect, as event or shedPanel.", schema={"type": "string"}),
    Parameter(name="status", text="An outcome.", schema={"type": "string", "enum": [each.value for each in AckStatus]}),
    Parameter(name="correlationId", text="The id of one command.", schema={"type": "string"}),
    Parameter(name="eventId", text="An event.", schema={"type": "string"}),
    START,
    END,
    BEFORE,
    limit_parameter(_USUAL_ACKS, MOST_ACKS),
)
PAGE_PARAMETERS = (SKIP, limit_parameter(1_000, MOST))
HISTORY_PARAMETERS = (START, END, GRANULARITY)


def ack_query(request: web.Request, *, ven_id: str | None = None, event_id: str | None = None) -> AckQuery:
    """Return the search for acknowledgments that a query asks for; raises WrongQuestion."""
    op, status = request.query.get("op"), request.query.get("status")
    if status is not None and status not in AckStatus.__members__.values():
        raise WrongQuestion(f"status: {status!r} is none of {', '.join(AckStatus)}")
    return AckQuery(
        ven_id=ven_id,
        event_id=event_id or request.query.get("eventId"),
        op=None if op is None else canonical_op(op),
        status=status,
        correlation_id=request.query.get("correlationId"),
        start=instant(request, "start"),
        end=instant(request, "end"),
        before_id=number(request, "before", 1, _LARGEST),
        limit=limit(request, _USUAL_ACKS, MOST_ACKS),
    )


def before_id(request: web.Request) -> int | None:
    """Return the id that a page of acknowledgments ends before; raises WrongQuestion."""
    return number(request, "before", 1, _LARGEST)


def page(request: web.Request) -> tuple[int, int]:
    """Return how many items to leave out and how many to give at most; raises WrongQuestion."""
    return number(request, "skip", 0, 2**31 - 1) or 0, limit(request, 1_000, MOST)


def span(request: web.Request, usual: int, most: int) -> Span:
    """Return the part of a panel's history that a query asks for; raises WrongQuestion."""
    before = request.query.get("before")
    try:
        position = None if before is None else Position.parse(before)
    except ValueError as error:
        raise WrongQuestion(f"before: {before[:40] if before else ''!r}: {error}") from None
    return Span(
        start=instant(request, "start"),
        end=instant(request, "end"),
        before=position,
        limit=limit(request, usual, most),
    )


def steps(request: web.Request, now: datetime) -> tuple[datetime, datetime, int]:
    """Return start, end and length in s of steps of time, by default the last day; raises WrongQuestion."""
    end = instant(request, "end") or now
    start = instant(request, "start") or end - min(_USUAL_SPAN, end - _EARLIEST)
    text = request.query.get("granularity", "5m")
    match = _GRANULARITY.fullmatch(text)
    if match is None:
        raise WrongQuestion(f"granularity: {text[:40]!r} is not a length such as 30s, 5m, 1h or 1d")
    count, unit = int(match[1]), match[2]
    step_s = max(1, count // 1000) if unit == "ms" else count * _SECONDS[unit]
    if not 1 <= step_s <= 366 * 86_400:
        raise WrongQuestion(f"granularity: {text!r} is not from 1s to 366d")
    if end <= start:
        raise WrongQuestion(f"end: {end.isoformat()} is not after start, {start.isoformat()}")
    if (end - start).total_seconds() / step_s > MOST_POINTS:
        raise WrongQuestion(
            f"granularity: {text!r} makes more than {MOST_POINTS} points of this span; take longer steps"
        )
    return start, end, step_s


def limit(request: web.Request, usual: int, most: int) -> int:
    """Return the parameter ``limit``; raises WrongQuestion."""
    return number(request, "limit", 1, most) or usual


def number(request: web.Request, name: str, least: int, most: int) -> int | None:
    """Return a whole number, None if it is not given; raises WrongQuestion."""
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise WrongQuestion(f"{name}: {text[:40]!r} is not a number from {least} to {most}")
    return int(text)


def instant(request: web.Request, name: str) -> datetime | None:
    """Return an aware instant, None if it is not given; without zone it is UTC (section 6). Raises WrongQuestion."""
    text = request.query.get(name)
    return None if text is None else read_instant(name, text)


def read_instant(name: str, text: str) -> datetime:
    """Return the instant that a text names, in UTC; raises WrongQuestion naming the member."""
    problem = f"{name}: {text[:40]!r} is not an instant such as 2026-01-31T16:00:00Z"
    try:
        # A blank is a plus sign that nobody has encoded.
        moment = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongQuestion(problem) from None
