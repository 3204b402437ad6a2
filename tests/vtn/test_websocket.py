"""The websocket that tells of changes: what it tells whom, from where on, and when it ends."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.vtn.conftest import StartVtn
from tests.vtn.ears import listening
from tests.vtn.harness import VtnUnderTest
from tests.vtn.websocket_told import said, told
from vtn.access import Role, Scope

HOOK = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://example.com/hook", "bearerToken": "t-1"}


@pytest_asyncio.fixture(loop_scope="session")
async def lively(start_vtn: StartVtn) -> VtnUnderTest:
    """A VTN whose websockets say again and again that it is there."""
    return await start_vtn(websocket={"heartbeat_s": 0.1})


async def test_a_change_is_told_as_the_standard_has_it(vtn: VtnUnderTest) -> None:
    """WEBHOOK-008: the object as a GET gives it, and its targets beside it."""
    bl = vtn.bl
    async with listening(bl) as ear:
        assert ear.opened == {"status": "OPEN", "resume": ear.resume, "missed": True}
        program = await bl.program(targets=["a"])

        assert await ear.notification() == {
            "objectType": "PROGRAM",
            "operation": "CREATE",
            "object": (await bl.get(f"/programs/{program['id']}")).ok(),
            "targets": ["a"],
        }


async def test_a_message_carries_the_id_of_its_change_and_the_place_to_go_on_from(vtn: VtnUnderTest) -> None:
    async with listening(vtn.bl) as ear:
        await vtn.bl.program()
        message = await ear.message()
        while "status" in message:
            message = await ear.message()

    assert set(message) == {"id", "resume", "objectType", "operation", "object"}
    number, at_s = map(int, message["resume"].split("-"))
    assert number <= int(message["id"])  # less while another transaction may have a number before it
    assert at_s == int(vtn.now().timestamp())


async def test_creations_updates_and_deletions_come_in_order(vtn: VtnUnderTest) -> None:
    """WEBHOOK-021, SUBS-028: what goes with an object is told of before it."""
    bl = vtn.bl
    async with listening(bl) as ear:
        program = await bl.program()
        event = await bl.event(program)
        (await bl.put(f"/events/{event['id']}", {"programID": program["id"], "eventName": "x"})).ok()
        (await bl.delete(f"/programs/{program['id']}")).ok()

        assert await told(ear, 5) == [
            ("CREATE", "PROGRAM", program["id"]),
            ("CREATE", "EVENT", event["id"]),
            ("UPDATE", "EVENT", event["id"]),
            ("DELETE", "EVENT", event["id"]),
            ("DELETE", "PROGRAM", program["id"]),
        ]
    assert ear.ids == sorted(ear.ids)


async def test_a_ven_is_told_what_its_targets_show_it(vtn: VtnUnderTest) -> None:
    """PRIV-014: a hidden object is not told of, a hidden target is not shown."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    await bl.ven_for(home, targets=["a"])
    program = await bl.program()
    async with listening(home) as ear, listening(other) as stranger:
        hidden = await bl.event(program, targets=["b"])
        shown = await bl.event(program, targets=["b", "a"])
        public = await bl.event(program)

        first, second = await ear.notification(), await ear.notification()
        assert said(await stranger.notification()) == ("CREATE", "EVENT", public["id"])

    assert said(first) == ("CREATE", "EVENT", shown["id"])
    assert first["targets"] == first["object"]["targets"] == ["a"]
    assert said(second) == ("CREATE", "EVENT", public["id"])
    assert "targets" not in second
    assert hidden["id"] not in json.dumps([first, second])


async def test_who_does_not_see_an_object_any_more_is_told_that_it_is_deleted(vtn: VtnUnderTest) -> None:
    """SUBS-027: with the object as it was; who comes to see it is told of the update."""
    bl, left, right = vtn.bl, vtn.home(), vtn.home()
    await bl.ven_for(left, targets=["left"])
    await bl.ven_for(right, targets=["right"])
    program = await bl.program()
    event = await bl.event(program, targets=["left"], eventName="before")
    async with listening(left) as loser, listening(right) as winner:
        moved = {"programID": program["id"], "targets": ["right"], "eventName": "after"}
        (await bl.put(f"/events/{event['id']}", moved)).ok()

        lost, won = await loser.notification(), await winner.notification()

    assert said(lost) == ("DELETE", "EVENT", event["id"])
    assert (lost["object"]["eventName"], lost["targets"]) == ("before", ["left"])
    assert said(won) == ("UPDATE", "EVENT", event["id"])
    assert (won["object"]["eventName"], won["targets"]) == ("after", ["right"])


async def test_grants_count_as_they_are_when_it_is_told(vtn: VtnUnderTest) -> None:
    """PRIV-003: a target that is given or taken while a client listens."""
    bl, home = vtn.bl, vtn.home()
    ven = await bl.ven_for(home)
    program = await bl.program()
    document = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": ven["venName"]}
    async with listening(home, {"objects": "EVENT"}) as ear:
        await bl.event(program, targets=["a"])
        first = await bl.event(program)
        assert said(await ear.notification()) == ("CREATE", "EVENT", first["id"])

        (await bl.put(f"/vens/{ven['id']}", document | {"targets": ["a"]})).ok()
        second = await bl.event(program, targets=["a"])
        assert said(await ear.notification()) == ("CREATE", "EVENT", second["id"])


