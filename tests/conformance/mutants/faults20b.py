"""Break a 2.0b VTN: which change breaks what, and the checks that exist for each."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from oadr_conformance.v20b.checks import push
from oadr_conformance.v20b.tree import el

from mutants import changes20b as change
from mutants.front20b import Fault20b
from mutants.pushes20b import PUSH_FAULTS

FAULTS: Final[tuple[Fault20b, ...]] = (
    Fault20b(
        "says 200 to everything",
        (
            "B-GEN-001/times received*",
            "B-GEN-002/schema version received*",
            "B-GEN-011/*",
            "B-GEN-012/*",
            "B-GEN-014/*",
            "B-REG-005/*",
            "B-REG-006/*",
            "B-REG-008/*",
            "B-REG-009/*",
            "B-REG-011/*",
            "B-REG-012/cancel another",
            "B-REG-015/report only is refused",
            "B-TRN-00[1234]/post only*",
            "B-TRN-001/exact*",
            "B-TRN-002/other*",
            "B-TRN-003/*",
            "B-TRN-004/*",
            "B-TRN-006/no message*",
            "B-TRN-006/invalid*",
            "B-CRE-005/*",
            "B-CRE-006/unknown event",
            "B-CRE-006/wrong number",
            "B-OPT-00[134]/*",
            "B-OPT-002/*",
            "B-OPT-006/*group",
            "B-OPT-008/*",
            "B-OPT-009/unknown reason",
            "B-RPT-004/*",
            "B-RPT-010/*",
            "B-RPT-011/*",
            "B-RPT-020/*",
            "B-RPT-021/*",
            "B-RPT-023/*",
            "B-SEC-012/*",
        ),
        answer=change.accepts,
    ),
    Fault20b(
        "refuses everything",
        (
            "B-GEN-003/*received",
            "B-GEN-008/*: oadr[QRU]*",
            "B-GEN-008/*: oadrCreate[OP]*",
            "B-GEN-009/*",
            "B-GEN-010/*",
            "B-REG-00[37]/*",
            "B-REG-017/*",
            "B-REG-012/cancel",
            "B-REG-014/*",
            "B-POL-002/*",
            "B-POL-005/*",
            "B-TRN-002/spellings*",
            "B-CRE-00[1234579]/*",
            "B-CRE-01*",
            "B-OPT-002/opt of an event",
            "B-OPT-005/*",
            "B-OPT-006/*class",
            "B-OPT-007/*",
            "B-OPT-009/reasons*",
            "B-OPT-010/*",
            "B-RPT-00[12]/*",
            "B-RPT-005/*",
            "B-RPT-013/*",
            "B-RPT-014/*",
            "B-RPT-022/*",
            "B-SEC-008/*",
        ),
        answer=change.text("ei:responseCode", "469"),
    ),
    Fault20b(
        "gives a registrationID to whom it refuses", ("B-REG-001/*", "B-REG-005/*"), answer=change.registers_anyway
    ),
    Fault20b("fails over bad input", ("B-TRN-002/no content type", "B-TRN-006/*", "B-GEN-012/*"), answer=change.fails),
    Fault20b(
        "fails where HTTP would refuse",
        ("B-TRN-002/other*", "B-TRN-003/*", "B-TRN-004/*", "B-TRN-006/no*"),
        answer=change.resets,
    ),
    Fault20b("answers in chunks", ("B-TRN-001/length*",), answer=change.chunked),
    Fault20b(
        "takes any request for a right one",
        ("B-TRN-001/post*", "B-TRN-001/exact*", "B-TRN-002/other*", "B-TRN-004/*"),
        request=change.plain_requests,
    ),
    Fault20b("compares the type letter by letter", ("B-TRN-002/spellings*",), request=change.strict_type),
    Fault20b("takes any venID", ("B-GEN-005/*", "B-OPT-003/*"), request=change.anybody),
    Fault20b("trims and folds venIDs", ("B-GEN-006/ven ids*", "B-GEN-006/leading*"), request=change.lenient),
    Fault20b("takes texts for numbers", ("B-GEN-006/texts*",), answer=change.numbers),
    Fault20b(
        "writes None where nothing is",
        ("B-GEN-007/nothing*", "B-GEN-008/*", "B-GEN-007/request*"),
        answer=change.text("pyld:requestID", "None"),
    ),
    Fault20b("escapes nothing", ("B-GEN-015/*",), answer=change.unescaped),
    Fault20b("leaves out schemaVersion", ("B-GEN-002/*sent*",), answer=change.root(change.without_schema_version)),
    Fault20b("tells where the schema is", ("B-GEN-003/*sent*",), answer=change.root(change.located)),
    Fault20b("has another vtnID each time", ("B-GEN-004/*",), answer=change.other_each_time("ei:vtnID")),
    Fault20b(
        "sends what the schema refuses",
        (
            "B-GEN-013/*",
            "B-POL-006/*",
            "B-REG-010/*",
            "B-REG-014/reports*",
            "B-RPT-014/*",
            "B-RPT-015/*",
            "B-OPT-010/*",
            "B-TRN-006/strange*",
        ),
        answer=change.root(change.invalid),
    ),
    Fault20b(
        "tells local time", ("B-GEN-001/times sent",), answer=change.text("xcal:date-time", "2031-05-06T07:08:09")
    ),
    Fault20b("gives no identifiers", ("B-REG-003/*", "B-REG-002/*"), answer=change.root(change.query_says_nothing)),
    Fault20b(
        "says nothing of how often to poll", ("B-REG-004/*",), answer=change.gone("oadr:oadrRequestedOadrPollFreq")
    ),
    Fault20b("lists another profile", ("B-REG-001/*", "B-REG-004/*"), answer=change.root(change.profiles)),
    Fault20b(
        "gives a new registrationID each time",
        ("B-REG-002/*", "B-REG-007/*", "B-REG-012/cancel"),
        answer=change.other_each_time("ei:registrationID"),
    ),
    Fault20b(
        "knows another VEN each time",
        ("B-POL-002/*", "B-SEC-005/*", "B-SEC-007/*", "B-REG-002/*"),
        answer=change.other_each_time("ei:venID"),
    ),
    Fault20b(
        "answers with oadrResponse",
        ("B-REG-01[02]/*", "B-OPT-008/*", "B-EVT-005/*", "B-TRN-001/length*", "B-RPT-00[125]/*"),
        answer=change.other_answer,
    ),
    Fault20b("forgets report requests", ("B-REG-017/*", "B-RPT-013/*", "B-RPT-022/*"), answer=change.forgets_requests),
    Fault20b(
        "asks nothing of a VEN by poll",
        (
            "B-REG-010/*",
            "B-REG-014/*",
            "B-POL-00[134]/*",
            "B-EVT-001/*",
            "B-EVT-006/response of a poll",
            "B-EVT-016/*",
            "B-EVT-040/*",
            "B-EVT-009/*",
        ),
        answer=change.as_response,
    ),
    Fault20b(
        "sends two messages at once", ("B-POL-001/*", "B-POL-00[26]/*"), answer=change.root(change.second_message)
    ),
    Fault20b("offers an event once", ("B-POL-004/*", "B-EVT-016/cancelled until*"), answer=change.once),
    Fault20b(
        "offers answered events again",
        ("B-POL-004/*", "B-CRE-001/opt: *", "B-CRE-006/the others*", "B-CRE-009/*", "B-CRE-011/*"),
        answer=change.again_and_again,
    ),
    Fault20b("tells the last event only", ("B-EVT-001/*",), answer=change.only_the_last),
    Fault20b("tells events backwards", ("B-EVT-002/*",), answer=change.events(lambda events: events.reverse())),
    Fault20b("ignores replyLimit", ("B-EVT-003/*",), request=change.no_reply_limit),
    Fault20b("never ends an event", ("B-EVT-017/*",), answer=change.never_over),
    Fault20b("lets cancelled events vanish", ("B-EVT-016/*", "B-EVT-040/*"), answer=change.vanishing),
    Fault20b("answers a request without events by oadrResponse", ("B-EVT-005/*",), answer=change.no_empty_distribution),
    Fault20b("mixes up eiResponse of distributions", ("B-EVT-006/*",), answer=change.response_in_polls),
    Fault20b("distributes without requestID", ("B-EVT-007/*",), answer=change.empty_ids),
    Fault20b("passes on no startafter", ("B-EVT-018/*",), answer=change.gone("xcal:tolerance")),
    Fault20b("asks for no answers", ("B-EVT-020/*",), answer=change.text("oadr:oadrResponseRequired", "never")),
    Fault20b("calls everything a test", ("B-EVT-021/*",), answer=change.text("ei:testEvent", "maybe")),
    Fault20b(
        "targets another VEN",
        ("B-EVT-035/*",),
        answer=change.each("ei:eiTarget", lambda one: one.append(el("ei:venID", "VEN-Two"))),
    ),
    Fault20b(
        "has one market context", ("B-EVT-036/*",), answer=change.text("emix:marketContext", "http://one.example")
    ),
    Fault20b(
        "numbers all events alike",
        ("B-EVT-009/*", "B-EVT-011/*", "B-EVT-016/cancelled is*", "B-EVT-040/*"),
        answer=change.text("ei:modificationNumber", "0"),
    ),
    Fault20b(
        "counts messages, not changes",
        ("B-EVT-008/*", "B-EVT-011/*", "B-EVT-014/*", "B-POL-003/*"),
        answer=change.counting,
    ),
    Fault20b("says not when an event changed", ("B-EVT-009/*",), answer=change.gone("ei:modificationDateTime")),
    Fault20b(
        "takes the status from a table of its own",
        ("B-EVT-013/*", "B-EVT-014/*", "B-EVT-019/*"),
        answer=change.root(change.never_active),
    ),
    Fault20b("says an open end of an hour", ("B-EVT-025/*", "B-EVT-027/*"), answer=change.root(change.grows)),
    Fault20b("numbers intervals from 1", ("B-EVT-026/*",), answer=change.root(change.uids)),
    Fault20b("tells intervals backwards", ("B-EVT-028/*", "B-EVT-026/*"), answer=change.root(change.backwards)),
    Fault20b("sends SIMPLE values beyond 3", ("B-EVT-029/*",), answer=change.text("ei:value", "5.0")),
    Fault20b(
        "has another currentValue",
        ("B-EVT-030/*",),
        answer=change.each("ei:currentValue", lambda one: one[0][0].__setattr__("text", "9.0")),
    ),
    Fault20b(
        "drops prices", ("B-EVT-031/*", "B-EVT-033/*"), answer=change.root(change.drops_signal("ELECTRICITY_PRICE"))
    ),
    Fault20b(
        "drops SIMPLE", ("B-EVT-032/*", "B-EVT-029/*", "B-EVT-030/*"), answer=change.root(change.drops_signal("SIMPLE"))
    ),
    Fault20b("gives all signals one signalID", ("B-EVT-033/*",), answer=change.root(change.same_ids)),
    Fault20b("targets groups by signals", ("B-EVT-034/*",), answer=change.root(change.signal_targets)),
    Fault20b("has a baseline that does not add up", ("B-EVT-039/*",), answer=change.root(change.baseline)),
    Fault20b(
        "asks for reports that nobody registered",
        ("B-RPT-005/*",),
        answer=change.text("ei:reportSpecifierID", "made-up"),
    ),
    Fault20b(
        "asks for a value each day",
        ("B-RPT-008/*",),
        answer=change.each("xcal:granularity", lambda one: one[0].__setattr__("text", "P1D")),
    ),
    Fault20b("says its reports have been asked for", ("B-REG-014/reports*",), answer=change.root(change.own_reports)),
    Fault20b(
        "cancels reports that are not open",
        ("B-RPT-014/*",),
        answer=change.each("oadr:oadrUpdatedReport", change.cancels_made_up),
    ),
    Fault20b("shows events to whom only reports", ("B-REG-015/*",), request=change.reports_and_more),
    Fault20b("speaks old TLS", ("B-SEC-001/old*",), tls=change.old_tls),
    Fault20b("speaks only TLS 1.3", ("B-SEC-001/tls*", "B-SEC-002/*"), tls=change.new_tls_only),
    Fault20b("has no RSA certificate", ("B-SEC-002/*: RSA",), tls=lambda files: files.context(without="RSA")),
    Fault20b("has no ECC certificate", ("B-SEC-002/*: ECDHE-ECDSA",), tls=lambda files: files.context(without="EC")),
    Fault20b("verifies no signature", ("B-SEC-009/*", "B-SEC-010/*", "B-SEC-011/*"), answer=change.unverified),
    Fault20b("asks for no client certificate", ("B-SEC-004/*", "B-SEC-014/*"), tls=change.no_client_certificates),
    *PUSH_FAULTS,
)


def faults20b_of(key: str) -> list[Fault20b]:
    """Return the faults this check has to fail on: those of pushes are for checks of pushes, and others for others."""
    return [
        fault
        for fault in FAULTS
        if (fault.push is not None) == (key in _OF_PUSHES)
        and any(fnmatchcase(key, pattern) for pattern in fault.patterns)
    ]


_OF_PUSHES: Final = frozenset(check.key for check in push.area.checks)


def unused_patterns20b(keys: Iterable[str]) -> list[str]:
    """Patterns that name no check: the table has to follow the suite."""
    known = list(keys)
    return [
        f"{fault.name}: {pattern}"
        for fault in FAULTS
        for pattern in fault.patterns
        if not any(fnmatchcase(key, pattern) and (fault.push is not None) == (key in _OF_PUSHES) for key in known)
    ]
