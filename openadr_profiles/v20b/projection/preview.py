"""Say what VENs of 2.0b will be told of an event, before it is issued: for people, and in plain values for programs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from openadr_profiles.v20b.projection.losses import Loss, LossKind, NoForm
from openadr_profiles.v20b.projection.projecting import project
from openadr_profiles.v20b.projection.projection import Projection, SignalPart
from openadr_profiles.v31 import Event, EventRequest, Program, Ven
from openadr_profiles.ven_20b import CLIENT_PREFIX

_SHOWN: Final = 6
_HARMLESS: Final = frozenset({LossKind.EVENT_NAME, LossKind.INTERVAL_IDS, LossKind.SIMPLE_ADDED})
"""Losses that change nothing of what is asked for; they are told in a preview, and warned of nowhere."""


class SignalPreview(Struct, frozen=True, kw_only=True):
    """A signal as a VEN sees it. ``unit`` is empty if it has none; ``durations_s`` 0 is without an end."""

    name: str
    type: str
    unit: str
    durations_s: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def text(self) -> str:
        """Return the intervals in words, the first ones if there are many."""
        shown = [
            f"{value:g} for {timedelta(seconds=length_s)}" if length_s else f"{value:g} without end"
            for length_s, value in zip(self.durations_s[:_SHOWN], self.values[:_SHOWN], strict=True)
        ]
        more = len(self.values) - len(shown)
        return ", ".join(shown) + (f", and {more} more" if more else "")


class Preview20b(Struct, frozen=True, kw_only=True):
    """An event as VENs of 2.0b see it. ``refused`` is the reason why it is not sent to them; None: it is."""

    vens: int
    refused: str | None
    losses: tuple[str, ...]
    start: datetime | None = None
    duration_s: int | None = None
    priority: int | None = None
    response_required: str | None = None
    test_event: bool = False
    comment: str | None = None
    market_context: str | None = None
    signals: tuple[SignalPreview, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences for who issues the event: what changes for these VENs, and what is late."""


def of_20b(vens: Iterable[Ven]) -> list[Ven]:
    """Return the vens that are reached over 2.0b."""
    return [ven for ven in vens if ven.client_id.startswith(CLIENT_PREFIX)]


def preview_20b(request: EventRequest, program: Program | None, *, vens: int, now: datetime) -> Preview20b:
    """Return what so many VENs of 2.0b will be told of an event that is issued now, in a program or a new one."""
    event = Event(id="new", created_date_time=now, modification_date_time=now, **asdict(request))
    owner = program or Program(
        id="new", program_name="new", created_date_time=now, modification_date_time=now, attributes=()
    )
    found = project(event, owner, now=now, anchor=now, base_url="")
    if isinstance(found, NoForm):
        refused = f"{found.kind}: {found.reason}"
        warning = f"{_vens(vens)} of OpenADR 2.0b will not be told of it: {found.reason}"
        why = tuple(f"for OpenADR 2.0b {loss.detail}" for loss in found.losses if _matters(loss))
        return Preview20b(vens=vens, refused=refused, losses=tuple(map(str, found.losses)), warnings=(warning, *why))
    return _told(found, vens, now)


def _told(found: Projection, vens: int, now: datetime) -> Preview20b:
    warnings = [f"for {_vens(vens)} of OpenADR 2.0b: {loss.detail}" for loss in found.losses if _matters(loss)]
    if found.notification_s and found.start - timedelta(seconds=found.notification_s) < now:
        warnings.append(f"it is later than the notification time of {timedelta(seconds=found.notification_s)}")
    return Preview20b(
        vens=vens,
        refused=None,
        losses=tuple(map(str, found.losses)),
        start=found.start,
        duration_s=found.duration_s,
        priority=found.priority,
        response_required=found.response_required,
        test_event=found.test_event,
        comment=found.comment,
        market_context=found.market_context if ":" in found.market_context else None,
        signals=tuple(map(_signal, found.signals)),
        warnings=tuple(warnings),
    )


def _matters(loss: Loss) -> bool:
    return loss.kind not in _HARMLESS


def _signal(part: SignalPart) -> SignalPreview:
    base = part.item_base
    scale = "" if base is None or base.scale in {None, "none"} else str(base.scale)
    unit = "" if base is None else f"{base.name} {scale}{base.units}"
    return SignalPreview(name=part.name, type=part.type, unit=unit, durations_s=part.durations_s, values=part.values)


def _vens(count: int) -> str:
    return f"{count:,} VEN" + ("" if count == 1 else "s")
