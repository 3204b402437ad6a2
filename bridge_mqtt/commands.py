"""Decisions become rows of the outbox and changes of what panels hold (rules C6 to C10)."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import structlog

from bridge_mqtt import decisions
from bridge_mqtt.book import PanelChanges, part_of
from bridge_mqtt.model import Command, Holding, HoldingState, PanelRecord
from openadr_profiles.panel import CommandState, Op, correlation_id
from openadr_profiles.panel.identity import ENTROPY_BYTES

_log = structlog.get_logger(__name__)

_PREFIX = {Op.SHED_PANEL: "evt", Op.RESTORE_PANEL: "restore", Op.PING: "ping"}
_MANY = 20


def carry_out(
    changes: PanelChanges, situation: decisions.Situation, decision: decisions.Decision, now: datetime
) -> None:
    """Change what a decision means."""
    panel, holding, command = situation.panel, situation.holding, situation.outstanding
    match decision:
        case decisions.Queue():
            _queue(changes, panel, holding, decision, now)
        case decisions.Mark(state=state) if holding is not None:
            since = now if state is HoldingState.UNREACHABLE else holding.since
            changes.hold(replace(holding, state=state, since=since))
        case decisions.Confirm() if holding is not None:
            changes.hold(replace(holding, state=HoldingState.HELD))
            changes.confirm(holding.correlation_id, now)
        case decisions.Drop() if holding is not None:
            changes.drop(panel.ven_id)
        case decisions.TimeOut() if command is not None:
            changes.change(command, state=CommandState.TIMED_OUT)
            if panel.dialect is not None and not panel.dialect.can_restore and holding is not None:
                changes.count_recovery(part_of(holding))
        case decisions.Supersede() if command is not None:
            changes.change(command, state=CommandState.SUPERSEDED)
            changes.drop(panel.ven_id)
        case _:
            raise AssertionError(f"{decision} does not fit {situation}")


def _queue(
    changes: PanelChanges, panel: PanelRecord, holding: Holding | None, decision: decisions.Queue, now: datetime
) -> None:
    want = decision.want
    event_id = want.event_id if want else decision.event_id
    new = Command(
        correlation_id=correlation_id(_PREFIX[decision.op], event_id, secrets.token_bytes(ENTROPY_BYTES)),
        ven_id=panel.ven_id,
        op=decision.op,
        reason=decision.reason,
        state=CommandState.QUEUED,
        queued_at=now,
        event_id=event_id,
        window_start=want.window_start if want else holding.window_start if holding else None,
        window_end=want.until if want else None,
        amount_kw=want.amount_kw if want else None,
    )
    changes.queue(new)
    if want is not None:
        changes.hold(
            Holding(
                ven_id=panel.ven_id,
                event_id=want.event_id,
                window_start=want.window_start,
                window_end=want.until,
                amount_kw=want.amount_kw,
                until=None,
                correlation_id=new.correlation_id,
                state=HoldingState.SENDING,
                since=now,
            )
        )
    elif decision.op is Op.RESTORE_PANEL and holding is not None:
        if decision.reason == "repeat safely":
            changes.count_recovery(part_of(holding))
        changes.hold(replace(holding, state=HoldingState.RELEASING, since=now))


def tell_of(taken: Iterable[tuple[decisions.Situation, decisions.Decision]], changes: PanelChanges) -> None:
    """Log each step, or only how many of each kind there are if there are many; commands are rows."""
    steps = list(taken)
    if len(steps) <= _MANY:
        for situation, decision in steps:
            _tell(situation, decision, changes)
        return
    for (kind, reason, event_id), count in Counter(_kind(situation, decision) for situation, decision in steps).items():
        _log.info(kind, reason=reason, event_id=event_id, panels=count)


def _kind(situation: decisions.Situation, decision: decisions.Decision) -> tuple[str, str | None, str | None]:
    holding = situation.holding
    event_id = None if holding is None else holding.event_id
    match decision:
        case decisions.Queue(op=op, reason=reason, want=want):
            return f"{op.value} queued", reason, event_id if want is None else want.event_id
        case decisions.Mark(reason=reason) | decisions.Drop(reason=reason):
            return type(decision).__name__.lower(), reason, event_id
        case _:
            return type(decision).__name__.lower(), None, event_id


def _tell(situation: decisions.Situation, decision: decisions.Decision, changes: PanelChanges) -> None:
    ven_id, holding, command = situation.panel.ven_id, situation.holding, situation.outstanding
    event_id = None if holding is None else holding.event_id
    match decision:
        case decisions.Queue(op=op, reason=reason):
            new = next(each for each in changes.queued.values() if each.ven_id == ven_id)
            _log.info(
                "command queued",
                ven_id=ven_id,
                event_id=new.event_id,
                correlation_id=new.correlation_id,
                op=op.value,
                reason=reason,
            )
        case decisions.Mark(state=state, reason=reason):
            _log.warning("holding unclear", ven_id=ven_id, event_id=event_id, state=state, reason=reason)
        case decisions.Confirm():
            _log.info("ack was lost, telemetry shows the shed", ven_id=ven_id, event_id=event_id)
        case decisions.Drop(reason=reason):
            _log.info("panel holds nothing any more", ven_id=ven_id, event_id=event_id, reason=reason)
        case decisions.TimeOut() if command is not None:
            _log.warning(
                "command not answered", ven_id=ven_id, correlation_id=command.correlation_id, op=command.op.value
            )
        case _:
            _log.info("command not wanted any more", ven_id=ven_id, event_id=event_id)
