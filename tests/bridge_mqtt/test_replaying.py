"""`oadr bridge replay`: recorded panels at a real broker and a real bridge, and files that cannot be replayed."""

import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.errors import BadRecording
from bridge_mqtt.replaying import LONGEST_LINE, LONGEST_PAYLOAD, read_recording, replay
from bridge_mqtt.settings import Broker
from tests.bridge_mqtt.conftest import World
from tests.bridge_mqtt.test_reading_commands import called
from tests.support.mosquitto import Mosquitto
from tests.support.panel_captures import DIRECTORY, FILES, recorded

GOOD: dict[str, Any] = {"t": 1.0, "direction": "from_panel", "topic": "ven/ack/panel-1", "payload": {"op": "ping"}}


@pytest.mark.parametrize("name", FILES)
def test_every_recording_is_read_as_it_was_seen(name: str) -> None:
    """Topic, direction and bytes of each message; documents are compared by their content."""
    read, seen = list(read_recording(DIRECTORY / f"{name}.jsonl")), list(recorded(name))
    assert [(each.topic, each.from_panel) for each in read] == [(each.topic, each.from_panel) for each in seen]
    for one, other in zip(read, seen, strict=True):
        assert one.payload == other.payload or json.loads(one.payload) == json.loads(other.payload)


async def test_a_bridge_takes_a_replayed_panel_for_a_panel(sqlite_world: World) -> None:
    """The answers of the recording are stored; what was told to the panel is left out."""
    panel_id, name = "ven-legacy-1", "02-dialect-event-flow"
    acks = [json.loads(each.payload) for each in recorded(name) if each.is_ack]
    await sqlite_world.start(panels=[{"id": panel_id}])
    file = str(DIRECTORY / f"{name}.jsonl")
    done = await called("replay", file, "--broker", sqlite_world.broker.url, "--speed", "1000")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {
        "published": sum(each.from_panel for each in recorded(name)),
        "leftOut": sum(not each.from_panel for each in recorded(name)),
    }
    page = await sqlite_world.until(f"/api/vens/{panel_id}/acks", lambda page: len(page["acks"]) >= len(acks))
    assert {ack["correlationId"] for ack in page["acks"]} >= {ack["correlationId"] for ack in acks}
    await sqlite_world.until(f"/api/panels/{panel_id}", lambda panel: panel["online"])


async def test_order_distance_and_prefix_are_kept(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Ten seconds at twice the speed are waited as five; commands only when asked for."""
    file = tmp_path / "recording.jsonl"
    rows = [GOOD, GOOD | {"t": 6.0, "direction": "to_panel", "topic": "ven/cmd/panel-1"}, GOOD | {"t": 11.0, "qos": 0}]
    file.write_text("\n\n".join(map(json.dumps, rows)))
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as listener:
        await listener.subscribe("site-7/#", qos=1)
        done = await replay(file, Broker(url=mosquitto.url), prefix="site-7", speed=2.0, to_panels=True, sleep=sleep)
        topics = [str((await anext(listener.messages)).topic) for _ in rows]
    assert topics == ["site-7/ven/ack/panel-1", "site-7/ven/cmd/panel-1", "site-7/ven/ack/panel-1"]
    assert (done.published, done.left_out) == (3, 0)
    assert [round(each + 0.499) for each in waited] == [3, 5]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "expected an object"),
        (b"[" * 50_000, "expected an object"),
        (b"\xff", "expected an object"),
        (b"[]", "expected an object"),
        (json.dumps(GOOD | {"t": "now"}).encode(), "t`"),
        (json.dumps(GOOD | {"t": 0.5}).encode(), "goes back"),
        (json.dumps(GOOD | {"t": 1e300}).encode(), "after the line before"),
        (json.dumps(GOOD | {"direction": "up"}).encode(), "direction"),
        (json.dumps(GOOD | {"topic": "ven/ack/+"}).encode(), "without + and #"),
        (json.dumps(GOOD | {"topic": ""}).encode(), "1 to 512"),
        (json.dumps(GOOD | {"qos": 3}).encode(), "qos"),
        (json.dumps({name: value for name, value in GOOD.items() if name != "payload"}).encode(), "payload is missing"),
        (json.dumps(GOOD | {"payload": "x" * LONGEST_PAYLOAD}).encode(), "at most 262,144"),
        (json.dumps(GOOD | {"payload": "x" * LONGEST_LINE}).encode(), "at most so many"),
    ],
    ids=range(14),  # a name with the line would be too long for the environment of a broker
)
async def test_a_line_that_cannot_be_used_is_named_and_nothing_is_published(
    mosquitto: Mosquitto, tmp_path: Path, line: bytes, problem: str
) -> None:
    file = tmp_path / "recording.jsonl"
    file.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(BadRecording) as raised:
        await replay(file, Broker(url=mosquitto.url), speed=1000.0)
    assert "line 2" in str(raised.value)
    assert problem in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert "ven/ack/panel-1" not in mosquitto.log_text()


@given(st.binary(max_size=200))
def test_whatever_a_file_holds_the_error_is_ours(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("recording") / "any.jsonl"
    file.write_bytes(content)
    try:
        list(read_recording(file))
    except BadRecording as error:
        assert "line" in str(error)  # noqa: PT017 # most contents are refused, blanks are not


async def test_the_command_names_file_and_broker(tmp_path: Path) -> None:
    """A file that is not there is 3, a broker that is not there 4."""
    missing = await called("replay", str(tmp_path / "none.jsonl"))
    assert (missing.exit_code, "none.jsonl" in missing.stderr) == (3, True)
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(GOOD))
    assert (await called("replay", str(file), "--broker", "mqtt://127.0.0.1:1")).exit_code == 4
