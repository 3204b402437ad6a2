"""Random messages of OpenADR 2.0b, within what its schema allows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec import Struct

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.layout.messages import LAYOUTS

texts = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=["Cs", "Cc"],
        exclude_characters="\ufffe\uffff",
        include_characters="\t\n\r",
    ),
    max_size=9,
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
_POWER = m.PowerAttributes(hertz=Decimal(50), voltage=Decimal("230.5"), ac=True)
_UNITS = [
    m.ItemBase(name="powerReal", description="RealPower", units="W", scale="k", power_attributes=_POWER),
    m.ItemBase(name="powerReactive", description="ReactivePower", units="VAR", scale="M", power_attributes=_POWER),
    m.ItemBase(name="energyReal", description="RealEnergy", units="Wh", scale="k"),
    m.ItemBase(name="voltage", description="Voltage", units="V", scale="none"),
    m.ItemBase(name="current", description="Current", units="A", scale="m"),
    m.ItemBase(name="currencyPerKWh", description="currencyPerKWh", units="EUR", scale="none"),
    m.ItemBase(name="currencyPerThm", description="currency", units="USD", scale="c"),
    m.ItemBase(name="temperature", description="temperature", units="celsius", scale="none"),
    m.ItemBase(name="frequency", description="Frequency", units="Hz", scale="none"),
    m.ItemBase(name="Therm", description="Therm", units="thm", scale="none"),
    m.ItemBase(name="pulseCount", description="pulse count", units="count", scale=None, pulse_factor=0.25),
    m.ItemBase(name="customUnit", description="a & b", units="<x>", scale="micro"),
]
_WORDS: dict[str, list[str]] = {
    "profile_name": ["2.0a", "2.0b"],
    "transport_name": ["simpleHttp", "xmpp"],
    "transports": ["simpleHttp", "xmpp"],
    "code": ["200", "452", "999"],
    "event_status": ["none", "far", "near", "active", "completed", "cancelled"],
    "signal_name": ["SIMPLE", "simple", "LOAD_DISPATCH", "x-private"],
    "signal_type": ["level", "price", "setpoint", "x-loadControlSetpoint"],
    "response_required": ["always", "never"],
    "opt_type": ["optIn", "optOut"],
    "opt_reason": ["economic", "x-schedule", "x-mine"],
    "report_type": ["usage", "x-resourceStatus"],
    "reading_type": ["Direct Read", "x-notApplicable"],
    "report_name": ["METADATA_TELEMETRY_USAGE", "TELEMETRY_STATUS", "x-mine"],
    "data_quality": ["Quality Good - Non Specific", "No Quality - No Value", "x-mine"],
    "market_context": ["http://example.com/a?b=c&d=e", "", "Marché"],
}
_MEMBERS: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (m.Profile, "name"): st.sampled_from(["2.0a", "2.0b"]),
    (m.ServiceInfo, "name"): st.sampled_from(["EiEvent", "OadrPoll"]),
    (m.ReportPayload, "confidence"): st.none() | st.integers(0, 100),
}
_NOT_EMPTY = {
    (m.Signal, "intervals"),
    (m.Baseline, "intervals"),
    (m.Event, "signals"),
    (m.CreatedPartyRegistration, "profiles"),
    (m.Profile, "transports"),
    (m.ServiceInfo, "infos"),
    (m.ReportSpecifier, "payloads"),
    (m.CreateReport, "report_requests"),
    (m.CancelReport, "report_request_ids"),
}
_PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(0, 2**31 - 1),
    float: numbers,
    bool: st.booleans(),
    NoneType: st.none(),
    datetime: st.datetimes(datetime(1, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001 (the strategy adds the zone)
    Duration20b: st.builds(
        lambda seconds, months, sign: Duration20b(sign * seconds, sign * months),
        st.integers(0, 10**9),
        st.integers(0, 99),
        st.sampled_from([1, -1]),
    ),
    m.ItemBase: st.sampled_from(_UNITS),
}
_payloads = st.one_of(
    *(
        st.deferred(lambda kind=kind: st.lists(objects(kind), min_size=1, max_size=2).map(tuple))  # type: ignore[misc] # a lambda with a default has no type
        for kind in (m.SignalPayload, m.ReportPayload)
    )
)


def objects(type_: type[Struct]) -> st.SearchStrategy[Any]:
    """Return random objects of a message or a part of one."""
    hints = get_type_hints(type_)
    return st.builds(type_, **{name: _member(type_, name, hint) for name, hint in hints.items()})


def _member(type_: type[Struct], name: str, hint: Any) -> st.SearchStrategy[Any]:
    if (type_, name) in _MEMBERS:
        return _MEMBERS[type_, name]
    if (type_, name) == (m.Interval, "payloads"):
        return _payloads
    return _values(hint, _WORDS.get(name), least=int((type_, name) in _NOT_EMPTY))


def _values(hint: Any, words: list[str] | None, least: int) -> st.SearchStrategy[Any]:
    if hint is str and words is not None:
        return st.sampled_from(words)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of(*(_values(each, words, least) for each in get_args(hint)))
    if get_origin(hint) is tuple:
        return st.lists(_values(get_args(hint)[0], words, 0), min_size=least, max_size=2).map(tuple)
    return st.deferred(lambda: objects(hint))


messages = st.sampled_from(list(LAYOUTS)).flatmap(objects)
"""Any message, each kind as often as any other."""
