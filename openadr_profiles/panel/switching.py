"""Messages that switch one circuit of a panel on or off, which no panel program can shed in part."""

from __future__ import annotations

from datetime import datetime

import msgspec

from openadr_profiles.panel.errors import UnsendableCommand
from openadr_profiles.panel.identity import check_panel_id, command_topic

_LONGEST_ID = 255


def delta_topic(ven_id: str) -> str:
    """Return the topic on which a panel hears what its shadow document should become (section 8)."""
    return f"$aws/things/{check_panel_id(ven_id)}/shadow/update/delta"


def switch_by_delta(*, ven_id: str, load_id: str, enabled: bool, now: datetime) -> tuple[str, bytes]:
    """Return topic and bytes of a shadow delta. It is not answered: the next sample shows what it did.

    During an event it would undo what the panel sheds (no. 36). Raises UnsendableCommand or UnsafePanelId.
    """
    state = {"loads": [{"id": _checked(load_id), "enabled": enabled}]}
    seconds = int(now.timestamp())
    return delta_topic(ven_id), msgspec.json.encode({"version": seconds, "timestamp": seconds, "state": state})


def switch_by_command(
    *, ven_id: str, correlation_id: str, load_id: str, enabled: bool, now: datetime
) -> tuple[str, bytes]:
    """Return topic and bytes of a ``setLoad`` command, which is answered. Raises as ``switch_by_delta`` does."""
    members = {
        "op": "setLoad",
        "correlationId": correlation_id,
        "venId": ven_id,
        "data": {"loadId": _checked(load_id), "enabled": enabled},
        "ts": int(now.timestamp()),
    }
    return command_topic(ven_id), msgspec.json.encode(members)


def _checked(load_id: str) -> str:
    if not 1 <= len(load_id) <= _LONGEST_ID:
        raise UnsendableCommand(f"a circuit id of {len(load_id)} characters cannot be sent; 1 to {_LONGEST_ID} can")
    return load_id
