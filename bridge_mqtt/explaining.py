"""Explain an event: what was asked of whom and why, from the rows that the decisions left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Allocation, WindowPlan
from bridge_mqtt.reasons import kilowatts
from bridge_mqtt.store import allocations, events, explanations
from bridge_mqtt.store.explanations import Explanation, Share

PANELS: Final = 100
"""The panels of a window that are named one by one, unless another number is asked for."""
MOST_PANELS: Final = 1000
_WINDOWS: Final = 50
_DECISIONS: Final = 500


async def explain(
    connection: AsyncConnection, event_id: str, *, panels: int = PANELS, ven_id: str | None = None
) -> dict[str, Any] | None:
    """Return the explanation of an event as plain values with the names of the API, None if it was never read.

    Of each of the last windows: what it asked in kW, who was left out and why, and ``panels`` parts at most (or that
    of one panel), first those that are not as they should be. Instants are aware, powers kW, energy kWh.
    """
    stored = await events.get(connection, event_id)
    if stored is None:
        return None
    windows = sorted(await allocations.windows_of(connection, event_id), key=lambda plan: plan.start)
    shares = await explanations.shares_of(connection, event_id)
    rows = await explanations.of_event(connection, event_id, _DECISIONS, ven_id=ven_id)
    parts = {
        plan.start: await explanations.parts_of(
            connection, event_id, plan.start, limit=min(panels, MOST_PANELS), ven_id=ven_id
        )
        for plan in windows[-_WINDOWS:]
    }
    named = {part.ven_id for some in parts.values() for part in some}
    told = await explanations.commands_to(connection, event_id, sorted(named)[:MOST_PANELS])
    steps = await events.history(connection, event_id)
    return {
        "eventId": event_id,
        "name": stored.event.event_name,
        "state": stored.state,
        "reason": stored.reason,
        "history": [{"state": step.to_state, "reason": step.reason, "at": step.at} for step in steps],
        "windowsLeftOut": max(0, len(windows) - _WINDOWS),
        "windows": [
            _window(plan, shares.get(plan.start, []), parts[plan.start], ven_id) for plan in windows[-_WINDOWS:]
        ],
        "decisions": [_decision(row) for row in rows],
        "commands": told,
    }


def _window(
    plan: WindowPlan, shares: Sequence[Share], parts: Sequence[Allocation], ven_id: str | None
) -> dict[str, Any]:
    asked_kw = round(sum(share.asked_kw for share in shares), 3)
    return {
        "start": plan.start,
        "end": plan.end,
        "request": plan.request,
        "requestedKw": float(plan.request_kw),
        "askedKw": asked_kw,
        "unallocatedKw": round(max(0.0, float(plan.request_kw) - asked_kw), 3),
        "takingPart": sum(share.panels for share in shares if share.excluded is None),
        "leftOut": {share.excluded: share.panels for share in shares if share.excluded is not None},
        "panelsNotNamed": 0 if ven_id is not None else sum(share.panels for share in shares) - len(parts),
        "panels": [_part(part) for part in parts],
    }


def _part(part: Allocation) -> dict[str, Any]:
    return {
        "venId": part.ven_id,
        "requestedKw": float(part.requested_kw),
        "capabilityKw": float(part.capability_kw),
        "reason": part.reason,
        "excluded": part.excluded,
        "deliveredKw": None if part.delivered_kw is None else float(part.delivered_kw),
        "givenBackKw": None if part.given_back_kw is None else float(part.given_back_kw),
        "givenBackAt": part.given_back_at,
        "recoveries": part.recoveries,
        "shedKwhInSeason": part.shed_kwh,
    }


def _decision(row: Explanation) -> dict[str, Any]:
    return {
        "at": row.at,
        "windowStart": row.window_start,
        "venId": row.ven_id,
        "beforeKw": row.before_kw,
        "askedKw": row.asked_kw,
        "reason": row.reason,
    }


def lines(explanation: Mapping[str, Any]) -> Iterator[str]:
    """Yield an explanation as lines for people; times are UTC."""
    why = f" ({explanation['reason']})" if explanation["reason"] else ""
    yield f"{explanation['eventId']} {explanation['name'] or ''}".rstrip() + f": {explanation['state']}{why}"
    for step in explanation["history"]:
        yield f"  {_clock(step['at'])}  {step['state']}" + (f": {step['reason']}" if step["reason"] else "")
    if explanation["windowsLeftOut"]:
        yield f"  {explanation['windowsLeftOut']} earlier windows are left out"
    for window in explanation["windows"]:
        yield ""
        yield from _window_lines(window, explanation)


def _window_lines(window: Mapping[str, Any], explanation: Mapping[str, Any]) -> Iterator[str]:
    end = "open end" if window["end"] is None else _clock(window["end"])
    yield f"{_clock(window['start'])} to {end}: {window['request']}, {kilowatts(window['requestedKw'])} in all"
    left_out = "".join(f", {number} {why}" for why, number in window["leftOut"].items())
    yield f"  asked: {kilowatts(window['askedKw'])} of {window['takingPart']} panels{left_out}"
    if window["unallocatedKw"]:
        yield f"  nobody is asked for {kilowatts(window['unallocatedKw'])}: the panels cannot shed more"
    for decision in explanation["decisions"]:
        if decision["windowStart"] == window["start"]:
            yield f"  {_clock(decision['at'])}  {_change(decision)}: {decision['reason']}"
    for part in window["panels"]:
        yield f"  {part['venId']}: {_asked(part)}"
        for command in explanation["commands"].get(part["venId"], []):
            yield f"      {_clock(command['at'])}  {_told(command)}"
    if window["panelsNotNamed"]:
        yield f"  and {window['panelsNotNamed']} more panels"


def _change(decision: Mapping[str, Any]) -> str:
    who = decision["venId"] or "all panels"
    asked = kilowatts(decision["askedKw"])
    before_kw = decision["beforeKw"]
    return f"{who} {asked}" if before_kw in {None, decision["askedKw"]} else f"{who} {kilowatts(before_kw)} to {asked}"


def _asked(part: Mapping[str, Any]) -> str:
    said = [f"{kilowatts(part['requestedKw'])} of {kilowatts(part['capabilityKw'])}"]
    if part["reason"]:
        said.append(part["reason"])
    if part["deliveredKw"] is not None:
        said.append(f"says it sheds {kilowatts(part['deliveredKw'])}")
    if part["givenBackKw"] is not None:
        said.append(f"gave back {kilowatts(part['givenBackKw'])} at {_clock(part['givenBackAt'])}")
    if part["recoveries"]:
        said.append(f"lost its shed {part['recoveries']} times")
    if part["shedKwhInSeason"]:
        said.append(f"{part['shedKwhInSeason']:.1f} kWh in this season before")
    return "; ".join(said)


def _told(command: Mapping[str, Any]) -> str:
    kw = command["requestedShedKw"]
    amount = "" if kw is None else f" {kilowatts(kw)}"
    actual = command["actualShedKw"]
    answer = "" if actual is None else f", {kilowatts(actual)}"
    error = f" ({command['error']})" if command["error"] else ""
    return f"{command['op']}{amount} ({command['reason']}): {command['state']}{answer}{error}"


def _clock(at: datetime | str) -> str:
    """Return the time of an instant in UTC; over HTTP it comes as text."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment:%Y-%m-%d %H:%M:%S}"
