"""Find out what an event would do at this house, from the few values that the form on the page has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from openadr_profiles.fleet.power import IMPORT_LIMIT, RELATIVE, Sign
from openadr_profiles.v31 import Event, Invalid, decode, encode, format_instant
from ven.page.forms import instant_of, number_of
from ven.settings import VenSettings
from ven.simulation import Simulation, simulate

FIELDS: Final = ("kind", "value", "start", "minutes")
KINDS: Final = {
    "shed": "less power by so many kW",
    "limit": "draw at most so many kW",
    "simple": "level 1, 2 or 3 (SIMPLE)",
}
_MOST_KW: Final = Decimal(100_000)
_LONGEST_MIN: Final = Decimal(7 * 24 * 60)
_SOON: Final = timedelta(minutes=10)
_MOST_CHANGES: Final = 100


@dataclass(frozen=True, slots=True)
class TrialRow:
    """Hold what a circuit would do from ``start`` to ``end``; powers in kW."""

    start: datetime
    end: datetime | None
    name: str
    before_kw: float
    shed_kw: float
    limit_kw: float


def event_of(fields: Mapping[str, str], settings: VenSettings, now: datetime, zone: tzinfo) -> Event:
    """Return the event that a form describes, received now; raises ValueError naming the field."""
    kind = fields.get("kind", "shed")
    if kind not in KINDS:
        raise ValueError(f"kind: {kind[:40]!r} is none of {', '.join(KINDS)}")
    start = instant_of(fields, "start", zone) or now + _SOON
    length_min = number_of(fields, "minutes", Decimal(1), _LONGEST_MIN, "minutes")
    if kind == "simple":
        payload: dict[str, Any] = {
            "type": "SIMPLE",
            "values": [int(number_of(fields, "value", Decimal(0), Decimal(3), "(a level)"))],
        }
    else:
        kw = float(number_of(fields, "value", Decimal(0), _MOST_KW, "kW"))
        sheds = kw if settings.shedding.sign is Sign.POSITIVE_SHEDS else -kw
        payload = {"type": RELATIVE, "values": [sheds]} if kind == "shed" else {"type": IMPORT_LIMIT, "values": [kw]}
    at = format_instant(now)
    given = {
        "id": "simulated",
        "createdDateTime": at,
        "modificationDateTime": at,
        "objectType": "EVENT",
        "programID": "simulated",
        "eventName": "simulated",
        "intervalPeriod": {"start": format_instant(start), "duration": f"PT{int(length_min * 60)}S"},
        "intervals": [{"id": 0, "payloads": [payload]}],
    }
    if kind != "simple":
        given["payloadDescriptors"] = [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": payload["type"], "units": "KW"}
        ]
    return decode(encode(given), Event)


def try_out(event: Event, settings: VenSettings, drawn_kw: Mapping[str, Decimal], now: datetime) -> Simulation:
    """Return what an event would do, with circuits that draw so many kW. Takes a while: call it in a thread.

    Raises:
        ValueError: the event cannot be placed in time.
    """
    try:
        return asyncio.run(simulate(event, settings, drawn_kw, now=now, most_changes=_MOST_CHANGES))
    except (Invalid, OverflowError) as error:
        raise ValueError(f"start: the event cannot be placed in time: {error}") from None


def rows(simulation: Simulation, settings: VenSettings) -> list[TrialRow]:
    """Return what the circuits would do that would be limited, by time."""
    names = {each.id: each.label for each in settings.circuits}
    return [
        TrialRow(
            value.start,
            value.end,
            names.get(each.circuit_id, each.circuit_id),
            float(each.original_kw),
            float(each.shed_kw),
            float(each.limit_kw),
        )
        for value in simulation.values
        for each in value.plan.circuits
        if each.shed_kw > 0
    ]
