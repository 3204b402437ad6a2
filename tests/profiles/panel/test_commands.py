"""What the bridge says to panels: rules C1 to C5 and C9 to C11."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.panel import (
    ENVELOPE,
    FLAT,
    Dialect,
    UnsafePanelId,
    UnsendableCommand,
    check_panel_id,
    command_topic,
    correlation_id,
    ping_message,
    wire_event_id,
)

NOW = datetime(2026, 11, 23, 17, 23, 56, 700_000, tzinfo=UTC)
ENTROPY = bytes(range(10))


def shed(
    dialect: Dialect = FLAT,
    amount_kw: float | Decimal = 5.0,
    until: datetime = NOW + timedelta(seconds=3542.9),
    event_id: str = "evt-a1b2c3d4",
) -> dict[str, object]:
    """A shed command as a panel reads it."""
    message: dict[str, object] = json.loads(
        dialect.shed_message(
            ven_id="panel-17",
            correlation_id="evt-a1b2c3d4-7f3k9q2m5x1c",
            event_id=event_id,
            amount_kw=amount_kw,
            now=NOW,
            until=until,
        )
    )
    return message


def test_one_shed_message_serves_both_programs() -> None:
    """12.1: flat members for the current program, ``data`` for the older one, the remaining whole seconds."""
    start = int(NOW.timestamp())
    assert shed() == {
        "op": "event",
        "correlationId": "evt-a1b2c3d4-7f3k9q2m5x1c",
        "venId": "panel-17",
        "event_id": "evt-a1b2c3d4",
        "shed_kw": 5.0,
        "duration_sec": 3542,
        "data": {
            "event_id": "evt-a1b2c3d4",
            "eventId": "evt-a1b2c3d4",
            "requestedReductionKw": 5.0,
            "start_ts": start,
            "duration_s": 3542,
            "durationS": 3542,
            "end_ts": start + 3542,
        },
        "ts": start,
    }
    assert shed(ENVELOPE)["op"] == "shedPanel"


def test_the_older_program_never_reads_a_target_power() -> None:
    """C3."""
    data = shed()["data"]

    assert isinstance(data, dict)
    assert "shed_kw" not in data


def test_a_restore_names_the_event() -> None:
    """12.1."""
    message = FLAT.restore_message(ven_id="panel-17", correlation_id="restore-a1", event_id="evt-a1", now=NOW)

    assert json.loads(message) == {
        "op": "restore",
        "correlationId": "restore-a1",
        "venId": "panel-17",
        "event_id": "evt-a1",
        "data": {"event_id": "evt-a1", "eventId": "evt-a1"},
        "ts": int(NOW.timestamp()),
    }


def test_a_ping_asks_nothing_else() -> None:
    """C9."""
    assert json.loads(ping_message(ven_id="p", correlation_id="ping-1", now=NOW)) == {
        "op": "ping",
        "correlationId": "ping-1",
        "venId": "p",
        "ts": int(NOW.timestamp()),
    }


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -float("inf"), 0, -3, 0.0004, Decimal("NaN")])
def test_an_amount_a_panel_would_misread_is_refused(amount: float | Decimal) -> None:
    """C2: NaN sheds everything, 0 counts as absent."""
    with pytest.raises(UnsendableCommand, match="cannot be sent"):
        shed(amount_kw=amount)


@pytest.mark.parametrize("remaining_s", [0.9, 0, -5])
def test_a_window_that_is_over_is_not_sent(remaining_s: float) -> None:
    """C2, C4."""
    with pytest.raises(UnsendableCommand, match="nothing remains"):
        shed(until=NOW + timedelta(seconds=remaining_s))


@given(
    amount=st.decimals("0.001", "100000", places=6, allow_nan=False),
    remaining=st.floats(1, 1_000_000),
)
def test_what_is_sent_is_finite_rounded_and_never_overruns(amount: Decimal, remaining: float) -> None:
    """C2, C4 for any amount and window."""
    until = NOW + timedelta(seconds=remaining)
    message = shed(amount_kw=amount, until=until)
    kw, duration_s = message["shed_kw"], message["duration_sec"]

    assert isinstance(kw, float)
    assert isinstance(duration_s, int)
    assert kw == round(kw, 3) > 0
    assert abs(Decimal(str(kw)) - amount) <= Decimal("0.0005")
    assert duration_s >= 1
    assert NOW + timedelta(seconds=duration_s) <= until


@pytest.mark.parametrize("text", ["", "a/b", "a+b", "#", "$SYS", "a\nb", "a\x00b", "x" * 256])
def test_ids_that_would_reach_another_topic_are_refused(text: str) -> None:
    """C11."""
    with pytest.raises(UnsafePanelId):
        check_panel_id(text)
    with pytest.raises(UnsafePanelId):
        command_topic(text)


def test_an_ordinary_id_is_a_topic_level() -> None:
    """C11."""
    assert command_topic("ven-legacy-1") == "ven/cmd/ven-legacy-1"


def test_a_correlation_id_says_what_it_is_for_and_is_unique_by_its_random_part() -> None:
    """C10: the leading ``evt-`` of the event id is not repeated; 16 base-32 characters."""
    assert correlation_id("evt", "evt-a1b2c3d4", ENTROPY) == "evt-a1b2c3d4-aaaqeayeaudaocaj"
    assert correlation_id("restore", "a1", ENTROPY) == "restore-a1-aaaqeayeaudaocaj"
    assert correlation_id("ping", None, ENTROPY) == "ping-aaaqeayeaudaocaj"


def test_a_correlation_id_without_enough_randomness_is_refused() -> None:
    """C10: twelve or more base-32 characters need ten bytes here."""
    with pytest.raises(UnsendableCommand):
        correlation_id("evt", "a", b"short")


@given(event_id=st.text("abcXYZ019_-", min_size=1, max_size=500))
def test_long_event_ids_get_a_short_stable_alias(event_id: str) -> None:
    """12.5: at most 200 characters go to a panel, different ids stay different; correlation ids fit their column."""
    alias = wire_event_id(event_id)

    assert len(alias) <= 200
    assert alias == wire_event_id(event_id)
    assert (alias == event_id) == (len(event_id) <= 200)
    assert wire_event_id(event_id + "x") != alias
    assert len(correlation_id("restore", event_id, ENTROPY)) <= 255
