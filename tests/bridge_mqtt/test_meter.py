"""The virtual meter: energy adds up whatever is asked of it and whenever it is read, and gaps are not counted."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.metering.meter import MARK, MINUTE, PANEL, QUARTER, MeterReading, PanelMeter, interpolated, used
from bridge_mqtt.metering.panel_clock import PanelClock
from openadr_profiles.panel import Telemetry, read_telemetry

HOLD_S = 90.0
BEGIN_S = 1_795_454_000.0  # not a whole minute

steps = st.lists(
    st.tuples(st.integers(1, 400), st.integers(-20_000, 20_000)),
    min_size=2,
    max_size=40,
)
"""Seconds to the next sample, and W of this one."""


def samples_of(found: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Moments in seconds and kW."""
    at_s, samples = BEGIN_S, []
    for step_s, watts in found:
        samples.append((at_s, watts / 1000))
        at_s += step_s
    return samples


def energy_kwh(samples: list[tuple[float, float]], start_s: float, end_s: float) -> tuple[float, float]:
    """Energy and covered seconds between two moments, added up sample by sample."""
    kwh = covered_s = 0.0
    ends = [at_s for at_s, _ in samples[1:]] + [samples[-1][0]]
    for (at_s, kw), next_s in zip(samples, ends, strict=True):
        length_s = min(next_s, at_s + HOLD_S, end_s) - max(at_s, start_s)
        if length_s > 0:
            kwh += kw * length_s / 3600
            covered_s += length_s
    return kwh, covered_s


@given(steps, st.lists(st.integers(0, 4_000), min_size=2, max_size=6))
def test_a_window_costs_two_readings_and_is_what_its_samples_add_up_to(
    found: list[tuple[int, int]], after_s: list[int]
) -> None:
    """B1: readings that were asked for are exact, whatever came between them."""
    samples = samples_of(found)
    moments_s = sorted(BEGIN_S + each for each in after_s if BEGIN_S + each <= samples[-1][0])
    meter = PanelMeter(hold_s=HOLD_S)
    meter.want(moments_s)
    marks = {
        reading.at_s: reading
        for at_s, kw in samples
        for kind, reading in meter.take(at_s, {PANEL: kw, "heater1": kw / 2})
        if kind == MARK
    }
    assert set(marks) == {moment_s for moment_s in moments_s if moment_s > BEGIN_S}
    for start, end in combinations(marks.values(), 2):
        kwh, covered_s = energy_kwh(samples, start.at_s, end.at_s)
        of_panel, of_circuit = used(start, end, PANEL), used(start, end, "heater1")
        if covered_s <= 0:
            assert of_panel is None
            continue
        assert of_panel is not None
        assert of_circuit is not None
        assert (of_panel.kwh, of_panel.covered_s) == pytest.approx((kwh, covered_s), abs=1e-6)
        assert of_circuit.kwh == pytest.approx(kwh / 2, abs=1e-6)


@given(steps)
def test_minutes_add_up_to_quarters_and_to_the_whole(found: list[tuple[int, int]]) -> None:
    """Down-sampling loses nothing: a reading of a quarter is that of its minute, and peaks are the highest in it."""
    samples = samples_of(found)
    meter = PanelMeter(hold_s=HOLD_S)
    kept = [each for at_s, kw in samples for each in meter.take(at_s, {PANEL: kw})]
    minutes = {reading.at_s: reading for kind, reading in kept if kind == MINUTE}
    quarters = {reading.at_s: reading for kind, reading in kept if kind == QUARTER}
    for at_s, reading in quarters.items():
        assert at_s % QUARTER == 0
        assert reading.counts[PANEL].kwh == minutes[at_s].counts[PANEL].kwh
    whole = meter.reading(samples[-1][0])
    assert whole is not None
    kwh, covered_s = energy_kwh(samples, BEGIN_S, samples[-1][0])
    assert whole.counts[PANEL].kwh == pytest.approx(kwh, abs=1e-6)
    assert whole.counts[PANEL].covered_s == pytest.approx(covered_s, abs=1e-6)
    assert whole.samples == len(samples)


@given(steps, st.integers(0, 39))
def test_a_meter_that_is_resumed_goes_on_as_if_nothing_had_happened(found: list[tuple[int, int]], cut: int) -> None:
    """What an earlier process has counted, and the power that holds, is in its last reading."""
    samples = samples_of(found)
    whole = PanelMeter(hold_s=HOLD_S)
    for at_s, kw in samples:
        whole.take(at_s, {PANEL: kw})
    first = PanelMeter(hold_s=HOLD_S)
    for at_s, kw in samples[: cut + 1]:
        first.take(at_s, {PANEL: kw})
    shown = first.reading(first.at_s or 0)
    assert shown is not None
    second = PanelMeter(hold_s=HOLD_S)
    second.resume(shown)
    for at_s, kw in samples[cut + 1 :]:
        second.take(at_s, {PANEL: kw})
    ends_s = samples[-1][0] + 10
    assert second.reading(ends_s) == whole.reading(ends_s)


def test_a_sample_that_is_older_than_the_last_is_not_counted() -> None:
    """Redelivered messages come in any order."""
    meter = PanelMeter(hold_s=HOLD_S)
    meter.take(BEGIN_S, {PANEL: 2})
    meter.take(BEGIN_S + 10, {PANEL: 4})
    before = meter.reading(BEGIN_S + 10)
    assert meter.take(BEGIN_S + 5, {PANEL: 100}) == []
    assert meter.reading(BEGIN_S + 10) == before


