"""Context of a check: the suite's VENs, their registration, and what business logic does for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from multidict import CIMultiDict

from oadr_conformance.errors import Mismatch, Misused, SeedFailed, Skipped, Unreachable
from oadr_conformance.session import request_id
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import EVENT, OPT, PARTY, POLL, REPORT, answer_to, created_event, open_requests
from oadr_conformance.v20b.operator import Operator
from oadr_conformance.v20b.pushed import ListeningVen
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.session import StrangerSession, VenAtVtn
from oadr_conformance.v20b.tree import NAMESPACES, Element, local
from oadr_conformance.v20b.views import ToldEvent, events_in
from oadr_conformance.wire import HttpClient, HttpExchange, Purpose

_MOST_PENDING = 40
"""Messages in a row that a poll may bring; a queue that is longer does not end."""
_PAUSE_S = 0.3
XML = "application/xml"


class StrangerVen:
    """One VEN of the suite, as a check uses it."""

    def __init__(self, probe: Probe20b, client: HttpClient, registration: VenAtVtn) -> None:
        self._probe = probe
        self._client = client
        self.registration = registration
        self._opts: list[str] = []

    @property
    def id(self) -> str:
        """Return the venID that the VTN gave it."""
        return self.registration.ven_id

    async def send(
        self,
        path: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        method: str = "POST",
        patient: bool = True,
    ) -> VtnReply:
        """Send any body below the URL of the services."""
        probe = self._probe
        sent = CIMultiDict({"Content-Type": XML} if headers is None else headers)
        sent.setdefault("User-Agent", "oadr-conformance")
        sent.setdefault("X-Request-Id", request_id(probe.step, probe.key, len(probe.log)))
        exchange = HttpExchange(
            probe.step, self.registration.name, method, f"{probe.session.base}/{path}".rstrip("/"), sent, body
        )
        probe.log.append(exchange)
        await self._client.send(exchange, patient=patient)
        return VtnReply(exchange, binding=probe.session.subject.rulings)

    async def ask(self, service: str, root: Element, *, signed: bool = True) -> VtnReply:
        """Send a message to a service; it is signed where the VTN demands that of this VEN."""
        offered = {one.text for one in root.iterfind("oadr:oadrReport/ei:reportSpecifierID", NAMESPACES)}
        reply = await self.send(service, self._probe.session.document(root, signed=signed))
        if local(root) == "oadrRegisterReport" and reply.exchange.status == 200:
            self._reports_registered(reply, offered)
        return reply

    def _reports_registered(self, reply: VtnReply, offered: set[str | None]) -> None:
        """Remember what a VTN asks for, and forget what it can no longer ask for."""
        with contextlib.suppress(Mismatch):
            if reply.name == "oadrRegisteredReport" and reply.code.startswith("2"):
                pending = self.registration.requests
                for name in [name for name, asked in pending.items() if specifier_of(asked) not in offered]:
                    del pending[name]
                open_requests(self.registration, reply)

    async def register(self, request_id: str = "register", *, again: bool = False) -> VtnReply:
        """Register by pull; with `again` under the current registrationID. The answer's identifiers are remembered."""
        registration = self.registration
        reply = await self.ask(
            PARTY,
            self.party(
                request_id,
                registration_id=registration.id if again else None,
                ven_id=registration.ven_id or None,
            ),
        )
        self.note(reply)
        return reply

    def party(self, request_id: str = "c", **parts: Any) -> Element:
        """Return oadrCreatePartyRegistration that agrees with the VTN about signatures; parts override."""
        return messages.create_party(request_id, **{"signature": self._probe.session.subject.signed, **parts})

    def note(self, reply: VtnReply) -> None:
        """Remember what an answer to a registration says."""
        if reply.status == 200 and reply.name == "oadrCreatedPartyRegistration" and reply.code.startswith("2"):
            if self.registration.id != reply.value("ei:registrationID"):
                self.registration.requests.clear()
            self.registration.id = reply.value("ei:registrationID")
            self.registration.ven_id = reply.value("ei:venID")
            self.registration.usual = True
            self._probe.session.vtn_ids.add(reply.value("ei:vtnID"))

    async def cancel(self, registration_id: str | None = None) -> VtnReply:
        """Cancel the registration."""
        registration = self.registration
        reply = await self.ask(PARTY, messages.cancel_party(registration_id or registration.id, registration.ven_id))
        if registration_id is None:
            registration.id = ""
            registration.requests.clear()
        return reply

    async def poll(self) -> VtnReply:
        """Poll once."""
        return await self.ask(POLL, messages.poll(self.id))

    async def drain(self) -> list[VtnReply]:
        """Poll and answer everything as a VEN should, until nothing is pending; return what came.

        Raises:
            SeedFailed: it does not end.
        """
        came: list[VtnReply] = []
        for _ in range(_MOST_PENDING):
            reply = await self.poll()
            if reply.name == "oadrResponse":
                return came
            came.append(reply)
            await self.answer(reply)
            if not self.registration.id:
                await self.register()
        raise SeedFailed("polls that end with oadrResponse", f"{_MOST_PENDING} messages in a row", came[-1].exchange)

    async def answer(self, reply: VtnReply) -> VtnReply | None:
        """Answer a message that a poll brought; None where nothing is to be answered."""
        answer = answer_to(self.registration, reply)
        return None if answer is None else await self.ask(*answer)

    async def answer_events(
        self, views: Sequence[ToldEvent], request_id: str, opt: str = "optIn", code: str = "200"
    ) -> VtnReply | None:
        """Answer the events that need it in one message."""
        answer = created_event(self.registration, views, request_id, opt, code)
        return None if answer is None else await self.ask(EVENT, answer)

    async def request_events(self, reply_limit: int | None = None, request_id: str = "events") -> VtnReply:
        """Ask for all events."""
        return await self.ask(EVENT, messages.request_event(self.id, request_id, reply_limit))

    async def events(self) -> list[ToldEvent]:
        """Return the events that the VTN has for this VEN now."""
        return events_in((await self.request_events()).of("oadrDistributeEvent", "oadrResponse").message)

    async def until(
        self,
        event: ToldEvent,
        holds: Callable[[ToldEvent], bool] = lambda _view: True,
        what: str = "the event",
        *,
        later_s: float = 0.0,
    ) -> ToldEvent:
        """Return an event as soon as it is there and this holds; it may take `later_s` seconds by itself.

        Raises:
            Mismatch: not within the patience of the run.
        """
        patience_s = self._probe.session.subject.patience_s + later_s
        until = time.monotonic() + patience_s
        while True:
            found = [one for one in await self.events() if one.id == event.id]
            if found and holds(found[0]):
                return found[0]
            if time.monotonic() > until:
                got = f"status {found[0].status}, number {found[0].number}" if found else "no such event"
                raise Mismatch(f"{what} within {patience_s:g} s", got)
            await asyncio.sleep(_PAUSE_S)

    async def polled(self, *names: str, holds: Callable[[VtnReply], bool] = lambda _reply: True) -> VtnReply:
        """Return the first message of one of these names that polls bring; what comes before it is answered.

        Raises:
            Mismatch: none came within the patience of the run.
        """
        until = time.monotonic() + self._probe.session.subject.patience_s
        while True:
            reply = await self.poll()
            if reply.name in names and holds(reply):
                return reply
            if reply.name != "oadrResponse":
                await self.answer(reply)
                continue
            if time.monotonic() > until:
                raise reply.fail(
                    f"{' or '.join(names)} within {self._probe.session.subject.patience_s:g} s", reply.name
                )
            await asyncio.sleep(_PAUSE_S)

    async def register_reports(self, reports: Sequence[Element] | None = None, request_id: str = "reports") -> VtnReply:
        """Register reports; requests that come back are remembered."""
        return await self.ask(REPORT, messages.register_report(self.id, reports, request_id))

    async def report_request(self) -> tuple[str, str, str]:
        """Return reportRequestID, reportSpecifierID and a rID that the VTN asks this VEN for.

        Raises:
            Skipped: it asks for none.
        """
        if not self.registration.requests:
            (await self.register_reports()).ok("oadrRegisteredReport")
            if self.registration.requests:
                await self.ask(REPORT, messages.created_report(self.id, self.registration.requests, "reports"))
            elif self._probe.session.api:
                await self._asked_by_operator()
            else:
                await self.drain()
        for name, asked in reversed(self.registration.requests.items()):
            specifier = specifier_of(asked)
            rid = _text(asked, "ei:reportSpecifier/ei:specifierPayload/ei:rID")
            if specifier == messages.SPECIFIER:
                return name, specifier, rid
        raise Skipped(NO_REQUEST)

    async def _asked_by_operator(self) -> None:
        """Have business logic ask for the reports of an event, which a VTN may pass on as oadrCreateReport."""
        wanted = [{"payloadType": "USAGE", "readingType": "DIRECT_READ", "units": "KWH"}]
        await self._probe.operator.event(reportDescriptors=wanted)
        until = time.monotonic() + self._probe.session.subject.patience_s
        while not self.registration.requests and time.monotonic() < until:
            await self.drain()
            await asyncio.sleep(_PAUSE_S)

    def opt_id(self) -> str:
        """Return a new optID; the opt is cancelled when the check is over."""
        name = self._probe.session.name("opt")
        self._opts.append(name)
        return name

    async def forget_opts(self) -> None:
        """Cancel the opts of the check."""
        while self._opts:
            await self.ask(OPT, messages.cancel_opt(self.id, self._opts.pop()))


