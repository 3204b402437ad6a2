"""Bodies of requests: small, JSON, in time, and with every mistake named."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Meta, Struct

from bridge_mqtt.api.parameters import read_instant
from bridge_mqtt.api.refusals import NotJson, TooSlow, WrongQuestion
from openadr_profiles.v31 import Invalid, decode

T = TypeVar("T", bound=Struct)

LONGEST_EVENT: Final = timedelta(days=31)
_READ_WITHIN_S: Final = 10.0
_MOST_KW: Final = 1_000_000
_LATEST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0)
_WORDS: Final = ("scheduled", "active")

Kw = Annotated[float, Meta(extra_json_schema={"exclusiveMinimum": 0, "maximum": _MOST_KW})]
Seconds = Annotated[int, Meta(ge=1, le=31 * 86_400)]
Instant = Annotated[str, Meta(min_length=1, max_length=40, extra_json_schema={"format": "date-time"})]


class NewEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """An event to be made: ``requestedReductionKw`` kW less from ``startTime`` to ``endTime``, over all panels."""

    start_time: Instant
    end_time: Instant
    requested_reduction_kw: Kw
    status: str = "scheduled"
    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class EventForPanel(Struct, frozen=True, kw_only=True, rename="camel"):
    """An event for one panel: from ``startTime`` (default: now) for ``durationS`` seconds, or until ``endTime``."""

    requested_reduction_kw: Kw
    start_time: Instant | None = None
    end_time: Instant | None = None
    duration_s: Seconds | None = None
    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


async def body_of(request: web.Request, type_: type[T]) -> T:
    """Return the JSON body of a request; raises NotJson, TooSlow or WrongQuestion naming the member."""
    if request.content_type != "application/json":  # also what a form of another site could send
        raise NotJson("Content-Type: expected application/json")
    try:
        async with asyncio.timeout(_READ_WITHIN_S):
            data = await request.read()
    except (ConnectionError, HttpProcessingError, web.RequestPayloadError, web.PayloadAccessError):
        raise WrongQuestion("the body: it ended before all of it had arrived") from None
    except TimeoutError:
        raise TooSlow(f"the body has not arrived within {_READ_WITHIN_S:g} s") from None
    try:
        return decode(data, type_)
    except Invalid as error:
        raise WrongQuestion(str(error) if error.member else f"the body: {error}") from None


def span_of_event(body: NewEvent, now: datetime) -> tuple[datetime, datetime]:
    """Return start and end of an event to be made; raises WrongQuestion."""
    if body.status not in _WORDS:
        raise WrongQuestion(
            f"status: {body.status[:40]!r} is none of {', '.join(_WORDS)}; the rest is for the bridge to say"
        )
    return _checked(read_instant("startTime", body.start_time), read_instant("endTime", body.end_time), now)


def span_for_panel(body: EventForPanel, now: datetime) -> tuple[datetime, datetime]:
    """Return start and end of an event for one panel; raises WrongQuestion."""
    start = now if body.start_time is None else read_instant("startTime", body.start_time)
    if (body.end_time is None) == (body.duration_s is None):
        raise WrongQuestion("durationS: give either durationS or endTime")
    if body.end_time is not None:
        return _checked(start, read_instant("endTime", body.end_time), now)
    duration = timedelta(seconds=body.duration_s or 0)
    if duration > _LATEST - start:
        raise WrongQuestion(f"durationS: the event would end after {_LATEST.isoformat()}")
    return _checked(start, start + duration, now)


def power_kw(name: str, value: float) -> Decimal:
    """Return a power in kW, above 0 and at most 1,000,000; raises WrongQuestion naming the member."""
    if not 0 < value <= _MOST_KW:
        raise WrongQuestion(f"{name}: {value!r} is not a power in kW above 0 and up to {_MOST_KW}")
    return Decimal(str(value))


def _checked(start: datetime, end: datetime, now: datetime) -> tuple[datetime, datetime]:
    if end <= start:
        raise WrongQuestion(f"endTime: {end.isoformat()} is not after startTime, {start.isoformat()}")
    if end <= now:
        raise WrongQuestion(f"endTime: {end.isoformat()} is over; it is {now.isoformat(timespec='seconds')} now")
    if end - start > LONGEST_EVENT:
        raise WrongQuestion(f"endTime: the event would last more than {LONGEST_EVENT.days} days")
    return start, end
