"""Alarms in the database: raised once, cleared, acknowledged, told to each channel; on both kinds of databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from openadr_profiles.v31 import Invalid
from tests.vtn.harness import VtnUnderTest
from vtn.errors import NotFound
from vtn.store.alarm_tables import alarm_messages
from vtn.store.console.alarms import AlarmStore
from vtn.store.query import Page
from vtn.store.stamps import Stamps

SILENT = ("VEN_SILENT", "home-1", "house 1 is silent")
DISK = ("DISK_LOW", "vtn-a:/data", "1 GB is free")


def store_of(vtn: VtnUnderTest, *channels: str) -> AlarmStore:
    """The alarms in the database of a VTN, at the time of the test's clock."""
    return AlarmStore(vtn.server._database, Stamps(vtn.now), channels)


def everything(_kind: str, _subject: str) -> bool:
    """All kinds of alarms were looked for."""
    return True


async def test_a_condition_is_one_alarm_while_it_holds(vtn: VtnUnderTest) -> None:
    """Raised once however often it is seen, cleared once, and raised anew when it comes back."""
    store = store_of(vtn, "webhook", "email")
    assert await store.note([SILENT], covers=everything) == (1, 0)
    vtn.now.pass_(seconds=30)
    assert await store.note([(*SILENT[:2], "house 1 is silent still")], covers=everything) == (0, 0)
    (alarm,) = await store.holding()
    assert (alarm.kind, alarm.subject, alarm.text) == ("VEN_SILENT", "home-1", "house 1 is silent still")
    assert alarm.raised_at < alarm.seen_at
    assert await store.note([], covers=everything) == (0, 1)
    assert await store.note([], covers=everything) == (0, 0)
    assert await store.holding() == []
    assert await store.note([SILENT], covers=everything) == (1, 0)
    assert [each.cleared_at is None for each in await store.search()] == [True, False]
    told = [(each.is_clear, each.alarm and each.alarm.id) for each in await store.due("email", limit=9)]
    assert told == [(False, alarm.id), (True, alarm.id), (False, alarm.id + 1)]
    assert len(await store.due("webhook", limit=9)) == 3
    assert await store.due("mqtt", limit=9) == []


async def test_what_was_not_looked_for_stays(vtn: VtnUnderTest) -> None:
    """A fact that cannot be observed at present ends no alarm."""
    store = store_of(vtn)
    await store.note([SILENT, DISK], covers=everything)
    assert await store.note([], covers=lambda kind, _: kind == "VEN_SILENT") == (0, 1)
    assert [each.kind for each in await store.holding()] == ["DISK_LOW"]


async def test_two_processes_at_once_raise_one(vtn: VtnUnderTest) -> None:
    """The database holds that there is one of each kind and subject, and each channel is told once."""
    stores = [store_of(vtn, "email") for _ in range(8)]
    raised = await asyncio.gather(*(store.note([SILENT, DISK], covers=everything) for store in stores))
    assert sum(one for one, _ in raised) == 2
    assert len(await stores[0].holding()) == 2
    assert len(await stores[0].due("email", limit=99)) == 2


async def test_alarms_of_a_host_that_is_gone_are_cleared(vtn: VtnUnderTest) -> None:
    """Nobody else can see its disk."""
    store = store_of(vtn)
    await store.note([SILENT, DISK], covers=everything)
    vtn.now.pass_(seconds=100)
    assert await store.clear_unseen(["DISK_LOW"], for_s=101) == 0
    vtn.now.pass_(seconds=2)
    assert await store.clear_unseen(["DISK_LOW"], for_s=101) == 1
    assert [each.kind for each in await store.holding()] == ["VEN_SILENT"]


async def test_an_alarm_is_acknowledged_with_a_note(vtn: VtnUnderTest) -> None:
    """Show who, when and why; it goes on holding."""
    store = store_of(vtn)
    await store.note([SILENT, DISK], covers=everything)
    alarm = (await store.holding())[0]
    before, after = await store.acknowledge(alarm.id, by="anna", note="electrician is on the way")
    assert (before.acknowledged_by, before.note) == (None, None)
    assert (after.acknowledged_by, after.note) == ("anna", "electrician is on the way")
    assert after in await store.holding()
    assert [each.acknowledged_by for each in await store.holding()] == ["anna", None]
    with pytest.raises(NotFound, match="there is no alarm 99999"):
        await store.acknowledge(99_999, by="anna", note="")
    with pytest.raises(Invalid, match="at most 500 characters"):
        await store.acknowledge(alarm.id, by="anna", note="x" * 501)


async def test_alarms_are_searched_by_pages(vtn: VtnUnderTest) -> None:
    """Those that hold come first, then the newest."""
    store = store_of(vtn)
    await store.note([("VEN_SILENT", f"home-{number}", "silent") for number in range(5)], covers=everything)
    await store.note([("VEN_SILENT", "home-1", "silent")], covers=everything)
    assert [each.subject for each in await store.search()][:2] == ["home-1", "home-4"]
    assert [each.subject for each in await store.search(holding=False, page=Page(1, 2))] == ["home-3", "home-2"]
    assert await store.search(kind="DISK_LOW") == []


async def test_messages_that_fail_are_tried_again_and_given_up(vtn: VtnUnderTest) -> None:
    """After so many attempts, with the last error; the other channel is not touched."""
    store = store_of(vtn, "webhook", "email")
    await store.note([SILENT], covers=everything)
    (message,) = await store.due("email", limit=9)
    assert await store.record_failed([message.id], "it hung up", retry_in_s=10, max_attempts=2) == 1
    assert await store.due("email", limit=9) == []
    vtn.now.pass_(seconds=10)
    assert [each.attempts for each in await store.due("email", limit=9)] == [1]
    assert await store.record_failed([message.id], "it hung up again", retry_in_s=10, max_attempts=2) == 0
    vtn.now.pass_(seconds=10)
    assert await store.due("email", limit=9) == []
    (other,) = await store.due("webhook", limit=9)
    await store.record_sent([other.id])
    states = await store.channel_states()
    assert (states["email"].given_up, states["email"].last_error) == (1, "it hung up again")
    assert (states["webhook"].sent, states["webhook"].given_up, states["webhook"].last_error) == (1, 0, None)


async def test_old_alarms_go_with_their_messages(vtn: VtnUnderTest) -> None:
    """Not those that hold, however old."""
    store = store_of(vtn, "email")
    await store.note([SILENT, DISK], covers=everything)
    await store.note([DISK], covers=everything)
    vtn.now.pass_(days=91)
    assert await store.remove_over(older_than_s=91 * 86_400 + 1) == 0
    assert await store.remove_over(older_than_s=91 * 86_400 - 1) == 1
    assert [each.kind for each in await store.search()] == ["DISK_LOW"]
    left = await vtn.server._database.rows(select(alarm_messages.c.alarm_id))
    assert {row["alarm_id"] for row in left} == {each.id for each in await store.search()}
