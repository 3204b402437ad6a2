"""Fairness over a season: what was shed is counted once, and decides who is asked first."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge_mqtt.model import Command, EventState
from bridge_mqtt.season import SeasonCount, season_of, shed_kwh
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.store import commands, events, seasons
from bridge_mqtt.store.seasons import SentCommand
from openadr_profiles.panel import CommandState, Op
from tests.bridge_mqtt.test_planner import NOW, Desk, a_desk, kw

HOUR = timedelta(hours=1)
STARTS = ("04-01", "10-01")


def told(op: Op, minute: float, **members: object) -> SentCommand:
    """A command of panel-1 that was answered at once; a shed is of 6 kW, for two hours."""
    at = NOW + timedelta(minutes=minute)
    known = {
        "ven_id": "panel-1",
        "op": op,
        "state": CommandState.ACKED,
        "amount_kw": 6.0,
        "actual_kw": None,
        "sent_at": at,
        "answered_at": at,
        "window_end": NOW + 2 * HOUR,
    }
    return SentCommand(**known | members)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("commands", "kwh"),
    [
        ([told(Op.SHED_PANEL, 0), told(Op.RESTORE_PANEL, 30)], 3.0),
        ([told(Op.SHED_PANEL, 0)], 6.0),  # the event ends after an hour
        ([told(Op.SHED_PANEL, 0, window_end=NOW + timedelta(minutes=10))], 1.0),
        ([told(Op.SHED_PANEL, 0, actual_kw=4.0), told(Op.PING, 1), told(Op.RESTORE_PANEL, 30)], 2.0),
        ([told(Op.SHED_PANEL, 0), told(Op.RESTORE_PANEL, 10), told(Op.SHED_PANEL, 40)], 3.0),
        ([told(Op.SHED_PANEL, 0), told(Op.SHED_PANEL, 30)], 6.0),  # pieces, one after the other
        ([told(Op.SHED_PANEL, 0, state=CommandState.REJECTED)], 0.0),
        ([told(Op.SHED_PANEL, 0, state=CommandState.TIMED_OUT)], 0.0),
        ([told(Op.SHED_PANEL, -30, answered_at=None), told(Op.RESTORE_PANEL, 30)], 3.0),  # before: counted already
        ([told(Op.SHED_PANEL, 0, actual_kw=-3.0)], 0.0),
        ([], 0.0),
    ],
)
def test_a_shed_counts_from_its_answer_until_it_is_restored_replaced_or_over(
    commands: list[SentCommand], kwh: float
) -> None:
    assert shed_kwh(commands, NOW, NOW + HOUR) == ({} if not kwh else {"panel-1": pytest.approx(kwh)})


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["panel-1", "panel-2"]),
            st.sampled_from([Op.SHED_PANEL, Op.RESTORE_PANEL, Op.PING]),
            st.sampled_from(list(CommandState)),
            st.integers(-100, 200),
        ),
        max_size=20,
    )
)
def test_nobody_sheds_more_than_its_largest_shed_all_the_time(
    steps: list[tuple[str, Op, CommandState, int]],
) -> None:
    """Whatever was sent and answered in whatever order, sheds never count twice."""
    in_order = sorted(steps, key=lambda step: (step[0], step[3]))
    found = shed_kwh(
        [told(op, minute, ven_id=ven, state=state) for ven, op, state, minute in in_order], NOW, NOW + HOUR
    )

    assert all(0 <= kwh <= 6.0 + 1e-9 for kwh in found.values())


@pytest.mark.parametrize(
    ("at", "season"),
    [
        (datetime(2026, 11, 29, tzinfo=UTC), "2026-10-01"),
        (datetime(2026, 4, 1, tzinfo=UTC), "2026-04-01"),
        (datetime(2026, 3, 31, 23, 59, tzinfo=UTC), "2025-10-01"),
    ],
)
def test_a_season_begins_on_the_days_of_the_settings(at: datetime, season: str) -> None:
    assert season_of(at, STARTS) == season
    assert season_of(at, ("01-01",)) == f"{at.year}-01-01"


@pytest.mark.parametrize("day", ["02-29", "13-01", "4-1", "", "2026-04-01"])
def test_a_day_that_is_not_in_every_year_is_refused(day: str) -> None:
    with pytest.raises(ValidationError, match="expected a month and a day of every year"):
        Dispatch.model_validate({"season_starts": [day]})


def a_count(desk: Desk, told_kwh: list[Mapping[str, float]], *, at: datetime) -> SeasonCount:
    return SeasonCount(
        store=desk.store,
        turn=desk.store.transaction,
        starts=STARTS,
        now=lambda: at,
        on_change=told_kwh.append,
    )


async def carry_out(desk: Desk, event_id: str, *ven_ids: str, ended_at: datetime) -> None:
    """Let panels shed 6 kW for an hour, and the event end."""
    sheds = [
        Command(
            correlation_id=f"{event_id}-{ven_id}-{ended_at:%H%M}",
            ven_id=ven_id,
            op=Op.SHED_PANEL,
            reason="start",
            state=CommandState.ACKED,
            queued_at=ended_at - HOUR,
            sent_at=ended_at - HOUR,
            answered_at=ended_at - HOUR,
            event_id=event_id,
            window_start=NOW,
            window_end=ended_at,
            amount_kw=Decimal(6),
        )
        for ven_id in ven_ids
    ]
    async with desk.store.transaction() as connection:
        await commands.queue(connection, sheds)
        await commands.save(connection, sheds)
        await events.advance(connection, event_id, EventState.ACTIVE, EventState.COMPLETED, None, ended_at)


async def test_an_event_is_counted_once_and_further_if_it_is_opened_again(database_url: str) -> None:
    told_kwh: list[Mapping[str, float]] = []
    async with a_desk(database_url) as desk:
        await desk.post(shed_kw=6)
        await carry_out(desk, "evt-1", "panel-0", "panel-1", ended_at=NOW + HOUR)
        early = a_count(desk, told_kwh, at=NOW + HOUR)
        await early.count()
        count = a_count(desk, told_kwh, at=NOW + 5 * HOUR)
        await count.count()
        await count.count()
        await carry_out(desk, "evt-1", "panel-1", ended_at=NOW + 3 * HOUR)
        await count.count()

    assert told_kwh == [
        {},  # an answer may still come
        {"panel-0": pytest.approx(6), "panel-1": pytest.approx(6)},
        {"panel-0": pytest.approx(6), "panel-1": pytest.approx(12)},
    ]


async def test_two_bridges_do_not_count_an_event_twice(database_url: str) -> None:
    """Both have read that it is to be counted."""
    async with a_desk(database_url) as desk:
        await desk.post(shed_kw=6)
        await carry_out(desk, "evt-1", "panel-0", ended_at=NOW + HOUR)
        async with desk.store.reading() as connection:
            (event,) = await seasons.ended(connection, NOW + 2 * HOUR)
        added = []
        for _ in range(2):
            async with desk.store.transaction() as connection:
                added.append(await seasons.add(connection, event, "2026-10-01", {"panel-0": 6.0}))
        async with desk.store.reading() as connection:
            found = await seasons.shed_kwh(connection, "2026-10-01")

    assert (added, found) == ([True, False], {"panel-0": 6.0})


async def test_of_equal_panels_those_are_asked_that_have_shed_least(database_url: str) -> None:
    """Three events in a row for two of three panels: each is asked for two of them."""
    async with a_desk(database_url, ask="fewest") as desk:
        asked = []
        for number in range(3):
            event_id, ended_at = f"evt-{number}", NOW + (number + 1) * HOUR
            await desk.post(event_id, shed_kw=12)
            planned = await desk.plan(NOW)
            asked.append(set(kw(planned)))
            await carry_out(desk, event_id, *asked[-1], ended_at=ended_at)
            await a_count(desk, [], at=ended_at + HOUR).count()
            season = SeasonCount(
                store=desk.store,
                turn=desk.store.transaction,
                starts=STARTS,
                now=lambda: NOW,
                on_change=desk.planner.note_shed_kwh,
            )
            await season.tell()

    assert asked == [{"panel-0", "panel-1"}, {"panel-2", "panel-0"}, {"panel-1", "panel-2"}]


async def test_what_a_panel_has_shed_is_in_its_explanation(sqlite_url: str) -> None:
    async with a_desk(sqlite_url) as desk:
        desk.planner.note_shed_kwh({"panel-1": 12.5})
        await desk.post(shed_kw=6)
        await desk.plan(NOW)
        parts = await desk.parts()

    assert {ven_id: part.shed_kwh for ven_id, part in parts.items()} == {"panel-0": 0, "panel-1": 12.5, "panel-2": 0}
