"""What an event is made of: signals, intervals, values (B-EVT-025 to 039)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oadr_conformance.bodies import interval
from oadr_conformance.moments import from_now, order
from oadr_conformance.registry import Area
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.views import ToldEvent, ToldSignal, seconds_of

area = Area("2.0b, EiEvent", always="")


async def _three(probe: Probe20b) -> tuple[StrangerVen, ToldEvent, VtnReply]:
    """An event of three hours with a SIMPLE value and a price for each."""
    ven = await probe.registered()
    payloads = [
        {"id": number, "payloads": [{"type": "SIMPLE", "values": [value]}, {"type": "PRICE", "values": [0.1 * value]}]}
        for number, value in enumerate((1, 2, 0))
    ]
    descriptors = [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE", "units": "KWH", "currency": "EUR"}
    ]
    view = await probe.new_event(ven, intervals=payloads, payloadDescriptors=descriptors)
    return ven, view, (await ven.request_events()).of("oadrDistributeEvent")


@area.check("B-EVT-025", needs="operator")
async def open_ended(probe: Probe20b) -> None:
    """An event without an end has the duration 0, and so has its last interval."""
    ven = await probe.registered()
    view = await probe.new_event(ven, intervalPeriod={"start": from_now(hours=2), "duration": "P9999Y"})
    reply = await ven.request_events()
    reply.same("duration, in seconds", view.duration_s, 0)
    reply.same("duration of the last interval, in seconds", view.signals[0].durations_s[-1], 0)


@area.check("B-EVT-026", needs="operator")
async def uids(probe: Probe20b) -> None:
    """The uids of a signal's intervals begin at 0 and rise by 1."""
    _, view, reply = await _three(probe)
    for one in view.signals:
        reply.same("uids", one.uids, [str(number) for number in range(len(one.intervals))])


@area.check("B-EVT-027", needs="operator")
async def durations(probe: Probe20b) -> None:
    """The durations of every signal's intervals add up to that of the active period."""
    _, view, reply = await _three(probe)
    reply.same("duration of the active period, in seconds", view.duration_s, 3 * 3600)
    for one in view.signals:
        reply.same("sum of the intervals, in seconds", sum(one.durations_s), view.duration_s)


@area.check("B-EVT-028", needs="operator")
async def contiguous(probe: Probe20b) -> None:
    """Intervals follow each other without gap; one that tells its start tells the computed one."""
    _, view, reply = await _three(probe)
    for signal in view.signals:
        passed_s = 0
        for one, length_s in zip(signal.intervals, signal.durations_s, strict=True):
            told = one.maybe("xcal:dtstart/xcal:date-time")
            if told is not None:
                expected = view.start.timestamp() + passed_s
                reply.true(order(told)[0].timestamp() == expected, "the computed start of an interval", told)
            reply.true(length_s > 0, "an interval with a length", f"{length_s} s")
            passed_s += length_s
    values = _simple(view, reply).values
    reply.same("values in the order of time", values, [1.0, 2.0, 0.0])


@area.check("B-EVT-029", needs="operator")
async def simple_values(probe: Probe20b) -> None:
    """A SIMPLE signal is of the type level, and its values are 0, 1, 2 or 3."""
    _, view, reply = await _three(probe)
    one = _simple(view, reply)
    reply.same("signalType", one.type, "level")
    reply.true(set(one.values) <= {0, 1, 2, 3}, "values 0 to 3", one.values)


_CURRENT: Final[Mapping[str, tuple[dict[str, float], float]]] = {
    "before": ({"hours": 2}, 0.0),
    "while active": ({"minutes": -5}, 2.0),
}


@area.each("B-EVT-030", _CURRENT, needs="operator")
async def current_value(probe: Probe20b, case: tuple[dict[str, float], float]) -> None:
    """currentValue of a SIMPLE signal is the value of the running interval, and 0 while the event is not active."""
    offset, expected = case
    ven = await probe.registered()
    view = await probe.new_event(ven, 2, intervalPeriod={"start": from_now(**offset), "duration": "PT1H"})
    reply = await ven.request_events()
    reply.same("currentValue", _simple(view, reply).current, expected)


@area.check("B-EVT-031", needs="operator")
async def price(probe: Probe20b) -> None:
    """A price is a signal ELECTRICITY_PRICE of the type price, in a currency per kWh."""
    _, view, reply = await _three(probe)
    found = [one for one in view.signals if one.name.upper() == "ELECTRICITY_PRICE"]
    reply.true(found, "a signal ELECTRICITY_PRICE", [one.name for one in view.signals])
    reply.same("signalType", found[0].type, "price")
    reply.true(found[0].maybe("oadr:currencyPerKWh/oadr:itemUnits") == "EUR", "currencyPerKWh in EUR", reply.text[:300])


@area.check("B-EVT-032", needs="operator")
async def always_simple(probe: Probe20b) -> None:
    """An event has a SIMPLE signal too, for a VEN that knows no other."""
    ven = await probe.registered()
    view = await probe.new_event(ven, intervals=[interval(0, 0.3, "PRICE")])
    reply = await ven.request_events()
    _simple(view, reply)


@area.check("B-EVT-033", needs="operator")
async def signal_ids(probe: Probe20b) -> None:
    """The signals of an event have different signalIDs, in an order that stays."""
    ven, view, reply = await _three(probe)
    told = [one.id for one in view.signals]
    reply.true(len(told) > 1 and len(set(told)) == len(told), "different signalIDs", told)
    again = next(one for one in await ven.events() if one.id == view.id)
    reply.same("signalIDs", [one.id for one in again.signals], told)


@area.check("B-EVT-034", needs="operator")
async def targets_of_signals(probe: Probe20b) -> None:
    """The target of a signal names classes of devices and nothing else."""
    _, view, reply = await _three(probe)
    for one in view.signals:
        kinds = [str(part.tag).rpartition("}")[2] for part in one.all("ei:eiTarget/*")]
        reply.true(set(kinds) <= {"endDeviceAsset"}, "classes of devices", kinds)


@area.check("B-EVT-039", needs="operator")
async def baselines(probe: Probe20b) -> None:
    """The intervals of a baseline, if there is one, add up to its duration."""
    _, view, reply = await _three(probe)
    for element in view.all("ei:eiEvent/ei:eiEventSignals/ei:eiEventBaseline"):
        one = ToldSignal(element)
        told_s = seconds_of(one.text("xcal:duration/xcal:duration"))
        reply.same("sum of the baseline's intervals, in seconds", sum(one.durations_s), told_s)


def _simple(view: ToldEvent, reply: VtnReply) -> ToldSignal:
    found = [one for one in view.signals if one.name.upper() == "SIMPLE"]
    reply.true(found, "a signal SIMPLE", [one.name for one in view.signals])
    return found[0]
