"""The form of commands that the panel programs share; a dialect may write another (rules C1 to C5, C9 to C11).

Flat members serve the current program, ``data`` the older one. ``shed_kw`` never stands inside ``data``: there the
older program would take it for a power to reach instead of a reduction (rule C3).
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import msgspec
from msgspec import Struct, field

from openadr_profiles.panel.errors import UnsendableCommand
from openadr_profiles.panel.identity import MAX_CORRELATION_ID, check_panel_id, wire_event_id

MAX_DURATION_S = 10 * 366 * 86_400
_WATT = Decimal("0.001")


class _ShedData(Struct, frozen=True, kw_only=True):
    event_id: str
    event_id_camel: str = field(name="eventId")
    requested_reduction_kw: float = field(name="requestedReductionKw")
    start_ts: int
    duration_s: int
    duration_s_camel: int = field(name="durationS")
    end_ts: int


class _ShedMessage(Struct, frozen=True, kw_only=True):
    op: str
    correlation_id: str = field(name="correlationId")
    ven_id: str = field(name="venId")
    event_id: str
    shed_kw: float
    duration_sec: int
    data: _ShedData
    ts: int


class _RestoreData(Struct, frozen=True, kw_only=True):
    event_id: str
    event_id_camel: str = field(name="eventId")


class _RestoreMessage(Struct, frozen=True, kw_only=True):
    op: str
    correlation_id: str = field(name="correlationId")
    ven_id: str = field(name="venId")
    event_id: str
    data: _RestoreData
    ts: int


class _PingMessage(Struct, frozen=True, kw_only=True):
    op: str
    correlation_id: str = field(name="correlationId")
    ven_id: str = field(name="venId")
    ts: int


def rounded_kw(amount_kw: float | Decimal) -> Decimal:
    """Return an amount as it can be sent: finite, rounded to 1 W, more than 0 (rule C2); raises UnsendableCommand."""
    if not math.isfinite(amount_kw):
        raise UnsendableCommand(f"an amount of {amount_kw} kW cannot be sent; a panel would shed everything it has")
    rounded = Decimal(str(amount_kw)).quantize(_WATT, rounding=ROUND_HALF_UP)
    if rounded <= 0:
        raise UnsendableCommand(f"an amount of {amount_kw} kW cannot be sent; 0 or less means 'absent' to a panel")
    return rounded


def shed_message(
    *,
    op: str,
    ven_id: str,
    correlation_id: str,
    event_id: str,
    amount_kw: float | Decimal,
    now: datetime,
    until: datetime,
) -> bytes:
    """Return the bytes of a shed command sent at ``now`` that ends at ``until``; ``op`` is the dialect's word for it.

    The length is what remains, in whole seconds, so that a late command cannot overrun (rules C2, C4). Raises
    UnsendableCommand if less than a second remains or the amount cannot be sent, UnsafePanelId for the id.
    """
    duration_s = math.floor((until - now).total_seconds())
    if duration_s < 1:
        raise UnsendableCommand(f"nothing remains of the window that ends at {until.isoformat()}")
    if duration_s > MAX_DURATION_S:
        raise UnsendableCommand(f"{duration_s} s is too long for a panel; at most {MAX_DURATION_S} s are sent at once")
    kw = float(rounded_kw(amount_kw))
    start_ts = math.floor(now.timestamp())
    wire_id = wire_event_id(event_id)
    return msgspec.json.encode(
        _ShedMessage(
            op=op,
            correlation_id=_checked(correlation_id),
            ven_id=check_panel_id(ven_id),
            event_id=wire_id,
            shed_kw=kw,
            duration_sec=duration_s,
            data=_ShedData(
                event_id=wire_id,
                event_id_camel=wire_id,
                requested_reduction_kw=kw,
                start_ts=start_ts,
                duration_s=duration_s,
                duration_s_camel=duration_s,
                end_ts=start_ts + duration_s,
            ),
            ts=start_ts,
        )
    )


def restore_message(*, ven_id: str, correlation_id: str, event_id: str, now: datetime) -> bytes:
    """Return the bytes of a restore command, for programs that can restore (rule C9)."""
    wire_id = wire_event_id(event_id)
    return msgspec.json.encode(
        _RestoreMessage(
            op="restore",
            correlation_id=_checked(correlation_id),
            ven_id=check_panel_id(ven_id),
            event_id=wire_id,
            data=_RestoreData(event_id=wire_id, event_id_camel=wire_id),
            ts=math.floor(now.timestamp()),
        )
    )


def ping_message(*, ven_id: str, correlation_id: str, now: datetime) -> bytes:
    """Return the bytes of a ping; its answer also tells which program a panel runs (rule C9)."""
    return msgspec.json.encode(
        _PingMessage(
            op="ping",
            correlation_id=_checked(correlation_id),
            ven_id=check_panel_id(ven_id),
            ts=math.floor(now.timestamp()),
        )
    )


def _checked(correlation_id: str) -> str:
    if not 1 <= len(correlation_id) <= MAX_CORRELATION_ID:
        raise UnsendableCommand(f"a correlation id has 1 to {MAX_CORRELATION_ID} characters, not {len(correlation_id)}")
    return correlation_id
