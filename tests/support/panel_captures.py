"""The recorded traffic of real panel programs, message by message."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DIRECTORY = Path(__file__).parent.parent / "data" / "panel-captures"
FILES = sorted(path.stem for path in DIRECTORY.glob("*.jsonl"))

_METERING = ("volttron/metering", "ven/telemetry/", "ven/loads/")


@dataclass(frozen=True)
class Recorded:
    """One message as it was seen on the wire."""

    at: datetime
    from_panel: bool
    topic: str
    payload: bytes

    @property
    def is_ack(self) -> bool:
        """Return True if it is an acknowledgment."""
        return self.topic.startswith("ven/ack/")

    @property
    def is_telemetry(self) -> bool:
        """Return True if it is a metering message, on any of its three topics."""
        return self.topic.startswith(_METERING)


def recorded(name: str) -> Iterator[Recorded]:
    """The messages of one recording in their order."""
    for line in (DIRECTORY / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        text = row.get("payload_text")
        payload = text.encode() if text is not None else json.dumps(row["payload"]).encode()
        yield Recorded(
            at=datetime.fromtimestamp(row["t"], UTC),
            from_panel=row["direction"] == "from_panel",
            topic=row["topic"],
            payload=payload,
        )


def acks(name: str) -> list[Recorded]:
    """The acknowledgments of one recording."""
    return [message for message in recorded(name) if message.is_ack]


def telemetry(name: str) -> list[Recorded]:
    """The metering messages of one recording."""
    return [message for message in recorded(name) if message.is_telemetry]
