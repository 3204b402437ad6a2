"""The bridge as a client of a real VTN, on a clock that runs 30 times as fast, as in the demo."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge_mqtt.errors import NoApi
from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import Broker, Settings
from bridge_mqtt.simulators.panels import SimulatedMqttPanel, simulated_panel
from openadr_client.client import VtnClient
from openadr_client.clock import ScaledClock
from openadr_client.errors import Unauthorized
from openadr_profiles.fleet.power import Sign
from openadr_profiles.fleet.reports import read_opts, read_status
from openadr_profiles.join_line import JoinLine
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    BlVenRequest,
    Duration,
    Event,
    EventPayloadDescriptor,
    EventRequest,
    Interval,
    IntervalPeriod,
    ProgramPayloadDescriptor,
    ProgramRequest,
    Report,
    ReportDescriptor,
    Start,
    ValuesMap,
)
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from vtn.access import Role
from vtn.app import VtnServer, build
from vtn.settings import Settings as VtnSettings

SECRET = "correct horse battery"
SPEED = 10


@dataclass
class Town:
    """A VTN with its business logic, a broker, and one clock for all."""

    clock: ScaledClock
    vtn: VtnServer
    operator: VtnClient
    broker: Mosquitto
    folder: Path
    stack: AsyncExitStack
    program_id: str

    def settings(self, panels: Sequence[dict[str, Any]], **vtn: Any) -> Settings:
        """A bridge for these panels."""
        return Settings.model_validate(
            {
                "vtn": {"url": self.vtn.base_url, "client_id": "bridge", "client_secret": SECRET, "poll_interval_s": 5}
                | vtn,
                "broker": {"url": self.broker.url},
                "database": {"url": f"sqlite:///{self.folder / 'bridge.sqlite3'}"},
                "panels": list(panels),
                "dispatch": {"first_contact_s": 60},
                "api": {"port": 0},
            }
        )

    async def panel(self, ven_id: str, dialect: str, seed: int) -> SimulatedMqttPanel:
        """A panel on the broker."""
        panel = simulated_panel(ven_id, dialect, Broker(url=self.broker.url), seed=seed, clock=self.clock)
        await self._keep(panel.run())
        return panel

    async def bridge(self, settings: Settings) -> Bridge:
        """A bridge that works."""
        bridge = await self.stack.enter_async_context(Bridge(settings, clock=self.clock))
        await self._keep(bridge.run())
        return bridge

    async def event(self, *values: float, start_s: float = 30, length_s: float = 60, **members: Any) -> Event:
        """An event with one interval per value."""
        now = self.clock.now()
        return await self.operator.events.create(
            EventRequest(
                program_id=self.program_id,
                interval_period=IntervalPeriod(
                    start=Start.of(now + timedelta(seconds=start_s)), duration=Duration.of(timedelta(seconds=length_s))
                ),
                intervals=tuple(
                    Interval(id=n, payloads=(ValuesMap(type="DISPATCH_SETPOINT_RELATIVE", values=(value,)),))
                    for n, value in enumerate(values)
                ),
                payload_descriptors=(EventPayloadDescriptor(payload_type="DISPATCH_SETPOINT_RELATIVE", units="KW"),),
                **members,
            )
        )

    async def report(self, event: Event, name: str) -> Report | None:
        """The bridge's report about an event by the beginning of its name."""
        found = await self.operator.reports.search(event_id=event.id)
        return next((each for each in found if (each.report_name or "").startswith(name)), None)

    async def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(stop)


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto) -> AsyncIterator[Town]:
    """A VTN that grants the bridge the group of the north."""
    async with a_town(tmp_path, mosquitto) as town:
        yield town


