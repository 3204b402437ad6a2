"""``oadr alarms``: what is wrong at a VTN, and who looks after it; beside a running server, on its database."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.errors import reporting
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, show_one, show_rows
from openadr_profiles.fleet.wording import ago

if TYPE_CHECKING:
    from vtn.store.console.alarms import AlarmStore, StoredAlarm

T = TypeVar("T")

app = typer.Typer(
    add_completion=False,
    help="Alarms of a VTN: list them, acknowledge one.",
    no_args_is_help=True,
    epilog=examples("alarms list", "alarms ack 17 --note 'electrician is on the way'"),
)

_COLUMNS = {
    "number": "Number",
    "state": "State",
    "kind": "Kind",
    "text": "What",
    "raised": "Since",
    "acknowledged_by": "Acknowledged by",
    "note": "Note",
}


@app.command(name="list", epilog=examples("alarms list", "alarms list --over --kind VEN_SILENT --json"))
def list_(
    *,
    over: Annotated[bool, typer.Option("--over", help="Also those that are over, the newest first.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only this kind, as VEN_SILENT.")] = None,
    limit: Annotated[int, typer.Option(help="As many at most.", min=1, max=10_000)] = 200,
    everything: AllOption = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List alarms that hold, newest first."""
    with reporting():
        from vtn.alarms.kinds import AlarmKind

        if kind is not None and kind.upper() not in AlarmKind.__members__:
            raise typer.BadParameter(f"no kind of alarm: {kind}; expected one of {', '.join(AlarmKind)}")

        async def read(store: AlarmStore) -> list[StoredAlarm]:
            from vtn.store.query import Page

            chosen = None if kind is None else kind.upper()
            return await store.search(holding=None if over else True, kind=chosen, page=Page(0, limit))

        now = datetime.now(UTC)
        rows = [_row(each, now) for each in _with_store(config, database_url, read)]
        show_rows(
            rows,
            _COLUMNS,
            as_json=as_json,
            title="Alarms",
            empty="nothing is wrong",
            everything=everything,
            least_needed=("kind", "note"),
        )


@app.command(epilog=examples("alarms ack 17", "alarms ack 17 --by anna --note 'electrician is on the way'"))
def ack(
    number: Annotated[int, typer.Argument(help="Number of the alarm, as list shows.", min=1)],
    *,
    note: Annotated[str, typer.Option(help="What is done about it, 500 characters at most.")] = "",
    by: Annotated[str | None, typer.Option(help="Who looks after it; by default the user of this computer.")] = None,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Acknowledge an alarm: somebody looks after it. It holds until it is well again."""
    with reporting():
        who = getpass.getuser() if by is None else by

        async def note_it(store: AlarmStore) -> StoredAlarm:
            _, after = await store.acknowledge(number, by=who, note=note)
            return after

        done = _row(_with_store(config, database_url, note_it), datetime.now(UTC))
        show_one(done, _COLUMNS, as_json=as_json, title="Alarm")


def _with_store(config: Path | None, database_url: str | None, act: Callable[[AlarmStore], Awaitable[T]]) -> T:
    """Return what ``act`` makes of the alarms in a database, which must be there."""

    async def run() -> T:
        from vtn.administration import opened
        from vtn.app import system_now
        from vtn.store.console.alarms import AlarmStore
        from vtn.store.stamps import Stamps

        settings = load_settings(config, {"database.url": database_url})
        async with opened(settings, make=False) as database:
            return await act(AlarmStore(database, Stamps(system_now)))

    return asyncio.run(run())


def _row(alarm: StoredAlarm, now: datetime) -> dict[str, Any]:
    return {
        "number": alarm.id,
        "state": "holds" if alarm.cleared_at is None else "over",
        "kind": alarm.kind,
        "subject": alarm.subject,
        "text": alarm.text,
        "raised": ago(datetime.fromisoformat(alarm.raised_at), now=now),
        "raised_at": alarm.raised_at,
        "cleared_at": alarm.cleared_at,
        "acknowledged_at": alarm.acknowledged_at,
        "acknowledged_by": alarm.acknowledged_by,
        "note": alarm.note,
    }
