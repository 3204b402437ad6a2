"""The ways to tell of alarms, as the sender knows them, and what a message says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from vtn.store.console.alarms import AlarmMessage, StoredAlarm


class NotTold(Exception):
    """Messages were not accepted; the text says why, without any secret."""


class AlarmChannel(Protocol):
    """Tell of alarms in one way. ``name`` is what the settings call it."""

    name: str

    async def tell(self, messages: Sequence[AlarmMessage]) -> None:
        """Send messages, all or none as far as the channel can; raises NotTold."""

    async def close(self) -> None:
        """Close connections."""


def document(message: AlarmMessage) -> dict[str, Any]:
    """Return a message as a JSON object: what is wrong, since when, and until when."""
    alarm = message.alarm
    if alarm is None:
        return {"state": "TEST", "text": TRIAL, "raisedDateTime": message.noted_at}
    return {
        "id": alarm.id,
        "kind": alarm.kind,
        "subject": alarm.subject,
        "state": "CLEARED" if message.is_clear else "RAISED",
        "text": alarm.text,
        "raisedDateTime": alarm.raised_at,
        "clearedDateTime": alarm.cleared_at if message.is_clear else None,
    }


TRIAL = "this is a test of an alarm channel; nothing is wrong"


def line(message: AlarmMessage) -> str:
    """Return a message as one line of text."""
    alarm = message.alarm
    if alarm is None:
        return f"TEST     {TRIAL}"
    if message.is_clear:
        return f"CLEARED  {_seconds(alarm.cleared_at)}  {_plain(alarm)}"
    return f"RAISED   {_seconds(alarm.raised_at)}  {_plain(alarm)}"


def _plain(alarm: StoredAlarm) -> str:
    """Return the text without control characters: names in it come from outside."""
    return "".join(each if each.isprintable() else "?" for each in alarm.text)


def _seconds(at: str | None) -> str:
    return "" if at is None else f"{at[:19]}Z"
