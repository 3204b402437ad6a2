"""Publish recorded traffic of panels at a broker, in the order and at the distances of the recording, or faster."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from bridge_mqtt.errors import BadRecording
from openadr_client import BoundedConnector, BrokerSettings, TopicPrefix

LONGEST_LINE: Final = 1024 * 1024
"""Bytes of a line of a recording."""
LONGEST_PAYLOAD: Final = 256 * 1024
"""Bytes of a message (rule R18)."""
_LONGEST_TOPIC: Final = 512
LONGEST_GAP_S: Final = 86_400.0
"""Seconds from one message of a recording to the next."""
_FROM_PANEL: Final = "from_panel"


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message of a recording."""

    line: int
    at_s: float
    """Seconds since 1970 at which it was seen."""
    from_panel: bool
    topic: str
    qos: int
    retain: bool
    payload: bytes


class _Line(msgspec.Struct, frozen=True):
    t: float
    direction: Literal["from_panel", "to_panel"]
    topic: str
    qos: Literal[0, 1, 2] = 1
    retain: bool = False
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    payload_text: str | msgspec.UnsetType | None = msgspec.UNSET


def read_recording(file: Path) -> Iterator[RecordedMessage]:
    """Yield the messages of a file of JSON lines, one line in memory at a time; empty lines count for nothing.

    Raises:
        BadRecording: the file cannot be read, or a line is too long, no message, or earlier than the one before it.
    """
    before_s = -math.inf
    try:
        with file.open("rb") as lines:
            number = 0
            while text := lines.readline(LONGEST_LINE + 1):
                number += 1
                if not text.strip():
                    continue
                message = _message(f"{file}, line {number}", number, text)
                if message.at_s < before_s:
                    raise BadRecording(f"{file}, line {number}: t goes back, expected at least {before_s}")
                if message.at_s - before_s > LONGEST_GAP_S and before_s > -math.inf:
                    raise BadRecording(
                        f"{file}, line {number}: t is {message.at_s - before_s:,.0f} s after the line before it,"
                        f" expected at most {LONGEST_GAP_S:,.0f}"
                    )
                before_s = message.at_s
                yield message
    except OSError as error:
        raise BadRecording(f"{file} cannot be read: {error.strerror or error}") from None


def _message(where: str, number: int, text: bytes) -> RecordedMessage:
    if len(text) > LONGEST_LINE:
        raise BadRecording(f"{where}: it has more than {LONGEST_LINE:,} bytes, expected at most so many")
    try:
        line = msgspec.json.decode(text, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecording(f"{where}: {error}; expected an object with t, direction, topic and payload") from None
    if not math.isfinite(line.t):
        raise BadRecording(f"{where}: t is {line.t}, expected seconds since 1970")
    topic = line.topic.encode(errors="replace")
    if not 0 < len(topic) <= _LONGEST_TOPIC or any(letter in "+#\0" for letter in line.topic):
        raise BadRecording(
            f"{where}: topic {line.topic[:40]!r} cannot be published to, expected 1 to {_LONGEST_TOPIC} bytes without"
            " + and #"
        )
    payload = _payload(where, line)
    if len(payload) > LONGEST_PAYLOAD:
        raise BadRecording(f"{where}: the payload has {len(payload):,} bytes, expected at most {LONGEST_PAYLOAD:,}")
    return RecordedMessage(number, line.t, line.direction == _FROM_PANEL, line.topic, line.qos, line.retain, payload)


def _payload(where: str, line: _Line) -> bytes:
    """Return the bytes that were seen: the text if there is one, for it is exact, else the document."""
    if isinstance(line.payload_text, str):
        return line.payload_text.encode(errors="surrogatepass")
    if not isinstance(line.payload, msgspec.Raw):
        raise BadRecording(f"{where}: payload is missing, expected it, or payload_text")
    return bytes(line.payload)


@dataclass(kw_only=True)
class Replayed:
    """Hold what was done with a recording."""

    published: int = 0
    left_out: int = 0
    """Messages to panels."""


async def replay(
    file: Path,
    broker: BrokerSettings,
    *,
    prefix: str = "",
    speed: float = 1.0,
    to_panels: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Replayed:
    """Publish a recording ``speed`` times as fast as it was seen; what was sent to panels only with ``to_panels``.

    The whole file is read once before anything is published, so that a damaged one publishes nothing.

    Raises:
        BadRecording: the file cannot be read.
        BrokerError: the broker cannot be used, or the connection is lost.
    """
    for _ in read_recording(file):
        pass
    done = Replayed()
    topics = TopicPrefix(prefix)
    async with BoundedConnector(longest=1).connected(broker, tls=broker.tls_context()) as client:
        first_s: float | None = None
        loop = asyncio.get_running_loop()
        began = loop.time()
        for message in read_recording(file):
            if not (message.from_panel or to_panels):
                done.left_out += 1
                continue
            first_s = message.at_s if first_s is None else first_s
            wait_s = (message.at_s - first_s) / speed - (loop.time() - began)
            if wait_s > 0:
                await sleep(wait_s)
            await client.say(topics.outer(message.topic), message.payload, qos=message.qos, retain=message.retain)
            done.published += 1
    return done
