"""Random objects through the server: read as they were written, and valid on the other face (V301-046)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openadr_profiles.v31 import encode
from tests.profiles.v31.strategies import events as events_of_31
from tests.profiles.v301 import strategies
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.v301.test_objects import members

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(document=strategies.programs())
async def test_a_program(vtn: VtnUnderTest, document: dict[str, Any]) -> None:
    """V301-046: the harness judges each answer by the official document of its version."""
    business = vtn.bl
    program = document | {"programName": unique("p")}

    made = (await business.on_301.post("/programs", program)).ok(201)

    assert members((await business.on_301.get(f"/programs/{made['id']}")).ok()) == program
    (await business.get(f"/programs/{made['id']}")).ok()


@few
@given(document=strategies.events(), report=strategies.reports())
async def test_an_event_and_a_report(vtn: VtnUnderTest, document: dict[str, Any], report: dict[str, Any]) -> None:
    """V301-046."""
    business, home = vtn.bl, vtn.home()
    program = await business.program()
    event = document | {"programID": program["id"]}

    made = (await business.on_301.post("/events", event)).ok(201)

    assert members((await business.on_301.get(f"/events/{made['id']}")).ok()) == event
    (await business.get(f"/events/{made['id']}")).ok()
    public = await business.event(program)
    on_it = report | {"programID": program["id"], "eventID": public["id"]}
    reported = (await home.on_301.post("/reports", on_it)).ok(201)
    assert members((await home.on_301.get(f"/reports/{reported['id']}")).ok()) == on_it
    (await home.get(f"/reports/{reported['id']}")).ok()


@few
@given(ven=strategies.resources(), nested=st.lists(strategies.resources(), max_size=2))
async def test_a_ven(vtn: VtnUnderTest, ven: dict[str, Any], nested: list[dict[str, Any]]) -> None:
    """V301-046: with its resources, of either role."""
    for caller in (vtn.bl, vtn.home()):
        its = [{"resourceName": f"r{number}", **one} for number, one in enumerate(nested)]
        document = ven | {"venName": unique("ven"), "resources": its}

        made = (await caller.on_301.post("/vens", document)).ok(201)

        shown = members((await caller.on_301.get(f"/vens/{made['id']}")).ok())
        found = sorted((members(one) for one in shown["resources"]), key=lambda one: str(one["resourceName"]))
        assert found == [one | {"venID": made["id"]} for one in its]
        assert shown | {"resources": its} == document
        (await caller.get(f"/vens/{made['id']}")).ok()


@few
@given(event=events_of_31())
async def test_an_event_of_31(vtn: VtnUnderTest, event: Any) -> None:
    """V301-046: it is read there as it was written, and valid on 3.0.1."""
    business = vtn.bl
    program = await business.program()
    document = event_document(event) | {"programID": program["id"]}

    made = (await business.post("/events", document)).ok(201)

    assert members((await business.get(f"/events/{made['id']}")).ok()) == {"intervals": [], "targets": []} | document
    (await business.on_301.get(f"/events/{made['id']}")).ok()


def event_document(event: Any) -> dict[str, Any]:
    """An event as business logic would write it."""
    found: dict[str, Any] = json.loads(encode(event))
    return dict(members(found))
