"""Concurrent requests for the same name (OBJ-014)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest, unique


@pytest.mark.parametrize("collection", ["programs", "vens by client", "vens by name", "resources"])
async def test_of_many_equal_objects_made_at_once_there_is_one(
    vtn: VtnUnderTest, start_vtn: StartVtn, collection: str
) -> None:
    """OBJ-014: through two servers on one database; exactly one 201, otherwise 409."""
    bl, home = vtn.bl, vtn.home()
    ven = await vtn.home().ven()

    def document() -> dict[str, Any]:
        match collection:
            case "programs":
                return {"programName": "same"}
            case "vens by client":
                return {"clientID": home.client_id, "venName": unique("v")}
            case "vens by name":
                return {"clientID": unique("c"), "venName": "same"}
            case _:
                return {"venID": ven["id"], "resourceName": "same"}

    path = f"/{collection.partition(' ')[0]}"
    other = await start_vtn()
    elsewhere = other.with_token(bl.headers["Authorization"].removeprefix("Bearer "))

    answers = await asyncio.gather(*(who.post(path, document()) for who in (bl, elsewhere) for _ in range(10)))

    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}


async def test_a_program_deleted_while_events_are_made_leaves_none_behind(
    vtn: VtnUnderTest, start_vtn: StartVtn
) -> None:
    """PROG-012, EVT-003: each event is either gone with its program or refused."""
    bl = vtn.bl
    program = await bl.program()
    other = await start_vtn()
    elsewhere = other.with_token(bl.headers["Authorization"].removeprefix("Bearer "))

    made = asyncio.gather(*(bl.post("/events", {"programID": program["id"]}) for _ in range(20)))
    (await elsewhere.delete(f"/programs/{program['id']}")).ok()

    assert {answer.status for answer in await made} <= {201, 400}
    assert await bl.ids("/events") == []


async def test_changes_to_one_object_happen_one_after_the_other(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """COMPAT-044: every change has a later date than the one before, whichever server made it."""
    bl = vtn.bl
    program = await bl.program()
    other = await start_vtn()
    elsewhere = other.with_token(bl.headers["Authorization"].removeprefix("Bearer "))
    path, document = f"/programs/{program['id']}", {"programName": program["programName"]}

    answers = await asyncio.gather(*(who.put(path, document) for who in (bl, elsewhere) for _ in range(10)))

    dates = [answer.ok()["modificationDateTime"] for answer in answers]
    assert len(set(dates)) == 20
    assert (await bl.get(path)).ok()["modificationDateTime"] == max(dates)


async def test_of_many_changes_tied_to_one_version_one_is_made(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """ETAG-004: two operators, one event."""
    bl = vtn.bl
    event = await bl.event(await bl.program())
    path, document = f"/events/{event['id']}", {"programID": event["programID"]}
    tag = (await bl.get(path)).headers["ETag"]

    answers = await asyncio.gather(
        *(bl.ask("PUT", path, json=document | {"priority": number}, headers={"If-Match": tag}) for number in range(10))
    )

    assert Counter(answer.status for answer in answers) == {200: 1, 412: 9}


async def test_what_was_answered_is_seen_by_every_server(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """ETAG-003: no later answer, and no 304, is from before a write that was answered."""
    bl, home = vtn.bl, vtn.home()
    other = await start_vtn()
    elsewhere = other.with_token(home.headers["Authorization"].removeprefix("Bearer "))
    program = await bl.program()
    tag = (await elsewhere.get("/events")).headers["ETag"]

    for number in range(10):
        event = await bl.event(program, priority=number)
        answer = await elsewhere.get("/events", if_none_match=tag)
        assert answer.ok()[0] == event
        tag = answer.headers["ETag"]
