"""Messages as XML: from the tables of `layout`, escaped, in UTC, with canonical durations (B-GEN-001, -013, -015)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from openadr_profiles.v20b.layout.common import TARGET
from openadr_profiles.v20b.layout.elements import KeptIntervals, Out
from openadr_profiles.v20b.layout.event import EVENT, EVENT_TAG, EVENT_TARGET_TAG
from openadr_profiles.v20b.layout.messages import LAYOUTS, NAMES
from openadr_profiles.v20b.layout.namespaces import NAMESPACES
from openadr_profiles.v20b.messages import EMPTY_TARGET, Event, Message, Target, WrittenEvent

__all__ = ["KeptEvent", "KeptIntervals", "write"]

_DECLARATIONS: Final = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
_START: Final = f'<?xml version="1.0" encoding="UTF-8"?>\n<oadr:oadrPayload {_DECLARATIONS}><oadr:oadrSignedObject>'
_TARGETS: Final = 256
"""Targets that keep their text: a VEN is often shown the same one in each event of a message."""
_END: Final = "</oadr:oadrSignedObject></oadr:oadrPayload>"


def write(message: Message) -> bytes:
    """Return the whole payload of a message; raises Unwritable for what this profile has no form for.

    Every message says that it is of version 2.0b (B-GEN-002), and none names a place of schemas (B-GEN-003).
    """
    layout = LAYOUTS[type(message)]
    tag = f"oadr:{NAMES[type(message)]}"
    out: Out = [_START, f'<{tag} ei:schemaVersion="2.0b">']
    layout.write_children(out, message)
    out.append(f"</{tag}>{_END}")
    return "".join(out).encode()


class KeptEvent:
    """An event that many VENs are told in the same words, written once. What differs between them is its target."""

    __slots__ = ("_after", "_before", "_event")

    def __init__(self, event: Event) -> None:
        """Write an event that has no target; raises Unwritable."""
        out: Out = []
        EVENT.write(out, EVENT_TAG, event)
        self._before, _, self._after = "".join(out).rpartition(_target_text(EMPTY_TARGET))
        self._event = event

    def told_to(self, target: Target) -> WrittenEvent:
        """Return the event with the target that a VEN is shown; raises Unwritable."""
        event = self._event
        return WrittenEvent(
            descriptor=event.descriptor,
            active_period=event.active_period,
            signals=event.signals,
            target=target,
            response_required=event.response_required,
            text=f"{self._before}{_target_text(target)}{self._after}",
        )


@lru_cache(_TARGETS)
def _target_text(target: Target) -> str:
    out: Out = []
    TARGET.write(out, EVENT_TARGET_TAG, target)
    return "".join(out)
