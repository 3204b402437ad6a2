"""Checks beyond the standard: where it is silent, optional or contradictory, the catalogue of requirements decides.

A VTN may choose otherwise and conform. So these checks are made only where a run says `rulings.binding=true`; where
only one detail of a check rests on a choice, `Answer.binding` and `allowed` statuses say so in its body.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

_CONTENT: Final = "Definition, Message validation: what is checked besides required members is the VTN's decision"
_UNKNOWN: Final = "Definition, Model extension: what the schema does not know may be ignored, but need not be"
_GUIDE: Final = "the User Guide says so, which is not normative"
_SILENT: Final = "the standard is silent"
_DANGLING: Final = "R-15: the standard lists 400, 404 and 409 and does not say which for a dangling reference"
_CASCADE: Final = "R-14: the standard does not say what DELETE takes along"
_FORM: Final = "R-19, R-47: the standard does not say what happens to a request of the other form, or of none"
_NO_QUERY: Final = "R-09: the Definition has a VEN name targets in its query, the User Guide does not"
_CACHING: Final = "R-50: the standard does not ask for caching"
_CLIENTS: Final = "known clients rely on it, the standard does not ask for it"
_OTHERS: Final = "R-24: Definition and API description differ about subscriptions of others"
_REPORTS: Final = "R-06: the API description gives deletion to VENs, the User Guide to business logic"
_KEPT: Final = "the standard does not say what a PUT does to optional members that it leaves out"
_PERMISSIONS: Final = (
    "R-02: the API description takes bearerAuth, without scopes, in place of the scopes of an operation"
)
_FREE: Final = "Definition, Security objectives: endpoints may be free of access restrictions"
_JSON: Final = "RFC 8259 section 9: a parser may accept more than JSON"
_PAGES: Final = "the standard does not say that a page is full, nor what is skipped"
_SPELLING: Final = "Definition, Message validation: which values are refused or written otherwise is the VTN's decision"
_BL_SUBSCRIBES: Final = (
    "R-24: by the Definition (EndPoints) only VENs write subscriptions, by the API description both do"
)
_OAUTH: Final = "RFC 6749 leaves it open, or the standard knows the form only"

RULINGS: Final[Mapping[str, str]] = {
    "GEN-001": "the standard names no prefix",
    "GEN-004": "the standard permits further status codes and demands none",
    "GEN-006": "the standard permits further status codes and demands none",
    "GEN-005/broken bodies: program no UTF-8": _JSON,
    "GEN-007/unknown paths: /": _SILENT,
    "GEN-007/unknown paths: /vens/x/resources": "a VTN may have further paths, as those of version 3.0",
    "GEN-008": "the standard permits further status codes and demands none",
    "GEN-009": _SILENT,
    "GEN-010": "no sentence of the standard says what errors may show",
    "GEN-011": _UNKNOWN,
    "GEN-013/members of the vtn: * odd types": _CONTENT,
    "GEN-013/members of the vtn: * null": _CONTENT,
    "GEN-014": "R-31: not every optional member is nullable in the API description",
    "GEN-015/required members: * null": _CONTENT,
    "GEN-016/put replaces: *": _KEPT,
    "GEN-017/values round trip: a mixture": _CONTENT,
    "GEN-017/report values round trip: a mixture": _CONTENT,
    "GEN-017/no numbers: *": _JSON,
    "GEN-020": _SILENT,
    "GEN-021": _SILENT,
    "GEN-022": _SILENT,
    "MATRIX-001/business logic: M15 *": _REPORTS,
    "MATRIX-001/business logic: M17 *": _BL_SUBSCRIBES,
    "MATRIX-001/business logic: M19 *": _BL_SUBSCRIBES,
    "MATRIX-001/business logic: M20 *": _BL_SUBSCRIBES,
    "MATRIX-001/no token: M01 *": _FREE,
    "MATRIX-001/no token: M03 *": _FREE,
    "MATRIX-001/no token: M06 *": _FREE,
    "MATRIX-001/no token: M08 *": _FREE,
    "MATRIX-001/wrong scope: *": _PERMISSIONS,
    "MATRIX-001/auth server is public: a bad token": "Definition, OAuth 2.0: a VTN refuses a token that is invalid",
    "MATRIX-001/a ven: M03 *": _NO_QUERY,
    "MATRIX-001/a ven: M08 *": _NO_QUERY,
    "MATRIX-001/topics *": "R-02, R-33: Definition and API description differ about who may ask for topics",
    "MATRIX-005": _SILENT,
    "AUTH-005/two headers": "RFC 6750 section 2 forbids two ways of sending a token, not one way twice",
    "AUTH-005/token in the query": "RFC 6750 section 2.3: a server may take a token from the query",
    "AUTH-015": _PERMISSIONS,
    "AUTH-008": "RFC 8725 is good practice, the standard does not ask for it",
    "AUTH-011": "R-02: read_bl is nowhere declared",
    "AUTH-012": "R-02: read_bl is nowhere declared",
    "AUTH-023": _OAUTH,
    "AUTH-024/unreadable form": _OAUTH,
    "AUTH-024/repeated token parameter: *": "API description, authError: a repeated parameter may be an error",
    "AUTH-026/wrong basic credentials": _OAUTH,
    "AUTH-027": _OAUTH,
    "AUTH-029": "R-04, R-52: the API description names two bodies for token errors",
    "AUTH-030": _OAUTH,
    "AUTH-032": _SILENT,
    "AUTH-034": "the standard says short-lived and gives no number",
    "AUTH-039": "R-03: how business logic is told from a VEN is left to the VTN",
    "TOKEN-001/never cached: an error": _OAUTH,
    "TOKEN-001/refusal *": "RFC 6750 recommends it",
    "COMP-002/plain when not asked: no header": "RFC 9110 12.5.3: without the header any coding is acceptable",
    "COMP-005": _SILENT,
    "PROBLEM-004": "R-05: RFC 7807 has another media type than the API description",
    "PROBLEM-005": _SILENT,
    "PROBLEM-007": _SILENT,
    "PROBLEM-00?/*: 400 bad member": _CONTENT,
    "PROBLEM-00?/*: 400 bad parameter": _CONTENT,
    "PROBLEM-00?/*: 400 unknown program": _DANGLING,
    "PROBLEM-00?/*: 405 method": "the standard permits further status codes and demands none",
    "PROBLEM-00?/*: 413 too large": "the standard permits further status codes and demands none",
    "PROBLEM-00?/*: 415 content type": "the standard permits further status codes and demands none",
    "PAGE-002": "R-07: the standard has no default limit",
    "PAGE-007": "R-07: the standard allows limit=0 and does not say what it means",
    "PAGE-008": _CONTENT,
    "PAGE-009": _PAGES,
    "PAGE-010": "R-08: the standard gives no order",
    "PAGE-012": "R-09: additive filters could also mean all of several targets",
    "PAGE-014": _SILENT,
    "PAGE-015": _SILENT,
    "PAGE-016": _CONTENT,
    "PAGE-017/nothing has the id: *": "what an id looks like, and what happens to others, is the VTN's decision",
    "PAGE-022/unknown object type": _CONTENT,
    "PAGE-026/targets compare exactly: another case": _SILENT,
    "PAGE-026/targets compare exactly: a blank after it": _SILENT,
    "PAGE-027/active: running": _CONTENT,
    "PAGE-027/active: over": _CONTENT,
    "PAGE-027/bad active: *": _CONTENT,
    "PAGE-028": _GUIDE,
    "PAGE-029": _GUIDE,
    "PAGE-030": "R-20: the User Guide cancels events and asks for reports with the same words",
    "OBJ-001": _CONTENT,
    "OBJ-002": _CONTENT,
    "OBJ-003": _CONTENT,
    "OBJ-004/open words: payloadType with blanks": _CONTENT,
    "OBJ-004/open words: currency": _CONTENT,
    "OBJ-004/open words: target": _CONTENT,
    "OBJ-005": _CONTENT,
    "OBJ-007": _SILENT,
    "OBJ-009": _CONTENT,
    "OBJ-010": _CONTENT,
    "OBJ-011": _CONTENT,
    "OBJ-012": _CONTENT,
    "OBJ-013": _SILENT,
    "OBJ-014/never a conflict: event": "R-16: the API description lists 409 for them too",
    "OBJ-014/never a conflict: report": "R-16: the API description lists 409 for them too",
    "OBJ-014/never a conflict: subscription": "R-16: the API description lists 409 for them too",
    "PROG-004": "the standard does not say whether case counts",
    "PROG-009": _KEPT,
    "PROG-010": "R-18: the standard does not say what a program's period is for",
    "PROG-011": _GUIDE,
    "PROG-012": _CASCADE,
    "PROG-016": _UNKNOWN,
    "EVT-002": _CONTENT,
    "EVT-003": _DANGLING,
    "EVT-006/bad priority: *": _CONTENT,
    "EVT-006/good priority: null": _CONTENT,
    "EVT-007/empty lists: *": _CONTENT,
    "EVT-008": _CONTENT,
    "EVT-010/move": "the standard does not say whether an event may be moved to another program",
    "EVT-012": _CASCADE,
    "EVT-015": _CONTENT,
    "EVT-016": _CONTENT,
    "EVT-019": _GUIDE,
    "EVT-020": "the standard does not say whether targets of report requests are hidden",
    "REPORT-001/nothing to report": _CONTENT,
    "REPORT-004": _REPORTS,
    "REPORT-005": _DANGLING,
    "REPORT-006": _GUIDE,
    "REPORT-007": "R-16: the API description lists 409 for them too",
    "REPORT-010/unknown resource name": _SILENT,
    "REPORT-011": "R-29: the User Guide has them there, the schema does not",
    "REPORT-013": _DANGLING,
    "VEN-003": "R-17: the standard makes venName unique, not the client",
    "VEN-005/change to a duplicate: client*": "R-17: the standard makes venName unique, not the client",
    "VEN-006": _FORM,
    "VEN-008": _FORM,
    "VEN-009": "R-21: the schema of a ven cannot be fulfilled",
    "VEN-011": _SILENT,
    "VEN-013": _CASCADE,
    "VEN-014": "the standard does not say that the id of a ven is never given again",
    "VEN-018": _UNKNOWN,
    "RES-004": _DANGLING,
    "RES-005": _DANGLING,
    "RES-006": "R-23: the standard does not relate the clientID of a resource to that of its ven",
    "RES-008": _FORM,
    "RES-010": "R-21: the schema of a resource cannot be fulfilled",
    "RES-012": _SILENT,
    "RES-014": _SILENT,
    "RES-015": _DANGLING,
    "RES-016": "a VTN may have further paths, as those of version 3.0",
    "RES-017": _FORM,
    "PRIV-EX-03": _NO_QUERY,
    "PRIV-EX-06": "R-09: additive filters could also mean all of several targets",
    "PRIV-EX-09": _NO_QUERY,
    "PRIV-EX-13": "the standard does not say what a VEN without a ven sees",
    "PRIV-EX-14": _NO_QUERY,
    "PRIV-EX-15": _NO_QUERY,
    "PRIV-EX-16": "R-13: the standard does not relate the privacy of events to that of programs",
    "PRIV-EX-17": "R-12: the standard is silent about the own id of a ven as a target",
    "PRIV-003": _NO_QUERY,
    "PRIV-004": _SILENT,
    "PRIV-005/untargeted is public: * without a ven": "the standard does not say what a VEN without a ven sees",
    "PRIV-011": _NO_QUERY,
    "PRIV-013": _NO_QUERY,
    "PRIV-016": "R-13: the standard does not relate the privacy of events to that of programs",
    "PRIV-019": _PAGES,
    "SUBS-001/create: BL": _BL_SUBSCRIBES,
    "SUBS-002/business logic may all: PUT": _OTHERS,
    "SUBS-002/business logic may all: DELETE": _OTHERS,
    "SUBS-003/of another client: * that of BL": _BL_SUBSCRIBES,
    "SUBS-004/unknown program": _DANGLING,
    "SUBS-006": _CONTENT,
    "SUBS-007/operation words: READ": "R-27b: notifications of reads are optional",
    "SUBS-007/operation words: HTTP words": "R-48: known clients use them, the schema has the others",
    "SUBS-007/operation words: both": "R-48: known clients use them, the schema has the others",
    "SUBS-007/other operation words: *": _CONTENT,
    "SUBS-009": "R-16: the API description lists 409 for them too",
    "SUBS-010/change: BL": _OTHERS,
    "SUBS-012/targets: not held": _CONTENT,
    "SUBS-011": "R-26: the schema has the token in answers",
    "SUBS-014": _CASCADE,
    "SUBS-016": _SILENT,
    "TIME-001/durations: P7D": _SPELLING,
    "TIME-001/durations: P1W": _SPELLING,
    "TIME-001/durations: PT0?": _SPELLING,
    "TIME-001/durations: P9999Y": _SPELLING,
    "TIME-001/durations: -PT5M": _SPELLING,
    "TIME-001/durations: PT1.5S": _SPELLING,
    "TIME-001/durations: P1Y*": _SPELLING,
    "TIME-002": _CONTENT,
    "TIME-004/instants: *": _SPELLING,
    "TIME-005": "R-39: the forms of the beginning of time differ between the documents, and most are no RFC 3339",
    "TIME-006": _CONTENT,
    "TIME-007": _CONTENT,
    "TIME-008": _SILENT,
    "TIME-009": _GUIDE,
    "TIME-01?": _GUIDE,
    "TIME-02?": _GUIDE,
    "TIME-035": "R-18: the User Guide calls it an error of content",
    "ETAG-*": _CACHING,
    "COMPAT-*": _CLIENTS,
}
"""Requirement, or key of a check, with `*` and `?` -> why the standard does not decide it."""


@cache
def ruling_of(requirement: str, case: str) -> str:
    """Return the reason why the standard does not decide this check; empty if it does."""
    names = (requirement, f"{requirement}/{case}")
    return next(
        (why for pattern, why in RULINGS.items() if any(fnmatchcase(name, pattern) for name in names)),
        "",
    )
