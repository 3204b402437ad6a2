"""Examine what a VEN needs to run: its store, driver, brokers, VTN, clock and notifications. Nothing is switched."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Final

from openadr_client import (
    BadCertificateFile,
    BrokerError,
    ClientError,
    Clock,
    LibraryMissing,
    VtnClient,
)
from openadr_client.checkup import Checkup, Condition, check_clock, what_to_do
from ven.drivers import find_driver
from ven.errors import VenError
from ven.home_broker import HomeBroker
from ven.panel.circuits import CircuitState
from ven.panel.ownership import PUT_IT_BACK
from ven.settings import VenSettings
from ven.store.inspection import inspect

_LITTLE_DISK: Final = 50_000_000
_ANSWER_WITHIN_S: Final = 60.0
_SHOWN: Final = "home assistant"
_LOOK_AT_DEVICE: Final = "look at the device and the connection to it, and at driver.options"


async def examine(settings: VenSettings, clock: Clock) -> AsyncIterator[Checkup]:
    """Yield a finding on each thing; each is looked at for itself. Never raises."""
    store, is_running = _store(settings)
    yield store
    yield await _driver(settings, clock, is_running=is_running)
    if settings.home_assistant.broker is not None:
        yield await _home_assistant(settings.home_assistant.broker)
    try:
        client = settings.vtn.client(clock)
    except (BadCertificateFile, ImportError) as error:
        yield Checkup("vtn", Condition.FAILED, str(error), "correct the setting of the file that is named")
        return
    async with client:
        vtn = await _vtn(settings, client)
        yield vtn
        if vtn.health is not Condition.FAILED:
            yield await check_clock(client, clock)
            yield await _push(settings, client)


def _store(settings: VenSettings) -> tuple[Checkup, bool]:
    """Look at the state file; also return True if a VEN has it open."""
    path = settings.store
    if not path.exists():
        return Checkup("store", Condition.OK, f"{path} does not exist yet: the first run makes it"), False
    state = inspect(path)
    if state.is_open:
        return Checkup("store", Condition.OK, f"{path} is in use: a VEN is running with it"), True
    if state.problem is not None:
        return Checkup("store", Condition.FAILED, f"{path} {state.problem}", state.to_do), False
    if stranded := sorted(state.limited - {each.id for each in settings.circuits}):
        text = f"{path}: an earlier run has limited {', '.join(stranded)}, which is not in the settings any more"
        return Checkup("store", Condition.WARNING, text, PUT_IT_BACK), False
    free = shutil.disk_usage(path.absolute().parent).free
    if free < _LITTLE_DISK:
        text = f"{path} is well, but only {free // 1_000_000} MB are free on its disk"
        return Checkup("store", Condition.WARNING, text, "make room on the disk"), False
    return Checkup("store", Condition.OK, f"{path} has version {state.version}; {free // 1_000_000:,} MB free"), False


async def _driver(settings: VenSettings, clock: Clock, *, is_running: bool) -> Checkup:
    kind = settings.driver.kind
    if is_running:
        return Checkup("driver", Condition.OK, f"{kind} is left alone: the VEN that is running has it")
    return (await try_driver(settings, clock))[0]


async def try_driver(settings: VenSettings, clock: Clock) -> tuple[Checkup, Mapping[str, CircuitState]]:
    """Return what a driver does when it is opened and read once, and the states it has read. Nothing is switched.

    Never raises. Call it only while no VEN with this driver runs: two would get in each other's way.
    """
    kind = settings.driver.kind
    try:
        driver = find_driver(kind)(settings.circuits, settings.driver.options, clock)
    except Exception as error:  # a driver of somebody else may raise whatever it likes
        problem = str(error) if isinstance(error, VenError) else f"{kind} cannot be made: {_named(error)}"
        return Checkup("driver", Condition.FAILED, problem, "correct driver.kind or driver.options"), {}
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S), driver:
            async with asyncio.timeout(settings.driver.deadline_s):
                states = await driver.read()
    except Exception as error:  # as above
        problem = "it does not answer in time" if isinstance(error, TimeoutError) else _named(error)
        return Checkup("driver", Condition.FAILED, f"{kind} cannot be read: {problem}", _LOOK_AT_DEVICE), {}
    known = [each.id for each in settings.circuits if (state := states.get(each.id)) and state.power_kw is not None]
    silent = [each.id for each in settings.circuits if each.id not in known]
    if silent:
        text = f"{kind} reads {len(known)} of {len(settings.circuits)} circuits, but not {', '.join(silent)}"
        return Checkup("driver", Condition.WARNING if known else Condition.FAILED, text, _LOOK_AT_DEVICE), states
    by_whom = "the device" if driver.enforces_expiry else "this computer"
    text = f"{kind} reads all {len(known)} circuits; {by_whom} ends limits that expire"
    return Checkup("driver", Condition.OK, text), states


async def _home_assistant(broker: HomeBroker) -> Checkup:
    """Connect to the broker of Home Assistant, under a name of our own, and say nothing."""
    other = broker.model_copy(update={"client_id": f"{broker.client_id[:110]}-doctor"})
    try:
        from openadr_client import BoundedConnector  # noqa: PLC0415 # which needs a library for MQTT

        async with BoundedConnector(longest=256).connected(other, tls=broker.tls_context()):
            return Checkup(_SHOWN, Condition.OK, f"the broker {broker.url} takes us")
    except LibraryMissing as error:
        return Checkup(_SHOWN, Condition.FAILED, str(error), "install it, or take home_assistant.broker away")
    except (BrokerError, BadCertificateFile) as error:
        to_do = "correct home_assistant.broker, or start the broker; circuits are looked after without it"
        return Checkup(_SHOWN, Condition.WARNING, str(error), to_do)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


async def _vtn(settings: VenSettings, client: VtnClient) -> Checkup:
    url = settings.vtn.url
    try:
        vens = await client.vens.search()
        resources = await client.resources.search()
        events = await client.events.search(active=True)
    except ClientError as error:
        return Checkup("vtn", Condition.FAILED, str(error), what_to_do(error))
    ours = next((ven for ven in vens if ven.ven_name == settings.ven_name), vens[0] if len(vens) == 1 else None)
    if ours is None:
        text = f"{url} answers; it has no ven of ours yet: the first run makes it"
        return Checkup("vtn", Condition.OK, text)
    missing = sorted({each.id for each in settings.circuits} - {each.resource_name for each in resources})
    seen = f"{url} answers; ven {ours.ven_name} ({ours.id}), {len(events)} events that are not over"
    if missing:
        text = f"{seen}; without resources for {', '.join(missing)}"
        return Checkup("vtn", Condition.WARNING, text, "run the VEN, which makes them, or have the operator make them")
    if not ours.targets:
        to_do = f"if events for groups are expected, ask the operator for: oadr vens add {ours.ven_name} --target GROUP"
        return Checkup("vtn", Condition.OK, f"{seen}, no targets", to_do)
    return Checkup("vtn", Condition.OK, f"{seen}, targets {', '.join(ours.targets)}")


async def _push(settings: VenSettings, client: VtnClient) -> Checkup:
    push = settings.push
    if push.mode == "off":
        return Checkup("push", Condition.OK, f"off: changes are found by polling every {settings.poll_s:g} s")
    try:
        offered = await client.notifiers()
    except ClientError as error:
        return Checkup("push", Condition.WARNING, str(error), what_to_do(error))
    ways = []
    if offered is not None and offered.mqtt is not None:
        ways.append("mqtt")
    if offered is not None and offered.websocket_uris:
        ways.append("websocket")
    if push.callback_url is not None and (offered is None or offered.webhook):
        ways.append("webhook")
    wanted = ways if push.mode == "auto" else [way for way in ways if way == push.mode]
    if wanted:
        return Checkup("push", Condition.OK, f"the VTN tells of changes by {' or '.join(wanted)}")
    text = f"the VTN offers {' and '.join(ways) or 'nothing'} that could be used; push.mode is {push.mode}"
    to_do = f"nothing if {settings.poll_s:g} s are soon enough; else set push.mode, or push.callback_url"
    return Checkup("push", Condition.WARNING, text, to_do)
