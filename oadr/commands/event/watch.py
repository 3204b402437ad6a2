"""``oadr event watch``: a line for every event that is created, modified or deleted, as it happens."""

from __future__ import annotations

import sys
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.events.rows import event_row
from oadr.events.watching import EventChange, follow_events
from oadr.terminal.options import examples, parsed_by
from oadr.terminal.output import JsonOption, show_json_line, wants_json
from oadr.terminal.text import visible
from openadr_profiles.fleet.quantities import length
from openadr_profiles.fleet.wording import local_time

if TYPE_CHECKING:
    from openadr_client import VtnClient


app = typer.Typer(add_completion=False)


@app.command(epilog=examples("event watch", "event watch --target group:north --json"))
@with_connection
def watch(
    *,
    target: Annotated[list[str] | None, typer.Option(help="Only events with one of these targets. Repeatable.")] = None,
    every: Annotated[
        timedelta,
        typer.Option(parser=parsed_by(length), metavar="TIME", help="How often to ask as well, at least 1s."),
    ] = "10s",  # type: ignore[assignment] # defaults pass through the parser
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Show every event that is created, modified or deleted from now on, until Ctrl-C.

    The VTN tells of changes at once if it can. JSON is one object for each line.
    """
    wanted = frozenset(target or ())

    async def follow(client: VtnClient) -> None:
        every_s = max(1.0, every.total_seconds())
        async with aclosing(follow_events(client, every_s=every_s, say=_say)) as changes:
            async for change in changes:
                if not wanted or wanted.intersection(change.event.targets or ()):
                    _show(change, as_json=as_json)

    act(settings, follow)


def _say(text: str) -> None:
    typer.echo(visible(text), err=True)


def _show(change: EventChange, *, as_json: bool) -> None:
    now = datetime.now(UTC)
    row = event_row(change.event, now)
    if wants_json(as_json):
        show_json_line({"seenAt": now.isoformat(timespec="milliseconds"), "operation": change.operation, "event": row})
    else:
        typer.echo(visible(_line(change.operation, row, now)))
    sys.stdout.flush()


def _line(operation: str, row: dict[str, Any], now: datetime) -> str:
    """Return what a person reads: when it was seen, what happened, and to which event."""
    when = f"{row['startLocal']} to {row['endLocal']}" if row["startLocal"] else "called off"
    parts = [local_time(now), f"{operation:<6}", row["id"], row.get("eventName") or "-", row["state"], when]
    if row["asks"]:
        parts.append("; ".join(dict.fromkeys(row["asks"])))
    if row.get("targets"):
        parts.append(", ".join(row["targets"]))
    return "  ".join(parts)
