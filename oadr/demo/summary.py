"""Turns what was seen into what is shown: a row a participant, the circuits, the verdict, and news. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from oadr.demo.homes import KINDS
from oadr.demo.story import Scene
from oadr.demo.view import CircuitLine, Doing, Phase, Row, Verdict
from openadr_profiles.fleet.status import Participant

_LEFT_KW: Final = Decimal("0.01")
_WORTH_SHOWING_KW: Final = Decimal("0.05")
_SENDS: Final = {"opt": "reports whether it takes part", "status": "reports its first circuits"}
"""By the first word of a report's name."""


def rows(scene: Scene) -> list[Row]:
    """Give one row a home and a panel, also for those that have not answered."""
    participants = {one.name: one for one in scene.status.participants}
    return [_row(name, kind, participants.get(name), scene) for name, kind in KINDS.items()]


def circuits(scene: Scene) -> list[CircuitLine]:
    """Give the circuits that something was asked of or taken from."""
    return [
        CircuitLine(
            participant=one.name,
            name=circuit.name,
            before_kw=_number(circuit.original_kw),
            asked_kw=_number(circuit.requested_kw),
            delivered_kw=_number(circuit.delivered_kw),
            state=(circuit.state or "").lower().replace("_", " "),
        )
        for one in scene.status.participants
        for circuit in one.circuits
        if any((kw or 0) > _WORTH_SHOWING_KW for kw in (circuit.requested_kw, circuit.delivered_kw))
    ]


def panels_kw(scene: Scene) -> list[float]:
    """Give what the bridge asks of each of its panels now; nothing until all of them know."""
    asked = [one.requested_kw for one in scene.status.participants if one.name in scene.evidence.panels]
    known = [float(kw) for kw in asked if kw is not None]
    return known if len(known) == len(scene.evidence.panels) else []


def verdict(scene: Scene) -> Verdict:
    """Give the end of a run."""
    times = scene.response_ms()
    return Verdict(
        findings=tuple(f"{finding.part}: {finding.problem}" for finding in scene.findings),
        asked_kwh=requested_kwh(scene),
        delivered_kwh=delivered_kwh(scene),
        acks=len(scene.evidence.acks),
        ack_ms=(times["min"], times["max"]) if times else None,
        reports=len(scene.evidence.reports),
    )


def requested_kwh(scene: Scene) -> float:
    """Return the energy asked of all participants."""
    reported = float(sum(one.requested_kwh for one in scene.status.participants))
    return reported + sum(each.asked_kwh for each in scene.deliveries.values())


def delivered_kwh(scene: Scene) -> float:
    """Return the energy that all participants delivered, as the VTN was told."""
    reported = float(sum(one.delivered_kwh for one in scene.status.participants))
    return reported + sum(each.delivered_kwh for each in scene.deliveries.values())


def news(before: Scene | None, after: Scene) -> Iterator[str]:
    """Yield one short line for each thing that has happened between two snapshots."""
    if before is None:
        steps = ", then ".join(f"{step.kw:g} kW" for step in after.plan.steps)
        yield f"the utility issues an event: {steps} less from each VEN"
    yield from _phase_news(before, after)
    yield from _row_news(before, after)
    yield from _command_news(before, after)
    for name, told in after.evidence.telemetry.items():
        if told and not (before and before.evidence.telemetry[name]):
            yield f"{name} tells by telemetry what it sheds"
    known = {report.id for report in before.evidence.reports} if before else set()
    for report in after.evidence.reports:
        if report.id not in known:
            kind = (report.report_name or "").partition("-")[0]
            yield f"{report.client_name} {_SENDS.get(kind, 'sends the report that the event asks for')}"


def _phase_news(before: Scene | None, after: Scene) -> Iterator[str]:
    phase = after.plan.phase(after.at)
    if before is None or before.plan.phase(before.at) is phase:
        return
    if phase is Phase.RETURN:
        yield "the event is over"
    else:
        yield f"{phase.value} begins: {after.plan.asked_kw(after.at):g} kW of each VEN"


def _row_news(before: Scene | None, after: Scene) -> Iterator[str]:
    was = {row.name: row.doing for row in rows(before)} if before else {}
    for row in rows(after):
        if row.doing is was.get(row.name, Doing.WAITING):
            continue
        if row.doing is Doing.OUT:
            yield f"{row.name} opts out: {row.reason}"
        elif row.doing is not Doing.WAITING:
            yield f"{row.name} {'is ' if row.doing in {Doing.SHEDDING, Doing.RETURNED} else ''}{row.doing.value}"


def _command_news(before: Scene | None, after: Scene) -> Iterator[str]:
    def states(scene: Scene) -> dict[str, str]:
        return {each["correlationId"]: each["state"] for all_ in scene.evidence.commands.values() for each in all_}

    was = states(before) if before else {}
    for panel, commands in after.evidence.commands.items():
        for command in commands:
            if command["state"] == was.get(command["correlationId"]) or command["state"] in {"queued", "sent"}:
                continue
            shed, took = command["actualShedKw"], command["responseMs"]
            words = [panel, command["op"], command["state"]]
            words += [f"{shed:.2f} kW"] if shed is not None else []
            words += [f"after {took:.0f} ms"] if took is not None else []
            yield " ".join(words)


def _row(name: str, kind: str, one: Participant | None, scene: Scene) -> Row:
    doing = _doing(name, one, scene)
    if one is None or doing is Doing.OUT:
        return Row(name, kind, doing, reason=one.reason if one else None)
    if name in scene.deliveries:
        told = scene.deliveries[name]
        return Row(
            name,
            kind,
            doing,
            asked_kw=told.asked_kw,
            delivered_kw=told.delivered_kw,
            asked_kwh=told.asked_kwh,
            delivered_kwh=told.delivered_kwh,
            no_data=told.delivered_kw is None,
        )
    return Row(
        name=name,
        kind=kind,
        doing=doing,
        asked_kw=_number(one.requested_kw),
        delivered_kw=_number(one.delivered_kw),
        asked_kwh=float(one.requested_kwh),
        delivered_kwh=float(one.delivered_kwh),
        reason=one.reason,
    )


def _doing(name: str, one: Participant | None, scene: Scene) -> Doing:
    """Return what a participant does, by its answer to the event and the reduction of its circuits now."""
    over = scene.at >= scene.plan.end
    if name in scene.evidence.failures:
        return Doing.GONE
    if one is None or not one.reached:
        return Doing.SILENT if over else Doing.WAITING
    if not one.opted_in:
        return Doing.OUT
    if scene.evidence.ledger.held_kw(name) > _LEFT_KW:
        return Doing.SHEDDING
    return Doing.RETURNED if over else Doing.READY


def _number(kw: Decimal | None) -> float | None:
    return None if kw is None else float(kw)
