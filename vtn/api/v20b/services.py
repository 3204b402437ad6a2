"""Say which message belongs to which service, and the reply of each (requirements 1.2, 1.3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from openadr_profiles.v20b import messages as m
from vtn.store.ids import new_id


class Service20b(StrEnum):
    """Name a service as the last part of its path, in exactly this case."""

    EI_REGISTER_PARTY = "EiRegisterParty"
    EI_EVENT = "EiEvent"
    EI_REPORT = "EiReport"
    EI_OPT = "EiOpt"
    OADR_POLL = "OadrPoll"


PATH: Final = "/OpenADR2/Simple/2.0b/"
"""What stands before the name of a service in its path."""

TO_VTN: Final[dict[Service20b, frozenset[type[m.Message]]]] = {
    Service20b.EI_REGISTER_PARTY: frozenset(
        {
            m.QueryRegistration,
            m.CreatePartyRegistration,
            m.CancelPartyRegistration,
            m.CanceledPartyRegistration,
            m.Response,
        }
    ),
    Service20b.EI_EVENT: frozenset({m.RequestEvent, m.CreatedEvent}),
    Service20b.EI_REPORT: frozenset(
        {
            m.RegisterReport,
            m.RegisteredReport,
            m.CreateReport,
            m.CreatedReport,
            m.UpdateReport,
            m.UpdatedReport,
            m.CancelReport,
            m.CanceledReport,
            m.Response,
        }
    ),
    Service20b.EI_OPT: frozenset({m.CreateOpt, m.CancelOpt}),
    Service20b.OADR_POLL: frozenset({m.Poll}),
}
"""What a VEN may send to each service of a VTN; anything else is 453 (B-GEN-012)."""


def refusal(
    name: str,
    response: m.EiResponse,
    *,
    vtn_id: str,
    profiles: tuple[m.Profile, ...],
    ven_id: str | None = None,
    opt_id: str | None = None,
    registration_id: str | None = None,
) -> m.Message:
    """Return the reply to a message of this name (``oadrPoll``) that is not done: of the matching type, schema-valid.

    The answer to what is wrong in a registration names neither id (B-REG-005); ``opt_id`` and ``registration_id`` are
    echoed in the replies that have them (B-REG-012, B-OPT-008).
    """
    reply: m.Message
    match name:
        case "oadrQueryRegistration" | "oadrCreatePartyRegistration":
            reply = m.CreatedPartyRegistration(response=response, vtn_id=vtn_id, profiles=profiles)
        case "oadrCancelPartyRegistration":
            reply = m.CanceledPartyRegistration(response=response, registration_id=registration_id, ven_id=ven_id)
        case "oadrRegisterReport":
            reply = m.RegisteredReport(response=response, ven_id=ven_id)
        case "oadrCreateReport":
            reply = m.CreatedReport(response=response, ven_id=ven_id)
        case "oadrUpdateReport":
            reply = m.UpdatedReport(response=response, ven_id=ven_id)
        case "oadrCancelReport":
            reply = m.CanceledReport(response=response, ven_id=ven_id)
        case "oadrCreateOpt":
            reply = m.CreatedOpt(response=response, opt_id=opt_id or "")
        case "oadrCancelOpt":
            reply = m.CanceledOpt(response=response, opt_id=opt_id)
        case "oadrRequestEvent":
            reply = m.DistributeEvent(response=response, request_id=response.request_id or new_id(), vtn_id=vtn_id)
        case _:
            reply = m.Response(response=response, ven_id=ven_id)
    return reply
