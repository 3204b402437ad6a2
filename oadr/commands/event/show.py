"""``oadr event list``, ``get`` and ``status``: look at events, and at what became of one."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.events.fleet import find_event, read_status
from oadr.events.rows import LIST_COLUMNS, event_row
from oadr.terminal.options import examples, parsed_by
from oadr.terminal.output import AllOption, JsonOption, plain, show_json, show_rows, wants_json
from openadr_profiles.fleet.quantities import length
from openadr_profiles.v31 import (
    Event,
)

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from openadr_profiles.fleet.status import EventStatus


app = typer.Typer(add_completion=False)


@app.command(name="list", epilog=examples("event list --active", "event list --target group:north --json"))
@with_connection
def list_(
    *,
    active: Annotated[bool, typer.Option("--active", help="Leave out events that are over.")] = False,
    target: Annotated[list[str] | None, typer.Option(help="Only events with one of these targets. Repeatable.")] = None,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List events, newest first."""

    async def read(client: VtnClient) -> tuple[list[Event], dict[str, str]]:
        events = await client.events.search(targets=target or (), active=active or None)
        programs = await client.programs.search() if events else []
        return events, {program.id: program.program_name for program in programs}

    events, programs = act(settings, read)
    now = datetime.now(UTC)
    rows = [event_row(event, now) | {"programName": programs.get(event.program_id)} for event in events]
    show_rows(
        rows,
        LIST_COLUMNS,
        as_json=as_json,
        title="Events",
        empty="no events",
        everything=everything,
        least_needed=("programName", "endLocal"),
    )


@app.command(epilog=examples("event get 3f2a", "event get 3f2a > event.json"))
@with_connection
def get(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    settings: BusinessLogic,
) -> None:
    """Print one event as the VTN holds it (always JSON)."""
    show_json(plain(act(settings, lambda client: find_event(client, event_id))))


@app.command(epilog=examples("event status 3f2a", "event status 3f2a --watch --every 5s"))
@with_connection
def status(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every participant and circuit, not only the exceptions.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until the event is over.")] = False,
    every: Annotated[
        timedelta, typer.Option(parser=parsed_by(length), metavar="TIME", help="How often with --watch, at least 1s.")
    ] = "5s",  # type: ignore[assignment] # defaults pass through the parser
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Show how many were reached, take part and deliver, then who does not, and why."""
    pause_s = max(1.0, every.total_seconds())

    async def follow(client: VtnClient) -> None:
        while True:
            at = datetime.now(UTC)
            found = await read_status(client, event_id, at=at)
            _show_status(found, as_json=as_json, everything=everything, clear=watch)
            if not watch or found.state in {"completed", "cancelled"}:
                return
            await asyncio.sleep(pause_s)

    act(settings, follow)


def _show_status(found: EventStatus, *, as_json: bool, everything: bool, clear: bool) -> None:
    if wants_json(as_json):
        show_json(found.as_json())
        sys.stdout.flush()
        return
    from rich.console import Console

    from oadr.events.status_view import status_tables

    console = Console()
    if clear:
        console.clear()
    console.print(*status_tables(found, everything=everything), sep="\n")
