"""Rules of alarms: when a condition begins, when it ends, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtn.alarms import rules
from vtn.alarms.kinds import AlarmKind
from vtn.alarms.rules import (
    Backlog,
    CertificateEnd,
    DeadLetters,
    DiskSpace,
    RunningEvent,
    SilentVen,
    SilentVens,
)

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NONE: frozenset[str] = frozenset()


def event(**members: object) -> RunningEvent:
    """An event that has been active for an hour and delivers half of what is asked."""
    usual = {"id": "e", "name": "peak", "started_at": NOW - timedelta(hours=1)}
    return RunningEvent(**(usual | {"requested_kw": 100.0, "delivered_kw": 50.0} | members))  # type: ignore[arg-type] # members of several types


def test_each_silent_ven_is_named_and_a_crowd_is_counted() -> None:
    """The ones silent longest by name; more of them than are listed as one condition more."""
    ven = SilentVen("home-1", "house 1", NOW - timedelta(hours=5))
    (only,) = rules.silent_vens(SilentVens(1, 9, [ven]), silent_s=3600)
    assert only.key == (AlarmKind.VEN_SILENT, "home-1")
    assert only.text == "VEN house 1 has not been heard of since 2026-06-01 07:00 UTC"
    one, crowd = rules.silent_vens(SilentVens(4000, 10_000, [ven]), silent_s=7200)
    assert one == only
    assert crowd.key == (AlarmKind.VEN_SILENT, "all")
    assert crowd.text == "4,000 of 10,000 VENs have not been heard of for 2 h"


@pytest.mark.parametrize(
    ("members", "holds"),
    [
        ({"started_at": NOW - timedelta(seconds=899)}, False),
        ({"started_at": NOW - timedelta(seconds=900)}, True),
    ],
)
def test_an_event_on_which_nobody_reports(members: dict[str, object], holds: bool) -> None:
    """After some time."""
    found = list(rules.unreported([event(**members)], after_s=900, now=NOW))
    assert [each.key for each in found] == ([(AlarmKind.EVENT_UNREPORTED, "e")] if holds else [])


@pytest.mark.parametrize(
    ("members", "raised", "holds"),
    [
        ({"delivered_kw": 49.9}, False, True),
        ({"delivered_kw": 50.0}, False, False),
        ({"delivered_kw": 54.9}, True, True),
        ({"delivered_kw": 55.0}, True, False),
        ({"delivered_kw": None}, False, False),
        ({"delivered_kw": None}, True, True),
        ({"requested_kw": None}, False, False),
        ({"requested_kw": 0.0, "delivered_kw": 0.0}, False, False),
        ({"delivered_kw": 0.0, "started_at": NOW - timedelta(seconds=599)}, False, False),
        ({"delivered_kw": -20.0}, False, True),
    ],
)
def test_an_event_that_delivers_too_little(members: dict[str, object], raised: bool, holds: bool) -> None:
    """Below the limit it begins, five percent above it ends; no data neither begins nor ends it."""
    seen = frozenset({"e"}) if raised else NONE
    found = list(rules.undelivered([event(**members)], percent=50, after_s=600, now=NOW, raised=seen))
    assert [each.key for each in found] == ([(AlarmKind.EVENT_UNDELIVERED, "e")] if holds else [])


def test_too_little_is_told_with_numbers_and_units() -> None:
    """Every number with its unit."""
    (found,) = rules.undelivered([event(delivered_kw=12.5)], percent=50, after_s=0, now=NOW, raised=NONE)
    assert found.text == "event peak delivers 12.50 kW of 100.00 kW requested (12 %)"


@settings(max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(1, 95))
def test_a_value_that_trembles_at_the_limit_is_one_alarm(parts: list[float], percent: float) -> None:
    """Between the limit and five percent more nothing changes, whichever way it went before."""
    raised = NONE
    for part in parts:
        found = rules.undelivered([event(delivered_kw=part)], percent=percent, after_s=0, now=NOW, raised=raised)
        holds = frozenset(each.subject for each in found)
        if percent <= part < percent + 5:
            assert holds == raised
        else:
            assert holds == (frozenset({"e"}) if part < percent else NONE)
        raised = holds


def test_dead_letters_are_counted_by_endpoint() -> None:
    """With the address and the client; the broker has neither."""
    letters = [DeadLetters("x", "home-1", "https://h.example/hook", 2), DeadLetters("mqtt", None, None, 1)]
    one, other = rules.dead_letters(letters)
    assert one.text == "2 notifications were given up for the callback at h.example of client home-1"
    assert other.text == "1 notification was given up for the MQTT broker"


def test_a_backlog_is_one_when_its_oldest_waits_too_long() -> None:
    """Not when much waits for a moment."""
    old, new = NOW - timedelta(seconds=301), NOW - timedelta(seconds=300)
    found = rules.behind([Backlog("reports", 7, old), Backlog("notifications", 9999, new)], behind_s=300, now=NOW)
    assert [(each.subject, each.text) for each in found] == [
        ("reports", "reports wait in the database: 7, the oldest since 2026-06-01 11:54 UTC")
    ]
    assert list(rules.behind([Backlog("reports", 0, None)], behind_s=300, now=NOW)) == []


def test_a_certificate_that_ends_soon_or_has_ended() -> None:
    """Named by its setting, file and host."""
    ends = [CertificateEnd("tls.cert", f"/{name}.pem", NOW + left) for name, left in _LIFETIMES.items()]
    found = list(rules.certificate_ends(ends, days=21, now=NOW, host="vtn-a"))
    assert [each.subject for each in found] == ["vtn-a:/soon.pem", "vtn-a:/over.pem"]
    assert found[0].text == "the certificate tls.cert (/soon.pem) on vtn-a ends at 2026-06-22 12:00 UTC"
    assert "ended at 2026-06-01 11:59 UTC" in found[1].text


_LIFETIMES = {
    "later": timedelta(days=21, seconds=1),
    "soon": timedelta(days=21),
    "over": timedelta(minutes=-1),
}


@pytest.mark.parametrize(
    ("free", "raised", "holds"), [(999, False, True), (1000, False, False), (1099, True, True), (1100, True, False)]
)
def test_a_disk_that_is_nearly_full(free: int, raised: bool, holds: bool) -> None:
    """It begins below the limit and ends when a tenth more is free."""
    disk = DiskSpace("the database", "/data", free, 10_000)
    seen = frozenset({"a:/data"}) if raised else NONE
    found = list(rules.disk_low([disk], least_bytes=1000, host="a", raised=seen))
    assert [each.key for each in found] == ([(AlarmKind.DISK_LOW, "a:/data")] if holds else [])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")]
)
def test_lengths_have_a_unit(seconds: float, text: str) -> None:
    """The largest of which there are two."""
    assert rules.length(seconds) == text
