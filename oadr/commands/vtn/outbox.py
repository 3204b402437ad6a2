"""``oadr vtn outbox``: notifications that wait or were given up: list them, have them sent again, drop them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from vtn.store.outbox.listing import ListedDelivery, OutboxListing, Selection

T = TypeVar("T")

app = typer.Typer(
    help="Notifications that wait, or were given up.",
    no_args_is_help=True,
    epilog=examples("vtn outbox list --state dead", "vtn outbox retry --client home-1"),
)


class ChannelName(StrEnum):
    """The ways to tell clients that have an outbox."""

    WEBHOOK = "WEBHOOK"
    MQTT = "MQTT"


class WaitingName(StrEnum):
    """Why a notification is in the list."""

    PENDING = "PENDING"
    DEAD = "DEAD"


IdsArgument: TypeAlias = Annotated[list[int] | None, typer.Argument(help="Numbers of notifications, as list shows.")]
SubscriptionOption: TypeAlias = Annotated[str | None, typer.Option(help="Only those of this subscription: its id.")]
ClientOption: TypeAlias = Annotated[str | None, typer.Option("--client", help="Only those for this client: its id.")]
ChannelOption: TypeAlias = Annotated[
    ChannelName | None, typer.Option(case_sensitive=False, help="Only those that go this way.")
]
WaitingOption: TypeAlias = Annotated[
    WaitingName | None,
    typer.Option("--state", case_sensitive=False, help="Only those still to be sent, or only those given up."),
]
EveryOption: TypeAlias = Annotated[bool, typer.Option("--all", help="Every one, for want of anything else.")]
YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal unless numbers are given.")
]

_COLUMNS = {
    "number": "Number",
    "state": "State",
    "channel": "Channel",
    "client": "For",
    "about": "About",
    "noted": "Since",
    "attempts": "Attempts",
    "next_attempt": "Next attempt",
    "error": "Last error",
}


@app.command(name="list", epilog=examples("vtn outbox list", "vtn outbox list --state dead --client home-1"))
def list_(
    *,
    subscription: SubscriptionOption = None,
    client: ClientOption = None,
    channel: ChannelOption = None,
    state: WaitingOption = None,
    limit: Annotated[int, typer.Option(help="As many at most, the oldest ones.", min=1, max=100_000)] = 1000,
    everything: AllOption = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List notifications that are still to be sent, or were given up, in the order of the changes."""

    async def read(listing: OutboxListing) -> list[ListedDelivery]:
        chosen = _selection(None, subscription, client, channel, state)
        return await listing.deliveries(chosen, limit=limit + 1)

    with reporting():
        found = _with_listing(config, database_url, read)
        rows = [_row(one) for one in found[:limit]]
        show_rows(
            rows,
            _COLUMNS,
            as_json=as_json,
            title="Outbox",
            empty="nothing waits, and nothing was given up",
            everything=everything,
            least_needed=("next_attempt", "channel", "noted"),
        )
        if len(found) > limit:
            typer.echo(f"there are more than {limit}; --limit shows more of them", err=True)


