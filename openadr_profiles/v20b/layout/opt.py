"""Tables of the messages of EiOpt."""

from __future__ import annotations

from typing import Final

from openadr_profiles.v20b.layout.common import (
    A_TOKEN,
    A_URI,
    AN_ID,
    AN_INSTANT,
    EI_RESPONSE,
    PERIOD,
    QUALIFIED_EVENT_ID,
    TARGET,
)
from openadr_profiles.v20b.layout.elements import Inside, Layout, Slot, Wrap
from openadr_profiles.v20b.messages.opt import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt

_AVAILABLE: Final = Slot("availabilities", "xcal:available", Inside("xcal:properties", PERIOD), many=True)

CREATE_OPT: Final = Layout(
    CreateOpt,
    Slot("opt_id", "ei:optID", AN_ID),
    Slot("opt_type", "ei:optType", A_TOKEN),
    Slot("opt_reason", "ei:optReason", A_TOKEN),
    Slot("market_context", "emix:marketContext", A_URI),
    Slot("ven_id", "ei:venID", AN_ID),
    Wrap("xcal:vavailability", (Wrap("xcal:components", (_AVAILABLE,)),)),
    Slot("created_date_time", "ei:createdDateTime", AN_INSTANT),
    Slot("request_id", "pyld:requestID", AN_ID),
    Slot("qualified_event_id", "ei:qualifiedEventID", QUALIFIED_EVENT_ID),
    Slot("target", "ei:eiTarget", TARGET),
    Slot("device_class", "oadr:oadrDeviceClass", TARGET),
)

CREATED_OPT: Final = Layout(
    CreatedOpt, Slot("response", "ei:eiResponse", EI_RESPONSE), Slot("opt_id", "ei:optID", AN_ID)
)

CANCEL_OPT: Final = Layout(
    CancelOpt,
    Slot("request_id", "pyld:requestID", AN_ID),
    Slot("opt_id", "ei:optID", AN_ID),
    Slot("ven_id", "ei:venID", AN_ID),
)

CANCELED_OPT: Final = Layout(
    CanceledOpt, Slot("response", "ei:eiResponse", EI_RESPONSE), Slot("opt_id", "ei:optID", AN_ID)
)
