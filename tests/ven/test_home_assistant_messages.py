"""What is said to Home Assistant and understood of it: always such that it takes it, and bounded whatever is known."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import structlog

from tests.ven.builders import START
from tests.ven.home_assistant_model import UNKNOWN, check_attributes, check_discovery, check_state
from ven.home_assistant.messages import HomeCommand, Published, ShownDevice, currency_of, messages
from ven.home_assistant.overview import Overview, ShownEvent, ShownLimit, ShownPrice, VenState
from ven.home_assistant.rejections import Rejections
from ven.troubles import Troubles

DEVICE = ShownDevice("home-1", "Home", "homeassistant", "openadr", "1.0")
NOTHING = Overview(
    state=VenState.NORMAL,
    participates=True,
    power_kw=None,
    shed_kw=None,
    limit_kw=None,
    limits=(),
    price=None,
    next_price=None,
    next_start=None,
    events=(),
    problems=(),
)


def full(letter: str, device: ShownDevice = DEVICE) -> dict[str, bytes]:
    """Return the messages of a VEN with as much as there can be, all of it as long as it can be."""
    text, price = letter * 4000, ShownPrice("e", Decimal("1e12"), "EUR", START, None)
    event = ShownEvent("e", text, text, START, None, opted_in=False, reason=text)
    overview = Overview(
        state=VenState.LINK_LOST,
        participates=False,
        power_kw=Decimal("6400000.123456"),
        shed_kw=Decimal("-0.001"),
        limit_kw=Decimal(6_400_000),
        limits=(ShownLimit(text, Decimal(100_000), limits_feed_in=False),) * 64,
        price=price,
        next_price=price,
        next_start=START,
        events=(event,) * 10,
        problems=(text,) * 10,
    )
    return messages(device, overview, currency_of(price))


@pytest.mark.parametrize("letter", ["x", "ü", "🔌", '"', "\\", "\x00", "\u2028", "\ud800"])
def test_whatever_is_known_home_assistant_takes_it(letter: str) -> None:
    """It keeps no attributes of more than 16 KiB, and no state of more than 255 characters."""
    _check(full(letter))


def test_what_is_not_known_is_unknown() -> None:
    wanted = messages(DEVICE, NOTHING, None)
    _check(wanted)
    for key in ("next_event", "power", "shed", "limit", "price", "next_price"):
        assert wanted[DEVICE.topic(key)].decode() == UNKNOWN


def _check(wanted: dict[str, bytes]) -> None:
    components = check_discovery(DEVICE.config_topic, wanted[DEVICE.config_topic])
    topics = {DEVICE.config_topic}
    for component in components.values():
        topics.add(component["availability"])
        if "state_topic" in component:
            topics.add(component["state_topic"])
            check_state(component, wanted[component["state_topic"]])
        if "json_attributes_topic" in component:
            topics.add(component["json_attributes_topic"])
            check_attributes(wanted[component["json_attributes_topic"]])
        if "command_topic" in component:
            assert component["command_topic"] in DEVICE.command_topics
    assert wanted.keys() == topics
    assert next(iter(wanted)) == DEVICE.config_topic
    assert list(wanted)[-1] == DEVICE.availability


def test_the_model_of_home_assistant_refuses_what_is_wrong() -> None:
    """The checks above can fail."""
    good = messages(DEVICE, NOTHING, None)[DEVICE.config_topic]
    for wrong in (
        good.replace(b'"unique_id"', b'"id"'),
        good.replace(b"openadr_home-1_power", b"openadr_home-1_shed"),
        good.replace(b'"device_class":"enum"', b'"device_class":"enum","state_class":"measurement"'),
        good.replace(b'"kW"', b'"horses"'),
        good.replace(b'"identifiers"', b'"ids"'),
    ):
        assert wrong != good
        with pytest.raises((AssertionError, KeyError)):
            check_discovery(DEVICE.config_topic, wrong)
    with pytest.raises(AssertionError):
        check_discovery("homeassistant/device/a b/config", good)
    with pytest.raises(AssertionError):
        check_state({"platform": "sensor", "device_class": "timestamp"}, b"2026-01-01T12:00:00")


def test_a_price_has_its_currency_as_unit() -> None:
    config = check_discovery(DEVICE.config_topic, full("x")[DEVICE.config_topic])
    assert config["price"]["unit_of_measurement"] == config["next_price"]["unit_of_measurement"] == "EUR/kWh"
    for currency, unit in ((None, None), ("", None), ("eur", "EUR"), ("E" * 1000, None), ("€", None), ("EUR\n", None)):
        assert currency_of(ShownPrice("e", Decimal(1), currency, START, None)) == unit


@pytest.mark.parametrize(
    ("kw", "shown"),
    [("0", "0.00"), ("-0.001", "0.00"), ("1E+3", "1000.00"), ("2.345", "2.34"), ("-3", "-3.00"), ("0.1", "0.10")],
)
def test_power_is_told_to_ten_watts(kw: str, shown: str) -> None:
    """More than that changes at every reading."""
    overview = Overview(**{**NOTHING.__dict__, "power_kw": Decimal(kw)})
    assert messages(DEVICE, overview, None)[DEVICE.topic("power")].decode() == shown


def test_commands_are_three_words_on_two_topics() -> None:
    participate, restore = DEVICE.command_topics
    assert DEVICE.command(participate, b"ON") is HomeCommand.PARTICIPATE
    assert DEVICE.command(participate, b"OFF") is HomeCommand.ABSTAIN
    assert DEVICE.command(restore, b"PRESS") is HomeCommand.RESTORE
    for topic, payload in (
        (participate, b"PRESS"),
        (restore, b"ON"),
        (participate, b"on"),
        (participate, b"ON "),
        (participate, b""),
        (f"{participate}/x", b"ON"),
        ("x", b"ON"),
    ):
        with pytest.raises(ValueError, match=r"expected|none of ours") as refused:
            DEVICE.command(topic, payload)
        assert len(str(refused.value)) < 200


def test_measured_power_alone_waits_and_goes_with_anything_else() -> None:
    published = Published(DEVICE, measured_s=30)
    power, shed, state = DEVICE.topic("power"), DEVICE.topic("shed"), DEVICE.topic("state")

    def told(at_s: float, **payloads: bytes) -> set[str]:
        wanted = {DEVICE.topic(key): payload for key, payload in payloads.items()}
        due = published.due(wanted, at_s)
        for topic, payload in due.items():
            published.put(topic, payload)
        return set(due)

    assert told(0, power=b"1", shed=b"0", state=b"normal") == {power, shed, state}
    assert told(10, power=b"2", shed=b"0", state=b"normal") == set()
    assert told(20, power=b"3", shed=b"1", state=b"in event") == {power, shed, state}
    assert told(49, power=b"4", shed=b"1", state=b"in event") == set()
    assert told(50, power=b"5", shed=b"2", state=b"in event") == {power, shed}
    assert told(1000, power=b"5", shed=b"2", state=b"in event") == set()
    published.forget()
    assert told(1001, power=b"5", shed=b"2", state=b"in event") == {power, shed, state}


def test_the_next_event_is_one_of_those_listed() -> None:
    under_way = ShownEvent("a", "now", "peak", START, START + timedelta(hours=9), opted_in=True, reason=None)
    coming = ShownEvent("b", "later", None, START + timedelta(hours=1), None, opted_in=False, reason="guests")
    overview = Overview(**{**NOTHING.__dict__, "next_start": coming.start, "events": (under_way, coming)})
    shown = check_attributes(messages(DEVICE, overview, None)[DEVICE.topic("next_event", "attributes")])
    first, second = shown.pop("events")
    assert shown == second
    assert (first["description"], second["description"]) == ("Program: peak; takes part", "opted out: guests")
    assert (second["end"], second["opted_in"]) == (None, False)


def test_a_rejected_message_is_told_again_only_after_a_minute_without_any() -> None:
    troubles = Troubles()
    rejections = Rejections(troubles)
    with structlog.testing.capture_logs() as logs:
        for second in range(300):
            rejections.tell("a", f"one of {second % 2}", second)
        rejections.look(358.9)
        assert len(logs) == 2
        assert "a" in troubles.now
        rejections.look(359)
        assert troubles.now == {}
        rejections.tell("a", "one of 0", 360)
    assert [each["event"] for each in logs[2:]] == ["well again", "something goes wrong: the rest goes on"]
    for number in range(10_000):
        rejections.tell(f"place {number}", "one", 361)
    assert len(troubles.now) == 16
