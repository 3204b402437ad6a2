"""The bridge at VTNs of other makers: one strict about types, one without entity tags that knows few rules."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bridge_mqtt.model import EventState
from bridge_mqtt.store import Store, events, reports
from bridge_mqtt.vtn_side import exchange, gateway
from openadr_profiles.fleet.reports import Opt, opt_report, read_status
from openadr_profiles.v31 import OperatingState, Report, decode
from tests.bridge_mqtt.conftest import World
from tests.bridge_mqtt.test_vtn_side import a_side, an_event
from tests.support.small_vtn import Manners, small_vtn
from tests.support.waiting import wait_until

STRICT = Manners(strict_types=True)
PLAIN = Manners(etags=False, unique_names=False, filters=False, problems=False, attributes=False, nulls=True)
VTNS = pytest.mark.parametrize("manners", [STRICT, PLAIN], ids=["strict", "plain"])


@VTNS
async def test_what_has_not_changed_is_not_new_and_what_has_is(sqlite_url: str, manners: Manners) -> None:
    """With or without entity tags: new, changed and deleted events are seen once."""
    async with a_side(sqlite_url, manners) as world:
        await world.side.register()
        world.vtn.put("programs", id="program-1", programName="relief")
        for n in range(120):
            an_event(world.vtn, f"evt-{n}")
        assert (await world.poll()).changed
        assert len(await world.states()) == 100  # as many as are shown
        assert not (await world.poll()).changed

        an_event(world.vtn, "evt-7", priority=1)
        assert (await world.poll()).changed
        assert not (await world.poll()).changed
        del world.vtn.objects["events"]["evt-8"]
        assert (await world.poll()).changed
        assert not (await world.poll()).changed
        async with world.store.reading() as connection:
            changed, deleted = await events.get(connection, "evt-7"), await events.get(connection, "evt-8")
            assert len(await events.open_versions(connection)) == 119
        assert changed is not None
        assert changed.event.priority == 1
        assert deleted is not None
        assert deleted.withdrawn_at is not None
        assert world.health.aside == {}


@VTNS
async def test_a_report_is_there_once_whatever_happens_to_the_answers(sqlite_url: str, manners: Manners) -> None:
    """Created, replaced, and found again by its name among all reports when the answer to its creation was lost."""
    async with a_side(sqlite_url, manners) as world:
        an_event(world.vtn, "evt-1")
        await world.poll()

        async def write(reason: str | None) -> None:
            opt = Opt("panel-1", opted_in=reason is None, reason=reason, state=OperatingState.NORMAL)
            now = datetime.now(UTC)
            report = opt_report(event_id="evt-1", client_name="mqtt-bridge", decided_at=now, opts=[opt])
            async with world.store.transaction() as connection:
                await reports.put(connection, report, now)

        loses = True

        async def lose(request: web.Request) -> web.StreamResponse | None:
            nonlocal loses
            if loses and request.method == "POST" and request.path.endswith("/reports"):
                loses = False
                await request.read()
                assert request.transport is not None
                request.transport.close()
            return None  # the report is stored, and nobody hears of it

        world.vtn.before = lose

        def said() -> list[Any]:
            return [
                each["resources"][0]["intervals"][0]["payloads"][1] for each in world.vtn.objects["reports"].values()
            ]

        await write(None)
        await world.side.send_reports()
        for reason in ("offline", "unresponsive"):
            await write(reason)

            async def delivered(reason: str = reason) -> bool:
                await world.side.send_reports()
                return said() == [{"type": "OPT", "values": ["OPT_OUT", reason]}]

            await wait_until(delivered, timeout_s=30)
        assert world.vtn.names("reports", "reportName") == ["opt-evt-1"]
        assert not loses


@VTNS
async def test_an_event_is_carried_out_and_reported(sqlite_world: World, manners: Manners) -> None:
    """The whole way: a panel sheds, its circuits are resources, and the reports are read by the schema's words."""
    async with small_vtn(manners) as vtn:
        panel = await sqlite_world.add_panel("panel-1")
        connection = {"url": vtn.base_url, "client_id": "bridge", "client_secret": "x", "poll_interval_s": 0.2}
        await sqlite_world.start(vtn=connection | {"token_url": f"{vtn.base_url}/auth/token"})
        vtn.put("programs", id="program-1", programName="relief")
        await wait_until(lambda: "panel-1/heater1" in vtn.names("resources", "resourceName"), timeout_s=30)
        vtn.put("events", id="evt-1", programID="program-1", **a_shed())
        await wait_until(lambda: panel.model.sheds == 1, timeout_s=30)

        def status() -> Report | None:
            found = [each for each in vtn.objects["reports"].values() if each["reportName"] == "status-evt-1"]
            return decode(json.dumps(found[0]).encode(), Report) if found else None

        report = await wait_until(status, timeout_s=30)
        assert report is not None
        sheds = {shed.resource_name: shed for shed in read_status(report.resources)[0].sheds}
        assert sheds["panel-1"].requested_kw == 3
        before = len(vtn.objects["resources"])
        del vtn.objects["events"]["evt-1"]
        await wait_until(lambda: panel.model.event_id is None, timeout_s=30)
        assert len(vtn.objects["resources"]) == before
        assert max(Counter(vtn.names("reports", "reportName")).values()) == 1
        assert len(vtn.objects["vens"]) == 1


