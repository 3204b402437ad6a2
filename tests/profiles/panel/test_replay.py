"""Every recording of real panels goes through the reader, with what it must make of each message."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from openadr_profiles.panel import Ack, Telemetry, Unreadable, read_ack, read_telemetry
from tests.support.panel_captures import FILES, Recorded, acks, recorded, telemetry

FLAT_SHED = ("shedPanel", "accepted", "flat")
FLAT_RESTORE = ("restorePanel", "success", "flat")
FLAT_PING = ("ping", "success", "flat")

ACKS: dict[str, dict[tuple[str, str, str], int]] = {
    "01-startup-idle": {},
    "02-dialect-event-flow": {FLAT_SHED: 1, FLAT_RESTORE: 1},
    "03-dialect-topic-doc": {FLAT_SHED: 2, FLAT_RESTORE: 2, FLAT_PING: 1},
    "04-dialect-seed-camel": {FLAT_SHED: 2, FLAT_RESTORE: 2},
    "05-dialect-contract-doc": {FLAT_SHED: 3, FLAT_RESTORE: 3, FLAT_PING: 1},
    "06-bad-input": {FLAT_SHED: 12, FLAT_RESTORE: 13, FLAT_PING: 3},
    "07-duplicates-overlap": {FLAT_SHED: 7, FLAT_RESTORE: 4},
    "08-expiry": {FLAT_SHED: 1},
    "09-shadow-delta": {FLAT_SHED: 1, FLAT_RESTORE: 1},
    "10-local-ui-event": {FLAT_SHED: 1, FLAT_RESTORE: 1},
    "11-offline-retained": {FLAT_SHED: 1, FLAT_RESTORE: 1},
    "12-restart-mid-event": {FLAT_SHED: 1},
    "13-broker-outage": {FLAT_SHED: 1, FLAT_PING: 1},
    "14-two-panels": {FLAT_SHED: 2, FLAT_RESTORE: 2},
    "15-baseline-drift-accelerated": {FLAT_SHED: 1},
    "16-older-agent-envelope": {
        ("ping", "success", "envelope"): 2,
        ("get", "success", "envelope"): 4,
        ("setConfig", "success", "envelope"): 1,
        ("set", "success", "envelope"): 2,
        ("setLoad", "success", "envelope"): 1,
        ("setLoad", "rejected", "envelope"): 2,
        ("shedLoad", "rejected", "envelope"): 1,
        ("shedLoad", "accepted", "envelope"): 1,
        ("shedLoad", "failed", "envelope"): 1,
        ("shedPanel", "accepted", "envelope"): 4,
        ("shedPanel", "rejected", "envelope"): 1,
        ("shedPanel", "failed", "envelope"): 1,
        ("restorePanel", "rejected", "envelope"): 2,
        ("selfdestruct", "rejected", "envelope"): 1,
        ("unknown", "failed", "envelope"): 2,
    },
    "17-canonical-both-panels": {
        FLAT_SHED: 2,
        FLAT_RESTORE: 2,
        ("shedPanel", "accepted", "envelope"): 2,
        ("restorePanel", "rejected", "envelope"): 1,
    },
}

# (topic, dialect) of the metering messages; the load lists of both programs look alike and tell no dialect
TELEMETRY: dict[str, dict[tuple[str, str | None], int]] = {
    "01-startup-idle": {("volttron", "flat"): 7, ("telemetry", "flat"): 7, ("loads", None): 1},
    "02-dialect-event-flow": {("volttron", "flat"): 4, ("telemetry", "flat"): 4},
    "03-dialect-topic-doc": {("volttron", "flat"): 1, ("telemetry", "flat"): 1, ("loads", None): 1},
    "04-dialect-seed-camel": {("volttron", "flat"): 1, ("telemetry", "flat"): 1},
    "05-dialect-contract-doc": {("volttron", "flat"): 3, ("telemetry", "flat"): 3},
    "06-bad-input": {("volttron", "flat"): 4, ("telemetry", "flat"): 4},
    "07-duplicates-overlap": {("volttron", "flat"): 2, ("telemetry", "flat"): 2, ("loads", None): 1},
    "08-expiry": {("volttron", "flat"): 3, ("telemetry", "flat"): 3},
    "09-shadow-delta": {("volttron", "flat"): 2, ("telemetry", "flat"): 2},
    "10-local-ui-event": {("volttron", "flat"): 4, ("telemetry", "flat"): 4, ("loads", None): 1},
    "11-offline-retained": {("volttron", "flat"): 3, ("telemetry", "flat"): 3},
    "12-restart-mid-event": {("volttron", "flat"): 1, ("telemetry", "flat"): 1},
    "13-broker-outage": {("volttron", "flat"): 1, ("telemetry", "flat"): 1},
    "14-two-panels": {("volttron", "flat"): 7, ("telemetry", "flat"): 7, ("loads", None): 1},
    "15-baseline-drift-accelerated": {("volttron", "flat"): 172},
    "16-older-agent-envelope": {("volttron", "envelope"): 11},
    "17-canonical-both-panels": {("volttron", "flat"): 4, ("telemetry", "flat"): 4, ("volttron", "envelope"): 4},
}


def read(message: Recorded) -> Ack:
    """The acknowledgment as the reader sees it when none of the commands was ours."""
    ack = read_ack(message.topic, message.payload, message.at, lambda _: None)
    assert isinstance(ack, Ack), ack
    return ack


def sample(message: Recorded) -> Telemetry:
    """The metering message as the reader sees it."""
    reading = read_telemetry(message.topic, message.payload, message.at)
    assert isinstance(reading, Telemetry), reading
    return reading


def test_every_recording_has_its_expectations() -> None:
    """A recording that is added without expectations would prove nothing."""
    assert sorted(ACKS) == sorted(TELEMETRY) == FILES


@pytest.mark.parametrize("name", FILES)
def test_acks_of_a_recording_are_read_as_what_they_mean(name: str) -> None:
    """R1 to R4: each ack has the operation, outcome and dialect that the panel meant."""
    seen = Counter((ack.op, ack.status.value, (ack.dialect or "").lower()) for ack in map(read, acks(name)))

    assert seen == ACKS[name]


@pytest.mark.parametrize("name", FILES)
def test_acks_of_a_recording_belong_to_the_panel_of_the_topic_and_the_second_they_came(name: str) -> None:
    """R1, R9: the topic names the panel, and the panels' own seconds are within a second of the receipt."""
    for message in acks(name):
        ack = read(message)
        assert ack.ven_id == message.topic.rsplit("/", 1)[1]
        assert abs((ack.timestamp - message.at).total_seconds()) < 2
        assert not ack.matched
        assert ack.raw_payload == message.payload.decode()


