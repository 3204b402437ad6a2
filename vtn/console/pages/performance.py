"""Show what an event delivered by meters and a baseline: evaluate it, look at the result, freeze it, settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from aiohttp import web

from openadr_pages.headers import PRIVATE, SECURITY
from openadr_profiles.performance import EvaluationRequest, ParticipantPerformance, PerformanceResult, PerformanceSums
from openadr_profiles.v31 import Invalid, decode, encode
from vtn.console.pages.asked import chosen, id_of, text_of
from vtn.console.pages.event import event_asked, head_of
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import CSV, Visit
from vtn.errors import Conflict, NotFound, Overloaded
from vtn.performance.methods import METHODS
from vtn.performance.told import difference_of, participant_of, result_of
from vtn.settlements import settlement_pieces
from vtn.store.console.events import ListedEvent
from vtn.store.performance.results import ResultOrder as Order
from vtn.store.performance.results import ResultState
from vtn.store.query import Page

_STEPS: Final = {300: "5 minutes", 900: "15 minutes", 1800: "30 minutes", 3600: "1 hour", 86_400: "1 day"}
_STATES: Final = {
    ResultState.WAITING: "plain",
    ResultState.EVALUATING: "busy",
    ResultState.EVALUATED: "plain",
    ResultState.FROZEN: "good",
    ResultState.FAILED: "bad",
}
_WORDS: Final = {
    ResultState.WAITING: "waits",
    ResultState.EVALUATING: "is evaluated",
    ResultState.EVALUATED: "draft",
    ResultState.FROZEN: "frozen",
    ResultState.FAILED: "failed",
}
_UNDER_WAY: Final = frozenset({ResultState.WAITING, ResultState.EVALUATING})
_LISTED: Final = 50


@dataclass(frozen=True, slots=True)
class ShownResult:
    """Hold a result as pages show it."""

    told: PerformanceResult
    state: ResultState

    @property
    def word(self) -> str:
        """Return what somebody reads of its state."""
        return _WORDS[self.state]

    @property
    def kind(self) -> str:
        """Return the kind of its badge."""
        return _STATES[self.state]

    @property
    def is_under_way(self) -> bool:
        """Return True until it is evaluated, or has failed."""
        return self.state in _UNDER_WAY

    @property
    def step(self) -> str:
        """Return the length of a step in words."""
        return _STEPS.get(self.told.step_s, f"{self.told.step_s // 60} minutes")

    @property
    def sums(self) -> PerformanceSums | None:
        """Return its sums, once they are there."""
        return self.told.sums if isinstance(self.told.sums, PerformanceSums) else None


def _shown(row: Mapping[str, Any]) -> ShownResult:
    return ShownResult(result_of(row), ResultState(row["state"]))


async def show(visit: Visit) -> web.StreamResponse:
    """Show the results of an event, and the form that asks for another."""
    return await _list(visit, await event_asked(visit))


async def _list(visit: Visit, event: ListedEvent, refusal: str | None = None) -> web.StreamResponse:
    rows = await visit.console.stores.performance.search(Page(limit=_LISTED), event_id=event.id)
    is_over = event.ends_at is not None and event.ends_at <= visit.now and event.cancelled_at is None
    values = {
        **head_of(visit, event),
        "results": [_shown(row) for row in rows],
        "methods": METHODS.values(),
        "steps": _STEPS,
        "is_over": is_over,
        "zone_name": str(visit.zone),
    }
    if refusal is not None:
        return visit.refuse(refusal, "event_performance.html", **values)
    return visit.render("event_performance.html", **values)


async def evaluate(visit: Visit) -> web.StreamResponse:
    """Have the event evaluated, and show how far that is."""
    event = await event_asked(visit)
    form = await visit.form()
    try:
        request = _asked(event.id, form)
        id_ = await visit.console.evaluations.ask(request, by=visit.user.name)
    except (Invalid, Conflict, Overloaded) as error:
        return await _list(visit, event, refusal=str(error))
    await visit.audit("evaluate event", event.id, after={"result": id_, "method": request.method})
    return visit.redirect("performance_result", event_id=event.id, result_id=id_)


def _asked(event_id: str, form: Mapping[str, str]) -> EvaluationRequest:
    """Return what the form asks for; raises Invalid, naming the field."""
    step = form.get("step", "").strip()
    if not (step.isascii() and step.isdigit() and len(step) < 7):
        raise Invalid("step", "expected a number of seconds that divides a day")
    days = form.get("holidays", "").replace(",", " ").split()
    try:
        holidays = [date.fromisoformat(day).isoformat() for day in days]
    except ValueError:
        raise Invalid("holidays", "expected days such as 2026-12-25, with blanks between them") from None
    document = {
        "eventID": event_id,
        "method": form.get("method", "").strip(),
        "stepS": int(step),
        "zone": form.get("zone", "").strip(),
        "holidays": holidays,
        "circuits": bool(form.get("circuits")),
    }
    return decode(encode(document), EvaluationRequest)


async def show_result(visit: Visit) -> web.StreamResponse:
    """Show a result: how far it is, or its sums, its curve and a part of its participants."""
    event = await event_asked(visit)
    result = await _result(visit, event)
    asked = visit.page_asked()
    order, search = chosen(visit, "order", Order) or Order.NAME, text_of(visit, "search")
    people: Sequence[ParticipantPerformance] = ()
    if result.sums is not None:
        rows = await visit.console.stores.performance.participants(
            result.told.id, Page(asked.skip, asked.limit), search=search or None, order=order
        )
        step = timedelta(seconds=result.told.step_s)
        people = [participant_of(row, result.told.start.isoformat(), step, with_steps=False) for row in rows]
    compared = await _other(visit, event, visit.query("was"))
    headers = {"HX-Refresh": "true"} if not result.is_under_way and _is_look(visit) else None
    return visit.render(
        "performance_result.html",
        headers=headers,
        **head_of(visit, event),
        result=result,
        page=asked.of(people),
        order=order,
        orders=[order for order in Order if order is not Order.CLIENT],
        search=search,
        compared=compared,
    )


def _is_look(visit: Visit) -> bool:
    return visit.request.headers.get("HX-Target") == "progress"


async def show_differences(visit: Visit) -> web.StreamResponse:
    """Show of whom another result says something else."""
    event = await event_asked(visit)
    was, now = await _result(visit, event), await _other(visit, event, visit.query("to"))
    if now is None:
        raise NotFound
    asked = visit.page_asked()
    rows = await visit.console.stores.performance.differences(was.told.id, now.told.id, Page(asked.skip, asked.limit))
    return visit.render(
        "performance_differences.html",
        **head_of(visit, event),
        was=was,
        is_now=now,
        page=asked.of([difference_of(row) for row in rows]),
    )


async def send_curve(visit: Visit) -> web.StreamResponse:
    """Send the curve of a result as the charts of pages read it, in kW."""
    event = await event_asked(visit)
    result = await _result(visit, event)
    return web.json_response(_curve(result, str(visit.zone)), headers={**SECURITY, **PRIVATE})


def _curve(result: ShownResult, zone: str) -> dict[str, Any]:
    sums, step_s = result.sums, result.told.step_s
    steps = () if sums is None else sums.curve
    times = [int(each.known.start.timestamp()) for each in steps]
    times += [at + step_s for at in times[-1:]]
    kinds = (("Requested", "requested"), ("Baseline", "baseline"), ("Metered", "other"), ("Delivered", "delivered"))
    energy = {"requested": "requested_kwh", "baseline": "baseline_kwh", "other": "metered_kwh"}
    series = []
    for label, kind in kinds:
        name = energy.get(kind, "delivered_kwh")
        values = [getattr(each.known, name) for each in steps]
        powers = [None if value is None else round(value * 3600 / step_s, 3) for value in values]
        powers += powers[-1:]  # up to the end of the last step
        series.append({"label": label, "unit": "kW", "kind": kind, "values": powers})
    least = min((each.participants_known for each in steps), default=0)
    of = 0 if sums is None else sums.participants
    return {
        "times": times,
        "series": series,
        "shades": [],
        "source": "Mean power of each step, of the participants whose delivery is known: "
        f"at least {least:,} of {of:,}. Baseline {result.told.method}, made {result.told.made_at:%Y-%m-%d %H:%M} UTC.",
        "zone": zone,
    }


async def send_settlement(visit: Visit) -> web.StreamResponse:
    """Send a result as CSV, some of it at a time."""
    event = await event_asked(visit)
    row = await _row(visit, event)
    if row["state"] not in {ResultState.EVALUATED, ResultState.FROZEN}:
        raise Conflict(f"the result is {row['state']}: there is nothing to settle yet")
    pieces = settlement_pieces(visit.console.stores.performance, row)
    return await visit.send_file(f"settlement-{row['id']}.csv", CSV, pieces)


async def freeze(visit: Visit) -> web.StreamResponse:
    """Keep a result for good."""
    event = await event_asked(visit)
    result = await _result(visit, event)
    await visit.console.stores.performance.freeze(result.told.id, by=visit.user.name)
    facts = {"event": event.id, "method": result.told.method, "inputs_sha256": result.told.inputs_sha256}
    await visit.audit("freeze result", result.told.id, before={"state": result.state}, after=facts)
    return visit.redirect(
        "performance_result",
        "The result is frozen: nothing changes it any more.",
        event_id=event.id,
        result_id=result.told.id,
    )


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a result that is not frozen, which ends its evaluation."""
    event = await event_asked(visit)
    result = await _result(visit, event)
    await visit.console.stores.performance.remove(result.told.id)
    await visit.audit("remove result", result.told.id, before={"event": event.id, "state": result.state})
    return visit.redirect("event_performance", "The result is removed.", event_id=event.id)