def test_a_circuit_that_is_silent_is_not_counted_while_the_panel_goes_on() -> None:
    """Each channel has its own covered time."""
    meter = PanelMeter(hold_s=HOLD_S)
    meter.take(BEGIN_S, {PANEL: 3, "ev1": 1})
    meter.take(BEGIN_S + 36, {PANEL: 3})
    meter.take(BEGIN_S + 72, {PANEL: 3, "ev1": 1})
    start, end = MeterReading(BEGIN_S, {}), meter.reading(BEGIN_S + 72)
    panel, circuit = used(start, end, PANEL), used(start, end, "ev1")
    assert panel is not None
    assert circuit is not None
    assert (panel.kwh, panel.covered_s) == pytest.approx((0.06, 72))
    assert (circuit.kwh, circuit.covered_s, circuit.mean_kw) == pytest.approx((0.01, 36, 1))


def test_a_reading_that_nobody_asked_for_is_worked_out_and_says_so() -> None:
    """Between two minutes the power counts as constant; a moment before the first sample has counted nothing."""
    meter = PanelMeter(hold_s=HOLD_S)
    begin_s = BEGIN_S - BEGIN_S % 60
    stored = {}
    for step in range(61):
        for kind, reading in meter.take(begin_s + 5 * step, {PANEL: 6}):
            stored[kind, reading.at_s] = reading
    shown = meter.reading(begin_s + 130)
    assert shown is not None
    assert shown.estimated
    assert shown.counts[PANEL].kwh == pytest.approx(6 * 130 / 3600)
    exact = meter.reading(begin_s + 120)
    assert exact is not None
    assert not exact.estimated
    assert exact == stored[MINUTE, begin_s + 120], "what is kept in memory is what is stored"
    assert meter.reading(begin_s - 1_000) == MeterReading(begin_s - 1_000, {})

    silent = PanelMeter(hold_s=HOLD_S)
    for step in range(61):
        silent.take(begin_s + 5 * step, {})
    assert silent.reading(begin_s + 120) == MeterReading(begin_s + 120, {}, 24)
    assert silent.reading(begin_s + 130) == MeterReading(begin_s + 130, {}, 26, estimated=True)


def test_a_channel_that_appears_later_has_counted_nothing_before() -> None:
    """Between a reading without it and one with it."""
    before = MeterReading(0.0, {})
    after = interpolated(before, a_minute_of(2.0), 30.0)
    assert after.counts[PANEL].kwh == pytest.approx(2 * 30 / 3600)


def a_minute_of(kw: float) -> MeterReading:
    """A reading after a minute of constant power."""
    meter = PanelMeter(hold_s=HOLD_S)
    meter.take(0.0, {PANEL: kw})
    reading = meter.reading(60.0)
    assert reading is not None
    return reading


def a_sample(panel_s: float, received_s: float, number: int | None = None) -> Telemetry:
    """A message of a panel whose clock is on its own."""
    received = datetime.fromtimestamp(received_s, UTC)
    counted = b"" if number is None else b',"message_num":%d' % number
    payload = b'{"venId":"panel-1","usedPowerKw":1,"timestamp":%d%b}' % (panel_s, counted)
    sample = read_telemetry("volttron/metering", payload, received)
    assert isinstance(sample, Telemetry)
    return sample


@pytest.mark.parametrize("wrong_s", [0, -7_200, 40_000])
def test_messages_that_lay_at_the_broker_count_when_they_were_measured(wrong_s: int) -> None:
    """R19: ten minutes without a database, then all at once; the panel's clock may be wrong by hours."""
    clock = PanelClock()
    for step in range(60):
        assert clock.measured_at_s(a_sample(BEGIN_S + 5 * step + wrong_s, BEGIN_S + 5 * step)) == BEGIN_S + 5 * step
    back_s = BEGIN_S + 900
    for step in range(60, 180):
        at_s = clock.measured_at_s(a_sample(BEGIN_S + 5 * step + wrong_s, back_s))
        assert at_s == pytest.approx(min(BEGIN_S + 5 * step, back_s), abs=1)


def test_a_clock_that_is_set_back_is_believed_at_once() -> None:
    """The next sample counts when it is received."""
    clock = PanelClock()
    clock.measured_at_s(a_sample(BEGIN_S, BEGIN_S))
    assert clock.measured_at_s(a_sample(BEGIN_S - 3_600, BEGIN_S + 5)) == BEGIN_S + 5
    later = BEGIN_S + timedelta(hours=2).total_seconds()
    assert clock.measured_at_s(a_sample(later, later)) == later


@pytest.mark.parametrize("numbered", [False, True])
def test_messages_that_lay_at_the_broker_and_are_taken_twice_count_when_they_were_measured(*, numbered: bool) -> None:
    """R19: a commit fails, or the broker delivers once more; a sample that comes again sets no clock back."""
    clock = PanelClock()
    for step in range(60):
        clock.measured_at_s(a_sample(BEGIN_S + 5 * step, BEGIN_S + 5 * step, step if numbered else None))
    held_up = [(BEGIN_S + 5 * step, step if numbered else None) for step in range(60, 180)]
    back_s = BEGIN_S + 1_200
    for _ in range(2):
        for panel_s, number in held_up:
            assert clock.measured_at_s(a_sample(panel_s, back_s, number)) == pytest.approx(panel_s, abs=1)
    assert clock.measured_at_s(a_sample(back_s, back_s, 180 if numbered else None)) == back_s


def test_a_clock_that_is_set_back_a_little_is_believed_if_the_panel_counts_its_messages() -> None:
    """Ten minutes back: a message that came late has a number that was there already."""
    clock = PanelClock()
    for step in range(1, 60):
        set_back_s = 600 if step > 30 else 0
        received_s = BEGIN_S + 5 * step
        assert clock.measured_at_s(a_sample(received_s - set_back_s, received_s, step)) == received_s
