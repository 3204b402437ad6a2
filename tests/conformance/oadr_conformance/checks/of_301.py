"""The checks of OpenADR 3.0.1: what it shares with 3.1, asked in its own shape, and what only it has.

A check of 3.1 is one of 3.0.1 too unless it is about something that 3.0.1 does not have, or has in another shape; the
table says of each such what. What rests on the Definition of 3.1 alone is a ruling here, since the description of 3.0.1
does not say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Final

from oadr_conformance.basis import Basis, Source, basis_of
from oadr_conformance.checks import shape301
from oadr_conformance.registry import Check
from oadr_conformance.rulings import ruling_of

_NOT_THERE: Final = "3.0.1 has no such path"
_OWN_SHAPE: Final = "has another shape in 3.0.1: see V301"
_NO_OWNER: Final = "3.0.1 says of no object whose it is"
_NO_VARIANTS: Final = "3.0.1 has one form of a ven and of a resource"
_BY_PROGRAM: Final = "a subscription of 3.0.1 is to one program: see V301-040"
_NO_ACTIVE: Final = "3.0.1 has no parameter active"
_NO_ALL_RESOURCES: Final = "3.0.1 has no collection of the resources of all vens"
_NOT_SAID: Final = "the description of 3.0.1 does not say it"
_NO_PRIVACY: Final = "3.0.1 has no object privacy: read_all is for everybody"

LEFT_OUT: Final[Mapping[str, str]] = {
    "MQTT-*": _NOT_THERE,
    "AUTH-018": _NOT_THERE,
    "AUTH-019": _NOT_THERE,
    "AUTH-030/json token request": "clients of 3.0.1 ask for tokens in JSON, and its description names no form",
    "AUTH-039/scopes open no collections": _NOT_THERE,
    "GEN-006/undefined methods: * /auth/server": _NOT_THERE,
    "MATRIX-001/auth server*": _NOT_THERE,
    "MATRIX-001/topics*": _NOT_THERE,
    "MATRIX-001/*M26 GET /resources": _NO_ALL_RESOURCES,
    "AUTH-012/*resource": _NO_ALL_RESOURCES,
    "GEN-015/nothing is created: resource": _NO_ALL_RESOURCES,
    "PAGE-016/*venID": _NO_ALL_RESOURCES,
    "PAGE-017/*venID of resources": _NO_ALL_RESOURCES,
    "PAGE-018/*resourceName": _NO_ALL_RESOURCES,
    "PAGE-024": _NO_ALL_RESOURCES,
    "PAGE-025/*resource": _NO_ALL_RESOURCES,
    "RES-013": _NO_ALL_RESOURCES,
    "RES-016": _OWN_SHAPE,
    "RES-012": "the ven of a resource is that of its path",
    "MATRIX-005/location: resource": _OWN_SHAPE,
    "AUTH-009": _NO_OWNER,
    "COMPAT-030": _NO_OWNER,
    "COMPAT-048": _NO_OWNER,
    "REPORT-001/create": _NO_OWNER,
    "REPORT-002": _NO_OWNER,
    "REPORT-009": _NO_OWNER,
    "RES-00[126]": _NO_OWNER,
    "SUBS-001": _NO_OWNER,
    "SUBS-010": _NO_OWNER,
    "VEN-00[1237]": _NO_OWNER,
    "VEN-005/*clientID": _NO_OWNER,
    "VEN-011": _NO_OWNER,
    "*ven.clientID*": _NO_OWNER,
    "*resource.clientID*": _NO_OWNER,
    "*resource.venID*": "the ven of a resource is that of its path",
    "*ven.objectType*": _NO_VARIANTS,
    "*resource.objectType*": _NO_VARIANTS,
    "VEN-006": _NO_VARIANTS,
    "VEN-008": _NO_VARIANTS,
    "VEN-010": "targets that a VEN writes on its own ven are descriptive in 3.0.1",
    "RES-008": _NO_VARIANTS,
    "RES-009": "targets that a VEN writes on its own resources are descriptive in 3.0.1",
    "RES-017": _NO_VARIANTS,
    "COMPAT-024": "an extension of 3.1",
    "COMPAT-045": "V301-013 and V301-028 say which lists are always there",
    "COMPAT-047/*subscription": _OWN_SHAPE,
    "GEN-003/*report": "its body is that of 3.1",
    "GEN-014/*.start": _OWN_SHAPE,
    "GEN-014/*.programID": _OWN_SHAPE,
    "GEN-014/*.intervals": _OWN_SHAPE,
    "GEN-016/put replaces: program": _OWN_SHAPE,
    "GEN-016/put replaces: subscription": _OWN_SHAPE,
    "EVT-002": _OWN_SHAPE,
    "EVT-019": _NO_ACTIVE,
    "PAGE-014": "V301-033 says what other parameters do",
    "PAGE-015/*active": _NO_ACTIVE,
    "PAGE-02[789]": _NO_ACTIVE,
    "PAGE-03[01]": _NO_ACTIVE,
    "PROG-01[56]": _OWN_SHAPE,
    "SUBS-004": _OWN_SHAPE,
    "TIME-007": _OWN_SHAPE,
    "TIME-008": _NO_ACTIVE,
    "TIME-016": _NO_ACTIVE,
    "TIME-0??/active*": _NO_ACTIVE,
    "SUBS-008": _BY_PROGRAM,
    "SUBS-01[45]": _BY_PROGRAM,
    "SUBS-02?": _BY_PROGRAM,
    "WEBHOOK-00[89]": _BY_PROGRAM,
    "WEBHOOK-01?": _BY_PROGRAM,
    "WEBHOOK-02[0-2]": _BY_PROGRAM,
    "WEBHOOK-03?": _BY_PROGRAM,
    "PRIV-014": _BY_PROGRAM,
}
"""Requirement, or key of a check, with `*` and `?` -> why it is not asked of 3.0.1."""

_SAYS_TOO: Final = {
    "PRIV-*": "V301-007",
    "AUTH-02[4-9]": "V301-038",
    "AUTH-030": "V301-038",
    "PAGE-00?": "V301-039",
    "WEBHOOK-00[1-6]": "V301-043",
}
"""Requirement of 3.1 -> that of 3.0.1 which says that it holds there as well."""

_BY_ENDPOINT: Final = {
    "V301-001": ("valuesMap", "a target is a type and values"),
    "V301-002": ("valuesMap", "a target is a type and values"),
    "V301-003": ("valuesMap.values", "numbers, integers, texts, truth values and points"),
    "V301-005": ("searchAllPrograms", "targetType and a list of targetValues filter the answer"),
    "V301-006": ("valuesMap.type", "1 to 128 characters, private ones among them"),
    "V301-010": ("program", "its metadata are members of their own"),
    "V301-013": ("event", "which members are required; of report and subscription programID is one"),
    "V301-015": ("intervalPeriod.start", "required"),
    "V301-025": ("createVen", "venName is the one required member of a ven"),
    "V301-028": ("ven.resources", "the resources of a ven are shown in it"),
    "V301-029": ("searchVenResources", "resources are below their ven, and found by both ids"),
    "V301-031": ("createResource", "409 for a conflict"),
    "V301-034": ("searchSubscriptions", "targetType and a list of targetValues filter the answer"),
    "V301-035": ("read_all", "VENs and business logic can read all resources"),
    "V301-040": ("notification", "objectType, operation (GET, POST, PUT, DELETE) and object"),
    "V301-041/words of operations: the words of the schema": (
        "subscription.objectOperations",
        "the words of operations",
    ),
    "V301-023/a report has*": ("report.programID", "required"),
    "V301-022": ("eventPayloadDescriptor", "objectType is not required"),
    "V301-045": ("valuesMap.type", "1 to 128 characters, private ones among them"),
}
"""Requirement, or key of a check, with `*` -> the place in the description of 3.0.1, and what stands there."""

_HIDING: Final = frozenset(
    {"PRIV-010", "PRIV-017", "PRIV-018", "V301-008", "V301-026", "REPORT-008", "REPORT-012", "SUBS-003"}
)
"""What hides objects of others from a VEN, outside of the requirements on privacy."""
_NAMES: Final = """
searchAllPrograms createProgram searchProgramByProgramId updateProgram deleteProgram searchAllReports createReport
searchReportsByReportID updateReport deleteReport searchAllEvents createEvent searchEventsByID updateEvent deleteEvent
searchSubscriptions createSubscription searchSubscriptionByID updateSubscription deleteSubscription searchVens createVen
searchVenByID updateVen deleteVen searchVenResources createResource searchVenResourceByID updateVenResource
deleteVenResource fetchToken program report event subscription ven resource interval intervalPeriod valuesMap point
eventPayloadDescriptor reportPayloadDescriptor reportDescriptor objectID notification objectTypes dateTime duration
clientCredentialRequest clientCredentialResponse authError problem notFound badRequest write_programs write_events
write_reports write_subscriptions write_vens
"""
_PLACES: Final = frozenset(_NAMES.split())
"""What the description of 3.0.1 has under the same name as that of 3.1, but for `Request` at the end."""
_NOT_IN_301: Final = frozenset({"searchAllEvents.targets", "searchAllEvents.active", "searchVenResources.venID"})


@dataclass(frozen=True)
class Check301(Check):
    """A question to a VTN of 3.0.1."""

    @property
    def is_about_privacy(self) -> bool:
        """Return True if it asks what is hidden from a VEN."""
        return self.area == "PRIV" or not _HIDING.isdisjoint(self.requirements)

    @property
    def ruling(self) -> str:
        """Return the reason why 3.0.1 does not decide it; empty if it does."""
        if self.is_about_privacy:
            return _NO_PRIVACY
        own = ruling_of(self.requirement, self.case)
        return own or ("" if self._sentences else _NOT_SAID)

    @property
    def basis(self) -> tuple[Basis, ...]:
        """Return the sentences of the description of 3.0.1, and of RFCs, on which it rests; none for a ruling."""
        return () if self.ruling else self._sentences

    @property
    def _sentences(self) -> tuple[Basis, ...]:
        own = next((place for pattern, place in _BY_ENDPOINT.items() if _matches(self, pattern)), None)
        if own is not None:
            return (Basis(Source.OPENAPI_301, *own),)
        return tuple(_translated(basis_of(self.requirement, self.case)))


def _translated(bases: Iterable[Basis]) -> Iterable[Basis]:
    for one in bases:
        root = one.place.partition(".")[0].removesuffix("Request")
        if one.source is Source.RFC:
            yield one
        elif one.source is Source.OPENAPI and root in _PLACES and one.place not in _NOT_IN_301:
            yield replace(one, source=Source.OPENAPI_301, place=one.place.replace("Request", "", 1))


def _matches(check: Check, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (check.requirement, check.key))


def why_left_out(check: Check) -> str:
    """Return why a check of 3.1 is not asked of 3.0.1; empty if it is."""
    return next((why for pattern, why in LEFT_OUT.items() if _matches(check, pattern)), "")


def of_301(check: Check) -> Check301:
    """Return the same check as one of 3.0.1, which speaks for what that says of it too."""
    members = {field.name: getattr(check, field.name) for field in fields(Check)}
    more = tuple(name for pattern, name in _SAYS_TOO.items() if _matches(check, pattern))
    return Check301(**members | {"also": (*check.also, *more)})


def all_301(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return every check of 3.0.1, of which these are those of 3.1."""
    shared = [of_301(check) for check in checks if not why_left_out(check)]
    return (*shared, *map(of_301, shape301.area.checks))