REFUSES_PUSH = "applies where the VTN pushes; this one refuses the suite's address"
NO_REQUEST = "applies where the VTN asks for a report that a VEN registers; this one asked for none"


class Probe20b:
    """One check's view of the VTN under test."""

    def __init__(self, session: StrangerSession, key: str) -> None:
        self.session = session
        self.key = key
        self.step = Purpose.CHECK
        self.log: list[HttpExchange] = []
        self.operator = Operator(self)
        self._vens: dict[str, StrangerVen] = {}

    @property
    def binding(self) -> bool:
        """Return True if our rulings bind the VTN."""
        return self.session.subject.rulings

    def ven(self) -> StrangerVen:
        """Return the first VEN as it is, registered or not."""
        return self._ven("VEN 1")

    def other(self) -> StrangerVen:
        """Return the second VEN as it is."""
        return self._ven("VEN 2")

    def stranger(self) -> StrangerVen:
        """Return a VEN whose certificate nobody enrolled."""
        return self._ven("VEN 3")

    def outsider(self, name: str) -> StrangerVen:
        """Return somebody with another certificate, or none: `nobody`, `self-signed`, `expired`."""
        return self._ven(name)

    def _ven(self, name: str) -> StrangerVen:
        if name not in self._vens:
            self._vens[name] = StrangerVen(self, self.session.clients[name], self.session.registrations[name])
        return self._vens[name]

    async def registered(self, ven: StrangerVen | None = None) -> StrangerVen:
        """Return a VEN (the first unless one is given) that is registered and has answered everything.

        Raises:
            SeedFailed: it cannot be registered.
        """
        found = ven or self.ven()
        step, self.step = self.step, Purpose.SEED
        try:
            if not found.registration.id or not found.registration.usual:
                (await found.register()).ok("oadrCreatedPartyRegistration")
            await found.drain()
        except SeedFailed:
            raise
        except Mismatch as mismatch:
            raise SeedFailed("a registered VEN for the check", mismatch.got, mismatch.exchange) from mismatch
        finally:
            self.step = step
        return found

    def _listening(self) -> ListeningVen:
        """Return the first VEN as it is, and what is pushed to it from now on."""
        listener = self.session.listener
        if listener is None:
            raise Skipped("nothing can be pushed to the suite")
        listener.begin(self.log)
        return ListeningVen(self.ven(), listener, self.session.subject.patience_s)

    async def pushed_to(self) -> ListeningVen:
        """Return the first VEN, registered for pushes.

        Raises:
            Skipped: the VTN refuses to push.
            SeedFailed: the VEN cannot be registered.
        """
        found = self._listening()
        step, self.step = self.step, Purpose.SEED
        try:
            reply = await found.register()
            if 400 <= reply.status < 500:
                raise Skipped(f"{REFUSES_PUSH}: status {reply.status}")
            if reply.of("oadrCreatedPartyRegistration", "oadrResponse").code.startswith("4"):
                why = reply.value_or_none("ei:eiResponse/ei:responseDescription") or ""
                raise Skipped(f"{REFUSES_PUSH}: {reply.code} {why}".strip())
            reply.ok("oadrCreatedPartyRegistration")
        except SeedFailed:
            raise
        except Mismatch as mismatch:
            raise SeedFailed("a VEN registered for pushes", mismatch.got, mismatch.exchange) from mismatch
        finally:
            self.step = step
        return found

    async def order(self, order: str) -> None:
        """Have an operator ask the first VEN to `reregister` or `unregister`.

        Raises:
            SeedFailed: that did not work.
        """
        send = self.session.subject.order
        if send is None:
            raise Skipped("nobody can send orders")
        try:
            await send(order)
        except Misused as error:
            raise SeedFailed(f"the order {order} of an operator", str(error)) from error

    async def new_event(self, ven: StrangerVen, *values: float, **members: object) -> ToldEvent:
        """Return an event that business logic makes, as the VEN gets it."""
        event, view = await self.both(ven, *values, **members)
        del event
        return view

    async def both(self, ven: StrangerVen, *values: float, **members: object) -> tuple[dict[str, object], ToldEvent]:
        """Return an event that business logic makes, and the same as the VEN gets it.

        Raises:
            SeedFailed: the VEN does not get it.
        """
        before = {one.id for one in await ven.events()}
        event = await self.operator.event(*values, **members)  # type: ignore[arg-type] # members of any kind
        return event, await self.as_told(ven, event, before)

    async def as_told(self, ven: StrangerVen, event: dict[str, object], before: set[str]) -> ToldEvent:
        """Return an event of business logic as the VEN gets it, which had those of `before` earlier.

        Raises:
            SeedFailed: the VEN does not get it.
        """
        until = time.monotonic() + self.session.subject.patience_s
        while True:
            found = await ven.events()
            new = [one for one in found if one.id == event["id"]] or [one for one in found if one.id not in before]
            if new:
                return new[0]
            if time.monotonic() > until:
                raise SeedFailed("an event of business logic in oadrDistributeEvent", "none", self.log[-1])
            await asyncio.sleep(_PAUSE_S)

    def reply(self) -> VtnReply:
        """Return the last answer."""
        return VtnReply(self.log[-1], binding=self.binding)

    async def pause(self) -> None:
        """Give the VTN a moment."""
        await asyncio.sleep(_PAUSE_S)

    async def clean_up(self) -> list[str]:
        """Undo what the check did; what could not be undone, in words."""
        self.step = Purpose.CLEANUP
        left = []
        try:
            for ven in self._vens.values():
                if ven.registration.id:
                    await ven.forget_opts()
        except (Unreachable, Mismatch) as error:
            left.append(str(error))
        return left + await self.operator.clean_up()


def specifier_of(asked: Element) -> str:
    """Return the reportSpecifierID of an oadrReportRequest."""
    return _text(asked, "ei:reportSpecifier/ei:reportSpecifierID")


def _text(element: Element, path: str) -> str:
    return element.findtext(path, "", NAMESPACES)
