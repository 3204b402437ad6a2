"""Rules R1 to R20 of the tolerant reader, one by one, and that nothing a panel may send ever raises."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.panel import Ack, AckStatus, KnownCommand, Telemetry, Unreadable, read_ack, read_telemetry
from openadr_profiles.panel.reading import KEPT_BYTES, MAX_BYTES, as_instant

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())

OURS = KnownCommand(
    correlation_id="evt-a1-0123456789abcdef",
    ven_id="panel-17",
    op="shedPanel",
    event_id="evt-a1",
    requested_shed_kw=5.0,
    sent_at=NOW - timedelta(milliseconds=45),
    deadline_at=NOW + timedelta(seconds=10),
)


def find(correlation_id: str) -> KnownCommand | None:
    """Our one command."""
    return OURS if correlation_id == OURS.correlation_id else None


def read(members: object, *, topic: str = "ven/ack/panel-17", at: datetime = NOW) -> Ack:
    """The acknowledgment in ``members``, which must be readable."""
    ack = read_ack(topic, json.dumps(members).encode(), at, find)
    assert isinstance(ack, Ack), ack
    return ack


def measure(members: object, *, topic: str = "volttron/metering") -> Telemetry:
    """The sample in ``members``, which must be readable."""
    sample = read_telemetry(topic, json.dumps(members).encode(), NOW)
    assert isinstance(sample, Telemetry), sample
    return sample


def test_the_topic_names_the_panel_and_a_contradiction_is_a_warning() -> None:
    """R1."""
    ack = read({"op": "ping", "status": "success", "venId": "other", "ts": EPOCH})

    assert ack.ven_id == "panel-17"
    assert ack.warnings == ("the payload says panel 'other', the topic 'panel-17'; the topic counts",)


def test_our_answer_is_matched_timed_and_completed_from_the_command() -> None:
    """R3, R5: stored operation and event win, the response time is measured here."""
    ack = read({"op": "EVENT", "ok": True, "correlationId": OURS.correlation_id, "data": {"acceptedReduceKw": 4.8}})

    assert (ack.matched, ack.late, ack.response_ms) == (True, False, 45)
    assert (ack.op, ack.event_id, ack.requested_shed_kw, ack.actual_shed_kw) == ("shedPanel", "evt-a1", 5.0, 4.8)


@pytest.mark.parametrize(
    ("op", "canonical"),
    [("Event", "shedPanel"), ("SHEDPANEL", "shedPanel"), ("restore", "restorePanel"), ("RestorePanel", "restorePanel")],
)
def test_operations_are_read_in_any_case_and_dialect(op: str, canonical: str) -> None:
    """R3."""
    assert read({"op": op, "status": "accepted"}).op == canonical


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"op": "shedPanel", "ok": True}, "accepted"),
        ({"op": "ping", "ok": True}, "success"),
        ({"op": "shedPanel", "ok": False, "error": "missing loadId"}, "rejected"),
        ({"op": "shedPanel", "ok": False, "error": "boom"}, "failed"),
        ({"op": "shedPanel", "ok": False}, "failed"),
        ({"op": "shedPanel", "status": "Completed"}, "completed"),
        ({"op": "shedPanel", "status": "wobbly"}, "unknown"),
        ({"op": "shedPanel"}, "unknown"),
        ({"op": "shedPanel", "ok": "yes"}, "unknown"),
    ],
)
def test_outcomes_of_both_dialects_become_one_vocabulary(members: object, status: str) -> None:
    """R4."""
    assert read(members).status == status


def test_an_unknown_status_text_is_kept_in_the_warnings() -> None:
    """R4: the original word is not lost."""
    assert read({"op": "event", "status": "Wobbly", "ts": EPOCH}).warnings == ("status 'wobbly' is not known",)


def test_an_event_id_nobody_told_is_never_invented() -> None:
    """R5."""
    assert read({"op": "restore", "status": "success"}).event_id is None


@pytest.mark.parametrize("told", ["evt-1795454660", "backend_1795454660", "evt-other"])
def test_an_event_id_the_panel_invented_gives_way_to_ours(told: str) -> None:
    """R6."""
    ack = read({"op": "event", "status": "accepted", "event_id": told, "correlationId": OURS.correlation_id})

    assert ack.event_id == "evt-a1"
    assert any(told in warning for warning in ack.warnings)


@pytest.mark.parametrize("value", [True, "lots", [], {}, "NaN", "Infinity", 10**400])
def test_an_amount_that_is_no_number_is_null_with_a_warning_and_the_ack_survives(value: object) -> None:
    """R7."""
    ack = read({"op": "event", "status": "accepted", "requested_shed_kw": value, "ts": EPOCH})

    assert ack.requested_shed_kw is None
    assert len(ack.warnings) == 1
    assert "requested_shed_kw" in ack.warnings[0]


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30),
    st.sampled_from(["panel", "circuit"]),
)
def test_a_power_that_no_panel_has_is_null_with_a_warning(kw: float, of: str) -> None:
    """B3: at most a million kW for a panel, a hundred thousand for a circuit; the message itself is kept."""
    most = 1e6 if of == "panel" else 1e5
    members: dict[str, object] = {"venId": "panel-17", "loads": [{"id": "heater1", "currentPowerKw": kw}]}
    if of == "panel":
        members = {"venId": "panel-17", "usedPowerKw": kw}
    sample = measure(members)
    found = sample.used_power_kw if of == "panel" else sample.loads[0].current_power_kw
    if abs(kw) <= most:
        assert found is not None
        assert abs(found - kw) <= 1e-6
    else:
        assert found is None
        path = "usedPowerKw" if of == "panel" else "currentPowerKw"
        assert any(warning.startswith(f"{path} is ") for warning in sample.warnings)


def test_figures_of_an_answer_that_no_circuit_has_are_null_and_add_up_to_nothing_infinite() -> None:
    """B3, B11: the ack is stored; two circuits of 1e308 kW would add up to infinity."""
    circuits = [{"id": name, "curtailed_kw": 1e308, "original_kw": 2.5} for name in ("heater1", "dryer1")]
    ack = read({"op": "event", "status": "accepted", "actual_shed_kw": -1e9, "circuits_curtailed": circuits})

    assert ack.actual_shed_kw is None
    assert [(each.original_kw, each.curtailed_kw) for each in ack.circuits_curtailed or ()] == [(2.5, None)] * 2
    assert "actual_shed_kw is -1000000000.0, expected at most 1,000,000 from 0; read as null" in ack.warnings


def test_of_a_panel_with_thousands_of_circuits_two_hundred_are_read() -> None:
    """What comes from outside is bounded; a circuit that is there twice counts once."""
    loads = [{"id": f"c{number}", "currentPowerKw": 1} for number in range(5_000)]
    sample = measure({"venId": "panel-17", "loads": [loads[0], *loads]})

    assert len(sample.loads) == 199
    assert sample.warnings == (
        "5001 circuits, expected 200 at most; the others are dropped",
        "load 'c0' is there twice; the first one counts",
    )


def test_a_numeric_text_is_a_number() -> None:
    """R7."""
    assert read({"op": "event", "status": "accepted", "requested_shed_kw": "2.5"}).requested_shed_kw == 2.5


def test_tokens_that_are_not_json_are_read_as_null() -> None:
    """R8."""
    ack = read_ack("ven/ack/p", b'{"op":"event","status":"accepted","actual_shed_kw":-Infinity}', NOW, find)

    assert isinstance(ack, Ack)
    assert ack.actual_shed_kw is None


@pytest.mark.parametrize(
    "value",
    [
        EPOCH,
        float(EPOCH),
        str(EPOCH),
        EPOCH * 1_000,
        EPOCH * 1_000_000,
        "2026-11-23T17:00:00Z",
        "2026-11-23T17:00:00",
        "2026-11-23T18:00:00+01:00",
    ],
)
def test_every_spelling_of_an_instant_is_the_same_instant(value: object) -> None:
    """R9: seconds, milliseconds, microseconds, ISO 8601 with and without zone."""
    assert read({"op": "ping", "status": "success", "ts": value}).panel_timestamp == NOW


@pytest.mark.parametrize("value", [0, EPOCH - 90_000, EPOCH + 90_000, "soon", True, [], 1e300])
def test_an_implausible_instant_gives_way_to_the_time_of_receipt(value: object) -> None:
    """R9."""
    ack = read({"op": "ping", "status": "success", "ts": value})

    assert (ack.panel_timestamp, ack.timestamp) == (None, NOW)
    assert ack.warnings


@pytest.mark.parametrize(
    "circuits",
    [
        [{"id": "heater1", "curtailed_kw": 2.0}, 7, {"curtailed_kw": 1}, {"name": "Dryer", "curtailedKw": "1.5"}],
        {"heater1": {"shedKw": 2}, "Dryer": {"name": "Dryer", "shed_kw": 1.5}, "bad": None},
        [{"loadId": "heater1", "shedKw": 2.0}, {"load_id": "Dryer", "shed_kw": 1.5}],
    ],
)
def test_circuits_of_any_form_are_read_item_by_item(circuits: object) -> None:
    """R10, R11: bad items are dropped one by one; the total is computed when the panel gives none."""
    ack = read({"op": "event", "status": "accepted", "circuits_curtailed": circuits})

    assert ack.circuits_curtailed is not None
    assert [(c.id, c.curtailed_kw) for c in ack.circuits_curtailed] == [("heater1", 2.0), ("Dryer", 1.5)]
    assert ack.actual_shed_kw == 3.5


@pytest.mark.parametrize("circuits", [None, 5, "all"])
def test_circuits_that_are_no_circuits_do_not_cost_the_ack(circuits: object) -> None:
    """R10."""
    ack = read({"op": "event", "status": "accepted", "actual_shed_kw": 2, "circuits_curtailed": circuits})

    assert (ack.status, ack.actual_shed_kw) == ("accepted", 2.0)
    assert not ack.circuits_curtailed


def test_a_total_that_contradicts_the_circuits_is_kept_with_a_warning() -> None:
    """R11: 0.02 kW per circuit is rounding, more is a contradiction."""
    circuits = [{"id": "a", "curtailed_kw": 1.0}, {"id": "b", "curtailed_kw": 1.0}]
    close = read(
        {"op": "event", "status": "accepted", "actual_shed_kw": 2.04, "circuits_curtailed": circuits, "ts": EPOCH}
    )
    far = read(
        {"op": "event", "status": "accepted", "actual_shed_kw": 2.5, "circuits_curtailed": circuits, "ts": EPOCH}
    )

    assert (close.actual_shed_kw, close.warnings) == (2.04, ())
    assert far.actual_shed_kw == 2.5
    assert far.warnings == ("the circuits add up to 2.0 kW, the panel says 2.5 kW; the panel's figure is kept",)


@pytest.mark.parametrize(("value", "text"), [(42, "42"), ({"a": 1}, None), ([1], None), (None, None), (True, None)])
def test_correlation_ids_of_odd_types(value: object, text: str | None) -> None:
    """R12."""
    assert read({"op": "ping", "status": "success", "correlationId": value}).correlation_id == text


def test_the_answer_of_another_panel_to_our_command_is_not_matched() -> None:
    """A correlation id belongs to one panel."""
    members = {"op": "event", "status": "accepted", "correlationId": OURS.correlation_id}
    ack = read(members, topic="ven/ack/panel-18")

    assert not ack.matched
    assert "panel-17" in ack.warnings[0]


def test_an_answer_after_the_deadline_is_late() -> None:
    """R15."""
    members = {"op": "event", "status": "accepted", "correlationId": OURS.correlation_id}

    assert read(members, at=NOW + timedelta(seconds=11)).late


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"op":', "not JSON"),
        (b"[1]", "not a JSON object but a list"),
        (b'"ping"', "not a JSON object but a text"),
        (b"5", "not a JSON object but a number"),
        (b"null", "not a JSON object but null"),
        (b"true", "not a JSON object but a boolean"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested deeper than 32 levels"),
        (b"[" * 100_000, "nested deeper than 32 levels"),
        (b" " * (MAX_BYTES + 1), f"{MAX_BYTES + 1} bytes, more than {MAX_BYTES}"),
    ],
)
def test_garbage_is_unreadable_with_its_reason_and_its_first_kilobyte(payload: bytes, reason: str) -> None:
    """R18."""
    for answer in (read_ack("ven/ack/p", payload, NOW, find), read_telemetry("ven/telemetry/p", payload, NOW)):
        assert isinstance(answer, Unreadable)
        assert (answer.reason, answer.ven_id, answer.size) == (reason, "p", len(payload))
        assert len(answer.head) <= KEPT_BYTES * 4


def test_thirty_two_levels_are_still_read() -> None:
    """R18: the limit itself is allowed; brackets inside texts do not count."""
    nested = b'{"op":"ping","status":"success","x":' + b"[" * 31 + b"]" * 31 + b"}"
    text = json.dumps({"op": "ping", "status": "success", "x": "[" * 1000 + '\\"{'}).encode()

    assert isinstance(read_ack("ven/ack/p", nested, NOW, find), Ack)
    assert isinstance(read_ack("ven/ack/p", text, NOW, find), Ack)


@pytest.mark.parametrize(("value", "share"), [(0.5, 0.5), (1, 1.0), (55, 0.55), ("80", 0.8), (-1, None), (500, None)])
def test_a_battery_state_above_one_is_a_percentage(value: object, share: float | None) -> None:
    """R20."""
    assert measure({"venId": "p", "batterySOC": value}).battery_soc == share


def test_loads_are_read_item_by_item_in_every_spelling() -> None:
    """Section 5: ids of both spellings, fractional priorities, a list or an object; one bad load costs only itself."""
    sample = measure(
        {
            "venId": "p",
            "circuits": [
                {"loadId": "ev1", "currentPowerKw": "3.6", "priority": 1.5},
                {"currentPowerKw": 1},
                "heater1",
                {"id": "pv1", "currentPowerKw": -2.5, "enabled": True},
            ],
        }
    )

    assert [(load.id, load.current_power_kw, load.priority) for load in sample.loads] == [
        ("ev1", 3.6, 1.5),
        ("pv1", -2.5, None),
    ]
    assert len(sample.warnings) == 2


def test_metering_without_a_panel_is_unreadable() -> None:
    """On the shared topic only the payload names the panel."""
    answer = read_telemetry("volttron/metering", b'{"usedPowerKw":1}', NOW)

    assert isinstance(answer, Unreadable)


def test_the_minimal_program_is_read_from_its_own_topic() -> None:
    """Section 7.1: four members, no loads."""
    sample = measure(
        {"venId": "p", "ts": EPOCH, "power_kw": 3.5, "shed_kw": 0, "message_num": 9}, topic="ven/telemetry/p"
    )

    assert (sample.used_power_kw, sample.shed_power_kw, sample.message_num, sample.loads) == (3.5, 0.0, 9, ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KNOWN_MEMBERS = st.sampled_from(
    [
        "op",
        "status",
        "ok",
        "ts",
        "timestamp",
        "event_id",
        "eventId",
        "correlationId",
        "venId",
        "data",
        "error",
        "circuits_curtailed",
        "actual_shed_kw",
        "requested_shed_kw",
        "loads",
        "message_num",
        "schemaVersion",
        "usedPowerKw",
        "batterySoc",
    ]
)
DOCUMENTS = st.dictionaries(KNOWN_MEMBERS, JSON, max_size=8).map(lambda d: json.dumps(d).encode())
TOPICS = st.sampled_from(["ven/ack/p", "volttron/metering", "ven/telemetry/p", "ven/loads/p"]) | st.text()


@given(topic=TOPICS, payload=st.binary() | JSON.map(lambda v: json.dumps(v).encode()) | DOCUMENTS)
def test_nothing_that_arrives_ever_raises(topic: str, payload: bytes) -> None:
    """Arbitrary bytes and documents give a typed answer, and every text in it can be stored."""
    ack = read_ack(topic, payload, NOW, lambda _: None)
    sample = read_telemetry(topic, payload, NOW)

    assert isinstance(ack, Ack | Unreadable)
    assert isinstance(sample, Telemetry | Unreadable)
    if isinstance(ack, Ack):
        assert isinstance(ack.status, AckStatus)
        assert "\x00" not in ack.raw_payload
        for text in (ack.event_id, ack.correlation_id, ack.error, ack.op, *ack.warnings):
            if text is not None:
                text.encode()
                assert "\x00" not in text
    else:
        assert "\x00" not in ack.head


@given(value=JSON)
def test_an_instant_is_aware_or_nothing(value: object) -> None:
    """R9 for any JSON value."""
    moment = as_instant(value)

    assert moment is None or moment.tzinfo is not None


def test_of_a_long_acknowledgment_the_beginning_is_kept_and_the_hash_is_of_all() -> None:
    """A panel can send 256 KiB at a time; two that differ at the end only are still two."""
    one, other = (json.dumps({"op": "ping", "status": "success", "x": "y" * 200_000 + end}).encode() for end in "ab")
    first, second = (read_ack("ven/ack/p", payload, NOW, lambda _: None) for payload in (one, other))

    assert isinstance(first, Ack)
    assert isinstance(second, Ack)
    assert first.raw_payload == second.raw_payload == one[:4096].decode()
    assert first.payload_hash == hashlib.sha256(one).hexdigest() != second.payload_hash
