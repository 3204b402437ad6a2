"""The union of all messages."""

from __future__ import annotations

from typing import TypeAlias

from openadr_profiles.v20b.messages.event import CreatedEvent, DistributeEvent, RequestEvent
from openadr_profiles.v20b.messages.opt import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from openadr_profiles.v20b.messages.party import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    QueryRegistration,
    RequestReregistration,
)
from openadr_profiles.v20b.messages.poll import Poll, Response
from openadr_profiles.v20b.messages.report import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)

Message: TypeAlias = (
    QueryRegistration
    | CreatePartyRegistration
    | CreatedPartyRegistration
    | CancelPartyRegistration
    | CanceledPartyRegistration
    | RequestReregistration
    | RequestEvent
    | DistributeEvent
    | CreatedEvent
    | RegisterReport
    | RegisteredReport
    | CreateReport
    | CreatedReport
    | UpdateReport
    | UpdatedReport
    | CancelReport
    | CanceledReport
    | CreateOpt
    | CreatedOpt
    | CancelOpt
    | CanceledOpt
    | Poll
    | Response
)
"""Every message of both directions."""
