"""Prove that what an event was before it was changed is kept, and found again."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.app import migrate_database
from vtn.store.archive import read_archive, write_archive
from vtn.store.database import Database
from vtn.store.event_versions import EventVersionStore, event_versions
from vtn.store.tables import events

PERIOD = {"start": "2026-06-01T18:00:00Z", "duration": "PT1H"}


def shed(kw: float) -> dict[str, Any]:
    """The members of an event that asks for so many kW less."""
    payload = {"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-kw]}
    units = {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "KW"}
    return {"intervalPeriod": PERIOD, "intervals": [{"id": 0, "payloads": [payload]}], "payloadDescriptors": [units]}


async def versions(vtn: VtnUnderTest, event: Any) -> Any:
    """The versions of an event, the present one first."""
    return await EventVersionStore(vtn.server._database).of(event["id"])


def kw_of(version: Any) -> float:
    """Return what a version asks for."""
    value: float = -version.event.intervals[0].payloads[0].values[0]
    return value


async def test_every_change_keeps_what_was(vtn: VtnUnderTest) -> None:
    """Show who wrote each version, from when it held to when another took its place, oldest last."""
    first, second = vtn.bl, vtn.bl
    program = await first.program()
    event = await first.event(program, eventName="peak", **shed(3))
    path, document = f"/events/{event['id']}", {"programID": program["id"], "eventName": "peak"}

    vtn.now.pass_(seconds=60)
    changed = (await second.put(path, document | {"targets": ["south"]} | shed(5))).ok()
    vtn.now.pass_(seconds=60)
    again = (await first.put(path, document | shed(4))).ok()

    now, before, issued = await versions(vtn, event)
    assert [(each.number, kw_of(each), each.written_by) for each in (now, before, issued)] == [
        (3, 4, first.client_id),
        (2, 5, second.client_id),
        (1, 3, first.client_id),
    ]
    assert [each.event.targets for each in (now, before, issued)] == [None, ("south",), None]
    assert issued.made_at.isoformat(timespec="microseconds").replace("+00:00", "Z") == event["createdDateTime"]
    assert issued.replaced_at == before.made_at
    assert before.made_at.isoformat(timespec="microseconds").replace("+00:00", "Z") == changed["modificationDateTime"]
    assert now.made_at.isoformat(timespec="microseconds").replace("+00:00", "Z") == again["modificationDateTime"]
    assert now.replaced_at is None


async def test_an_event_that_was_not_changed_has_one_version(vtn: VtnUnderTest) -> None:
    """Also after it was put again as it is, and none without an event."""
    program = await vtn.bl.program()
    event = await vtn.bl.event(program, **shed(3))
    (await vtn.bl.put(f"/events/{event['id']}", {"programID": program["id"]} | shed(3))).ok()

    (only,) = await versions(vtn, event)

    assert only.number == 1
    assert await versions(vtn, {"id": "not-there"}) == ()


async def test_versions_are_bounded_and_go_with_their_event(vtn: VtnUnderTest) -> None:
    """The version as issued and the last 49 stay; a long text is left out."""
    program = await vtn.bl.program()
    event = await vtn.bl.event(program, **shed(1))
    database = vtn.server._database
    path = f"/events/{event['id']}"
    (await vtn.bl.put(path, {"programID": program["id"], "eventName": "x" * 128, **many_intervals(9000)})).ok()
    async with database.write() as connection:
        for number in range(60):
            change = text("UPDATE events SET members = members || :more, modified_at = :at WHERE id = :id")
            await connection.execute(
                change, {"more": " ", "at": f"2026-06-01T13:00:{number:02}.000000Z", "id": event["id"]}
            )

    kept = await database.rows(
        select(event_versions.c.version, event_versions.c.members)
        .where(event_versions.c.event_id == event["id"])
        .order_by(event_versions.c.version)
    )

    assert [row["version"] for row in kept] == [1, *range(13, 62)]
    assert kept[0]["members"] is not None
    assert kept[1]["members"] is None  # above 256 KiB
    (await vtn.bl.delete(path)).ok()
    assert await database.rows(select(event_versions)) == []


def many_intervals(count: int) -> dict[str, Any]:
    """So many intervals of one price each."""
    payloads = [{"type": "PRICE", "values": [0.1]}]
    intervals = [{"id": number, "payloads": payloads} for number in range(count)]
    return {"intervalPeriod": {"start": "2026-06-01T18:00:00Z", "duration": "PT1S"}, "intervals": intervals}


async def test_events_are_searched_by_name_and_times(vtn: VtnUnderTest) -> None:
    """The columns follow every change; a cancelled event says since when it is (EVT-019)."""
    program = await vtn.bl.program()
    event = await vtn.bl.event(program, eventName="peak", **shed(3))
    unnamed = await vtn.bl.event(program)
    columns = (events.c.name, events.c.starts_at, events.c.ends_at, events.c.cancelled_at)

    async def found(one: Any) -> list[Any]:
        (row,) = await vtn.server._database.rows(select(*columns).where(events.c.id == one["id"]))
        return list(row.values())

    assert await found(event) == ["peak", "2026-06-01T18:00:00.000000Z", "2026-06-01T19:00:00.000000Z", None]
    assert await found(unnamed) == [None, unnamed["createdDateTime"], None, None]
    period = {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}
    body = {"programID": program["id"], "eventName": "off"} | shed(3) | {"intervalPeriod": period}
    at = (await vtn.bl.put(f"/events/{event['id']}", body)).ok()["modificationDateTime"]
    assert await found(event) == ["off", at, at, at]


async def test_a_backup_has_the_versions_and_older_ones_are_completed(vtn: VtnUnderTest, tmp_path: Path) -> None:
    """Also a version without its text; of events as an earlier version wrote them name and times are found again."""
    program = await vtn.bl.program()
    event = await vtn.bl.event(program, eventName="peak", **shed(3))
    (await vtn.bl.put(f"/events/{event['id']}", {"programID": program["id"], **many_intervals(9000)})).ok()
    (await vtn.bl.put(f"/events/{event['id']}", {"programID": program["id"], "eventName": "peak", **shed(5)})).ok()
    lines: list[bytes] = []
    await write_archive(vtn.server._database, lines.append)
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        del entry["sum"]
        if entry.get("table") == "events":
            for name in ("name", "starts_at", "cancelled_at", "written_by"):
                del entry["row"][name]
    older = b"".join(
        json.dumps(entry | ({"version": 1} if "version" in entry else {})).encode() + b"\n" for entry in entries
    )
    settings = settings_for(f"sqlite:///{tmp_path / 'restored.sqlite3'}", secrets_key_file=str(vtn.server._vault.file))
    await migrate_database(settings)
    database = Database(settings.database)

    await read_archive(database, BytesIO(older), vtn.server._vault)

    now, long, issued = await EventVersionStore(database).of(event["id"])
    assert (kw_of(now), long.event, kw_of(issued)) == (5, None, 3)
    (row,) = await database.rows(select(events.c.name, events.c.starts_at))
    assert tuple(row.values()) == ("peak", "2026-06-01T18:00:00.000000Z")
    await database.close()
