"""Show what is told before an event is issued to VENs of OpenADR 2.0b."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from openadr_profiles.v20b.projection.preview import Preview20b, of_20b, preview_20b
from openadr_profiles.v31 import EventRequest, Program, Ven
from tests.profiles.v20b.projection.build import a_program, of_type
from tests.profiles.v31.build import WRITTEN


def previewed(type_: str, *values: Any, program: Program | None = None, **members: Any) -> Preview20b:
    """The preview for three VENs."""
    event = of_type(type_, *values, **members)
    request = EventRequest(**{name: getattr(event, name) for name in EventRequest.__struct_fields__})
    return preview_20b(request, program, vens=3, now=WRITTEN)


def test_a_preview_has_the_signals_and_every_loss() -> None:
    found = previewed("DISPATCH_SETPOINT_RELATIVE", -3, -5, units="KW", eventName="peak")
    assert found.refused is None
    assert [(signal.name, signal.unit, signal.text) for signal in found.signals] == [
        ("LOAD_DISPATCH", "powerReal kW", "-3 for 1:00:00, -5 for 1:00:00"),
        ("SIMPLE", "", "1 for 2:00:00"),
    ]
    assert [loss.partition(":")[0] for loss in found.losses] == ["SIMPLE_ADDED", "EVENT_NAME"]
    assert found.warnings == ()


def test_what_changes_for_these_vens_is_warned_of() -> None:
    found = previewed("SIMPLE", 1, program=a_program(NOTIFICATION="PT1H"), priority=3)
    assert (found.priority, found.response_required) == (4, "always")
    assert found.warnings == ("it is later than the notification time of 1:00:00",)
    (warning,) = previewed("PRICE", 1, currency="euro").warnings
    assert warning.startswith("for 3 VENs of OpenADR 2.0b: PRICE has no currency")


@pytest.mark.parametrize(("type_", "value", "reason"), [("GHG", 1, "GHG has no signal"), ("SIMPLE", 9, "SIMPLE is 9")])
def test_an_event_without_a_form_is_refused_with_its_reason(type_: str, value: Any, reason: str) -> None:
    found = previewed(type_, value)
    assert found.refused is not None
    assert "3 VENs of OpenADR 2.0b will not be told of it" in found.warnings[0]
    assert any(reason in warning for warning in found.warnings)


def test_vens_of_2_0b_are_known_by_their_client() -> None:
    meta = {"created_date_time": WRITTEN, "modification_date_time": WRITTEN}
    vens = [Ven(id=name, ven_name=name, client_id=name, **meta) for name in ("home-1", "oadr20b-aa")]  # type: ignore[arg-type] # members of several types
    assert [ven.id for ven in of_20b(vens)] == ["oadr20b-aa"]


def test_many_intervals_are_shown_in_short() -> None:
    found = previewed("SIMPLE", *[1] * 24)
    assert found.signals[0].text.endswith(", and 18 more")
    assert found.duration_s == int(timedelta(hours=24).total_seconds())


def test_a_preview_needs_no_xml() -> None:
    """A command line without the extra can tell it too."""
    code = "import sys, openadr_profiles.v20b.projection.preview; sys.exit('lxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
