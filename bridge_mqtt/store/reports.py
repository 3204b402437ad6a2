"""Reports to the VTN: written before they are sent, and sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import events, reports
from bridge_mqtt.store.upsert import insert_or_skip, insert_or_update
from openadr_profiles.v31 import ReportRequest, decode, encode


class ReportState(StrEnum):
    """States of a report to the VTN."""

    QUEUED = "queued"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class StoredReport:
    """A report and whether the VTN has it."""

    event_id: str
    name: str
    state: ReportState
    report: ReportRequest
    body: str
    """The report as it is kept."""
    due_at: datetime
    report_id: str | None
    problem: str | None


_DELETED = select(events.c.event_id).where(events.c.withdrawn_at.is_not(None))
_WAITS = (reports.c.state == ReportState.QUEUED) & reports.c.event_id.not_in(_DELETED)


def key_name(report_name: str | None, sender: str) -> str:
    """Return what a report is kept as: its name, and before it the sender, if that is not the bridge as one ven."""
    return f"{sender}/{report_name}" if sender else report_name or ""


async def add(connection: AsyncConnection, report: ReportRequest, due_at: datetime, *, sender: str = "") -> None:
    """Write a report that is to be sent; a report of this event and sender with this name stays as it is."""
    row = {
        "event_id": report.event_id,
        "name": key_name(report.report_name, sender),
        "state": ReportState.QUEUED,
        "body": encode(report).decode(),
        "due_at": due_at,
    }
    await connection.execute(insert_or_skip(connection, reports, ["event_id", "name"]), row)


async def put(connection: AsyncConnection, report: ReportRequest, due_at: datetime, *, sender: str = "") -> bool:
    """Write a report that replaces the earlier one of this name; return True if its content is new."""
    body = encode(report).decode()
    name = key_name(report.report_name, sender)
    key = (reports.c.event_id == report.event_id) & (reports.c.name == name)
    if (await connection.execute(select(reports.c.body).where(key))).scalar_one_or_none() == body:
        return False
    row = {
        "event_id": report.event_id,
        "name": name,
        "state": ReportState.QUEUED,
        "body": body,
        "due_at": due_at,
    }
    columns = ["state", "body", "due_at"]
    await connection.execute(insert_or_update(connection, reports, ["event_id", "name"], columns), row)
    return True


async def unsent(
    connection: AsyncConnection, *, without: Collection[tuple[str, str]] = (), limit: int = 20
) -> list[StoredReport]:
    """Return reports the VTN does not have for certain, oldest first; those of deleted events go (RDESC-022).

    At most ``limit`` are read, since each may be large; those ``without``, by event and name, have their turn later.
    """
    statement = select(reports).where(_WAITS).order_by(reports.c.due_at, reports.c.name).limit(limit)
    if without:
        statement = statement.where(tuple_(reports.c.event_id, reports.c.name).not_in(list(without)))
    found = []
    for row in (await connection.execute(statement)).mappings():
        found.append(_stored(row))
        await asyncio.sleep(0)  # each may be large
    return found


async def names_of(connection: AsyncConnection, event_id: str) -> set[str]:
    """Return the names of the reports of an event."""
    return set((await connection.execute(select(reports.c.name).where(reports.c.event_id == event_id))).scalars())


async def of_event(connection: AsyncConnection, event_id: str) -> list[StoredReport]:
    """Return the reports of an event, oldest first."""
    statement = select(reports).where(reports.c.event_id == event_id).order_by(reports.c.due_at, reports.c.name)
    return [_stored(row) for row in (await connection.execute(statement)).mappings()]


async def mark(connection: AsyncConnection, sent: StoredReport, state: ReportState, **values: Any) -> None:
    """Write the state of a report, unless its content has changed meanwhile."""
    statement = update(reports).where(
        reports.c.event_id == sent.event_id,
        reports.c.name == sent.name,
        reports.c.body == sent.body,
    )
    await connection.execute(statement.values(state=state))
    if values:
        key = (reports.c.event_id == sent.event_id) & (reports.c.name == sent.name)
        await connection.execute(update(reports).where(key).values(**values))


async def count_unsent(connection: AsyncConnection) -> int:
    """Return the number of reports that wait to be sent."""
    statement = select(func.count()).where(_WAITS)
    return int((await connection.execute(statement)).scalar_one())


def _stored(row: RowMapping) -> StoredReport:
    return StoredReport(
        event_id=row["event_id"],
        name=row["name"],
        state=ReportState(row["state"]),
        report=decode(row["body"], ReportRequest),
        body=row["body"],
        due_at=row["due_at"],
        report_id=row["report_id"],
        problem=row["problem"],
    )
