"""What a panel is told next, situation by situation (C6 to C9, 12.4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bridge_mqtt.decisions import (
    Confirm,
    Decision,
    Drop,
    Mark,
    Policy,
    Queue,
    Situation,
    Supersede,
    TimeOut,
    decide,
)
from bridge_mqtt.model import Command, Holding, HoldingState, PanelRecord, Want
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from openadr_profiles.panel import ENVELOPE, FLAT, Ack, CommandState, KnownCommand, Op, read_ack

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
POLICY = Policy(
    ack_timeout=timedelta(seconds=10),
    offline_after=timedelta(seconds=60),
    least_remaining=timedelta(seconds=5),
    ping_every=timedelta(seconds=60),
)
WANT = Want(event_id="evt-1", window_start=NOW, until=NOW + timedelta(hours=1), amount_kw=Decimal(5))


def ago(seconds: float) -> datetime:
    """So many seconds before now."""
    return NOW - timedelta(seconds=seconds)


def a_panel(**members: Any) -> PanelRecord:
    """A flat panel that was heard a second ago and shows no event."""
    known: dict[str, Any] = {
        "ven_id": "panel-1",
        "dialect": FLAT,
        "last_seen_at": ago(1),
        "sample_at": ago(1),
        "sample_received_at": ago(1),
        "tells_event": True,
    }
    return PanelRecord(**known | members)


def a_holding(state: HoldingState = HoldingState.HELD, **members: Any) -> Holding:
    """The shed of the want, told a minute ago."""
    known: dict[str, Any] = {
        "ven_id": "panel-1",
        "event_id": "evt-1",
        "window_start": NOW,
        "window_end": WANT.until,
        "amount_kw": Decimal(5),
        "until": WANT.until,
        "correlation_id": "evt-1-abc",
        "state": state,
        "since": ago(60),
    }
    return Holding(**known | members)


def a_command(op: Op, state: CommandState, **members: Any) -> Command:
    """A command on its way."""
    known: dict[str, Any] = {
        "correlation_id": "evt-1-abc",
        "ven_id": "panel-1",
        "op": op,
        "reason": "start",
        "state": state,
        "queued_at": ago(20),
        "event_id": "evt-1",
        "amount_kw": Decimal(5),
        "window_start": NOW,
        "window_end": WANT.until,
    }
    return Command(**known | members)


def decided(**members: Any) -> list[Decision]:
    """The decisions in a situation: a free flat panel that should shed, unless told otherwise."""
    known: dict[str, Any] = {
        "panel": a_panel(),
        "holding": None,
        "outstanding": None,
        "want": WANT,
        "known_events": (),
        "last_ping_at": None,
        "listening_since": ago(600),
    }
    return list(decide(Situation(**known | members), NOW, POLICY))


FOLLOWING = a_panel(event_id="evt-1")
RESTORE = Op.RESTORE_PANEL
SENT = {"sent_at": ago(11), "deadline_at": ago(1)}


def test_a_free_panel_is_told_to_shed() -> None:
    """The usual case."""
    assert decided() == [Queue(Op.SHED_PANEL, "start", want=WANT)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"want": None}, "nothing is wanted"),
        ({"panel": a_panel(last_seen_at=ago(61))}, "offline: it would be lost"),
        ({"want": replace(WANT, until=NOW + timedelta(seconds=0.5))}, "nothing remains of the window"),
        ({"panel": a_panel(event_id="ui-evt-1795454773")}, "it follows an event of its own"),
        ({"holding": a_holding(), "panel": FOLLOWING}, "it holds what it should"),
        ({"holding": a_holding(), "panel": a_panel(tells_event=False)}, "its program never tells"),
        ({"outstanding": a_command(Op.SHED_PANEL, CommandState.QUEUED)}, "the command waits for the broker"),
        (
            {
                "outstanding": a_command(
                    Op.SHED_PANEL, CommandState.SENT, sent_at=ago(1), deadline_at=NOW + timedelta(9)
                )
            },
            "the answer may still come",
        ),
        (
            {"outstanding": a_command(Op.SHED_PANEL, CommandState.SENT, **SENT), "listening_since": None},
            "nobody could hear the answer",
        ),
        (
            {"outstanding": a_command(Op.SHED_PANEL, CommandState.SENT, **SENT), "listening_since": ago(2)},
            "the broker is still handing over what it kept",
        ),
        ({"panel": a_panel(dialect=None, last_seen_at=ago(61))}, "a stranger that is offline"),
        ({"panel": a_panel(dialect=None), "last_ping_at": ago(10)}, "a stranger that was asked lately"),
    ],
)
def test_nothing_is_told(change: dict[str, Any], why: str) -> None:
    """Waiting is a decision too."""
    assert decided(**change) == [], why


def test_a_stranger_is_asked_first() -> None:
    """C9."""
    assert decided(panel=a_panel(dialect=None)) == [Queue(Op.PING, "which dialect")]


@pytest.mark.parametrize(
    ("want", "reason"),
    [
        (None, "not wanted any more"),
        (replace(WANT, amount_kw=Decimal(4)), "changed"),
        (replace(WANT, event_id="evt-2"), "changed"),
        (replace(WANT, until=NOW + timedelta(minutes=30)), "changed"),
    ],
)
def test_a_change_begins_with_a_restore(want: Want | None, reason: str) -> None:
    """C6: the new shed follows when the restore is answered."""
    assert decided(holding=a_holding(), panel=FOLLOWING, want=want) == [Queue(RESTORE, reason, event_id="evt-1")]


def test_a_later_end_disturbs_the_panel_only_when_its_own_timer_runs_out() -> None:
    """12.5: renewed by restore and shed at the old end."""
    later = replace(WANT, until=NOW + timedelta(hours=2))

    assert decided(holding=a_holding(), panel=FOLLOWING, want=later) == []
    assert decided(holding=a_holding(until=NOW), panel=FOLLOWING, want=later) == [
        Queue(RESTORE, "renew", event_id="evt-1")
    ]


def test_the_end_of_the_window_restores_the_holder() -> None:
    """12.5."""
    assert decided(holding=a_holding(until=NOW), panel=FOLLOWING, want=None) == [
        Queue(RESTORE, "window over", event_id="evt-1")
    ]


def test_a_holder_that_measures_without_our_event_is_told_again() -> None:
    """12.4-4: restore first, since a message may still be on its way (C7)."""
    assert decided(holding=a_holding(), panel=a_panel(answered_at=ago(30))) == [
        Mark(HoldingState.SUSPECT, "lost it"),
        Queue(RESTORE, "repeat safely", event_id="evt-1"),
    ]
    assert decided(holding=a_holding(), panel=a_panel(restarted_at=ago(1)))[0] == Mark(
        HoldingState.SUSPECT, "restarted"
    )


def test_a_sample_from_before_the_answer_proves_nothing() -> None:
    """A sample of the same second may have been made before the command came."""
    assert decided(holding=a_holding(), panel=a_panel(answered_at=ago(1))) == []


def test_a_sample_without_a_time_that_came_before_the_answer_proves_nothing() -> None:
    """Its time is its receipt, to the millisecond; that of the answer is a whole second, and earlier."""
    panel = a_panel(sample_at=ago(0.6), sample_received_at=ago(0.6), answered_at=ago(1), answer_received_at=ago(0.3))

    assert not panel.sample_is_newer_than_answer
    assert replace(panel, sample_at=NOW, sample_received_at=NOW).sample_is_newer_than_answer


def test_a_clock_that_is_put_back_does_not_hide_a_lost_shed() -> None:
    """The panel answered three hours ahead; what it measures now came after, and shows that the shed is lost."""
    ahead = NOW + timedelta(hours=3)
    panel = a_panel(answered_at=ahead, answer_received_at=ago(30))

    assert decided(holding=a_holding(), panel=panel)[0] == Mark(HoldingState.SUSPECT, "lost it")
    assert decided(holding=a_holding(), panel=replace(panel, answered_at=NOW + timedelta(minutes=59))) == []
    assert decided(holding=a_holding(), panel=replace(panel, answer_received_at=ago(0.5))) == [], "came before"
    assert decided(holding=a_holding(), panel=replace(panel, answer_received_at=None)) == [], "after a restart"


def test_an_answer_after_the_clock_was_put_back_has_its_own_time() -> None:
    """Else no sample would be newer until the clock has caught up."""
    settings = Settings.model_validate({"vtn": {"url": "http://vtn.example/3.1.0"}, "panels": [{"id": "panel-1"}]})
    registry = Registry(settings)

    def answered(at: datetime) -> datetime | None:
        command = KnownCommand(
            correlation_id="evt-1-abc",
            ven_id="panel-1",
            op="shedPanel",
            event_id="evt-1",
            requested_shed_kw=5,
            sent_at=None,
            deadline_at=None,
        )
        payload = f'{{"op":"event","status":"accepted","correlationId":"evt-1-abc","ts":{at.timestamp():.0f}}}'
        ack = read_ack("ven/ack/panel-1", payload.encode(), NOW, lambda _: command)
        assert isinstance(ack, Ack)
        return registry.answered(ack).answered_at

    ahead = NOW + timedelta(hours=3)
    assert answered(ahead) == ahead
    assert answered(ahead - timedelta(minutes=59)) == ahead, "late"
    assert answered(NOW) == NOW


def test_a_lost_shed_is_not_repeated_for_the_last_seconds() -> None:
    """The panel's own timer ends up to a second early."""
    want = replace(WANT, until=NOW + timedelta(seconds=3))

    assert decided(holding=a_holding(until=want.until), want=want) == []


