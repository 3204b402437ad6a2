"""Messages as XML: from the tables of `layout`, escaped, in UTC, with canonical durations (B-GEN-001, -013, -015)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from openadr_profiles.v20b.layout.common import TARGET
from openadr_profiles.v20b.layout.elements import Out
from openadr_profiles.v20b.layout.event import EVENT
from openadr_profiles.v20b.layout.messages import LAYOUTS, NAMES
from openadr_profiles.v20b.layout.namespaces import NAMESPACES
from openadr_profiles.v20b.messages import EMPTY_TARGET, DistributeEvent, EiResponse, Event, Message, Target

_DECLARATIONS: Final = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
_START: Final = f'<?xml version="1.0" encoding="UTF-8"?>\n<oadr:oadrPayload {_DECLARATIONS}><oadr:oadrSignedObject>'
_END: Final = "</oadr:oadrSignedObject></oadr:oadrPayload>"
_NO_TARGET: Final = "<ei:eiTarget></ei:eiTarget>"


@dataclass(frozen=True, slots=True)
class PreparedEvent:
    """An event as text but for its target, so that many VENs can be given it and it is built once."""

    before: str
    after: str


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


def prepare(event: Event) -> PreparedEvent:
    """Build the text of an event, whose own target is left out; raises Unwritable."""
    out: Out = []
    EVENT.write(out, "oadr:oadrEvent", replace(event, target=EMPTY_TARGET))
    before, _, after = "".join(out).rpartition(_NO_TARGET)  # what a signal is about comes earlier
    return PreparedEvent(before, after)


def distribute(
    events: Iterable[tuple[PreparedEvent, Target]], *, request_id: str, vtn_id: str, response: EiResponse | None = None
) -> bytes:
    """Return the payload of an oadrDistributeEvent of prepared events, each with the target its receiver is shown.

    It has the same text as `write` gives, and the work of a few copies.
    """
    empty = write(DistributeEvent(request_id=request_id, vtn_id=vtn_id, response=response)).decode()
    head, end, tail = empty.rpartition("</oadr:oadrDistributeEvent>")
    out: Out = [head]
    for prepared, target in events:
        out.append(prepared.before)
        TARGET.write(out, "ei:eiTarget", target)
        out.append(prepared.after)
    return "".join([*out, end, tail]).encode()
