"""Pushes of the small 2.0b VTN: what polls would bring, one message at a time, again until it is answered."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from lxml import etree
from oadr_conformance.v20b.tree import NAMESPACES, Element, local, parsed, payload
from oadr_conformance.v20b.views import events_in

from vtns.small20b import SmallVen, SmallVtn20b

_RETRY_S = 0.1
_SERVICE_OF = {
    "oadrDistributeEvent": "EiEvent",
    "oadrRegisterReport": "EiReport",
    "oadrCreateReport": "EiReport",
    "oadrCancelReport": "EiReport",
    "oadrRequestReregistration": "EiRegisterParty",
    "oadrCancelPartyRegistration": "EiRegisterParty",
}
_ANSWERED_BY = {
    "oadrDistributeEvent": "oadrResponse",
    "oadrRegisterReport": "oadrRegisteredReport",
    "oadrCreateReport": "oadrCreatedReport",
    "oadrCancelReport": "oadrCanceledReport",
    "oadrRequestReregistration": "oadrResponse",
    "oadrCancelPartyRegistration": "oadrCanceledPartyRegistration",
}


@dataclass(frozen=True)
class Push20b:
    """A message on its way to a VEN."""

    service: str
    body: bytes
    method: str = "POST"
    chunked: bool = False
    content_type: str = "application/xml"


@dataclass(frozen=True)
class PushHabits:
    """How the VTN pushes; a fault gives it other habits."""

    change: Callable[[Push20b], Iterable[Push20b]] = lambda one: (one,)
    """What is sent instead of a message."""
    retries: bool = True
    """Send what failed again."""
    waits: bool = True
    """Send nothing before the last push was answered."""
    believes: bool = True
    """Take an answer for one."""
    forgets: bool = True
    """Forget the address of a VEN that polls, or is not registered."""
    shows: bool = True
    """Show a certificate."""
    verifies: bool = True
    """Verify the certificate of the VEN."""


@dataclass
class SmallPusher:
    """Pushes whenever it is woken, and a moment after a failure."""

    vtn: SmallVtn20b
    ca: Path
    identity: tuple[Path, Path]
    habits: PushHabits = field(default_factory=PushHabits)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _addresses: dict[str, str] = field(default_factory=dict)
    _work: asyncio.Task[None] | None = None
    _unwaited: set[asyncio.Task[bool]] = field(default_factory=set)

    async def start(self) -> None:
        """Push from now on."""
        self._work = asyncio.create_task(self._run(), name="pushes of the small VTN")

    async def stop(self) -> None:
        """Push no more."""
        tasks = [one for one in (self._work, *self._unwaited) if one is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Look whether something is due."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            for ven in list(self.vtn.vens.values()):
                await self._turn(ven)

    async def _turn(self, ven: SmallVen) -> None:
        if ven.push_url:
            self._addresses[ven.ven_id] = ven.push_url
        while url := ven.push_url or ("" if self.habits.forgets else self._addresses.get(ven.ven_id, "")):
            message = self.vtn.due(ven, pushed=True)
            if message is None:
                return
            habits = self.habits
            if not habits.waits:
                self._taken(ven, message, _ANSWERED_BY[local(message)])
                task = asyncio.create_task(self._sent(ven, url, message))
                self._unwaited.add(task)
                task.add_done_callback(self._unwaited.discard)
            elif not await self._sent(ven, url, message):
                if habits.retries:
                    asyncio.get_running_loop().call_later(_RETRY_S, self.wake)
                    return
                self._taken(ven, message, _ANSWERED_BY[local(message)])

    async def _sent(self, ven: SmallVen, url: str, message: Element) -> bool:
        """Send a message; return True if it was answered."""
        habits, name = self.habits, local(message)
        answer = ""
        for one in habits.change(Push20b(_SERVICE_OF[name], payload(message))):
            answer = await self._answer_of(url, one, habits)
        if answer != _ANSWERED_BY[name] or not habits.believes:
            return False
        self._taken(ven, message, answer)
        return True

    def _taken(self, ven: SmallVen, message: Element, answer: str) -> None:
        if local(message) == "oadrDistributeEvent":
            self.vtn.events.reached(ven.ven_id, {one.id: one.number for one in events_in(message)})
        elif self.vtn.due(ven, pushed=True) is message or local(message) == "oadrRegisterReport":
            self.vtn.acknowledged(ven, answer)

    async def _answer_of(self, url: str, push: Push20b, habits: PushHabits) -> str:
        """Return the name of the message that answers a push without an error; empty if none does."""
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = False
        if not habits.verifies:
            context.verify_mode = ssl.CERT_NONE
        if habits.shows:
            context.load_cert_chain(*self.identity)

        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True)) as session,
                session.request(
                    push.method,
                    f"{url}/OpenADR2/Simple/2.0b/{push.service}",
                    data=_in_parts(push.body) if push.chunked else push.body,
                    headers={"Content-Type": push.content_type},
                ) as response,
            ):
                return _name_of(await response.read()) if response.status == 200 else ""
        except aiohttp.ClientError:
            return ""


async def _in_parts(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _name_of(body: bytes) -> str:
    try:
        (answer,) = parsed(body).findall("oadr:oadrSignedObject/*", NAMESPACES)
    except (etree.XMLSyntaxError, ValueError):
        return ""
    code = answer.findtext("ei:eiResponse/ei:responseCode", "200", NAMESPACES)
    return local(answer) if code.startswith("2") else ""
