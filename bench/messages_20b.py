"""Messages of OpenADR 2.0b that are measured: ten events of a day each, in our form and in openleadr's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace
from openleadr import objects

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.durations import Duration20b

EVENTS: Final = 10
INTERVALS: Final = 24
_START: Final = datetime(2035, 6, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)


def distribution(keeping: Callable[[Any], tuple[m.Interval, ...]] = tuple) -> m.DistributeEvent:
    """Return an oadrDistributeEvent of ten events with a signal of 24 intervals each; ``keeping`` wraps intervals."""
    event = m.Event(
        descriptor=m.EventDescriptor(
            event_id="event",
            modification_number=0,
            market_context="http://market",
            created_date_time=_START,
            event_status="far",
        ),
        active_period=m.Period(start=_START, duration=Duration20b.of(INTERVALS * _HOUR)),
        signals=(
            m.Signal(
                intervals=tuple(
                    m.Interval(
                        duration=Duration20b.of(_HOUR), uid=str(number), payloads=(m.SignalPayload(value=number % 4),)
                    )
                    for number in range(INTERVALS)
                ),
                signal_name="SIMPLE",
                signal_type="level",
                signal_id="simple",
                current_value=0.0,
            ),
        ),
        target=m.Target(ven_ids=("VEN-1",)),
    )
    events = []
    for number in range(EVENTS):
        signals = tuple(replace(signal, intervals=keeping(signal.intervals)) for signal in event.signals)
        descriptor = replace(event.descriptor, event_id=f"event-{number}")
        events.append(replace(event, descriptor=descriptor, signals=signals))
    return m.DistributeEvent(request_id="r", vtn_id="VTN", events=tuple(events))


def events_of_openleadr() -> list[Any]:
    """Return the same events as openleadr has them."""
    return [
        objects.Event(
            event_descriptor=objects.EventDescriptor(
                event_id=f"event-{number}",
                modification_number=0,
                market_context="http://market",
                event_status="far",
                created_date_time=_START,
            ),
            event_signals=[
                objects.EventSignal(
                    intervals=[
                        objects.Interval(dtstart=_START + place * _HOUR, duration=_HOUR, signal_payload=place % 4)
                        for place in range(INTERVALS)
                    ],
                    signal_name="SIMPLE",
                    signal_type="level",
                    signal_id="simple",
                    current_value=0,
                )
            ],
            targets=[objects.Target(ven_id="VEN-1")],
        )
        for number in range(EVENTS)
    ]