async def compare(visit: Visit) -> web.StreamResponse:
    """Evaluate once more what a result was made of, and show what it would be now."""
    event = await event_asked(visit)
    was = (await _result(visit, event)).told
    request = EvaluationRequest(
        event_id=event.id,
        method=was.method,
        step_s=was.step_s,
        zone=was.zone,
        holidays=was.holidays,
        circuits=was.circuits,
    )
    try:
        id_ = await visit.console.evaluations.ask(request, by=visit.user.name)
    except (Invalid, Conflict, Overloaded) as error:
        return await _list(visit, event, refusal=str(error))
    await visit.audit("evaluate event", event.id, after={"result": id_, "method": was.method, "was": was.id})
    return visit.redirect("performance_result", event_id=event.id, result_id=id_, was=was.id)


async def _result(visit: Visit, event: ListedEvent) -> ShownResult:
    return _shown(await _row(visit, event))


async def _row(visit: Visit, event: ListedEvent) -> Mapping[str, Any]:
    row = await visit.console.stores.performance.get(id_of(visit, "result_id"))
    if row["event_id"] != event.id:
        raise NotFound
    return row


async def _other(visit: Visit, event: ListedEvent, id_: str) -> ShownResult | None:
    """Return another result of the event; None if none is named."""
    if not id_:
        return None
    row = await visit.console.stores.performance.get(id_[:128].replace("\0", ""))
    if row["event_id"] != event.id:
        raise NotFound
    return _shown(row)


_ALL: Final = "/events/{event_id}/performance"
_ONE: Final = f"{_ALL}/{{result_id}}"
ROUTES = (
    ConsoleRoute("GET", _ALL, show, name="event_performance", title="Performance"),
    ConsoleRoute("POST", _ALL, evaluate, name="evaluate_event", title="Performance", role=Role.OPERATOR),
    ConsoleRoute("GET", _ONE, show_result, name="performance_result", title="Performance"),
    ConsoleRoute("GET", f"{_ONE}/differences", show_differences, name="performance_differences", title="Performance"),
    ConsoleRoute("GET", f"{_ONE}/curve", send_curve, name="performance_curve", title="Performance"),
    ConsoleRoute("GET", f"{_ONE}/settlement.csv", send_settlement, name="performance_csv", title="Performance"),
    ConsoleRoute("POST", f"{_ONE}/freeze", freeze, name="freeze_result", title="Performance", role=Role.OPERATOR),
    ConsoleRoute("POST", f"{_ONE}/remove", remove, name="remove_result", title="Performance", role=Role.OPERATOR),
    ConsoleRoute("POST", f"{_ONE}/compare", compare, name="compare_result", title="Performance", role=Role.OPERATOR),
)
