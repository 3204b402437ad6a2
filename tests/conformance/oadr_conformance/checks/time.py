"""TIME and the active filter: which times are accepted, and when an event is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from oadr_conformance import bodies
from oadr_conformance.bodies import interval
from oadr_conformance.moments import from_now
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj

area = Area("API description: dateTime, duration, intervalPeriod; User Guide 7.3 and 7.4")

DURATIONS = ("PT1H", "P7D", "P1W", "PT0S", "PT0H", "P9999Y", "-PT5M", "PT1.5S", "P1Y2M3DT4H5M6S", "P1Y35DT3H1.5S")
NO_DURATIONS = (
    "",
    "P",
    "PT",
    "P0S",
    "PT1.5H",
    "P1H",
    "P1W2D",
    "1H",
    "pt1h",
    "PT1H ",
    " PT1H",
    "PT1H30",
    "P-1D",
    "3600",
)


@area.each("TIME-001 TIME-003 COMPAT-033 COMPAT-051", {text: text for text in DURATIONS})
async def durations(t: Probe, text: str) -> None:
    """ISO 8601 durations are accepted wherever one is expected, and come back as the text that was sent."""
    program = await t.program()
    if not t.profile.rulings:
        period = {"start": from_now(days=1), "duration": text}
        answer = await t.bl.post("/events", bodies.event(program["id"], intervalPeriod=period))
        answer.expect(201)
        answer.has(intervalPeriod=period)
        return
    period = {"start": "2030-01-01T00:00:00Z", "duration": text, "randomizeStart": text}
    body = bodies.event(program["id"], duration=text, intervals=[interval(intervalPeriod=period)])
    answer = await t.bl.post("/events", body)
    obj = answer.expect(201).object()
    answer.has(duration=text)
    answer.same("the interval's period", obj["intervals"][0]["intervalPeriod"], period)


@area.each("TIME-002", {text or "empty": text for text in NO_DURATIONS})
async def no_durations(t: Probe, text: str) -> None:
    """What is no ISO 8601 duration is 400."""
    program = await t.program()
    (await t.bl.post("/events", bodies.event(program["id"], duration=text))).expect(400)
    period = {"start": "2030-01-01T00:00:00Z", "duration": text}
    (await t.bl.post("/events", bodies.event(program["id"], intervalPeriod=period))).expect(400)


INSTANTS = (
    "2030-01-01T00:00:00Z",
    "2030-01-01T00:00:00+05:30",
    "2030-01-01T00:00:00-00:00",
    "2030-01-01T00:00:00.123456789Z",
    "2030-01-01 00:00:00Z",
    "2030-01-01t00:00:00z",
    "2028-02-29T23:59:59Z",
)
BEGINNING = (
    "0001-01-01",
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:00",
    "0001-01-01T00:00:00.000Z",
)
NO_INSTANTS = (
    "",
    "now",
    "2030-01-01",
    "2030-01-01T00:00:00",
    "2030-01-01T00:00Z",
    "2030-13-01T00:00:00Z",
    "2030-02-30T00:00:00Z",
    "2029-02-29T00:00:00Z",
    "2030-01-01T24:00:00Z",
    "2030-01-01T00:60:00Z",
    "2030-01-01T00:00:00.1234567890Z",
    "2030-01-01  00:00:00Z",
    "20300101T000000Z",
    "0001-01-02",
    "1893456000",
)


async def _starts(t: Probe, text: str) -> None:
    program = await t.program()
    period = {"start": text, "duration": "PT1H"}
    intervals = [interval(intervalPeriod=period) if t.profile.rulings else interval()]
    body = bodies.event(program["id"], intervalPeriod=period, intervals=intervals)
    answer = await t.bl.post("/events", body)
    obj = answer.expect(201).object()
    answer.has(intervalPeriod=period)
    answer.same("the intervals", obj["intervals"], intervals)


@area.each("TIME-004 COMPAT-051", {text: text for text in INSTANTS}, section="RFC 3339 section 5.6")
async def instants(t: Probe, text: str) -> None:
    """RFC 3339 instants with an offset are accepted and come back as sent."""
    await _starts(t, text)


@area.each("TIME-004 COMPAT-051", {"Z": "Z", "an offset": "+05:30"}, section="RFC 3339 section 5.6")
async def near_instants(t: Probe, offset: str) -> None:
    """RFC 3339 instants of the next days are accepted, in UTC and with an offset, and come back as sent."""
    await _starts(t, from_now(days=3).replace("Z", offset))


@area.each("TIME-005", {text: text for text in BEGINNING})
async def beginning_of_time(t: Probe, text: str) -> None:
    """The forms of the beginning of time, which mean 'now', are accepted and come back as sent."""
    await _starts(t, text)


@area.each("TIME-006", {text or "empty": text for text in NO_INSTANTS})
async def no_instants(t: Probe, text: str) -> None:
    """A date alone, an instant without offset, or no instant at all is 400."""
    program = await t.program()
    period = {"start": text, "duration": "PT1H"}
    (await t.bl.post("/events", bodies.event(program["id"], intervalPeriod=period))).expect(400)
    (await t.bl.post("/events", bodies.event(program["id"], intervals=[interval(intervalPeriod=period)]))).expect(400)


@area.each("TIME-007", {text: text for text in ("0000-00-00", "0000-00-00T00:00:00Z")}, section="Change log 339")
async def year_zero(t: Probe, text: str) -> None:
    """0000-00-00, which meant 'now' in version 3.0, is 400."""
    program = await t.program()
    (await t.bl.post("/events", bodies.event(program["id"], intervalPeriod={"start": text}))).expect(400)


EDGES = {
    "a leap second": ("2016-12-31T23:59:60Z", "PT1H", False),
    "year 9999": ("9999-12-31T23:59:59Z", "PT1H", True),
    "beyond year 9999": ("9999-12-31T23:00:00Z", "P5000Y", True),
    "a start without end": ("2001-01-01T00:00:00Z", "P9999Y", True),
}


@area.each("TIME-008", EDGES)
async def edges_of_time(t: Probe, case: tuple[str, str, bool]) -> None:
    """Leap seconds and the year 9999 are accepted, and sums that pass it mean 'without end'."""
    start, duration, active = case
    await _is_active(t, {"intervalPeriod": {"start": start, "duration": duration}}, active=active)


Event = Callable[[], Obj]
_LATE_S: Final = 8
"""By how much the clock of a VTN may be late."""


def _hours(start: float | None, *intervals: Obj, duration: str | None = "PT1H", **members: Any) -> Event:
    """An event whose period starts so many hours from now, with one interval unless others are given."""

    def body() -> Obj:
        period: Obj = {} if start is None else {"start": from_now(hours=start)}
        if duration is not None:
            period["duration"] = duration
        made = [_resolved(one) for one in intervals] or [interval()]
        return {"intervalPeriod": period, "intervals": made, **members}

    return body


def _interval(number: int = 0, start: float | str | None = None, duration: str | None = None) -> Obj:
    """An interval; a number as start means hours from now, and is resolved when the check runs."""
    return {"number": number, "start": start, "duration": duration}


def _resolved(one: Obj) -> Obj:
    start = from_now(hours=one["start"]) if isinstance(one["start"], int | float) else one["start"]
    period = {key: value for key, value in (("start", start), ("duration", one["duration"])) if value is not None}
    made = interval(one["number"])
    return made | {"intervalPeriod": period} if period else made


_FOUR: Final = [_interval(number) for number in range(4)]
_DAY: Final = [_interval(number) for number in range(24)]
_PLAN_015: Final = [_interval(0), _interval(1, duration="PT2H"), _interval(2)]
_REQUEST: Final = [{"payloadType": "USAGE"}]

# requirement -> what -> (event, whether active=true keeps it)
LIFESPANS: Final[dict[str, dict[str, tuple[Event, bool]]]] = {
    "PAGE-027": {
        "future": (_hours(2), True),
        "beginning now": (_hours(0), True),
        "running": (_hours(-0.5), True),
        "over": (_hours(-3), False),
    },
    "PAGE-028": {
        "over": (_hours(-3), False),
        "over but for its random start": (
            lambda: _with(_hours(-3)(), "intervalPeriod", randomizeStart="PT4H"),
            True,
        ),
        "over but for its negative random start": (
            lambda: _with(_hours(-3)(), "intervalPeriod", randomizeStart="-PT4H"),
            True,
        ),
        "over with its random start": (lambda: _with(_hours(-3)(), "intervalPeriod", randomizeStart="PT1H"), False),
    },
    "PAGE-029": {
        "P9999Y": (_hours(-30, duration="P9999Y"), True),
        "no time at all": (lambda: {"intervals": [interval()]}, True),
        "no duration on the last interval": (_hours(-10_000, duration=None), True),
        "P9999Y on the last interval": (_hours(-30, _interval(0), _interval(1, duration="P9999Y")), True),
    },
    "PAGE-030": {
        "PT0S at the beginning of time": (lambda: _cancelled("0001-01-01", "PT0S"), False),
        "PT0H at the beginning of time": (lambda: _cancelled("0001-01-01T00:00:00Z", "PT0H"), False),
        "with a report request": (lambda: _cancelled("0001-01-01", "PT0S", reportDescriptors=_REQUEST), True),
        "with an empty list of requests": (lambda: _cancelled("0001-01-01", "PT0S", reportDescriptors=[]), False),
    },
    "TIME-009": {
        "within a month": (_hours(-27 * 24, duration="P1M"), True),
        "after a month": (_hours(-32 * 24, duration="P1M"), False),
        "within a year": (_hours(-364 * 24, duration="P1Y"), True),
        "after a year": (_hours(-367 * 24, duration="P1Y"), False),
    },
    "TIME-010": {
        "duration from the interval": (_hours(-3, _interval(duration="PT5H"), duration=None), True),
        "short duration from the interval": (_hours(-3, _interval(duration="PT1H"), duration="PT9H"), False),
        "start from the interval": (_hours(None, _interval(start=-3), duration="PT5H"), True),
        "early start from the interval": (_hours(None, _interval(start=-9), duration="PT5H"), False),
    },
    "TIME-011": {
        "own start later than the event's": (_hours(-10, _interval(start=1)), True),
        "own start before the event's": (_hours(10, _interval(start=-5)), False),
    },
    "TIME-012": {
        "in the last of four": (_hours(-3.5, *_FOUR), True),
        "after the last of four": (_hours(-4.5, *_FOUR), False),
        "following a beginning of time": (
            _hours(-1.5, _interval(0), _interval(1, start="0001-01-01")),
            True,
        ),
    },
    "TIME-013": {"the event's start is that of the first only": (_hours(-3.5, *_FOUR), True)},
    "TIME-014": {
        "a gap before the last": (_hours(-10, _interval(0), _interval(1, start=5)), True),
        "following an own start": (_hours(-10, _interval(0), _interval(1, start=-1.5), _interval(2)), True),
        "over after an own start": (_hours(-10, _interval(0), _interval(1, start=-3), _interval(2)), False),
    },
    "TIME-015": {
        "in the fourth hour": (_hours(-3.5, *_PLAN_015), True),
        "in the fifth hour": (_hours(-4.5, *_PLAN_015), False),
    },
    "TIME-017": {"now and without end": (lambda: _cancelled("0001-01-01", "P9999Y"), True)},
    "TIME-018": {
        "no duration before an own start": (
            _hours(-9, _interval(0), _interval(1, start=-3, duration="PT1H"), duration=None),
            False,
        ),
        "an instant that was": (_hours(-1, duration="PT0S"), False),
        "an instant to come": (_hours(1, duration="PT0S"), True),
    },
    "TIME-019": {
        "negative and past": (_hours(-1, duration="-PT5H"), False),
        "negative and to come": (_hours(1, duration="-PT5H"), True),
    },
    "TIME-021": {
        "the longest interval decides": (
            _hours(-9, _interval(0, start=-5, duration="PT9H"), _interval(1, start=-3)),
            True,
        ),
        "the event's duration decides": (lambda: _hours(-3)() | {"duration": "PT9H"}, True),
    },
    "TIME-022": {
        "cut short": (lambda: _hours(-3, *_DAY)() | {"duration": "PT2H"}, False),
        "not yet cut": (lambda: _hours(-3, *_DAY)() | {"duration": "PT4H"}, True),
    },
    "TIME-023": {
        "in the second day": (lambda: _hours(-30, *_DAY)() | {"duration": "P7D"}, True),
        "after seven days": (lambda: _hours(-8 * 24, *_DAY)() | {"duration": "P7D"}, False),
        "for ever": (lambda: _hours(-80 * 24, *_DAY)() | {"duration": "P9999Y"}, True),
    },
    "TIME-035": {"no time at all": (dict, True)},
}


def _with(body: Obj, member: str, **members: Any) -> Obj:
    return body | {member: body[member] | members}


def _cancelled(start: str, duration: str, **members: Any) -> Obj:
    return {"intervalPeriod": {"start": start, "duration": duration}, "intervals": [interval()], **members}


async def _is_active(t: Probe, members: Obj, *, active: bool) -> None:
    program = await t.program()
    answer = await t.bl.post("/events", {"programID": program["id"]} | members)
    event = answer.expect(201).object()
    answer = await t.bl.get("/events", {"programID": program["id"], "active": "true"})
    answer.same("the ids with active=true", answer.expect(200).ids(), [event["id"]] if active else [])
    for word in ({}, {"active": "false"}):
        answer = await t.bl.get("/events", {"programID": program["id"], **word})
        answer.same("the ids without", answer.expect(200).ids(), [event["id"]])


_SENTENCES: Final = {
    "PAGE-027": "an event that lies in the past is over, one that runs or lies ahead is not",
    "PAGE-028": "an event is over when its lifespan and the length of its random start have passed",
    "PAGE-029": "an event without end is never over: P9999Y, no time at all, or no duration on the last interval",
    "PAGE-030": "no length at the beginning of time cancels an event, unless it asks for reports",
    "TIME-009": "months and years are those of the calendar",
    "TIME-010": "start and duration are inherited separately, each from the event where the interval has none",
    "TIME-011": "the first interval begins at its own start, else at the event's",
    "TIME-012": "a later interval without a start of its own begins where the one before it ends",
    "TIME-013": "the event's start is that of the first interval, not of every interval",
    "TIME-014": "a later interval with a start of its own begins there, and the next one follows it",
    "TIME-015": "one hour, two hours and one hour make four hours",
    "TIME-017": "the beginning of time with P9999Y is active from now on, without end",
    "TIME-018": "without a duration an interval lasts until the next start; PT0S is an instant",
    "TIME-019": "a negative duration is no length",
    "TIME-021": "the interval that ends last decides, or the event's own duration",
    "TIME-022": "an event's duration shorter than its intervals cuts them",
    "TIME-023": "an event's duration longer than its intervals repeats them",
    "TIME-035": "an event without any time is active from its creation, without end",
}


def _lifespans(requirement: str, cases: dict[str, tuple[Event, bool]]) -> None:
    async def active(t: Probe, case: tuple[Event, bool]) -> None:
        body, expected = case
        await _is_active(t, body(), active=expected)

    active.__doc__ = f"active=true leaves out the events that are over and no others: {_SENTENCES[requirement]}."
    area.each(f"{requirement} PAGE-031 COMPAT-026" if requirement == "PAGE-027" else requirement, cases)(active)


for _requirement, _cases in LIFESPANS.items():
    _lifespans(_requirement, _cases)


@area.check("PAGE-031")
async def no_default_window(t: Probe) -> None:
    """A search of events has no date window of its own: old and far events are found."""
    program = await t.program()
    starts = [from_now(hours=1), from_now(days=400)]
    if t.profile.rulings:  # whether events that lie so far away are stored is the VTN's decision
        starts += ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]
    events = [await t.event(program, intervalPeriod={"start": start, "duration": "PT1H"}) for start in starts]
    answer = await t.bl.get("/events", {"programID": program["id"]})
    answer.same("the ids", sorted(answer.expect(200).ids()), sorted(event["id"] for event in events))


@area.check("PAGE-027", needs="ven")
async def active_for_a_ven(t: Probe) -> None:
    """active=true works the same for a VEN, beside privacy."""
    program = await t.program()
    await t.ready(t.ven)
    brief = {"start": from_now(), "duration": "PT1S"}
    await t.event(program, **(_hours(-3)() if t.profile.rulings else {"intervalPeriod": brief}))
    made = await t.event(program)
    await t.event(program, targets=[t.name("hidden")])
    await _only_active(t, t.ven, program, made)


@area.check("PAGE-027")
async def over_in_time(t: Probe) -> None:
    """active=true leaves an event out as soon as it is over."""
    program = await t.program()
    await t.event(program, intervalPeriod={"start": from_now(), "duration": "PT1S"})
    await _only_active(t, t.bl, program, await t.event(program))


async def _only_active(t: Probe, actor: Actor, program: Obj, event: Obj) -> None:
    """Of the program's events this one alone is active, at last after the clock of the VTN had time to be late."""
    deadline = time.monotonic() + _LATE_S
    query = {"programID": program["id"], "active": "true"}
    answer = await actor.get("/events", query)
    while answer.expect(200).ids() != [event["id"]] and time.monotonic() < deadline:
        await asyncio.sleep(0.1)  # nothing tells a client from outside that an event is over
        answer = await actor.get("/events", query)
    answer.same("the ids of active events", answer.ids(), [event["id"]])


