"""Names as targets, as many operators of 3.0.1 use them: off, unless the operator says otherwise (V301-009)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest, unique
from tests.vtn.outbox import LAB, Recorded


async def event_for(business: Session, program: Any, type_: str, name: str) -> str:
    """An event for somebody of this name."""
    targets = [{"type": type_, "values": [name]}]
    document = {"programID": program["id"], "targets": targets, "intervals": []}
    return str((await business.on_301.post("/events", document)).ok(201)["id"])


async def test_names_are_no_targets_by_default(vtn: VtnUnderTest) -> None:
    """V301-009: whoever gave them."""
    business, home = vtn.bl, vtn.home()
    ven = await business.ven_for(home)
    await event_for(business, await business.program(), "VEN_NAME", ven["venName"])

    assert await home.ids("/events") == []


@pytest.mark.parametrize("type_", ["VEN_NAME", "RESOURCE_NAME"])
async def test_names_that_business_logic_gave_are_targets_if_the_operator_says_so(
    start_vtn: StartVtn, type_: str
) -> None:
    """V301-009: on both faces and in notifications; a VEN that calls itself so gets nothing."""
    vtn = await start_vtn(v301={"name_targets": True}, webhook=LAB)
    business, home, impostor = vtn.bl, vtn.home(), vtn.home()
    name = unique("name")
    ven = await business.ven_for(home, venName=name if type_ == "VEN_NAME" else unique("ven"))
    if type_ == "RESOURCE_NAME":
        await business.resource(ven, resourceName=name)
        other = await impostor.ven()
        await impostor.resource(other, resourceName=name)
    entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://127.0.0.1:1/hook"}
    for caller in (home, impostor):
        (await caller.post("/subscriptions", {"clientName": "c", "objectOperations": [entry]})).ok(201)
    recorded = Recorded(vtn)
    await recorded.new()

    program = await business.program()
    event = await event_for(business, program, type_, name)

    assert await home.ids("/events") == await home.on_301.ids("/events") == [event]
    assert await impostor.ids("/events") == []
    assert [one.held for one in await recorded.new()] == [(name,)]
    (await home.post("/reports", {"eventID": event, "clientName": "m", "resources": []})).ok(201)


async def test_a_ven_that_takes_a_name_does_not_get_what_is_for_it(start_vtn: StartVtn) -> None:
    """V301-009: once a VEN has renamed its ven, the name is no target of its."""
    vtn = await start_vtn(v301={"name_targets": True})
    business, home = vtn.bl, vtn.home()
    ven = await business.ven_for(home, venName=unique("ven"))
    program, wanted = await business.program(), unique("ven")
    await event_for(business, program, "VEN_NAME", wanted)
    own = await event_for(business, program, "VEN_NAME", ven["venName"])

    (await home.put(f"/vens/{ven['id']}", {"venName": wanted})).ok()
    assert await home.ids("/events") == []

    (await home.put(f"/vens/{ven['id']}", {"venName": ven["venName"]})).ok()
    assert await home.ids("/events") == []
    put = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id}
    (await business.put(f"/vens/{ven['id']}", put | {"venName": unique("ven")})).ok()
    (await business.put(f"/vens/{ven['id']}", put | {"venName": ven["venName"]})).ok()
    assert await home.ids("/events") == [own]


@pytest.mark.parametrize("of", ["ven", "resource"])
async def test_a_name_that_a_ven_chose_stays_its_own_when_it_is_put_back(start_vtn: StartVtn, of: str) -> None:
    """V301-009: business logic that only adds a target, on either version, does not make the name one."""
    vtn = await start_vtn(v301={"name_targets": True})
    business, home = vtn.bl, vtn.home()
    name = unique("street")
    ven = await home.ven(venName=name if of == "ven" else unique("ven"))
    path, put = f"/vens/{ven['id']}", {"objectType": "BL_VEN_REQUEST", "venName": ven["venName"]}
    below = path
    if of == "resource":
        resource = await home.resource(ven, resourceName=name)
        path, below = f"/resources/{resource['id']}", f"{path}/resources/{resource['id']}"
        put = {"objectType": "BL_RESOURCE_REQUEST", "venID": ven["id"], "resourceName": name}
    program = await business.program()
    await event_for(business, program, "GROUP", name)

    (await business.put(path, put | {"clientID": home.client_id, "targets": ["x"]})).ok()
    assert await home.ids("/events") == []
    read = (await business.on_301.get(below)).ok()
    (await business.on_301.put(below, read | {"targets": [{"type": "GROUP", "values": ["y"]}]})).ok()
    assert await home.ids("/events") == []