@pytest.mark.parametrize("name", FILES)
def test_telemetry_of_a_recording_is_read_whole(name: str) -> None:
    """Section 7: power, the eight circuits and the dialect of each sample."""
    messages = telemetry(name)
    seen = Counter((m.topic.split("/")[1 if m.topic.startswith("ven/") else 0], sample(m).dialect) for m in messages)

    assert seen == TELEMETRY[name]
    for message in messages:
        reading = sample(message)
        assert not reading.warnings
        assert len(reading.loads) == 8
        assert all(load.current_power_kw is not None for load in reading.loads)
        if not message.topic.startswith("ven/loads/"):
            assert reading.used_power_kw is not None


def test_nothing_a_panel_ever_sent_on_these_topics_is_unreadable() -> None:
    """Only traffic that is not ours to read is left."""
    others = {m.topic for name in FILES for m in recorded(name) if m.from_panel and not (m.is_ack or m.is_telemetry)}

    assert {topic.split("/")[0] for topic in others} == {"$aws", "volttron", "openadr"}


def test_a_flat_shed_ack_keeps_every_circuit() -> None:
    """Section 4.1, recording 07: five circuits, kW as the panel said, none critical."""
    ack = read(acks("07-duplicates-overlap")[-2])

    assert (ack.event_id, ack.requested_shed_kw, ack.actual_shed_kw) == ("evt-all", 100.0, 16.76)
    assert ack.circuits_curtailed is not None
    assert [(c.id, c.original_kw, c.curtailed_kw, c.final_kw) for c in ack.circuits_curtailed] == [
        ("heater1", 4.78, 4.78, 0.0),
        ("dryer1", 4.29, 4.29, 0.0),
        ("range1", 6.22, 4.976, 1.24),
        ("outlets1", 1.97, 1.379, 0.59),
        ("lights1", 2.66, 1.33, 1.33),
    ]
    assert {c.critical for c in ack.circuits_curtailed} == {False}
    assert {c.breaker_amps for c in ack.circuits_curtailed} == {30, 40, 20, 15}
    assert not ack.warnings


