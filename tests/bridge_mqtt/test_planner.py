"""Planning round after round: what has not changed is not worked out again, and what is stored always counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bridge_mqtt.decisions import Policy
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.model import Allocation, PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planned, Planner
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, allocations, events, explanations
from openadr_profiles.panel import FLAT
from tests.bridge_mqtt.conftest import an_event

NOW = datetime.now(UTC).replace(microsecond=0)
POLICY = Policy(
    ack_timeout=timedelta(seconds=10),
    offline_after=timedelta(seconds=60),
    least_remaining=timedelta(seconds=5),
    ping_every=timedelta(seconds=60),
)


@dataclass
class Desk:
    """A planner with its store and panels that were heard just now."""

    store: Store
    settings: Settings
    registry: Registry
    planner: Planner

    def hear(self, at: datetime, *ven_ids: str) -> None:
        """Let these panels, or all, have been heard at a moment."""
        heard = ven_ids or self.registry.ven_ids
        self.registry.recall(PanelRecord(ven_id=ven_id, dialect=FLAT, last_seen_at=at) for ven_id in heard)

    async def post(self, *members: Any, **changes: Any) -> None:
        """Store an event of an hour that has begun, as a poll would."""
        async with self.store.transaction() as connection:
            await events.save(connection, an_event(*members, start=NOW, **{"length_s": 3600} | changes), NOW)

    async def plan(self, at: datetime, panels: set[str] | None = None, *, keep: bool = True) -> Planned:
        """One round."""
        async with self.store.transaction() as connection:
            stored = await events.open_(connection)
            planned = await self.planner.plan(connection, stored, {}, at, panels)
        if keep:
            self.planner.keep(planned)
        return planned

    async def parts(self, event_id: str = "evt-1") -> dict[str, Allocation]:
        """The parts of an event's only window as they are stored."""
        async with self.store.reading() as connection:
            (plan,) = (await allocations.plans(connection, [event_id])).values()
        return plan.parts

    async def versions(self, event_id: str = "evt-1") -> list[int]:
        """Return how often each window of an event was changed."""
        async with self.store.reading() as connection:
            return [plan.version for plan in await allocations.windows_of(connection, event_id)]


@asynccontextmanager
async def a_desk(database_url: str, *, count: int = 3, **dispatch: Any) -> AsyncIterator[Desk]:
    """A planner for panels that can shed 8 kW each, all heard now."""
    settings = Settings.model_validate(
        {
            "vtn": {"url": "http://127.0.0.1/openadr3/3.1.0"},
            "database": {"url": database_url},
            "panels": [{"id": f"panel-{n}", "capability_kw": 8, "groups": [f"group:{n % 2}"]} for n in range(count)],
            "dispatch": {"first_contact_s": 0} | dispatch,
        }
    )
    store = await Store.open(settings.database.url.get_secret_value())
    registry = Registry(settings)
    desk = Desk(
        store,
        settings,
        registry,
        Planner(settings, registry, Meters(offline_after_s=60, baseline_s=300), policy=POLICY, started_at=NOW),
    )
    desk.hear(NOW)
    try:
        yield desk
    finally:
        await store.close()


def kw(planned: Planned) -> dict[str, Decimal]:
    """Return what is wanted of the panels."""
    return {ven_id: want.amount_kw for ven_id, want in sorted(planned.wants.items())}


async def test_a_round_in_which_nothing_has_changed_changes_nothing(database_url: str) -> None:
    async with a_desk(database_url) as desk:
        await desk.post(shed_kw=6)
        first = await desk.plan(NOW)
        again = await desk.plan(NOW + timedelta(seconds=5), {"panel-0"})
        all_again = await desk.plan(NOW + timedelta(seconds=6))

        assert kw(first) == {"panel-0": 2, "panel-1": 2, "panel-2": 2}
        assert first.changed == {"panel-0", "panel-1", "panel-2"}
        assert (again.wants, again.changed) == (first.wants, set())
        assert (all_again.wants, all_again.changed) == (first.wants, set())
        assert await desk.versions() == [1]


@pytest.mark.parametrize("keep", [True, False])
async def test_what_others_store_is_seen_in_the_next_round(database_url: str, keep: bool) -> None:
    """Also after a round whose result was not kept, because its transaction failed."""
    async with a_desk(database_url) as desk:
        await desk.post(shed_kw=6)
        await desk.plan(NOW, keep=keep)
        async with desk.store.transaction() as connection:
            await allocations.change_parts(
                connection,
                {
                    ("evt-1", NOW, "panel-0"): {"excluded": "rejected: no"},
                    ("evt-1", NOW, "panel-1"): {"delivered_kw": 1.5},
                },
            )
        planned = await desk.plan(NOW + timedelta(seconds=1), set())

        assert kw(planned) == {"panel-1": 2, "panel-2": Decimal("4.5")}
        async with desk.store.reading() as connection:
            rows = await explanations.of_event(connection, "evt-1", 100)
        whole = [row for row in rows if row.ven_id is None]
        assert [(row.before_kw, row.asked_kw) for row in whole] == [(None, 6.0), (6.0, 6.5)]
        if keep:
            assert whole[1].reason == "panel-0: rejected: no; panel-1 delivers 1.5 kW of 2 kW"
        assert {row.ven_id: (row.before_kw, row.asked_kw, row.reason) for row in rows if row.ven_id} == {
            "panel-0": (2.0, 0.0, "rejected: no"),
            "panel-2": (2.0, 4.5, "takes over what others do not shed"),
        }


