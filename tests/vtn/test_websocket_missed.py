"""Tell a client what it missed while its websocket was closed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.ears import listening
from tests.vtn.harness import VtnUnderTest
from tests.vtn.websocket_told import said, told
from vtn.access import Role
from vtn.store.outbox.rows import Notification
from vtn.store.tables import notifications


class _Undone(Exception):
    """Ends a transaction that must not be committed."""


async def test_a_client_that_comes_back_is_told_what_it_missed(vtn: VtnUnderTest) -> None:
    bl, home = vtn.bl, vtn.home()
    await bl.ven_for(home, targets=["a"])
    program = await bl.program()
    async with listening(home) as ear:
        before = await bl.event(program)
        assert said(await ear.notification()) == ("CREATE", "EVENT", before["id"])
    vtn.now.pass_(minutes=14)
    missed = [await bl.event(program, targets=["a"]) for _ in range(3)]
    await bl.event(program, targets=["b"])
    async with listening(vtn.caller(Role.VEN, client_id=home.client_id), before=ear) as again:
        assert again.opened["missed"] is False
        assert await told(again, 3) == [("CREATE", "EVENT", one["id"]) for one in missed]
        after = await bl.event(program)
        assert await told(again, 1) == [("CREATE", "EVENT", after["id"])]


async def test_another_process_goes_on_where_one_has_stopped(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Also one that has not come as far as the place yet."""
    other = await start_vtn()
    async with listening(vtn.bl) as ear, listening(other.bl) as elsewhere:
        program = await vtn.bl.program()
        assert await told(ear, 1) == await told(elsewhere, 1) == [("CREATE", "PROGRAM", program["id"])]
    missed = await vtn.bl.program()
    async with listening(other.bl, before=ear) as again:
        assert again.opened["missed"] is False
        assert await told(again, 1) == [("CREATE", "PROGRAM", missed["id"])]


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True, scope="session")
async def test_what_is_committed_late_is_told_late_and_not_lost(vtn: VtnUnderTest, *, commits: bool) -> None:
    """PostgreSQL numbers a change before it is committed; until it is settled clients go on from before it."""
    bl, database = vtn.bl, vtn.server._database
    async with listening(bl, {"objects": "PROGRAM"}) as ear:
        first = await bl.program()
        assert await told(ear, 1) == [("CREATE", "PROGRAM", first["id"])]
        chosen = select(notifications).where(notifications.c.seq == ear.ids[0])
        row = dict(await database.row(chosen) or {})
        del row["seq"]
        with suppress(_Undone):
            async with database.write() as slow:
                inserted = insert(notifications).values({**row, "object_id": "late"}).returning(notifications.c.seq)
                late = (await slow.execute(inserted)).scalar_one()
                second = await bl.program()
                assert await told(ear, 1) == [("CREATE", "PROGRAM", second["id"])]
                assert int(ear.resume.partition("-")[0]) < late < ear.ids[-1]
                if not commits:
                    raise _Undone
        if commits:
            assert await told(ear, 1) == [("CREATE", "PROGRAM", "late")]
            assert ear.ids[-1] == late
    async with listening(bl, {"objects": "PROGRAM"}) as again:
        hub = vtn.server._websockets
        await wait_until(lambda: not hub._follower.waits)
        third = await bl.program()
        assert await told(again, 1) == [("CREATE", "PROGRAM", third["id"])]
        assert again.resume.startswith(f"{again.ids[-1]}-")


@pytest.mark.parametrize("place", ["999999999-{now}", "0-{long_ago}", "0-{later}"])
async def test_a_place_that_nothing_is_known_of_means_that_something_was_missed(vtn: VtnUnderTest, place: str) -> None:
    """A restored database, an absence of more than 15 minutes, a clock that was set back."""
    now = int(vtn.now().timestamp())
    after = place.format(now=now, long_ago=now - 901, later=now + 60)
    async with listening(vtn.bl, {"after": after}) as ear:
        assert ear.opened["missed"] is True


async def test_a_place_that_a_client_made_up_gives_it_no_older_changes(vtn: VtnUnderTest) -> None:
    """The time of a place is what the client says; that of the change behind it is not."""
    async with listening(vtn.bl) as ear:
        await vtn.bl.program()
        await ear.notification()
    vtn.now.pass_(seconds=901)
    now = int(vtn.now().timestamp())
    bl = vtn.caller(Role.BL)
    async with listening(bl, {"after": f"0-{now}"}) as forged, listening(bl, {"after": f"{ear.ids[-1]}-{now}"}) as true:
        assert forged.opened["missed"] is True
        assert true.opened["missed"] is False


async def test_a_ven_that_catches_up_has_nothing_read_that_is_of_no_concern_to_it(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 10,000 VENs each would read the reports of all."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    event = await bl.event(await bl.program())
    async with listening(home) as ear:
        pass
    await other.report(event)
    own, program = await home.report(event), await bl.program()
    hub, found = vtn.server._websockets, []
    read = hub._changes.read

    async def noting(**limits: Any) -> tuple[list[Notification], bool]:
        changes, are_all = await read(**limits)
        if "until" in limits:
            found.extend(changes)
        return changes, are_all

    monkeypatch.setattr(hub._changes, "read", noting)
    async with listening(home, before=ear) as again:
        assert await told(again, 2) == [("CREATE", "REPORT", own["id"]), ("CREATE", "PROGRAM", program["id"])]
    assert [one.object_id for one in found] == [own["id"], program["id"]]


async def test_changes_are_noted_while_somebody_listens_and_for_a_while_after(vtn: VtnUnderTest) -> None:
    """With nobody to hear of them nothing is noted."""
    bl, database = vtn.bl, vtn.server._database

    async def noted(program: Any) -> bool:
        chosen = select(notifications.c.seq).where(notifications.c.object_id == program["id"])
        return await database.row(chosen) is not None

    assert not await noted(await bl.program())
    async with listening(bl):
        assert await noted(await bl.program())
    vtn.now.pass_(minutes=15)
    assert await noted(await vtn.bl.program())
    vtn.now.pass_(minutes=15)
    assert not await noted(await vtn.bl.program())