@asynccontextmanager
async def a_town(tmp_path: Path, mosquitto: Mosquitto, **vtn_settings: Any) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        clock = ScaledClock(SPEED)
        settings = VtnSettings.model_validate(
            {
                "port": 0,
                "database": {"url": f"sqlite:///{tmp_path / 'vtn.sqlite3'}"},
                "auth": {"argon2": {"time_cost": 1, "memory_kib": 8, "parallelism": 1}},
                **vtn_settings,
            }
        )
        vtn = build(settings, now=clock.now)
        await vtn.start()
        stack.push_async_callback(vtn.stop)
        await vtn.clients.add("operator", Role.BL, secret=SECRET)
        await vtn.clients.add("bridge", Role.VEN, secret=SECRET)
        operator = await stack.enter_async_context(
            VtnClient(base_url=vtn.base_url, client_id="operator", client_secret=SECRET, clock=clock)
        )
        await operator.vens.create(
            BlVenRequest(client_id="bridge", ven_name="mqtt-bridge", targets=("group:north", "group:south", "panel-1"))
        )
        program = await operator.programs.create(ProgramRequest(program_name="relief"))
        yield Town(clock, vtn, operator, mosquitto, tmp_path, stack, program.id)


async def test_an_event_of_the_vtn_reaches_the_panels_and_comes_back_as_reports(town: Town) -> None:
    """The whole way: event, split, commands, acks, restore, and reports with one resource per circuit."""
    one = await town.panel("panel-1", "flat", 1)
    two = await town.panel("panel-2", "flat", 2)
    older = await town.panel("panel-a", "envelope", 3)
    names = [{"id": name, "groups": ["group:north"]} for name in ("panel-1", "panel-2", "panel-a")]
    bridge = await town.bridge(town.settings(names))
    event = await town.event(
        -12,
        -12,
        -6,
        start_s=60,
        length_s=120,
        targets=("group:north",),
        report_descriptors=(
            ReportDescriptor(payload_type="DEMAND", reading_type="MEAN", units="KW"),
            ReportDescriptor(payload_type="DELTA_USAGE", units="KWH"),
        ),
    )

    final = await wait_until(lambda: town.report(event, "status-"), timeout_s=60)
    await wait_until(lambda: _is_final(town, event), timeout_s=180, what="the final status report")
    final = await town.report(event, "status-")
    assert final is not None
    intervals = read_status(final.resources)
    assert [interval.id for interval in intervals] == [0, 1, 2]
    for interval, asked in zip(intervals, (12, 12, 6), strict=True):
        sheds = {shed.resource_name: shed for shed in interval.sheds}
        assert sheds[AGGREGATED_REPORT].requested_kw == asked
        delivered = sheds[AGGREGATED_REPORT].delivered_kw
        assert delivered is not None
        # The mean over the interval: a panel of a busy machine begins late, and a second is ten of these.
        assert Decimal("0.1") * asked < delivered < asked + 3
        assert sheds["panel-1/hvac1"].delivered_kw == 0
        assert sheds["panel-1/heater1"].final_kw is not None
    assert (one.model.sheds, two.model.sheds) == (2, 2)  # the first two intervals ask the same: nothing is sent between
    assert older.model.sheds == 6  # its pieces last 60 s, half an interval

    opts = await town.report(event, "opt-")
    assert opts is not None
    assert {opt.resource_name: opt.opted_in for opt in read_opts(opts.resources)} == dict.fromkeys(
        ("panel-1", "panel-2", "panel-a"), True
    )
    asked_for = await wait_until(lambda: town.report(event, "report-"), timeout_s=60)
    assert asked_for is not None
    assert {d.payload_type for d in asked_for.payload_descriptors or ()} == {"DEMAND", "DELTA_USAGE"}
    by_name = {resource.resource_name: resource for resource in asked_for.resources}
    assert len(by_name[AGGREGATED_REPORT].intervals) == 3
    assert {"panel-1/heater1", "panel-2/heater1", "panel-a/ev1"} <= set(by_name)
    usage = [i.payloads[1].values[0] for i in by_name[AGGREGATED_REPORT].intervals]
    assert all(isinstance(kwh, float) and kwh < 0 for kwh in usage)

    resources = {each.resource_name for each in await town.operator.resources.search()}
    assert {"panel-1", "panel-1/hvac1", "panel-2/ev1", "panel-a/pv1"} <= resources
    assert bridge.health.as_json()["vtn"] == "ok"