async def test_recoveries_are_counted_and_end_a_part(database_url: str) -> None:
    async with a_desk(database_url, most_recoveries=2) as desk:
        await desk.post(shed_kw=6)
        await desk.plan(NOW)
        for count in (1, 1):
            async with desk.store.transaction() as connection:
                await allocations.count_recoveries(connection, {("evt-1", NOW, "panel-0"): count})
        planned = await desk.plan(NOW + timedelta(seconds=1), set())

        assert kw(planned) == {"panel-1": 4, "panel-2": 2}
        parts = await desk.parts()
        assert (parts["panel-0"].recoveries, parts["panel-0"].excluded) == (2, "unresponsive")


async def test_a_panel_that_goes_and_comes_back_is_replaced_and_then_left_idle(database_url: str) -> None:
    """Re-allocation: the others keep what they have taken over, since each change is a restore and a shed."""
    later = NOW + timedelta(seconds=70)
    async with a_desk(database_url) as desk:
        await desk.post(shed_kw=6)
        await desk.plan(NOW)
        desk.hear(later, "panel-1", "panel-2")
        unseen = await desk.plan(later, {"panel-1"})
        gone = await desk.plan(later, {"panel-0"})
        desk.hear(later)
        back = await desk.plan(later, {"panel-0"})

        assert kw(unseen)["panel-0"] == 2
        assert kw(gone) == {"panel-1": 4, "panel-2": 2}
        assert gone.changed == {"panel-0", "panel-1"}
        assert (kw(back), back.changed) == (kw(gone), set())
        assert (await desk.parts())["panel-0"].excluded is None


async def test_the_less_important_event_gets_along_without_the_panels_of_the_other(database_url: str) -> None:
    """C6: when the more important one ends, the panels can take part again."""
    async with a_desk(database_url, count=4) as desk:
        await desk.post("evt-low", shed_kw=8, priority=9)
        await desk.plan(NOW)
        await desk.post("evt-high", shed_kw=4, priority=1, targets=("group:0",))
        both = await desk.plan(NOW + timedelta(seconds=1), set())
        async with desk.store.transaction() as connection:
            await events.withdraw(connection, "evt-high", NOW)
        low = await desk.plan(NOW + timedelta(seconds=2), set())

        assert {ven_id: (want.event_id, want.amount_kw) for ven_id, want in both.wants.items()} == {
            "panel-0": ("evt-high", Decimal(2)),
            "panel-2": ("evt-high", Decimal(2)),
            "panel-1": ("evt-low", Decimal(6)),
            "panel-3": ("evt-low", Decimal(2)),
        }
        assert kw(low) == {"panel-1": 6, "panel-3": 2}
        assert {part.excluded for part in (await desk.parts("evt-low")).values()} == {None}


async def test_the_next_window_goes_on_with_the_same_split_if_it_asks_the_same(database_url: str) -> None:
    async with a_desk(database_url) as desk:
        await desk.post(values=(-6, -6, -9), length_s=600)
        first = await desk.plan(NOW)
        async with desk.store.transaction() as connection:
            await allocations.change_parts(connection, {("evt-1", NOW, "panel-0"): {"excluded": "rejected: no"}})
        desk.hear(NOW + timedelta(seconds=600))
        second = await desk.plan(NOW + timedelta(seconds=600))
        desk.planner.forget_all()
        desk.hear(NOW + timedelta(seconds=1200))
        third = await desk.plan(NOW + timedelta(seconds=1200))

        assert kw(first) == {"panel-0": 2, "panel-1": 2, "panel-2": 2}
        assert kw(second) == {"panel-1": 4, "panel-2": 2}
        assert kw(third) == {"panel-0": 3, "panel-1": 3, "panel-2": 3}
        async with desk.store.reading() as connection:
            rows = await explanations.of_event(connection, "evt-1", 100)
        assert [row.reason for row in rows] == [
            "shed 6 is 6 kW, shared out by capability",
            "goes on from the window before",
            "shed 9 is 9 kW, shared out by capability",
        ]


async def test_many_panels_are_stored_as_they_were_split(database_url: str) -> None:
    """More than are written with one statement, in a thread of their own; the parts still add up."""
    async with a_desk(database_url, count=1201) as desk:
        await desk.post(shed_kw=1000)
        planned = await desk.plan(NOW)
        parts = await desk.parts()

        assert sum(part.requested_kw for part in parts.values()) == 1000
        assert {ven_id: part.requested_kw for ven_id, part in parts.items()} == kw(planned)
        assert parts["panel-7"].reason == "in proportion to the 8 kW it can shed"
