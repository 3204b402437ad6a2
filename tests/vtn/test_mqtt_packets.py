"""The packets of MQTT, written and read (MQTT 5 and 3.1.1)."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtn.notify import mqtt_packets as packets
from vtn.notify.mqtt_packets import (
    MQTT_3_1_1,
    MQTT_5,
    Acknowledged,
    Alive,
    Connected,
    Dismissed,
    Reader,
    UnreadablePacket,
)

ANSWERS = (
    (
        (
            b"\x20\x1e\x00\x00\x1b\x21\x00\x14\x27\x00\x00\x10\x00\x25\x00\x24\x00\x13\x00\x0a"
            b"\x12\x00\x02ab\x26\x00\x01a\x00\x01b"
        ),
        Connected(0, 20, 4096, keeps_messages=False, knows_qos_1=False, keepalive_s=10),
    ),
    (b"\x40\x02\x00\x01", Acknowledged(1, 0)),
    (b"\x40\x03\xff\xff\x10", Acknowledged(65535, 0x10)),
    (b"\x40\x04\x00\x02\x87\x00", Acknowledged(2, 0x87)),
    (b"\xd0\x00", Alive()),
    (b"\xe0\x00", Dismissed(0)),
    (b"\xe0\x02\x8b\x00", Dismissed(0x8B)),
)


@given(st.lists(st.integers(0, 200), max_size=20))
def test_answers_are_read_however_they_are_cut(cuts: list[int]) -> None:
    """Pieces of any size."""
    stream = b"".join(raw for raw, _ in ANSWERS)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader = Reader(MQTT_5)

    found = [answer for start, end in itertools.pairwise(bounds) for answer in reader.read(stream[start:end])]

    assert found == [answer for _, answer in ANSWERS]


@given(st.binary(max_size=64))
def test_nonsense_is_refused_in_one_way(data: bytes) -> None:
    """Read what comes from outside, wait for the rest of it, or raise UnreadablePacket."""
    with suppress(UnreadablePacket):
        for answer in Reader(MQTT_5).read(data):
            assert isinstance(answer, Connected | Acknowledged | Alive | Dismissed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x20\xff\xff\xff\xff\x01", "a length that does not end"),
        (b"\x20\xff\xff\x7f", "a packet of 2097151 bytes"),
        (b"\x30\x02aa", "a packet of type 0x30"),
        (b"\x20\x05\x00\x00\x02\x77\x00", "a packet that is damaged"),
        (b"\x20\x01\x00", "a packet that is damaged"),
    ],
)
def test_what_no_broker_sends(data: bytes, message: str) -> None:
    """A long packet is refused before it is read."""
    with pytest.raises(UnreadablePacket, match=message):
        list(Reader(MQTT_5).read(data))


def test_an_introduction_in_both_versions() -> None:
    """CONNECT: a new session, with the properties of MQTT 5 or without."""
    who = {"client_id": "ab", "keepalive_s": 30, "user": None, "password": None}

    assert packets.connect(MQTT_5, **who) == b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x1e\x00\x00\x02ab"  # type: ignore[arg-type]
    assert packets.connect(MQTT_3_1_1, **who) == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02ab"  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 100, 121, 122, 16378, 16379, 2_097_200])
def test_messages_of_all_sizes(size: int) -> None:
    """PUBLISH: the length is written with as many bytes as it needs."""
    head, rest = packets.publish(b"t/x", 258, b"c" * size, retain=False)

    length = shift = 0
    at = 1
    while True:
        length |= (head[at] & 0x7F) << shift
        shift += 7
        at += 1
        if head[at - 1] < 0x80:
            break
    assert head[0] == 0x32
    assert length == len(head) - at + len(rest) == 7 + size
    assert head[at:] == b"\x00\x03t/x\x01\x02"


@pytest.mark.parametrize(("code", "text"), [(0x86, "wrong user or password"), (0xFE, "reason 0xfe")])
def test_reasons_in_words(code: int, text: str) -> None:
    """Known ones, and others as they are."""
    assert packets.reason_text(code) == text
