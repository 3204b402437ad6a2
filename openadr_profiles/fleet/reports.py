"""The two reports every VEN of ours sends about an event of its own accord, written and read in one place.

OpenADR 3 has no message for opting in or out and no payload types for what was asked of a circuit, so both are said in
reports (ad hoc reports are allowed for every event, REPORT-006):

- ``opt-<event id>``: whether the VEN (or each panel behind a bridge) takes part, and why not;
- ``status-<event id>``: for every interval and circuit the kW asked for, before, during and after.

Each is one report object per event and client, replaced by PUT when something changes. A client with very many
resources writes them in pages: reports with the same name, a dot and something more, which readers take together.

The standard's payload types are used where there is one: OPERATING_STATE, BASELINE (kW without the event), DEMAND (kW
during it). Private ones are:

==================  ======  ======================================================================================
OPT                 text    ``["OPT_IN"]``, ``["OPT_IN", note]`` or ``["OPT_OUT", reason]``
REQUESTED_SHED      kW      reduction asked of this resource
DELIVERED_SHED      kW      reduction that was measured, or that a panel says it has applied; of AGGREGATED_REPORT the
                            net: what all circuits together draw less, those included that were asked for nothing
GROSS_SHED          kW      of AGGREGATED_REPORT: reduction of the circuits that were asked, whatever the others did
FINAL_DEMAND        kW      power after the resource has returned; absent until then
==================  ======  ======================================================================================

Every period has a duration, because a widely used client library cannot read a report without one: PT0S for the moment
of a decision, P9999Y for an interval that has not ended.

A resource is a circuit, a panel (its circuits are named ``<panel>/<circuit>``) or AGGREGATED_REPORT for all together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from openadr_profiles.v31 import (
    FOREVER,
    ZERO,
    Duration,
    Interval,
    IntervalPeriod,
    OperatingState,
    ReadingType,
    ReportPayloadDescriptor,
    ReportPayloadType,
    ReportRequest,
    ReportResource,
    Start,
    Unit,
    ValuesMap,
)

OPT: Final = "OPT"
REQUESTED_SHED: Final = "REQUESTED_SHED"
DELIVERED_SHED: Final = "DELIVERED_SHED"
GROSS_SHED: Final = "GROSS_SHED"
FINAL_DEMAND: Final = "FINAL_DEMAND"

OPT_IN: Final = "OPT_IN"
OPT_OUT: Final = "OPT_OUT"

MOST: Final = 10**12
"""The largest kW or kWh that is read; what is beyond it is no measurement, and would spoil every sum."""

_WATT: Final = Decimal("0.001")


@dataclass(frozen=True)
class Opt:
    """The opt-in or opt-out of a resource for an event.

    ``reason`` is for people: always given for an opt-out; with an opt-in, what of the event is not acted on.
    """

    resource_name: str
    opted_in: bool
    reason: str | None
    state: OperatingState
    decided_at: datetime | None = None
    """Hold when this was decided; written if it was not together with the others of the report."""


@dataclass(frozen=True)
class Shed:
    """The request and the powers of one resource in one interval of an event, in kW; None is "not known"."""

    resource_name: str
    requested_kw: Decimal | None
    original_kw: Decimal | None
    curtailed_kw: Decimal | None
    delivered_kw: Decimal | None
    final_kw: Decimal | None = None
    state: OperatingState | None = None
    gross_kw: Decimal | None = None


@dataclass(frozen=True)
class ShedInterval:
    """One interval of an event as it was carried out; ``id`` is the event's interval id, ``end`` None is open."""

    id: int
    start: datetime
    end: datetime | None
    sheds: tuple[Shed, ...]


def opt_report_name(event_id: str, page: str | None = None) -> str:
    """Return the name of the report that says who takes part, or of a further page of it."""
    return _paged(f"opt-{event_id}", page)


def status_report_name(event_id: str, page: str | None = None) -> str:
    """Return the name of the report that says what was done, or of a further page of it."""
    return _paged(f"status-{event_id}", page)


def is_opt_report(name: str | None, event_id: str) -> bool:
    """Return True for the report that says who takes part in the event, and for each page of it."""
    return _is_page_of(name, opt_report_name(event_id))


