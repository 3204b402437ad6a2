"""Examine a VTN by its address, as its client sees it: token, scopes, clock, programs, targets, callbacks, broker."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Final

from oadr.doctor.network import look_at
from openadr_client import ClientError, Clock, VtnClient
from openadr_client.checkup import Checkup, Condition, check_clock, what_to_do
from openadr_profiles.subscription_health import EndpointState
from openadr_profiles.v31 import Event

_TARGETS: Final = 20
_NAMED: Final = 5
_BAD: Final = frozenset({EndpointState.FAILING, EndpointState.BROKEN})


async def examine_url(
    url: str, client: VtnClient | None, clock: Clock, *, ca_file: Path | None = None
) -> AsyncIterator[Checkup]:
    """Yield findings on a VTN at this address. Never raises.

    ``client`` has its credentials, and is open; without one only what needs no token is looked at.
    """
    reached = True
    async for finding in look_at(url, what="vtn", now=clock.now(), ca_file=ca_file):
        reached = reached and finding.health is not Condition.FAILED
        yield finding
    if not reached:
        return
    if client is None:
        text = "no credentials are given, so tokens, programs and callbacks are not looked at"
        to_do = "set OADR_BL_CLIENT_ID and OADR_BL_CLIENT_SECRET, or give --config"
        yield Checkup("token", Condition.WARNING, text, to_do)
        return
    token = await _token(client)
    yield token
    if token.health is Condition.FAILED:
        return
    yield await check_clock(client, clock)
    try:
        async for finding in _objects(client):
            yield finding
    except ClientError as error:
        yield Checkup("objects", Condition.FAILED, str(error), what_to_do(error))
    async for finding in _ways(client, clock):
        yield finding


async def _token(client: VtnClient) -> Checkup:
    try:
        token = await client.access_token()
    except ClientError as error:
        return Checkup("token", Condition.FAILED, str(error), what_to_do(error))
    if token is None:
        return Checkup("token", Condition.WARNING, "requests go without a token", "give a client id and a secret")
    scopes = _scopes(token.text)
    if scopes is None:
        return Checkup("token", Condition.OK, "a token is given; it does not say its scopes")
    if not scopes:
        return Checkup("token", Condition.FAILED, "the token has no scope", "have the operator give this client scopes")
    return Checkup("token", Condition.OK, f"a token with {', '.join(sorted(scopes))}")


def _scopes(token: str) -> frozenset[str] | None:
    """Return the scopes that a token of JSON says it has, unverified; None if it is no such token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    said = claims.get("scope") if isinstance(claims, dict) else None
    if isinstance(said, list):
        said = " ".join(map(str, said))
    return frozenset(said.split()) if isinstance(said, str) else None


async def _objects(client: VtnClient) -> AsyncIterator[Checkup]:
    """Yield findings on programs, events and targets; raises ClientError."""
    programs = await client.programs.search()
    if not programs:
        to_do = "make one: oadr program create NAME; for a VEN: have it given the targets of a program"
        yield Checkup("programs", Condition.WARNING, "no program is visible", to_do)
    else:
        names = _few(program.program_name for program in programs)
        yield Checkup("programs", Condition.OK, f"{len(programs)} visible: {names}")
    events = await client.events.search(active=True)
    yield Checkup("events", Condition.OK, f"{len(events)} are not over")
    yield await _targets(client, events)


async def _targets(client: VtnClient, events: Iterable[Event]) -> Checkup:
    """Say which targets of events nobody holds: such an event reaches nobody."""
    wanted = sorted({target for event in events for target in event.targets or ()})
    nobody = [target for target in wanted[:_TARGETS] if not await _is_held(client, target)]
    if nobody:
        text = f"no VEN that this client sees holds {_few(nobody)}, which events are for"
        to_do = "correct the event, or grant the target: oadr vens add NAME --target TARGET"
        return Checkup("targets", Condition.WARNING, text, to_do)
    looked = min(len(wanted), _TARGETS)
    text = f"each of {looked} targets of events is held by somebody" if looked else "no event has targets: all see them"
    return Checkup("targets", Condition.OK, text)


async def _is_held(client: VtnClient, target: str) -> bool:
    found = await client.vens.search(targets=(target,)) or await client.resources.search(targets=(target,))
    return bool(found)


async def _ways(client: VtnClient, clock: Clock) -> AsyncIterator[Checkup]:
    """Yield findings on how the VTN tells of changes: its broker, and the callbacks of subscriptions."""
    try:
        offered = await client.notifiers()
        health = await client.subscription_health.search()
    except ClientError as error:
        yield Checkup("notifications", Condition.WARNING, str(error), what_to_do(error))
        return
    if offered is None:
        yield Checkup("notifications", Condition.OK, "the VTN does not say how it tells of changes: clients poll")
    elif offered.mqtt is not None:
        for uri in offered.mqtt.uris[:2]:
            async for finding in look_at(uri, what="broker", now=clock.now()):
                yield finding
    bad = [each for each in health or () if each.state in _BAD or each.dead]
    if bad:
        text = f"{len(bad)} of {len(health or ())} callbacks fail: {_few(each.callback_url for each in bad)}"
        yield Checkup("webhooks", Condition.WARNING, text, "oadr subscription health --bad says why")
    elif health:
        yield Checkup("webhooks", Condition.OK, f"all {len(health)} callbacks work")


def _few(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more
