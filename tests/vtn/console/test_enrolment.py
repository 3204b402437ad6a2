"""VENs that are made with their clients, all or none, and groups that are granted to many at once."""

from __future__ import annotations

from typing import Any

import pytest

from openadr_profiles.v31 import BlVenRequest
from tests.vtn.console.fleets import put, resource, ven
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox import Recorded, message, with_mqtt
from tests.vtn.statements import Statements
from vtn.access import Caller, Role, Scope
from vtn.errors import Conflict
from vtn.store import tables
from vtn.store.console.enrolment import EnrolmentStore, NewVen

BY = Caller("console", Role.BL, frozenset(Scope))


def store_of(vtn: VtnUnderTest) -> EnrolmentStore:
    assert vtn.server.stores is not None
    return vtn.server.stores.enrolment


async def new(vtn: VtnUnderTest, name: str, *targets: str, client_id: str | None = None) -> NewVen:
    row, _ = await vtn.server.clients.prepared(client_id or name, Role.VEN)
    return NewVen(BlVenRequest(client_id=client_id or name, ven_name=name, targets=targets), row)


async def held(vtn: VtnUnderTest) -> dict[str, Any]:
    """The targets of every ven, by its name."""
    return {each["venName"]: each["targets"] for each in (await vtn.bl.get("/vens")).ok()}


async def test_vens_are_made_with_their_clients_all_or_none(vtn: VtnUnderTest) -> None:
    """A name that is taken at the last moment keeps all of them out."""
    store = store_of(vtn)
    ids = await store.add([await new(vtn, "home-1", "north"), await new(vtn, "home-2")], by=BY)
    assert len(set(ids)) == 2
    assert await held(vtn) == {"home-1": ["north"], "home-2": []}
    assert [each.client_id for each in await vtn.server.clients.list()] == ["home-1", "home-2"]

    for clash in (await new(vtn, "home-1", client_id="other"), await new(vtn, "other", client_id="home-2")):
        with pytest.raises(Conflict):
            await store.add([await new(vtn, "home-3"), clash], by=BY)
    assert list(await held(vtn)) == ["home-2", "home-1"]
    assert len(await vtn.server.clients.list()) == 2


async def test_what_is_taken_is_told_before(vtn: VtnUnderTest) -> None:
    """Names of vens, and ids of clients with a ven and without one."""
    store = store_of(vtn)
    await store.add([await new(vtn, "home-1", client_id="c-1")], by=BY)
    await vtn.server.clients.add("c-2", Role.VEN)
    asked = [await new(vtn, "home-1"), await new(vtn, "x", client_id="c-1"), await new(vtn, "y", client_id="c-2")]
    assert await store.taken(asked) == {("name", "home-1"), ("client_id", "c-1"), ("client_id", "c-2")}


async def test_a_group_is_granted_to_many_by_a_few_statements(vtn: VtnUnderTest) -> None:
    """Leave whoever holds it already as it is; a new grant is the last of the list. It is heard of in one go."""
    rows = [ven(f"home-{number:04}", targets=["west"] if number % 2 else ["a", "b"]) for number in range(3000)]
    await put(vtn, [(tables.vens, rows), (tables.resources, [resource("home-0000", "r", targets=["west"])])])
    ids = [row["id"] for row in rows]
    store = store_of(vtn)
    with Statements(vtn) as heard:
        done = await store.grant([*ids, "gone"], "west")
    assert (done.changed, done.unchanged) == (1500, 1501)
    assert len(heard.texts) <= 10
    found = await held(vtn)
    assert {tuple(each) for each in found.values()} == {("west",), ("a", "b", "west")}
    assert (await store.revoke(ids, "a")).changed == 1500
    assert (await store.revoke(ids, "a")).changed == 0
    assert {tuple(each) for each in (await held(vtn)).values()} == {("west",), ("b", "west")}


async def test_a_granted_group_lets_a_ven_see_what_it_is_for(vtn: VtnUnderTest) -> None:
    """PRIV-003: at once, and not any more once it is taken back."""
    bl, home = vtn.bl, vtn.home()
    ven_ = await bl.ven_for(home)
    program = await bl.program(targets=["west"])
    assert await home.ids("/programs") == []
    before = (await home.get(f"/vens/{ven_['id']}")).ok()["modificationDateTime"]
    await store_of(vtn).grant([ven_["id"]], "west")
    assert await home.ids("/programs") == [program["id"]]
    assert (await home.get(f"/vens/{ven_['id']}")).ok()["modificationDateTime"] > before
    await store_of(vtn).revoke([ven_["id"]], "west")
    assert await home.ids("/programs") == []


async def test_targets_with_types_keep_them(vtn: VtnUnderTest) -> None:
    """V301-004: on 3.0.1 a target that stays is written as it was."""
    bl, home = vtn.bl, vtn.home()
    typed = [{"type": "GROUP", "values": ["west"]}, {"type": "POWER_SERVICE_LOCATION", "values": ["psl-1"]}]
    document = {"venName": "typed", "clientID": home.client_id, "targets": typed}
    made = (await bl.on_301.post("/vens", document)).ok(201)
    await store_of(vtn).grant([made["id"]], "east")
    await store_of(vtn).revoke([made["id"]], "west")
    shown = (await bl.on_301.get(f"/vens/{made['id']}")).ok()["targets"]
    assert {"type": "POWER_SERVICE_LOCATION", "values": ["psl-1"]} in shown
    assert "west" not in str(shown)
    assert "east" in str(shown)
    assert (await bl.get(f"/vens/{made['id']}")).ok()["targets"] == ["psl-1", "east"]


async def test_changes_of_groups_are_heard_of(vtn: VtnUnderTest) -> None:
    """SUBS-008: of each ven that was changed, and of no other."""
    await put(vtn, [(tables.vens, [ven("home-1"), ven("home-2"), ven("home-3", targets=["west"])])])
    await with_mqtt(vtn)
    recorded = Recorded(vtn)
    await store_of(vtn).grant(["home-1", "home-2", "home-3"], "west")
    heard = [message(each) for each in await recorded.new()]
    assert {(each["operation"], each["object"]["venName"]) for each in heard} == {
        ("UPDATE", "home-1"),
        ("UPDATE", "home-2"),
    }
    assert {tuple(each["object"]["targets"]) for each in heard} == {("west",)}
