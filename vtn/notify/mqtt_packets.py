"""The packets of MQTT 5 and 3.1.1 that a publisher needs, written and read without any network.

There are libraries for all of MQTT. They keep a record of each message, and take several times as long for one as the
broker does: of the rate at which Mosquitto takes pipelined messages of QoS 1, aiomqtt reaches a fifth. One event for
10,000 vens is 20,000 messages, so the few packets of a publisher are written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

MQTT_5: Final = 5
MQTT_3_1_1: Final = 4
PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"
ACCEPTED: Final = 0
REFUSED_FROM: Final = 0x80
"""Reason codes from here on are refusals (MQTT 5, 2.4)."""
PACKET_TOO_LARGE: Final = 0x95

_LONGEST_TEXT: Final = 65535
_LONGEST_PACKET: Final = 268_435_455
_LONGEST_ANSWER: Final = 65536
"""Brokers send a publisher nothing but short answers; longer ones are refused before they are read."""
_OTHER_VERSION: Final = frozenset({0x01, 0x84})
_REASONS: Final = {
    0x01: "it does not speak this version of MQTT",
    0x02: "it refuses the client id",
    0x03: "it is not available",
    0x04: "wrong user or password",
    0x05: "this server may not connect",
    0x80: "it gives no reason",
    0x83: "it refuses what was sent, for a reason of its own",
    0x84: "it does not speak this version of MQTT",
    0x85: "it refuses the client id",
    0x86: "wrong user or password",
    0x87: "this server has no right to do that there",
    0x88: "it is not available",
    0x89: "it is busy",
    0x8A: "this server is banned there",
    0x8B: "it is shutting down",
    0x8D: "it heard nothing in time",
    0x8E: "another client connected with the same client id",
    0x90: "it refuses the name of the topic",
    0x93: "too many messages were under way",
    0x95: "the message is larger than it takes",
    0x96: "messages come too fast",
    0x97: "a quota of it is used up",
    0x98: "its operator ended the connection",
    0x99: "the message is not in the form that it expects",
    0x9A: "it keeps no messages (retain)",
    0x9B: "it does not offer QoS 1",
    0x9F: "connections come too fast",
}
_BYTE, _TWO, _FOUR, _VARIABLE, _TEXT, _PAIR = range(6)
_PROPERTIES: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), _BYTE),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), _TWO),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), _FOUR),
    0x0B: _VARIABLE,
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), _TEXT),
    0x26: _PAIR,
}
_LENGTHS: Final = {_BYTE: 1, _TWO: 2, _FOUR: 4}


class UnreadablePacket(Exception):
    """The broker sent something that is no packet of MQTT for a publisher."""


class Connected(Struct, frozen=True, gc=False):
    """The broker's answer to a connection: CONNACK. ``reason`` 0 is a yes."""

    reason: int
    receive_maximum: int = 65535
    """Messages that may be under way at once."""
    maximum_packet_size: int = _LONGEST_PACKET
    """In bytes."""
    keeps_messages: bool = True
    """It offers retained messages."""
    knows_qos_1: bool = True
    keepalive_s: int | None = None
    """The interval of signs of life that it demands; None: ours."""

    @property
    def wants_another_version(self) -> bool:
        """Return True if it does not speak the version of MQTT that it was addressed in."""
        return self.reason in _OTHER_VERSION


class Acknowledged(Struct, frozen=True, gc=False):
    """The broker has taken a message, or refuses it: PUBACK."""

    packet_id: int
    reason: int


class Alive(Struct, frozen=True, gc=False):
    """The broker answers to a sign of life: PINGRESP."""


class Dismissed(Struct, frozen=True, gc=False):
    """The broker ends the connection, and says why: DISCONNECT of MQTT 5."""

    reason: int


def reason_text(code: int) -> str:
    """Return a reason code in words."""
    return _REASONS.get(code, f"reason 0x{code:02x}")


def connect(version: int, *, client_id: str, keepalive_s: int, user: str | None, password: str | None) -> bytes:
    """Return CONNECT for a new session that ends with the connection."""
    flags = 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    variable = _text("MQTT") + bytes((version, flags)) + keepalive_s.to_bytes(2) + _no_properties(version)
    texts = [_text(each) for each in (client_id, user, password) if each is not None]
    return _packet(0x10, variable + b"".join(texts))


