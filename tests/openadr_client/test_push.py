"""A real VTN that tells of changes, by its broker and by webhooks, and those who hear of them (VENCLIENT-013)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bench.support.net import free_port
from openadr_client import (
    HandlerVen,
    PushSettings,
    ReadAgain,
    ReceivedNotification,
    SystemClock,
    VtnClient,
    event_request,
    find_or_create_program,
    listen,
)
from openadr_client.notifications import Told
from openadr_client.push import _Waiting
from openadr_profiles.v31 import BlVenRequest, Event, EventRequest
from tests.openadr_client.announced import background
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from tests.ven.home import SECRET, Town
from tests.ven.home import town as a_town
from vtn.access import Role
from vtn.notify.signature import WebhookSigner

HOUR = timedelta(hours=1)
NEVER_S = 86_400.0
OpenTown = Callable[..., AbstractAsyncContextManager[Town]]


@pytest.fixture
def open_town(tmp_path: Path, empty_database: Path) -> OpenTown:
    """Opens a VTN on the machine's clock, with settings of the test."""
    return lambda **settings: a_town(tmp_path, SystemClock(), database=empty_database, **settings)


def with_broker(mosquitto: Mosquitto) -> dict[str, Any]:
    return {"mqtt": {"url": mosquitto.url, "access": {"method": "ANONYMOUS"}}}


def issued(program_id: str, name: str, **members: Any) -> EventRequest:
    begins = SystemClock().now() + HOUR
    return event_request(program_id, "SIMPLE", [1], start=begins, duration=HOUR, name=name, **members)


class Diary:
    """Holds what a VEN's handlers were called with."""

    def __init__(self, ven: HandlerVen) -> None:
        self.told: list[tuple[str, str | None]] = []
        for word in ("added", "changed", "removed"):
            getattr(ven, f"on_{word}")(self._writer(word))

    def _writer(self, word: str) -> Any:
        async def write(event: Event) -> None:
            self.told.append((word, event.event_name))

        return write


def home(town: Town) -> VtnClient:
    """Return the client of a VEN."""
    return VtnClient(base_url=town.vtn.base_url, client_id="home-1", client_secret=SECRET)


async def _live(town: Town, ven: HandlerVen, diary: Diary) -> None:
    """Have a VEN that never polls hear of everything that may happen to its events."""
    known = await ven.register()
    public = await find_or_create_program(town.bl, "everybody's")
    event = await town.bl.events.create(issued(public.id, "one"))
    await wait_until(lambda: diary.told == [("added", "one")])
    await town.bl.events.replace(event.id, issued(public.id, "two"))
    await wait_until(lambda: diary.told[1:] == [("changed", "two")])
    mine = await town.bl.events.create(issued(public.id, "mine", targets=(known.id,)))
    await wait_until(lambda: diary.told[2:] == [("added", "mine")])
    await town.bl.events.delete(event.id)
    await wait_until(lambda: diary.told[3:] == [("removed", "two")])
    held = await town.bl.events.create(issued(public.id, "for a group", targets=("group:a",)))
    request = BlVenRequest(client_id="home-1", ven_name="home-1", targets=("group:a",))
    await town.bl.vens.replace(known.id, request)
    await wait_until(lambda: diary.told[4:] == [("added", "for a group")])
    assert {each.id for each in ven.events} == {mine.id, held.id}


async def test_a_ven_hears_of_everything_by_the_broker(open_town: OpenTown, mosquitto: Mosquitto) -> None:
    """VENCLIENT-010: also of events that it may see only since its ven was changed."""
    async with open_town(**with_broker(mosquitto)) as town:
        await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
        async with home(town) as vtn:
            ven = HandlerVen(vtn, name="home-1", poll_s=NEVER_S, push=PushSettings(mode="mqtt", spread_s=0))
            diary = Diary(ven)
            async with background(ven.run()):
                await _live(town, ven, diary)


async def test_a_ven_hears_of_everything_by_webhook(open_town: OpenTown, tmp_path: Path) -> None:
    """VENCLIENT-013, VENCLIENT-016, VENCLIENT-017: challenge, token, signature (WEBHOOK-029) and content are real."""
    (key_file := tmp_path / "signing.key").touch(mode=0o600)
    key_file.write_text(base64.b64encode(bytes(range(32))).decode())
    lab = {"require_https": False, "allow_private_addresses": True, "signing_key_file": key_file}
    async with open_town(webhook=lab) as town:
        await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
        port = free_port()
        push = PushSettings(
            mode="webhook",
            callback_url=f"http://127.0.0.1:{port}/a",
            listen_port=port,
            signing_secret=SecretStr(WebhookSigner(key_file).secret("home-1")),
            spread_s=0,
        )
        async with home(town) as vtn:
            ven = HandlerVen(vtn, name="home-1", poll_s=NEVER_S, push=push)
            diary = Diary(ven)
            async with background(ven.run()):
                await _live(town, ven, diary)
        assert await town.bl.subscriptions.search() == []


async def test_business_logic_is_told_what_the_vtn_shows(open_town: OpenTown, mosquitto: Mosquitto) -> None:
    """WEBHOOK-012, MQTT-028: the object of a notification is what GET by its id gives."""
    async with open_town(**with_broker(mosquitto)) as town, listen(town.bl, objects=("EVENT",)) as told:
        first = await anext(told)
        assert isinstance(first, ReadAgain)
        program = await find_or_create_program(town.bl, "everybody's")
        event = await town.bl.events.create(issued(program.id, "one", targets=("group:a",)))
        await town.bl.events.delete(event.id)
        notes = [await anext(told), await anext(told)]
    assert all(isinstance(each, ReceivedNotification) for each in notes)
    assert [(each.operation, each.object_as(Event)) for each in notes if isinstance(each, ReceivedNotification)] == [
        ("CREATE", event),
        ("DELETE", event),
    ]


async def test_a_reader_that_is_too_slow_is_told_to_read_again() -> None:
    """Bound what waits, and lose nothing without a word."""
    waiting = _Waiting(3, ("EVENT",))
    for number in range(5):
        waiting.put(ReceivedNotification("CREATE", "EVENT", {"id": str(number)}, "mqtt"))
        waiting.put(ReceivedNotification("CREATE", "REPORT", {"id": "other"}, "mqtt"))
    read: list[Told] = [await anext(waiting), await anext(waiting)]
    assert isinstance(read[0], ReadAgain)
    assert isinstance(read[1], ReceivedNotification)
    assert read[1].object_id == "4"


async def test_a_receiver_that_ends_with_an_error_ends_its_reader() -> None:
    async def broken() -> None:
        raise RuntimeError("mistake")

    waiting = _Waiting(3, ("EVENT",))
    task = asyncio.create_task(broken())
    task.add_done_callback(waiting.end)
    with pytest.raises(RuntimeError, match="mistake"):
        await anext(waiting)
