"""The simulated panels do what the recordings show that the real programs do, faults included."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import aiomqtt
import pytest

from bridge_mqtt.settings import Broker
from bridge_mqtt.simulators.envelope import EnvelopePanel
from bridge_mqtt.simulators.faults import NAMES, Faults, switch_on
from bridge_mqtt.simulators.flat import FlatPanel
from bridge_mqtt.simulators.fleet import PanelFigures, PanelFleet, PanelPlan, has_fault
from bridge_mqtt.simulators.panels import SimulatedMqttPanel, simulated_panel
from openadr_client.clock import ManualClock, SystemClock
from openadr_profiles.panel import Telemetry, read_telemetry
from tests.support.mosquitto import Mosquitto
from tests.support.panel_captures import recorded
from tests.support.waiting import wait_until

NOON = ManualClock().now()


def shed(kw: float, *, event: str = "evt-1", seconds: int = 300) -> bytes:
    """A command as the original backend sends it."""
    command = {"op": "event", "correlationId": "c-1", "event_id": event, "shed_kw": kw, "duration_sec": seconds}
    return json.dumps(command).encode()


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_repeated_command_sheds_again_and_the_claim_stays() -> None:
    """CAP 07: three times 3 kW take 9 kW, and the panel goes on saying 3."""
    panel = FlatPanel("panel-1", seed=1)
    before = panel.power_kw

    for _ in range(3):
        panel.command(shed(3), NOON)

    assert round(before - panel.power_kw, 1) == 9
    assert panel.sample(NOON)["shedPowerKw"] == 3
    assert panel.most_stacked == 3


def test_a_second_event_adds_up_and_replaces_the_first_and_any_restore_ends_both() -> None:
    """CAP 07: 4 and then 2 kW are 6 kW; a restore for another event ends everything."""
    panel = FlatPanel("panel-1", seed=1)
    before = panel.power_kw
    panel.command(shed(4, event="evt-a", seconds=10), NOON)
    panel.command(shed(2, event="evt-b", seconds=100), NOON)

    assert (panel.event_id, round(before - panel.power_kw, 1)) == ("evt-b", 6)
    panel.sample(at(11))
    assert panel.event_id == "evt-b"

    panel.command(b'{"op":"restore","event_id":"evt-z"}', at(12))
    assert (panel.event_id, panel.taken_kw()) == (None, {})


def test_the_end_is_only_looked_at_when_it_measures_and_a_restart_forgets() -> None:
    """CAP 12, 13: an event of 10 s goes on while nothing is measured; a restarted panel counts from one."""
    panel = FlatPanel("panel-1", seed=1)
    panel.sample(NOON)
    panel.command(shed(4, seconds=10), NOON)
    assert panel.taken_kw()
    panel.sample(at(26))
    assert not panel.taken_kw()

    panel.command(shed(4), at(27))
    panel.restart()
    sample = panel.sample(at(28))
    assert (sample["eventId"], sample["message_num"], panel.taken_kw()) == (None, 1, {})


def test_the_baseline_sinks_during_the_event() -> None:
    """CAP 15: the mean of the last sixty samples follows the curtailed power."""
    panel = FlatPanel("panel-1", seed=1)
    before = [panel.sample(at(5 * n)) for n in range(60)][-1]["baselinePowerKw"]
    panel.command(shed(8, seconds=3600), at(300))
    after = [panel.sample(at(300 + 5 * n)) for n in range(1, 61)][-1]

    assert before - after["baselinePowerKw"] > 7
    assert after["baselinePowerKw"] == pytest.approx(after["usedPowerKw"], abs=0.02)


def test_a_shadow_delta_undoes_the_shed_and_the_report_stays() -> None:
    """CAP 09: the circuits draw what they like, the claim and the event stay."""
    panel = FlatPanel("panel-1", seed=1)
    claimed = panel.command(shed(8), NOON)
    assert claimed is not None
    curtailed = panel.power_kw
    assert panel.desired({"loads": [{"id": "lights1", "enabled": False}, {"id": "nope", "enabled": True}]})

    sample = panel.sample(at(5))
    assert sample["usedPowerKw"] > curtailed + 5
    assert (sample["shedPowerKw"], sample["eventId"]) == (claimed["actual_shed_kw"], "evt-1")
    assert panel.circuits_kw()["lights1"] == 0
    assert not panel.desired({"circuits": [{"id": "hvac1", "enabled": False}]})


def test_a_local_event_has_an_id_of_its_own_and_no_answer() -> None:
    """CAP 10."""
    panel = FlatPanel("panel-1", seed=1)
    panel.local_event(2.0, 60, NOON)

    sample = read(panel.sample(NOON))
    assert sample.is_local_event
    assert sample.requested_reduction_kw == 2


def read(sample: dict[str, Any]) -> Telemetry:
    found = read_telemetry("volttron/metering", json.dumps(sample).encode(), NOON)
    assert isinstance(found, Telemetry)
    return found


def test_a_panel_that_feigns_answers_and_draws_what_it_drew() -> None:
    """CAP 16: 1.5 kW accepted, power unchanged."""
    for panel in (FlatPanel("panel-1", seed=1), EnvelopePanel("panel-2", seed=1)):
        panel.feigns = True
        before = panel.power_kw
        data = {"requestedReductionKw": 1.5, "durationS": 600}
        answer = panel.command(json.dumps({"op": "shedPanel", "shed_kw": 1.5, "data": data}).encode(), NOON)

        assert answer is not None
        assert (answer.get("actual_shed_kw"), answer.get("data", {}).get("acceptedReduceKw")).count(1.5) == 1
        assert (panel.power_kw, panel.taken_kw()) == (before, {})


def further(panel: FlatPanel, topic: str) -> dict[str, Any]:
    samples = [list(panel.further(panel.sample(NOON), NOON)) for _ in range(6)]
    return next(told.members or {} for told in samples[-1] if told.topic == topic)


def shadow(panel: FlatPanel) -> dict[str, Any]:
    return panel.shadow(NOON).members or {}


def answer(panel: FlatPanel) -> dict[str, Any]:
    return panel.command(shed(5), NOON) or {}


RECORDED_FORMS: list[tuple[str, str, Callable[[FlatPanel], dict[str, Any]]]] = [
    ("01-startup-idle", "volttron/metering", lambda panel: panel.sample(NOON)),
    ("01-startup-idle", "ven/loads/", lambda panel: further(panel, "ven/loads/panel-1")),
    ("01-startup-idle", "$aws/things/ven-legacy-1/shadow/update", shadow),
    ("02-dialect-event-flow", "ven/ack/", answer),
]


@pytest.mark.parametrize(("recording", "topic", "made"), RECORDED_FORMS, ids=[form[1] for form in RECORDED_FORMS])
def test_messages_have_the_members_of_the_recorded_ones(
    recording: str, topic: str, made: Callable[[FlatPanel], dict[str, Any]]
) -> None:
    """Names and kinds of all members, circuits included, are those of the real program."""
    real = next(json.loads(m.payload) for m in recorded(recording) if m.from_panel and m.topic.startswith(topic))

    assert form(made(FlatPanel("panel-1", seed=1))) == form(real)


def form(value: object) -> object:
    """The members of a document and the kinds of their values; of a list, those of its first item."""
    match value:
        case dict():
            return {name: form(each) for name, each in value.items()}
        case list():
            return [form(value[0])]
        case bool() | None | str():
            return type(value).__name__
        case _:
            return "number"


@asynccontextmanager
async def plugged_in(panel: SimulatedMqttPanel) -> AsyncIterator[SimulatedMqttPanel]:
    running = asyncio.create_task(panel.run())
    try:
        await asyncio.wait_for(panel.connected.wait(), 60)
        yield panel
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_retained_command_sheds_again_at_each_connection(mosquitto: Mosquitto) -> None:
    """CAP 11: what makes retained commands forbidden (rule C1)."""
    panel = simulated_panel("panel-retained", "flat", Broker(url=mosquitto.url), seed=1)
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client, plugged_in(panel):
        await client.publish("ven/cmd/panel-retained", shed(1), qos=1, retain=True)
        await wait_until(lambda: panel.model.sheds == 1)
        panel.unplug()
        await wait_until(lambda: not panel.connected.is_set())
        panel.plug_in()
        await wait_until(lambda: panel.model.sheds == 2)
        await client.publish("ven/cmd/panel-retained", b"", qos=1, retain=True)

    assert panel.model.most_stacked == 2


async def test_everything_that_the_program_sends_can_be_sent(mosquitto: Mosquitto) -> None:
    """Section 2: metering twice, lists, shadow documents at a delta; and a delta is obeyed over the broker."""
    panel = simulated_panel("panel-all", "flat", Broker(url=mosquitto.url), seed=1, interval_s=0.05, everything=True)
    heard: set[str] = set()
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        for topic in ("$aws/things/panel-all/#", "ven/+/panel-all", "volttron/metering"):
            await client.subscribe(topic, qos=1)
        async with plugged_in(panel):
            await client.publish(
                "$aws/things/panel-all/shadow/update/delta", b'{"state":{"loads":[{"id":"ev1","enabled":true}]}}', qos=1
            )
            async with asyncio.timeout(60):
                async for message in client.messages:
                    heard.add(message.topic.value)
                    if len(heard) >= 6:
                        break
            await wait_until(lambda: panel.model.circuits_kw()["ev1"] > 0)

    assert heard == {
        "$aws/things/panel-all/shadow/get",
        "$aws/things/panel-all/shadow/update",
        "$aws/things/panel-all/shadow/update/delta",
        "ven/telemetry/panel-all",
        "ven/loads/panel-all",
        "volttron/metering",
    }


async def test_the_older_program_leaves_a_last_will(mosquitto: Mosquitto) -> None:
    """CAP 16: the broker says that it is offline when its connection breaks, and not when it leaves."""
    panel = simulated_panel("panel-will", "envelope", Broker(url=mosquitto.url), seed=1)
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        await client.subscribe("volttron/dev", qos=1)
        async with plugged_in(panel):
            panel.unplug()
            async with asyncio.timeout(60):
                message = await anext(aiter(client.messages))

    assert json.loads(message.payload)["venId"] == "panel-will"


async def test_the_minimal_program_measures_on_its_own_topic_and_only_answers_a_ping(mosquitto: Mosquitto) -> None:
    """Section 2: it publishes nothing on the shared topic."""
    panel = simulated_panel("panel-m", "minimal", Broker(url=mosquitto.url), seed=1, interval_s=0.05)
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        await client.subscribe("ven/+/panel-m", qos=1)
        await client.subscribe("volttron/metering", qos=1)
        async with plugged_in(panel):
            for command in (shed(2), b"[]", b'{"op":"ping","correlationId":"p-1"}'):
                await client.publish("ven/cmd/panel-m", command, qos=1)
            async with asyncio.timeout(60):
                answers = [
                    message async for message in until(client, lambda message: message.topic.value == "ven/ack/panel-m")
                ]

    assert {message.topic.value for message in answers} <= {
        "ven/telemetry/panel-m",
        "ven/ack/panel-m",
        "ven/cmd/panel-m",
    }
    assert json.loads(answers[-1].payload)["correlationId"] == "p-1"
    assert panel.model.sheds == 0


async def until(client: aiomqtt.Client, last: Callable[[aiomqtt.Message], bool]) -> AsyncIterator[aiomqtt.Message]:
    async for message in client.messages:
        yield message
        if last(message):
            return


async def test_a_connection_that_only_listens_is_kept_alive_and_large_messages_arrive(mosquitto: Mosquitto) -> None:
    """Lengths of one to four digits, and pings when nothing is sent."""
    broker = Broker(url=mosquitto.url, keepalive_s=5)
    panel = simulated_panel("panel-quiet", "flat", broker, seed=1, faults=Faults(mute_telemetry=True))
    big = [b"[" + b" " * size + b"]" for size in (0, 126, 127, 16_383, 300_000)]
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client, plugged_in(panel):
        for payload in big:
            await client.publish("ven/cmd/panel-quiet", payload, qos=1)
        await wait_until(lambda: panel.heard == big)
        await wait_until(lambda: "Received PINGREQ from panel-quiet" in mosquitto.log_text())
        assert panel.connected.is_set()


async def test_topics_of_a_panel_can_have_levels_before_them(mosquitto: Mosquitto) -> None:
    """Commands, answers, metering and the last will: not shadow documents."""
    broker = Broker(url=mosquitto.url, topic_prefix="site/7")
    panel = simulated_panel("panel-p", "envelope", broker, seed=1, everything=True)
    heard: set[str] = set()
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        await client.subscribe("site/7/#", qos=1)
        await client.subscribe("$aws/things/panel-p/#", qos=1)
        async with plugged_in(panel), asyncio.timeout(60):
            await client.publish("site/7/ven/cmd/panel-p", b'{"op":"ping"}', qos=1)
            await wait_until(lambda: panel.commands == 1)
            panel.unplug()
            async for message in client.messages:
                heard.add(message.topic.value)
                if message.topic.value == "site/7/volttron/dev":
                    break

    assert heard == {
        "$aws/things/panel-p/shadow/get",
        "site/7/ven/cmd/panel-p",
        "site/7/ven/ack/panel-p",
        "site/7/volttron/metering",
        "site/7/volttron/dev",
    }


async def test_a_fleet_connects_counts_and_stops(mosquitto: Mosquitto) -> None:
    """Two programs in turn, one panel that says nothing; figures add up."""
    plans = [
        PanelPlan(f"fleet-{n}", ("flat", "envelope")[n % 2], n, 0.0, ("silent",) if n == 3 else ()) for n in range(6)
    ]
    fleet = PanelFleet(plans, Broker(url=mosquitto.url), interval_s=0.1, everything=False, clock=SystemClock())
    running = asyncio.create_task(fleet.run())
    try:
        await wait_until(lambda: fleet.figures().connected == 6 and fleet.figures().samples >= 12)
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            for n in range(6):
                data = {"requestedReductionKw": 1.0, "durationS": 60}
                command = {"op": "shedPanel", "shed_kw": 1.0, "duration_sec": 60, "data": data}
                await client.publish(f"ven/cmd/fleet-{n}", json.dumps(command), qos=1)
        figures = await wait_until(lambda: fleet.figures() if fleet.figures().commands == 6 else None)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    assert figures is not None
    assert (figures.sheds, figures.shedding, figures.double_sheds, figures.failed) == (5, 5, 0, 0)
    assert figures.shed_kw == pytest.approx(5, abs=0.05)
    both = figures + PanelFigures(panels=1, samples=2, problem="no broker", named={"x": "y"}, longest_stall_s=9)
    assert (both.panels, both.samples, both.problem) == (7, figures.samples + 2, "no broker")
    assert (both.named, both.longest_stall_s) == ({"x": "y"}, 9)


def test_every_fault_has_its_switch() -> None:
    """Names of the command line change the panel, or are those that happen now and then."""
    changed = {}
    for name in NAMES:
        faults = Faults()
        switch_on(faults, name)
        changed[name] = faults != Faults()

    assert {name for name, is_lasting in changed.items() if not is_lasting} == {
        "restarts",
        "outages",
        "gives-back",
        "local-events",
    }


def test_a_share_of_the_panels_has_a_fault_and_always_the_same_ones() -> None:
    chosen = [number for number in range(1000) if has_fault("silent", 0.1, number)]

    assert chosen == [number for number in range(1000) if has_fault("silent", 0.1, number)]
    assert 70 < len(chosen) < 130
    assert all(has_fault("silent", 1.0, number) for number in range(1000))


async def test_each_panel_can_have_a_certificate_of_its_own(mosquitto_tls: Mosquitto) -> None:
    """Section 1: the broker knows a panel by the name in its certificate."""
    files = {f"tls-{n}": mosquitto_tls.client_files(f"tls-{n}") for n in range(2)}
    plans = [
        PanelPlan(name, "flat", 1, 0.0, certificate=str(each.certificate), key=str(each.key))
        for name, each in files.items()
    ]
    broker = Broker(url=mosquitto_tls.url, ca_file=files["tls-0"].ca)
    fleet = PanelFleet(plans, broker, interval_s=0.1, everything=False, clock=SystemClock())
    running = asyncio.create_task(fleet.run())
    try:
        await wait_until(lambda: fleet.figures().connected == 2 and fleet.figures().samples >= 4)
        log = mosquitto_tls.log_text()
        assert all(re.search(rf"as {name} \(.*u'{name}'", log) for name in files), log
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
