"""The topics that the bridge listens to, and those that an earlier run may have left in its session at the broker."""

from __future__ import annotations

from typing import Final

from bridge_mqtt.settings import Settings
from openadr_profiles.panel.identity import ACK_FILTER, LOADS_FILTER, METERING_TOPIC, TELEMETRY_FILTER

LONGEST_PAYLOAD: Final = 512 * 1024
"""Bytes of a message that are kept: more than any reader accepts (256 KiB, rule R18), so that it is still refused."""


def topic_filters(settings: Settings) -> list[str]:
    """Return the topics that the settings ask for."""
    return [ACK_FILTER, METERING_TOPIC, *(name for name, wanted in _optional(settings).items() if wanted)]


def unwanted_filters(settings: Settings) -> list[str]:
    """Return the topics that other settings would ask for: a lasting session keeps what it was told once."""
    return [name for name, wanted in _optional(settings).items() if not wanted]


def _optional(settings: Settings) -> dict[str, bool]:
    return {TELEMETRY_FILTER: settings.telemetry.own_topics, LOADS_FILTER: settings.telemetry.loads_topics}
