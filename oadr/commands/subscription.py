"""``oadr subscription``: who wants to hear of what, and whether it reaches them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.errors import Exit, Failure
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, plain, show_rows
from openadr_profiles.fleet.wording import ago
from openadr_profiles.subscription_health import EndpointState, SubscriptionHealth
from openadr_profiles.v31 import Subscription

if TYPE_CHECKING:
    from openadr_client import VtnClient

app = typer.Typer(
    add_completion=False,
    help="List subscriptions, and how their callbacks fare.",
    no_args_is_help=True,
    epilog=examples("subscription list", "subscription health --bad"),
)

_COLUMNS = {
    "id": "Subscription",
    "clientName": "Name",
    "clientID": "Client",
    "about": "About",
    "callbackUrls": "Callbacks",
    "programID": "Program",
    "targets": "Targets",
}
_HEALTH = {
    "subscriptionID": "Subscription",
    "clientID": "Client",
    "callbackUrl": "Callback",
    "protocol": "Protocol",
    "state": "State",
    "pending": "Pending",
    "oldestPendingAgo": "Oldest",
    "dead": "Given up",
    "lastSuccessAgo": "Last success",
    "nextAttempt": "Next attempt",
    "lastError": "Last error",
}
_BAD: Final = frozenset({EndpointState.FAILING, EndpointState.BROKEN})


@app.command(name="list", epilog=examples("subscription list", "subscription list --objects EVENT --json"))
@with_connection
def list_(
    *,
    objects: Annotated[
        list[str] | None, typer.Option(help="Only those that name this kind of object, as EVENT. Repeatable.")
    ] = None,
    client_name: Annotated[str | None, typer.Option(help="Only those with this client name.")] = None,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List subscriptions: who wants to hear of what, at which callback."""
    kinds = tuple(one.upper() for one in objects or ())
    found = act(settings, lambda client: client.subscriptions.search(client_name=client_name, objects=kinds))
    rows = [_row(one) for one in found]
    same = all(row["clientID"] == row["clientName"] for row in rows)
    columns = {key: heading for key, heading in _COLUMNS.items() if not (same and key == "clientName")}
    show_rows(
        rows,
        columns,
        as_json=as_json,
        title="Subscriptions",
        empty="no subscriptions",
        everything=everything,
        least_needed=("targets", "programID", "clientName"),
    )


@app.command(epilog=examples("subscription health", "subscription health --bad --client home-1"))
@with_connection
def health(
    *,
    subscription: Annotated[str | None, typer.Option(help="Only the callbacks of this subscription: its id.")] = None,
    for_client: Annotated[str | None, typer.Option("--client", help="Only those of this client: its id.")] = None,
    bad: Annotated[
        bool, typer.Option("--bad", help="Only callbacks that fail or count as broken, or have notifications given up.")
    ] = False,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List callbacks: what waits for each, what was given up, and what went wrong last. Needs an OpenADR Fleet VTN."""

    async def read(client: VtnClient) -> list[SubscriptionHealth]:
        found = await client.subscription_health.search(subscription_id=subscription, client_id=for_client)
        if found is None:
            raise Failure("this VTN does not tell how callbacks fare", Exit.REFUSED)
        return found

    now = datetime.now(UTC)
    rows = [_health_row(one, now) for one in act(settings, read) if not bad or one.state in _BAD or one.dead]
    show_rows(
        rows,
        _HEALTH,
        as_json=as_json,
        title="Callbacks",
        empty="no callback has any trouble" if bad else "no callbacks",
        everything=everything,
        least_needed=("lastSuccessAgo", "nextAttempt", "subscriptionID", "oldestPendingAgo"),
    )


def _row(one: Subscription) -> dict[str, Any]:
    entries = one.object_operations
    about = [f"{kind.value} {_words(entry.operations)}" for entry in entries for kind in entry.objects]
    shown = plain(one)
    for entry in shown["objectOperations"]:
        entry["bearerToken"] = None  # the VTN tells a client its own; they are for receivers, not for screens
    return {
        **shown,
        "about": list(dict.fromkeys(about)),
        "callbackUrls": list(dict.fromkeys(entry.callback_url for entry in entries)),
    }


def _words(operations: Iterable[str]) -> str:
    return "/".join(operations)


def _health_row(one: SubscriptionHealth, now: datetime) -> dict[str, Any]:
    return {
        **plain(one),
        "oldestPendingAgo": None if one.oldest_pending is None else ago(one.oldest_pending, now=now),
        "lastSuccessAgo": None if one.last_success is None else ago(one.last_success, now=now),
    }
