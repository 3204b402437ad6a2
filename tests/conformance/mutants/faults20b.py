"""Break a 2.0b VTN: changes of its answers and of what reaches it, and the checks that exist for each."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from lxml import etree
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.tree import NAMESPACES, SCHEMA_LOCATION, SCHEMA_VERSION, Element, el, local, payload, tag
from vtns.small20b import Asked20b

from mutants.front20b import Answer20b, Fault20b, FrontFiles, Seen20b, changed

_CODE: Final = tag("ei:responseCode")


def _each(name: str, change: Callable[[Element], None]) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Change every element of this name."""

    def answer(_seen: Seen20b, told: Answer20b) -> Answer20b:
        def walk(root: Element) -> None:
            for one in list(root.iter(tag(name))):
                change(one)

        return changed(told, walk)

    return answer


def _text(name: str, text: str) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Give every element of this name another text."""

    def change(one: Element) -> None:
        one.text = text

    return _each(name, change)


def _gone(name: str) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Leave out every element of this name."""

    def change(one: Element) -> None:
        parent = one.getparent()
        if parent is not None:
            parent.remove(one)

    return _each(name, change)


def _accepts(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Say 200 to everything, also where HTTP would refuse."""
    if told.status in {400, 403, 404, 405, 413, 415}:
        return Answer20b(200, payload(messages.response("VEN-One")), {"Content-Type": "application/xml"})
    return _text("ei:responseCode", "200")(_seen, told)


def _registers_anyway(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Give a registrationID with a refusal."""

    def change(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrCreatedPartyRegistration")):
            if one.find("ei:registrationID", NAMESPACES) is None:
                one.insert(1, el("ei:registrationID", "given-anyway"))

    del seen
    return changed(told, change)


def _fails(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Fail where input is bad, or too large."""
    bad = told.status >= 400 or any(code in told.body for code in (b">4", b">469<")) or len(seen.asked.body) > 50_000
    odd = any(text in seen.asked.body for text in (b"NaN", b"INF", b"999", b"SQL", b"0001-01-01", b"OR '1'"))
    odd = (
        odd
        or b"replyLimit>0<" in seen.asked.body
        or any(text in seen.asked.body for text in (b"<ei:venID></", b"<ei:venID/>", b"<ei:venID>   </"))
    )
    return Answer20b(500, b"", {}) if bad or odd else told


def _resets(_seen: Seen20b, told: Answer20b) -> Answer20b:
    return Answer20b(500, b"", {}) if told.status in {400, 413, 415} else told


def _chunked(_seen: Seen20b, told: Answer20b) -> Answer20b:
    return replace(told, chunked=True)


def _unescaped(_seen: Seen20b, told: Answer20b) -> Answer20b:
    body = told.body.replace(b"&lt;", b"<").replace(b"&amp;", b"&").replace(b"&gt;", b">")
    return replace(told, body=body.replace(b"{{ 7 * 7 }}", b"49").replace(b"\"'", b"&quot;"))


def _numbers(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Take texts for numbers, as parsers of YAML do, and trim them."""

    def change(one: Element) -> None:
        text = (one.text or "").strip()
        odd = {"true": "True", "None": "", "1.2.3": "1.2", "0x1F": "31", "1e5": "100000", "äöü": "aou"}
        one.text = str(int(text)) if text.isdecimal() else odd.get(text, text)

    return _each("pyld:requestID", change)(_seen, told)


def _lenient(asked: Asked20b) -> Asked20b:
    """Take any venID for the right one, and an optID without its zeros."""
    body = asked.body
    for wrong in (b" VEN-One", b"VEN-One ", b"0VEN-One", b"ven-oNE"):
        body = body.replace(b">" + wrong + b"<", b">VEN-One<")
    return replace(asked, body=body.replace(b">00conformance", b">conformance"))


def _anybody(asked: Asked20b) -> Asked20b:
    """Take any venID of a message for that of its certificate."""
    body = asked.body
    for wrong in (b"conformance-no-such-ven", b"VEN-Two", b"conformance-another"):
        body = body.replace(b"<ei:venID>" + wrong + b"<", b"<ei:venID>VEN-One<")
    return replace(asked, body=body)


def _plain_requests(asked: Asked20b) -> Asked20b:
    """Refuse nothing by its shape: the DTD, instructions and depth are taken away before."""
    query = payload(messages.query_registration("transport"))
    bad = asked.method != "POST" or b"<!DOCTYPE" in asked.body or b"<?php" in asked.body or len(asked.body) > 50_000
    other_type = (asked.content_type or "").partition(";")[0].lower() != "application/xml"
    if bad or other_type or asked.service in {"eiregisterparty", "EiRegisterParty/x", "EiQuote", ""}:
        return replace(asked, method="POST", body=query, content_type="application/xml", service="EiRegisterParty")
    return asked


def _strict_type(asked: Asked20b) -> Asked20b:
    plain = asked.content_type == "application/xml"
    return asked if plain else replace(asked, content_type="text/plain")


def _without_schema_version(root: Element) -> None:
    for one in root.iter():
        one.attrib.pop(SCHEMA_VERSION, None)


def _located(root: Element) -> None:
    root.set(SCHEMA_LOCATION, "http://openadr.org/oadr-2.0b/2012/07 oadr_20b.xsd")


def _root(change: Callable[[Element], None]) -> Callable[[Seen20b, Answer20b], Answer20b]:
    return lambda _seen, told: changed(told, change)


def _invalid(root: Element) -> None:
    for one in root.findall("oadr:oadrSignedObject/*", NAMESPACES):
        one.append(el("oadr:oadrInfo"))


def _second_message(root: Element) -> None:
    for one in root.findall("oadr:oadrSignedObject", NAMESPACES):
        one.append(messages.poll("VEN-One"))


def _as_response(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Bring oadrResponse where a poll should bring something."""
    if b"oadrPoll" not in seen.asked.body:
        return told
    return replace(told, body=payload(messages.response("VEN-One")))


def _never_over(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Tell events on and on, as they were at first."""
    if b"oadrRequestEvent" not in seen.asked.body:
        return told
    if b"oadrEvent>" in told.body:
        seen.memory["last"] = told.body
    return replace(told, body=seen.memory.get("last", told.body))


def _no_empty_distribution(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Answer a request for events with oadrResponse where there are none, as some do."""
    if b"oadrDistributeEvent" not in told.body or b"oadrEvent>" in told.body:
        return told
    return replace(told, body=payload(messages.response("VEN-One", "none")))


def _once(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Bring each set of events by poll once only."""
    if b"oadrPoll" not in seen.asked.body or b"oadrDistributeEvent" not in told.body:
        return told
    said = b"".join(
        sorted(one.encode() for one in _texts(told, "ei:eventID", "ei:modificationNumber", "ei:eventStatus"))
    )
    if said in seen.memory.values():
        return replace(told, body=payload(messages.response("VEN-One")))
    seen.memory[f"said {len(seen.memory)}"] = said
    return told


def _texts(told: Answer20b, *names: str) -> list[str]:
    root = told.root
    return [] if root is None else [one.text or "" for one in root.iter(*map(tag, names))]


def _again_and_again(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Bring the last distribution by poll although it was answered."""
    if b"oadrDistributeEvent" in told.body:
        seen.memory["last"] = told.body
    by_poll = b"oadrPoll" in seen.asked.body
    return replace(told, body=seen.memory.get("last", told.body)) if by_poll else told


def _events(change: Callable[[list[Element]], None]) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Change the list of events of a distribution."""

    def walk(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrDistributeEvent")):
            events = one.findall("oadr:oadrEvent", NAMESPACES)
            for each in events:
                one.remove(each)
            change(events)
            one.extend(events)

    return _root(walk)


def _only_the_last(seen: Seen20b, told: Answer20b) -> Answer20b:
    by_poll = b"oadrPoll" in seen.asked.body
    return _events(lambda events: events.__delitem__(slice(0, -1)))(seen, told) if by_poll else told


def _vanishing(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Leave out what is cancelled."""

    def change(events: list[Element]) -> None:
        events[:] = [one for one in events if b">cancelled<" not in etree.tostring(one)]

    def walk(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrSignedObject")):
            if one.find("oadr:oadrDistributeEvent/oadr:oadrEvent", NAMESPACES) is None:
                one[:] = [messages.response("VEN-One")]

    by_poll = b"oadrPoll" in _seen.asked.body
    told = _events(change)(_seen, told)
    return _root(walk)(_seen, told) if by_poll and b"oadrDistributeEvent" in told.body else told


def _counting(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Add 1 to the number whenever it is told."""
    seen = _seen.memory
    seen["count"] = seen.get("count", b"") + b"x"
    extra = len(seen["count"])

    def change(one: Element) -> None:
        one.text = str(int(one.text or "0") + extra)

    return _each("ei:modificationNumber", change)(_seen, told)


def _grows(root: Element) -> None:
    """Double the length of an interval, and shift uids."""
    for one in root.iter(tag("ei:interval")):
        for each in one.iterfind("xcal:duration/xcal:duration", NAMESPACES):
            each.text = "PT7S"


def _uids(root: Element) -> None:
    for one in root.iter(tag("xcal:text")):
        one.text = str(int(one.text or "0") + 1)


def _backwards(root: Element) -> None:
    for one in root.iter(tag("strm:intervals")):
        one[:] = reversed(one)


def _same_ids(root: Element) -> None:
    for one in root.iter(tag("ei:signalID")):
        one.text = "0"


def _signal_targets(root: Element) -> None:
    for one in root.iter(tag("ei:eiEventSignal")):
        one.insert(1, el("ei:eiTarget", el("ei:groupID", "group")))


def _baseline(root: Element) -> None:
    for one in root.iter(tag("ei:eiEventSignals")):
        interval = el("ei:interval", el("xcal:duration", el("xcal:duration", "PT5M")))
        whole = el("xcal:duration", el("xcal:duration", "PT1H"))
        one.append(el("ei:eiEventBaseline", whole, el("strm:intervals", interval)))


def _drops_signal(name: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        for one in list(root.iter(tag("ei:eiEventSignal"))):
            parent = one.getparent()
            if parent is not None and one.findtext("ei:signalName", "", NAMESPACES) == name:
                parent.remove(one)

    return change


def _response_in_polls(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Put an eiResponse into what a poll brings, and another requestID into what a request gets."""

    def change(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrDistributeEvent")):
            if one.find("ei:eiResponse", NAMESPACES) is None:
                one.insert(0, messages.response_part("None"))

    return changed(told, change) if b"oadrPoll" in seen.asked.body else _text("pyld:requestID", "other")(seen, told)


def _empty_ids(seen: Seen20b, told: Answer20b) -> Answer20b:
    def change(root: Element) -> None:
        for one in root.iterfind(".//oadr:oadrDistributeEvent/pyld:requestID", NAMESPACES):
            one.text = ""

    del seen
    return changed(told, change)


def _other_each_time(name: str) -> Callable[[Seen20b, Answer20b], Answer20b]:
    def answer(seen: Seen20b, told: Answer20b) -> Answer20b:
        seen.memory["turns"] = seen.memory.get("turns", b"") + b"x"
        return _text(name, f"other-{len(seen.memory['turns'])}")(seen, told)

    return answer


def _query_says_nothing(root: Element) -> None:
    """Tell nobody its registration, or tell everybody one."""
    for one in root.iter(tag("oadr:oadrCreatedPartyRegistration")):
        found = one.find("ei:registrationID", NAMESPACES)
        if found is not None:
            one.remove(found)
        else:
            one.insert(1, el("ei:registrationID", "for-everybody"))


def _profiles(root: Element) -> None:
    for one in root.iter(tag("oadr:oadrProfileName")):
        one.text = "2.0a"


def _forgets_requests(_seen: Seen20b, told: Answer20b) -> Answer20b:
    if b"oadrUpdatedReport" not in told.body:
        return told
    return _text("ei:responseCode", "452")(_seen, told)


def _own_reports(root: Element) -> None:
    for one in root.iter(tag("oadr:oadrRegisterReport")):
        one.append(el("ei:reportRequestID", "7"))


def _other_answer(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Answer with oadrResponse where a message of its own is asked for."""

    def change(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrSignedObject")):
            if len(one) and local(one[0]) != "oadrResponse":
                one[:] = [messages.response("VEN-One")]

    return changed(told, change)


def _cancels_made_up(one: Element) -> None:
    what = el("pyld:requestID", "x"), el("ei:reportRequestID", "made-up"), el("pyld:reportToFollow", "false")
    one.insert(1, el("oadr:oadrCancelReport", *what))


def _unverified(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Take what the signature does not cover."""
    if told.status != 403:
        return told
    status, body = seen.vtn.answer(seen.asked, verify=False)
    return Answer20b(status, body, {"Content-Type": "application/xml"})


def _reports_and_more(asked: Asked20b) -> Asked20b:
    """Take a VEN that only reports for any other."""
    return replace(asked, body=asked.body.replace(b"oadrReportOnly>true<", b"oadrReportOnly>false<"))


def _no_reply_limit(asked: Asked20b) -> Asked20b:
    return replace(
        asked, body=asked.body.replace(b"replyLimit>1<", b"replyLimit>9<").replace(b"replyLimit>2<", b"replyLimit>9<")
    )


def _never_active(root: Element) -> None:
    swap = {"active": "near", "far": "none", "completed": "active"}
    for one in root.iter(tag("ei:eventStatus")):
        one.text = swap.get(one.text or "", one.text)


def _old_tls(files: FrontFiles) -> ssl.SSLContext:
    context = files.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


def _new_tls_only(files: FrontFiles) -> ssl.SSLContext:
    context = files.context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _no_client_certificates(files: FrontFiles) -> ssl.SSLContext:
    context = files.context()
    context.verify_mode = ssl.CERT_NONE
    return context


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
        answer=_accepts,
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
        answer=_text("ei:responseCode", "469"),
    ),
    Fault20b("gives a registrationID to whom it refuses", ("B-REG-001/*", "B-REG-005/*"), answer=_registers_anyway),
    Fault20b("fails over bad input", ("B-TRN-002/no content type", "B-TRN-006/*", "B-GEN-012/*"), answer=_fails),
    Fault20b(
        "fails where HTTP would refuse",
        ("B-TRN-002/other*", "B-TRN-003/*", "B-TRN-004/*", "B-TRN-006/no*"),
        answer=_resets,
    ),
    Fault20b("answers in chunks", ("B-TRN-001/length*",), answer=_chunked),
    Fault20b(
        "takes any request for a right one",
        ("B-TRN-001/post*", "B-TRN-001/exact*", "B-TRN-002/other*", "B-TRN-004/*"),
        request=_plain_requests,
    ),
    Fault20b("compares the type letter by letter", ("B-TRN-002/spellings*",), request=_strict_type),
    Fault20b("takes any venID", ("B-GEN-005/*", "B-OPT-003/*"), request=_anybody),
    Fault20b("trims and folds venIDs", ("B-GEN-006/ven ids*", "B-GEN-006/leading*"), request=_lenient),
    Fault20b("takes texts for numbers", ("B-GEN-006/texts*",), answer=_numbers),
    Fault20b(
        "writes None where nothing is",
        ("B-GEN-007/nothing*", "B-GEN-008/*", "B-GEN-007/request*"),
        answer=_text("pyld:requestID", "None"),
    ),
    Fault20b("escapes nothing", ("B-GEN-015/*",), answer=_unescaped),
    Fault20b("leaves out schemaVersion", ("B-GEN-002/*sent*",), answer=_root(_without_schema_version)),
    Fault20b("tells where the schema is", ("B-GEN-003/*sent*",), answer=_root(_located)),
    Fault20b("has another vtnID each time", ("B-GEN-004/*",), answer=_other_each_time("ei:vtnID")),
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
        answer=_root(_invalid),
    ),
    Fault20b("tells local time", ("B-GEN-001/times sent",), answer=_text("xcal:date-time", "2031-05-06T07:08:09")),
    Fault20b("gives no identifiers", ("B-REG-003/*", "B-REG-002/*"), answer=_root(_query_says_nothing)),
    Fault20b("says nothing of how often to poll", ("B-REG-004/*",), answer=_gone("oadr:oadrRequestedOadrPollFreq")),
    Fault20b("lists another profile", ("B-REG-001/*", "B-REG-004/*"), answer=_root(_profiles)),
    Fault20b(
        "gives a new registrationID each time",
        ("B-REG-002/*", "B-REG-007/*", "B-REG-012/cancel"),
        answer=_other_each_time("ei:registrationID"),
    ),
    Fault20b(
        "knows another VEN each time",
        ("B-POL-002/*", "B-SEC-005/*", "B-SEC-007/*", "B-REG-002/*"),
        answer=_other_each_time("ei:venID"),
    ),
    Fault20b(
        "answers with oadrResponse",
        ("B-REG-01[02]/*", "B-OPT-008/*", "B-EVT-005/*", "B-TRN-001/length*", "B-RPT-00[125]/*"),
        answer=_other_answer,
    ),
    Fault20b("forgets report requests", ("B-REG-017/*", "B-RPT-013/*", "B-RPT-022/*"), answer=_forgets_requests),
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
        answer=_as_response,
    ),
    Fault20b("sends two messages at once", ("B-POL-001/*", "B-POL-00[26]/*"), answer=_root(_second_message)),
    Fault20b("offers an event once", ("B-POL-004/*", "B-EVT-016/cancelled until*"), answer=_once),
    Fault20b(
        "offers answered events again",
        ("B-POL-004/*", "B-CRE-001/opt: *", "B-CRE-006/the others*", "B-CRE-009/*", "B-CRE-011/*"),
        answer=_again_and_again,
    ),
    Fault20b("tells the last event only", ("B-EVT-001/*",), answer=_only_the_last),
    Fault20b("tells events backwards", ("B-EVT-002/*",), answer=_events(lambda events: events.reverse())),
    Fault20b("ignores replyLimit", ("B-EVT-003/*",), request=_no_reply_limit),
    Fault20b("never ends an event", ("B-EVT-017/*",), answer=_never_over),
    Fault20b("lets cancelled events vanish", ("B-EVT-016/*", "B-EVT-040/*"), answer=_vanishing),
    Fault20b("answers a request without events by oadrResponse", ("B-EVT-005/*",), answer=_no_empty_distribution),
    Fault20b("mixes up eiResponse of distributions", ("B-EVT-006/*",), answer=_response_in_polls),
    Fault20b("distributes without requestID", ("B-EVT-007/*",), answer=_empty_ids),
    Fault20b("passes on no startafter", ("B-EVT-018/*",), answer=_gone("xcal:tolerance")),
    Fault20b("asks for no answers", ("B-EVT-020/*",), answer=_text("oadr:oadrResponseRequired", "never")),
    Fault20b("calls everything a test", ("B-EVT-021/*",), answer=_text("ei:testEvent", "maybe")),
    Fault20b(
        "targets another VEN",
        ("B-EVT-035/*",),
        answer=_each("ei:eiTarget", lambda one: one.append(el("ei:venID", "VEN-Two"))),
    ),
    Fault20b("has one market context", ("B-EVT-036/*",), answer=_text("emix:marketContext", "http://one.example")),
    Fault20b(
        "numbers all events alike",
        ("B-EVT-009/*", "B-EVT-011/*", "B-EVT-016/cancelled is*", "B-EVT-040/*"),
        answer=_text("ei:modificationNumber", "0"),
    ),
    Fault20b(
        "counts messages, not changes",
        ("B-EVT-008/*", "B-EVT-011/*", "B-EVT-014/*", "B-POL-003/*"),
        answer=_counting,
    ),
    Fault20b("says not when an event changed", ("B-EVT-009/*",), answer=_gone("ei:modificationDateTime")),
    Fault20b(
        "takes the status from a table of its own",
        ("B-EVT-013/*", "B-EVT-014/*", "B-EVT-019/*"),
        answer=_root(_never_active),
    ),
    Fault20b("says an open end of an hour", ("B-EVT-025/*", "B-EVT-027/*"), answer=_root(_grows)),
    Fault20b("numbers intervals from 1", ("B-EVT-026/*",), answer=_root(_uids)),
    Fault20b("tells intervals backwards", ("B-EVT-028/*", "B-EVT-026/*"), answer=_root(_backwards)),
    Fault20b("sends SIMPLE values beyond 3", ("B-EVT-029/*",), answer=_text("ei:value", "5.0")),
    Fault20b(
        "has another currentValue",
        ("B-EVT-030/*",),
        answer=_each("ei:currentValue", lambda one: one[0][0].__setattr__("text", "9.0")),
    ),
    Fault20b("drops prices", ("B-EVT-031/*", "B-EVT-033/*"), answer=_root(_drops_signal("ELECTRICITY_PRICE"))),
    Fault20b("drops SIMPLE", ("B-EVT-032/*", "B-EVT-029/*", "B-EVT-030/*"), answer=_root(_drops_signal("SIMPLE"))),
    Fault20b("gives all signals one signalID", ("B-EVT-033/*",), answer=_root(_same_ids)),
    Fault20b("targets groups by signals", ("B-EVT-034/*",), answer=_root(_signal_targets)),
    Fault20b("has a baseline that does not add up", ("B-EVT-039/*",), answer=_root(_baseline)),
    Fault20b(
        "asks for reports that nobody registered", ("B-RPT-005/*",), answer=_text("ei:reportSpecifierID", "made-up")
    ),
    Fault20b(
        "asks for a value each day",
        ("B-RPT-008/*",),
        answer=_each("xcal:granularity", lambda one: one[0].__setattr__("text", "P1D")),
    ),
    Fault20b("says its reports have been asked for", ("B-REG-014/reports*",), answer=_root(_own_reports)),
    Fault20b(
        "cancels reports that are not open", ("B-RPT-014/*",), answer=_each("oadr:oadrUpdatedReport", _cancels_made_up)
    ),
    Fault20b("shows events to whom only reports", ("B-REG-015/*",), request=_reports_and_more),
    Fault20b("speaks old TLS", ("B-SEC-001/old*",), tls=_old_tls),
    Fault20b("speaks only TLS 1.3", ("B-SEC-001/tls*", "B-SEC-002/*"), tls=_new_tls_only),
    Fault20b("has no RSA certificate", ("B-SEC-002/*: RSA",), tls=lambda files: files.context(without="RSA")),
    Fault20b("has no ECC certificate", ("B-SEC-002/*: ECDHE-ECDSA",), tls=lambda files: files.context(without="EC")),
    Fault20b("verifies no signature", ("B-SEC-009/*", "B-SEC-010/*", "B-SEC-011/*"), answer=_unverified),
    Fault20b("asks for no client certificate", ("B-SEC-004/*", "B-SEC-014/*"), tls=_no_client_certificates),
)


def faults20b_of(key: str) -> list[Fault20b]:
    """Return the faults this check has to fail on."""
    return [fault for fault in FAULTS if any(fnmatchcase(key, pattern) for pattern in fault.patterns)]


def unused_patterns20b(keys: Iterable[str]) -> list[str]:
    """Patterns that name no check: the table has to follow the suite."""
    known = list(keys)
    return [
        f"{fault.name}: {pattern}"
        for fault in FAULTS
        for pattern in fault.patterns
        if not any(fnmatchcase(key, pattern) for key in known)
    ]