async def test_other_objects_are_told_of_to_their_owner_and_to_business_logic(lively: VtnUnderTest) -> None:
    """PRIV-017, SUBS-023."""
    bl, home, other = lively.bl, lively.home(), lively.home()
    event = await bl.event(await bl.program())
    async with listening(bl) as above, listening(home) as own, listening(other) as foreign:
        ven = await home.ven()
        resource = await home.resource(ven)
        report = await home.report(event)
        expected = [
            ("CREATE", "VEN", ven["id"]),
            ("CREATE", "RESOURCE", resource["id"]),
            ("CREATE", "REPORT", report["id"]),
        ]
        assert list(map(said, await above.all())) == expected
        assert list(map(said, await own.all())) == expected
        assert await foreign.all() == []


async def test_nobody_is_told_the_token_of_a_subscription(start_vtn: StartVtn) -> None:
    """SUBS-011: not even the owner, in a notification."""
    vtn = await start_vtn(webhook={"verify_echo": False}, notify={"dispatch": False})
    home = vtn.home()
    async with listening(home) as ear:
        (await home.post("/subscriptions", {"clientName": "c", "objectOperations": [HOOK]})).ok(201)

        notification = await ear.notification()
    assert notification["object"]["objectOperations"][0]["bearerToken"] is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([("objects", "PROGRAM")], "second renamed"),
        ([("objects", "PROGRAM"), ("objects", "EVENT")], "second renamed event other moved"),
        ([("operations", "UPDATE")], "renamed moved"),
        ([("objects", "EVENT"), ("operations", "CREATE")], "event other"),
        ([("programID", "{program}")], "second renamed event moved"),
        ([("objects", "EVENT"), ("targets", "a")], "event moved"),
        ([("targets", "x"), ("targets", "b")], "other"),
    ],
)
async def test_the_query_narrows_what_is_told(
    lively: VtnUnderTest, params: list[tuple[str, str]], expected: str
) -> None:
    """SUBS-022: a program narrows events, not programs; SUBS-024: targets leave out what has none."""
    bl = lively.bl
    program = await bl.program()
    params = [(name, value.format(program=program["id"])) for name, value in params]
    async with listening(bl, params) as ear:
        second = await bl.program()
        (await bl.put(f"/programs/{program['id']}", {"programName": program["programName"]})).ok()
        event = await bl.event(program, targets=["a"])
        other = await bl.event(second, targets=["b"])
        (await bl.put(f"/events/{event['id']}", {"programID": program["id"], "targets": ["c"]})).ok()

        names = {
            ("CREATE", second["id"]): "second",
            ("UPDATE", program["id"]): "renamed",
            ("CREATE", event["id"]): "event",
            ("CREATE", other["id"]): "other",
            ("UPDATE", event["id"]): "moved",
        }
        found = [names[one["operation"], one["object"]["id"]] for one in await ear.all()]
    assert " ".join(found) == expected


@pytest.mark.parametrize("scope", [Scope.READ_TARGETS, Scope.READ_VEN_OBJECTS])
async def test_scopes_limit_the_kinds_of_objects(lively: VtnUnderTest, scope: Scope) -> None:
    """AUTH-011: what a token may not read it is not told of."""
    bl, home = lively.bl, lively.home()
    reader = lively.caller(Role.VEN, scopes={scope}, client_id=home.client_id)
    async with listening(reader) as ear:
        program, ven = await bl.program(), await home.ven()
        seen = program if scope is Scope.READ_TARGETS else ven

        assert [one["object"]["id"] for one in await ear.all()] == [seen["id"]]


@pytest.mark.parametrize("seed", range(3))
async def test_who_follows_what_is_told_knows_what_a_get_shows(lively: VtnUnderTest, seed: int) -> None:
    """PRIV-014, PRIV-021: with grants and targets at random, the view that messages make is that of REST."""
    chance = Random(seed)

    def some() -> list[str]:
        return chance.sample(["a", "b", "c"], chance.choice([0, 0, 1, 1, 2]))

    bl, homes = lively.bl, [lively.home() for _ in range(3)]
    for home in homes:
        ven = await bl.ven_for(home, targets=some())
        await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=home.client_id, targets=some())
    programs = [await bl.program(targets=some()) for _ in range(2)]
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(listening(home, {"objects": "EVENT"})) for home in (bl, *homes)]
        events: list[Any] = []
        for number in range(20):
            members = {"targets": some(), "eventName": f"{number}"}
            if not events or chance.random() < 0.4:
                events.append(await bl.event(chance.choice(programs), **members))
                continue
            event = chance.choice(events)
            if chance.random() < 0.15:
                events.remove(event)
                (await bl.delete(f"/events/{event['id']}")).ok()
            else:
                (await bl.put(f"/events/{event['id']}", {"programID": event["programID"], **members})).ok()
        for reader, ear in zip((bl, *homes), ears, strict=True):
            view: dict[str, Any] = {}
            for one in await ear.all():
                view.pop(one["object"]["id"], None)
                if one["operation"] != "DELETE":
                    view[one["object"]["id"]] = one["object"]
            assert view == {one["id"]: one for one in (await reader.get("/events")).ok()}
