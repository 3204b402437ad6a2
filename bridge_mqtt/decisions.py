"""Decide the next step for one panel, by rules C6 to C9 of docs/panel-contract.md, and for an event. Pure functions.

A panel is sent nothing while a command to it is outstanding. A shed is never repeated without a restore before it, and
whatever is not known for certain is cleared up first: by telemetry, else by a ping.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bridge_mqtt.model import Command, EventState, Holding, HoldingState, PanelRecord, Want
from openadr_profiles.panel import CommandState, Op, wire_event_id

_A_SECOND = timedelta(seconds=1)
_SAME_KW = Decimal("0.0005")
_LOCAL_EVENT = "ui-evt-"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Limits of waiting, in the time of the given instants."""

    ack_timeout: timedelta
    offline_after: timedelta
    least_remaining: timedelta
    ping_every: timedelta
    renew_before: timedelta = timedelta(0)
    """Tell how long before a panel's own timer ends a shed it is renewed, if it is to go on."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that matters for one panel."""

    panel: PanelRecord
    holding: Holding | None
    outstanding: Command | None
    want: Want | None
    known_events: Collection[str]  # ids on the wire of events this panel was ever told
    last_ping_at: datetime | None
    listening_since: datetime | None  # None while there is no connection to the broker
    gave_back: bool = False  # its latest sample shows that it has undone the shed, and it is to shed again


@dataclass(frozen=True)
class Queue:
    """Write a command row. A shed is for ``want``, a restore for ``event_id``."""

    op: Op
    reason: str
    want: Want | None = None
    event_id: str | None = None


@dataclass(frozen=True)
class Mark:
    """The holding is in another state now."""

    state: HoldingState
    reason: str


@dataclass(frozen=True)
class Confirm:
    """Telemetry shows what the lost ack would have said."""


@dataclass(frozen=True)
class Drop:
    """The panel holds nothing of ours any more."""

    reason: str


@dataclass(frozen=True)
class TimeOut:
    """The outstanding command was not answered in time."""


@dataclass(frozen=True)
class Supersede:
    """The outstanding command has not been sent and is not wanted any more."""


Decision = Queue | Mark | Confirm | Drop | TimeOut | Supersede


def is_online(panel: PanelRecord, now: datetime, policy: Policy) -> bool:
    """Return True if the panel was heard of within ``policy.offline_after``."""
    return panel.last_seen_at is not None and now - panel.last_seen_at <= policy.offline_after


def decide(situation: Situation, now: datetime, policy: Policy) -> Iterator[Decision]:
    """Yield the next steps for this panel, in order; none if it has to wait."""
    if situation.outstanding is not None:
        yield from _about_outstanding(situation, situation.outstanding, now, policy)
    elif situation.panel.dialect is None:
        yield from _about_stranger(situation, now, policy)
    elif situation.holding is None:
        yield from _about_free(situation, now, policy)
    elif situation.panel.dialect.can_restore:
        yield from _about_holder(situation, situation.holding, now, policy)
    else:
        yield from _about_piece(situation, situation.holding, now, policy)


def _about_outstanding(s: Situation, command: Command, now: datetime, policy: Policy) -> Iterator[Decision]:
    if command.state is CommandState.QUEUED:
        if command.op is Op.SHED_PANEL and not is_wanted(command, s.want):
            yield Supersede()
        return
    if s.listening_since is None:
        return
    deadline = max(command.deadline_at or now, s.listening_since + policy.ack_timeout)
    if now < deadline:
        return
    yield TimeOut()
    if s.holding is not None and command.op is Op.PING:
        yield Mark(HoldingState.UNREACHABLE, "no answer")
    elif s.holding is not None and s.holding.state is not HoldingState.RELEASING:
        yield Mark(HoldingState.UNCERTAIN, "no answer")


def is_wanted(command: Command, want: Want | None) -> bool:
    """Return True if a shed that was written before asks for what is wanted now."""
    return (
        want is not None
        and command.event_id == want.event_id
        and command.window_start == want.window_start  # it is held back until then
        and command.amount_kw is not None
        and abs(command.amount_kw - want.amount_kw) < _SAME_KW
        and (want.until is None or (command.window_end is not None and command.window_end <= want.until + _A_SECOND))
    )


