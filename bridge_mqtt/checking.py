"""Examine what a bridge needs to run: database, broker, VTN, panels. Nothing is changed; panels are told nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from bridge_mqtt.errors import BridgeError
from bridge_mqtt.settings import Issuing, Settings, Vtn
from bridge_mqtt.store.inspection import Inspection, inspect_database
from bridge_mqtt.topics import LONGEST_PAYLOAD, topic_filters
from bridge_mqtt.vtn_side.credentials import read_credentials
from bridge_mqtt.vtn_side.gateway import client_for
from bridge_mqtt.vtn_side.issuer import issuing_client
from openadr_client import (
    BadCertificateFile,
    BoundedClient,
    BoundedConnector,
    BrokerError,
    BrokerRefused,
    BrokerUntrusted,
    ClientError,
    Clock,
    TopicPrefix,
    Unauthorized,
    VtnClient,
)
from openadr_client.checkup import Checkup, Condition, check_clock, what_to_do
from openadr_profiles.panel.identity import METERING_TOPIC, panel_of_topic

_NAMED: Final = 10
_MOST_PANELS: Final = 100_000
_WAITING: Final = 10_000
_CORRECT_FILE: Final = "correct the setting of the file that is named"


async def examine(settings: Settings, clock: Clock, *, listen_s: float) -> AsyncIterator[Checkup]:
    """Yield a finding on each thing; each is looked at for itself.

    The broker is listened to for ``listen_s`` real seconds, under a client id of its own and without a session, so that
    a running bridge keeps its connection and all its messages.
    """
    database, known = await _database(settings)
    yield database
    heard: set[str] = set()
    broker = await _broker(settings, heard, listen_s)
    yield broker
    async for finding in _vtn(settings, clock):
        yield finding
    lately = timedelta(seconds=settings.dispatch.offline_after_s)
    yield _panels(settings, heard, {} if known is None else known.last_seen_at, clock.now() - lately)


async def _database(settings: Settings) -> tuple[Checkup, Inspection | None]:
    to_do: str | None = "check database.url, the rights of the account, and whether the server is running"
    try:
        found = await inspect_database(settings.database.url.get_secret_value())
    except BridgeError as error:
        return Checkup("database", Condition.FAILED, str(error), to_do), None
    if not found.is_there:
        text, to_do = f"{found.name} does not exist yet: the first start makes it", None
    elif not found.is_known:
        text = f"{found.name} has schema {found.schema}, this version knows up to {found.newest}"
        return Checkup("database", Condition.FAILED, text, "install the newer version of the bridge"), found
    elif found.schema == found.newest:
        text, to_do = f"{found.name} has schema {found.schema}", None
    else:
        text = f"{found.name} has {'no tables yet' if found.schema is None else f'schema {found.schema}'}"
        text += ", and ven_acks of the original system, which is taken over" if found.has_original_acks else ""
        to_do = f"oadr bridge migrate brings schema {found.newest}; so does the next start"
        return Checkup("database", Condition.WARNING, text, to_do), found
    return Checkup("database", Condition.OK, text, to_do), found


async def _broker(settings: Settings, heard: set[str], listen_s: float) -> Checkup:
    """Connect, subscribe as the bridge does, and note the panels that are heard."""
    own = settings.broker
    other = own.model_copy(update={"client_id": f"{own.client_id[:110]}-check"})
    topics = TopicPrefix(own.topic_prefix)
    filters = [topics.outer(each) for each in topic_filters(settings)]
    try:
        connector = BoundedConnector(longest=LONGEST_PAYLOAD, most=_WAITING)
        async with connector.connected(other, tls=other.tls_context()) as client:
            if refused := await client.subscribe_to(filters):
                text = f"{own.url} takes us as {other.client_id}, and refuses {', '.join(refused)}"
                to_do = "let the broker's access list give the bridge these topics (oadr bridge acl)"
                return Checkup("broker", Condition.FAILED, text, to_do)
            await _listen(client, topics, heard, listen_s)
    except BadCertificateFile as error:
        return Checkup("broker", Condition.FAILED, str(error), _CORRECT_FILE)
    except BrokerError as error:
        return Checkup("broker", Condition.FAILED, str(error), _about_broker(error))
    return Checkup("broker", Condition.OK, f"{own.url} takes us, and grants {', '.join(filters)}")


def _about_broker(error: BrokerError) -> str:
    if isinstance(error, BrokerUntrusted):
        return (
            "name the authority of its certificate in broker.ca_file, and the certificate's name in broker.server_name"
        )
    if isinstance(error, BrokerRefused):
        return "check broker.username and broker.password, or the certificate that we show, with the broker's operator"
    return "check broker.url and the network; is the broker running?"


async def _listen(client: BoundedClient, topics: TopicPrefix, heard: set[str], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        async with asyncio.timeout_at(until):
            while len(heard) < _MOST_PANELS and loop.time() < until:
                message = await client.next_message()
                ven_id = None if message.retain else _sender(topics.inner(str(message.topic)), message.payload)
                if ven_id is not None:
                    heard.add(ven_id)
    except TimeoutError:
        return


class _Sample(msgspec.Struct):
    ven_id: str = msgspec.field(name="venId")


def _sender(topic: str, payload: Any) -> str | None:
    """Return the panel that a message is from, None if it does not say."""
    if topic != METERING_TOPIC:
        return panel_of_topic(topic)
    try:
        return msgspec.json.decode(payload, type=_Sample).ven_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


async def _vtn(settings: Settings, clock: Clock) -> AsyncIterator[Checkup]:
    try:
        client = client_for(settings.vtn, clock)
    except (BadCertificateFile, ImportError) as error:
        yield Checkup("vtn", Condition.FAILED, str(error), _CORRECT_FILE)
        return
    async with client:
        if settings.vtn.credentials_file is None:
            found = await _seen_by(client, settings.vtn, settings.vtn.ven_name)
        else:
            found = await _of_panels(settings, settings.vtn.credentials_file, client, clock)
        yield found
        if found.health is not Condition.FAILED:
            yield await check_clock(client, clock)
    if settings.issuing is not None:
        yield await _issuing(settings.issuing, settings.vtn, clock)


async def _of_panels(settings: Settings, file: Path, client: VtnClient, clock: Clock) -> Checkup:
    """Look at the file of credentials, and at the VTN with the first of them."""
    vtn = settings.vtn
    try:
        credentials = read_credentials(file, vtn.url)
    except BridgeError as error:
        return Checkup("vtn", Condition.FAILED, str(error), "oadr vtn client add-many makes such a file")
    first = next(iter(credentials.values()))
    own = {"client_id": first.client_id, "client_secret": first.secret, "token_url": first.token_url or vtn.token_url}
    async with vtn.model_copy(update=own).client_with(clock=clock, connections_of=client) as as_panel:
        found = await _seen_by(as_panel, vtn, first.ven_id)
    text = f"{len(credentials):,} panels have credentials; of the first, {first.ven_id}: {found.text}"
    missing = [panel.id for panel in settings.panels if panel.enabled and panel.id not in credentials]
    if missing and found.health is not Condition.FAILED:
        to_do = f"add a line to {file} for each"
        return Checkup("vtn", Condition.WARNING, f"{text}; none for {_some(missing)}", to_do)
    return Checkup("vtn", found.health, text, found.to_do)


async def _seen_by(client: VtnClient, vtn: Vtn, ven_name: str) -> Checkup:
    """Look at everything that the bridge reads at the VTN."""
    try:
        vens = await client.vens.search()
        programs = await client.programs.search()
        events = await client.events.search(active=True)
        async for _ in client.resources.walk():
            break  # there may be ten thousand, and only the right to read them is in question
        await client.reports.search(client_name=f"{ven_name}-check")  # likewise
    except ClientError as error:
        return Checkup("vtn", Condition.FAILED, str(error), what_to_do(error))
    ours = next((ven for ven in vens if ven.ven_name == ven_name), None)
    seen = f"{vtn.url} answers; {len(programs)} programs, {len(events)} events that are not over"
    if ours is None:
        text = f"{seen}; no ven {ven_name} yet: the first start makes it"
        return Checkup("vtn", Condition.OK, text)
    if not ours.targets:
        to_do = f"if events for groups are expected, ask the operator for: oadr vens add {ven_name} --target GROUP"
        return Checkup("vtn", Condition.OK, f"{seen}; ven {ven_name} ({ours.id}) without targets", to_do)
    return Checkup("vtn", Condition.OK, f"{seen}; ven {ven_name} ({ours.id}), targets {_some(list(ours.targets))}")


async def _issuing(issuing: Issuing, vtn: Vtn, clock: Clock) -> Checkup:
    try:
        async with issuing_client(issuing, vtn, clock) as client:
            found = await client.programs.search(program_name=issuing.program)
    except BadCertificateFile as error:
        return Checkup("issuing", Condition.FAILED, str(error), _CORRECT_FILE)
    except ClientError as error:
        own = "check issuing.client_id and issuing.client_secret, which are of business logic"
        return Checkup(
            "issuing", Condition.FAILED, str(error), own if isinstance(error, Unauthorized) else what_to_do(error)
        )
    if not found:
        text = f"the VTN has no program {issuing.program!r}"
        return Checkup("issuing", Condition.FAILED, text, "make it there, or name another one in issuing.program")
    return Checkup("issuing", Condition.OK, f"events go to program {issuing.program} ({found[0].id})")


def _panels(
    settings: Settings, heard: Collection[str], last_seen_at: Mapping[str, datetime], since: datetime
) -> Checkup:
    """Compare the panels of the settings with those that were heard now, or lately by a bridge."""
    lately = set(heard) | {ven_id for ven_id, at in last_seen_at.items() if at >= since}
    listed = {panel.id: panel.enabled for panel in settings.panels}
    strangers = sorted(lately - listed.keys())
    silent = [ven_id for ven_id, enabled in listed.items() if enabled and ven_id not in lately]
    expected = sum(listed.values())
    text = f"{expected - len(silent):,} of {expected:,} listed panels are heard" if listed else "no panels are listed"
    to_do: list[str] = []
    health = Condition.OK
    if silent:
        text += f", not {_some(silent)}"
        to_do.append("look at these panels, at their ids and at broker.topic_prefix")
        health = Condition.FAILED if len(silent) == expected else Condition.WARNING
    if not listed and not lately:
        text += ", and none is heard"
        to_do.append("look at the panels, and at broker.topic_prefix")
        health = Condition.WARNING
    if strangers:
        text += f"; others are: {_some(strangers)}"
        if settings.unregistered == "quarantine":
            health = max(health, Condition.WARNING, key=list(Condition).index)
            to_do.append("list the others, or set unregistered = 'accept'")
    return Checkup("panels", health, text, "; ".join(to_do) or None)


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
