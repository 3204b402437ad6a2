"""Messages of the service EiRegisterParty."""

from __future__ import annotations

from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.messages.common import EiResponse, Part


class QueryRegistration(Part, frozen=True, kw_only=True):
    """Ask a VTN what it offers (B-REG-001)."""

    request_id: str


class CreatePartyRegistration(Part, frozen=True, kw_only=True):
    """Register a VEN, or again with the ``registration_id`` it has (B-REG-007)."""

    request_id: str
    registration_id: str | None = None
    ven_id: str | None = None
    profile_name: str
    transport_name: str
    transport_address: str | None = None
    report_only: bool
    xml_signature: bool
    ven_name: str | None = None
    http_pull_model: bool | None = None


class Profile(Part, frozen=True, kw_only=True):
    """A version that a VTN speaks, and over which transports."""

    name: str
    transports: tuple[str, ...]


class Info(Part, frozen=True, kw_only=True):
    """A key and its value."""

    key: str
    value: str


class ServiceInfo(Part, frozen=True, kw_only=True):
    """Hold what a VTN says about one of its services."""

    name: str
    infos: tuple[Info, ...]


class Extension(Part, frozen=True, kw_only=True):
    """Something beyond the profile that a VTN offers."""

    name: str
    infos: tuple[Info, ...] = ()


class CreatedPartyRegistration(Part, frozen=True, kw_only=True):
    """Answer a query or a registration; a refused one has no ``registration_id`` (B-REG-005)."""

    response: EiResponse
    registration_id: str | None = None
    ven_id: str | None = None
    vtn_id: str
    profiles: tuple[Profile, ...]
    requested_poll_freq: Duration20b | None = None
    service_specific_info: tuple[ServiceInfo, ...] = ()
    extensions: tuple[Extension, ...] = ()


class CancelPartyRegistration(Part, frozen=True, kw_only=True):
    """End a registration; either side may."""

    request_id: str
    registration_id: str
    ven_id: str | None = None


class CanceledPartyRegistration(Part, frozen=True, kw_only=True):
    """Answer the end of a registration (B-REG-012, B-REG-013)."""

    response: EiResponse
    registration_id: str | None = None
    ven_id: str | None = None


class RequestReregistration(Part, frozen=True, kw_only=True):
    """Ask a VEN to register again (B-REG-010)."""

    ven_id: str
