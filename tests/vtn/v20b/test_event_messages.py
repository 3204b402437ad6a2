"""Whatever event there is, what a VEN of OpenADR 2.0b is told of it fits the schemas (B-GEN-013)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from openadr_profiles.v20b import writing
from openadr_profiles.v20b.messages import DistributeEvent
from openadr_profiles.v20b.projection import NoForm, project, status
from openadr_profiles.v20b.schemas import schema
from openadr_profiles.v31 import Event
from tests.profiles.v20b.projection.build import a_program
from tests.profiles.v31.build import WRITTEN, an_event
from tests.profiles.v31.strategies import durations, given_or_not, starts
from vtn.api.v20b.event_messages import ToldIssue, event_message
from vtn.store.v20b.event_rows import IssueRow
from vtn.store.v20b.vens import Ven20b

VEN = Ven20b(
    "id", "VEN&1", "oadr20b-1", "home", "r", None, report_only=False, signs=False, is_disabled=False, poll_s=10
)
ISSUE = IssueRow(
    event_id="event-1",
    issue=0,
    wire_id="event-1",
    program_id="program-1",
    state="LIVE",
    number=0,
    market_context="",
    digest="",
    event_modified_at="",
    program_modified_at="",
    created_at="",
    changed_at="",
)
TYPES = ["SIMPLE", "PRICE", "DISPATCH_SETPOINT", "CONTROL_SETPOINT", "GHG", "ALERT_FIRE", "OADR20B_X_A b", "my type"]
texts = st.text(min_size=1, max_size=20)
targets = st.one_of(texts, st.sampled_from(["deviceclass:a", "pnode:<&>", "ti:a/b", "ven:x", "resource:\x01"]))


@st.composite
def any_events(draw: st.DrawFn) -> Event:
    """Events of all kinds of texts, numbers and times that the VTN would store."""
    number = st.one_of(st.integers(0, 3), st.floats(allow_nan=False, allow_infinity=False), st.integers())
    descriptors = [
        {"payloadType": "PRICE", "currency": draw(st.sampled_from(["EUR", "euro", "XXX"]))},
        {"payloadType": "DISPATCH_SETPOINT", "units": draw(st.sampled_from(["KW", "kvar", "W", "?"]))},
        {"payloadType": "CONTROL_SETPOINT", "units": draw(st.sampled_from(["CELSIUS", "VOLTS", "KW"]))},
    ]
    return an_event(
        intervalPeriod={"start": draw(starts), "duration": draw(durations)}
        | draw(given_or_not("randomizeStart", durations)),
        payloadDescriptors=descriptors,
        intervals=[
            {
                "id": each,
                "payloads": [
                    {"type": type_, "values": [draw(number)]}
                    for type_ in draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True))
                ],
            }
            for each in range(draw(st.integers(1, 3)))
        ],
        **draw(given_or_not("priority", st.integers(0))),
        **draw(given_or_not("eventName", texts)),
        **draw(given_or_not("targets", st.lists(targets, max_size=4))),
        **draw(given_or_not("duration", st.one_of(durations, st.just("P9999Y")))),
    )


@settings(max_examples=80, deadline=None)
@given(any_events(), st.timedeltas(timedelta(0), timedelta(days=3000)), st.booleans())
def test_every_event_that_is_told_fits_the_schemas(event: Event, later: timedelta, is_extended: bool) -> None:
    """B-GEN-013, B-GEN-015, B-EVT-022."""
    given_: dict[str, Any] = {"GAPS": "zero", "EVENT_NAME": True, "ALERT_LEVEL": 1, "RAMP_UP": "-PT5M"}
    if is_extended:
        given_["OTHER_TYPES"] = "extension"
    now = WRITTEN + later
    projection = project(event, a_program(**given_), now=now, anchor=WRITTEN, base_url="http://VTN")
    if isinstance(projection, NoForm):
        assert projection.reason
        return
    told = ToldIssue.of(projection, WRITTEN)
    first, other = (
        event_message(
            ISSUE,
            told,
            number=1,
            modified_at=now,
            status=status(projection, now),
            now=now,
            held=event.targets or (),
            ven=replace(VEN, ven_id=ven_id),
        )
        for ven_id in ("the first one", VEN.ven_id)
    )
    own = escape(VEN.ven_id)
    assert other.text == first.text.replace("the first one", own)  # all but the target is written once
    assert f"<ei:venID>{own}</ei:venID></ei:eiTarget></ei:eiEvent>" in other.text
    written = writing.write(DistributeEvent(request_id="r", vtn_id="VTN", events=(other,)))
    checker = schema()
    assert checker.validate(etree.fromstring(written)), checker.error_log
