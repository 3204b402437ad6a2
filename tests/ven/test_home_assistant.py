"""A whole VEN that Home Assistant sees, at a real broker: what is shown and when, what is obeyed, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from openadr_client import BoundedClient
from openadr_profiles.v31 import EventPayloadDescriptor
from tests.support.mosquitto import Mosquitto
from tests.support.pki import client_context
from tests.support.waiting import wait_until
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Town
from tests.ven.home_assistant_model import HomeAssistantModel, home_assistant_at
from tests.ven.test_feed_in import CIRCUITS as WITH_A_ROOF
from tests.ven.test_feed_in import Inverter, an_envelope
from ven.errors import DriverFailed
from ven.home_assistant import connection
from ven.home_assistant.messages import ShownDevice
from ven.home_assistant.survey import EVERYTHING
from ven.settings import VenSettings


class Cable:
    """The line to a broker, which can be cut, pulled out, or stop to carry anything."""

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker
        self._open: set[asyncio.StreamWriter] = set()
        self._frozen: set[asyncio.StreamWriter] = set()
        self.url = ""
        self.is_in = True
        self.hangs = False
        self.connections = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways."""
        self.connections += 1
        if not self.is_in:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._broker.host, self._broker.port)
        self._open |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not self.hangs and writer not in self._frozen:
                    writer.write(data)
        if writer not in self._frozen:
            writer.transport.abort()

    def freeze(self) -> None:
        """Have nobody hear of the other end any more, over the connections that are open now."""
        self._frozen |= self._open

    def cut(self) -> None:
        """End all connections at once."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()


@asynccontextmanager
async def cable(broker: Mosquitto) -> AsyncIterator[Cable]:
    """Lay a line to a broker."""
    line = Cable(broker)
    server = await asyncio.start_server(line.carry, broker.host, 0)
    async with server:
        line.url = f"mqtt://{broker.host}:{server.sockets[0].getsockname()[1]}"
        yield line
        line.cut()


SOON = {"reconnect_least_s": 0.05, "reconnect_most_s": 0.05}


def at(broker: Mosquitto, **more: Any) -> dict[str, Any]:
    return {"broker": {"url": broker.url, **SOON, **more}}


async def one(town: Town, start_home: StartHome, broker: Mosquitto, ha: HomeAssistantModel, **members: Any) -> Home:
    """Start a home that Home Assistant sees."""
    home = await start_home(home_assistant=at(broker), poll_s=60, **members)
    await ha.shows(state="normal", participate="ON")
    return home


async def test_an_event_is_seen_from_its_second_to_its_end(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    event = await town.issue(shed_event(-3))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        assert ha.components.keys() == {
            "state",
            "next_event",
            "power",
            "shed",
            "limit",
            "price",
            "next_price",
            "participate",
            "restore",
        }
        await ha.shows(next_event="2026-01-01T12:00:00.000Z", power="5.20", shed="0.00", limit="None", price="None")
        coming = ha.attributes("next_event")
        assert (coming["summary"], coming["start"], coming["end"], coming["opted_in"]) == (
            event.event_name,
            "2026-01-01T12:00:00.000Z",
            "2026-01-01T13:00:00.000Z",
            True,
        )
        assert "peak" in coming["description"]
        assert [each["summary"] for each in coming["events"]] == [event.event_name]

        await home.until(START)
        await home.quiet()
        assert town.clock.now() == START
        await ha.shows(state="in event", next_event="None", power="2.20", shed="3.00", limit="0.00")
        assert ha.attributes("limit")["circuits"] == [{"name": "EV charger", "limit_kw": 0.0, "limits_feed_in": False}]
        assert [each["summary"] for each in ha.attributes("next_event")["events"]] == [event.event_name]

        await home.until(START + timedelta(hours=1))
        await home.quiet()
        await ha.shows(state="normal", power="5.20", shed="0.00", limit="None")


async def test_the_switch_opts_out_of_everything_and_in_again(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    event = await town.issue(shed_event(-3))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        await home.until(START + timedelta(minutes=1))
        await ha.shows(state="in event")
        await ha.command("participate", "OFF")
        await ha.shows(participate="OFF", state="opted out", shed="0.00", limit="None")
        assert home.relay.in_force == {}
        await home.quiet()
        assert [(opt.opted_in, opt.reason) for opt in await town.opts(event)] == [(False, "Home Assistant")]

        await ha.command("participate", "ON")
        await ha.shows(participate="ON", state="in event", limit="0.00")
        assert home.relay.in_force == {"ev": 0}


async def test_off_takes_the_place_of_an_opt_out_that_would_end(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    """Whoever says off while they are out for two hours is still out when these are over; on ends that, too."""
    await town.issue(shed_event(-3))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        agent = home._agent
        assert agent is not None
        agenda = agent.control.agenda

        async def out_until(until: datetime) -> None:
            agenda.opt(EVERYTHING, opted_in=False, reason=None, until=until, now=town.clock.now())
            agent._act.set()
            await home.quiet()
            await ha.shows(participate="OFF")

        await out_until(START + timedelta(minutes=1))
        await ha.command("participate", "OFF")
        await wait_until(lambda: [each.until for each in agenda.choices] == [None])
        await home.until(START + timedelta(minutes=2))
        await ha.shows(participate="OFF", state="opted out")
        assert home.relay.in_force == {}

        await out_until(START + timedelta(minutes=50))
        await ha.command("participate", "ON")
        await ha.shows(participate="ON", state="in event", limit="0.00")


async def test_the_switch_shows_what_the_owner_said_elsewhere(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        await ha.command("participate", "OFF")
        await ha.shows(participate="OFF")
        await home.stop()
        await ha.shows(participate="unavailable")
        await home.start()
        await ha.shows(participate="OFF", state="opted out")


async def test_the_button_restores(town: Town, start_home: StartHome, mosquitto: Mosquitto) -> None:
    event = await town.issue(shed_event(-3))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        await home.until(START + timedelta(minutes=1))
        await ha.shows(state="in event")
        await ha.command("restore", "PRESS")
        await ha.shows(state="opted out", participate="ON", limit="None")
        assert home.relay.in_force == {}
        await home.quiet()
        assert [opt.reason for opt in await town.opts(event)] == ["Home Assistant"]


async def test_retained_commands_and_garbage_are_no_commands(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    """A retained command would be obeyed again at every connection; of what is wrong one line is logged."""
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        await home.stop()
        await ha.command("participate", "OFF", retain=True)
        await ha.command("restore", "PRESS", retain=True)
        with structlog.testing.capture_logs() as logs:
            await home.start()
            await ha.shows(participate="ON", state="normal")
            for payload in (b"", b"off", b"\xff\x00", b"[" * 100_000, "ON OFF", "OFF" + " " * 1000):
                await ha.command("participate", payload)
            for _ in range(200):
                await ha.command("restore", "RELEASE")
            await ha.say("homeassistant/status", b"\xff")
            await ha.command("participate", "OFF")
            await ha.shows(participate="OFF")
        told = [
            each["problem"]
            for each in logs
            if each.get("what", "").startswith("a command of Home Assistant") and "problem" in each
        ]
        assert any("retained" in each for each in told)
        assert sum("expected ON or OFF" in each for each in told) == 1
        assert sum("expected PRESS" in each for each in told) <= 1


async def test_good_commands_between_bad_ones_do_not_fill_the_log(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    async with home_assistant_at(mosquitto) as ha:
        with structlog.testing.capture_logs() as logs:
            await one(town, start_home, mosquitto, ha)
            for _ in range(50):
                await ha.command("participate", "perhaps")
                await ha.command("participate", "ON")
            await ha.command("participate", "OFF")
            await ha.shows(participate="OFF")
        about = [each for each in logs if each.get("what", "").startswith("a command of Home Assistant")]
        assert [each["problem"] for each in about] == ["expected ON or OFF, got something else"]


async def test_a_refused_subscription_stays_known_whatever_is_commanded(
    town: Town, start_home: StartHome, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = BoundedClient.subscribe_to

    async def refuse_one(client: BoundedClient, names: list[str]) -> list[str]:
        await real(client, names)
        return names[-1:]

    monkeypatch.setattr(BoundedClient, "subscribe_to", refuse_one)
    async with home_assistant_at(mosquitto) as ha:
        await one(town, start_home, mosquitto, ha)
        await ha.command("participate", "OFF")
        await ha.shows(participate="OFF")
        (problem,) = ha.attributes("state")["problems"]
        assert "refuses the subscription to openadr/home-1/restore/set" in problem


async def test_what_a_roof_may_feed_in_is_no_limit_of_what_is_drawn(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    inverter = Inverter({"oven": Decimal(1), "ev": Decimal(0), "roof": Decimal(-5)})
    await town.issue(an_envelope({"EXPORT_CAPACITY_LIMIT": 2.5}))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha, relay=inverter, circuits=WITH_A_ROOF)
        await home.until(START + timedelta(minutes=1))
        await ha.shows(state="in event", limit="None", shed="0.00")
        assert ha.attributes("limit")["circuits"] == [{"name": "roof", "limit_kw": 3.5, "limits_feed_in": True}]


async def test_what_is_shed_is_unknown_while_the_device_cannot_be_read(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    await town.issue(shed_event(-3))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        await home.until(START + timedelta(minutes=1))
        await ha.shows(power="2.20", shed="3.00")

        async def no_answer() -> None:
            raise DriverFailed("the device does not answer")

        home.relay.read = no_answer  # type: ignore[method-assign, assignment] # the edge that is replaced
        await ha.command("participate", "ON")
        assert home._agent is not None
        home._agent._act.set()
        await ha.shows(power="None", shed="None", limit="0.00")


async def test_everything_is_told_again_to_a_home_assistant_that_has_started(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    async with home_assistant_at(mosquitto) as ha:
        await one(town, start_home, mosquitto, ha)
        assert ha.count("/config") == 1
        for _ in range(3):
            await ha.start_anew()
        await wait_until(lambda: ha.count("/config") == 2 and ha.count("/availability") == 2)
        assert ha.count("/participate") == 2


async def test_only_what_has_changed_is_told(town: Town, start_home: StartHome, mosquitto: Mosquitto) -> None:
    """Measured power comes at most every half a minute, and at once with anything else."""
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha, sample_s=5)
        before = len(ha.seen)
        await home.pass_(minutes=2)
        assert ha.seen[before:] == []
        for watts in range(1, 13):
            home.relay.wants["fridge"] += watts * Decimal("0.01")
            await home.pass_(seconds=5)
        await ha.command("participate", "OFF")
        await ha.shows(participate="OFF", power="5.98")
        told = [topic.partition("home-1/")[2] for topic, _ in ha.seen[before:]]
        assert told.count("power") <= 4
        assert set(told) == {"power", "participate/set", "participate", "state"}


async def test_a_broker_that_goes_away_keeps_nothing_from_control(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    await town.issue(shed_event(-3))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
    with structlog.testing.capture_logs() as logs:
        mosquitto.stop()
        await home.until(START + timedelta(minutes=1))
        assert home.relay.in_force == {"ev": 0}
        await wait_until(lambda: [each for each in logs if each.get("what") == "Home Assistant's broker"])
        await home.until(START + timedelta(minutes=2))
        mosquitto.start()
        async with home_assistant_at(mosquitto) as ha:
            await ha.shows(state="in event", shed="3.00")
    refused = [each for each in logs if each.get("what") == "Home Assistant's broker"]
    assert [each["event"] for each in refused][-1] == "well again"
    assert 2 <= len(refused) <= 4


async def test_a_broker_that_forgets_is_told_again(town: Town, start_home: StartHome, mosquitto: Mosquitto) -> None:
    async with home_assistant_at(mosquitto) as ha:
        await one(town, start_home, mosquitto, ha)
    mosquitto.kill()  # what it had retained was in memory only
    mosquitto.start()
    async with home_assistant_at(mosquitto) as ha:
        await ha.shows(state="normal", participate="ON")


@pytest.mark.parametrize("hello", [b"", b"\x20\x02\x00\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 4096])
async def test_a_broker_that_is_none_keeps_nothing_from_control(
    town: Town, start_home: StartHome, hello: bytes
) -> None:
    """Nor does it keep circuits from returning when the VEN ends."""
    connected: list[asyncio.StreamWriter] = []

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        with suppress(ConnectionError):
            writer.write(hello)
            await writer.drain()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await town.issue(shed_event(-3))
        home = await start_home(home_assistant={"broker": {"url": url, **SOON}}, poll_s=60)
        await wait_until(lambda: connected)
        await home.until(START + timedelta(minutes=1))
        assert home.relay.in_force == {"ev": 0}
        await home.stop()
        assert home.relay.in_force == {}
        for writer in connected:
            writer.close()


async def test_nothing_connects_unless_a_broker_is_named(
    start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(connection.HomeAssistant, "__init__", lambda *_, **__: made.append(1))
    home = await start_home()
    await home.pass_(minutes=10)
    assert made == []


async def test_the_password_is_in_no_message_and_no_log(town: Town, start_home: StartHome, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    password = "a-password-for-the-kitchen"
    (tmp_path / "password").write_text(password + "\n")
    broker = Mosquitto(tmp_path / "broker", accounts={"ven": password, "ha": "another-one-for-ha"})
    broker.start()
    try:
        account = {"username": "ven", "password_file": str(tmp_path / "password")}
        with structlog.testing.capture_logs() as logs:
            wrong = await start_home("home-2", home_assistant=at(broker, username="ven", password="wrong-and-secret"))
            await wait_until(lambda: broker.log_text().count("not authorised") >= 3)
            home = await start_home(home_assistant=at(broker, **account))
            async with home_assistant_at(broker, username="ha", password="another-one-for-ha") as ha:
                await ha.shows(state="normal")
                assert password not in str(ha.seen)
            await wrong.stop()
            await home.stop()
    finally:
        broker.stop()
    assert password not in str(logs)
    assert "wrong-and-secret" not in str(logs)
    refused = [each for each in logs if each.get("what") == "Home Assistant's broker" and "problem" in each]
    assert len(refused) == 1
    assert "refuses client" in refused[0]["problem"]
    assert password not in repr(home.settings)


async def test_the_broker_says_it_when_the_connection_is_cut(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    """As when the VEN is killed or its machine is gone: the last will."""
    async with cable(mosquitto) as line, home_assistant_at(mosquitto) as ha:
        await start_home(home_assistant={"broker": {"url": line.url, **SOON}})
        await ha.shows(state="normal")
        line.is_in = False
        line.cut()
        await ha.shows(state="unavailable", participate="unavailable")
        line.is_in = True
        await ha.shows(state="normal", participate="ON")


async def test_the_last_will_of_an_earlier_run_is_said_before_the_next_one_is_there(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    """The broker has not noticed that the machine went off; a will that came later would say so of the next run."""
    async with cable(mosquitto) as line, home_assistant_at(mosquitto) as ha:
        home = await start_home(home_assistant={"broker": {"url": line.url, **SOON}})
        await ha.shows(state="normal")
        line.freeze()
        await home.kill()
        assert ha.state("state") == "normal"
        await home.start()
        await wait_until(lambda: ha.count("/availability") == 3)
        assert [payload for topic, payload in ha.seen if topic.endswith("/availability")] == [
            b"online",
            b"offline",
            b"online",
        ]


async def test_a_broker_that_hangs_keeps_nothing_from_control(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    """Nor does one that stops answering in the middle; when it answers again it is told what is so then."""
    await town.issue(shed_event(-3))
    async with cable(mosquitto) as line, home_assistant_at(mosquitto) as ha:
        home = await start_home(home_assistant={"broker": {"url": line.url, "timeout_s": 0.3, **SOON}}, poll_s=60)
        await ha.shows(state="normal")
        line.hangs = True
        await home.until(START + timedelta(minutes=1))
        assert home.relay.in_force == {"ev": 0}
        await wait_until(lambda: line.connections >= 3)
        line.hangs = False
        line.cut()
        await ha.shows(state="in event", shed="3.00")


async def test_a_broker_with_certificates(town: Town, start_home: StartHome, mosquitto_tls: Mosquitto) -> None:
    ours, theirs = mosquitto_tls.client_files("ven"), mosquitto_tls.client_files("ha")
    tls = {"ca_file": ours.ca, "client_certificate": ours.certificate, "client_key": ours.key}
    await start_home(home_assistant=at(mosquitto_tls, **tls))
    async with home_assistant_at(mosquitto_tls, tls_context=client_context(theirs.ca, theirs)) as ha:
        await ha.shows(state="normal", participate="ON")


async def test_prices_are_shown_now_and_next(town: Town, start_home: StartHome, mosquitto: Mosquitto) -> None:
    """They are of the tariff, whether anything here acts on them or not; and no event to take part in."""
    prices = EventPayloadDescriptor(payload_type="PRICE", units="MWH", currency="EUR")
    tariff = shed_event(
        120.0, 250.5, 250.5, type_="PRICE", start=START - timedelta(hours=1), payload_descriptors=(prices,)
    )
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha)
        assert "unit_of_measurement" not in ha.components["price"]
        await town.issue(tariff)
        await home.pass_(minutes=1)
        await ha.shows(price="0.12", next_price="0.2505", state="normal", next_event="None")
        assert ha.components["price"]["unit_of_measurement"] == "EUR/kWh"
        assert ha.attributes("price")["end"] == ha.attributes("next_price")["start"] == "2026-01-01T12:00:00.000Z"
        await home.until(START)
        await home.quiet()
        await ha.shows(price="0.2505", next_price="0.2505")
        await home.until(START + timedelta(hours=2))
        await home.quiet()
        await ha.shows(price="None", next_price="None", state="normal")


async def test_a_price_counts_as_an_event_only_while_circuits_are_limited_for_it(
    town: Town, start_home: StartHome, mosquitto: Mosquitto
) -> None:
    """A tariff holds all day; a home that acts on high prices would be in an event all day."""
    await town.issue(shed_event(0.1, 0.5, type_="PRICE", start=START, units="KWH"))
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha, shedding={"price_levels": [0.4]})
        await ha.shows(next_event="2026-01-01T12:00:00.000Z")
        await home.until(START)
        await home.quiet()
        await ha.shows(state="normal", price="0.1", limit="None")
        await home.until(START + timedelta(hours=1))
        await home.quiet()
        await ha.shows(state="in event", price="0.5")


async def test_a_flood_of_commands_is_done_slowly(
    town: Town, start_home: StartHome, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a control step and a change of the state file; of several to one topic the last counts."""
    monkeypatch.setattr(connection, "_BETWEEN_COMMANDS_S", 3600)
    with structlog.testing.capture_logs() as logs:
        async with home_assistant_at(mosquitto) as ha:
            home = await one(town, start_home, mosquitto, ha)
            await ha.command("participate", "OFF")
            await ha.shows(participate="OFF")
            for word in ("ON", "OFF", "ON"):
                await ha.command("participate", word)
            await ha.command("restore", "RELEASE")
            await wait_until(lambda: any("expected PRESS" in str(each) for each in logs))  # all before it are noted
            await home.quiet()
            assert ha.state("participate") == "OFF"
    assert [each["command"] for each in logs if each["event"] == "commanded by Home Assistant"] == ["abstain"]