@pytest.mark.parametrize(
    "panel", [a_panel(event_id="ui-evt-1795454773"), a_panel(event_id="evt-of-others")], ids=["local", "foreign"]
)
def test_a_holder_that_follows_another_event_now_is_left_alone(panel: PanelRecord) -> None:
    """12.4-5, C8: a restore would end what is not ours."""
    (only,) = decided(holding=a_holding(), panel=panel)

    assert isinstance(only, Drop)


def test_an_event_of_ours_that_is_over_is_ended_where_it_still_shows() -> None:
    """12.4-5."""
    assert decided(panel=FOLLOWING, known_events={"evt-1"}, want=None) == [
        Queue(RESTORE, "shows an event that is over", event_id="evt-1")
    ]
    assert decided(panel=FOLLOWING, known_events=(), want=None) == []


def test_no_answer_to_a_shed_makes_the_holding_uncertain() -> None:
    """12.4-2."""
    waiting = a_command(Op.SHED_PANEL, CommandState.SENT, **SENT)

    assert decided(outstanding=waiting, holding=a_holding(HoldingState.SENDING)) == [
        TimeOut(),
        Mark(HoldingState.UNCERTAIN, "no answer"),
    ]


def test_a_restore_without_answer_is_never_taken_for_a_shed_that_is_held() -> None:
    """C7: the panel shows the event though it has given the shed back; only a restore makes sure what it holds."""
    waiting = a_command(RESTORE, CommandState.SENT, **SENT)
    releasing = a_holding(HoldingState.RELEASING)

    assert decided(outstanding=waiting, holding=releasing, panel=FOLLOWING) == [TimeOut()]
    assert decided(holding=releasing, panel=FOLLOWING) == [Queue(Op.PING, "no answer", event_id="evt-1")]
    assert decided(holding=releasing, panel=FOLLOWING, last_ping_at=ago(30)) == [
        Mark(HoldingState.SUSPECT, "answers a ping"),
        Queue(RESTORE, "repeat safely", event_id="evt-1"),
    ]
    assert decided(holding=releasing, want=None) == [Drop("telemetry shows no event")]