def _about_stranger(s: Situation, now: datetime, policy: Policy) -> Iterator[Decision]:
    """Ping a panel whose dialect is unknown before it is sent any other command (rule C9)."""
    asked_lately = s.last_ping_at is not None and now - s.last_ping_at < policy.ping_every
    if is_online(s.panel, now, policy) and not asked_lately:
        yield Queue(Op.PING, "which dialect")


def _about_free(s: Situation, now: datetime, policy: Policy) -> Iterator[Decision]:
    shown = s.panel.event_id if s.panel.sample_is_newer_than_answer else None
    if s.panel.dialect is not None and s.panel.dialect.can_restore and shown in s.known_events:
        yield Queue(Op.RESTORE_PANEL, "shows an event that is over", event_id=shown)
    elif (
        shown is None
        and s.want is not None
        and is_online(s.panel, now, policy)
        and not _is_over(s.want, now, _A_SECOND)
    ):
        yield Queue(Op.SHED_PANEL, "start", want=s.want)


def _about_piece(s: Situation, holding: Holding, now: datetime, policy: Policy) -> Iterator[Decision]:
    """Tell a panel that cannot restore the next piece when the last has run out by itself (rule C9).

    A piece that is told before the last one is over would add up, and an unanswered one may have begun late.
    """
    slack = timedelta(0) if holding.state is HoldingState.HELD else policy.ack_timeout
    if holding.until is None or now >= holding.until + slack:
        yield Drop("the piece is over")
        if s.want is not None and is_online(s.panel, now, policy) and not _is_over(s.want, now, _A_SECOND):
            yield Queue(Op.SHED_PANEL, "next piece", want=s.want)


def _about_holder(s: Situation, holding: Holding, now: datetime, policy: Policy) -> Iterator[Decision]:
    """Go on with a panel that can restore, by what is known of the shed it holds."""
    wire_id = wire_event_id(holding.event_id)
    match holding.state:
        case HoldingState.UNCERTAIN | HoldingState.SENDING | HoldingState.RELEASING:
            yield from _clear_up(s, holding, wire_id, now, policy)
        case HoldingState.UNREACHABLE:
            if s.panel.last_seen_at is not None and s.panel.last_seen_at > holding.since:
                yield Mark(HoldingState.SUSPECT, "heard again")
                yield from _repeat_safely(s, holding, wire_id)
        case HoldingState.SUSPECT:
            yield from _repeat_safely(s, holding, wire_id)
        case HoldingState.HELD:
            yield from _about_held(s, holding, wire_id, now, policy)


def _clear_up(s: Situation, holding: Holding, wire_id: str, now: datetime, policy: Policy) -> Iterator[Decision]:
    """Clear up an unanswered command by telemetry that is newer than the command, else by a ping.

    That the panel shows the event confirms a shed, but not after a restore: it may have undone only a part of it.
    """
    panel = s.panel
    fresh = panel.sample_received_at is not None and panel.sample_received_at > holding.since
    is_shed = holding.state is not HoldingState.RELEASING
    if is_shed and fresh and panel.event_id == wire_id and is_as_wanted(holding, s.want):
        yield Confirm()
    elif fresh and panel.tells_event and panel.event_id is None and s.want is None:
        yield Drop("telemetry shows no event")
    elif s.last_ping_at is None or s.last_ping_at < holding.since:
        yield Queue(Op.PING, "no answer", event_id=holding.event_id)
    else:
        yield Mark(HoldingState.SUSPECT, "answers a ping")
        yield from _repeat_safely(s, holding, wire_id)


def _repeat_safely(s: Situation, holding: Holding, wire_id: str) -> Iterator[Decision]:
    """Restore whatever the panel may hold; the shed follows when that is answered (rule C7)."""
    panel = s.panel
    fresh = panel.sample_received_at is not None and panel.sample_received_at > holding.since
    if s.want is None and fresh and panel.tells_event and panel.event_id != wire_id:
        yield Drop("telemetry shows it does not hold the event")
    else:
        yield Queue(Op.RESTORE_PANEL, "repeat safely", event_id=holding.event_id)


