"""Project an event of OpenADR 3 to 2.0b: section by section what a VEN of 2.0b is told of it, and what is lost.

Pure rules. Everything that depends on the receiver (targets, status by the clock) is in ``receiver`` and ``clock``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from openadr_profiles.v20b.projection.grid import Placed, contiguous, whole_second
from openadr_profiles.v20b.projection.losses import Loss, LossKind, NoForm, NoFormKind
from openadr_profiles.v20b.projection.policy import Policy20b, policy_of
from openadr_profiles.v20b.projection.projection import Projection, SignalPart
from openadr_profiles.v20b.projection.signals import (
    FORMS,
    LEVEL,
    SIMPLE,
    TEST_EVENT,
    Descriptor,
    SignalForm,
    expected_of,
    form_of,
    is_percent,
    is_precise,
    number,
    units_for,
)
from openadr_profiles.v20b.projection.simple import simple_levels
from openadr_profiles.v20b.projection.targets import is_told
from openadr_profiles.v31 import Duration, Event, EventPayloadType, Program, ValuesMap
from openadr_profiles.v31.descriptors import EVENT_PAYLOAD_DESCRIPTOR
from openadr_profiles.v31.timeline import Timeline, Window

MOST_INTERVALS: Final = 3000
"""Intervals that all signals of an event may have together."""
_LONGEST_TEXT: Final = 1000
_LEAST_IMPORTANT: Final = 2**31 - 1
_NOT_TOLD: Final = frozenset({TEST_EVENT, "PLANNED_PERIOD"})


def project(event: Event, program: Program, *, now: datetime, anchor: datetime, base_url: str) -> Projection | NoForm:
    """Return the event as 2.0b tells it, or why it has no form there (4.1, 4.2).

    ``anchor`` is what a start "now" means: the moment at which it was first asked for, and it never moves. ``now`` is
    used only for events that repeat, of which the next time is told. ``base_url`` names programs without a market
    context of their own.
    """
    policy, losses = policy_of(program)
    timeline = Timeline.of(event, anchor=anchor)
    if timeline.cancelled:
        return NoForm(NoFormKind.CANCELLED, "it was called off")
    if not any(interval.payloads for interval in event.intervals or ()):
        return NoForm(NoFormKind.NOTHING_ASKED, "it asks for nothing")
    draft = _Draft(policy, list(losses), _descriptors(event, program))
    windows, rolls_at = draft.windows(timeline, now)
    if windows is None:
        return NoForm(NoFormKind.TOO_LONG, f"it has more than {MOST_INTERVALS} intervals", tuple(draft.losses))
    draft.note_times(event, timeline)
    signals = draft.signals(windows)
    if isinstance(signals, NoForm):
        return NoForm(signals.kind, signals.reason, tuple(draft.losses))
    parts, start, end = signals
    draft.note_rest(event)
    own = policy.market_context or f"{base_url}/programs/{program.id}"
    return Projection(
        market_context=own,
        priority=draft.priority(event),
        test_event=policy.test_event or draft.is_test,
        comment=draft.comment(event),
        start=start,
        duration_s=0 if end is None else int((end - start).total_seconds()),
        start_after_s=draft.start_after_s(event, timeline),
        notification_s=policy.notification_s,
        ramp_up_s=policy.ramp_up_s,
        recovery_s=policy.recovery_s,
        response_required=policy.response_required,
        signals=parts,
        targets=event.targets or (),
        losses=tuple(dict.fromkeys(draft.losses)),
        rolls_at=rolls_at,
    )


def _descriptors(event: Event, program: Program) -> dict[str, Descriptor]:
    """Return the descriptor of each payload type: the event's, else the program's."""
    found: dict[str, Descriptor] = {}
    for descriptor in program.payload_descriptors or ():
        if descriptor.object_type == EVENT_PAYLOAD_DESCRIPTOR:
            found.setdefault(descriptor.payload_type, descriptor)
    return found | {descriptor.payload_type: descriptor for descriptor in event.payload_descriptors or ()}


@dataclass
class _Signal:
    """A signal while its values are collected."""

    form: SignalForm
    placed: list[Placed] = field(default_factory=list)


@dataclass
class _Draft:
    """A projection while it is made."""

    policy: Policy20b
    losses: list[Loss]
    descriptors: dict[str, Descriptor]
    is_test: bool = False
    texts: list[str] = field(default_factory=list)

    def lose(self, kind: LossKind, detail: str) -> None:
        self.losses.append(Loss(kind, detail))

    def windows(self, timeline: Timeline, now: datetime) -> tuple[list[Window] | None, datetime | None]:
        """Return the windows to tell of, and when more of them have to be told; None if there are too many."""
        if timeline.cycle is None:
            found = list(islice(timeline.windows(), MOST_INTERVALS + 1))
            return (None if len(found) > MOST_INTERVALS else found), None
        if timeline.end is not None:
            found = list(islice(timeline.windows(), MOST_INTERVALS + 1))
            if len(found) <= MOST_INTERVALS:
                return found, None
        if timeline.count > MOST_INTERVALS // 2:
            return None, None
        most = MOST_INTERVALS // timeline.count
        horizon = timedelta(seconds=self.policy.horizon_s)
        ahead = min(most - 1, -(-horizon // timeline.cycle))
        step = max(1, min(ahead // 2, most - ahead))
        present = max(0, (now - timeline.start) // timeline.cycle)
        first = present - present % step
        self.lose(LossKind.HORIZON, f"repetitions are told {ahead * timeline.cycle} ahead")
        try:
            since = timeline.start + first * timeline.cycle
            until = since + (step + ahead) * timeline.cycle
        except OverflowError:  # the calendar ends before
            return list(islice(timeline.windows(now), most * timeline.count)), None
        windows = [each for each in timeline.windows(since, until) if each.start >= since]
        rolls_at = since + step * timeline.cycle
        return windows, None if timeline.end is not None and until >= timeline.end else rolls_at

    def signals(self, windows: Sequence[Window]) -> tuple[tuple[SignalPart, ...], datetime, datetime | None] | NoForm:
        """Return the signals with start and end of the active period."""
        signals = self._collected(windows)
        if isinstance(signals, NoForm):
            return signals
        placed = [each for signal in signals.values() for each in signal.placed]
        if not placed:
            return NoForm(NoFormKind.NOTHING_LEFT, "none of its payloads can be told in 2.0b")
        start = min(each.start for each in placed)
        ends = [each.end for each in placed]
        end = None if None in ends else max(each for each in ends if each is not None)
        parts = self._parts(signals, start, end)
        return parts if isinstance(parts, NoForm) else (parts, start, end)

    def _collected(self, windows: Iterable[Window]) -> dict[str, _Signal] | NoForm:
        """Return the values by payload type, in the order in which the types first appear."""
        signals: dict[str, _Signal] = {}
        left_out: set[str] = set()
        for window in windows:
            for payload in window.payloads:
                if payload.type in _NOT_TOLD:
                    self.is_test |= payload.type == TEST_EVENT and payload.values[:1] in {(True,), ("true",)}
                    continue
                if payload.type.startswith("ALERT_"):
                    self._alert(payload, window, signals, left_out)
                    continue
                signal = signals.get(payload.type)
                if signal is None:
                    if payload.type in left_out:
                        continue
                    form = form_of(payload.type, self.descriptors.get(payload.type), self.policy)
                    if form is None:
                        left_out.add(payload.type)
                        self.lose(LossKind.TYPE_OMITTED, f"{payload.type} has no signal in 2.0b")
                        continue
                    signal = signals[payload.type] = _Signal(form)
            refused = self._place(window, signals, left_out)
            if refused is not None:
                return refused
        for type_ in left_out:
            signals.pop(type_, None)
        return {type_: signal for type_, signal in signals.items() if signal.placed}

    def _place(self, window: Window, signals: dict[str, _Signal], left_out: set[str]) -> NoForm | None:
        for held in window.held():
            signal = signals.get(held.payload_type)
            if signal is None or held.payload_type in left_out or held.payload_type.startswith("ALERT_"):
                continue
            if held.unplaced:
                self.lose(LossKind.OPEN_VALUES, f"{held.payload_type} has several values and no end; the first holds")
            if not held.values:
                continue
            percent = is_percent(signal.form, self.descriptors.get(held.payload_type))
            value = number(held.values[0], self.policy, percent=percent) if len(held.values) == 1 else None
            if value is None:
                left_out.add(held.payload_type)
                self.lose(LossKind.NOT_A_NUMBER, f"{held.payload_type} is not a number; left out")
                continue
            expected = expected_of(signal.form, value, percent=percent)
            if expected is not None:
                if signal.form.name == SIMPLE:
                    return NoForm(NoFormKind.LEVEL, f"SIMPLE is {value:g}; expected {expected}")
                left_out.add(held.payload_type)
                self.lose(LossKind.OUT_OF_RANGE, f"{held.payload_type} is {value:g}; expected {expected}; left out")
                continue
            if not is_precise(value):
                self.lose(LossKind.PRECISION, f"{held.payload_type} {value!r} has more digits than 2.0b keeps")
            self._add(signal, held.start, held.end, value)
        return None

    def _add(self, signal: _Signal, start: datetime, end: datetime | None, value: float) -> None:
        begins, ends = whole_second(start), None if end is None else whole_second(end)
        if begins != start or ends != end:
            self.lose(LossKind.WHOLE_SECONDS, "times were cut to whole seconds")
        if begins != ends:
            signal.placed.append(Placed(begins, ends, value))

    def _alert(self, payload: ValuesMap, window: Window, signals: dict[str, _Signal], left_out: set[str]) -> None:
        """Send an alert as a level of SIMPLE with its text as comment, if the program says which."""
        if self.policy.alert_level is None:
            if payload.type not in left_out:
                left_out.add(payload.type)
                self.lose(LossKind.TYPE_OMITTED, f"{payload.type} has no signal in 2.0b, and no OADR20B_ALERT_LEVEL")
            return
        text = ": ".join((payload.type, *(str(value) for value in payload.values if isinstance(value, str))))
        if text not in self.texts:
            self.texts.append(text)
            self.lose(LossKind.TYPE_OMITTED, f"{payload.type} is told as a level of SIMPLE and a comment")
        level = signals.setdefault(_ALERT, _Signal(FORMS[EventPayloadType.SIMPLE]))
        if not level.placed or level.placed[-1].start != whole_second(
            window.start
        ):  # of two alerts at once one is told
            self._add(level, window.start, window.end, float(self.policy.alert_level))

    def _parts(
        self, signals: dict[str, _Signal], start: datetime, end: datetime | None
    ) -> tuple[SignalPart, ...] | NoForm:
        if EventPayloadType.SIMPLE in signals:
            signals.pop(_ALERT, None)
        parts: list[SignalPart] = []
        for type_, signal in signals.items():
            units = units_for(type_, signal.form, self.descriptors.get(type_), self.policy)
            if units.lost is not None:
                self.losses.append(units.lost)
            if not units.sends:
                continue
            is_simple = signal.form.name == SIMPLE
            ordered = sorted(signal.placed, key=lambda each: each.start)
            grid = contiguous(ordered, start, end, gaps=self.policy.gaps, rest=0.0 if is_simple else None)
            if isinstance(grid, NoForm):
                return NoForm(grid.kind, f"{type_}: {grid.reason}")
            if grid.filled:
                with_ = "0" if is_simple or self.policy.gaps == "zero" else "the value before it"
                self.lose(LossKind.GAP_FILLED, f"{type_}: {grid.filled} times without a value were filled with {with_}")
            parts.append(
                SignalPart(
                    signal_id=SIMPLE if is_simple else type_,
                    name=signal.form.name,
                    type=signal.form.type,
                    item_base=units.base,
                    durations_s=grid.durations_s,
                    values=grid.values,
                )
            )
        if not parts:
            return NoForm(NoFormKind.NOTHING_LEFT, "none of its payloads can be told in 2.0b")
        if sum(len(part.values) for part in parts) > MOST_INTERVALS:
            return NoForm(NoFormKind.TOO_LONG, f"its signals have more than {MOST_INTERVALS} intervals")
        if self.policy.simple != "off" and all(part.name != SIMPLE for part in parts):
            parts.append(self._simple(parts, {type_: signal.form for type_, signal in signals.items()}))
        return tuple(parts)

    def _simple(self, parts: list[SignalPart], forms: dict[str, SignalForm]) -> SignalPart:
        """Return the SIMPLE signal beside others: as long as the event, with level 1 while less load is asked for.

        It asks for nothing while the others ask for more or for nothing (B-EVT-032). The program may say one level.
        """
        if self.policy.simple is not None:
            level = float(self.policy.simple)
            intervals = [(sum(parts[0].durations_s), level)]
        else:
            intervals = simple_levels([(part, forms[part.signal_id].reduces) for part in parts])
        is_open = parts[0].durations_s[-1] == 0
        durations_s = [length_s for length_s, _ in intervals]
        if is_open:
            durations_s[-1] = 0
        levels = ", ".join(f"{level:g}" for level in dict.fromkeys(level for _, level in intervals))
        self.lose(LossKind.SIMPLE_ADDED, f"a SIMPLE signal of level {levels} stands beside the others")
        return SignalPart(
            signal_id=SIMPLE,
            name=SIMPLE,
            type=LEVEL,
            durations_s=tuple(durations_s),
            values=tuple(level for _, level in intervals),
        )

    def note_times(self, event: Event, timeline: Timeline) -> None:
        """Note what is lost of how the event says its times."""
        periods = [event.interval_period, *(interval.interval_period for interval in event.intervals or ())]
        lengths = [event.duration, *(period.duration for period in periods if period)]
        if any(length is not None and length.months and not length.forever for length in lengths):
            self.lose(LossKind.CALENDAR, "months and years are told as days")
        first = periods[1] if len(periods) > 1 and periods[1] and periods[1].start else periods[0]
        if first is None or first.start is None or first.start.is_now:
            self.lose(LossKind.NOW_FROZEN, f"it begins at once, which is told as {timeline.start}")

    def start_after_s(self, event: Event, timeline: Timeline) -> int:
        """Return the tolerance of the start in seconds (B-EVT-024), and note what is lost of it."""
        own = [interval.interval_period for interval in event.intervals or ()]
        shift: Duration | None = None
        if own and own[0] is not None and own[0].randomize_start is not None:
            shift = own[0].randomize_start
        elif event.interval_period is not None:
            shift = event.interval_period.randomize_start
        if any(period is not None and period.randomize_start for period in own[1:]):
            self.lose(LossKind.RANDOMIZATION, "later intervals are not shifted by chance")
        if shift is None or shift.is_zero:
            return 0
        latest = shift.magnitude().after(timeline.start)
        if latest is None:
            self.lose(LossKind.RANDOMIZATION, "a start at any time ever is not told")
            return 0
        self.lose(LossKind.RANDOMIZATION, f"the start is shifted later only, by {shift.magnitude()} at most")
        return int((latest - timeline.start).total_seconds())

    def priority(self, event: Event) -> int:
        """Return the priority in the scale of 2.0b: 1 is the most important, 0 is none (B-EVT-022)."""
        if event.priority is None:
            return 0
        if event.priority >= _LEAST_IMPORTANT:
            self.lose(LossKind.OUT_OF_RANGE, f"the priority {event.priority} is told as {_LEAST_IMPORTANT}")
        return min(event.priority + 1, _LEAST_IMPORTANT)

    def note_rest(self, event: Event) -> None:
        """Note which other members a VEN is not told."""
        ids = [interval.id for interval in event.intervals or ()]
        if ids != list(range(len(ids))):
            self.lose(LossKind.INTERVAL_IDS, "intervals are numbered from 0")
        if event.event_name and not self.policy.event_name:
            self.lose(LossKind.EVENT_NAME, "the name is not told (OADR20B_EVENT_NAME)")
        for target in event.targets or ():
            if not is_told(target):
                self.lose(LossKind.TARGET_OMITTED, f"the target {target} has no element in 2.0b")

    def comment(self, event: Event) -> str | None:
        """Return the text for people (vtnComment)."""
        name = [event.event_name] if event.event_name and self.policy.event_name else []
        return "; ".join([*name, *self.texts])[:_LONGEST_TEXT] or None


_ALERT: Final = "ALERT"
