"""Whatever is done to events, VENs of OpenADR 2.0b keep a picture that fits, by numbers that never go down."""

from __future__ import annotations

import asyncio
import io
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from openadr_profiles.v20b.opt_reports import OptType
from tests.support.pki import Pki
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.v20b.conftest import Enrol, v20b_settings
from tests.vtn.v20b.scripted_ven import ScriptedVen
from tests.vtn.v20b.telling import ToldEvent, accept, answer, at, levels, polled, response, told
from tests.vtn.v20b.test_answers import said
from vtn.store.archive import read_archive, write_archive
from vtn.store.migrate import migrate
from vtn.store.v20b.answers import OptRow, StoredAnswer20b
from vtn.store.v20b.event_tables import oadr20b_projections

STEPS = 70


@dataclass
class Picture:
    """Hold what a VEN makes of the messages it gets."""

    ven: ScriptedVen
    targets: frozenset[str]
    events: dict[str, ToldEvent] = field(default_factory=dict)

    def learn(self, events: list[ToldEvent]) -> None:
        """Take a message in, after looking at what it may say (B-EVT-009, B-EVT-011, B-EVT-015)."""
        assert len({event.id for event in events}) == len(events)
        for event in events:
            known = self.events.get(event.id)
            if known is not None:
                assert event.number >= known.number
                assert known.status != "cancelled" or event.status == "cancelled"
                if event.number == known.number:
                    assert event.without_clock() == known.without_clock()
                else:
                    assert event.without_clock() != known.without_clock()
            else:
                assert event.number == 0 or event.status != "cancelled"
            self.events[event.id] = event

    @property
    def live(self) -> dict[str, list[float]]:
        """The levels of the events it follows, by the event of OpenADR 3."""
        return {event.id[:36]: event.values["SIMPLE"] for event in self.events.values() if event.status != "cancelled"}


async def test_a_walk_through_changes_keeps_every_picture_right(vtn20: VtnUnderTest, ven20: Enrol, pki: Pki) -> None:
    """B-EVT-001, B-EVT-009 … B-EVT-011, B-EVT-015, B-EVT-040, B-EVT-041: two processes, one database."""
    walk = random.Random(7)
    other = VtnUnderTest(vtn20.server.settings, vtn20.now)
    await other.start()
    pictures: list[tuple[Picture, ScriptedVen]] = []
    for held in ((), ("north",), ("north", "south")):
        files = pki.client(f"walker-{len(pictures)}")
        first = await ven20(vtn20, files=files, targets=held or None)
        second = await ven20(other, files=files, enrolled=False)
        second.ven_id = first.ven_id
        pictures.append((Picture(first, frozenset(held)), second))
    bl = vtn20.bl
    programs = [await bl.program() for _ in range(2)]
    there: dict[str, tuple[frozenset[str], list[float]]] = {}

    def members() -> tuple[dict[str, Any], frozenset[str], list[float]]:
        targets = walk.choice([[], ["north"], ["south"], ["north", "south"]])
        values = [float(walk.randint(0, 3)) for _ in range(walk.randint(1, 3))]
        given = levels(vtn20, *values, minutes=600, priority=walk.choice([0, 1, 5]))
        given["intervalPeriod"]["start"] = start
        named = {"programID": walk.choice(programs)["id"], "targets": targets}
        return given | named, frozenset(targets), values

    start = at(vtn20, 600)
    for _ in range(STEPS):
        step = walk.random()
        if step < 0.2 or not there:
            given, targets, values = members()
            there[(await bl.post("/events", given)).ok(201)["id"]] = targets, values
        elif step < 0.5:
            event_id = walk.choice(sorted(there))
            given, targets, values = members()
            (await bl.put(f"/events/{event_id}", given)).ok()
            there[event_id] = targets, values
        elif step < 0.6:
            event_id = walk.choice(sorted(there))
            (await bl.delete(f"/events/{event_id}")).ok()
            del there[event_id]
        else:
            picture, again = walk.choice(pictures)
            ven = walk.choice([picture.ven, again])
            events = await polled(ven)
            picture.learn(events)
            answered = [event for event in events if walk.random() < 0.7]
            if answered:
                assert (await answer(ven, *(response(event) for event in answered))).code == "200"
        vtn20.now.pass_(seconds=walk.choice([0, 1, 40]))
    for picture, _ in pictures:
        picture.learn(await polled(picture.ven))
        picture.learn(told(await picture.ven.request_events()))
        assert picture.live == {
            event_id: values
            for event_id, (targets, values) in there.items()
            if not targets or targets & picture.targets
        }
    await other.stop()


