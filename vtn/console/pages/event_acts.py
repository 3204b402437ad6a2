"""Act on an event: change it, extend it, end it now, cancel it, or remind those who have not answered.

Every act names the version of the event that was shown; if another one is there by now, nothing is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec.structs import replace

from openadr_profiles.fleet.amendment import ended, extended
from openadr_profiles.fleet.building import EventNotChangeable, asked_payload, changed
from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.fleet.preview import TO_EVERYBODY
from openadr_profiles.fleet.quantities import length, moment, power_kw
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import Event, EventPayloadType, EventRequest, Value, encode
from openadr_profiles.v31.timeline import Timeline
from vtn.console.issuing.check import EventCheck, stored_event
from vtn.console.issuing.plan import EventPlan, FormProblem
from vtn.console.issuing.typed import LONGEST_LINE
from vtn.console.pages.new_event import checker
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Malformed, NotFound, Stale
from vtn.store.console.reminding import Reminders
from vtn.store.large import Large
from vtn.store.rows import ObjectRow, Precondition

_FIELDS: Final = ("kind", "values", "start", "length", "name", "priority", "until")
_MOST_VALUES: Final = 500


@dataclass(frozen=True, slots=True)
class ActLink:
    """A link to something that can be done with an event."""

    word: str
    url: str


class _Refused(ValueError):
    """An act is not possible; ``field`` is the one that is wrong, empty if none is."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


def acts_of(visit: Visit, event_id: str) -> tuple[ActLink, ...]:
    """Return links to what this user may do with an event."""
    if not visit.user.may(Role.OPERATOR):
        return ()
    return (ActLink("Change, extend, end or cancel", visit.url("event_change", event_id=event_id)),)


async def show(visit: Visit) -> web.StreamResponse:
    """Show what can be done with an event."""
    event, row = await _event(visit)
    return _page(visit, event, row)


async def act(visit: Visit) -> web.StreamResponse:
    """Do what the button says."""
    event, row = await _event(visit)
    word = _word(visit, "act")
    doing = {"change": _changed, "extend": _extended, "end": _ended, "cancel": _cancelled}.get(word)
    if word == "remind":
        return await _remind(visit, event, row)
    if doing is None:
        raise Malformed(f"act: {word!r} is none; expected change, extend, end, cancel or remind")
    try:
        _unchanged(visit)(row)
        _may_be_changed(visit, event)
        request = doing(visit, event)
    except (_Refused, EventNotChangeable) as error:
        field = error.field if isinstance(error, _Refused) else ""
        return _page(visit, event, row, wrong={field: str(error)}, refusal=f"Not done: {error}", status=422)
    if word in {"change", "extend"}:
        check = await _judged(visit, event, request)
        if isinstance(check, FormProblem) or check.preview.refused:
            said = check.text if isinstance(check, FormProblem) else "; ".join(check.preview.refused)
            return _page(visit, event, row, refusal=f"Refused: {said}", status=422)
        asks = [*check.preview.confirm]
        if asks and not _agreed(visit, request, asks):
            return _page(visit, event, row, check=check, asks=asks, agreed=_digest(request, asks), doing=word)
    after = await visit.console.stores.events.replace(event.id, request, by=visit.caller, check=_unchanged(visit))
    said = _SAID[word]
    named = event.event_name or event.id[:8]
    await visit.audit(f"{said} event", f"event {named}", before=_facts(event), after=_facts(request))
    return visit.redirect("event", f"Event {named} is {said}.", event_id=after.id)


