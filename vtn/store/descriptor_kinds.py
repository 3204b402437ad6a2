"""Complete the payload descriptors that early versions stored as they were sent: without ``objectType`` (ruling 19)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, column, select, table, update

from openadr_profiles.v31 import EventPayloadDescriptor, ProgramPayloadDescriptor, ReportPayloadDescriptor

_DECODERS: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    "programs": msgspec.json.Decoder(list[ProgramPayloadDescriptor]),
    "events": msgspec.json.Decoder(list[EventPayloadDescriptor]),
    "reports": msgspec.json.Decoder(list[ReportPayloadDescriptor]),
}
_NAME: Final = "payloadDescriptors"
_AT_ONCE: Final = 20


def complete_descriptors(connection: Connection) -> None:
    """Add the kind to descriptors of programs, events and reports that have none; all else keeps its text.

    An object that cannot be read stays as it is.
    """
    for name, decoder in _DECODERS.items():
        its = table(name, column("id"), column("members"))
        last = ""
        listed = its.c.members.contains(f'"{_NAME}":[{{', autoescape=True)
        chosen = select(its).where(listed).order_by(its.c.id).limit(_AT_ONCE)
        while rows := connection.execute(chosen.where(its.c.id > last)).all():
            last = rows[-1].id
            for row in rows:
                members = _completed(row.members, decoder)
                if members is not None:
                    connection.execute(update(its).where(its.c.id == row.id).values(members=members))


def _completed(members: str, decoder: msgspec.json.Decoder[Any]) -> str | None:
    """Return the members with complete descriptors; None if nothing is missing."""
    try:
        read = msgspec.json.decode(f"{{{members}}}", type=dict[str, msgspec.Raw])
        sent = msgspec.json.decode(read[_NAME], type=list[dict[str, msgspec.Raw]])
        wholes = decoder.decode(read[_NAME])
    except (msgspec.DecodeError, KeyError):
        return None
    if all("objectType" in each for each in sent):
        return None
    told = [
        {"objectType": msgspec.Raw(msgspec.json.encode(whole.object_type)), **each}
        for each, whole in zip(sent, wholes, strict=True)
    ]
    read[_NAME] = msgspec.Raw(msgspec.json.encode(told))
    return msgspec.json.encode(read)[1:-1].decode()
