"""Issue an event: what, when, who, and a check of what it will do before it is published."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from secrets import token_urlsafe
from typing import Any, Final

from aiohttp import web
from msgspec.structs import replace

from openadr_profiles.fleet.preview import judge
from openadr_profiles.v31 import EventRequest, ProgramRequest, decode, encode
from vtn.console.issuing.check import Checker, EventCheck
from vtn.console.issuing.names import look_up
from vtn.console.issuing.plan import EventPlan, FormProblem, as_test, read_plan
from vtn.console.issuing.typed import KINDS, LONGEST_LINE, TypedEvent
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Conflict, Malformed
from vtn.store.console.choices import ChoiceStore
from vtn.store.console.issuing import IssuedForms
from vtn.store.console.plans import PlanKind, PlanStore
from vtn.store.console.preview import DOUBTFUL, NOT_TOLD, AudienceStore
from vtn.store.rows import ObjectRow

TEMPLATE: Final = "new_event.html"
_SIZE: Final = 20
_MOST_PAGES: Final = 200
_LONGEST_TEST_MIN: Final = 60
_WORD: Final = "everybody"
_BEFORE: Final = "It was published before; it is not published again."


async def show(visit: Visit) -> web.StreamResponse:
    """Show the form: empty, or as a draft or template has it."""
    plan_id = visit.query("draft") or visit.query("template")
    typed = TypedEvent()
    if plan_id:
        typed = TypedEvent.stored((await visit.console.store(PlanStore).get(plan_id)).typed)
    elif visit.query("ven"):
        typed = TypedEvent(who="some", vens=visit.query("ven")[:LONGEST_LINE])
    elif visit.query("target"):
        typed = TypedEvent(who="some", targets=visit.query("target")[:LONGEST_LINE])
    return await _form(visit, typed, form_id=token_urlsafe(16), draft_id=visit.query("draft"))


async def act(visit: Visit) -> web.StreamResponse:
    """Do what the button says: add rows, check, keep as a draft or template, test on one VEN, or publish."""
    typed = TypedEvent.of(await visit.form())
    word = _word(visit, "act") or "check"
    doing = {
        "rows": _add_rows,
        "check": _check,
        "draft": _keep_draft,
        "template": _keep_template,
        "test": _test,
        "publish": _publish,
    }.get(word)
    if doing is None:
        raise Malformed(f"act: {word!r} is none; expected rows, check, draft, template, test or publish")
    return await doing(visit, typed)


async def _add_rows(visit: Visit, typed: TypedEvent) -> web.StreamResponse:
    return await _form(visit, typed)


async def _check(visit: Visit, typed: TypedEvent) -> web.StreamResponse:
    problems, _, check, _ = await _checked(visit, typed)
    if problems:
        return await _form(visit, typed, problems=problems, status=422)
    return await _form(visit, typed, check=check)


async def _keep_draft(visit: Visit, typed: TypedEvent) -> web.StreamResponse:
    draft_id = await _kept(visit, typed, PlanKind.DRAFT)
    return visit.redirect("new_event", "The draft is kept. No VEN sees it.", draft=draft_id)


async def _keep_template(visit: Visit, typed: TypedEvent) -> web.StreamResponse:
    if not typed.name.strip():
        return await _form(
            visit, typed, problems=(FormProblem("name", "missing; a template needs a name"),), status=422
        )
    await _kept(visit, typed, PlanKind.TEMPLATE)
    return visit.redirect("templates", f"The template {typed.name.strip()} is kept.")


async def _kept(visit: Visit, typed: TypedEvent, kind: PlanKind) -> str:
    name = typed.name.strip() or "without a name"
    plan_id = _word(visit, "draft_id") or None if kind is PlanKind.DRAFT else None
    found = await visit.console.store(PlanStore).keep(kind, name, typed.text, by=visit.user.name, plan_id=plan_id)
    await visit.audit(f"kept {kind.lower()}", f"{kind.lower()} {name}", after={"id": found, "form": typed.text})
    return found


async def _test(visit: Visit, typed: TypedEvent) -> web.StreamResponse:
    """Issue a short event that is marked as a test to one VEN alone; the form is kept as a draft."""
    problems, plan, check, program = await _checked(visit, typed)
    if plan is None or check is None:
        return await _form(visit, typed, problems=problems, status=422)
    name, minutes = _word(visit, "test_ven"), _word(visit, "test_min")
    ven_id = (await visit.console.store(ChoiceStore).vens_called([name])).get(name) if name else None
    if ven_id is None:
        said = f"there is no VEN {name!r}" if name else "missing"
        wrong: tuple[FormProblem, ...] = (FormProblem("test_ven", f"{said}; expected the name or id of a VEN"),)
        return await _form(visit, typed, check=check, problems=wrong, status=422)
    if not (minutes.isascii() and minutes.isdigit() and len(minutes) <= 4 and 1 <= int(minutes) <= _LONGEST_TEST_MIN):
        wrong = (FormProblem("test_min", f"{minutes!r} is none; expected 1 to {_LONGEST_TEST_MIN} minutes"),)
        return await _form(visit, typed, check=check, problems=wrong, status=422)
    chosen = _part_of(check.requests, ven_id)
    request = as_test(chosen, ven_id, now=visit.now, minutes=int(minutes))
    judged = judge([(request, 1)], now=visit.now, safety=visit.console.settings.safety.safety, zone=visit.zone)
    if judged.refused:
        return await _form(visit, typed, check=check, status=422, refusal=f"Refused: {'; '.join(judged.refused)}")
    draft_id = await _kept(visit, typed, PlanKind.DRAFT)
    ids, is_new = await _issue(visit, typed, [request], program, f"test {ven_id} {minutes}")
    if is_new:
        await visit.audit("tested event", f"event {ids[0]} on VEN {name}", after=_told(ids, request, typed))
    said = f"The test runs on {name} alone for {minutes} min: event {ids[0]}. The form is kept as a draft."
    return visit.redirect("new_event", said, draft=draft_id)


async def _publish(visit: Visit, typed: TypedEvent) -> web.StreamResponse:
    """Issue what was typed, once, after whatever has to be agreed to was agreed to."""
    before = await visit.console.store(IssuedForms).of(_token(visit, typed, "publish"))
    if before is not None:
        return _published(visit, before, _BEFORE)
    problems, plan, check, program = await _checked(visit, typed)
    if plan is None or check is None:
        return await _form(visit, typed, problems=problems, status=422)
    refused = [*check.preview.refused] or ([] if check.totals.told else ["nobody would get this event"])
    if refused:
        return await _form(visit, typed, check=check, status=422, refusal=f"Refused: {'; '.join(refused)}")
    asks = [*check.preview.confirm]
    if program is None:
        asks.append(f"the program {typed.program.strip()} does not exist yet, and is made")
    if asks and not _agreed(visit, check, asks):
        return await _ask(visit, typed, check, asks)
    ids, is_new = await _issue(visit, typed, check.requests, program, "publish", draft_id=_word(visit, "draft_id"))
    said = _BEFORE
    if is_new:
        what = f"event {typed.name.strip() or ids[0]} to {check.totals.told:,} VENs"
        await visit.audit("published event", what, after=_told(ids, check.requests[0], typed))
        many = f"{len(ids):,} events are" if len(ids) > 1 else "The event is"
        said = f"{many} published: {check.totals.told:,} VENs get it."
    return _published(visit, ids, said)


async def _ask(visit: Visit, typed: TypedEvent, check: EventCheck, asks: Sequence[str]) -> web.StreamResponse:
    """Ask whether to publish it; if that was asked already and the word is wrong, say so."""
    if not (_word(visit, "agreed") == _digest(check, asks) and check.goes_to_everybody):
        return await _form(visit, typed, check=check, asks=asks)
    wrong = FormProblem("word", f"{_word(visit, 'word')!r} is another word; expected {_WORD}, for it goes to all VENs")
    return await _form(visit, typed, check=check, asks=asks, problems=(wrong,), status=422)


def _agreed(visit: Visit, check: EventCheck, asks: Sequence[str]) -> bool:
    """Return True if a person has agreed to exactly what is asked now, by word if it goes to everybody."""
    if _word(visit, "agreed") != _digest(check, asks):
        return False
    return not check.goes_to_everybody or _word(visit, "word").lower() == _WORD


def _digest(check: EventCheck, asks: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([check.digest, *asks]).encode()).hexdigest()[:32]


async def _issue(
    visit: Visit,
    typed: TypedEvent,
    requests: Sequence[EventRequest],
    program: ObjectRow | None,
    purpose: str,
    *,
    draft_id: str = "",
) -> tuple[tuple[str, ...], bool]:
    if program is None:
        program_id = await program_made(visit, typed.program.strip())
        requests = [replace(each, program_id=program_id) for each in requests]
    return await visit.console.store(IssuedForms).issue(
        visit.console.stores.events,
        _token(visit, typed, purpose),
        requests,
        by=visit.caller,
        user=visit.user.name,
        draft_id=draft_id or None,
    )


async def program_made(visit: Visit, name: str) -> str:
    """Make the program of an event, and return its id; raises Invalid for a name that cannot be."""
    request = decode(encode(ProgramRequest(program_name=name)), ProgramRequest)
    try:
        made = await visit.console.stores.programs.create(request, by=visit.caller)
    except Conflict:  # somebody else was quicker
        there = await visit.console.store(ChoiceStore).program_named(name)
        if there is None:
            raise
        return there.id
    await visit.audit("made program", f"program {name}", after={"id": made.id})
    return made.id


async def _checked(
    visit: Visit, typed: TypedEvent
) -> tuple[tuple[FormProblem, ...], EventPlan | None, EventCheck | None, ObjectRow | None]:
    known, program = await look_up(typed, visit.console.store(ChoiceStore))
    plan = read_plan(typed, known, now=visit.now, zone=visit.zone)
    if not isinstance(plan, EventPlan):
        return plan, None, None, program
    page = _word(visit, "ven_page") or "1"
    if not (page.isascii() and page.isdigit() and len(page) <= 4 and 1 <= int(page) <= _MOST_PAGES):
        raise Malformed(f"ven_page: expected a number from 1 to {_MOST_PAGES}")
    reason = _reason(visit)
    if reason not in {"", "NONE", *NOT_TOLD, *DOUBTFUL}:
        raise Malformed(f"reason: expected one of NONE, {', '.join([*NOT_TOLD, *DOUBTFUL])}")
    check = await checker(visit).check(
        plan, program, now=visit.now, zone=visit.zone, reason=reason or None, page=int(page), size=_SIZE
    )
    if isinstance(check, FormProblem):
        return (check,), None, None, program
    return (), plan, check, program


def checker(visit: Visit) -> Checker:
    """Return what judges events, by the rules of privacy and the limits of this server."""
    settings = visit.console.settings
    store = AudienceStore(
        visit.console.database, visit.console.stamps, settings.privacy, names=settings.v301.name_targets
    )
    return Checker(store, settings.safety.safety)


async def _form(
    visit: Visit,
    typed: TypedEvent,
    *,
    form_id: str = "",
    draft_id: str = "",
    check: EventCheck | None = None,
    problems: Sequence[FormProblem] = (),
    asks: Sequence[str] = (),
    refusal: str | None = None,
    status: int = 200,
) -> web.Response:
    """Return the page with everything that was typed, and each problem beside its field."""
    choices = visit.console.store(ChoiceStore)
    targets, programs = await asyncio.gather(choices.known_targets(), choices.program_names())
    wrong: dict[str, list[str]] = {}
    for problem in problems:
        wrong.setdefault(problem.field, []).append(problem.text)
    if problems and refusal is None:
        refusal = f"Not issued. {len(problems)} {'fields are' if len(problems) > 1 else 'field is'} wrong: see below."
    values: dict[str, Any] = {
        "form": typed,
        "form_id": form_id or _word(visit, "form_id") or token_urlsafe(16),
        "draft_id": draft_id or _word(visit, "draft_id"),
        "kinds": KINDS,
        "known": targets,
        "programs": programs,
        "wrong": wrong,
        "check": check,
        "asks": asks,
        "agreed": "" if check is None else _digest(check, asks),
        "steps": [] if check is None else check.steps,
        "not_told": NOT_TOLD,
        "doubtful": DOUBTFUL,
        "reason": _reason(visit),
        "ven_page": int(_word(visit, "ven_page") or "1") if check is not None else 1,
        "size": _SIZE,
        "test_ven": _word(visit, "test_ven"),
        "test_min": _word(visit, "test_min") or "5",
    }
    return visit.render(TEMPLATE, status=status, refusal=refusal, **values)


def _reason(visit: Visit) -> str:
    """Return which VENs are listed: those of the button, or as before if another page of them is asked for."""
    return _word(visit, "reason_before" if "ven_page" in visit.posted else "reason")


def _published(visit: Visit, ids: Sequence[str], said: str) -> web.Response:
    return visit.redirect("event", said, event_id=ids[0]) if len(ids) == 1 else visit.redirect("events", said)


def _part_of(requests: Sequence[EventRequest], ven_id: str) -> EventRequest:
    return next((each for each in requests if ven_id in (each.targets or ())), requests[0])


def _told(ids: Sequence[str], request: EventRequest, typed: TypedEvent) -> dict[str, Any]:
    return {"ids": list(ids), "targets": list(request.targets or ()) or _WORD, "form": typed.text}


def _token(visit: Visit, typed: TypedEvent, purpose: str) -> str:
    """Return what names a form as it was typed: sent twice it is the same, changed it is another."""
    parts = (_word(visit, "form_id"), purpose, typed.text)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _word(visit: Visit, name: str) -> str:
    """Return a short field beside those of the event; raises Malformed if it is too long."""
    text: str = visit.posted.get(name, "").strip()
    if len(text) > LONGEST_LINE:
        raise Malformed(f"{name}: has {len(text):,} characters; expected at most {LONGEST_LINE}")
    return text


ROUTES = (
    ConsoleRoute("GET", "/events/new", show, role=Role.OPERATOR, name="new_event", title="New event"),
    ConsoleRoute("POST", "/events/new", act, role=Role.OPERATOR, title="New event"),
)