async def test_reports_of_an_event_that_is_gone_when_it_is_over_do_not_wait(sqlite_url: str) -> None:
    """RDESC-022: it was deleted just before its end, and the VTN takes no report on it."""
    async with a_side(sqlite_url, STRICT) as world:
        await world.side.register()
        for event_id in ("evt-1", "evt-2"):
            an_event(world.vtn, event_id)
        await world.poll()
        opt = Opt("panel-1", opted_in=True, reason=None, state=OperatingState.NORMAL)
        async with world.store.transaction() as connection:
            for event_id in ("evt-1", "evt-2"):
                now = datetime.now(UTC)
                await events.advance(connection, event_id, EventState.SCHEDULED, EventState.COMPLETED, None, now)
                report = opt_report(event_id=event_id, client_name="mqtt-bridge", decided_at=now, opts=[opt])
                await reports.put(connection, report, now)
        del world.vtn.objects["events"]["evt-1"]

        async def refuse(request: web.Request) -> web.StreamResponse | None:
            is_report = request.method == "POST" and request.path.endswith("/reports")
            return web.json_response({"title": "no"}, status=400) if is_report else None

        world.vtn.before = refuse
        await world.side.send_reports()
        async with world.store.reading() as connection:
            gone, there = await events.get(connection, "evt-1"), await events.get(connection, "evt-2")
            assert await reports.count_unsent(connection) == 1
        assert gone is not None
        assert gone.withdrawn_at is not None
        assert gone.state is EventState.COMPLETED
        assert there is not None
        assert there.withdrawn_at is None


async def test_reports_that_wait_are_sent_one_after_the_other(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many an earlier run has left, and though nothing happens that would be a reason for more."""
    monkeypatch.setattr(gateway, "_REPORTS_AT_A_TIME", 1)
    monkeypatch.setattr(exchange, "_STATUS_EVERY", timedelta(days=1))
    await sqlite_world.add_panel("panel-1")
    store = await Store.open(sqlite_world.settings().database.url.get_secret_value())
    opt = Opt("panel-1", opted_in=True, reason=None, state=OperatingState.NORMAL)
    async with store.transaction() as connection:
        for number in range(20):
            now = datetime.now(UTC)
            report = opt_report(event_id=f"evt-{number}", client_name="mqtt-bridge", decided_at=now, opts=[opt])
            await reports.put(connection, report, now)
    await store.close()
    async with small_vtn(PLAIN) as vtn:
        access = {"url": vtn.base_url, "client_id": "bridge", "client_secret": "x"}
        await sqlite_world.start(vtn=access | {"token_url": f"{vtn.base_url}/auth/token"})
        await wait_until(lambda: len(vtn.objects["reports"]) == 20, timeout_s=30)


def a_shed() -> dict[str, Any]:
    """Return what an event asks for: 3 kW less for the next hour."""
    return {
        "intervalPeriod": {"start": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(), "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-3]}]}],
    }


async def test_a_vtn_that_takes_connections_and_never_answers_keeps_no_bridge_from_starting(
    sqlite_world: World,
) -> None:
    """What panels hold must be ended in time; once the VTN answers, its events are read without another start."""
    async with small_vtn() as vtn:
        gate = asyncio.Event()

        async def hold(_: web.Request) -> web.StreamResponse | None:
            await gate.wait()
            return None

        vtn.before = hold
        connection = {"url": vtn.base_url, "client_id": "bridge", "client_secret": "x", "poll_interval_s": 0.2}
        panel = await sqlite_world.add_panel("panel-1")
        bridge = await sqlite_world.start(vtn=connection | {"token_url": f"{vtn.base_url}/auth/token"})
        assert bridge.health.ready
        assert bridge.health.vtn == "no answer yet"
        vtn.put("events", id="evt-1", programID="program-1", **a_shed())
        gate.set()
        await wait_until(lambda: panel.model.sheds == 1, timeout_s=30)
        assert bridge.health.vtn is None
