"""The programs that the VTN shows: names and default units are needed to read their events."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import programs
from openadr_profiles.v31 import Program, decode, encode


async def replace(connection: AsyncConnection, shown: Iterable[Program]) -> None:
    """Store these programs and no others."""
    await connection.execute(delete(programs))
    rows = [{"program_id": program.id, "body": encode(program).decode()} for program in shown]
    if rows:
        await connection.execute(insert(programs), rows)


async def all_(connection: AsyncConnection) -> dict[str, Program]:
    """Return the stored programs by id."""
    rows = await connection.execute(select(programs.c.program_id, programs.c.body))
    return {row.program_id: decode(row.body, Program) for row in rows}
