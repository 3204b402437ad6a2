"""Objects of 3.0.1 into the core and back, without a server between (V301-046)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings

from openadr_profiles import v301
from openadr_profiles.v31 import decode, encode
from openadr_profiles.v301 import targets as typed
from openadr_profiles.v301 import view
from tests.profiles.v31.strategies import events as events_of_31
from tests.profiles.v301 import strategies
from tests.support.official import official_document

AT = "2026-06-01T12:00:00.000000Z"
SHOWN = {"id": "1", "createdDateTime": AT, "modificationDateTime": AT}


def members_of(core: object, **without: object) -> str:
    """The members of an object of the core as the store keeps them."""
    members = json.loads(encode(core)) | without
    return json.dumps({name: one for name, one in members.items() if one is not None}, separators=(",", ":"))[1:-1]


@settings(max_examples=50)
@given(strategies.programs())
def test_a_program_comes_back(program: dict[str, Any]) -> None:
    """V301-010, V301-011, V301-017, V301-046."""
    core, records = decode(json.dumps(program | {"programName": "p"}), v301.ProgramRequest).core()

    found = json.loads(f"{{{view.program_members(members_of(core, targets=None))}}}")

    assert found == {name: one for name, one in program.items() if name != "targets"} | {"programName": "p"}
    assert typed.texts_of(records) == (core.targets or ())


@settings(max_examples=50)
@given(strategies.events())
def test_an_event_comes_back(event: dict[str, Any]) -> None:
    """V301-017, V301-019 … V301-022, V301-046: with the targets of its report descriptors."""
    core, records = decode(json.dumps(event | {"programID": "p"}), v301.EventRequest).core()

    members = view.event_members(members_of(core, targets=None), typed.stored(records), AT, "GROUP")

    assert json.loads(f"{{{members}}}") == {name: one for name, one in event.items() if name != "targets"} | {
        "programID": "p"
    }


@settings(max_examples=50)
@given(strategies.reports())
def test_a_report_comes_back(report: dict[str, Any]) -> None:
    """V301-023, V301-024, V301-046."""
    document = report | {"programID": "p", "eventID": "e"}
    core = decode(json.dumps(document), v301.ReportRequest).core()

    members = view.report_members(f'"clientID":"c",{members_of(core)}', "p", AT)

    assert json.loads(f"{{{members}}}") == document


@settings(max_examples=100)
@given(events_of_31())
def test_any_event_of_the_core_is_one_of_301(event: Any) -> None:
    """V301-014, V301-016, V301-046: every period starts, whatever the event says."""
    members = members_of(event, id=None, createdDateTime=None, modificationDateTime=None, objectType=None, targets=None)
    members = members if '"intervals"' in members else f'{members},"intervals":[]'

    shown = json.loads(f"{{{view.event_members(members, None, AT, 'GROUP')}}}")

    answer = json.dumps(SHOWN | shown).encode()
    assert official_document("3.0.1").answer_problems("GET", "/events/1", 200, answer) == []
    decode(json.dumps(shown), v301.EventRequest)
