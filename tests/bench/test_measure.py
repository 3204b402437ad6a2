"""The arithmetic of a run: rounds, ratios, noise, growth and goals. No timing is ever asserted."""

import math
from array import array
from itertools import islice

import pytest

from bench.documents import SEEN_EVENTS, WATCHED, feeder, questions
from bench.load import Sample
from bench.measure import MeasuredSubject, Series, cpu_ratio, interleaved, percentile, ratio
from bench.results import Case, Goal, growth
from bench.runner import DatabaseKind, Options


def series(*rates: float, name: str = "VTN") -> Series:
    """One that answered so often per second in each round, each answer after 2 ms."""
    made = Series(name)
    for rate in rates:
        made.add(Sample(1.0, array("d", [0.002] * round(rate))), cpu_s=0.5, rss_mb=80.0)
    return made


def case(rate: float, reference: float, *, stored: int | None) -> Case:
    """A poll beside a reference, with so many events stored."""
    return Case("poll", "cached", "SQLite", 16, series(rate), (series(reference),), stored, "events")


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (99, 4.0), (100, 4.0)])
def test_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent: float, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == expected


def test_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_ratio_compares_rounds_with_each_other_and_not_medians() -> None:
    """A machine that is slow for one round slows both, so that round's ratio is as good as any other."""
    assert ratio(series(50, 5, 60), series(100, 10, 100)) == 0.5


def test_cpu_ratio_compares_processor_time_per_answer() -> None:
    assert cpu_ratio(series(100, 100), series(400, 400)) == 0.25
    assert cpu_ratio(Series("no process known"), series(400)) is None


def test_noise_is_the_spread_beside_the_median() -> None:
    assert series(90, 100, 120).noise == pytest.approx(0.3)


async def test_rounds_alternate_the_order_after_a_warm_up_that_does_not_count() -> None:
    order: list[str] = []

    def subject(name: str) -> MeasuredSubject:
        async def run(seconds: float) -> Sample:
            order.append(f"{name} {seconds:g}")
            return Sample(seconds, array("d", [0.001]))

        return MeasuredSubject(name, run)

    found = await interleaved([subject("bare"), subject("vtn")], rounds=3, seconds=4)

    assert order == ["bare 1", "vtn 1", "bare 4", "vtn 4", "vtn 4", "bare 4", "bare 4", "vtn 4"]
    assert [each.name for each in found] == ["bare", "vtn"]
    assert [len(each.rates) for each in found] == [3, 3]


def test_growth_compares_ratios_with_the_smallest_store() -> None:
    """The second store was measured while the machine was half as fast: both rates are halved, nothing has grown."""
    (row,) = growth([case(25, 50, stored=1000), case(50, 100, stored=50), case(9, 10, stored=None)])

    assert row.points == ((50, 1.0), (1000, 1.0))


def test_one_size_of_the_store_is_no_growth() -> None:
    assert growth([case(50, 100, stored=50)]) == []


@pytest.mark.parametrize(
    ("value", "at_most", "met"),
    [(0.6, False, True), (0.59, False, False), (0.6, True, True), (0.61, True, False), (math.nan, False, False)],
)
def test_goal_is_met_at_its_bound_and_never_by_nothing(value: float, *, at_most: bool, met: bool) -> None:
    assert Goal("", value, 0.6, at_most=at_most).met is met


def test_case_as_json_has_the_ratio_to_each_reference() -> None:
    shown = case(50, 100, stored=50).as_json()

    assert shown["measured"]["requests_per_s"] == 50
    assert shown["measured"]["p50_ms"] == 2
    assert shown["references"][0] | {"ratio": 0.5, "ratio_by_cpu": 0.5, "noise": 0} == shown["references"][0]


@pytest.mark.parametrize("stored", [50, 1000, 100_000])
def test_the_measured_ven_sees_one_page_however_many_events_are_stored(stored: int) -> None:
    assert sum(feeder(number, stored) == WATCHED for number in range(stored)) == SEEN_EVENTS


def test_questions_differ_so_that_no_cache_knows_their_answer() -> None:
    asked = list(islice(questions(), 5000))

    assert len({frozenset(targets) for targets in asked}) == 5000
    assert all(WATCHED in targets for targets in asked)


def test_reports_run_on_both_databases_unless_one_is_chosen() -> None:
    def kinds(database: DatabaseKind | None) -> list[tuple[DatabaseKind, list[str]]]:
        return Options(["poll-ven", "reports"], database, rounds=1, seconds=1, events=(50,), vens=(10,)).kinds()

    assert kinds(None) == [
        (DatabaseKind.POSTGRESQL, ["poll-ven", "reports"]),
        (DatabaseKind.SQLITE, ["reports"]),
    ]
    assert kinds(DatabaseKind.SQLITE) == [(DatabaseKind.SQLITE, ["poll-ven", "reports"])]
