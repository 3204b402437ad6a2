"""Durations, instants and fingerprints as 2.0b writes them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openleadr import utils

from openadr_profiles.v20b import fingerprint
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.instants import format_instant_20b, parse_instant_20b
from openadr_profiles.v31 import FOREVER, Duration, Invalid

AT = datetime(2026, 1, 31, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("PT0S", "PT0S"),
        ("P", "PT0S"),
        ("PT", "PT0S"),
        ("PT60M", "PT1H"),
        ("PT86400S", "P1D"),
        ("P7D", "P7D"),
        ("1W", "P7D"),
        ("+P1D", "P1D"),
        ("-PT90S", "-PT1M30S"),
        ("P1DT2H", "P1DT2H"),
        ("P1Y2M", "P14M"),
        ("P1D2H", "P1DT2H"),
    ],
)
def test_durations_have_one_spelling(text: str, canonical: str) -> None:
    """1.1: what the schema allows is read, and written without weeks, fractions and surprises."""
    assert str(Duration20b.parse(text)) == canonical
    assert Duration20b.parse(canonical) == Duration20b.parse(text)


@pytest.mark.parametrize(
    "text", ["P1W", "PT0.5S", "P-1D", "", "1D", "PT1H ", "P\u0661D", "P10000Y", "PT" + "9" * 20 + "S"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """1.1: among them digits that the schema's pattern accepts and no arithmetic survives."""
    with pytest.raises(Invalid, match=r"is (not|too long; expected) a duration"):
        Duration20b.parse(text)


@given(st.integers(-(10**9), 10**9))
@settings(max_examples=50)
def test_exact_durations_go_both_ways(seconds: int) -> None:
    """4.2: whole seconds lose nothing."""
    duration = Duration20b.of(timedelta(seconds=seconds))

    assert Duration20b.parse(duration.text) == duration
    assert Duration20b.from_core(duration.to_core(), AT) == duration
    assert duration.after(AT) == AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("core", "text"),
    [("P1M", "P28D"), ("P1Y", "P365D"), ("PT1.9S", "PT1S"), ("-PT5M", "-PT5M"), ("P9999Y", "PT0S"), ("P2W", "P14D")],
)
def test_durations_of_the_core(core: str, text: str) -> None:
    """4.2: calendar steps are counted from the start, for ever is zero, fractions are cut."""
    assert Duration20b.from_core(Duration.parse(core), AT).text == text


def test_zero_may_mean_for_ever() -> None:
    """B-EVT-025: of an event; of anything else it is nothing."""
    assert Duration20b().to_core(zero_is_forever=True) == FOREVER
    assert Duration20b().to_core().is_zero
    assert Duration20b(months=1).to_core() == Duration.parse("P1M")
    assert Duration20b(months=1).after(AT) == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert Duration20b(10**9 * 300).after(AT) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T16:00:00Z", AT),
        ("2026-01-31T16:00:00.5Z", AT + timedelta(seconds=0.5)),
        ("2026-01-31T16:00:00.123456789Z", AT + timedelta(microseconds=123456)),
        ("2026-01-30T24:00:00Z", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_instants(text: str, moment: datetime) -> None:
    """B-GEN-001."""
    assert parse_instant_20b(text) == moment
    assert parse_instant_20b(format_instant_20b(moment)) == moment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-01-31T16:00:00", "has no zone"),
        ("2026-01-31T16:00:00+01:00", "is no instant"),
        ("2026-02-30T16:00:00Z", "not in the calendar"),
        ("9999-12-31T24:00:00Z", "not in the calendar"),
        ("-0044-03-15T12:00:00Z", "is no instant"),
        ("2026-01-31T24:00:01Z", "not in the calendar"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, said: str) -> None:
    """B-GEN-001."""
    with pytest.raises(Invalid, match=said):
        parse_instant_20b(text)


def test_instants_are_written_in_utc() -> None:
    """B-GEN-001: whatever zone they are in, and never without one."""
    assert format_instant_20b(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-01-31T16:00:00Z"
    with pytest.raises(ValueError, match="has no zone"):
        format_instant_20b(AT.replace(tzinfo=None))


@given(st.binary(max_size=50))
@settings(max_examples=30)
def test_fingerprints(der: bytes) -> None:
    """B-SEC-005: the last 10 octets of SHA-256, in both spellings, as openleadr has them."""
    short, long = fingerprint.of(der), fingerprint.long_of(der)

    assert short == utils.certificate_fingerprint_from_der(der)
    assert long.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert fingerprint.parse(long.lower()) == fingerprint.parse(short.replace(":", "")) == short


@pytest.mark.parametrize("text", ["", "AA:BB", "ZZ" * 10, "A" * 21, "A" * 63])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    """B-SEC-005: a mistake of an operator is told, with what was expected."""
    with pytest.raises(ValueError, match="expected 10 octets"):
        fingerprint.parse(text)
