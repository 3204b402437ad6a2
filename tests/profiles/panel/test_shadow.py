"""Shadow documents of panels (panel contract, section 8): what is read of them, and how changes add up."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.panel import Unreadable
from openadr_profiles.panel.shadow import MOST_BYTES, ShadowReport, is_shadow, merged, read_shadow
from tests.support.panel_captures import FILES, recorded

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TOPIC = "$aws/things/panel-1/shadow/update"

leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3)
values = st.recursive(
    leaves | st.lists(leaves, max_size=3), lambda deeper: st.dictionaries(st.sampled_from("abc"), deeper)
)
states = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def test_every_recorded_document_is_read() -> None:
    """Both programs' documents, of the panel of the topic; the older one also asks things of itself (CAP 16)."""
    sent = [
        message
        for name in FILES
        for message in recorded(name)
        if message.from_panel and is_shadow(message.topic) and message.topic.endswith("/shadow/update")
    ]
    found = [read_shadow(message.topic, message.payload, message.at) for message in sent]

    assert sum(isinstance(report, ShadowReport) and bool(report.reported) for report in found) > 20
    assert all(
        isinstance(report, ShadowReport) == (b'"reported"' in m.payload) for report, m in zip(found, sent, strict=True)
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "not a JSON object but a list"),
        (b"{}", "expected an object at state.reported"),
        (b'{"state": {"reported": 5}}', "expected an object at state.reported"),
        (b'{"state": "x"}', "expected an object at state.reported"),
        (b'{"state": {"reported": {"a": "\\ud800"}}}', "state.reported cannot be stored"),
        (b'{"state": {"reported": {"a": "' + b"x" * MOST_BYTES + b'"}}}', f"more than {MOST_BYTES}"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper"),
    ],
)
def test_what_cannot_be_used_says_why(payload: bytes, reason: str) -> None:
    """R18: a panel that sends nonsense is named with its message."""
    found = read_shadow(TOPIC, payload, NOW)

    assert isinstance(found, Unreadable)
    assert found.ven_id == "panel-1"
    assert reason in found.reason


def test_a_topic_without_a_panel_is_put_aside() -> None:
    """R1: the topic alone says whose document it is."""
    found = read_shadow("$aws/things//shadow/update", b'{"state": {"reported": {"venId": "panel-1"}}}', NOW)

    assert isinstance(found, Unreadable)
    assert found.ven_id is None


def test_what_others_desire_is_not_the_panels_word() -> None:
    """Section 8: whoever asks something of a panel writes ``desired`` to the same topic."""
    assert read_shadow(TOPIC, b'{"state": {"desired": {"loads": []}}}', NOW) is None


@settings(max_examples=50)
@given(before=states, change=states)
def test_a_change_says_what_it_says_and_leaves_the_rest(before: dict[str, Any], change: dict[str, Any]) -> None:
    """A member that is named has its new value, null takes it away, any other stays; twice is as once."""
    found = merged(before, change)

    for name, value in change.items():
        if value is None:
            assert name not in found
        elif not isinstance(value, dict):
            assert found[name] == value
    assert {name: found[name] for name in before.keys() - change.keys()} == {
        name: before[name] for name in before.keys() - change.keys()
    }
    assert merged(found, change) == found


def test_a_document_that_grows_without_end_begins_anew() -> None:
    """However many members a panel names one after the other, its document stays bounded."""
    state: dict[str, Any] = {}
    for number in range(40):
        state = merged(state, {f"member-{number}": "x" * 1000})

    assert len(msgspec.json.encode(state)) <= MOST_BYTES
    assert "member-39" in state
