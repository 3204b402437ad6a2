"""Which topics each account may use at the broker: the bridge its own side, each panel nothing but its own (no. 27)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge_mqtt.settings import Settings
from bridge_mqtt.topics import topic_filters
from openadr_client import TopicPrefix
from openadr_profiles.panel.identity import METERING_TOPIC, command_topic
from openadr_profiles.panel.switching import delta_topic

_ANY: Final = "+"
_OWN_NAME: Final = "%u"
_LAST_WILL: Final = "volttron/dev"
"""Tell where the envelope program's last will goes; the bridge does not read it."""


def mosquitto_access(settings: Settings, *, bridge_user: str) -> Iterator[str]:
    """Yield the lines of an ``acl_file`` of Mosquitto, in which each panel's account has the panel's id as its name.

    With ``unregistered`` = accept a panel is whoever the broker lets in, so that lines are patterns of the name.

    Raises:
        ValueError: a name cannot stand in such a file, or is that of the bridge and of a panel.
    """
    topics = TopicPrefix(settings.broker.topic_prefix)
    yield "# The bridge reads what panels say, and tells them what to do."
    yield f"user {_checked(bridge_user)}"
    yield from (f"topic read {topics.outer(each)}" for each in topic_filters(settings))
    yield f"topic write {topics.outer(command_topic('PANEL').replace('PANEL', _ANY))}"
    yield f"topic write {delta_topic('PANEL').replace('PANEL', _ANY)}"
    yield ""
    if settings.unregistered == "accept":
        yield "# Every other account is the panel of its name."
        yield from _of_panel("pattern", _OWN_NAME, topics)
        return
    yield "# Each panel reads its own commands only, and answers for itself only."
    for panel in settings.panels:
        if panel.id == bridge_user:
            raise ValueError(f"panel {panel.id!r} has the name of the bridge's account; expected another one")
        yield f"user {_checked(panel.id)}"
        yield from _of_panel("topic", panel.id, topics)
        yield ""


def _of_panel(kind: str, name: str, topics: TopicPrefix) -> Iterator[str]:
    yield f"{kind} read {topics.outer(f'ven/cmd/{name}')}"
    for topic in (f"ven/ack/{name}", f"ven/telemetry/{name}", f"ven/loads/{name}", METERING_TOPIC, _LAST_WILL):
        yield f"{kind} write {topics.outer(topic)}"
    yield f"{kind} readwrite $aws/things/{name}/shadow/#"


def _checked(name: str) -> str:
    """Return a name that is read back from a line as it was written."""
    if not name.isprintable() or name != name.strip() or not name:
        raise ValueError(
            f"{name!r} cannot be the name of an account in the file; expected printable letters, no blank at the ends"
        )
    return name
