"""Short ways to make what tests are about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from openadr_profiles.v31 import (
    Duration,
    Event,
    EventPayloadDescriptor,
    Interval,
    IntervalPeriod,
    Program,
    Start,
    ValuesMap,
)
from ven.panel.circuits import BranchCircuit
from ven.panel.load_profile import EnergyStore, Piece, Sums

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_circuit(id_: str, **members: Any) -> BranchCircuit:
    """A circuit that may be shed completely unless said otherwise."""
    given = {"breaker_amps": 20, "rated_kw": Decimal(4), **members}
    if not given.get("critical"):
        given.setdefault("shed_share", Decimal(1))
    return BranchCircuit(id=id_, **given)


def shed_event(
    *kw: float,
    id_: str = "e1",
    type_: str = "DISPATCH_SETPOINT_RELATIVE",
    start: datetime | None = START,
    minutes: float = 60,
    units: str | None = "KW",
    modified: datetime = START - timedelta(hours=1),
    **members: Any,
) -> Event:
    """An event with one interval of equal length for each value; ``start`` None is "now"."""
    period = IntervalPeriod(
        start=Start.parse("0001-01-01T00:00:00Z") if start is None else Start.of(start),
        duration=Duration.of(timedelta(minutes=minutes)),
    )
    given: dict[str, Any] = {
        "program_id": "p1",
        "event_name": id_,
        "interval_period": period,
        "intervals": tuple(
            Interval(id=number, payloads=(ValuesMap(type=type_, values=(value,)),)) for number, value in enumerate(kw)
        ),
        "payload_descriptors": (EventPayloadDescriptor(payload_type=type_, units=units),) if units else None,
        **members,
    }
    return Event(id=id_, created_date_time=modified, modification_date_time=modified, object_type="EVENT", **given)


def a_program(name: str = "peak", **members: Any) -> Program:
    moment = START - timedelta(days=1)
    return Program(id="p1", program_name=name, created_date_time=moment, modification_date_time=moment, **members)


def total(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


def a_piece(hour: int = 0) -> Piece:
    """A piece of a load profile, half a minute long."""
    start = START + timedelta(hours=hour)
    sums = {"ev": Sums(Decimal("1e9"), 10**9, 0, Decimal("1.5"), Decimal("0.5"))}
    stores = {"ev": EnergyStore(Decimal("812.5"), Decimal(30), Decimal(60))}
    return Piece(start=start, end=start + timedelta(seconds=30), sums=sums, stores=stores, limited={"ev"}, level=2)
