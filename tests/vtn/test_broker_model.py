"""Random clients, filters and topics at a real Mosquitto, beside a model of who may get what (MQTT-016 … MQTT-019).

The model knows MQTT's wildcards and the table of trees only. What it does not allow nobody may get, and what it allows
must come, so that a broker that refuses everything fails as well.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.mosquitto import Mosquitto
from tests.vtn.mqtt_clients import MqttClient, connected
from vtn.notify.broker_access import rights
from vtn.notify.broker_access.dynamic_security import account
from vtn.notify.broker_access.dynamic_security import connected as administrator
from vtn.notify.broker_access.roles import Roles

T = TypeVar("T")

PREFIX = "openadr3/"
VENS = ("a1", "b2", "c3")
WHO = (*VENS, "bl")
LEVELS = ("openadr3", "public", "vens", *VENS, "programs", "events", "create", "", "x")


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT 4.7, written down once more, level by level."""
    asked, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and asked[0] in {"+", "#"}:
        return False
    for place, level in enumerate(asked):
        if level == "#":
            return True
        if place >= len(levels) or level not in {"+", levels[place]}:
            return False
    return len(asked) == len(levels)


def is_for(who: str, topic: str) -> bool:
    """Return True if somebody may get messages of a topic: the trees of MQTT-016 and MQTT-017."""
    levels = topic.split("/")
    if who == "bl":
        return levels[0] == "openadr3"
    return levels[:2] == ["openadr3", "public"] or levels[:3] == ["openadr3", "vens", who]


def is_granted(who: str, topic_filter: str) -> bool:
    """Return True if a filter lies within one tree, so that it names nothing else."""
    return is_for(who, topic_filter) and "$share" not in topic_filter


levels = st.sampled_from(LEVELS)
topics = st.one_of(
    st.lists(levels, min_size=1, max_size=5).map("/".join).filter(bool),
    st.builds("openadr3/vens/{}/{}".format, st.sampled_from(VENS), levels),
    st.builds("openadr3/public/{}/{}".format, levels, levels),
)
filters = st.one_of(
    st.builds(
        lambda levels, end: "/".join([*levels, *end]),
        st.lists(st.one_of(levels, st.just("+")), min_size=1, max_size=5),
        st.sampled_from([(), ("#",)]),
    ).filter(bool),
    st.builds("openadr3/vens/{}/#".format, st.sampled_from([*VENS, "+"])),
    st.builds("$share/g/openadr3/{}/#".format, st.sampled_from(["public", "vens/a1", "vens"])),
    st.sampled_from(["#", "+/#", "openadr3/public/#", "$SYS/#", "$CONTROL/#", "$share/g/#"]),
)


@dataclass
class Scenario:
    """Say who subscribes to what, and where the VTN then publishes."""

    subscriptions: list[tuple[str, str]]
    publications: list[str]


scenarios = st.builds(
    Scenario,
    st.lists(st.tuples(st.sampled_from(WHO), filters), max_size=12, unique=True),
    # Mosquitto 2.0.11 ends the connection of who publishes what it may not (test_broker_access.py looks at that).
    st.lists(topics.filter(lambda topic: topic.split("/")[0] == "openadr3"), min_size=1, max_size=12),
)


@dataclass
class Wire:
    """Open connections of everybody, and the loop that they live in."""

    loop: asyncio.AbstractEventLoop
    clients: dict[str, MqttClient]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self, scenario: Scenario) -> None:
        """Play a scenario and compare what came with the model."""
        self.loop.run_until_complete(self._play(scenario))

    async def _play(self, scenario: Scenario) -> None:
        granted: dict[str, list[str]] = {who: [] for who in WHO}
        for who, topic_filter in scenario.subscriptions:
            is_given = await self.clients[who].subscribe(topic_filter)
            assert is_given == is_granted(who, topic_filter), f"{who} asks for {topic_filter}"
            if is_given:
                granted[who].append(topic_filter)
        number = next(self.numbers)
        sent = [(topic, f"{number}.{place}") for place, topic in enumerate(scenario.publications)]
        for topic, payload in sent:
            await self.clients["vtn"].publish(topic, payload)
        for who in WHO:
            end = _end_of(who)
            await self.clients["vtn"].publish(end, f"end {number} of {who}")
            got = {(topic, each) for topic, each in await self.clients[who].until(f"end {number} of {who}")}
            expected = {
                (topic, payload)
                for topic, payload in sent
                if any(matches(topic_filter, topic) for topic_filter in granted[who])
            }
            got = {(topic, payload) for topic, payload in got if not payload.startswith("end ")}
            assert all(is_for(who, topic) for topic, _ in got), f"{who} got {got}"
            assert got == expected, who
        for who, topic_filter in scenario.subscriptions:
            if topic_filter in granted[who]:
                await self.clients[who].unsubscribe(topic_filter)
        for who in WHO:
            await self.clients[who].subscribe(_end_of(who))
        for client in self.clients.values():
            client.got.clear()


