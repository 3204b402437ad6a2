"""Break the pushes of a 2.0b VTN: which habit breaks what, and the checks that exist for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from oadr_conformance.v20b import messages
from oadr_conformance.v20b.tree import NAMESPACES, Element, parsed, tag, written
from vtns.small20b_push import Push20b, PushHabits

from mutants import changes20b as change
from mutants.front20b import Fault20b


def _document(work: Callable[[Element], None]) -> PushHabits:
    """Push every document after a change."""

    def changed(one: Push20b) -> Iterable[Push20b]:
        root = parsed(one.body)
        work(root)
        return (replace(one, body=written(root)),)

    return PushHabits(change=changed)


def _each(work: Callable[[Push20b], Push20b]) -> PushHabits:
    return PushHabits(change=lambda one: (work(one),))


def _said(name: str, text: str) -> PushHabits:
    def work(root: Element) -> None:
        for one in root.iter(tag(name)):
            one.text = text

    return _document(work)


def _with_response(root: Element) -> None:
    for one in root.iter(tag("oadr:oadrDistributeEvent")):
        one.insert(0, messages.response_part("None"))


def _last_event_only(root: Element) -> None:
    for one in root.iter(tag("oadr:oadrDistributeEvent")):
        for event in one.findall("oadr:oadrEvent", NAMESPACES)[:-1]:
            one.remove(event)


def _no_news(one: Push20b) -> Iterable[Push20b]:
    """Push what is new, and nothing that changes."""
    return (one,) if b"modificationNumber>0<" in one.body or b"oadrDistributeEvent" not in one.body else ()


PUSH_FAULTS: Final[tuple[Fault20b, ...]] = (
    Fault20b(
        "pushes to another service",
        ("B-TRN-001/*is pushed", "B-REG-01[034]/*pushed"),
        push=_each(lambda one: replace(one, service="OadrPoll")),
    ),
    Fault20b("pushes by PUT", ("B-TRN-001/event is pushed",), push=_each(lambda one: replace(one, method="PUT"))),
    Fault20b("pushes in chunks", ("B-TRN-001/event is pushed",), push=_each(lambda one: replace(one, chunked=True))),
    Fault20b(
        "pushes text", ("B-TRN-001/event is pushed",), push=_each(lambda one: replace(one, content_type="text/plain"))
    ),
    Fault20b("pushes nothing", ("B-TRN-001/event is pushed",), push=PushHabits(change=lambda _one: ())),
    Fault20b(
        "pushes what the schema refuses",
        ("B-GEN-013/pushed*", "B-TRN-001/report*", "B-REG-01[034]/*pushed"),
        push=_document(change.invalid),
    ),
    Fault20b("pushes without schemaVersion", ("B-GEN-013/pushed*",), push=_document(change.without_schema_version)),
    Fault20b("says in pushes where the schema is", ("B-GEN-013/pushed*",), push=_document(change.located)),
    Fault20b("pushes under another vtnID", ("B-GEN-013/pushed*",), push=_said("ei:vtnID", "another")),
    Fault20b("pushes without requestID", ("B-GEN-013/pushed*",), push=_said("pyld:requestID", "")),
    Fault20b("pushes the last event only", ("B-EVT-001/*pushed",), push=_document(_last_event_only)),
    Fault20b("numbers pushed events on its own", ("B-EVT-001/*pushed",), push=_said("ei:modificationNumber", "7")),
    Fault20b("puts eiResponse into pushes", ("B-EVT-006/*push",), push=_document(_with_response)),
    Fault20b("pushes no changes", ("B-EVT-009/*pushed",), push=PushHabits(change=_no_news)),
    Fault20b(
        "pushes what was answered again and again",
        ("B-POL-004/pushed once", "B-REG-014/*pushed", "B-REG-010/*pushed"),
        push=PushHabits(believes=False),
    ),
    Fault20b("gives up after a failure", ("B-TRN-005/sent again*",), push=PushHabits(retries=False)),
    Fault20b("pushes without waiting for answers", ("B-TRN-005/one at a time",), push=PushHabits(waits=False)),
    Fault20b("pushes to who is gone", ("B-TRN-005/not pushed to*",), push=PushHabits(forgets=False)),
    Fault20b(
        "asks for reports that nobody registered, by push",
        ("B-TRN-001/report*",),
        push=_said("ei:reportSpecifierID", "made-up"),
    ),
    Fault20b("cancels another registration", ("B-REG-013/*",), push=_said("ei:registrationID", "another")),
    Fault20b("does not hear that a registration is over", ("B-REG-013/*",), push=PushHabits(believes=False)),
    Fault20b("shows no certificate", ("B-SEC-004/certificate of pushes",), push=PushHabits(shows=False)),
    Fault20b("verifies nobody", ("B-SEC-004/nothing is pushed*",), push=PushHabits(verifies=False)),
)
