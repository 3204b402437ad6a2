"""The topics that a bridge listens to, and those that an earlier run may have left in its session at the broker."""

from __future__ import annotations

from typing import Final

from bridge_mqtt.settings import Settings
from openadr_profiles.panel.identity import ACK_FILTER, LOADS_FILTER, METERING_TOPIC, TELEMETRY_FILTER
from openadr_profiles.panel.reading import MAX_BYTES
from openadr_profiles.panel.shadow import SHADOW_FILTER

LONGEST_PAYLOAD: Final = MAX_BYTES + 1
"""Bytes of a message that are kept: one more than any reader accepts (rule R18), so that it is still refused."""


def topic_filters(settings: Settings) -> list[str]:
    """Return the topics of a bridge that leads."""
    optional = (
        (TELEMETRY_FILTER, settings.telemetry.own_topics),
        (LOADS_FILTER, settings.telemetry.loads_topics),
        (SHADOW_FILTER, settings.telemetry.shadow_topics),
    )
    return [_acks(settings), METERING_TOPIC, *(name for name, wanted in optional if wanted)]


def standby_filters(settings: Settings) -> list[str]:
    """Return the topics of a bridge that stands by: a share of the acknowledgments, if they are shared."""
    return [_acks(settings)] if settings.broker.share_group else []


def all_filters(settings: Settings) -> list[str]:
    """Return all topics that a bridge with these settings or others may have subscribed to."""
    return [ACK_FILTER, _acks(settings), METERING_TOPIC, TELEMETRY_FILTER, LOADS_FILTER, SHADOW_FILTER]


def _acks(settings: Settings) -> str:
    """Return the filter of acknowledgments. Metering is not shared: it is added up for each panel in its order."""
    group = settings.broker.share_group
    return f"$share/{group}/{ACK_FILTER}" if group else ACK_FILTER
