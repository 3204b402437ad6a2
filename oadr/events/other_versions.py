"""Tell who issues an event what VENs of OpenADR 2.0b will see of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from openadr_profiles.fleet.preview import Preview
from openadr_profiles.fleet.recipients import Recipient, reached
from openadr_profiles.v20b.projection.preview import Preview20b, of_20b, preview_20b
from openadr_profiles.v31 import EventRequest, Program

if TYPE_CHECKING:
    from oadr.events.fleet import AffectedFleet
    from openadr_client import VtnClient


async def program_of(client: VtnClient, request: EventRequest, name: str, *, draft: str) -> Program | None:
    """Return the program that an event is to belong to; None if it is one that does not exist yet."""
    if request.program_id != draft:
        return await client.programs.get(request.program_id)
    found = await client.programs.search(program_name=name)
    return found[0] if found else None


async def with_20b(
    preview: Preview,
    client: VtnClient,
    requests: Sequence[tuple[EventRequest, Sequence[Recipient]]],
    fleet: AffectedFleet,
    *,
    program: str,
    draft: str,
    now: datetime,
) -> Preview:
    """Add to a preview what VENs of 2.0b are not told, if any of them is reached; nothing is read if none is."""
    ids = {ven.id for ven in of_20b(fleet.vens)}
    warnings: list[str] = []
    for request, to in requests:
        count = sum(recipient.ven_id in ids for recipient in to)
        if count:
            owner = await program_of(client, request, program, draft=draft)
            warnings += preview_20b(request, owner, vens=count, now=now).warnings
    return replace(preview, warnings=(*preview.warnings, *dict.fromkeys(warnings)))


def preview_for(request: EventRequest, program: Program | None, fleet: AffectedFleet, now: datetime) -> Preview20b:
    """Return what VENs of 2.0b will see of an event."""
    vens = of_20b(reached(request.targets or (), fleet.vens, fleet.resources))
    return preview_20b(request, program, vens=len(vens), now=now)
