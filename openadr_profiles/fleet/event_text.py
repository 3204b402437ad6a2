"""Read events from text: JSON or YAML as the standard writes an event, or CSV with a line for each interval.

CSV has a header. ``duration`` is required; ``start`` is needed in the first line only, later lines follow each other.
The third column is what is asked for: ``shed`` or ``limit`` (a power with its unit), ``level`` (0 to 3), or the name of
a payload type with plain numbers::

    start,duration,shed
    tomorrow 18:00,15m,3kW
    ,15m,5kW

Rules without I/O.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, Final

import msgspec
import yaml

from openadr_profiles.fleet.quantities import length, moment, power_kw
from openadr_profiles.v31 import (
    Duration,
    EventPayloadDescriptor,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    Invalid,
    Start,
    Unit,
    Value,
    ValuesMap,
    decode,
)

_POWERS: Final = {
    "shed": EventPayloadType.DISPATCH_SETPOINT_RELATIVE,
    "limit": EventPayloadType.IMPORT_CAPACITY_LIMIT,
}


class UnreadableEvent(ValueError):
    """A text is no event; the message names the member or the line, what is wrong, and what was expected."""


def event_from_csv(text: str, *, now: datetime, program_id: str, zone: tzinfo | None = None) -> EventRequest:
    """Read an event of one interval for each line; local times are read in ``zone``, default that of this machine.

    Raises UnreadableEvent.
    """
    try:
        return _from_csv(text, now, program_id, zone)
    except (ValueError, csv.Error) as error:
        raise UnreadableEvent(str(error)) from None


def event_from_document(text: str, *, is_json: bool, program_id: Callable[[], str]) -> EventRequest:
    """Read an event of JSON or YAML; one without programID gets ``program_id()``. Raises UnreadableEvent."""
    try:
        document = _json(text) if is_json else _yaml(text)
        if not isinstance(document, dict):
            raise ValueError("expected one event, as an object with intervalPeriod and intervals")
        if "programID" not in document:
            document["programID"] = program_id()
        document.pop("objectType", None)
        for stamped in ("id", "createdDateTime", "modificationDateTime"):
            document.pop(stamped, None)
        request = decode(json.dumps(document).encode(), EventRequest)
        unknown = sorted(set(document) - _MEMBERS)
        if unknown:
            raise ValueError(f"{unknown[0]}: an event has no such member; known are {', '.join(sorted(_MEMBERS))}")
        if not request.intervals:
            raise ValueError("intervals: missing; an event to issue needs at least one")
    except (ValueError, Invalid, TypeError, RecursionError) as error:
        raise UnreadableEvent(str(error)) from None
    return request


def looks_like_csv(text: str) -> bool:
    """Tell whether a text begins with the header of a CSV of intervals."""
    header = next(iter(text.lstrip().splitlines()), "")
    return not header.startswith("{") and "duration" in [name.strip().lower() for name in header.split(",")]


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _yaml(text: str) -> Any:
    class Loader(yaml.SafeLoader):
        """A YAML loader that leaves times as text, as the standard has them."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(text, Loader)):
            raise ValueError("aliases (*name) are not accepted in an event")
        return yaml.load(text, Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None


def _from_csv(text: str, now: datetime, program_id: str, zone: tzinfo | None) -> EventRequest:
    rows = list(csv.DictReader(io.StringIO(text), skipinitialspace=True, restkey="", strict=True))
    columns = [(column or "").strip() for column in (rows[0] if rows else {})]
    asked = [column for column in columns if column.lower() not in {"start", "duration", ""}]
    if "duration" not in [column.lower() for column in columns] or len(asked) != 1:
        raise ValueError("expected a header such as start,duration,shed and at least one line below it")
    kind = asked[0]
    type_ = _POWERS.get(kind.lower()) or (EventPayloadType.SIMPLE if kind.lower() == "level" else kind.upper())
    intervals = []
    for number, row in enumerate(rows):
        cells = {(column or "").strip().lower(): cell.strip() for column, cell in row.items() if isinstance(cell, str)}
        try:
            begin = moment(cells["start"], now=now, zone=zone) if cells.get("start") else None
            if number == 0 and begin is None:
                raise ValueError("start: needed in the first line")
            period = IntervalPeriod(
                start=Start.of(begin) if begin else None, duration=Duration.of(length(cells.get("duration", "")))
            )
            value = _value(kind.lower(), cells.get(kind.lower(), ""))
        except ValueError as error:
            raise ValueError(f"line {number + 2}: {error}") from None
        payload = ValuesMap(type=type_, values=(value,))
        intervals.append(Interval(id=number, interval_period=period, payloads=(payload,)))
    in_kw = kind.lower() in _POWERS
    first = intervals[0].interval_period
    return EventRequest(
        program_id=program_id,
        interval_period=IntervalPeriod(start=first.start if first else None),
        payload_descriptors=(EventPayloadDescriptor(payload_type=type_, units=Unit.KW),) if in_kw else None,
        intervals=tuple(intervals),
    )


def _value(kind: str, cell: str) -> Value:
    if kind in _POWERS:
        kw = float(power_kw(cell))
        return (-kw or 0.0) if kind == "shed" else kw
    if kind == "level":
        if cell not in {"0", "1", "2", "3"}:
            raise ValueError(f"level: expected 0 to 3, not {cell!r}")
        return int(cell)
    try:
        number = float(cell)
    except ValueError:
        raise ValueError(f"{kind}: {cell!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{kind}: {cell!r} is not a number of JSON")
    return number


_MEMBERS: Final = {field.encode_name for field in msgspec.structs.fields(EventRequest)}
