"""Opens an examination of a 2.0b VTN: registers the suite's VEN, and leaves it as it was before."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.errors import Mismatch, Refused, SeedFailed, Unreachable
from oadr_conformance.examining import examined, utc_now
from oadr_conformance.registry import Check
from oadr_conformance.results import Result, Run
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import PARTY, response_to
from oadr_conformance.v20b.certificates import is_for_servers, self_signed
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.push_listener import PushListener, ToldPush
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.session import StrangerSession
from oadr_conformance.v20b.subject import ClientCert, Subject20b
from oadr_conformance.v20b.tree import payload
from oadr_conformance.wire import HttpClient, Purpose

_GRACE_S = 5
"""Time, in seconds, a VTN may be silent after a check, as while it restarts."""
_MISSING: Final = {
    "operator": "needs --business-logic-url, --client-id and --client-secret: somebody has to make events",
    "ven2": "needs --cert2 and --key2: the certificate of another VEN that the VTN knows",
    "stranger": "needs --stranger-cert and --stranger-key: of an authority that the VTN trusts, enrolled by nobody",
    "expired": "needs --expired-cert and --expired-key: of an authority that the VTN trusts, and expired",
    "push": "needs --receiver: where the VTN can push to the suite; one on this machine is told a place anyway",
    "order": "needs --order-command: an operator has to ask the VEN to register again, or end its registration",
    "certificates": "needs a place for pushes over https, and a VTN whose certificate is verified",
    "tls": "applies to a VTN that is reached by https",
    "signed": "applies where the VTN demands XML signatures of this VEN; --signed says so",
    "unsigned": "applies where the VTN demands no XML signatures of this VEN",
}


async def run20b(
    subject: Subject20b,
    checks: Iterable[Check],
    *,
    profile_name: str = "2.0b",
    now: Callable[[], datetime] = utc_now,
    progress: Callable[[Result], None] = lambda _result: None,
    stop: asyncio.Event | None = None,
    of: int = 0,
) -> Run:
    """Examine a VTN. When `stop` is set the check at work cleans up, and the others are skipped.

    Raises:
        Unreachable: nothing answers at the URL, or no 2.0b VTN.
        Refused: the VTN does not register the suite's VEN.
        Misused: the URL is not one, or a file holds no certificate.
    """
    started = now()
    async with opened20b(subject) as examination:
        result = await examined(
            examination, checks, profile_name=profile_name, started=started, progress=progress, stop=stop, of=of
        )
    return replace(result, warnings=tuple(examination.warnings))


@contextlib.asynccontextmanager
async def opened20b(subject: Subject20b) -> AsyncIterator[Examination20b]:
    """Yield an examination whose VEN is registered; at the end it is registered if it was so before."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oadr-conformance-")))

        async def client(identity: ClientCert | None) -> HttpClient:
            made = HttpClient(
                verify_tls=subject.verify_tls,
                ca_file=subject.ca_file,
                identity=identity.files if identity and subject.tls else None,
            )
            return await stack.enter_async_context(made)

        unknown = self_signed(folder) if subject.tls else None
        identities: dict[str, ClientCert | None] = {"VEN 1": subject.ven}
        if subject.ven2 or (not subject.tls and subject.ven2_id):
            identities["VEN 2"] = subject.ven2
        if subject.stranger or not subject.tls:
            identities["VEN 3"] = subject.stranger
        if subject.tls:
            identities |= {"nobody": None, "self-signed": unknown, "expired": subject.expired}
        clients = {name: await client(identity) for name, identity in identities.items()}
        session = StrangerSession(subject, await client(None), clients)
        place = subject.push_place
        if place is not None and place.certificate is not None and not is_for_servers(place.certificate):
            session.no_listener = f"needs --receiver-cert: {place.certificate} is for clients only, and here it serves"
        elif place is not None:
            session.listener = _listener(session, place, unknown)
            stack.push_async_callback(session.listener.stop)
            await session.listener.start()
        examination = Examination20b(session)
        before = await _begin(examination)
        try:
            yield examination
        finally:
            await _end(examination, before)


def _listener(session: StrangerSession, place: ReceiverAddress, impostor: ClientCert | None) -> PushListener:
    subject = session.subject
    shown = None if place.certificate is None or place.key is None else ClientCert(place.certificate, place.key)

    def respond(told: ToldPush) -> bytes:
        answer = response_to(session.registrations["VEN 1"], told)
        return session.signed(answer, identity=shown) if subject.signed else payload(answer)

    return PushListener(
        place,
        respond,
        ca_file=subject.ca_file,
        verify_tls=subject.verify_tls,
        binding=subject.rulings,
        impostor=impostor if shown else None,
    )


