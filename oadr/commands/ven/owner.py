"""``oadr ven status``, ``history``, ``opt`` and ``restore``: ask the running VEN, and tell it what its owner wants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from oadr.commands.ven.options import ConfigOption, load_settings
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from ven.settings import VenSettings

opt_app = typer.Typer(
    help="Say by hand whether to take part: in an event, a program, or everything.",
    no_args_is_help=True,
    epilog=examples("ven opt out event:ID --reason guests", "ven opt in program:peak --until +2h"),
)

_CIRCUITS = {
    "id": "Circuit",
    "power_kw": "kW",
    "limit_kw": "Limit kW",
    "left_alone": "Left alone because",
}
_EVENTS = {
    "id": "Event",
    "name": "Name",
    "start": "Start",
    "end": "End",
    "opted_in": "In",
    "reason": "Because",
    "requested_kw": "kW asked",
}
_LINK_LOST = "the VTN was not heard for too long: the safe limit holds"
_PAST = {"decided_at": "When", "event_id": "Event", "name": "Name", "opted_in": "In", "reason": "Because"}

ScopeArgument: TypeAlias = Annotated[str, typer.Argument(metavar="event:ID|program:NAME|all", help="About what.")]
ReasonOption: TypeAlias = Annotated[str | None, typer.Option(help="Why; the VTN is told.")]
UntilOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Until when it counts: +2h, 18:00, RFC 3339. Default: until it is withdrawn.")
]


def status(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show circuits, events with decisions, what was said by hand, and what is wrong now.

    Of a VEN that is not running, what its state file says, and when that was written last.
    """
    with reporting():
        from ven.resting import resting_status

        settings = load_settings(config)
        found = _ask_or_read(settings, "/status", lambda: resting_status(settings, datetime.now(UTC)))
        found = {"running": True} | found
        if wants_json(as_json):
            show_json(found)
            return
        if not found["running"]:
            typer.echo(f"no VEN is running; this is what {settings.store} says, last written {found['last_write']}")
        show_rows(found["circuits"], _CIRCUITS, as_json=False, title=found["ven_name"], empty="no circuits")
        show_rows(found["events"], _EVENTS, as_json=False, title="Events", empty="no events")
        for each in found["choices"]:
            until = f" until {each['until']}" if each["until"] else ""
            typer.echo(f"said by hand: {'in' if each['opted_in'] else 'out'} of {each['scope']}{until}")
        if found["link_lost"]:
            typer.echo(_LINK_LOST)
        if found["pending_writes"]:
            typer.echo(f"{found['pending_writes']} changes are not yet on disk")
        for each in found["problems"]:
            typer.echo(f"problem: {each['what']}: {each['problem']}")


def history(
    *,
    limit: Annotated[int, typer.Option(help="So many of the last decisions.", min=1, max=1000)] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last decisions and their reasons, newest first; of a VEN that is not running, from its state file."""
    with reporting():
        from ven.resting import resting_history

        settings = load_settings(config)
        path = f"/history?limit={limit}"
        rows = _ask_or_read(settings, path, lambda: resting_history(settings, limit, datetime.now(UTC)))
        show_rows(rows, _PAST, as_json=as_json, title="Decisions", empty="nothing was decided yet")


@opt_app.command(name="in", epilog=examples("ven opt in event:ID", "ven opt in all --until 18:00"))
def opt_in(
    scope: ScopeArgument,
    *,
    reason: ReasonOption = None,
    until: UntilOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take part, whatever the rules in the settings say."""
    _opt(config, scope, "in", reason, until, as_json=as_json)


@opt_app.command(
    name="out", epilog=examples("ven opt out event:ID --reason guests", "ven opt out all --until 'tomorrow 8:00'")
)
def opt_out(
    scope: ScopeArgument,
    *,
    reason: ReasonOption = None,
    until: UntilOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take no part; circuits that are limited for it return at once."""
    _opt(config, scope, "out", reason, until, as_json=as_json)


@opt_app.command(epilog=examples("ven opt withdraw event:ID", "ven opt withdraw all"))
def withdraw(scope: ScopeArgument, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take back what was said by hand; the rules in the settings decide again."""
    _opt(config, scope, "withdraw", None, None, as_json=as_json)


def restore(
    *,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Opt out of every event that is under way, so that circuits return; shows what still keeps some from it."""
    with reporting():
        found = _ask(config, "POST", "/restore", {"reason": reason})
        if wants_json(as_json):
            show_json(found)
            return
        events = found["events"]
        typer.echo(f"opted out of {', '.join(events)}" if events else "no event that is taken part in is under way")
        for circuit_id, until in found["held_until"].items():
            typer.echo(f"{circuit_id} stays off until {until} (min_off_s)")
        if found["link_lost"]:
            typer.echo(_LINK_LOST)


def _opt(config: Path | None, scope: str, word: str, reason: str | None, until: str | None, *, as_json: bool) -> None:
    with reporting():
        given = {"scope": scope, "opt": word, "reason": reason, "until": _until(until)}
        found = _ask(config, "POST", "/opt", given)
        if wants_json(as_json):
            show_json(found["choices"])
        else:
            show_rows(found["events"], _EVENTS, as_json=False, title="Events", empty="no events now")


def _until(text: str | None) -> str | None:
    from openadr_profiles.fleet.quantities import moment

    if text is None:
        return None
    try:
        return moment(text, now=datetime.now(UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except ValueError as error:
        raise Failure(f"--until: {error}", Exit.USAGE) from None


def _ask_or_read(settings: VenSettings, path: str, read: Callable[[], Awaitable[Any]]) -> Any:
    """Return what the running VEN answers, else what the state file says if no VEN has it open."""
    from ven.local_api.client import NotRunning, ask
    from ven.resting import NoStateFile, StateFileInUse

    async def found() -> Any:
        try:
            return await ask(settings.local, "GET", path)
        except NotRunning as error:
            try:
                return await read()
            except (StateFileInUse, NoStateFile) as why:
                raise NotRunning(f"{error}; {why}") from None

    return asyncio.run(found())


def _ask(config: Path | None, method: Literal["GET", "POST"], path: str, given: dict[str, Any] | None = None) -> Any:
    from ven.local_api.client import ask

    return asyncio.run(ask(load_settings(config).local, method, path, given))
