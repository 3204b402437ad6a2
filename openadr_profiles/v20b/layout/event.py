"""Tables of the messages of EiEvent."""

from __future__ import annotations

from typing import Final

from lxml.etree import _Element

from openadr_profiles.v20b.layout.common import (
    A_COUNT,
    A_TEXT,
    A_TOKEN,
    A_URI,
    AN_ID,
    AN_INSTANT,
    DTSTART,
    EI_RESPONSE,
    INTERVALS,
    ITEM_BASE,
    LENGTH,
    PERIOD,
    QUALIFIED_EVENT_ID,
    TARGET,
    VALUE,
)
from openadr_profiles.v20b.layout.elements import Fixed, Inside, Layout, Named, Out, Slot, Wrap
from openadr_profiles.v20b.messages.event import (
    Baseline,
    CreatedEvent,
    DistributeEvent,
    Event,
    EventDescriptor,
    EventResponse,
    RequestEvent,
    Signal,
    WrittenEvent,
)

_DESCRIPTOR: Final = Layout(
    EventDescriptor,
    Slot("event_id", "ei:eventID", AN_ID),
    Slot("modification_number", "ei:modificationNumber", A_COUNT),
    Slot("modification_date_time", "ei:modificationDateTime", AN_INSTANT),
    Slot("modification_reason", "ei:modificationReason", A_TEXT),
    Slot("priority", "ei:priority", A_COUNT),
    Slot("market_context", "ei:eiMarketContext", Inside("emix:marketContext", A_URI)),
    Slot("created_date_time", "ei:createdDateTime", AN_INSTANT),
    Slot("event_status", "ei:eventStatus", A_TOKEN),
    Slot("test_event", "ei:testEvent", A_TEXT),
    Slot("vtn_comment", "ei:vtnComment", A_TEXT),
)

_SIGNAL: Final = Layout(
    Signal,
    INTERVALS,
    Slot("target", "ei:eiTarget", TARGET),
    Slot("signal_name", "ei:signalName", A_TOKEN),
    Slot("signal_type", "ei:signalType", A_TOKEN),
    Slot("signal_id", "ei:signalID", AN_ID),
    Named("item_base", ITEM_BASE),
    Slot("current_value", "ei:currentValue", Inside("ei:payloadFloat", VALUE)),
)

_BASELINE: Final = Layout(
    Baseline,
    Slot("start", "xcal:dtstart", DTSTART),
    Slot("duration", "xcal:duration", LENGTH),
    INTERVALS,
    Slot("baseline_id", "ei:baselineID", AN_ID),
    Slot("resource_ids", "ei:resourceID", AN_ID, many=True),
    Slot("baseline_name", "ei:baselineName", A_TEXT),
    Named("item_base", ITEM_BASE),
)

EVENT_TAG: Final = "oadr:oadrEvent"
EVENT_TARGET_TAG: Final = "ei:eiTarget"
EVENT: Final = Layout(
    Event,
    Wrap(
        "ei:eiEvent",
        (
            Slot("descriptor", "ei:eventDescriptor", _DESCRIPTOR),
            Wrap(
                "ei:eiActivePeriod",
                (Slot("active_period", "xcal:properties", PERIOD), Fixed("xcal:components")),
                always=True,
            ),
            Wrap(
                "ei:eiEventSignals",
                (
                    Slot("signals", "ei:eiEventSignal", _SIGNAL, many=True),
                    Slot("baseline", "ei:eiEventBaseline", _BASELINE),
                ),
                always=True,
            ),
            Slot("target", EVENT_TARGET_TAG, TARGET),
        ),
        always=True,
    ),
    Slot("response_required", "oadr:oadrResponseRequired", A_TOKEN),
)


class _EventForm:
    """Write an event, or what is written of it already."""

    def read(self, element: _Element) -> Event:
        """Return the event; raises Unreadable."""
        return EVENT.read(element)

    def write(self, out: Out, tag: str, value: Event) -> None:
        """Append the element; raises Unwritable."""
        if isinstance(value, WrittenEvent):
            out.append(value.text)
        else:
            EVENT.write(out, tag, value)


REQUEST_EVENT: Final = Layout(
    RequestEvent,
    Wrap(
        "pyld:eiRequestEvent",
        (
            Slot("request_id", "pyld:requestID", AN_ID),
            Slot("ven_id", "ei:venID", AN_ID),
            Slot("reply_limit", "pyld:replyLimit", A_COUNT),
        ),
    ),
)

DISTRIBUTE_EVENT: Final = Layout(
    DistributeEvent,
    Slot("response", "ei:eiResponse", EI_RESPONSE),
    Slot("request_id", "pyld:requestID", AN_ID),
    Slot("vtn_id", "ei:vtnID", AN_ID),
    Slot("events", EVENT_TAG, _EventForm(), many=True),
)

_EVENT_RESPONSE: Final = Layout(
    EventResponse,
    Slot("code", "ei:responseCode", A_TOKEN),
    Slot("description", "ei:responseDescription", A_TEXT),
    Slot("request_id", "pyld:requestID", AN_ID),
    Slot("qualified_event_id", "ei:qualifiedEventID", QUALIFIED_EVENT_ID),
    Slot("opt_type", "ei:optType", A_TOKEN),
)

CREATED_EVENT: Final = Layout(
    CreatedEvent,
    Wrap(
        "pyld:eiCreatedEvent",
        (
            Slot("response", "ei:eiResponse", EI_RESPONSE),
            Wrap("ei:eventResponses", (Slot("event_responses", "ei:eventResponse", _EVENT_RESPONSE, many=True),)),
            Slot("ven_id", "ei:venID", AN_ID),
        ),
    ),
)