async def test_a_lost_link_is_shown(town: Town, start_home: StartHome, mosquitto: Mosquitto) -> None:
    async with home_assistant_at(mosquitto) as ha:
        home = await one(town, start_home, mosquitto, ha, safety={"limit_kw": 3, "link_lost_s": 600})
        await town.close_vtn()
        await home.pass_(minutes=12)
        await ha.shows(state="link lost")
        assert any("vtn" in each for each in ha.attributes("state")["problems"])


def test_settings_name_what_is_wrong() -> None:
    for wrong in ("a/#", "+", "$SYS/x", "/a", "a/", "a//b", "", "x" * 200):
        with pytest.raises(ValueError, match="state_prefix"):
            VenSettings.model_validate(
                {
                    "vtn": {"url": "http://127.0.0.1"},
                    "ven_name": "home",
                    "circuits": [{"id": "ev", "breaker_amps": 1, "rated_kw": 1}],
                    "home_assistant": {"state_prefix": wrong},
                }
            )


def test_ids_differ_if_names_do() -> None:
    names = ["home-1", "home 1", "home_1", "Küche", "Kuche", "x" * 128, "a/b", "+"]
    ids = {ShownDevice(name, name, "homeassistant", "openadr", "1").id for name in names}
    assert len(ids) == len(names)