def test_an_unrounded_float_of_a_panel_becomes_the_number_it_meant() -> None:
    """Section 4.1: ``0.7000000000000002`` is 0.7; the raw payload keeps what was sent."""
    ack = read(acks("07-duplicates-overlap")[1])

    assert ack.circuits_curtailed is not None
    assert ack.circuits_curtailed[1].curtailed_kw == 0.7
    assert "0.7000000000000002" in ack.raw_payload


def test_an_ack_with_bare_nan_is_kept_with_the_amount_unknown() -> None:
    """R8: NaN and Infinity are no JSON; everything else of the ack is used."""
    nan, infinite = [a for a in map(read, acks("06-bad-input")) if a.event_id in {"evt-nan", "evt-inf"}]

    assert (nan.requested_shed_kw, nan.actual_shed_kw, nan.correlation_id) == (None, 17.13, "bnan")
    assert (infinite.requested_shed_kw, infinite.actual_shed_kw, infinite.correlation_id) == (None, 16.44, "binf")
    assert nan.warnings == ("NaN is not a JSON number; read as null",)


def test_a_numeric_event_id_becomes_text_and_an_object_as_correlation_id_nothing() -> None:
    """R12, recording 06."""
    read_acks = [read(message) for message in acks("06-bad-input")]

    assert "42" in {ack.event_id for ack in read_acks}
    ping = next(ack for ack in read_acks if ack.warnings and ack.op == "ping")
    assert (ping.correlation_id, ping.warnings) == (None, ("correlationId is {'a': 1}; ignored",))


def test_an_envelope_shed_ack_gives_the_accepted_amount() -> None:
    """Section 4.1: the older program names what it took ``data.acceptedReduceKw``."""
    ack = next(a for a in map(read, acks("17-canonical-both-panels")) if a.dialect == "envelope")

    assert (ack.ven_id, ack.op, ack.status, ack.actual_shed_kw) == ("ven-agent-1", "shedPanel", "accepted", 3.95)
    assert (ack.event_id, ack.circuits_curtailed) == (None, None)


def test_an_envelope_error_keeps_its_text() -> None:
    """R4: errors that name a missing, unknown or required thing are refusals, all others failures."""
    errors = {ack.error: ack.status for ack in map(read, acks("16-older-agent-envelope")) if ack.error}

    assert errors == {
        "unknown loadId: nope": "rejected",
        "missing loadId": "rejected",
        "No shed amount provided": "rejected",
        "require requestedReductionKw>0 and durationS>0": "rejected",
        "unknown op: restore": "rejected",
        "unknown op: restorepanel": "rejected",
        "unknown op: selfdestruct": "rejected",
        "Expecting value: line 1 column 7 (char 6)": "failed",
        "'list' object has no attribute 'get'": "failed",
        "could not convert string to float: 'lots'": "failed",
        "invalid literal for int() with base 10: 'soon'": "failed",
    }


def test_metering_tells_event_restart_and_local_events() -> None:
    """Section 7.1, recordings 02, 10, 12: what later decisions rest on."""
    during = sample(telemetry("02-dialect-event-flow")[0])
    assert (during.event_id, during.used_power_kw, during.shed_power_kw, during.message_num) == (
        "evt-a1b2c3d4",
        20.04,
        5.0,
        8,
    )
    assert during.panel_timestamp == datetime.fromtimestamp(1795454636, UTC)
    assert not during.is_local_event

    assert any(sample(message).is_local_event for message in telemetry("10-local-ui-event"))

    after_restart = sample(telemetry("12-restart-mid-event")[-1])
    assert (after_restart.event_id, after_restart.message_num) == (None, 1)


def test_the_older_program_tells_its_battery_as_a_share() -> None:
    """R20, recording 16."""
    assert {sample(message).battery_soc for message in telemetry("16-older-agent-envelope")} == {0.5}


def test_retained_and_foreign_topics_are_unreadable_not_errors() -> None:
    """A topic that names no panel gives Unreadable with the reason."""
    answer = read_ack("volttron/dev", b'{"ven":"offline"}', datetime.now(UTC), lambda _: None)

    assert isinstance(answer, Unreadable)
    assert answer.reason == "the topic names no panel"