def _about_held(s: Situation, holding: Holding, wire_id: str, now: datetime, policy: Policy) -> Iterator[Decision]:
    panel = s.panel
    over = holding.until is not None and now >= holding.until
    if panel.tells_event and panel.sample_is_newer_than_answer and panel.event_id != wire_id:
        if panel.event_id is not None or s.want is None or over:
            yield Drop("local event" if _is_local(panel) else "telemetry shows it does not hold the event")
        elif not _is_over(s.want, now, policy.least_remaining):
            yield Mark(HoldingState.SUSPECT, "restarted" if _restarted(panel, holding) else "lost it")
            yield Queue(Op.RESTORE_PANEL, "repeat safely", event_id=holding.event_id)
    elif s.want is None:
        yield Queue(Op.RESTORE_PANEL, "window over" if over else "not wanted any more", event_id=holding.event_id)
    elif not is_as_wanted(holding, s.want):
        yield Queue(Op.RESTORE_PANEL, "changed", event_id=holding.event_id)
    elif over or ((at := renewal(holding, s.want, policy)) is not None and now >= at):
        yield Queue(Op.RESTORE_PANEL, "renew", event_id=holding.event_id)
    elif s.gave_back:
        yield Mark(HoldingState.SUSPECT, "gave it back")
        yield Queue(Op.RESTORE_PANEL, "repeat safely", event_id=holding.event_id)


def renewal(holding: Holding, want: Want | None, policy: Policy) -> datetime | None:
    """Return when a shed that is to last longer than the panel's own timer is renewed; None if it is not.

    That is shortly before the timer ends it: restore, and the shed again once that is answered. A panel would add a
    second shed to the first (rules C6, C7), so nothing gentler is possible; an earlier renewal would disturb it more
    often than needed. A short shed is renewed in its last quarter.
    """
    if holding.until is None or want is None or holding.event_id != want.event_id:
        return None
    if want.until is not None and want.until <= holding.until + _A_SECOND:
        return None
    return holding.until - min(policy.renew_before, (holding.until - holding.since) / 4)


def is_for(holding: Holding, want: Want) -> bool:
    """Return True if a panel holds, or is being told, a shed for the window of an event that is wanted."""
    return holding.event_id == want.event_id and holding.window_start == want.window_start


def is_as_wanted(holding: Holding, want: Want | None) -> bool:
    """Return True if the panel already holds what it should: same event and amount, without overrunning.

    A later end does not make a difference: the shed is renewed when the panel's own timer runs out.
    """
    return (
        want is not None
        and holding.event_id == want.event_id
        and abs(holding.amount_kw - want.amount_kw) < _SAME_KW
        and (want.until is None or holding.until is None or holding.until <= want.until + _A_SECOND)
    )


def _is_local(panel: PanelRecord) -> bool:
    return panel.event_id is not None and panel.event_id.startswith(_LOCAL_EVENT)


def _restarted(panel: PanelRecord, holding: Holding) -> bool:
    return panel.restarted_at is not None and panel.restarted_at > holding.since


def _is_over(want: Want, now: datetime, least: timedelta) -> bool:
    return want.until is not None and want.until - now < least


def next_state(
    state: EventState,
    reason: str | None,
    *,
    over: bool,
    withdrawn: bool,
    cancelled: bool,
    begun: bool,
    held: bool,
    unusable: str | None,
) -> tuple[EventState, str | None]:
    """Return the next state of an event and its reason; while a panel holds the event, the event is not final."""
    called_off = withdrawn or cancelled
    active = state in {EventState.ACTIVE, EventState.COMPLETING}
    if held and (over or called_off or unusable):
        return EventState.COMPLETING, unusable or ("called off" if called_off else "over")
    if called_off:
        return EventState.CANCELLED, "withdrawn by the VTN" if withdrawn else "cancelled"
    if unusable is not None:
        return EventState.FAILED, unusable
    if over:
        return (EventState.COMPLETED, None) if active else (EventState.MISSED, "no panel took part")
    if begun:
        return EventState.ACTIVE, None
    return state, reason
