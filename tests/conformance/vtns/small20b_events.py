"""Events of the small 2.0b VTN: made by OpenADR 3.1, told by 2.0b."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from oadr_conformance.moments import order
from oadr_conformance.v20b.tree import Element, el, maybe, message
from oadr_conformance.v20b.views import seconds_of

_METADATA = {"id", "createdDateTime", "modificationDateTime", "objectType"}


@dataclass
class SmallEvent:
    """One event and what changed."""

    id: str
    body: dict[str, Any]
    market: str
    created: datetime
    number: int = 0
    modified: datetime | None = None
    gone: bool = False
    opts: dict[str, str] = field(default_factory=dict)
    """venID -> optType."""

    @property
    def start(self) -> datetime:
        """Return the start."""
        return order(self.body["intervalPeriod"]["start"])[0]

    @property
    def interval_s(self) -> int:
        """Return the length of an interval, in seconds; 0 for one without end."""
        text = self.body["intervalPeriod"].get("duration", "PT1H")
        return 0 if text == "P9999Y" else seconds_of(text)

    @property
    def random_s(self) -> int:
        """Return how much later a VEN may start, in seconds."""
        return seconds_of(self.body["intervalPeriod"].get("randomizeStart") or "PT0S")

    @property
    def length_s(self) -> int:
        """Return the length of the active period, in seconds; 0 for one without end."""
        return self.interval_s * len(self.body["intervals"])

    @property
    def priority(self) -> int:
        """Return the priority of 2.0b: 0 is none."""
        told = self.body.get("priority")
        return 0 if told is None else int(told) + 1

    def hidden(self) -> bool:
        """Return True if no 2.0b VEN is meant any more."""
        return self.gone or bool(self.body.get("targets"))

    def status(self, now: datetime) -> str:
        """Return eventStatus."""
        if self.hidden():
            return "cancelled"
        if now < self.start:
            return "far"
        over = self.length_s and now >= self.start + timedelta(seconds=self.length_s)
        return "completed" if over else "active"

    def over(self, now: datetime) -> bool:
        """Return True if no VEN can still be at work on it."""
        return bool(self.length_s) and now >= self.start + timedelta(seconds=self.length_s + self.random_s)


class SmallEvents:
    """Programs and events, and what each VEN was told and answered."""

    def __init__(self, vtn_id: str) -> None:
        self._vtn_id = vtn_id
        self.programs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, SmallEvent] = {}
        self._told: dict[str, set[str]] = {}
        self._answered: dict[tuple[str, str], int] = {}
        self._reached: dict[tuple[str, str], int] = {}

    @property
    def markets(self) -> set[str]:
        """Return every market context."""
        return {f"http://small.example/{name}" for name in self.programs}

    def forget(self, ven_id: str) -> None:
        """Forget what a VEN was told: it registered anew."""
        self._told.pop(ven_id, None)
        for numbers in (self._answered, self._reached):
            for key in [key for key in numbers if key[0] == ven_id]:
                del numbers[key]

    def number(self, event_id: str) -> int | None:
        """Return the modificationNumber of an event."""
        found = self.events.get(event_id)
        return None if found is None or found.gone else found.number

    def answered(self, ven_id: str, event_id: str, number: int, opt: str) -> str:
        """Take an answer of a VEN; return the code of its refusal, empty if there is none."""
        found = self.events.get(event_id)
        if found is None:
            return "452"
        if number != found.number and not (found.gone and number < found.number):
            return "454"
        found.opts[ven_id] = opt
        self._answered[ven_id, event_id] = number
        return ""

    def reached(self, ven_id: str, numbers: dict[str, int]) -> None:
        """Know that a push of these events and numbers reached a VEN."""
        self._reached |= {(ven_id, name): number for name, number in numbers.items()}

    def due(self, ven_id: str, *, pushed: bool = False) -> Element | None:
        """Return what a poll brings, or a push, if anything."""
        known = self._reached if pushed else self._answered
        pending = [one for one in self._all(ven_id) if known.get((ven_id, one.id)) != one.number]
        return self.distribution(ven_id, None) if pending else None

    def distribution(self, ven_id: str, part: Element | None, limit: int | None = None) -> Element:
        """Return oadrDistributeEvent."""
        now = datetime.now(UTC)
        found = sorted(self._all(ven_id), key=lambda one: _key(one, now))[:limit]
        self._told.setdefault(ven_id, set()).update(one.id for one in found)
        return message(
            "oadr:oadrDistributeEvent",
            part,
            el("pyld:requestID", secrets.token_hex(4)),
            el("ei:vtnID", self._vtn_id),
            *(_event(one, ven_id, now) for one in found),
        )

    def _all(self, ven_id: str) -> list[SmallEvent]:
        now, told = datetime.now(UTC), self._told.get(ven_id, set())
        return [
            one
            for one in self.events.values()
            if not one.over(now)
            and (not one.hidden() or (one.id in told and self._answered.get((ven_id, one.id)) != one.number))
        ]

    def rest(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and body of an answer of OpenADR 3.1, as far as the suite uses it."""
        kind, _, name = path.strip("/").partition("/")
        if (method, path) == ("POST", "/auth/token"):
            return 200, {"access_token": "token", "token_type": "Bearer", "expires_in": 3600}
        if (method, kind) == ("GET", "reports"):
            return 200, [{"eventID": one.id, "opts": one.opts} for one in self.events.values() if one.opts]
        if kind == "programs":
            return self._program(method, name, body)
        return self._event(method, name, body) if kind == "events" else (404, {})

    def _program(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        if method == "POST":
            made = json.loads(body) | {"id": f"p{secrets.token_hex(4)}"}
            self.programs[made["id"]] = made
            return 201, made
        return (200, self.programs.pop(name)) if name in self.programs else (404, {})

    def _event(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        now = datetime.now(UTC)
        if method == "POST":
            given = json.loads(body)
            event = SmallEvent(f"e{secrets.token_hex(4)}", given, f"http://small.example/{given['programID']}", now)
            self.events[event.id] = event
            return 201, given | {"id": event.id}
        found = self.events.get(name)
        if found is None or found.gone:
            return 404, {}
        if method == "DELETE":
            found.gone = True
        else:
            found.body = {key: value for key, value in json.loads(body).items() if key not in _METADATA}
        found.number, found.modified = found.number + 1, now
        return 200, found.body | {"id": name}


def _key(event: SmallEvent, now: datetime) -> tuple[int, int, float]:
    status = event.status(now)
    if status == "active":
        return 0, event.priority or 1_000, event.start.timestamp()
    return (1 if status == "far" else 2), 0, event.start.timestamp()


def _event(event: SmallEvent, ven_id: str, now: datetime) -> Element:
    status = event.status(now)
    descriptor = el(
        "ei:eventDescriptor",
        el("ei:eventID", event.id),
        el("ei:modificationNumber", str(event.number)),
        maybe("ei:modificationDateTime", _time(event.modified) if event.modified else None),
        el("ei:priority", str(event.priority)),
        el("ei:eiMarketContext", el("emix:marketContext", event.market)),
        el("ei:createdDateTime", _time(event.created)),
        el("ei:eventStatus", status),
        el("ei:testEvent", "false"),
        maybe("ei:vtnComment", event.body.get("eventName")),
    )
    later = el("xcal:tolerance", el("xcal:tolerate", el("xcal:startafter", f"PT{event.random_s}S")))
    period = el(
        "ei:eiActivePeriod",
        el(
            "xcal:properties",
            el("xcal:dtstart", el("xcal:date-time", _time(event.start))),
            el("xcal:duration", el("xcal:duration", f"PT{event.length_s}S")),
            later if event.random_s else None,
        ),
        el("xcal:components"),
    )
    return el(
        "oadr:oadrEvent",
        el(
            "ei:eiEvent",
            descriptor,
            period,
            el("ei:eiEventSignals", *_signals(event, status, now)),
            el("ei:eiTarget", el("ei:venID", ven_id)),
        ),
        el("oadr:oadrResponseRequired", "always"),
    )


def _signals(event: SmallEvent, status: str, now: datetime) -> list[Element]:
    values: dict[str, list[float]] = {"SIMPLE": [1.0] * len(event.body["intervals"])}
    for number, one in enumerate(event.body["intervals"]):
        for told in one["payloads"]:
            values.setdefault(told["type"], [0.0] * len(event.body["intervals"]))[number] = told["values"][0]
    running = int((now - event.start).total_seconds() // event.interval_s) if event.interval_s else 0
    made = []
    for type_, series in values.items():
        current = series[running] if status == "active" and running < len(series) else 0.0
        made.append(_signal(event, type_, series, current))
    return made


def _signal(event: SmallEvent, type_: str, series: list[float], current: float) -> Element:
    intervals = (
        el(
            "ei:interval",
            el("xcal:duration", el("xcal:duration", f"PT{event.interval_s}S")),
            el("xcal:uid", el("xcal:text", str(number))),
            el("ei:signalPayload", el("ei:payloadFloat", el("ei:value", str(value)))),
        )
        for number, value in enumerate(series)
    )
    unit = el(
        "oadr:currencyPerKWh",
        el("oadr:itemDescription", "currencyPerKWh"),
        el("oadr:itemUnits", "EUR"),
        el("scale:siScaleCode", "none"),
    )
    price = type_ == "PRICE"
    return el(
        "ei:eiEventSignal",
        el("strm:intervals", *intervals),
        el("ei:signalName", "ELECTRICITY_PRICE" if price else type_),
        el("ei:signalType", "price" if price else "level"),
        el("ei:signalID", type_),
        unit if price else None,
        el("ei:currentValue", el("ei:payloadFloat", el("ei:value", str(current)))),
    )


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