class Examination20b:
    """A session of 2.0b, as the checks are made in it."""

    def __init__(self, session: StrangerSession) -> None:
        self.session = session

    @property
    def base(self) -> str:
        """Return the URL that services are below."""
        return self.session.base

    @property
    def rulings(self) -> bool:
        """Return True if our rulings bind the VTN too."""
        return self.session.subject.rulings

    @property
    def secrets(self) -> Sequence[str]:
        """Return the texts that no report may show."""
        return self.session.secrets

    @property
    def warnings(self) -> Sequence[str]:
        """Return the changes that the run could not undo."""
        return self.session.warnings

    @property
    def switches(self) -> Sequence[str]:
        """Return the declared configuration of the VTN, where it differs from the defaults."""
        subject = self.session.subject
        told = {"rulings.binding=true": subject.rulings, "signed=true": subject.signed}
        return [text for text, holds in told.items() if holds]

    def asking(self, check: Check) -> Probe20b:
        """Return the view that the body of this check gets."""
        return Probe20b(self.session, check.key)

    def missing(self, check: Check) -> str:
        """Return what this run lacks for the check; empty if nothing."""
        subject, clients = self.session.subject, self.session.clients
        there = {
            "operator": bool(subject.business_logic_url),
            "ven2": "VEN 2" in clients,
            "stranger": subject.tls and subject.stranger is not None,
            "expired": subject.expired is not None,
            "push": self.session.listener is not None,
            "order": subject.order is not None,
            "certificates": self.session.listener is not None and self.session.listener.asks_for_certificates,
            "tls": subject.tls,
            "signed": subject.signed,
            "unsigned": not subject.signed,
        }
        lacking = next((need for need in _MISSING if need in check.needs and not there[need]), "")
        if lacking == "push" and self.session.no_listener:
            return self.session.no_listener
        return _MISSING.get(lacking, "")

    def desk(self, step: Purpose = Purpose.PREPARE) -> Probe20b:
        """Return a probe for what is done before and after the checks."""
        probe = Probe20b(self.session, "-")
        probe.step = step
        return probe

    async def product(self) -> tuple[str, str]:
        """Return name and version of the VTN: as given, else from its `Server` header."""
        subject = self.session.subject
        if subject.product:
            return subject.product, subject.version
        reply = await _query(self.desk().ven())
        name, _, version = reply.headers.get("Server", "").partition(" ")[0].partition("/")
        return name or "unknown", subject.version or version

    async def lost(self) -> tuple[str, bool]:
        """Return why no further check can be made, if so, and True if that is because the VTN is silent."""
        for tries_left in reversed(range(_GRACE_S)):
            try:
                reply = await _query(self.desk().ven())
            except Unreachable as silence:
                if not tries_left:
                    return f"the VTN no longer answers: {silence}", True
                await asyncio.sleep(1)
                continue
            if reply.status in {401, 403}:
                return f"the certificate of {self.session.registrations['VEN 1'].name} is no longer accepted", False
            break
        return "", False


async def _query(ven: StrangerVen) -> VtnReply:
    return await ven.ask(PARTY, messages.query_registration("prepare"))


async def _begin(examination: Examination20b) -> bool:
    """Register the suite's VEN; return True if it was registered before.

    Raises:
        Unreachable: no 2.0b VTN is there.
        Refused: it does not register the VEN.
    """
    session = examination.session
    ven = examination.desk().ven()
    enrol = f"; the certificate has the fingerprint {session.subject.ven.fingerprint}" if session.subject.ven else ""
    try:
        reply = await _query(ven)
        if reply.status in {401, 403}:
            raise Refused(f"{session.base} refuses the certificate: {reply.status} {reply.text[:200]}{enrol}")
        before = bool(reply.of("oadrCreatedPartyRegistration").value_or_none("ei:registrationID"))
        told = reply.value_or_none("ei:venID")
        if told and not ven.registration.ven_id:
            ven.registration.ven_id = told
        reply = await ven.register("prepare")
    except Mismatch as mismatch:
        raise Unreachable(f"no OpenADR 2.0b VTN at {session.base}: {mismatch}") from mismatch
    except Unreachable as silence:
        raise Unreachable(f"{silence}{enrol}") from silence
    if not ven.registration.id:
        code = reply.value_or_none("ei:eiResponse/ei:responseCode") or reply.status
        why = reply.value_or_none("ei:eiResponse/ei:responseDescription") or reply.name
        raise Refused(f"{session.base} does not register the VEN: {code} {why}{enrol}")
    return before


async def _end(examination: Examination20b, before: bool) -> None:
    """Leave the VENs as they were: registered or not."""
    for name in ("VEN 1", "VEN 2"):
        if name not in examination.session.clients:
            continue
        ven = examination.desk(Purpose.CLEANUP)._ven(name)
        keep = before and name == "VEN 1"
        try:
            if keep and not (ven.registration.id and ven.registration.usual):
                await ven.register("cleanup")
            elif not keep and ven.registration.id:
                await ven.cancel()
        except (Unreachable, Mismatch, SeedFailed) as error:
            examination.session.warnings.append(f"the registration of {name} is not as it was: {error}")