def publish_properties(version: int, *, expiry_s: int) -> bytes:
    """Return what goes with each message in MQTT 5: that it is JSON, and how long to keep it (MQTT-034)."""
    if version != MQTT_5:
        return b""
    properties = b"\x01\x01\x03" + _text("application/json")
    if expiry_s:
        properties += b"\x02" + expiry_s.to_bytes(4)
    return _variable(len(properties)) + properties


def publish(topic: bytes, packet_id: int, rest: bytes, *, retain: bool) -> tuple[bytes, bytes]:
    """Return PUBLISH with QoS 1, as two pieces: a head of its own, and ``rest``: properties and content.

    Many messages have one ``rest``, so it is not copied here.
    """
    length = 4 + len(topic) + len(rest)
    head = b"%c%b%b%b%b" % (
        0x33 if retain else 0x32,
        _variable(length),
        len(topic).to_bytes(2),
        topic,
        packet_id.to_bytes(2),
    )
    return head, rest


class Reader:
    """Takes what the broker sends, in pieces of any size, and gives the packets in it."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._buffer = bytearray()

    def read(self, data: bytes) -> Iterator[Connected | Acknowledged | Alive | Dismissed]:
        """Return the packets that are complete now; raises UnreadablePacket for anything else."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while (found := _length(buffer, start + 1)) is not None:
                length, body = found
                if length > _LONGEST_ANSWER:
                    raise UnreadablePacket(f"a packet of {length} bytes")
                if body + length > len(buffer):
                    break
                yield self._packet(buffer[start], bytes(buffer[body : body + length]))
                start = body + length
        except (IndexError, KeyError, ValueError) as error:
            raise UnreadablePacket("a packet that is damaged") from error
        finally:
            del buffer[:start]

    def _packet(self, first: int, body: bytes) -> Connected | Acknowledged | Alive | Dismissed:
        match first:
            case 0x40:
                return Acknowledged(int.from_bytes(body[:2]), body[2] if len(body) > 2 else ACCEPTED)
            case 0x20:
                return self._connected(body)
            case 0xD0:
                return Alive()
            case 0xE0:
                return Dismissed(body[0] if body else ACCEPTED)
            case _:
                raise UnreadablePacket(f"a packet of type 0x{first:02x}")

    def _connected(self, body: bytes) -> Connected:
        reason = body[1]
        if self._version != MQTT_5 or len(body) < 3:
            return Connected(reason)
        found = _properties(body, 2)
        return Connected(
            reason,
            receive_maximum=found.get(0x21, 65535) or 1,
            maximum_packet_size=found.get(0x27) or _LONGEST_PACKET,
            keeps_messages=bool(found.get(0x25, 1)),
            knows_qos_1=bool(found.get(0x24, 1)),
            keepalive_s=found.get(0x13),
        )


def _properties(body: bytes, at: int) -> dict[int, int]:
    """Return the properties that are numbers; the others are passed over. Raises IndexError or KeyError."""
    found: dict[int, int] = {}
    length = _length(body, at)
    if length is None:
        raise IndexError
    end = length[0] + length[1]
    at = length[1]
    while at < end:
        name = body[at]
        kind = _PROPERTIES[name]
        at += 1
        if kind in _LENGTHS:
            found[name] = int.from_bytes(body[at : at + _LENGTHS[kind]])
            at += _LENGTHS[kind]
        elif kind == _VARIABLE:
            at = _after_variable(body, at)
        else:
            for _ in range(2 if kind == _PAIR else 1):
                at += 2 + int.from_bytes(body[at : at + 2])
    return found


def _after_variable(body: bytes, at: int) -> int:
    found = _length(body, at)
    if found is None:
        raise IndexError
    return found[1]


def _length(buffer: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return a number of variable length and where it ends; None if the rest of it has not come."""
    value = shift = 0
    for position in range(at, min(at + 4, len(buffer))):
        byte = buffer[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    if len(buffer) >= at + 4:
        raise UnreadablePacket("a length that does not end")
    return None


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _variable(len(body)) + body


def _variable(value: int) -> bytes:
    if value < 0x80:
        return value.to_bytes(1)
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _text(value: str) -> bytes:
    raw = value.encode()
    if len(raw) > _LONGEST_TEXT:
        raise ValueError(f"expected at most {_LONGEST_TEXT} bytes")
    return len(raw).to_bytes(2) + raw


def _no_properties(version: int) -> bytes:
    return b"\x00" if version == MQTT_5 else b""