def test_no_answer_to_the_ping_makes_the_panel_unreachable() -> None:
    """12.4-3."""
    waiting = a_command(Op.PING, CommandState.SENT, **SENT)

    assert decided(outstanding=waiting, holding=a_holding(HoldingState.UNCERTAIN)) == [
        TimeOut(),
        Mark(HoldingState.UNREACHABLE, "no answer"),
    ]


@pytest.mark.parametrize(
    ("change", "decisions"),
    [
        ({"panel": FOLLOWING}, [Confirm()]),
        ({"want": None}, [Drop("telemetry shows no event")]),
        ({}, [Queue(Op.PING, "no answer", event_id="evt-1")]),
        (
            {"panel": a_panel(sample_received_at=ago(61), event_id="evt-1")},
            [Queue(Op.PING, "no answer", event_id="evt-1")],
        ),
        (
            {"last_ping_at": ago(30)},
            [Mark(HoldingState.SUSPECT, "answers a ping"), Queue(RESTORE, "repeat safely", event_id="evt-1")],
        ),
    ],
)
def test_what_is_uncertain_is_cleared_up(change: dict[str, Any], decisions: list[Decision]) -> None:
    """12.4-3: telemetry, else ping, else restore and shed."""
    assert decided(**{"holding": a_holding(HoldingState.UNCERTAIN)} | change) == decisions