def is_status_report(name: str | None, event_id: str) -> bool:
    """Return True for the report that says what was done for the event, and for each page of it."""
    return _is_page_of(name, status_report_name(event_id))


def _paged(name: str, page: str | None) -> str:
    return name if page is None else f"{name}.{page}"


def _is_page_of(name: str | None, first: str) -> bool:
    return name is not None and (name == first or name.startswith(f"{first}."))


def opt_report(
    *, event_id: str, client_name: str, decided_at: datetime, opts: Sequence[Opt], page: str | None = None
) -> ReportRequest:
    """Return the report that says who takes part; one entry per resource."""
    return ReportRequest(
        event_id=event_id,
        client_name=client_name,
        report_name=opt_report_name(event_id, page),
        payload_descriptors=(
            ReportPayloadDescriptor(payload_type=ReportPayloadType.OPERATING_STATE),
            ReportPayloadDescriptor(payload_type=OPT),
        ),
        resources=tuple(
            ReportResource(
                resource_name=opt.resource_name,
                interval_period=IntervalPeriod(start=Start.of(opt.decided_at or decided_at), duration=ZERO),
                intervals=(
                    Interval(
                        id=0,
                        payloads=(
                            ValuesMap(type=ReportPayloadType.OPERATING_STATE, values=(opt.state.value,)),
                            ValuesMap(type=OPT, values=_said(opt)),
                        ),
                    ),
                ),
            )
            for opt in opts
        ),
    )


def _said(opt: Opt) -> tuple[str, ...]:
    if opt.opted_in:
        return (OPT_IN, opt.reason) if opt.reason else (OPT_IN,)
    return OPT_OUT, opt.reason or ""


def read_opts(resources: Iterable[ReportResource]) -> tuple[Opt, ...]:
    """Read the entries of an opt report; those without an OPT payload are left out."""
    opts: list[Opt] = []
    for resource in resources:
        default = resource.interval_period
        for interval in resource.intervals:
            values = {payload.type: payload.values for payload in interval.payloads}
            period = interval.interval_period or default
            if said := values.get(OPT):
                opts.append(
                    Opt(
                        resource_name=resource.resource_name,
                        opted_in=said[0] == OPT_IN,
                        reason=str(said[1]) if len(said) > 1 else None,
                        state=_state(values) or OperatingState.NORMAL,
                        decided_at=period.start.at if period is not None and period.start is not None else None,
                    )
                )
    return tuple(opts)


_STATUS_DESCRIPTORS: Final = (
    ReportPayloadDescriptor(payload_type=REQUESTED_SHED, units=Unit.KW),
    ReportPayloadDescriptor(payload_type=ReportPayloadType.BASELINE, units=Unit.KW, reading_type=ReadingType.ESTIMATED),
    ReportPayloadDescriptor(payload_type=ReportPayloadType.DEMAND, units=Unit.KW, reading_type=ReadingType.MEAN),
    ReportPayloadDescriptor(payload_type=DELIVERED_SHED, units=Unit.KW, reading_type=ReadingType.MEAN),
    ReportPayloadDescriptor(payload_type=GROSS_SHED, units=Unit.KW, reading_type=ReadingType.MEAN),
    ReportPayloadDescriptor(payload_type=FINAL_DEMAND, units=Unit.KW, reading_type=ReadingType.DIRECT_READ),
    ReportPayloadDescriptor(payload_type=ReportPayloadType.OPERATING_STATE),
)


def status_report(
    *, event_id: str, client_name: str, intervals: Sequence[ShedInterval], page: str | None = None
) -> ReportRequest:
    """Return the report that says what was done: an entry per resource, in it an interval per interval of the event."""
    resources: dict[str, list[Interval]] = {}
    with_gross = any(shed.gross_kw is not None for interval in intervals for shed in interval.sheds)
    for interval in intervals:
        period = IntervalPeriod(
            start=Start.of(interval.start),
            duration=FOREVER if interval.end is None else Duration.of(interval.end - interval.start),
        )
        for shed in interval.sheds:
            resources.setdefault(shed.resource_name, []).append(
                Interval(id=interval.id, interval_period=period, payloads=_payloads(shed))
            )
    return ReportRequest(
        event_id=event_id,
        client_name=client_name,
        report_name=status_report_name(event_id, page),
        payload_descriptors=tuple(
            each for each in _STATUS_DESCRIPTORS if with_gross or each.payload_type != GROSS_SHED
        ),
        resources=tuple(
            ReportResource(resource_name=name, intervals=tuple(intervals_)) for name, intervals_ in resources.items()
        ),
    )


