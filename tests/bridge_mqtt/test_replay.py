"""A real bridge takes every recording with faults added, and goes on carrying out events meanwhile."""

import math
import random

import aiomqtt
from sqlalchemy import select

from bridge_mqtt.store import Store
from bridge_mqtt.store.schema import panels as panel_rows
from bridge_mqtt.store.schema import quarantine as quarantined
from bridge_mqtt.store.schema import ven_acks
from openadr_client.clock import SystemClock
from openadr_profiles.panel import Ack, Telemetry, read_ack, read_telemetry
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.panel_captures import FILES, Recorded, recorded
from tests.support.panel_faults import as_at, mixed
from tests.support.waiting import wait_until

RECORDED_PANELS = ("ven-legacy-1", "ven-legacy-2", "ven-legacy-3", "ven-agent-1")


def traffic(seed: int) -> list[Recorded]:
    """All recordings in their order, as if they were sent now, with every fault somewhere."""
    now = SystemClock().now()
    chance = random.Random(seed)
    sent = [as_at(message, now) for name in FILES for message in recorded(name) if message.from_panel]
    return mixed(sent, chance)


async def test_every_recording_with_faults_is_stored_or_put_aside_and_events_go_on(world: World) -> None:
    """R7 to R9, R13, R16, R18: each answer once with its repetitions, each unreadable one aside, no number absurd."""
    panel = await world.add_panel("panel-1")
    listed = [{"id": each} for each in (*RECORDED_PANELS, "panel-1")]
    await world.start(
        panels=listed, telemetry={"own_topics": True, "loads_topics": True, "quarantine_per_hour": 10_000}
    )
    await world.until("/api/panels/panel-1", lambda found: found["online"])
    sent = traffic(seed=7)
    read = [read_ack(m.topic, m.payload, m.at, lambda _: None) for m in sent if m.is_ack]
    expected = {(ack.ven_id, ack.payload_hash) for ack in read if isinstance(ack, Ack)}
    samples = [read_telemetry(m.topic, m.payload, m.at) for m in sent if m.is_telemetry]
    aside = sum(not isinstance(each, Ack | Telemetry) for each in (*read, *samples))

    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        half = len(sent) // 2
        for message in sent[:half]:
            await client.publish(message.topic, message.payload, qos=1)
        await world.post(an_event(targets=("panel-1",), shed_kw=2.0))
        for message in sent[half:]:
            await client.publish(message.topic, message.payload, qos=1)

    store = await Store.open(world.settings(panels=listed).database.url.get_secret_value())
    try:

        async def stored() -> set[tuple[str, str]]:
            async with store.reading() as connection:
                rows = await connection.execute(
                    select(ven_acks.c.ven_id, ven_acks.c.payload_hash).where(ven_acks.c.ven_id != "panel-1")
                )
                return {(row.ven_id, row.payload_hash) for row in rows}

        async def all_stored() -> bool:
            return await stored() == expected

        await wait_until(all_stored, timeout_s=300, what="all answers stored")
        await world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

        async def put_aside() -> bool:
            async with store.reading() as connection:
                rows = (await connection.execute(select(quarantined.c.reason))).scalars().all()
            return len(rows) == aside

        await wait_until(put_aside, timeout_s=120, what=f"{aside} unreadable messages put aside")
        async with store.reading() as connection:
            answers = (await connection.execute(select(ven_acks))).mappings().all()
            heard = (await connection.execute(select(panel_rows))).mappings().all()
    finally:
        await store.close()

    for row in (*answers, *heard):
        assert all(math.isfinite(value) and abs(value) <= 1e15 for value in row.values() if isinstance(value, float))
    repeated = sum(row["duplicates"] for row in answers if row["ven_id"] != "panel-1")
    assert repeated == sum(isinstance(ack, Ack) for ack in read) - len(expected)
    shown = {found["venId"]: found["dialect"] for found in await world.get("/api/panels")}
    assert shown["ven-agent-1"] == "envelope"
    assert {shown[each] for each in RECORDED_PANELS[:3]} <= {"flat", None}
    assert (panel.model.sheds, panel.model.most_stacked) == (1, 1)
    assert (await world.get("/ready"))["status"] == "ready"
