"""Reports page after page, while reports come and go: what a walk sees, and what everybody else sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vtn.harness import Session, VtnUnderTest, unique
from vtn.access import Role

QUIET = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
ASKERS = ("ven", "ven by event", "bl by event", "bl by program", "bl by client name", "bl by program and name")


class Reports:
    """Reports of one client on the events of one program, and somebody who asks for all of them."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self._vtn = vtn
        self.home = vtn.home()
        self.ids: list[str] = []
        self._events: list[Any] = []
        self._program: Any = None
        self._name = unique("meter")

    async def prepare(self, asker: str) -> tuple[Session, dict[str, str]]:
        """Create a program and events; return the caller and the parameters of its search."""
        bl = self._vtn.bl
        self._program = await bl.program()
        several = asker not in {"ven by event", "bl by event"}
        self._events = [await bl.event(self._program) for _ in range(3 if several else 1)]
        by_event, by_program = {"eventID": self._events[0]["id"]}, {"programID": self._program["id"]}
        by_name = {"clientName": self._name}
        filters: dict[str, dict[str, str]] = dict(
            zip(ASKERS, ({}, by_event, by_event, by_program, by_name, by_program | by_name), strict=True)
        )
        return self.home if asker.startswith("ven") else bl, filters[asker]

    async def come(self, number: int) -> None:
        """More reports, on the events in turn."""
        for _ in range(number):
            event = self._events[len(self.ids) % len(self._events)]
            self.ids.append((await self.home.report(event, clientName=self._name))["id"])

    async def go(self, place: int) -> None:
        """One report less."""
        if self.ids:
            (await self.home.delete(f"/reports/{self.ids.pop(place % len(self.ids))}")).ok()


class Walk:
    """One walk of one client: what it was shown, and what it has to be shown."""

    def __init__(self, caller: Session, filters: dict[str, str], there: Sequence[str]) -> None:
        self._caller = caller
        self._filters = filters
        self._at_first = set(there)
        self.seen: list[str] = []

    async def page(self, limit: int) -> int:
        """The next page; gives its length."""
        asked = self._filters | {"skip": str(len(self.seen)), "limit": str(limit)}
        found = await self._caller.ids("/reports", asked)
        self.seen += found
        return len(found)

    def check(self, there: Sequence[str], *, whole: bool) -> None:
        """Nothing twice, and at its end everything that was there all the time."""
        assert len(set(self.seen)) == len(self.seen)
        if whole:
            assert self._at_first & set(there) <= set(self.seen)


doings = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.integers(1, 4)),
        st.tuples(st.just("come"), st.integers(1, 3)),
        st.tuples(st.just("go"), st.integers(0, 20)),
        st.tuples(st.just("begin again"), st.just(0)),
    ),
    max_size=25,
)


@QUIET
@given(asker=st.sampled_from(ASKERS), first=st.integers(0, 12), doings=doings, limit=st.integers(1, 5))
async def test_a_walk_is_shown_everything_once(
    vtn: VtnUnderTest, asker: str, first: int, doings: list[tuple[str, int]], limit: int
) -> None:
    """PAGE-010 as ruled, and better: whatever comes and goes meanwhile, and whatever limits are asked for."""
    reports = Reports(vtn)
    caller, filters = await reports.prepare(asker)
    await reports.come(first)
    walk = Walk(caller, filters, reports.ids)
    for what, number in doings:
        match what:
            case "page":
                await walk.page(number)
            case "come":
                await reports.come(number)
            case "go":
                await reports.go(number)
            case _:
                walk.check(reports.ids, whole=False)
                walk = Walk(caller, filters, reports.ids)
    while await walk.page(limit) == limit:
        pass
    walk.check(reports.ids, whole=True)


@QUIET
@given(
    asker=st.sampled_from(ASKERS),
    count=st.integers(0, 12),
    pages=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 6)), max_size=12),
)
async def test_while_nothing_changes_every_page_is_the_one_that_counting_gives(
    vtn: VtnUnderTest, asker: str, count: int, pages: list[tuple[int, int]]
) -> None:
    """PAGE-003 … PAGE-007: walks and leaps, back and forth."""
    reports = Reports(vtn)
    caller, filters = await reports.prepare(asker)
    await reports.come(count)
    newest_first = reports.ids[::-1]
    for skip, limit in pages:
        found = await caller.ids("/reports", filters | {"skip": str(skip), "limit": str(limit)})
        assert found == newest_first[skip : skip + limit]


async def test_who_does_not_walk_is_given_what_counting_gives(vtn: VtnUnderTest) -> None:
    """Another client, another question, another place, and the walker itself when it was away for long."""
    reports = Reports(vtn)
    walker, by_program = await reports.prepare("bl by program")
    await reports.come(6)
    newest_first = reports.ids[::-1]
    second = {"skip": "2", "limit": "2"}
    assert await walker.ids("/reports", by_program | {"limit": "2"}) == newest_first[:2]
    await reports.come(1)
    counted = newest_first[1:3]

    assert await vtn.bl.ids("/reports", by_program | second) == counted
    assert await walker.ids("/reports", second) == counted
    assert await walker.ids("/reports", by_program | {"skip": "1", "limit": "2"}) == newest_first[:2]
    assert await walker.ids("/reports", by_program | second) == newest_first[2:4]
    vtn.now.pass_(minutes=6)
    walker = vtn.caller(Role.BL, client_id=walker.client_id)
    assert await walker.ids("/reports", by_program | second) == counted


async def test_a_page_of_a_walk_is_not_the_answer_to_who_begins_anew(vtn: VtnUnderTest) -> None:
    """It is kept for nobody: the same client, the same question, the same revision, another walk."""
    reports = Reports(vtn)
    walker, filters = await reports.prepare("ven")
    await reports.come(5)
    first, second = {"limit": "2"} | filters, {"limit": "2", "skip": "2"} | filters
    newest_first = reports.ids[::-1]
    await walker.ids("/reports", first)
    await reports.come(1)
    assert await walker.ids("/reports", second) == newest_first[2:4]

    assert await walker.ids("/reports", first) == [reports.ids[-1], newest_first[0]]
    assert await walker.ids("/reports", second) == newest_first[1:3]


async def test_a_page_can_be_asked_for_again(vtn: VtnUnderTest) -> None:
    """An answer that got lost on the way is given again, and the walk goes on behind it."""
    reports = Reports(vtn)
    walker, filters = await reports.prepare("ven")
    await reports.come(6)
    newest_first = reports.ids[::-1]
    await walker.ids("/reports", filters | {"limit": "2"})
    for _ in range(2):
        await reports.come(1)
        assert await walker.ids("/reports", filters | {"limit": "2", "skip": "2"}) == newest_first[2:4]
    await reports.go(len(reports.ids) - 1)
    assert await walker.ids("/reports", filters | {"limit": "2", "skip": "4"}) == newest_first[4:]
