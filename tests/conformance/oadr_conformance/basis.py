"""Basis in the standard of every check that is not a ruling of ours: the sentence that forbids other behaviour.

A basis names a place and says in our words what stands there. Places are headings of the OpenADR 3.1 Definition, names
in the OpenAPI document of 3.1 (an operation by its operationId, a schema and member, a response, a scope), and sections
of the RFCs that these two rest on. A check for which there is no such sentence belongs into `rulings.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from typing import Final


class Source(StrEnum):
    """A document of the standard, or one that it rests on."""

    DEFINITION = "Definition 3.1"
    OPENAPI = "OpenAPI 3.1"
    OPENAPI_301 = "OpenAPI 3.0.1"
    RFC = "RFC"
    SCHEMA_20B = "Schema 2.0b"
    RULES_20B = "Profile 2.0b"
    SECURITY_20B = "Security 2.0b"


@dataclass(frozen=True)
class Basis:
    """One sentence: where it stands, and in our words what it says."""

    source: Source
    place: str
    says: str

    def __str__(self) -> str:
        """`Definition 3.1, Problem: errors carry a problem object`."""
        return f"{self.source}{' ' if self.source is Source.RFC else ', '}{self.place}: {self.says}"


def _definition(place: str, says: str) -> Basis:
    return Basis(Source.DEFINITION, place, says)


def _openapi(place: str, says: str) -> Basis:
    return Basis(Source.OPENAPI, place, says)


def _rfc(place: str, says: str) -> Basis:
    return Basis(Source.RFC, place, says)


_METADATA: Final = _definition("Object Metadata", "the VTN fills in id, both dates and objectType of what is created")
_MISSING: Final = _definition(
    "Required and optional properties", "a body without a required member is 400, and nothing is created or changed"
)
_REJECT: Final = _definition("Message validation", "bodies without required members are rejected")
_CODES: Final = _definition(
    "Response Codes and Errors", "200, 201, 400, 403, 404, 409 are supported, and what they mean"
)
_PROBLEM: Final = _definition("Problem", "errors carry a problem object with details")
_PROBLEM_SCHEMA: Final = _openapi("problem", "the members that an error body may have, and their types")
_IGNORED: Final = _definition(
    "POST and PUT", "id, both dates and objectType in bodies are ignored; PUT updates an object"
)
_PAGING: Final = _definition("Response Filtering", "searches have limit and skip")
_ADDITIVE: Final = _definition("Response Filtering", "results match every filter")
_LIMIT: Final = _openapi("searchAllEvents", "limit is the most that is returned, skip the number that is left out")
_NAMES: Final = _definition(
    "Object names", "names of programs, vens and of resources in their ven are unique; others need not be"
)
_CLIENT_ID: Final = _definition(
    "VEN created object privacy", "the VTN writes the identifier of the token's client into what a VEN creates"
)
_OWN: Final = _definition(
    "VEN created object privacy", "a VEN reads, changes and deletes what has its client identifier; BL reads everything"
)
_TARGETING: Final = _definition(
    "program and event objects - targeting",
    "a VEN sees an object with targets where it asks for targets that it was granted and the object has, else nothing",
)
_HIDING: Final = _definition(
    "program and event objects - targeting",
    "answers show a VEN of an object's targets those it asked for; vens keep theirs",
)
_BL_TARGETS: Final = _definition(
    "program and event objects - targeting", "only BL writes targets of vens and resources"
)
_PRIVACY: Final = _definition("Object Privacy", "BL reads everything, a VEN what it made or was granted")
_ROLES: Final = _definition("Assumptions", "the role of a client decides what it may do with what")
_TOKENS: Final = _definition("Security objectives", "each request carries a token by which the client is known")
_VERIFIED: Final = _definition("OAuth 2.0 client credential flow", "a token that is invalid or has expired is refused")
_DISCOVERY: Final = _definition("Token endpoint discovery", "every VTN has /auth/server")
_WRITE_PROGRAMS: Final = _openapi("write_programs", "only BL writes programs")
_WRITE_EVENTS: Final = _openapi("write_events", "only BL writes events")
_WRITE_REPORTS: Final = _openapi("write_reports", "only VENs write reports")
_WRITE_VENS: Final = _openapi("write_vens", "VENs and BL write vens and resources")
_WRITE_SUBSCRIPTIONS: Final = _openapi("write_subscriptions", "VENs write subscriptions")
_CHALLENGE: Final = _definition(
    "Webhooks",
    "before a subscription exists the VTN asks its URL by GET, with echo=RANDOM, and compares what comes back",
)
_TOLD: Final = _definition(
    "Subscriptions", "what a subscription names is told at its callback URL, object and operation"
)
_NOTIFICATION: Final = _openapi("notification", "objectType, operation and object are required; the object is one")
_POSTED: Final = _openapi("createSubscription", "its callback notifyEvent: POST of a notification, application/json")
_GRANTED: Final = _definition(
    "program and event objects - targeting",
    "whether a subscriber is told of an object with targets is decided like a read by its client",
)
_AS_READ: Final = _definition(
    "Notifications via Additional Protocols",
    "a notification has the content of an answer to GET, whatever the protocol",
)
_NAMED: Final = _definition(
    "Notifications via Additional Protocols", "the value of an operation is the name of the topic for it"
)
_ENFORCED: Final = _definition("MQTT", "access to topics is configured and enforced by the policy of the API")
_PRIVATE: Final = _definition("Private Strings", "agreed strings may be used, and do not change what a VTN does")
_VALUES: Final = _openapi("valuesMap.values", "a list of numbers, texts, truth values and points")
_CHANGED: Final = _openapi("objectMetadata.modificationDateTime", "set when the object is changed")
_DATE_TIME: Final = _openapi("dateTime", "RFC 3339")
_ERRORS: Final = _rfc("6749 section 5.2", "which error a token request gets")

BASES: Final[Mapping[str, tuple[Basis, ...]]] = {
    "GEN-003": (
        _openapi("createProgram", "bodies and answers are application/json"),
        _rfc("8259 section 11", "JSON has no charset parameter; one that is there has no effect"),
    ),
    "GEN-005": (_MISSING, _openapi("badRequest", "a malformed or invalid request")),
    "GEN-007": (_PROBLEM, _CODES),
    "GEN-013": (_IGNORED,),
    "GEN-015": (_MISSING, _REJECT),
    "GEN-016/put moves*": (_CHANGED,),
    "GEN-017/values*": (_VALUES, _openapi("event", "what the server provides is the event as the client described it")),
    "GEN-017/report*": (
        _VALUES,
        _openapi("report", "what the server provides is the report as the client described it"),
    ),
    "GEN-017/order*": (_rfc("8259 section 1", "an array is an ordered sequence"),),
    "GEN-018": (_METADATA, _openapi("objectMetadata", "id, both dates and objectType are required")),
    "GEN-019": (_DATE_TIME, _METADATA),
    "MATRIX-001/business logic: M01 *": (_PRIVACY, _openapi("searchAllPrograms", "200 with the programs")),
    "MATRIX-001/business logic: M0[23]*": (_WRITE_PROGRAMS, _PRIVACY),
    "MATRIX-001/business logic: M0[45]*": (_WRITE_PROGRAMS,),
    "MATRIX-001/business logic: M0[6-9]*": (_WRITE_EVENTS, _PRIVACY),
    "MATRIX-001/business logic: M10*": (_WRITE_EVENTS,),
    "MATRIX-001/business logic: M1[1-4]*": (_WRITE_REPORTS, _OWN),
    "MATRIX-001/business logic: M1[68]*": (_OWN,),
    "MATRIX-001/business logic: M2*": (_WRITE_VENS, _OWN),
    "MATRIX-001/business logic: M30*": (_WRITE_VENS,),
    "MATRIX-001/a ven: M0[1-5]*": (_TARGETING, _WRITE_PROGRAMS),
    "MATRIX-001/a ven: M0[6-9]*": (_TARGETING, _WRITE_EVENTS),
    "MATRIX-001/a ven: M10*": (_WRITE_EVENTS,),
    "MATRIX-001/a ven: M1[1-5]*": (_WRITE_REPORTS, _OWN),
    "MATRIX-001/a ven: M1[6-9]*": (_WRITE_SUBSCRIPTIONS, _OWN),
    "MATRIX-001/a ven: M20*": (_WRITE_SUBSCRIPTIONS, _OWN),
    "MATRIX-001/a ven: M2[1-9]*": (_WRITE_VENS, _OWN),
    "MATRIX-001/a ven: M30*": (_WRITE_VENS, _OWN),
    "MATRIX-001/another ven*": (_PRIVACY, _OWN, _TARGETING),
    "MATRIX-001/no token*": (_TOKENS, _openapi("unauthorized", "401")),
    "MATRIX-001/bad token*": (_VERIFIED,),
    "MATRIX-001/auth server*": (_DISCOVERY, _openapi("getAuthServerInfo", "no security")),
    "MATRIX-002": (_openapi("notFound", "404 for an object that is not there"), _CODES),
    "MATRIX-004/delete*": (_openapi("deleteProgram", "200 with the object"),),
    "MATRIX-004/post*": (
        _openapi("createProgram", "201 with the object"),
        _openapi("updateProgram", "200 with the object"),
    ),
    "MATRIX-006": (_openapi("searchAllPrograms", "200 with an array"),),
    "AUTH-001": (_rfc("9110 section 11.1", "the name of a scheme compares without case"),),
    "AUTH-002": (_TOKENS,),
    "AUTH-003": (_VERIFIED,),
    "AUTH-005": (_TOKENS,),
    "AUTH-006": (_VERIFIED,),
    "AUTH-009": (_CLIENT_ID, _openapi("clientID", "1 to 128 characters")),
    "AUTH-018": (_DISCOVERY, _openapi("authServerInfo.tokenURL", "required, a URI")),
    "AUTH-020/a token": (_openapi("clientCredentialResponse", "its members, and which are required"),),
    "AUTH-020/the token works": (_definition("OAuth 2.0 client credential flow", "the token opens the API"),),
    "AUTH-024": (_ERRORS, _openapi("clientCredentialRequest", "grant_type, client_id and client_secret are required")),
    "AUTH-025": (_ERRORS, _openapi("clientCredentialRequest.grant_type", "client_credentials only")),
    "AUTH-026": (_ERRORS,),
    "TOKEN-001": (_rfc("6749 section 5.1", "answers with a token have Cache-Control: no-store and Pragma: no-cache"),),
    "PROBLEM-001": (_PROBLEM, _PROBLEM_SCHEMA),
    "PROBLEM-002": (_PROBLEM, _openapi("problem.status", "the HTTP status, an integer")),
    "PROBLEM-003": (
        _PROBLEM,
        _openapi("problem.instance", "an absolute URI"),
        _openapi("problem.type", "an absolute URI"),
    ),
    "PAGE-00[1345]": (_PAGING, _LIMIT),
    "PAGE-006": (_PAGING, _LIMIT),
    "PAGE-011": (_ADDITIVE,),
    "PAGE-013": (_openapi("searchAllEvents.targets", "an array in the usual style: repeated, not parted by commas"),),
    "PAGE-017": (_ADDITIVE, _openapi("searchAllReports", "200 with an array; no 404")),
    "PAGE-018": (_ADDITIVE, _definition("Object names", "names are parameters by which objects are found")),
    "PAGE-019": (_ADDITIVE, _openapi("searchAllReports", "by programID, eventID, clientName")),
    "PAGE-020": (_ADDITIVE, _openapi("searchAllEvents", "by programID and targets")),
    "PAGE-021": (_ADDITIVE, _openapi("searchAllPrograms", "by targets")),
    "PAGE-022": (_ADDITIVE, _openapi("searchSubscriptions", "by programID, clientName and objects")),
    "PAGE-023": (_ADDITIVE, _openapi("searchVens", "by venName and targets")),
    "PAGE-024": (_ADDITIVE, _openapi("searchVenResources", "by resourceName, venID and targets")),
    "PAGE-025": (_definition("Response Filtering", "a search by targets gives objects that have the target"),),
    "PAGE-026": (_ADDITIVE,),
    "PAGE-027": (_openapi("searchAllEvents.active", "leaves out events that have transpired"),),
    "PAGE-031": (_openapi("searchAllEvents", "lists all events"),),
    "OBJ-004": (_PRIVATE,),
    "OBJ-008": (
        _openapi("objectID", "1 to 128 letters, digits, _ and -"),
        _definition("Information Model", "ids are unique"),
    ),
    "OBJ-014": (_NAMES,),
    "OBJ-015": (_openapi("notFound", "404 for an object that is not there"),),
    "PROG-001": (_openapi("programRequest", "programName is the one required member"), _METADATA),
    "PROG-002": (_NAMES, _definition("Response Codes and Errors", "409 where the item exists already")),
    "PROG-003": (_NAMES,),
    "PROG-005": (_MISSING,),
    "PROG-00[67]": (_openapi("programRequest.payloadDescriptors", "a list of descriptors of either kind"),),
    "PROG-008": (_openapi("programRequest.targets", "a list of targets"), _IGNORED),
    "PROG-013": (_openapi("notFound", "404 for an object that is not there"),),
    "PROG-014": (_WRITE_PROGRAMS, _ROLES),
    "PROG-015": (_definition("Program Attributes Enumerations", "the names of attributes of programs"),),
    "EVT-001": (_openapi("createEvent", "201 with the event"), _METADATA),
    "EVT-004": (_MISSING,),
    "EVT-005": (_NAMES,),
    "EVT-006": (_openapi("eventRequest.priority", "an integer of 0 or more"),),
    "EVT-007": (_MISSING, _openapi("interval", "id and payloads are required")),
    "EVT-009": (_VALUES, _openapi("event", "what the server provides is the event as the client described it")),
    "EVT-010": (_openapi("updateEvent", "200 with the event"), _IGNORED),
    "EVT-011": (_openapi("notFound", "404 for an object that is not there"),),
    "EVT-013": (_openapi("searchAllEvents.programID", "events of the program"), _ADDITIVE),
    "EVT-014": (_WRITE_EVENTS, _ROLES),
    "EVT-017": (_MISSING, _openapi("reportDescriptor", "payloadType is required")),
    "REPORT-001": (_WRITE_REPORTS, _CLIENT_ID),
    "REPORT-002": (_CLIENT_ID,),
    "REPORT-003": (_WRITE_REPORTS, _definition("EndPoints", "only VENs create and change reports")),
    "REPORT-008": (_OWN,),
    "REPORT-009": (_openapi("updateReport", "200 with the report"), _CLIENT_ID),
    "REPORT-010": (_MISSING, _openapi("reportRequest.resources", "resourceName and intervals are required")),
    "REPORT-012": (_OWN,),
    "REPORT-015": (_definition("Response Filtering", "reports of a program can be asked for"),),
    "VEN-001": (_CLIENT_ID, _BL_TARGETS),
    "VEN-002": (_definition("ven objects", "BL gives the clientID of a ven that it creates"), _WRITE_VENS),
    "VEN-00[45]": (_NAMES,),
    "VEN-007": (_CLIENT_ID, _BL_TARGETS),
    "VEN-010": (_WRITE_VENS, _BL_TARGETS),
    "VEN-012": (_WRITE_VENS, _OWN),
    "VEN-015": (_OWN,),
    "VEN-016": (_OWN,),
    "VEN-017": (_definition("Attribute Enumerations", "vens may have attributes"), _IGNORED),
    "VEN-019": (_HIDING,),
    "RES-001": (_OWN, _openapi("resource", "clientID is required in answers")),
    "RES-002": (_definition("ven objects", "BL creates resources of a ven"), _WRITE_VENS),
    "RES-003": (_NAMES,),
    "RES-009": (_BL_TARGETS,),
    "RES-011": (_WRITE_VENS, _OWN),
    "RES-013": (_openapi("searchVenResources.venID", "resources of the ven"), _OWN),
    "PRIV-EX-01": (_PRIVACY,),
    "PRIV-EX-02": (_definition("Response Filtering", "a search by targets gives objects that have the target"),),
    "PRIV-EX-0[4-8]": (_TARGETING, _HIDING),
    "PRIV-EX-1[012]": (_TARGETING,),
    "PRIV-005": (_openapi("read_targets", "only objects with targets need matching ones"),),
    "PRIV-009": (_TARGETING,),
    "PRIV-015": (_HIDING,),
    "PRIV-018": (_OWN,),
    "SUBS-001": (_CLIENT_ID, _openapi("createSubscription", "201 with the subscription")),
    "SUBS-002": (_OWN,),
    "SUBS-003": (_OWN,),
    "SUBS-004": (_openapi("subscriptionRequest", "clientName and objectOperations are required, programID is not"),),
    "SUBS-005": (_MISSING, _openapi("subscriptionRequest", "clientName and objectOperations are required")),
    "SUBS-007": (_openapi("subscriptionRequest.objectOperations", "the words of operations"),),
    "SUBS-010": (_openapi("updateSubscription", "200 with the subscription"), _CLIENT_ID),
    "SUBS-012": (_definition("Subscriptions", "subscriptions may have targets"),),
    "WEBHOOK-001": (
        _definition("Webhooks", "the VTN verifies that a callback URL is https, when created and changed"),
    ),
    "WEBHOOK-00[23]": (_CHALLENGE,),
    "WEBHOOK-00[456]": (_CHALLENGE,),
    "WEBHOOK-00[89]": (_TOLD, _POSTED, _NOTIFICATION),
    "WEBHOOK-010": (_POSTED, _NOTIFICATION),
    "WEBHOOK-012": (_TOLD, _NOTIFICATION, _AS_READ),
    "WEBHOOK-015": (_openapi("subscriptionRequest.objectOperations", "bearerToken: receivers know the VTN by it"),),
    "SUBS-008": (_definition("Subscriptions", "entries may have different URLs for different objects and operations"),),
    "SUBS-015": (_definition("Subscriptions", "what registered subscriptions name is told"),),
    "SUBS-020": (_TOLD,),
    "SUBS-023": (_OWN, _AS_READ),
    "SUBS-025": (_GRANTED,),
    "MQTT-00[12]": (
        _openapi("listAllNotifiers", "200 with the notifiers"),
        _openapi("notifiersResponse.WEBHOOK", "true"),
    ),
    "MQTT-003": (_openapi("mqttNotifierBindingObject", "URIS, serialization (JSON) and authentication are required"),),
    "MQTT-004": (
        _openapi("mqttNotifierBindingObject.authentication", "one of three forms"),
        _definition("MQTT Notifier Binding Authentication Enumerations", "the methods"),
    ),
    "MQTT-008/names*": (
        _openapi("notifierOperationsTopics", "UPDATE and DELETE are required; no CREATE of an object that has an id"),
    ),
    "MQTT-009": (_openapi("notFound", "404 for an object that is not there"),),
    "MQTT-02[18]*": (_NAMED, _AS_READ),
    "MQTT-024": (_GRANTED, _HIDING),
    "MQTT-025": (_GRANTED, _openapi("listAllMqttNotifierTopicsVenEvents", "events that are targeted for the ven")),
    "MQTT-030": (_DATE_TIME, _METADATA),
    "MQTT-032": (_definition("Notifications via Additional Protocols", "nothing filters what is told on a topic"),),
    "MQTT-016": (_ENFORCED, _WRITE_EVENTS),
    "MQTT-018": (_ENFORCED, _PRIVACY),
    "MQTT-038": (_definition("MQTT", "clients connect by TLS, so they have to be able to"),),
    "MQTT-039": (
        _ENFORCED,
        _definition("MQTT Notifier Binding Authentication Enumerations", "the token is the password"),
    ),
    "MQTT-042": (_ENFORCED,),
    "PRIV-014": (_GRANTED, _HIDING, _AS_READ),
    "TIME-001": (_openapi("duration", "ISO 8601"),),
    "TIME-004": (_DATE_TIME, _rfc("3339 section 5.6", "an instant has an offset, or Z")),
    "COMP-001": (_definition("Compression", "gzip is encouraged"),),
    "COMP-002": (_rfc("9110 section 12.5.3", "a coding that the client does not accept is not used"),),
}
"""Requirement, or key of a check, with `*`, `?` and `[...]` -> the sentences it rests on."""


@cache
def basis_of(requirement: str, case: str) -> tuple[Basis, ...]:
    """Return the sentences this check rests on; none where the table has no line for it."""
    names = (requirement, f"{requirement}/{case}")
    return next(
        (bases for pattern, bases in BASES.items() if any(fnmatchcase(name, pattern) for name in names)),
        (),
    )