async def _remind(visit: Visit, event: Event, row: ObjectRow) -> web.StreamResponse:
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    if timeline.cancelled or timeline.transpired(visit.now):
        return _page(visit, event, row, refusal="Not done: the event is over or cancelled", status=422)
    reminders = visit.console.store(Reminders)
    told = await reminders.remind(visit.console.stores.events, event.id, check=_unchanged(visit))
    if not told.anybody:
        said = "Nobody can be reminded: those who have not answered poll, and read the event at their next poll anyway."
        return _page(visit, event, row, refusal=said, status=422)
    parts = [
        f"{told.webhooks:,} webhooks of VENs that have not answered" if told.webhooks else "",
        f"{told.vens_20b:,} VENs of OpenADR 2.0b at their next poll" if told.vens_20b else "",
        "all who listen at the MQTT broker" if told.broadcasts else "",
    ]
    said = "; ".join(part for part in parts if part)
    await visit.audit("reminded of event", f"event {event.event_name or event.id}", after=msgspec.to_builtins(told))
    return visit.redirect("event", f"Told again: {said}. VENs that poll read it anyway.", event_id=event.id)


def _changed(visit: Visit, event: Event) -> EventRequest:
    asked = _asked(visit)
    start = _read(visit, "start", lambda text: moment(text, now=visit.now, zone=visit.zone))
    whole = _read(visit, "length", length)
    request = changed(event, asked, start, whole)
    name, priority = _word(visit, "name"), _word(visit, "priority")
    if priority and not (priority.isascii() and priority.isdigit() and len(priority) < 10):
        raise _Refused(f"priority: {priority!r} is none; expected a whole number, 0 for the highest", "priority")
    members: dict[str, Any] = {}
    if name != (event.event_name or ""):
        members["event_name"] = name or None
    if priority != ("" if event.priority is None else str(event.priority)):
        members["priority"] = int(priority) if priority else None
    request = replace(request, **members)
    if encode(request) == encode(_as_request(event)):
        raise _Refused("nothing is changed; expected another value, start, length, name or priority")
    return request


def _asked(visit: Visit) -> tuple[EventPayloadType, list[Value]] | None:
    kind, text = _word(visit, "kind"), visit.posted.get("values", "")
    if len(text) > LONGEST_LINE * 10:
        raise Malformed(f"values: has {len(text):,} characters; expected at most {LONGEST_LINE * 10:,}")
    values = text.split()
    if kind in {"", "keep"}:
        if values:
            raise _Refused("kind: values are given, and what they mean is not; expected shed, limit or level", "kind")
        return None
    if not 1 <= len(values) <= _MOST_VALUES:
        raise _Refused("values: missing; expected one for each interval, with blanks between them", "values")
    try:
        if kind == "level":
            if not all(each in {"0", "1", "2", "3"} for each in values):
                raise ValueError("expected 0, 1, 2 or 3 for each interval")
            return asked_payload((), (), [int(each) for each in values])
        powers = [power_kw(each) for each in values]
    except ValueError as error:
        raise _Refused(f"values: {error}", "values") from None
    if kind not in {"shed", "limit"}:
        raise Malformed(f"kind: {kind!r} is none; expected keep, shed, limit or level")
    return asked_payload(powers, (), ()) if kind == "shed" else asked_payload((), powers, ())


def _extended(visit: Visit, event: Event) -> EventRequest:
    text = _word(visit, "until")
    if not text:
        raise _Refused("until: missing; expected a time such as 19:30, or a length such as 30m", "until")
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    try:
        by = length(text)
    except ValueError:
        by = None
    if by is not None and timeline.end is not None:
        return extended(event, timeline.end + by)
    until = _read(visit, "until", lambda each: moment(each, now=visit.now, zone=visit.zone))
    return extended(event, until or visit.now)


def _ended(visit: Visit, event: Event) -> EventRequest:
    return ended(event, visit.now)


def _cancelled(_: Visit, event: Event) -> EventRequest:
    return cancelled(event)


def _may_be_changed(visit: Visit, event: Event) -> None:
    """Raise unless the event is to come or active: one that is over stays as it was, for settlement (O3)."""
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    if timeline.cancelled:
        raise _Refused("it was cancelled before; nothing is changed")
    if timeline.transpired(visit.now):
        raise _Refused(f"it is over since {local_time(timeline.end or visit.now, zone=visit.zone)}; nothing is changed")


