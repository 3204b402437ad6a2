"""Reading all pages of a list, and only what has changed."""

import json
from typing import Any

import pytest
import structlog
from aiohttp import web

from openadr_client import pooled_transport as long
from openadr_client import short_transport as short
from openadr_client.client import NOT_MODIFIED, VtnClient
from openadr_client.errors import (
    AnswerTooLarge,
    UnexpectedAnswer,
)
from tests.support.scripted_vtn import ScriptedVtn, an_event, json_list


class Shelf:
    """Events in the VTN's order, newest first, with an entity tag for every page."""

    def __init__(self, vtn: ScriptedVtn, count: int) -> None:
        self.ids = [f"e{number}" for number in range(count)]
        self.not_modified = 0
        self.after_page: dict[int, Any] = {}
        vtn.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        skip, limit = int(request.query["skip"]), int(request.query["limit"])
        body = json.dumps([an_event(id_) for id_ in self.ids[skip : skip + limit]])
        etag = f'"{hash(body)}"'
        if action := self.after_page.pop(skip, None):
            action()
        if request.headers.get("If-None-Match") == etag:
            self.not_modified += 1
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(text=body, headers={"ETag": etag}, content_type="application/json")


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 99, 100, 230])
async def test_all_pages_are_read(vtn: ScriptedVtn, client: VtnClient, count: int) -> None:
    """VENCLIENT-007."""
    shelf = Shelf(vtn, count)
    assert [event.id for event in await client.events.search()] == shelf.ids


async def test_deletion_while_paging_hides_no_other_object(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-007, VENCLIENT-012: an event that slips to the page just read must not look deleted."""
    shelf = Shelf(vtn, 120)
    shelf.after_page[0] = lambda: shelf.ids.remove("e3")
    assert {event.id for event in await client.events.search()} == set(shelf.ids)


async def test_insertion_while_paging_repeats_no_object(vtn: ScriptedVtn, client: VtnClient) -> None:
    shelf = Shelf(vtn, 120)
    shelf.after_page[0] = lambda: shelf.ids.insert(0, "new")
    found = [event.id for event in await client.events.search()]
    assert found == [id_ for id_ in shelf.ids if id_ != "new"]


async def test_vtn_that_ignores_paging_is_not_read_for_ever(vtn: ScriptedVtn, client: VtnClient) -> None:
    async def same_page(_: web.Request) -> web.StreamResponse:
        return json_list([an_event(f"e{number}") for number in range(50)])

    vtn.answer = same_page
    assert len(await client.events.search()) == 50


async def test_pages_of_large_objects_are_read_a_few_at_a_time(
    vtn: ScriptedVtn, client: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VENCLIENT-007: no more is read of one answer than fits, and objects larger than that are said to be so."""
    shelf = Shelf(vtn, 30)
    three = len(json.dumps([an_event(id_) for id_ in shelf.ids[-3:]]))
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", three)

    assert [event.id for event in await client.events.search()] == shelf.ids
    first = await client.events.poll()
    assert first is not NOT_MODIFIED
    assert [event.id for event in first] == shelf.ids
    assert await client.events.poll() is NOT_MODIFIED
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", three // 4)
    with pytest.raises(AnswerTooLarge, match="more than"):
        await client.events.search()


async def test_object_that_is_larger_than_an_answer_may_be_hides_no_other(
    vtn: ScriptedVtn, client: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V16: large events are read one by one, and one that is too large is named as unreadable."""
    shelf = Shelf(vtn, 7)
    shelf.ids[3] = "e" * 120
    one = len(json.dumps([an_event("e6")]))
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", one + 20)

    found = await client.events.search()
    assert [event.id for event in found] == [id_ for id_ in shelf.ids if id_ != "e" * 120]
    assert [(each.id, "more than" in each.problem) for each in found.broken] == [(None, True)]


async def test_new_object_while_single_ones_are_read_hides_no_other(
    vtn: ScriptedVtn, client: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(vtn, 7)
    known = list(shelf.ids)
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", len(json.dumps([an_event("e6")])) + 20)
    shelf.after_page[2] = lambda: shelf.ids.insert(0, "new")

    assert [event.id for event in await client.events.search()] == known


async def test_vtn_that_has_always_another_page_is_not_read_for_ever(vtn: ScriptedVtn, client: VtnClient) -> None:
    """V3."""

    async def another_page(request: web.Request) -> web.StreamResponse:
        skip = int(request.query["skip"])
        return json_list([an_event(f"e{skip + number}") for number in range(50)])

    vtn.answer = another_page
    with pytest.raises(UnexpectedAnswer, match="no last page: 400 pages"):
        await client.events.poll()


async def test_unreadable_object_is_named_once(vtn: ScriptedVtn, client: VtnClient) -> None:
    """V18: not again at every poll, but again if its problem is another one."""
    broken: dict[str, Any] = {"id": "bad", "intervals": 5}

    async def one_broken(_: web.Request) -> web.StreamResponse:
        return json_list([an_event("e1"), broken])

    vtn.answer = one_broken
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await client.events.search()
        broken["intervals"] = "none"
        await client.events.search()
    assert [log["id"] for log in logs if log["event"] == "unreadable object ignored"] == ["bad", "bad"]


async def test_poll_says_when_nothing_has_changed(vtn: ScriptedVtn, client: VtnClient) -> None:
    shelf = Shelf(vtn, 120)
    first = await client.events.poll()
    assert first is not NOT_MODIFIED
    assert [event.id for event in first] == shelf.ids
    assert await client.events.poll() is NOT_MODIFIED
    assert shelf.not_modified == 3


@pytest.mark.parametrize("gone", ["e0", "e60", "e119"])
async def test_poll_sees_a_change_on_any_page(vtn: ScriptedVtn, client: VtnClient, gone: str) -> None:
    shelf = Shelf(vtn, 120)
    await client.events.poll()
    shelf.ids.remove(gone)
    second = await client.events.poll()
    assert second is not NOT_MODIFIED
    assert [event.id for event in second] == shelf.ids


async def test_poll_sees_that_the_last_page_is_gone(vtn: ScriptedVtn, client: VtnClient) -> None:
    shelf = Shelf(vtn, 60)
    await client.events.poll()
    del shelf.ids[49:]
    second = await client.events.poll()
    assert second is not NOT_MODIFIED
    assert [event.id for event in second] == shelf.ids


async def test_filters_are_sent_in_the_exploded_form(vtn: ScriptedVtn, client: VtnClient) -> None:
    """PAGE-012, PAGE-013."""
    await client.events.search(program_id="p1", targets=["north", "a,b"], active=True)
    assert vtn.paths == ["GET /events?programID=p1&targets=north&targets=a,b&active=true&skip=0&limit=50"]
