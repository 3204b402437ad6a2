"""Messages as XML: from the tables of `layout`, escaped, in UTC, with canonical durations (B-GEN-001, -013, -015)."""

from __future__ import annotations

from typing import Final

from openadr_profiles.v20b.layout.elements import KeptIntervals, Out
from openadr_profiles.v20b.layout.messages import LAYOUTS, NAMES
from openadr_profiles.v20b.layout.namespaces import NAMESPACES
from openadr_profiles.v20b.messages import Message

__all__ = ["KeptIntervals", "write"]

_DECLARATIONS: Final = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
_START: Final = f'<?xml version="1.0" encoding="UTF-8"?>\n<oadr:oadrPayload {_DECLARATIONS}><oadr:oadrSignedObject>'
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
