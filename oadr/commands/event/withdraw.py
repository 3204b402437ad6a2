"""``oadr event cancel`` and ``delete``: call events off, or remove them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.errors import Exit, Failure
from oadr.events.confirmation import tell
from oadr.events.fleet import find_event
from oadr.events.rows import COLUMNS, event_row
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_one, show_rows
from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import (
    Event,
)
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from openadr_client import VtnClient


app = typer.Typer(add_completion=False)


@app.command(epilog=examples("event cancel 3f2a", "event cancel 3f2a 77b0"))
@with_connection
def cancel(
    event_ids: Annotated[list[str], typer.Argument(metavar="EVENT_ID...", help="Ids, or unique beginnings of them.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Call events off: VENs and panels return to normal; the plan as issued and the reports stay on record.

    An event that is over is refused (exit code 7); one that is cancelled already stays as it is.
    """

    async def call_off(client: VtnClient) -> list[Event]:
        events = [await find_event(client, event_id) for event_id in event_ids]
        now = datetime.now(UTC)
        for event in events:
            timeline = Timeline.of(event, anchor=event.modification_date_time)
            if timeline.transpired(now) and not timeline.cancelled:
                ended = local_time(timeline.end or now)
                raise Failure(f"event {event.id} is over since {ended}; there is nothing to cancel", Exit.CHECK_FAILED)
        done = []
        for event in events:
            if Timeline.of(event, anchor=event.modification_date_time).cancelled:
                tell(f"event {event.id} was cancelled before; nothing is changed")
                done.append(event)
            else:
                done.append(await client.events.replace(event.id, cancelled(event)))
        return done

    rows = [event_row(event, datetime.now(UTC)) for event in act(settings, call_off)]
    if len(rows) == 1:
        show_one(rows[0], COLUMNS, as_json=as_json, title="Cancelled")
    else:
        show_rows(rows, COLUMNS, as_json=as_json, title="Cancelled", empty="")


@app.command(epilog=examples("event delete 3f2a", "event delete 3f2a --json"))
@with_connection
def delete(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Remove an event and its reports; VENs and panels return to normal."""

    async def remove(client: VtnClient) -> Event:
        return await client.events.delete((await find_event(client, event_id)).id)

    event = act(settings, remove)
    show_one(event_row(event, datetime.now(UTC)), COLUMNS, as_json=as_json, title="Deleted")
