"""Notifications in every form that is in use, and the topics that a VTN tells (VENCLIENT-014, VENCLIENT-018, R-34)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from openadr_client import ReceivedNotification, UnexpectedAnswer, UnreadableNotification, VtnClient, read_notification
from openadr_client.notifications import MAX_NOTIFICATION
from openadr_profiles.v31 import Event, Invalid, Program
from tests.support.scripted_vtn import an_event, scripted_vtn

EVENT = an_event("e1", intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1, 2.5]}]}])
PLAIN = {"objectType": "EVENT", "operation": "CREATE", "object": EVENT}
SNAKES = {
    "object_type": "EVENT",
    "operation": "POST",
    "object": {
        "id": "e1",
        "created_date_time": "2026-01-01 00:00:00+00:00",
        "modification_date_time": "2026-01-01 00:00:00Z",
        "object_type": "EVENT",
        "program_id": "p",
        "intervals": EVENT["intervals"],
    },
}


def read(document: Any) -> ReceivedNotification:
    return read_notification(json.dumps(document), way="mqtt", id_="n-1")


@pytest.mark.parametrize(
    "document",
    [
        PLAIN,
        {**PLAIN, "targets": ["a"], "id": "extra"},
        json.dumps(PLAIN),
        {**PLAIN, "object": json.dumps(EVENT)},
        SNAKES,
    ],
    ids=["standard", "more members", "encoded twice", "object encoded twice", "snake case and HTTP words"],
)
def test_every_form_of_a_notification_says_the_same(document: Any) -> None:
    """VENCLIENT-018."""
    told = read(document)
    assert (told.operation, told.object_type, told.object_id, told.way, told.id) == (
        "CREATE",
        "EVENT",
        "e1",
        "mqtt",
        "n-1",
    )
    event = told.object_as(Event)
    assert (event.id, event.program_id, [each.payloads[0].values for each in event.intervals or ()]) == (
        "e1",
        "p",
        [(1, 2.5)],
    )


def test_an_object_without_anything_around_it_is_an_update() -> None:
    """R-34: as a public price server sends it."""
    told = read(EVENT)
    assert (told.operation, told.object_type, told.object_id) == ("UPDATE", "EVENT", "e1")


@pytest.mark.parametrize(
    ("word", "meant"), [("put", "UPDATE"), ("DELETE", "DELETE"), ("GET", "READ"), ("REPLACED", "REPLACED")]
)
def test_operations_are_compared_by_meaning(word: str, meant: str) -> None:
    """Words that are not known are kept (VENCLIENT-019)."""
    assert read({**PLAIN, "operation": word}).operation == meant


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "list"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"object":' * 900 + b"{}" + b"}" * 900, "nested too deeply"),
        (b'{"object":' + b"[" * 900 + b"]" * 900 + b"}", "nested too deeply"),
        (b'{"operation":"CREATE"}', "without `object`"),
        (b'{"operation":"CREATE","object":{"id":7}}', "no id"),
        (b'{"operation":7,"object":{"id":"e"}}', "not a word"),
        (b"1" * (MAX_NOTIFICATION + 1), "at most"),
    ],
)
def test_what_is_no_notification_is_said_to_be_none(data: bytes, problem: str) -> None:
    with pytest.raises(UnreadableNotification, match=problem):
        read_notification(data, way="webhook")


def test_an_object_of_another_kind_is_refused_when_it_is_read() -> None:
    with pytest.raises(Invalid, match="programName"):
        read(PLAIN).object_as(Program)


def test_the_content_of_a_notification_is_not_in_logs() -> None:
    told = read({"operation": "UPDATE", "object": {"id": "s", "objectOperations": [{"bearerToken": "hush"}]}})
    assert "hush" not in repr(told)


async def test_topics_are_asked_for_and_one_for_all_is_preferred() -> None:
    """VENCLIENT-014."""
    answers: dict[str, Any] = {
        "/notifiers/mqtt/topics/programs": {"ALL": "x/programs/+", "CREATE": "x/programs/create"},
        "/notifiers/mqtt/topics/programs/p%2F1/events": {"CREATE": "c", "UPDATE": "u", "DELETE": ""},
    }

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"topics": answers[request.raw_path.removeprefix("/openadr3/3.1.0")]})

    async with scripted_vtn() as scripted, VtnClient(base_url=scripted.base_url) as vtn:
        scripted.answer = answer
        assert (await vtn.topics.programs()).filters == ("x/programs/+",)
        assert (await vtn.topics.program_events("p/1")).filters == ("c", "u")
        answers["/notifiers/mqtt/topics/vens"] = ["a"]
        with pytest.raises(UnexpectedAnswer, match="does not tell topics"):
            await vtn.topics.vens()


async def test_an_access_token_is_given_with_the_time_of_its_end() -> None:
    """VENCLIENT-015: a broker that takes it as a password has to be told the next one."""
    async with scripted_vtn() as scripted:
        async with VtnClient(base_url=scripted.base_url, client_id="a", client_secret="b") as vtn:
            token = await vtn.access_token()
            assert token is not None
            assert token.text == "token-1"
            assert "token-1" not in repr(token)
            assert token.renew_at is not None
            assert 3500 < (token.renew_at - vtn.clock.now()).total_seconds() <= 3540
        async with VtnClient(base_url=scripted.base_url) as vtn:
            assert await vtn.access_token() is None
