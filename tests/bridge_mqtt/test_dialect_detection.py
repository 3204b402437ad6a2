"""Which program a panel runs (rule C9): by hand, by its answers, by its metering, and never by a stranger's word."""

import json
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import pytest

from bridge_mqtt import panels as registry_module
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from openadr_profiles.panel import Ack, KnownCommand, Telemetry, read_ack, read_telemetry
from tests.bridge_mqtt.conftest import ENVELOPE, FLAT, World, an_event
from tests.support.panel_captures import FILES, acks, telemetry
from tests.support.waiting import wait_until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = KnownCommand(
    correlation_id="c-1",
    ven_id="panel-1",
    op="ping",
    event_id=None,
    requested_shed_kw=None,
    sent_at=NOW,
    deadline_at=NOW,
)
SAMPLES: dict[str | None, dict[str, object]] = {FLAT: {"message_num": 1}, ENVELOPE: {"schemaVersion": "1.0"}, None: {}}
ANSWERS: dict[str | None, dict[str, object]] = {FLAT: {"status": "success"}, ENVELOPE: {"ok": True}, None: {}}


def registry(dialect: str | None = None, **settings: Any) -> Registry:
    panel = {"id": "panel-1", "dialect": dialect}
    return Registry(Settings.model_validate({"vtn": {"url": "http://vtn.example/3.1.0"}, "panels": [panel]} | settings))


def sample(dialect: str | None) -> Telemetry:
    body = json.dumps({"venId": "panel-1", "usedPowerKw": 5.0, **SAMPLES[dialect]}).encode()
    found = read_telemetry("volttron/metering", body, NOW)
    assert isinstance(found, Telemetry)
    return found


def answer(dialect: str | None, *, to_us: bool) -> Ack:
    body = json.dumps({"op": "ping", "correlationId": "c-1", **ANSWERS[dialect]}).encode()
    found = read_ack("ven/ack/panel-1", body, NOW, lambda _: OURS if to_us else None)
    assert isinstance(found, Ack)
    return found


def name(panels: Registry) -> str | None:
    panel = panels.get("panel-1")
    assert panel is not None
    return None if panel.dialect is None else panel.dialect.name


@pytest.mark.parametrize("dialect", [FLAT, ENVELOPE])
def test_the_first_message_that_shows_a_dialect_decides(dialect: str) -> None:
    by_sample, by_ping, by_other = registry(), registry(), registry()
    by_sample.measured(sample(dialect))
    by_ping.answered(answer(dialect, to_us=True))
    by_other.answered(answer(dialect, to_us=False))

    assert [name(each) for each in (by_sample, by_ping, by_other)] == [dialect] * 3


def test_what_shows_none_changes_none() -> None:
    panels = registry()
    panels.measured(sample(None))
    panels.answered(answer(None, to_us=True))
    assert name(panels) is None

    panels.measured(sample(FLAT))
    panels.measured(sample(None))
    panels.answered(answer(None, to_us=True))
    assert name(panels) == FLAT


def test_a_known_dialect_is_changed_by_an_answer_to_us_or_two_samples_in_a_row() -> None:
    """A panel whose program was replaced; one odd sample is no new program."""
    panels = registry()
    panels.measured(sample(FLAT))
    panels.measured(sample(ENVELOPE))
    panels.measured(sample(FLAT))
    panels.measured(sample(ENVELOPE))
    assert name(panels) == FLAT
    panels.measured(sample(ENVELOPE))
    assert name(panels) == ENVELOPE

    panels.answered(answer(FLAT, to_us=True))
    assert name(panels) == FLAT


def test_an_answer_to_somebody_else_never_changes_a_known_dialect() -> None:
    """Anybody who may publish could turn a panel that restores into one that is told pieces, which add up."""
    panels = registry()
    panels.measured(sample(FLAT))
    for _ in range(5):
        panels.answered(answer(ENVELOPE, to_us=False))

    assert name(panels) == FLAT


def test_by_hand_nothing_changes_it_but_a_refused_restore() -> None:
    panels = registry(FLAT)
    for _ in range(3):
        panels.measured(sample(ENVELOPE))
        panels.answered(answer(ENVELOPE, to_us=True))
    assert name(panels) == FLAT

    panels.cannot_restore("panel-1")
    panels.measured(sample(FLAT))
    panels.answered(answer(FLAT, to_us=True))
    assert name(panels) == ENVELOPE


@pytest.mark.parametrize("recording", FILES)
def test_every_recorded_panel_is_known_by_its_first_message_and_stays_what_it_is(recording: str) -> None:
    """Both programs, whatever odd things they were asked."""
    panels = Registry(Settings.model_validate({"vtn": {"url": "http://vtn.example/3.1.0"}, "unregistered": "accept"}))
    for message in sorted([*acks(recording), *telemetry(recording)], key=lambda message: message.at):
        if message.topic.startswith("ven/loads/"):
            continue  # lists of both programs look alike
        read = (read_ack if message.is_ack else _telemetry)(message.topic, message.payload, message.at, lambda _: None)
        assert isinstance(read, Ack | Telemetry)
        panels.admit(read.ven_id)
        found = panels.answered(read) if isinstance(read, Ack) else panels.measured(read)
        assert found.dialect is not None
        assert found.dialect.name == (ENVELOPE if read.ven_id == "ven-agent-1" else FLAT)


def _telemetry(topic: str, payload: bytes, received_at: datetime, _: object) -> object:
    return read_telemetry(topic, payload, received_at)


def test_unlisted_panels_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``unregistered = "accept"`` anybody can name panels; those that are there go on."""
    monkeypatch.setattr(registry_module, "MOST_PANELS", 3)
    panels = registry(unregistered="accept")
    admitted = [panels.admit(f"panel-{number}") is not None for number in range(1, 10)]

    assert admitted == [True] * 3 + [False] * 6
    assert len(panels) == 3


async def test_a_forged_answer_does_not_make_a_flat_panel_shed_twice(sqlite_world: World) -> None:
    """The panel holds an event while somebody says it is of the older program: the end is a restore, once."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels/panel-1", lambda found: found["dialect"] == FLAT)
    await sqlite_world.post(an_event(length_s=300))
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    forged = b'{"op":"event","ok":true,"data":{"acceptedReduceKw":9}}'
    async with aiomqtt.Client(sqlite_world.broker.host, sqlite_world.broker.port) as client:
        for number in range(20):
            await client.publish("ven/ack/panel-1", forged.replace(b"9", str(number).encode()), qos=1)
    await sqlite_world.until("/api/vens/panel-1/acks", lambda page: len(page["acks"]) >= 20)

    assert (await sqlite_world.get("/api/panels/panel-1"))["dialect"] == FLAT
    await sqlite_world.withdraw("evt-1")
    await wait_until(lambda: b'"restore"' in panel.heard[-1])
    assert (panel.model.sheds, panel.model.most_stacked) == (1, 1)
