"""Basis in the standard of each check of a VEN, or why it is a ruling of ours."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from oadr_conformance.basis import Basis, Source

PREFIXES: Final = ("VENCLIENT-", "RDESC-")


def _definition(place: str, says: str) -> Basis:
    return Basis(Source.DEFINITION, place, says)


def _openapi(place: str, says: str) -> Basis:
    return Basis(Source.OPENAPI, place, says)


_REPORT: Final = _openapi("reportRequest", "eventID, clientName and resources are required")
_CLIENT_SILENT: Final = "the standard does not say what a VEN does when a VTN has trouble"
_TOKENS: Final = "when a client renews its token, the standard leaves to the client"

VEN_RULINGS: Final[Mapping[str, str]] = {
    "VENCLIENT-004": _TOKENS,
    "VENCLIENT-005": _TOKENS,
    "VENCLIENT-008/*looks*": "a client may as well learn from the 409 that its ven is there",
    "VENCLIENT-010/polls*": "how often a VEN polls, the standard leaves to the VEN",
    "VENCLIENT-010/asks*": "the standard says nothing of validators",
    "VENCLIENT-025/reads again*": _CLIENT_SILENT,
    "RDESC-019": "that reports repeat the descriptor, only the User Guide says",
    "RDESC-022": "what becomes of the reports about a deleted event, only the User Guide says",
    "RDESC-023": _CLIENT_SILENT,
}
"""Requirement, or key of a check, with `*` and `?` -> why the standard does not decide it."""

VEN_BASES: Final[Mapping[str, tuple[Basis, ...]]] = {
    "VENCLIENT-006/bears*": (_openapi("security", "each operation names the scope of the token that it needs"),),
    "VENCLIENT-006": (
        Basis(Source.RFC, "6749 section 4.4.2", "a token request is a form with grant_type=client_credentials"),
    ),
    "VENCLIENT-007": (
        _openapi("searchAllEvents", "limit is the most that is returned, skip the number that is left out"),
    ),
    "VENCLIENT-008": (_openapi("venVenRequest, venResourceRequest", "objectType and the name are required"),),
    "VENCLIENT-013": (_openapi("subscriptionRequest", "clientName and objectOperations are required"),),
    "VENCLIENT-019": (_definition("Payload Enumerations", "there may be private ones, which not everybody knows"),),
    "VENCLIENT-021": (_REPORT, _openapi("intervals", "id and payloads are required, a payload has type and values")),
    "VENCLIENT-025": (Basis(Source.RFC, "9110 section 10.2.3", "Retry-After says how long a client ought to wait"),),
    "RDESC-001": (_openapi("reportDescriptor.payloadType", "the type of payload that is reported"),),
    "RDESC-004": (_openapi("reportDescriptor.historical", "true: the report is about intervals that are over"),),
    "RDESC-006": (_openapi("reportDescriptor.repeat", "the number of reports; 1 is the default"),),
    "RDESC-013": (_openapi("reportDescriptor.reportIntervals", "INTERVALS, the default: those of the event"),),
    "RDESC-016": (
        _openapi("reportDescriptor.aggregate", "true: one report for all resources together"),
        _definition("Resource Name Enumerations", "AGGREGATED_REPORT names all resources together"),
    ),
    "RDESC-017": (_openapi("reportDescriptor.targets", "who reports is narrowed by targets"),),
}
"""Requirement, or key of a check, with `*` and `?` -> the sentences it rests on."""


@cache
def ven_ruling_of(requirement: str, case: str) -> str:
    """Return the reason why the standard does not decide this check; empty if it does, or if it is not of a VEN."""
    return next((why for pattern, why in VEN_RULINGS.items() if _matches(pattern, requirement, case)), "")


@cache
def ven_basis_of(requirement: str, case: str) -> tuple[Basis, ...]:
    """Return the sentences this check rests on; none where the table has no line for it."""
    return next((bases for pattern, bases in VEN_BASES.items() if _matches(pattern, requirement, case)), ())


def _matches(pattern: str, requirement: str, case: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (requirement, f"{requirement}/{case}"))