def _end_of(who: str) -> str:
    return "openadr3/end" if who == "bl" else f"openadr3/vens/{who}/end"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A Mosquitto that allows everything by default, as our own commands set it up, and a connection of everybody."""
    broker = Mosquitto(tmp_path_factory.mktemp("model"), dynamic_security=True)
    broker.start()
    with asyncio.Runner() as runner:
        opened = _everybody(broker)
        yield Wire(runner.get_loop(), runner.run(_awaited(opened.__aenter__())))
        runner.run(_awaited(opened.__aexit__(None, None, None)))
    broker.stop()


async def _awaited(work: Awaitable[T]) -> T:
    return await work


@asynccontextmanager
async def _everybody(broker: Mosquitto) -> AsyncIterator[dict[str, MqttClient]]:
    roles = Roles(PREFIX)
    user, password = broker.ADMIN
    async with administrator(
        broker.host, broker.port, username=user, password=password, tls=None, timeout_s=10
    ) as admin:
        kinds = ("subscribe", "publishClientSend", "publishClientReceive")
        lavish = [{"acltype": kind, "allow": True} for kind in kinds]
        await admin.do([{"command": "setDefaultACLAccess", "acls": lavish}])
        await admin.do([*roles.shared, *(roles.of_ven(ven) for ven in VENS)])
        await admin.do([account(ven, ven, roles.held(ven)) for ven in VENS])
        await admin.do([account("bl", "bl", roles.held(None)), account("vtn", "vtn", [roles.vtn])])
    async with AsyncExitStack() as stack:
        clients = {who: await stack.enter_async_context(connected(broker, who, who)) for who in (*WHO, "vtn")}
        for who in WHO:
            assert await clients[who].subscribe(_end_of(who))
        yield clients


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(scenario=scenarios)
def test_nobody_gets_more_than_the_model_allows_nor_less(wire: Wire, scenario: Scenario) -> None:
    """MQTT-016 … MQTT-019: any filters, and anything that the VTN publishes."""
    wire.run(scenario)


@settings(max_examples=500)
@given(who=st.sampled_from(WHO), topic_filter=filters, topic=topics)
def test_our_own_answers_follow_the_same_model(who: str, topic_filter: str, topic: str) -> None:
    """Answer a broker that asks as the roles at a Mosquitto would."""
    own = rights.of_business_logic(PREFIX) if who == "bl" else rights.of_ven(PREFIX, who)
    assert own.may_subscribe(topic_filter) == is_granted(who, topic_filter)
    assert own.may_read(topic) == is_for(who, topic)
    assert not own.may_publish(topic)
    if own.may_subscribe(topic_filter) and matches(topic_filter, topic):
        assert own.may_read(topic)
    assert rights.of_this_server(PREFIX).may_publish(topic) == (topic.split("/", maxsplit=1)[0] == "openadr3")


@pytest.mark.parametrize("broken", ["openadr3/public/#/x", "openadr3/public/a+", "openadr3/public/a#", "", "\0"])
def test_a_filter_that_is_none_is_granted_to_nobody(broken: str) -> None:
    """A broker may be more lenient than MQTT; we are not."""
    assert not rights.of_ven(PREFIX, "a1").may_subscribe(broken)
    assert not rights.of_business_logic("").may_subscribe(broken)
