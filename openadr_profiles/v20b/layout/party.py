"""Tables of the messages of EiRegisterParty."""

from __future__ import annotations

from typing import Final

from openadr_profiles.v20b.layout.common import A_BOOLEAN, A_TEXT, A_TOKEN, AN_ID, EI_RESPONSE, LENGTH
from openadr_profiles.v20b.layout.elements import Inside, Layout, Slot, Wrap
from openadr_profiles.v20b.messages.party import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    Extension,
    Info,
    Profile,
    QueryRegistration,
    RequestReregistration,
    ServiceInfo,
)

_REQUEST_ID: Final = Slot("request_id", "pyld:requestID", AN_ID)
_RESPONSE: Final = Slot("response", "ei:eiResponse", EI_RESPONSE)
_REGISTRATION_ID: Final = Slot("registration_id", "ei:registrationID", AN_ID)
_VEN_ID: Final = Slot("ven_id", "ei:venID", AN_ID)

QUERY_REGISTRATION: Final = Layout(QueryRegistration, _REQUEST_ID)

CREATE_PARTY_REGISTRATION: Final = Layout(
    CreatePartyRegistration,
    _REQUEST_ID,
    _REGISTRATION_ID,
    _VEN_ID,
    Slot("profile_name", "oadr:oadrProfileName", A_TOKEN),
    Slot("transport_name", "oadr:oadrTransportName", A_TOKEN),
    Slot("transport_address", "oadr:oadrTransportAddress", A_TEXT),
    Slot("report_only", "oadr:oadrReportOnly", A_BOOLEAN),
    Slot("xml_signature", "oadr:oadrXmlSignature", A_BOOLEAN),
    Slot("ven_name", "oadr:oadrVenName", AN_ID),
    Slot("http_pull_model", "oadr:oadrHttpPullModel", A_BOOLEAN),
)

_PROFILE: Final = Layout(
    Profile,
    Slot("name", "oadr:oadrProfileName", A_TOKEN),
    Wrap(
        "oadr:oadrTransports",
        (Slot("transports", "oadr:oadrTransport", Inside("oadr:oadrTransportName", A_TOKEN), many=True),),
    ),
)
_INFO: Final = Layout(Info, Slot("key", "oadr:oadrKey", A_TEXT), Slot("value", "oadr:oadrValue", A_TEXT))
_SERVICE_INFO: Final = Layout(
    ServiceInfo,
    Slot("name", "oadr:oadrServiceName", A_TOKEN),
    Slot("infos", "oadr:oadrInfo", _INFO, many=True),
)
_EXTENSION: Final = Layout(
    Extension,
    Slot("name", "oadr:oadrExtensionName", A_TEXT),
    Slot("infos", "oadr:oadrInfo", _INFO, many=True),
)

CREATED_PARTY_REGISTRATION: Final = Layout(
    CreatedPartyRegistration,
    _RESPONSE,
    _REGISTRATION_ID,
    _VEN_ID,
    Slot("vtn_id", "ei:vtnID", AN_ID),
    Wrap("oadr:oadrProfiles", (Slot("profiles", "oadr:oadrProfile", _PROFILE, many=True),)),
    Slot("requested_poll_freq", "oadr:oadrRequestedOadrPollFreq", LENGTH),
    Wrap(
        "oadr:oadrServiceSpecificInfo",
        (Slot("service_specific_info", "oadr:oadrService", _SERVICE_INFO, many=True),),
    ),
    Wrap("oadr:oadrExtensions", (Slot("extensions", "oadr:oadrExtension", _EXTENSION, many=True),)),
)

CANCEL_PARTY_REGISTRATION: Final = Layout(CancelPartyRegistration, _REQUEST_ID, _REGISTRATION_ID, _VEN_ID)

CANCELED_PARTY_REGISTRATION: Final = Layout(CanceledPartyRegistration, _RESPONSE, _REGISTRATION_ID, _VEN_ID)

REQUEST_REREGISTRATION: Final = Layout(RequestReregistration, _VEN_ID)
