"""Write events to a VTN: all of them or none, in a program that is made if there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oadr.errors import Exit, Failure
from openadr_profiles.v31 import (
    Event,
    EventRequest,
    Program,
    ProgramRequest,
)

if TYPE_CHECKING:
    from openadr_client import VtnClient


async def program_named(client: VtnClient, name: str) -> Program:
    """Return the program of that name; create it if there is none."""
    from openadr_client import Conflict

    found = await client.programs.search(program_name=name)
    if found:
        return found[0]
    try:
        return await client.programs.create(ProgramRequest(program_name=name))
    except Conflict:  # somebody else was quicker
        return (await client.programs.search(program_name=name))[0]


async def create_all(client: VtnClient, requests: Sequence[EventRequest]) -> list[Event]:
    """Create all events or none: when one is refused, those that were made are removed again."""
    from openadr_client import VtnError

    made: list[Event] = []
    try:
        for request in requests:
            made.append(await client.events.create(request))  # noqa: PERF401 - what was made must be known on failure
    except (VtnError, asyncio.CancelledError) as error:
        left = []
        for event in made:
            try:
                await client.events.delete(event.id)
            except VtnError:
                left.append(event.id)
        if left:
            ids = " ".join(left)
            raise Failure(f"{error}; and these could not be removed: oadr event delete {ids}", Exit.REFUSED) from error
        raise
    return made