@app.command(epilog=examples("vtn outbox retry 4711 4712", "vtn outbox retry --client home-1"))
def retry(
    ids: IdsArgument = None,
    *,
    subscription: SubscriptionOption = None,
    client: ClientOption = None,
    channel: ChannelOption = None,
    every: EveryOption = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send at once what waits, and again what was given up; a callback that counts as broken is tried again.

    What was given up is older than what was sent since: a receiver tells by the object's modificationDateTime.
    """
    with reporting():
        chosen = _selection(ids, subscription, client, channel, None, every=every)

        async def send(listing: OutboxListing) -> tuple[int, int]:
            await _must_be_there(listing, ids)
            return await listing.retry(chosen)

        again, tried = _with_listing(config, database_url, send)
        told = f"{again} that were given up are sent again; endpoints tried at once: {tried}"
        _show({"sent_again": again, "endpoints_tried": tried}, told, as_json=as_json)


@app.command(epilog=examples("vtn outbox drop 4711", "vtn outbox drop --client home-1 --state dead --yes"))
def drop(
    ids: IdsArgument = None,
    *,
    subscription: SubscriptionOption = None,
    client: ClientOption = None,
    channel: ChannelOption = None,
    state: WaitingOption = None,
    every: EveryOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take notifications out: whoever should have heard of those changes does not."""
    with reporting():
        chosen = _selection(ids, subscription, client, channel, state, every=every)
        if ids is None and not yes:
            _agree()

        async def take_out(listing: OutboxListing) -> int:
            await _must_be_there(listing, ids)
            return await listing.drop(chosen)

        dropped = _with_listing(config, database_url, take_out)
        _show({"dropped": dropped}, f"{dropped} are dropped", as_json=as_json)


async def _must_be_there(listing: OutboxListing, ids: list[int] | None) -> None:
    """Refuse numbers that are all unknown, and name those that are among others: delivered ones are not in the list."""
    from vtn.store.outbox.listing import Selection

    if not ids:
        return
    there = {one.id for one in await listing.deliveries(Selection(ids=tuple(ids)), limit=len(ids))}
    missing = [str(number) for number in dict.fromkeys(ids) if number not in there]
    if not missing:
        return
    told = f"no notification {', '.join(missing)} waits or was given up; see: oadr vtn outbox list"
    if not there:
        raise Failure(told, Exit.REFUSED)
    typer.echo(f"warning: {told}", err=True)


def _agree() -> None:
    if not sys.stdin.isatty():
        raise Failure("nothing is dropped: give numbers of notifications, or --yes", Exit.CHECK_FAILED)
    if not typer.confirm("Drop all of these? Nobody will hear of those changes.", err=True):
        raise Failure("nothing is dropped", Exit.CHECK_FAILED)


def _selection(
    ids: list[int] | None,
    subscription: str | None,
    client: str | None,
    channel: ChannelName | None,
    state: WaitingName | None,
    *,
    every: bool | None = None,
) -> Selection:
    """Return what is meant; with ``every`` at hand something must be given, so that nobody means all by mistake."""
    from vtn.store.outbox.listing import Selection, Waiting
    from vtn.store.outbox.rows import Push

    given = (ids or None, subscription, client, channel, state)
    if every is False and all(one is None for one in given):
        raise Failure("which ones? Give their numbers, --subscription, --client, --channel, or --all", Exit.USAGE)
    return Selection(
        ids=tuple(ids) if ids else None,
        subscription_id=subscription,
        client_id=client,
        push=None if channel is None else Push(channel),
        waiting=None if state is None else Waiting(state),
    )


def _with_listing(config: Path | None, database_url: str | None, act: Callable[[OutboxListing], Awaitable[T]]) -> T:
    """Return what ``act`` makes of the outbox of a database, which must be there."""

    async def run() -> T:
        from vtn.administration import opened
        from vtn.app import system_now
        from vtn.store.outbox.listing import OutboxListing
        from vtn.store.stamps import Stamps

        settings = load_settings(config, {"database.url": database_url})
        async with opened(settings, make=False) as database:
            return await act(OutboxListing(database, Stamps(system_now)))

    return asyncio.run(run())


def _row(one: ListedDelivery) -> dict[str, Any]:
    return {
        "number": one.id,
        "state": one.state.value,
        "channel": one.push.value,
        "client": one.client_id,
        "subscription_id": one.subscription_id,
        "url": one.url,
        "operation": one.operation.value,
        "object_type": one.object_type,
        "object_id": one.object_id,
        "about": f"{one.operation.value} {one.object_type} {one.object_id}",
        "noted": one.noted_at,
        "attempts": one.attempts,
        "next_attempt": one.due_at,
        "error": one.error,
    }


def _show(made: dict[str, int], told: str, *, as_json: bool) -> None:
    if wants_json(as_json):
        show_json(made)
    else:
        typer.echo(told)