@area.check("TIME-016")
async def now_is_when_it_was_written(t: Probe) -> None:
    """'Now' is anchored at the last change of the event: one second later an event of PT1S is over, for good."""
    program = await t.program()
    period = {"start": "0001-01-01", "duration": "PT1S"}
    event = await t.event(program, intervalPeriod=period)
    deadline = time.monotonic() + 5
    query = {"programID": program["id"], "active": "true"}
    answer = await t.bl.get("/events", query)
    while answer.expect(200).ids() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)  # nothing tells a client from outside that an event is over
        answer = await t.bl.get("/events", query)
    answer.same("the active events after a second", answer.json(), [])
    body = bodies.event(program["id"], intervalPeriod=period | {"duration": "PT1H"})
    (await t.bl.put(f"/events/{event['id']}", body)).expect(200)
    answer = await t.bl.get("/events", query)
    answer.same("the active events after it was extended", answer.expect(200).ids(), [event["id"]])


@area.check("TIME-025")
async def zero_cycle(t: Probe) -> None:
    """Intervals of no length under a long event duration do not loop: the search answers at once."""
    program = await t.program()
    await t.event(program, **_hours(-1, *_FOUR, duration="PT0S")(), duration="P9999Y")
    answer = await t.bl.get("/events", {"programID": program["id"], "active": "true"})
    answer.expect(200)
    answer.true(answer.exchange.seconds < 5, "an answer within 5 s", f"{answer.exchange.seconds:.1f} s")


@area.check("TIME-028", needs="ven")
async def randomisation_is_the_clients(t: Probe) -> None:
    """The VTN does not randomise: start and randomizeStart come back as sent, each time."""
    period = {"start": from_now(hours=1), "duration": "PT1H", "randomizeStart": "PT30M"}
    event = await t.event(intervalPeriod=period)
    for actor in (t.bl, t.ven, t.ven):
        answer = await actor.get(f"/events/{event['id']}")
        answer.expect(200)
        answer.has(intervalPeriod=period)
