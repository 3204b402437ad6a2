"""The outbox in /metrics: by channel, the same from every process, without a name of a client."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from vtn import outbox_metrics
from vtn.store.outbox.queue import Ended, Outcome, TurnEnd
from vtn.store.outbox.rows import Push

PREFIX = "oadr_vtn_notification"


async def numbers(vtn: VtnUnderTest) -> dict[tuple[str, ...], float]:
    """Return the numbers of notifications, by name and labels."""
    text = (await vtn.ask("GET", f"{vtn.origin}/metrics")).raw.decode()
    return {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }


async def test_metrics_tell_what_waits_what_was_delivered_and_what_is_broken(
    vtn: VtnUnderTest, start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what another process has delivered, as `oadr vtn dispatch` does."""
    monkeypatch.setattr(outbox_metrics, "_FRESH_S", 0.0)
    other = await start_vtn()
    rows = OutboxRows(vtn)
    hook, broken = await rows.endpoint("home-1"), await rows.endpoint("home-2")
    broker = await rows.endpoint(push="MQTT")
    assert broker == "mqtt"
    first = await numbers(vtn)
    done, dead = await rows.delivery(hook), await rows.delivery(hook)
    await rows.delivery(broken)
    vtn.now.pass_(seconds=90)
    await rows.delivery(broker)
    await rows.outbox.claim(by="me", lease_s=30, limit=9, push=[Push.WEBHOOK], failing=False, per_client=9)
    fails = TurnEnd(broken, failures=20, retry_in_s=60, broken=True, error="answered 500", failed=True)
    await rows.outbox.record(
        [Ended(done, Outcome.DELIVERED), Ended(dead, Outcome.DEAD, "answered 404")], [fails], by="me"
    )

    for server in (vtn, other):
        found = await numbers(server)
        assert found["s_pending", "WEBHOOK"] == 1
        assert found["s_pending", "MQTT"] == 1
        assert 89 < found["s_oldest_pending_seconds", "WEBHOOK"] < 91
        assert found["s_oldest_pending_seconds", "MQTT"] < 1
        grown = {name: found[name, "WEBHOOK"] - first.get((name, "WEBHOOK"), 0) for name in COUNTED}
        assert grown == {"_attempts_total": 3, "s_delivered_total": 1, "s_dead_total": 1}
        states = {key[2]: value for key, value in found.items() if key[:2] == ("_endpoints", "WEBHOOK")}
        assert states["BROKEN"] == 1
        assert found["_endpoints", "MQTT", "NEW"] == 1
        assert not any("home" in part for key in found for part in key)


COUNTED = ("_attempts_total", "s_delivered_total", "s_dead_total")


async def test_whoever_asks_again_at_once_costs_the_database_nothing(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for /metrics."""
    monkeypatch.setattr(outbox_metrics, "_FRESH_S", 3600.0)
    metrics = vtn.server._wiring(vtn.server._stores())._outbox_metrics()
    rows = OutboxRows(vtn)
    await rows.endpoint()
    before = await metrics.text()
    await rows.delivery(await rows.endpoint())
    assert await metrics.text() == before != b""


async def test_metrics_come_without_notifications_while_the_database_does_not_answer(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    vtn = await start_vtn()
    listing = vtn.server._wiring(vtn.server._stores()).stores.outbox_listing

    async def hang(*_: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(outbox_metrics, "_PATIENCE_S", 0.01)
    monkeypatch.setattr(type(listing), "figures", hang)
    text = (await vtn.ask("GET", f"{vtn.origin}/metrics")).raw
    assert b"oadr_vtn_requests" in text
    assert b"oadr_vtn_notifications_pending" not in text
