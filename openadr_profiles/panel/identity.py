"""Names on the wire: panel ids, topics, correlation ids and the spelling of event ids."""

from __future__ import annotations

import base64
import hashlib
import unicodedata

from openadr_profiles.panel.errors import UnsafePanelId, UnsendableCommand

METERING_TOPIC = "volttron/metering"
ACK_FILTER = "ven/ack/+"
TELEMETRY_FILTER = "ven/telemetry/+"
LOADS_FILTER = "ven/loads/+"

MAX_CORRELATION_ID = 255
MAX_WIRE_EVENT_ID = 200
ENTROPY_BYTES = 10
_MAX_PANEL_ID = 255
_ALIAS_DIGITS = 16


def check_panel_id(text: str) -> str:
    """Return the id unchanged if it can be one level of a topic, else raise UnsafePanelId (rule C11)."""
    if not text:
        raise UnsafePanelId("a panel id is empty; expected 1 to 255 characters")
    if len(text) > _MAX_PANEL_ID:
        raise UnsafePanelId(f"panel id {text[:40]!r}… has {len(text)} characters; at most {_MAX_PANEL_ID} are allowed")
    if text.startswith("$"):
        raise UnsafePanelId(f"panel id {text!r} begins with '$', which brokers keep for themselves")
    for character in text:
        if character in "/+#" or unicodedata.category(character) in {"Cc", "Cs"}:
            raise UnsafePanelId(
                f"panel id {text!r} contains {character!r}; '/', '+', '#' and control characters are not allowed"
            )
    return text


def command_topic(ven_id: str) -> str:
    """Return the topic a panel listens on."""
    return f"ven/cmd/{check_panel_id(ven_id)}"


def ack_topic(ven_id: str) -> str:
    """Return the topic a panel answers on."""
    return f"ven/ack/{check_panel_id(ven_id)}"


def panel_of_topic(topic: str) -> str | None:
    """Return the panel of ``ven/…/{venId}`` (rule R1) or ``$aws/things/{venId}/…``; None for topics that name none."""
    levels = topic.split("/")
    is_own = (len(levels) == 3 and levels[0] == "ven") or (len(levels) > 3 and levels[:2] == ["$aws", "things"])
    return levels[2] if is_own and levels[2] else None


def wire_event_id(event_id: str) -> str:
    """Return the event id for a panel: the event's own, or a short stable alias if it is too long to be echoed."""
    if len(event_id) <= MAX_WIRE_EVENT_ID:
        return event_id
    digest = hashlib.sha256(event_id.encode()).hexdigest()[:_ALIAS_DIGITS]
    return f"{event_id[: MAX_WIRE_EVENT_ID - _ALIAS_DIGITS - 1]}-{digest}"


def correlation_id(prefix: str, event_id: str | None, entropy: bytes) -> str:
    """``{prefix}-{event id without leading evt-}-{16 base-32 characters}``, at most 255 characters (rule C10).

    ``entropy`` is at least 10 fresh random bytes; readers treat the whole as opaque.
    """
    if len(entropy) < ENTROPY_BYTES:
        raise UnsendableCommand(f"a correlation id needs {ENTROPY_BYTES} random bytes, got {len(entropy)}")
    random_part = base64.b32encode(entropy[:ENTROPY_BYTES]).decode().lower()
    if event_id is None:
        return f"{prefix}-{random_part}"
    name = wire_event_id(event_id).removeprefix("evt-")
    return f"{prefix}-{name[: MAX_CORRELATION_ID - len(prefix) - len(random_part) - 2]}-{random_part}"