_SAID: Final = {"change": "changed", "extend": "extended", "end": "ended", "cancel": "cancelled"}


async def _judged(visit: Visit, event: Event, request: EventRequest) -> EventCheck | FormProblem:
    program = await visit.console.stores.programs.get(event.program_id, visible_to=visit.caller)
    if isinstance(program, Large):
        raise _Refused("its program is too large to be read here")
    return await checker(visit).check(
        EventPlan(request), program, now=visit.now, zone=visit.zone, size=0, instead_of=event.id
    )


def _agreed(visit: Visit, request: EventRequest, asks: Sequence[str]) -> bool:
    if _word(visit, "agreed") != _digest(request, asks):
        return False
    return TO_EVERYBODY not in asks or _word(visit, "word").lower() == "everybody"


def _digest(request: EventRequest, asks: Sequence[str]) -> str:
    parts = [encode(replace(request, interval_period=None)), *map(str.encode, asks)]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _unchanged(visit: Visit) -> Precondition:
    """Return a check that the event is the version that was shown (ETAG-003)."""
    seen = _word(visit, "seen")
    if not seen:
        raise Malformed("seen: missing; expected the version of the event that was shown")

    def check(row: ObjectRow) -> None:
        if row.modified_at != seen:
            raise Stale("somebody has changed the event since this page was shown; look at it and do it again")

    return check


async def _event(visit: Visit) -> tuple[Event, ObjectRow]:
    row = await visit.console.stores.events.get(visit.path("event_id"), visible_to=visit.caller)
    if isinstance(row, Large):
        raise Malformed("the event is too large for this page; change it with oadr event update --file")
    event = stored_event(row)
    if event is None:
        raise NotFound("the event cannot be read")
    return event, row


def _page(
    visit: Visit,
    event: Event,
    row: ObjectRow,
    *,
    wrong: dict[str, str] | None = None,
    refusal: str | None = None,
    check: EventCheck | None = None,
    asks: Sequence[str] = (),
    agreed: str = "",
    doing: str = "",
    status: int = 200,
) -> web.Response:
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    typed = {field: visit.posted.get(field, "") for field in _FIELDS}
    if not visit.posted:
        typed |= {"name": event.event_name or "", "priority": "" if event.priority is None else str(event.priority)}
        typed["kind"] = "keep"
    over = timeline.transpired(visit.now)
    return visit.render(
        "event_change.html",
        status=status,
        refusal=refusal,
        event=event,
        seen=row.modified_at,
        typed=typed,
        wrong=wrong or {},
        start=timeline.start,
        end=timeline.end,
        is_over=over,
        is_cancelled=timeline.cancelled,
        has_begun=timeline.start <= visit.now,
        check=check,
        asks=asks,
        agreed=agreed,
        doing=doing,
        by_word=TO_EVERYBODY in asks,
    )


def _read(visit: Visit, field: str, read: Callable[[str], Any]) -> Any:
    text = _word(visit, field)
    if not text:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise _Refused(f"{field}: {error}", field) from None


def _as_request(event: EventRequest) -> EventRequest:
    return EventRequest(**{name: getattr(event, name) for name in EventRequest.__struct_fields__})


def _facts(event: EventRequest) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(encode(_as_request(event)))
    return found


def _word(visit: Visit, name: str) -> str:
    text: str = visit.posted.get(name, "").strip()
    if len(text) > LONGEST_LINE:
        raise Malformed(f"{name}: has {len(text):,} characters; expected at most {LONGEST_LINE}")
    return text


ROUTES = (
    ConsoleRoute(
        "GET", "/events/{event_id}/change", show, role=Role.OPERATOR, name="event_change", title="Change an event"
    ),
    ConsoleRoute("POST", "/events/{event_id}/change", act, role=Role.OPERATOR, title="Change an event"),
)
