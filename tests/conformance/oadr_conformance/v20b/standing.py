"""Basis of every check of 2.0b: a rule of the profile, its schema or the security rules; else it is our ruling.

Rules are those of the profile specification, by the numbers that its test documents use. What neither says, and what
only other products do, is a ruling of ours: a VTN that does otherwise conforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from oadr_conformance.basis import Basis, Source


def _rule(number: int, says: str) -> Basis:
    return Basis(Source.RULES_20B, f"rule {number}", says)


def _schema(place: str, says: str) -> Basis:
    return Basis(Source.SCHEMA_20B, place, says)


def _security(says: str) -> Basis:
    return Basis(Source.SECURITY_20B, "TLS and certificates", says)


_FAULT: Final = Basis(Source.RFC, "9110 section 15.6", "5xx says that the server erred, not the client")
_OPEN: Final = "the profile does not say what a VTN answers here"
_OTHERS: Final = "other products do so, and the profile does not ask for it"
_ORDER: Final = "the profile gives no order"
_CODES: Final = "the profile does not say which refusal"

RULINGS20B: Final[Mapping[str, str]] = {
    "B-GEN-002/schema version received*": _OPEN,
    "B-GEN-011": "the profile does not say what a repeated message does",
    "B-GEN-012": _OPEN,
    "B-REG-005": _CODES,
    "B-REG-006/push address: l*": "which addresses are safe to call is the VTN's decision",
    "B-REG-006/push address: [mf]*": "which addresses are safe to call is the VTN's decision",
    "B-REG-007": _OPEN,
    "B-REG-008": _CODES,
    "B-REG-009": _OPEN,
    "B-REG-010": _OTHERS,
    "B-REG-011": _OPEN,
    "B-REG-012/cancel another": _CODES,
    "B-REG-013": _OPEN,
    "B-REG-014": _OTHERS,
    "B-REG-017": _OPEN,
    "B-POL-003": _OTHERS,
    "B-POL-004": "the profile does not say when an event is offered again",
    "B-TRN-001/exact paths*": "a VTN may serve further paths",
    "B-TRN-005/sent again: no XML": _OPEN,
    "B-TRN-005/sent again: a refusal": _OPEN,
    "B-TRN-005/one at a time": _ORDER,
    "B-EVT-002": _ORDER,
    "B-EVT-005": _OPEN,
    "B-EVT-006": _OPEN,
    "B-EVT-013": "the profile leaves it to a VTN when it computes the status",
    "B-EVT-019": "the schema has the value",
    "B-EVT-028": _ORDER,
    "B-EVT-031": "the profile's table of signals is not in the schema",
    "B-EVT-032": "a program may leave it out",
    "B-EVT-033": _OPEN,
    "B-EVT-034": _OTHERS,
    "B-EVT-040": _OPEN,
    "B-CRE-001/opt reaches business logic": "OpenADR 3 has no opt: how business logic sees it is ours",
    "B-CRE-007": _OTHERS,
    "B-OPT-001": _OPEN,
    "B-OPT-003": _CODES,
    "B-OPT-004": _OPEN,
    "B-OPT-005": _OPEN,
    "B-OPT-007": _OPEN,
    "B-OPT-008": _OPEN,
    "B-RPT-001": _OTHERS,
    "B-RPT-004": _OPEN,
    "B-RPT-005": _OTHERS,
    "B-RPT-008": _OTHERS,
    "B-RPT-01[0123]": _OPEN,
    "B-RPT-02[01]*": _OPEN,
    "B-RPT-023": _OPEN,
    "B-SEC-007": _OPEN,
    "B-SEC-011": _OPEN,
    "B-SEC-012": _OPEN,
    "B-SEC-014": "the security rules leave it to a VTN whether it asks for revocations and how it treats the clock",
}
"""Requirement, or key of a check, with `*`, `?` and `[...]` -> why the profile does not decide it."""

BASES20B: Final[Mapping[str, tuple[Basis, ...]]] = {
    "B-GEN-001": (_rule(1, "times are UTC, with Z"),),
    "B-GEN-002": (_schema("schemaVersion", "names the version of the message; this is profile 2.0b"),),
    "B-GEN-003": (_rule(45, "messages carry no schemaLocation"),),
    "B-GEN-00[45]": (_rule(21, "vtnID and venID are those of the parties"),),
    "B-GEN-006": (_schema("requestID, venID, optID", "texts, without any conversion"),),
    "B-GEN-00[78]": (_rule(44, "an answer repeats the requestID, which may be empty"),),
    "B-GEN-009": (_rule(41, "requestIDs need not be unique"), _rule(43, "nor over services")),
    "B-GEN-010": (_rule(46, "optional elements are understood or ignored"),),
    "B-GEN-013": (_schema("oadrPayload", "a message is valid by it"),),
    "B-GEN-014": (_rule(25, "the overall failure is in eiResponse"),),
    "B-GEN-015": (_schema("requestID, vtnComment", "texts; XML escapes what is markup in them"),),
    "B-REG-001": (_schema("oadrQueryRegistration", "asks before a registration for profiles and transports"),),
    "B-REG-002": (_schema("oadrCreatedPartyRegistration", "registrationID and venID of a registered VEN"),),
    "B-REG-003": (_schema("oadrCreatedPartyRegistration", "gives registrationID and venID"),),
    "B-REG-004": (_schema("oadrRequestedOadrPollFreq", "tells a VEN that pulls how often"),),
    "B-REG-006": (_schema("oadrTransportAddress", "not required only of a VEN that pulls"),),
    "B-REG-012": (_schema("oadrCanceledPartyRegistration", "answers oadrCancelPartyRegistration"),),
    "B-REG-015": (_schema("oadrReportOnly", "a device that only reports"),),
    "B-POL-001": (_schema("oadrSignedObject", "holds exactly one message"),),
    "B-POL-002": (_schema("oadrResponse", "answers a poll when nothing is pending"),),
    "B-POL-005": (_rule(55, "a VEN polls at the frequency that it was told, on average"),),
    "B-POL-006": (_rule(64, "events are answered before the next poll; an early one is no error"),),
    "B-TRN-001": (_rule(53, "requests are POSTs, answers tell their length and are not chunked"),),
    "B-TRN-00[2346]": (_FAULT,),
    "B-TRN-005/sent again*": (_rule(66, "an event is told until it is over"),),
    "B-TRN-005/not pushed to*": (_schema("oadrHttpPullModel", "says whether a registered VEN pulls or is pushed to"),),
    "B-EVT-001": (_rule(50, "a distribution has all events of the VEN"),),
    "B-EVT-003": (_schema("replyLimit", "limits the number of events"),),
    "B-EVT-007": (_rule(41, "a distribution has a requestID"),),
    "B-EVT-008": (_rule(4, "a new event has the number 0"),),
    "B-EVT-009": (_rule(5, "a change adds 1 to modificationNumber"),),
    "B-EVT-01[04]": (_rule(5, "a change adds 1; a status that follows the clock does not"),),
    "B-EVT-011": (_rule(58, "the number never goes down"),),
    "B-EVT-016": (_rule(50, "a cancelled event is told"), _rule(52, "until it is answered")),
    "B-EVT-017": (_rule(66, "an event is told until it is over"),),
    "B-EVT-018": (_rule(66, "an event is told until it may be over for every VEN"), _rule(65, "startafter")),
    "B-EVT-020": (_rule(12, "oadrResponseRequired says whether to answer"), _rule(62, "for every event")),
    "B-EVT-021": (_rule(6, "any other text than false says that an event is a test"),),
    "B-EVT-025": (_rule(47, "duration 0 is without end, and so is the last interval's"),),
    "B-EVT-026": (_rule(2, "uids begin at 0 and rise by 1"),),
    "B-EVT-027": (_rule(8, "intervals add up to the active period"),),
    "B-EVT-029": (_rule(9, "SIMPLE has the values 0 to 3"),),
    "B-EVT-030": (_rule(14, "currentValue of SIMPLE is 0 unless the event is active"),),
    "B-EVT-035": (_rule(22, "a target names parts of the receiver"),),
    "B-EVT-036": (_schema("eiMarketContext", "one market context"),),
    "B-EVT-039": (_schema("eiEventBaseline", "its intervals add up to its duration"),),
    "B-CRE-001": (_rule(16, "optIn and optOut are taken"),),
    "B-CRE-002": (_rule(17, "an opt may change at any time"),),
    "B-CRE-00[34]": (_rule(42, "requestIDs of answers to events"),),
    "B-CRE-005": (_rule(35, "eventResponses are missing only beside an error"),),
    "B-CRE-00[69]": (_rule(48, "the first digit of a code decides"),),
    "B-CRE-008": (_rule(36, "an answer to a cancelled event"),),
    "B-CRE-01[01]": (_rule(12, "answers, one by one or together"),),
    "B-OPT-002": (_schema("oadrCreateOpt", "qualifiedEventID names the event and its number"),),
    "B-OPT-006": (_schema("oadrDeviceClass", "endDeviceAsset only"),),
    "B-OPT-009": (_schema("optReason", "an enumeration, and texts that begin with x-"),),
    "B-OPT-010": (Basis(Source.RULES_20B, "services of profile B", "EiOpt is one of them"),),
    "B-RPT-002": (_schema("oadrReport", "a metadata report has descriptions and no intervals"),),
    "B-RPT-014": (_schema("oadrUpdatedReport", "may cancel a report"),),
    "B-RPT-015": (_schema("oadrCanceledReport", "answers oadrCancelReport"),),
    "B-RPT-022": (_schema("oadrReportPayload", "confidence, accuracy and quality are optional"),),
    "B-SEC-001": (_security("TLS 1.2 or newer"),),
    "B-SEC-002": (_security("the two cipher suites, with an ECC and an RSA certificate"),),
    "B-SEC-004/*push*": (_security("both sides show certificates and verify them, whoever calls"),),
    "B-SEC-004": (_security("client certificates are required and verified"),),
    "B-SEC-005": (_security("the fingerprint of the certificate is the identity of a VEN"),),
    "B-SEC-00[89]": (_security("where signatures are agreed, every message has one"),),
    "B-SEC-010": (_schema("ReplayProtect", "time and nonce protect against replay"),),
}
"""Requirement, or key of a check, with `*`, `?` and `[...]` -> the sentences it rests on."""


@cache
def ruling20b_of(requirement: str, case: str) -> str:
    """Return the reason why the profile does not decide this check; empty if it does, or if it is not of 2.0b."""
    if not requirement.startswith("B-"):
        return ""
    names = (requirement, f"{requirement}/{case}")
    return next((why for pattern, why in RULINGS20B.items() if any(fnmatchcase(name, pattern) for name in names)), "")


@cache
def basis20b_of(requirement: str, case: str) -> tuple[Basis, ...]:
    """Return the sentences this check rests on; none where the table has no line for it."""
    names = (requirement, f"{requirement}/{case}")
    return next((bases for pattern, bases in BASES20B.items() if any(fnmatchcase(name, pattern) for name in names)), ())
