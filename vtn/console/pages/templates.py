"""Drafts, templates, and templates that repeat: what is kept, when the next events come, and what became of others."""

from __future__ import annotations

from datetime import date, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from openadr_profiles.fleet.quantities import length
from openadr_profiles.fleet.recurrence import Recurrence
from vtn.console.issuing.repeats import planned
from vtn.console.pages.new_event import checker
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Malformed
from vtn.store.console.choices import ChoiceStore
from vtn.store.console.plans import PlanKind, PlanStore
from vtn.store.console.repeats import RepeatRow, RepeatStore

_SHOWN: Final = 5
_MOST: Final = 200
_LONGEST_LEAD_S: Final = 7 * 86400
_DAYS: Final = {"1": "Mon", "2": "Tue", "3": "Wed", "4": "Thu", "5": "Fri", "6": "Sat", "7": "Sun"}


class _Wrong(ValueError):
    """A field of a repeat is wrong."""


async def show(visit: Visit) -> web.StreamResponse:
    """Show drafts, templates and repeats."""
    return await _page(visit)


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a draft, or a template with its repeats."""
    plans = visit.console.store(PlanStore)
    plan = await plans.get(visit.path("plan_id"))
    await plans.remove(plan.id)
    await visit.audit(f"removed {plan.kind.lower()}", f"{plan.kind.lower()} {plan.name}", before={"form": plan.typed})
    return visit.redirect("templates", f"The {plan.kind.lower()} {plan.name} is removed.")


async def repeat(visit: Visit) -> web.StreamResponse:
    """Repeat a template; what it will do at its first time is checked as for a single event."""
    plan = await visit.console.store(PlanStore).get(_word(visit, "plan_id"))
    try:
        recurrence, zone, lead_s = _recurrence(visit)
        first = recurrence.after(visit.now)
        if first is None:
            raise _Wrong("last_day: no event starts up to then; expected a later day, or none")
        days, clock = "".join(map(str, recurrence.days)), recurrence.clock.isoformat()
        draft = RepeatRow(
            id="", plan_id=plan.id, name=plan.name, typed=plan.typed, zone=zone, days=days, clock=clock, last_day=None,
            lead_s=lead_s, is_paused=False, next_at=None, made_by=visit.user.name,
        )  # fmt: skip
        check = await planned(plan.typed, draft, first, visit.now, visit.console.store(ChoiceStore), checker(visit))
        if isinstance(check, str):
            raise _Wrong(check)
        if check.preview.confirm and _word(visit, "word").lower() != _agreement(check.goes_to_everybody):
            why = "; ".join(check.preview.confirm)
            raise _Wrong(f"word: {why}; expected the word {_agreement(check.goes_to_everybody)} to agree")
    except _Wrong as error:
        return await _page(visit, refusal=f"Not kept: {error}", status=422)
    repeats = visit.console.store(RepeatStore)
    await repeats.add(plan.id, recurrence, zone=zone, lead_s=lead_s, by=visit.user.name, after=visit.now)
    facts = {"days": days, "clock": clock, "zone": zone, "lead_s": lead_s, "form": plan.typed}
    await visit.audit("repeated template", f"template {plan.name}", after=facts)
    return visit.redirect("templates", f"The template {plan.name} repeats. Its next events are below.")


async def change(visit: Visit) -> web.StreamResponse:
    """Pause a repeat, go on with it, or remove it."""
    repeats, repeat_id, word = visit.console.store(RepeatStore), visit.path("repeat_id"), _word(visit, "act")
    if word == "remove":
        await repeats.remove(repeat_id)
    elif word in {"pause", "resume"}:
        await repeats.pause(repeat_id, paused=word == "pause", now=visit.now)
    else:
        raise Malformed(f"act: {word!r} is none; expected pause, resume or remove")
    said = {"remove": "removed", "pause": "paused", "resume": "resumed"}[word]
    await visit.audit(f"{said} repeat", f"repeat {repeat_id}")
    return visit.redirect("templates", f"The repeat is {said}.")


def _agreement(to_everybody: bool) -> str:
    return "everybody" if to_everybody else "agreed"


def _recurrence(visit: Visit) -> tuple[Recurrence, str, int]:
    days, clock, zone = visit.posted.getall("day", []), _word(visit, "clock"), _word(visit, "zone")
    if not days or not set(days) <= set(_DAYS):
        raise _Wrong("day: none is chosen; expected at least one day of the week")
    try:
        at = time.fromisoformat(clock)
        if at.tzinfo is not None or at.second or at.microsecond:
            raise ValueError
    except ValueError:
        raise _Wrong(f"clock: {clock!r} is no time of day; expected one such as 18:00") from None
    try:
        its_zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _Wrong(f"zone: there is no time zone {zone!r}; expected one such as Europe/Berlin") from None
    last = _word(visit, "last_day")
    try:
        last_day = date.fromisoformat(last) if last else None
    except ValueError:
        raise _Wrong(f"last_day: {last!r} is no date; expected one such as 2026-12-31, or nothing") from None
    try:
        lead = length(_word(visit, "lead"))
    except ValueError as error:
        raise _Wrong(f"lead: {error}") from None
    if lead.total_seconds() > _LONGEST_LEAD_S:
        raise _Wrong("lead: expected at most 7d")
    return Recurrence(its_zone, frozenset(map(int, days)), at, last_day), zone, int(lead.total_seconds())


async def _page(visit: Visit, *, refusal: str | None = None, status: int = 200) -> web.Response:
    plans, repeats = visit.console.store(PlanStore), visit.console.store(RepeatStore)
    rows = await repeats.all()
    return visit.render(
        "templates.html",
        status=status,
        refusal=refusal,
        drafts=await plans.all(PlanKind.DRAFT, limit=_MOST),
        kept=await plans.all(PlanKind.TEMPLATE, limit=_MOST),
        repeats=[(row, [] if row.is_paused else _next(row)) for row in rows],
        occurrences=await repeats.occurrences(),
        days=_DAYS,
        chosen=set(visit.posted.getall("day", [])),
        typed={
            "plan_id": visit.posted.get("plan_id", visit.query("template")),
            "clock": visit.posted.get("clock", "18:00"),
            "zone": visit.posted.get("zone", str(visit.zone)),
            "last_day": visit.posted.get("last_day", ""),
            "lead": visit.posted.get("lead", "24h"),
        },
    )


def _next(row: RepeatRow) -> list[object]:
    start = row.starts_at
    return [] if start is None else [start, *row.recurrence.first(_SHOWN - 1, after=start)]


def _word(visit: Visit, name: str) -> str:
    text: str = visit.posted.get(name, "").strip()
    if len(text) > 256:
        raise Malformed(f"{name}: has {len(text):,} characters; expected at most 256")
    return text


ROUTES = (
    ConsoleRoute(
        "GET", "/templates", show, role=Role.OPERATOR, name="templates", title="Drafts, templates and repeats"
    ),
    ConsoleRoute(
        "POST", "/templates/repeats", repeat, role=Role.OPERATOR, name="add_repeat", title="Repeat a template"
    ),
    ConsoleRoute("POST", "/templates/repeats/{repeat_id}", change, role=Role.OPERATOR, name="change_repeat"),
    ConsoleRoute("POST", "/templates/{plan_id}/remove", remove, role=Role.OPERATOR, name="remove_plan"),
)
