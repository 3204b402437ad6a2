"""Watching panels that hold a shed: what they measure against what they answered (no. 36, B8)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.model import Holding, HoldingState, OnGiveback, PanelRecord
from bridge_mqtt.store import Store, acks, explanations
from bridge_mqtt.watch import Expected, GivenBack, Noticed, Watcher, given_back
from openadr_profiles.panel import ENVELOPE, FLAT, Ack, Dialect, KnownCommand, Load, Telemetry, read_ack, read_telemetry
from tests.support import panel_captures

NOW = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)
WINDOW = NOW - timedelta(minutes=10)
KW = st.floats(0, 20).map(lambda kw: round(kw, 2))
CIRCUITS = st.dictionaries(st.sampled_from(["ev1", "heater1", "dryer1", "range1"]), KW, min_size=1)


def a_panel(loads: dict[str, float], **members: Any) -> PanelRecord:
    """A panel with circuits of these kW, measured after its answer."""
    known: dict[str, Any] = {
        "ven_id": "panel-1",
        "dialect": FLAT,
        "sample_at": NOW,
        "answered_at": NOW - timedelta(seconds=5),
        "used_power_kw": sum(loads.values()),
        "loads": tuple(Load(id=name, current_power_kw=kw) for name, kw in loads.items()),
        "event_id": "evt-1",
        "tells_event": True,
    }
    return PanelRecord(**known | members)


def expected(shed_kw: float = 6.0, **circuits_kw: float) -> Expected:
    return Expected(correlation_id="c-1", shed_kw=shed_kw, circuits_kw=circuits_kw)


def a_holding(**members: Any) -> Holding:
    known: dict[str, Any] = {
        "ven_id": "panel-1",
        "event_id": "evt-1",
        "window_start": WINDOW,
        "window_end": NOW + timedelta(hours=1),
        "amount_kw": Decimal(6),
        "until": NOW + timedelta(hours=1),
        "correlation_id": "c-1",
        "state": HoldingState.HELD,
        "since": NOW - timedelta(seconds=5),
    }
    return Holding(**known | members)


def test_a_recorded_shadow_delta_undoes_the_shed() -> None:
    """CAP 09: one desired load, and all circuits are at full power again while the panel claims its 19.3 kW."""
    recorded = panel_captures.acks("09-shadow-delta")
    (answer,) = (message for message in recorded if b'"evt-ev"' in message.payload)
    command = KnownCommand(
        correlation_id="evt-evt-ev-c",
        ven_id="ven-legacy-1",
        op="shedPanel",
        event_id="evt-ev",
        requested_shed_kw=25.0,
        sent_at=answer.at,
        deadline_at=answer.at + timedelta(seconds=10),
    )
    ack = read_ack(answer.topic, answer.payload, answer.at, lambda _: command)
    assert isinstance(ack, Ack)
    samples = [
        sample
        for message in panel_captures.telemetry("09-shadow-delta")
        if isinstance(sample := read_telemetry(message.topic, message.payload, message.at), Telemetry)
        and sample.event_id == "evt-ev"
    ]
    assert samples, "the recording has a sample amid the event"
    told = Expected(
        correlation_id="c",
        shed_kw=ack.actual_shed_kw or 0,
        circuits_kw={each.id: each.final_kw for each in ack.circuits_curtailed or () if each.final_kw is not None},
    )
    undone = given_back(PanelRecord(ven_id="ven-legacy-1", loads=samples[0].loads), told, None)

    assert undone is not None
    assert undone.of_kw == 19.3
    assert undone.kw == pytest.approx(17, abs=1.5)
    assert "lights1" not in undone.where, "it was switched off, so it draws nothing"


@given(final=CIRCUITS, shed_kw=st.floats(0.5, 30), share=st.floats(0, 0.2))
def test_circuits_at_or_near_what_was_answered_are_no_giveback(
    final: dict[str, float], shed_kw: float, share: float
) -> None:
    """Below a quarter of the shed nothing is done."""
    measured = dict(final)
    measured[next(iter(measured))] += share * shed_kw

    assert given_back(a_panel(measured), expected(shed_kw, **final), 0.0) is None


@given(final=CIRCUITS, shed_kw=st.floats(0.5, 30), share=st.floats(0.3, 5))
def test_circuits_above_what_was_answered_are(final: dict[str, float], shed_kw: float, share: float) -> None:
    """Never more than the shed itself is given back."""
    name = next(iter(final))
    found = given_back(a_panel(final | {name: final[name] + share * shed_kw}), expected(shed_kw, **final), None)

    assert found is not None
    assert found.kw == pytest.approx(min(share, 1) * shed_kw)
    assert found.where == name


def test_other_circuits_may_draw_what_they_like() -> None:
    assert given_back(a_panel({"ev1": 0.0, "hvac1": 9.0}), expected(ev1=0.0), 3.0) is None


@pytest.mark.parametrize(("used_kw", "is_given_back"), [(12.1, True), (12.0, True), (11.9, False), (None, False)])
def test_a_panel_without_circuits_gives_back_what_brings_it_to_its_baseline(
    used_kw: float | None, is_given_back: bool
) -> None:
    panel = a_panel({}, used_power_kw=used_kw)

    assert (given_back(panel, expected(), 12.0) is not None) is is_given_back
    assert given_back(panel, expected(), None) is None
    assert given_back(panel, expected(2.3), 12.0) is None, "too small to be seen in the panel as a whole"


@pytest.mark.parametrize(
    ("panel", "holding"),
    [
        (a_panel({"ev1": 9.0}, sample_at=NOW - timedelta(seconds=5)), a_holding()),
        (a_panel({"ev1": 9.0}), None),
        (a_panel({"ev1": 9.0}), a_holding(state=HoldingState.RELEASING)),
        (a_panel({"ev1": 9.0}), a_holding(until=NOW + timedelta(seconds=4))),
    ],
    ids=["sample from before the answer", "holds nothing", "is being restored", "the last seconds"],
)
def test_what_proves_nothing_is_not_looked_at(panel: PanelRecord, holding: Holding | None) -> None:
    assert not a_watcher().matters(panel, holding, NOW)
    assert a_watcher().matters(a_panel({"ev1": 9.0}), a_holding(), NOW)


def a_watcher(then: OnGiveback = OnGiveback.AGAIN, baseline_kw: float | None = None) -> Watcher:
    return Watcher(then=then, least_remaining=timedelta(seconds=5), baseline_kw=lambda event_id, ven_id: baseline_kw)


async def answered(store: Store, *correlation_ids: str) -> None:
    """Store the answers of a panel that sheds 6 kW of its EV charger, to 1 kW."""
    circuit = {"id": "ev1", "original_kw": 7.0, "curtailed_kw": 6.0, "final_kw": 1.0}
    async with store.transaction() as connection:
        for correlation_id in correlation_ids:
            members = {"op": "event", "status": "accepted", "correlationId": correlation_id, "actual_shed_kw": 6.0}
            payload = msgspec.json.encode(members | {"circuits_curtailed": [circuit]})
            known = KnownCommand(
                correlation_id=correlation_id,
                ven_id="panel-1",
                op="shedPanel",
                event_id="evt-1",
                requested_shed_kw=6.0,
                sent_at=NOW,
                deadline_at=NOW,
            )
            ack = read_ack("ven/ack/panel-1", payload, NOW, lambda _, known=known: known)  # type: ignore[misc]
            assert isinstance(ack, Ack)
            await acks.add_all(connection, [ack])


async def look(store: Store, watcher: Watcher, panel: PanelRecord, holding: Holding) -> Noticed:
    async with store.transaction() as connection:
        noticed = await watcher.look(connection, [panel], {"panel-1": holding}, NOW)
    watcher.keep(noticed)
    return noticed


@pytest.mark.parametrize(
    ("then", "dialect", "again", "recoveries", "excluded"),
    [
        (OnGiveback.AGAIN, FLAT, {"panel-1"}, 0, None),
        (OnGiveback.AGAIN, ENVELOPE, set(), 1, None),
        (OnGiveback.SHARE_OUT, FLAT, set(), 0, "gave its shed back"),
        (OnGiveback.IGNORE, FLAT, set(), 0, None),
    ],
)
async def test_what_is_done_is_what_the_settings_say_and_once_for_each_shed(
    database_url: str, then: OnGiveback, dialect: Dialect, again: set[str], recoveries: int, excluded: str | None
) -> None:
    store = await Store.open(database_url)
    await answered(store, "c-1", "c-2")
    watcher, undone = a_watcher(then), a_panel({"ev1": 5.0}, dialect=dialect)

    fine = await look(store, watcher, a_panel({"ev1": 1.0}), a_holding())
    first = await look(store, watcher, undone, a_holding())
    second = await look(store, watcher, undone, a_holding())
    next_shed = await look(store, watcher, undone, a_holding(correlation_id="c-2"))

    async with store.reading() as connection:
        rows = await explanations.of_event(connection, "evt-1", 10)
    await store.close()
    key = ("evt-1", WINDOW, "panel-1")
    assert fine == second == Noticed()
    assert (first.again, first.parts, first.recoveries) == (next_shed.again, next_shed.parts, next_shed.recoveries)
    assert (first.again, first.recoveries[key]) == (again, recoveries)
    changed = {"given_back_kw": 4.0, "given_back_at": NOW}
    assert first.parts == {key: changed if excluded is None else changed | {"excluded": excluded}}
    assert watcher.seen == 2
    assert [row.reason.partition(":")[0] for row in rows] == ["gave 4 kW of 6 kW back (ev1)"] * 2


async def test_what_was_not_kept_is_found_again(sqlite_url: str) -> None:
    """The transaction that noticed it failed."""
    store = await Store.open(sqlite_url)
    await answered(store, "c-1")
    watcher, undone = a_watcher(), a_panel({"ev1": 5.0})
    async with store.transaction() as connection:
        lost = await watcher.look(connection, [undone], {"panel-1": a_holding()}, NOW)
    again = await look(store, watcher, undone, a_holding())
    await store.close()

    assert lost == again
    assert watcher.seen == 1


@pytest.mark.parametrize(
    ("shown", "where"), [(None, "it has lost the event"), ("ui-evt-1795454773", "it follows another event")]
)
async def test_a_panel_that_does_not_show_the_event_any_more_has_given_all_back(
    sqlite_url: str, shown: str | None, where: str
) -> None:
    """CAP 10, 12: a restart, or somebody at the panel's own page."""
    store = await Store.open(sqlite_url)
    await answered(store, "c-1")
    await look(store, a_watcher(), a_panel({"ev1": 1.0}, event_id=shown), a_holding())
    async with store.reading() as connection:
        (row,) = await explanations.of_event(connection, "evt-1", 10)
    await store.close()

    assert row.reason == f"gave 6 kW of 6 kW back ({where}): sheds again"


@pytest.mark.parametrize("members", [{"dialect": ENVELOPE, "tells_event": False, "event_id": None}, {}])
async def test_of_a_panel_as_a_whole_two_samples_are_needed(sqlite_url: str, members: dict[str, Any]) -> None:
    """Its answer names no circuits, or was lost, and it may draw more for a moment for other reasons."""
    store = await Store.open(sqlite_url)
    watcher = a_watcher(baseline_kw=9.0)
    panel = a_panel({"ev1": 9.5}, **members)
    once = await look(store, watcher, panel, a_holding())
    same = await look(store, watcher, panel, a_holding())
    twice = await look(store, watcher, replace(panel, sample_at=NOW + timedelta(seconds=5)), a_holding())
    await store.close()

    assert once == same == Noticed()
    assert list(twice.parts) == [("evt-1", WINDOW, "panel-1")]


def test_a_giveback_says_how_much_of_what() -> None:
    found = given_back(a_panel({"ev1": 20.0, "dryer1": 1.0}), expected(ev1=0.0, dryer1=0.5), None)

    assert found == GivenBack(kw=6.0, of_kw=6.0, where="dryer1, ev1")