async def test_many_vens_that_ask_at_once_share_one_projection(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-008: whoever comes first projects an event, in whichever process."""
    other = VtnUnderTest(vtn20.server.settings, vtn20.now)
    await other.start()
    vens = [await ven20(vtn20) for _ in range(4)]
    for ven in vens[:2]:
        ven.base = ven.base.replace(str(vtn20.server.port_20b), str(other.server.port_20b))
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    found = await asyncio.gather(*(polled(ven) for ven in vens))
    assert [(event.id, event.number) for (event,) in found] == [(made["id"], 0)] * 4
    async with vtn20.server._database.write() as connection:
        counted = select(func.count()).where(oadr20b_projections.c.event_id == made["id"])
        assert (await connection.execute(counted)).scalar() == 1
    await other.stop()


async def test_an_answer_of_a_process_that_was_killed_is_reported_by_the_next(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """4.6: the answer is stored first, and its report made good at the next poll of the VEN."""
    ven, stores = await ven20(vtn20), vtn20.server.stores
    assert stores is not None
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    await polled(ven)
    (row,) = (await vtn20.bl.get("/vens")).ok()
    now = vtn20.now.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    saying = OptRow(
        ven_id=row["id"], event_id=made["id"], issue=0, number=0, opt_type=OptType.OUT.value, received_at=now
    )
    left = StoredAnswer20b(
        event_id=made["id"],
        issue=0,
        number=0,
        opt_type=OptType.OUT.value,
        response_code="200",
        closes=False,
        said=saying,
    )
    await stores.v20b.answers.store(row["id"], [left])
    assert (await vtn20.bl.get("/reports")).ok() == []
    assert await polled(ven) == []
    (only,) = await said(vtn20, made["id"])
    assert only["OPT"] == ["OPT_OUT", "no reason given"]


async def test_numbers_go_up_when_a_backup_is_restored(
    vtn20: VtnUnderTest, ven20: Enrol, pki: Pki, tmp_path: Path
) -> None:
    """B-EVT-011: VENs may have heard of changes that are not in the backup, and get everything anew."""
    files = pki.client(unique("restored"))
    ven, bl = await ven20(vtn20, files=files), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1))
    await accept(ven, await polled(ven))
    lines: list[bytes] = []
    await write_archive(vtn20.server._database, lines.append)
    for level in (2, 3):
        (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, level))).ok()
        (last,) = await polled(ven)
    other = VtnUnderTest(settings_for(f"sqlite:///{tmp_path / 'restored.sqlite3'}", v20b=v20b_settings(pki)), vtn20.now)
    await migrate(other.server._database)
    await read_archive(other.server._database, io.BytesIO(b"".join(lines)), vtn20.server._vault, drop_secrets=True)
    await other.start()
    again = await ven20(other, files=files, enrolled=False)
    again.ven_id = ven.ven_id
    (event,) = await polled(again)
    assert (event.id, event.values) == (made["id"], {"SIMPLE": [1]})
    assert event.number > last.number == 2
    (await other.bl.delete(f"/events/{made['id']}")).ok()
    (cancelled,) = await polled(again)
    assert (cancelled.number, cancelled.status) == (event.number + 1, "cancelled")
    await other.stop()
