"""READ notifications: who is told that a single object was read (SUBS-029, R-27b)."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Table

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.outbox import LAB, Recorded, message, subscribe, with_mqtt
from tests.vtn.statements import Statements
from vtn.errors import Unavailable
from vtn.store.engine import AsyncConnection
from vtn.store.outbox.reads import MOST_WAITING, Reads
from vtn.store.outbox.rows import Delivery
from vtn.store.outbox.subscribers import endpoint_id_of
from vtn.store.tables import programs

URL = "https://127.0.0.1:1/hook"


@pytest_asyncio.fixture(loop_scope="session")
async def lab(start_vtn: StartVtn) -> VtnUnderTest:
    """A VTN whose subscribers need no receiver."""
    return await start_vtn(webhook=LAB)


async def told_of_reads(client: Session, *kinds: str, **members: Any) -> str:
    """Subscribe to reads and return the endpoint."""
    made = await subscribe(client, objects=list(kinds), operations=("READ",), url=URL, **members)
    return endpoint_id_of(made, URL)


async def told(recorded: Recorded, count: int) -> list[Delivery]:
    """Return the next deliveries, once there are so many; reads are recorded in their order, so none can come late."""
    found: list[Delivery] = []

    async def all_there() -> bool:
        found.extend(await recorded.new())
        return len(found) >= count

    await wait_until(all_there)
    assert len(found) == count
    return found


async def test_a_subscriber_is_told_that_another_client_has_read_an_object(lab: VtnUnderTest) -> None:
    """With the object as the subscriber itself would be shown it (WEBHOOK-012)."""
    bl, home, other = lab.bl, lab.home(), lab.home()
    await bl.ven_for(home, ["g"])
    await bl.ven_for(other, ["g", "h"])
    program = await bl.program()
    event = await bl.event(program, targets=["g", "h"])
    recorded = Recorded(lab)
    endpoint = await told_of_reads(home, "EVENT")

    (await other.get(f"/events/{event['id']}")).ok()
    (delivery,) = await told(recorded, 1)
    assert delivery.endpoint_id == endpoint
    assert message(delivery) == {
        "objectType": "EVENT",
        "operation": "READ",
        "object": (await home.get(f"/events/{event['id']}")).ok(),
        "targets": ["g"],
    }


async def test_nobody_is_told_of_searches_of_own_reads_and_of_what_is_not_seen(lab: VtnUnderTest) -> None:
    bl, home = lab.bl, lab.home()
    await bl.ven_for(home, ["g"])
    program = await bl.program()
    event = await bl.event(program, targets=["g"])
    hidden = await bl.event(program, targets=["h"])
    recorded = Recorded(lab)
    endpoint = await told_of_reads(home, "EVENT")
    (await home.get(f"/events/{event['id']}")).ok()
    (await bl.get("/events")).ok()
    (await bl.get(f"/events/{hidden['id']}")).ok()
    (await bl.get(f"/programs/{program['id']}")).ok()
    (await home.get("/events/nothing")).problem(404)

    tag = (await bl.get(f"/events/{event['id']}")).headers["ETag"]
    assert (await bl.get(f"/events/{event['id']}", if_none_match=tag)).status == 304
    assert [(one.endpoint_id, one.notification.object_id) for one in await told(recorded, 2)] == [
        (endpoint, event["id"]),
        (endpoint, event["id"]),
    ]


async def test_reads_go_to_webhooks_only(lab: VtnUnderTest) -> None:
    """MQTT-031: neither does a change bring READ to anybody."""
    bl = lab.bl
    await with_mqtt(lab)
    program = await bl.program()
    recorded = Recorded(lab)
    endpoint = await told_of_reads(bl, "PROGRAM", "VEN")
    await recorded.new()

    ven = await lab.home().ven()
    assert [one.endpoint_id for one in await recorded.new()] == ["mqtt"]
    (await lab.bl.get(f"/programs/{program['id']}")).ok()
    (await lab.bl.get(f"/vens/{ven['id']}")).ok()
    assert [(one.endpoint_id, one.notification.object_type) for one in await told(recorded, 2)] == [
        (endpoint, "PROGRAM"),
        (endpoint, "VEN"),
    ]


async def test_while_nobody_wants_to_hear_of_reads_nothing_is_recorded(
    lab: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction is opened for it."""
    bl, program = lab.bl, await lab.bl.program()
    (await bl.get(f"/programs/{program['id']}")).ok()
    reads = lab.server._wiring(lab.server._stores()).stores.reads
    with Statements(lab) as statements, monkeypatch.context() as patch:
        patch.setattr(lab.server._database, "write", lambda: pytest.fail("a transaction is opened"))
        for _ in range(5):
            (await bl.get(f"/programs/{program['id']}")).ok()
        reads.add(programs, program["id"], reader="somebody")
        await reads.store()
    assert [text for text in statements.texts if "notifications" in text] == []


async def test_what_was_read_last_is_told_when_the_server_stops(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    late = await start_vtn(webhook=LAB)
    program = await late.bl.program()
    recorded = Recorded(vtn)
    await told_of_reads(late.bl, "PROGRAM")
    (await late.bl.get(f"/programs/{program['id']}")).ok()
    await late.stop()
    assert [one.notification.object_id for one in await recorded.new()] == [program["id"]]


async def test_they_can_be_switched_off(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Changes are told as before."""
    off = await start_vtn(webhook=LAB, subscriptions={"read_notifications": False})
    recorded = Recorded(vtn)
    await subscribe(off.bl, objects=["PROGRAM"], operations=("READ", "CREATE"), url=URL)
    program = await off.bl.program()
    (await off.bl.get(f"/programs/{program['id']}")).ok()
    assert "reads" not in off.server.services.names
    await off.stop()
    assert [str(one.operation) for one in await recorded.new()] == ["CREATE"]


async def test_reads_wait_while_the_database_does_not_answer_but_not_without_bound(lab: VtnUnderTest) -> None:
    program = await lab.bl.program()
    await told_of_reads(lab.bl, "PROGRAM")
    is_away = True
    stored: list[str] = []

    async def record(_: AsyncConnection, __: Table, object_id: str, /, *, reader: str) -> None:
        if is_away:
            raise Unavailable("gone")
        stored.append(f"{object_id} {reader}")

    reads = Reads(lab.server._database, record, lambda table: "PROGRAM" if table is programs else None, enabled=True)
    reads.add(programs, program["id"], reader="first")
    with pytest.raises(Unavailable):
        await reads.store()
    for _ in range(MOST_WAITING + 5):
        reads.add(programs, program["id"], reader="later")
    assert reads.dropped == 6
    is_away = False
    await reads.store()
    assert len(stored) == MOST_WAITING
    assert stored[0] == f"{program['id']} first"