async def test_an_event_is_carried_out_long_before_the_next_poll_if_the_vtn_tells_of_it(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """VENCLIENT-013: the VTN's broker may be that of the panels; a deleted event is told of as well."""
    told = {"url": mosquitto.url, "access": {"method": "ANONYMOUS"}}
    async with a_town(tmp_path, mosquitto, mqtt=told) as town:
        panel = await town.panel("panel-1", "flat", 1)
        await town.bridge(town.settings([{"id": "panel-1"}], poll_interval_s=86_400))
        event = await town.event(-3, targets=("panel-1",), start_s=0, length_s=36_000)
        await wait_until(lambda: panel.model.event_id is not None)
        await town.operator.events.delete(event.id)
        await wait_until(lambda: panel.model.event_id is None)


async def _is_final(town: Town, event: Event) -> bool:
    report = await town.report(event, "status-")
    if report is None:
        return False
    last = read_status(report.resources)[-1]
    return any(shed.resource_name == AGGREGATED_REPORT and shed.final_kw is not None for shed in last.sheds)


async def test_an_event_is_for_the_panels_it_names_only(town: Town) -> None:
    """Targets: a panel's id, one of its groups, or the bridge as a whole."""
    one = await town.panel("panel-1", "flat", 1)
    two = await town.panel("panel-2", "flat", 2)
    await town.bridge(town.settings([{"id": "panel-1"}, {"id": "panel-2", "groups": ["group:south"]}]))
    await town.event(-3, targets=("panel-1",), start_s=10, length_s=600)

    await wait_until(lambda: one.model.sheds == 1, timeout_s=60)
    event = await town.event(-3, targets=("group:north", "group:south"), start_s=10, length_s=600)
    await wait_until(lambda: two.model.sheds == 1, timeout_s=60)

    await town.operator.events.delete(event.id)
    await wait_until(lambda: two.model.event_id is None, timeout_s=60)
    assert one.model.event_id is not None


async def test_units_and_sign_come_from_the_program_if_the_event_does_not_say(town: Town) -> None:
    """ENUM-020, VENCLIENT-022: the sign goes by the program's name, the units by its descriptors."""
    one = await town.panel("panel-1", "flat", 1)
    program = await town.operator.programs.create(
        ProgramRequest(
            program_name="upside down",
            payload_descriptors=(ProgramPayloadDescriptor(payload_type="DISPATCH_SETPOINT_RELATIVE", units="W"),),
        )
    )
    settings = town.settings([{"id": "panel-1"}])
    dispatch = settings.dispatch.model_copy(update={"program_signs": {"upside down": Sign.POSITIVE_SHEDS}})
    bridge = await town.bridge(settings.model_copy(update={"dispatch": dispatch}))
    payload = ValuesMap(type="DISPATCH_SETPOINT_RELATIVE", values=(1500,))
    event = await town.operator.events.create(
        EventRequest(
            program_id=program.id,
            targets=("panel-1",),
            interval_period=IntervalPeriod(start=Start.of(town.clock.now()), duration=Duration.parse("PT10M")),
            intervals=(Interval(id=0, payloads=(payload,)),),
        )
    )

    await wait_until(lambda: one.model.sheds == 1, timeout_s=60)
    async with aiohttp.ClientSession() as session, session.get(f"{bridge.api_url}/api/events/{event.id}") as answer:
        seen = await answer.json()
    assert [window["requestedKw"] for window in seen["windows"]] == [1.5]


async def test_a_bridge_all_of_whose_loops_were_killed_still_polls_and_reports(town: Town) -> None:
    """An event of the VTN comes down and its reports go up as if nothing had happened."""
    one = await town.panel("panel-1", "flat", 1)
    bridge = await town.bridge(town.settings([{"id": "panel-1"}]))
    await wait_until(lambda: len(bridge.loops.tasks) == 13)
    before = dict(bridge.loops.tasks)
    for task in before.values():
        task.cancel()
    await wait_until(lambda: all(bridge.loops.tasks[name] is not task for name, task in before.items()))
    event = await town.event(-3, targets=("panel-1",), start_s=10, length_s=600)

    await wait_until(lambda: one.model.sheds == 1, timeout_s=60)
    await wait_until(lambda: town.report(event, "status-"), timeout_s=60)


async def test_each_panel_may_be_a_ven_of_its_own(town: Town) -> None:
    """Each follows the events that its own ven sees, by itself, and reports under its own name."""
    names = ("panel-b", "panel-c")
    lines = []
    for seed, name in enumerate(names):
        made = await town.vtn.clients.add(f"client-{name}", Role.VEN)
        lines.append(
            JoinLine(url=town.vtn.base_url, client_id=made.client_id, client_secret=made.secret, ven_name=name)
        )
        await town.operator.vens.create(
            BlVenRequest(client_id=f"client-{name}", ven_name=name, targets=("group:north", f"only:{name}"))
        )
        await town.panel(name, "flat", seed)
    file = town.folder / "lines"
    file.write_text("\n".join(line.encode() for line in lines))
    file.chmod(0o600)
    own = {"identity": "per_panel", "credentials_file": file, "client_id": None, "client_secret": None}
    bridge = await town.bridge(town.settings([{"id": name} for name in names], **own))
    for_both = await town.event(-2, targets=("group:north",), start_s=30, length_s=120)
    for_one = await town.event(-1, targets=("only:panel-c",), start_s=300, length_s=3600)

    async def parts(event: Event) -> dict[str, float]:
        async with aiohttp.ClientSession() as session, session.get(f"{bridge.api_url}/api/events/{event.id}") as answer:
            seen = await answer.json()
        return {part["venId"]: part["actualShedKw"] for part in seen.get("panels", ()) if part["actualShedKw"]}

    async def both_act() -> bool:
        return set(await parts(for_both)) == set(names)

    await wait_until(both_act, timeout_s=120)
    reports: list[Report] = []

    async def both_report() -> bool:
        reports[:] = await town.operator.reports.search(event_id=for_both.id)
        kinds = {(each.client_name, (each.report_name or "").partition("-")[0]) for each in reports}
        return kinds == {(name, kind) for name in names for kind in ("opt", "status")}

    await wait_until(both_report, timeout_s=120)
    for report in reports:
        assert report.client_id == f"client-{report.client_name}"
        about = {each.resource_name.partition("/")[0] for each in report.resources} - {AGGREGATED_REPORT}
        assert about == {report.client_name}
    for report in reports:
        if report.report_name == f"status-{for_both.id}":
            sheds = {each.resource_name: each for each in read_status(report.resources)[0].sheds}
            assert sheds[report.client_name].requested_kw == 2

    async def one_acts() -> bool:
        return set(await parts(for_one)) == {"panel-c"}

    await wait_until(one_acts, timeout_s=120)
    resources = {(each.client_id, each.resource_name) for each in await town.operator.resources.search()}
    assert {(f"client-{name}", name) for name in names} <= resources
    assert bridge.health.as_json()["vtn"] == "ok"
    assert bridge.health.aside == {}


async def test_wrong_credentials_end_the_start(town: Town) -> None:
    """One clear error instead of a bridge that waits for ever."""
    with pytest.raises(Unauthorized):
        async with Bridge(town.settings([{"id": "panel-1"}], client_secret="not the secret"), clock=town.clock):
            pass


async def test_an_address_without_the_version_ends_the_start(town: Town) -> None:
    """Something answers there, so waiting mends nothing: the message says what the address looks like."""
    settings = town.settings([{"id": "panel-1"}])
    url = settings.vtn.url.removesuffix("/openadr3/3.1.0")
    assert url != settings.vtn.url
    wrong = settings.model_copy(update={"vtn": settings.vtn.model_copy(update={"url": url})})
    with pytest.raises(NoApi, match=r"vtn\.url: no OpenADR API there .*404.*expected an address with the version"):
        async with Bridge(wrong, clock=town.clock):
            pass