def test_an_unreachable_panel_that_is_heard_again_is_restored_first() -> None:
    """12.4-3."""
    gone = a_holding(HoldingState.UNREACHABLE, since=ago(5))

    assert decided(holding=gone) == [
        Mark(HoldingState.SUSPECT, "heard again"),
        Queue(RESTORE, "repeat safely", event_id="evt-1"),
    ]
    assert decided(holding=gone, panel=a_panel(last_seen_at=ago(6))) == []


def test_a_queued_shed_that_is_not_wanted_any_more_is_not_sent() -> None:
    """12.4-1: the outbox is looked through again before it is emptied."""
    queued = a_command(Op.SHED_PANEL, CommandState.QUEUED)

    assert decided(outstanding=queued, want=None) == [Supersede()]
    assert decided(outstanding=queued, want=replace(WANT, amount_kw=Decimal(4))) == [Supersede()]
    assert decided(outstanding=queued, want=replace(WANT, window_start=ago(60))) == [Supersede()]


def test_an_envelope_panel_waits_for_the_end_of_its_piece() -> None:
    """C9: nothing can be undone; the next piece follows, or nothing."""
    older = a_panel(dialect=ENVELOPE, tells_event=False)
    running = a_holding(until=NOW + timedelta(seconds=1))

    assert decided(panel=older, holding=running, want=None) == []
    assert decided(panel=older, holding=a_holding(until=NOW), want=None) == [Drop("the piece is over")]
    assert decided(panel=older, holding=a_holding(until=NOW)) == [
        Drop("the piece is over"),
        Queue(Op.SHED_PANEL, "next piece", want=WANT),
    ]


def test_an_unanswered_piece_may_have_begun_late() -> None:
    """C9: two pieces at once would add up."""
    older = a_panel(dialect=ENVELOPE, tells_event=False)
    unanswered = a_holding(HoldingState.UNCERTAIN, until=ago(9))

    assert decided(panel=older, holding=unanswered) == []
    assert decided(panel=older, holding=replace(unanswered, until=ago(10)))[0] == Drop("the piece is over")


def test_a_shed_that_was_given_back_is_repeated_safely() -> None:
    """No. 36: what the panel holds of it is not known, so it is restored first (C7)."""
    assert decided(holding=a_holding(), panel=FOLLOWING, gave_back=True) == [
        Mark(HoldingState.SUSPECT, "gave it back"),
        Queue(RESTORE, "repeat safely", event_id="evt-1"),
    ]
    assert decided(holding=a_holding(), panel=FOLLOWING, gave_back=True, want=None) == [
        Queue(RESTORE, "not wanted any more", event_id="evt-1")
    ]
