"""The table of all messages, by the name of their element."""

from __future__ import annotations

from typing import Any, Final

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.layout import event, opt, party, report
from openadr_profiles.v20b.layout.common import AN_ID, EI_RESPONSE
from openadr_profiles.v20b.layout.elements import Layout, Slot

_POLL: Final = Layout(m.Poll, Slot("ven_id", "ei:venID", AN_ID))
_RESPONSE: Final = Layout(m.Response, Slot("response", "ei:eiResponse", EI_RESPONSE), Slot("ven_id", "ei:venID", AN_ID))

LAYOUTS: Final[dict[type[m.Message], Layout[Any]]] = {
    m.QueryRegistration: party.QUERY_REGISTRATION,
    m.CreatePartyRegistration: party.CREATE_PARTY_REGISTRATION,
    m.CreatedPartyRegistration: party.CREATED_PARTY_REGISTRATION,
    m.CancelPartyRegistration: party.CANCEL_PARTY_REGISTRATION,
    m.CanceledPartyRegistration: party.CANCELED_PARTY_REGISTRATION,
    m.RequestReregistration: party.REQUEST_REREGISTRATION,
    m.RequestEvent: event.REQUEST_EVENT,
    m.DistributeEvent: event.DISTRIBUTE_EVENT,
    m.CreatedEvent: event.CREATED_EVENT,
    m.RegisterReport: report.REGISTER_REPORT,
    m.RegisteredReport: report.REGISTERED_REPORT,
    m.CreateReport: report.CREATE_REPORT,
    m.CreatedReport: report.CREATED_REPORT,
    m.UpdateReport: report.UPDATE_REPORT,
    m.UpdatedReport: report.UPDATED_REPORT,
    m.CancelReport: report.CANCEL_REPORT,
    m.CanceledReport: report.CANCELED_REPORT,
    m.CreateOpt: opt.CREATE_OPT,
    m.CreatedOpt: opt.CREATED_OPT,
    m.CancelOpt: opt.CANCEL_OPT,
    m.CanceledOpt: opt.CANCELED_OPT,
    m.Poll: _POLL,
    m.Response: _RESPONSE,
}

NAMES: Final[dict[type[m.Message], str]] = {type_: f"oadr{type_.__name__}" for type_ in LAYOUTS}
"""The name of each message's element, without namespace."""

BY_NAME: Final[dict[str, Layout[Any]]] = {NAMES[type_]: layout for type_, layout in LAYOUTS.items()}