def read_status(resources: Iterable[ReportResource]) -> tuple[ShedInterval, ...]:
    """Read the intervals of a status report, in the order of their starts.

    Of what is said twice about a resource from one start on, as by two pages of a report, the later word counts.
    """
    said: dict[tuple[str, datetime], tuple[int, datetime | None, Shed]] = {}
    for resource in resources:
        for interval in resource.intervals:
            period = interval.interval_period or resource.interval_period
            if period is None or period.start is None or period.start.at is None:
                continue
            start = period.start.at
            end = None if period.duration is None else period.duration.after(start)
            values = {payload.type: payload.values for payload in interval.payloads}
            said[resource.resource_name, start] = (
                interval.id,
                end,
                Shed(
                    resource_name=resource.resource_name,
                    requested_kw=_kw(values, REQUESTED_SHED),
                    original_kw=_kw(values, ReportPayloadType.BASELINE),
                    curtailed_kw=_kw(values, ReportPayloadType.DEMAND),
                    delivered_kw=_kw(values, DELIVERED_SHED),
                    final_kw=_kw(values, FINAL_DEMAND),
                    state=_state(values),
                    gross_kw=_kw(values, GROSS_SHED),
                ),
            )
    found: dict[tuple[int, datetime, datetime | None], list[Shed]] = {}
    for (_, start), (id_, end, shed) in said.items():
        found.setdefault((id_, start, end), []).append(shed)
    return tuple(
        ShedInterval(id_, start, end, tuple(sheds))
        for (id_, start, end), sheds in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    )


def count_unread(resources: Iterable[ReportResource]) -> int:
    """Return the number of powers in a status report that are no number, or too large to be one."""
    payloads = (payload for resource in resources for interval in resource.intervals for payload in interval.payloads)
    return sum(
        payload.type in _POWERS and _kw({payload.type: payload.values}, payload.type) is None for payload in payloads
    )


_POWERS: Final = frozenset(
    {
        *(REQUESTED_SHED, DELIVERED_SHED, GROSS_SHED, FINAL_DEMAND),
        *(ReportPayloadType.BASELINE.value, ReportPayloadType.DEMAND.value),
    }
)


def number(value: Decimal) -> float:
    """Return a quantity as it is written: exact to the watt or watt-hour, without a tail of binary digits."""
    return float(value.quantize(_WATT, ROUND_HALF_EVEN))


def _payloads(shed: Shed) -> tuple[ValuesMap, ...]:
    quantities = (
        (REQUESTED_SHED, shed.requested_kw),
        (ReportPayloadType.BASELINE.value, shed.original_kw),
        (ReportPayloadType.DEMAND.value, shed.curtailed_kw),
        (DELIVERED_SHED, shed.delivered_kw),
        (GROSS_SHED, shed.gross_kw),
        (FINAL_DEMAND, shed.final_kw),
    )
    payloads = tuple(ValuesMap(type=type_, values=(number(kw),)) for type_, kw in quantities if kw is not None)
    if shed.state is None:
        return payloads
    return (*payloads, ValuesMap(type=ReportPayloadType.OPERATING_STATE, values=(shed.state.value,)))


def _kw(values: Mapping[str, Sequence[object]], type_: str) -> Decimal | None:
    said = values.get(type_)
    if not said or isinstance(said[0], bool) or not isinstance(said[0], int | float) or not abs(said[0]) <= MOST:
        return None
    return Decimal(str(said[0]))


def _state(values: Mapping[str, Sequence[object]]) -> OperatingState | None:
    said = values.get(ReportPayloadType.OPERATING_STATE)
    try:
        return OperatingState(str(said[0])) if said else None
    except ValueError:
        return None
