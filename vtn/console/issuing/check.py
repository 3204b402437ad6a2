"""Find out what an event will do before it is issued: who gets it, what it asks for, and what stands against it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

import msgspec
from msgspec.structs import asdict

from openadr_profiles.fleet.asking import Wording
from openadr_profiles.fleet.building import divided_events
from openadr_profiles.fleet.division import share_out
from openadr_profiles.fleet.panel_preview import preview_panels
from openadr_profiles.fleet.preview import TO_EVERYBODY, Preview, Safety, clashes, judge
from openadr_profiles.fleet.wording import kw_text
from openadr_profiles.v20b.projection.preview import Preview20b, preview_20b
from openadr_profiles.v31 import Event, EventRequest, Invalid, Program, decode, encode
from openadr_profiles.v31.timeline import Timeline
from vtn.console.issuing.plan import NO_PROGRAM, EventPlan, FormProblem
from vtn.store.console.preview import Audience, AudienceStore, AudienceTotals, AudienceVen
from vtn.store.event_versions import event_of
from vtn.store.rows import ObjectRow

MOST_CLASHES: Final = 20
MOST_SHOWN_EVENTS: Final = 20
_MOST_JSON: Final = 20_000


@dataclass(frozen=True)
class IntervalBar:
    """One interval, for a drawing: its value (None: no number), and where its bar is, in hundredths of the drawing."""

    start: datetime
    end: datetime | None
    value: str
    left: float
    width: float
    top: float
    height: float


@dataclass(frozen=True)
class EventCheck:
    """Hold what issuing an event will do. ``digest`` names what a person agreed to: the same for the same form."""

    requests: tuple[EventRequest, ...]
    preview: Preview
    totals: AudienceTotals
    vens: tuple[AudienceVen, ...]
    v20b: Preview20b | None
    panels: tuple[str, ...]
    notes: tuple[str, ...]
    steps: tuple[IntervalBar, ...]
    document: str
    digest: str

    @property
    def goes_to_everybody(self) -> bool:
        """Return True if it is for everybody, which has to be agreed to by word."""
        return TO_EVERYBODY in self.preview.confirm

    @property
    def enough_kw(self) -> bool | None:
        """Return whether VENs say that they can shed what is asked for; None if one of the two is not known."""
        asked, can = self.preview.total_kw, self.totals.kw_known
        return None if asked is None or can is None else can >= asked


class Checker:
    """Judges events that were typed."""

    def __init__(self, store: AudienceStore, safety: Safety) -> None:
        self._store = store
        self._safety = safety

    async def check(
        self,
        plan: EventPlan,
        program: ObjectRow | None,
        *,
        now: datetime,
        zone: tzinfo,
        reason: str | None = None,
        page: int = 1,
        size: int = 50,
        instead_of: str | None = None,
    ) -> EventCheck | FormProblem:
        """Return what an event will do; a FormProblem if its total cannot be shared out.

        ``reason`` and ``page`` choose the VENs that are listed, one more than ``size`` if there are more.
        ``instead_of`` is the event that it takes the place of, with which it does not clash.
        """
        owner = None if program is None else _program(program)
        event, timeline = plan.event, _timeline(plan.event, now)
        v20b = preview_20b(event, owner, vens=0, now=now)
        audience = Audience(
            targets=event.targets or (),
            program_targets=() if program is None else tuple(program.targets or ()),
            starts_at=timeline.start,
            has_20b_form=v20b.refused is None,
        )
        totals = await self._store.totals(audience)
        vens = await self._store.page(audience, reason=reason, skip=(page - 1) * size, limit=size + 1)
        notes: list[str] = []
        counted = [(event, totals.told)]
        if plan.total_kw is not None:
            shared = await self._divided(plan, audience, notes)
            if isinstance(shared, FormProblem):
                return shared
            counted = shared
        warnings = await self._warnings(event, audience, totals, timeline, now, instead_of)
        preview = judge(counted, now=now, safety=self._safety, zone=zone, warnings=warnings)
        if plan.total_kw is not None and not plan.event.targets and TO_EVERYBODY not in preview.confirm:
            preview = replace(preview, confirm=(TO_EVERYBODY, *preview.confirm))
        requests = tuple(request for request, _ in counted)
        of_20b = totals.told_20b or totals.reasons.get("NO_FORM", 0)
        return EventCheck(
            requests=requests,
            preview=preview,
            totals=totals,
            vens=tuple(vens),
            v20b=preview_20b(event, owner, vens=of_20b, now=now) if of_20b else None,
            panels=preview_panels(event, owner, panels=totals.panels, now=now),
            notes=tuple(notes),
            steps=tuple(steps_of(requests[0], now, owner)),
            document=_document(requests),
            digest=hashlib.sha256(msgspec.json.encode((preview.confirm, totals.told, len(requests)))).hexdigest()[:32],
        )

    async def _divided(
        self, plan: EventPlan, audience: Audience, notes: list[str]
    ) -> list[tuple[EventRequest, int]] | FormProblem:
        everybody = await self._store.recipients(audience)
        total = plan.total_kw or ()
        try:
            division = share_out(total, everybody, basis=plan.share)
        except ValueError as error:
            return FormProblem("value", str(error).replace("try --share equal", "share it out equally"))
        how = "by what each says it can shed" if division.basis == "capacity" else "equally"
        why = ", since not all have said what they can shed" if plan.share != division.basis else ""
        notes.append(f"{kw_text(max(total))} is shared out {how}{why}")
        if division.left_kw:
            notes.append(f"{kw_text(division.left_kw)} is left over by rounding to whole watts")
        events = divided_events(division, audience.targets, len(everybody), plan.part)
        return [(request, len(to)) for request, to in events]

    async def _warnings(
        self,
        event: EventRequest,
        audience: Audience,
        totals: AudienceTotals,
        timeline: Timeline,
        now: datetime,
        instead_of: str | None,
    ) -> list[str]:
        found = []
        if not totals.told:
            found.append("nobody gets it" if totals.chosen else "nobody gets it: no VEN holds one of these targets")
        others = [
            stored
            for row in await self._store.others(since=timeline.start, until=timeline.end)
            if row.id != instead_of and (stored := stored_event(row)) is not None
        ]
        met = clashes(event, others, now=now)[:MOST_CLASHES]
        named = {clash.other.id: clash.other.targets or () for clash in met if clash.other.targets}
        shared = await self._store.shared(audience, named)
        for clash in met:
            count = shared.get(clash.other.id, 0) if clash.other.targets else totals.chosen
            if count:
                found.append(clash.text(count))
        return found


def stored_event(row: ObjectRow) -> Event | None:
    """Return a stored event; None if it cannot be read."""
    try:
        request = event_of(row.members, row.targets or ())
    except Invalid:
        return None
    created, modified = (datetime.fromisoformat(each) for each in (row.created_at, row.modified_at))
    return Event(id=row.id, created_date_time=created, modification_date_time=modified, **asdict(request))


def steps_of(event: EventRequest, now: datetime, program: Program | None = None, most: int = 96) -> list[IntervalBar]:
    """Return the intervals of an event as bars of a drawing, at most so many; zero is a line that bars stand on."""
    windows = []
    for window in _timeline(event, now).windows():
        windows.append(window)
        if len(windows) >= most:
            break
    if not windows:
        return []
    wording = Wording(_imagined(event, now), program)
    asked = [window.payloads[0].values if window.payloads else () for window in windows]
    values = [each[0] if each else None for each in asked]
    numbers = [float(each) if isinstance(each, int | float) and not isinstance(each, bool) else None for each in values]
    low, high = (edge((0.0, *(each for each in numbers if each is not None))) for edge in (min, max))
    height = (high - low) or 1.0
    begin = windows[0].start
    end = max((window.end or window.start + timedelta(hours=1)) for window in windows)
    whole = (end - begin).total_seconds() or 1.0
    found = []
    for window, number in zip(windows, numbers, strict=True):
        last = window.end or end
        top = 0.0 if number is None else (high - max(number, 0.0)) / height
        found.append(
            IntervalBar(
                start=window.start,
                end=window.end,
                value=", ".join(map(wording.of, window.payloads)) or "nothing",
                left=round(100 * (window.start - begin).total_seconds() / whole, 2),
                width=round(100 * (last - window.start).total_seconds() / whole, 2),
                top=round(100 * top, 2),
                height=0.0 if number is None else round(100 * abs(number) / height, 2),
            )
        )
    return found


def _timeline(event: EventRequest, now: datetime) -> Timeline:
    return Timeline.of(_imagined(event, now), anchor=now)


def _imagined(event: EventRequest, now: datetime) -> Event:
    return Event(id="new", created_date_time=now, modification_date_time=now, **asdict(event))


def _program(row: ObjectRow) -> Program:
    text = f'{{"id":"{row.id}","createdDateTime":"{row.created_at}","modificationDateTime":"{row.modified_at}"'
    return decode(f"{text},{row.members}}}".encode(), Program)


def _document(requests: Sequence[EventRequest]) -> str:
    """Return what will be posted, the first ones if there are many."""
    documents = [msgspec.json.decode(encode(request)) for request in requests[:MOST_SHOWN_EVENTS]]
    for document in documents:
        if document.get("programID") == NO_PROGRAM:
            document["programID"] = "(of the program that is made)"
    packed = msgspec.json.encode(documents[0] if len(requests) == 1 else documents)
    text = msgspec.json.format(packed, indent=2).decode()
    more = len(requests) - len(documents)
    if len(text) > _MOST_JSON:
        return text[:_MOST_JSON] + f"\n… {len(text) - _MOST_JSON:,} more characters"
    return text + (f"\n… and {more:,} more events" if more > 0 else "")
