"""Changes of the answers of a 2.0b VTN, and of what reaches it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lxml import etree
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.tree import NAMESPACES, SCHEMA_LOCATION, SCHEMA_VERSION, Element, el, local, payload, tag
from vtns.small20b import Asked20b

from mutants.front20b import Answer20b, FrontFiles, Seen20b, changed

_CODE: Final = tag("ei:responseCode")


def each(name: str, change: Callable[[Element], None]) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Change every element of this name."""

    def answer(_seen: Seen20b, told: Answer20b) -> Answer20b:
        def walk(root: Element) -> None:
            for one in list(root.iter(tag(name))):
                change(one)

        return changed(told, walk)

    return answer


def text(name: str, said: str) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Give every element of this name another text."""

    def change(one: Element) -> None:
        one.text = said

    return each(name, change)


def gone(name: str) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Leave out every element of this name."""

    def change(one: Element) -> None:
        parent = one.getparent()
        if parent is not None:
            parent.remove(one)

    return each(name, change)


def accepts(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Say 200 to everything, also where HTTP would refuse."""
    if told.status in {400, 403, 404, 405, 413, 415}:
        return Answer20b(200, payload(messages.response("VEN-One")), {"Content-Type": "application/xml"})
    return text("ei:responseCode", "200")(_seen, told)


def registers_anyway(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Give a registrationID with a refusal."""

    def change(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrCreatedPartyRegistration")):
            if one.find("ei:registrationID", NAMESPACES) is None:
                one.insert(1, el("ei:registrationID", "given-anyway"))

    del seen
    return changed(told, change)


def fails(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Fail where input is bad, or too large."""
    bad = told.status >= 400 or any(code in told.body for code in (b">4", b">469<")) or len(seen.asked.body) > 50_000
    odd = any(text in seen.asked.body for text in (b"NaN", b"INF", b"999", b"SQL", b"0001-01-01", b"OR '1'"))
    odd = (
        odd
        or b"replyLimit>0<" in seen.asked.body
        or any(text in seen.asked.body for text in (b"<ei:venID></", b"<ei:venID/>", b"<ei:venID>   </"))
    )
    return Answer20b(500, b"", {}) if bad or odd else told


def resets(_seen: Seen20b, told: Answer20b) -> Answer20b:
    return Answer20b(500, b"", {}) if told.status in {400, 413, 415} else told


def chunked(_seen: Seen20b, told: Answer20b) -> Answer20b:
    return replace(told, chunked=True)


def unescaped(_seen: Seen20b, told: Answer20b) -> Answer20b:
    body = told.body.replace(b"&lt;", b"<").replace(b"&amp;", b"&").replace(b"&gt;", b">")
    return replace(told, body=body.replace(b"{{ 7 * 7 }}", b"49").replace(b"\"'", b"&quot;"))


def numbers(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Take texts for numbers, as parsers of YAML do, and trim them."""

    def change(one: Element) -> None:
        text = (one.text or "").strip()
        odd = {"true": "True", "None": "", "1.2.3": "1.2", "0x1F": "31", "1e5": "100000", "äöü": "aou"}
        one.text = str(int(text)) if text.isdecimal() else odd.get(text, text)

    return each("pyld:requestID", change)(_seen, told)


def lenient(asked: Asked20b) -> Asked20b:
    """Take any venID for the right one, and an optID without its zeros."""
    body = asked.body
    for wrong in (b" VEN-One", b"VEN-One ", b"0VEN-One", b"ven-oNE"):
        body = body.replace(b">" + wrong + b"<", b">VEN-One<")
    return replace(asked, body=body.replace(b">00conformance", b">conformance"))


def anybody(asked: Asked20b) -> Asked20b:
    """Take any venID of a message for that of its certificate."""
    body = asked.body
    for wrong in (b"conformance-no-such-ven", b"VEN-Two", b"conformance-another"):
        body = body.replace(b"<ei:venID>" + wrong + b"<", b"<ei:venID>VEN-One<")
    return replace(asked, body=body)


def plain_requests(asked: Asked20b) -> Asked20b:
    """Refuse nothing by its shape: the DTD, instructions and depth are taken away before."""
    query = payload(messages.query_registration("transport"))
    bad = asked.method != "POST" or b"<!DOCTYPE" in asked.body or b"<?php" in asked.body or len(asked.body) > 50_000
    other_type = (asked.content_type or "").partition(";")[0].lower() != "application/xml"
    if bad or other_type or asked.service in {"eiregisterparty", "EiRegisterParty/x", "EiQuote", ""}:
        return replace(asked, method="POST", body=query, content_type="application/xml", service="EiRegisterParty")
    return asked


def strict_type(asked: Asked20b) -> Asked20b:
    plain = asked.content_type == "application/xml"
    return asked if plain else replace(asked, content_type="text/plain")


def without_schema_version(root: Element) -> None:
    for one in root.iter():
        one.attrib.pop(SCHEMA_VERSION, None)


def located(root: Element) -> None:
    root.set(SCHEMA_LOCATION, "http://openadr.org/oadr-2.0b/2012/07 oadr_20b.xsd")


def root(change: Callable[[Element], None]) -> Callable[[Seen20b, Answer20b], Answer20b]:
    return lambda _seen, told: changed(told, change)


def invalid(root: Element) -> None:
    for one in root.findall("oadr:oadrSignedObject/*", NAMESPACES):
        one.append(el("oadr:oadrInfo"))


def second_message(root: Element) -> None:
    for one in root.findall("oadr:oadrSignedObject", NAMESPACES):
        one.append(messages.poll("VEN-One"))


def as_response(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Bring oadrResponse where a poll should bring something."""
    if b"oadrPoll" not in seen.asked.body:
        return told
    return replace(told, body=payload(messages.response("VEN-One")))


def never_over(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Tell events on and on, as they were at first."""
    if b"oadrRequestEvent" not in seen.asked.body:
        return told
    if b"oadrEvent>" in told.body:
        seen.memory["last"] = told.body
    return replace(told, body=seen.memory.get("last", told.body))


def no_empty_distribution(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Answer a request for events with oadrResponse where there are none, as some do."""
    if b"oadrDistributeEvent" not in told.body or b"oadrEvent>" in told.body:
        return told
    return replace(told, body=payload(messages.response("VEN-One", "none")))


def once(seen: Seen20b, told: Answer20b) -> Answer20b:
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


def again_and_again(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Bring the last distribution by poll although it was answered."""
    if b"oadrDistributeEvent" in told.body:
        seen.memory["last"] = told.body
    by_poll = b"oadrPoll" in seen.asked.body
    return replace(told, body=seen.memory.get("last", told.body)) if by_poll else told


def events(change: Callable[[list[Element]], None]) -> Callable[[Seen20b, Answer20b], Answer20b]:
    """Change the list of events of a distribution."""

    def walk(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrDistributeEvent")):
            events = one.findall("oadr:oadrEvent", NAMESPACES)
            for each in events:
                one.remove(each)
            change(events)
            one.extend(events)

    return root(walk)


def only_the_last(seen: Seen20b, told: Answer20b) -> Answer20b:
    by_poll = b"oadrPoll" in seen.asked.body
    return events(lambda events: events.__delitem__(slice(0, -1)))(seen, told) if by_poll else told


def vanishing(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Leave out what is cancelled."""

    def change(events: list[Element]) -> None:
        events[:] = [one for one in events if b">cancelled<" not in etree.tostring(one)]

    def walk(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrSignedObject")):
            if one.find("oadr:oadrDistributeEvent/oadr:oadrEvent", NAMESPACES) is None:
                one[:] = [messages.response("VEN-One")]

    by_poll = b"oadrPoll" in _seen.asked.body
    told = events(change)(_seen, told)
    return root(walk)(_seen, told) if by_poll and b"oadrDistributeEvent" in told.body else told


def counting(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Add 1 to the number whenever it is told."""
    seen = _seen.memory
    seen["count"] = seen.get("count", b"") + b"x"
    extra = len(seen["count"])

    def change(one: Element) -> None:
        one.text = str(int(one.text or "0") + extra)

    return each("ei:modificationNumber", change)(_seen, told)


def grows(root: Element) -> None:
    """Double the length of an interval, and shift uids."""
    for one in root.iter(tag("ei:interval")):
        for each in one.iterfind("xcal:duration/xcal:duration", NAMESPACES):
            each.text = "PT7S"


def uids(root: Element) -> None:
    for one in root.iter(tag("xcal:text")):
        one.text = str(int(one.text or "0") + 1)


def backwards(root: Element) -> None:
    for one in root.iter(tag("strm:intervals")):
        one[:] = reversed(one)


def same_ids(root: Element) -> None:
    for one in root.iter(tag("ei:signalID")):
        one.text = "0"


def signal_targets(root: Element) -> None:
    for one in root.iter(tag("ei:eiEventSignal")):
        one.insert(1, el("ei:eiTarget", el("ei:groupID", "group")))


def baseline(root: Element) -> None:
    for one in root.iter(tag("ei:eiEventSignals")):
        interval = el("ei:interval", el("xcal:duration", el("xcal:duration", "PT5M")))
        whole = el("xcal:duration", el("xcal:duration", "PT1H"))
        one.append(el("ei:eiEventBaseline", whole, el("strm:intervals", interval)))


def drops_signal(name: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        for one in list(root.iter(tag("ei:eiEventSignal"))):
            parent = one.getparent()
            if parent is not None and one.findtext("ei:signalName", "", NAMESPACES) == name:
                parent.remove(one)

    return change


def response_in_polls(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Put an eiResponse into what a poll brings, and another requestID into what a request gets."""

    def change(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrDistributeEvent")):
            if one.find("ei:eiResponse", NAMESPACES) is None:
                one.insert(0, messages.response_part("None"))

    return changed(told, change) if b"oadrPoll" in seen.asked.body else text("pyld:requestID", "other")(seen, told)


def empty_ids(seen: Seen20b, told: Answer20b) -> Answer20b:
    def change(root: Element) -> None:
        for one in root.iterfind(".//oadr:oadrDistributeEvent/pyld:requestID", NAMESPACES):
            one.text = ""

    del seen
    return changed(told, change)


def other_each_time(name: str) -> Callable[[Seen20b, Answer20b], Answer20b]:
    def answer(seen: Seen20b, told: Answer20b) -> Answer20b:
        seen.memory["turns"] = seen.memory.get("turns", b"") + b"x"
        return text(name, f"other-{len(seen.memory['turns'])}")(seen, told)

    return answer


def query_says_nothing(root: Element) -> None:
    """Tell nobody its registration, or tell everybody one."""
    for one in root.iter(tag("oadr:oadrCreatedPartyRegistration")):
        found = one.find("ei:registrationID", NAMESPACES)
        if found is not None:
            one.remove(found)
        else:
            one.insert(1, el("ei:registrationID", "for-everybody"))


def profiles(root: Element) -> None:
    for one in root.iter(tag("oadr:oadrProfileName")):
        one.text = "2.0a"


def forgets_requests(_seen: Seen20b, told: Answer20b) -> Answer20b:
    if b"oadrUpdatedReport" not in told.body:
        return told
    return text("ei:responseCode", "452")(_seen, told)


def own_reports(root: Element) -> None:
    for one in root.iter(tag("oadr:oadrRegisterReport")):
        one.append(el("ei:reportRequestID", "7"))


def other_answer(_seen: Seen20b, told: Answer20b) -> Answer20b:
    """Answer with oadrResponse where a message of its own is asked for."""

    def change(root: Element) -> None:
        for one in root.iter(tag("oadr:oadrSignedObject")):
            if len(one) and local(one[0]) != "oadrResponse":
                one[:] = [messages.response("VEN-One")]

    return changed(told, change)


def cancels_made_up(one: Element) -> None:
    what = el("pyld:requestID", "x"), el("ei:reportRequestID", "made-up"), el("pyld:reportToFollow", "false")
    one.insert(1, el("oadr:oadrCancelReport", *what))


def unverified(seen: Seen20b, told: Answer20b) -> Answer20b:
    """Take what the signature does not cover."""
    if told.status != 403:
        return told
    status, body = seen.vtn.answer(seen.asked, verify=False)
    return Answer20b(status, body, {"Content-Type": "application/xml"})


def reports_and_more(asked: Asked20b) -> Asked20b:
    """Take a VEN that only reports for any other."""
    return replace(asked, body=asked.body.replace(b"oadrReportOnly>true<", b"oadrReportOnly>false<"))


def no_reply_limit(asked: Asked20b) -> Asked20b:
    return replace(
        asked, body=asked.body.replace(b"replyLimit>1<", b"replyLimit>9<").replace(b"replyLimit>2<", b"replyLimit>9<")
    )


def never_active(root: Element) -> None:
    swap = {"active": "near", "far": "none", "completed": "active"}
    for one in root.iter(tag("ei:eventStatus")):
        one.text = swap.get(one.text or "", one.text)


def old_tls(files: FrontFiles) -> ssl.SSLContext:
    context = files.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


def new_tls_only(files: FrontFiles) -> ssl.SSLContext:
    context = files.context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def no_client_certificates(files: FrontFiles) -> ssl.SSLContext:
    context = files.context()
    context.verify_mode = ssl.CERT_NONE
    return context
