"""Opens an examination of an OpenADR 3.1 VTN: proves the credentials, sets vens aside and puts them back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from oadr_conformance import bodies
from oadr_conformance.callbacks import CallbackServer
from oadr_conformance.checks.of_301 import Check301
from oadr_conformance.dialect301 import WireShape301
from oadr_conformance.errors import Mismatch, Misused, Refused, Unreachable
from oadr_conformance.examining import INTERRUPTED, examined, judged, utc_now
from oadr_conformance.probe import NO_RECEIVER, Actor, Probe
from oadr_conformance.registry import Check
from oadr_conformance.results import Outcome, Result, Run, counts_text
from oadr_conformance.session import Credential, Session, Subject, is_ours
from oadr_conformance.wire import HttpClient, Obj, Purpose, VtnAnswer

__all__ = ["INTERRUPTED", "Outcome", "Result", "Run", "counts_text", "judge", "opened", "run"]

_GRACE_S = 5
"""Time, in seconds, a VTN may be silent after a check, as while it restarts."""


async def run(
    subject: Subject,
    checks: Iterable[Check],
    *,
    profile_name: str = "3.1",
    now: Callable[[], datetime] = utc_now,
    progress: Callable[[Result], None] = lambda _result: None,
    stop: asyncio.Event | None = None,
    of: int = 0,
) -> Run:
    """Examine a VTN. When `stop` is set the check at work cleans up, and the others are skipped.

    Raises:
        Unreachable: nothing answers at the URL.
        Refused: a credential is not accepted.
        Misused: the URL is not one, or two credentials are of the same client.
    """
    started = now()
    async with opened(subject) as session:
        result = await examined(
            _Examination(session),
            checks,
            profile_name=profile_name,
            started=started,
            progress=progress,
            stop=stop,
            of=of,
        )
    return replace(result, warnings=tuple(session.warnings))


async def judge(session: Session, check: Check) -> Result:
    """Make one check and clean up behind it, whatever happens."""
    return await judged(_Examination(session), check)


class _Examination:
    """A session of 3.1, as the checks are made in it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def base(self) -> str:
        return self._session.base

    @property
    def rulings(self) -> bool:
        return self._session.profile.rulings

    @property
    def secrets(self) -> Sequence[str]:
        return self._session.secrets

    @property
    def warnings(self) -> Sequence[str]:
        return self._session.warnings

    @property
    def switches(self) -> Sequence[str]:
        return self._session.profile.changes

    def asking(self, check: Check) -> Probe:
        return Probe(self._session, check.key, check.needs)

    def missing(self, check: Check) -> str:
        if "expired" in check.needs and not self._session.subject.expired_token:
            return "needs --expired-token"
        if "receiver" in check.needs and self._session.callbacks is None:
            return NO_RECEIVER
        if "notifiers" in check.needs and not self._session.profile.notifiers:
            return "applies where notifiers.offered is on"
        if isinstance(check, Check301) and check.is_about_privacy and not self._session.profile.protected:
            return "applies where privacy.of_301 is on"
        return ""

    async def product(self) -> tuple[str, str]:
        return await _product(self._session)

    async def lost(self) -> tuple[str, bool]:
        return await _lost(self._session)


async def _lost(session: Session) -> tuple[str, bool]:
    """Return why no further check can be made, if so, and True if that is because the VTN is silent."""
    desk = _desk(session)
    for tries_left in reversed(range(_GRACE_S)):
        try:
            for actor in _clients(session, desk):
                answer = await actor.get("/programs", {"limit": 1})
                if answer.status in {401, 403}:
                    return f"the token of {actor.name} is no longer accepted; with ID:SECRET it would be renewed", False
        except (Unreachable, Refused) as silence:
            if not tries_left:
                return f"the VTN no longer answers: {silence}", True
            await asyncio.sleep(1)
        else:
            break
    return "", False


def _desk(session: Session) -> Probe:
    desk = Probe(session, "-", frozenset({"bl", "ven", "ven2"}))
    desk.step = Purpose.PREPARE
    return desk


@contextlib.asynccontextmanager
async def opened(subject: Subject) -> AsyncIterator[Session]:
    """Yield a session with working credentials and VENs without a ven; what was there before is put back at the end."""
    async with HttpClient(verify_tls=subject.verify_tls, ca_file=subject.ca_file) as wire, _receiver(subject) as own:
        session = Session(subject, wire)
        session.callbacks = own
        desk = _desk(session)
        try:
            await _check_credentials(session, desk)
        except Mismatch as mismatch:
            raise Unreachable(f"no OpenADR {session.subject.standard} VTN at {session.base}: {mismatch}") from mismatch
        set_aside: list[SetAside] = []
        try:
            await _clear_vens(desk, set_aside)
            await _learn_client_ids(session, desk)
            async with _program_of_subscriptions(session, desk):
                yield session
        except Mismatch as mismatch:
            raise Unreachable(f"no OpenADR {session.subject.standard} VTN at {session.base}: {mismatch}") from mismatch
        finally:
            desk.step = Purpose.CLEANUP
            if wire.unanswered:
                await _sweep(desk)
            for one in set_aside:
                await _put_back(desk, one)


@contextlib.asynccontextmanager
async def _program_of_subscriptions(session: Session, desk: Probe) -> AsyncIterator[None]:
    """Have a program for subscriptions that name none, where each has to name one."""
    if not isinstance(session.dialect, WireShape301):
        yield
        return
    program = (await desk.bl.post("/programs", bodies.program(session.name("program")))).expect(201).object()
    session.dialect.program = program["id"]
    desk.made.clear()
    try:
        yield
    finally:
        desk.step = Purpose.CLEANUP
        await desk.bl.delete(f"/programs/{program['id']}")


@contextlib.asynccontextmanager
async def _receiver(subject: Subject) -> AsyncIterator[CallbackServer | None]:
    """Listen for the VTN, where the suite was given a place for that."""
    if subject.receiver is None:
        yield None
        return
    server = CallbackServer(subject.receiver)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _find_api(session: Session, desk: Probe) -> None:
    """Find the API prefix and the token endpoint: the first prefix at which /auth/server says where tokens are."""
    for base in session.subject.prefixes:
        session.move(base)
        if not session.dialect.names_token_server:
            if (await desk.nobody.get("/programs", {"limit": 1})).status != 404:
                return
            continue
        info = await desk.nobody.get("/auth/server")
        with contextlib.suppress(Mismatch, KeyError):
            session.token_url = str(info.expect(200).object()["tokenURL"])
            return
    session.move(session.subject.prefixes[0])


async def _check_credentials(session: Session, desk: Probe) -> None:
    """Prove that every credential is one, and that of the role it is given for."""
    _tell_apart(session.subject)
    await _find_api(session, desk)
    for actor in _clients(session, desk):
        answer = await actor.get("/programs", {"limit": 1})
        if answer.status in {401, 403}:
            raise Refused(f"{session.base} refuses {actor.name} to read programs: {answer.status} {answer.text[:200]}")
        if answer.status != 200:
            raise Unreachable(
                f"no OpenADR {session.subject.standard} VTN at {session.base}: GET /programs answers {answer.status}"
            )
        answer.array()
    answer = await desk.bl.post("/programs", bodies.program(session.name("program")))
    await desk.clean_up()
    desk.step = Purpose.PREPARE
    if answer.status in {401, 403}:
        raise Refused(f"the client given as --bl may create no programs, so it is no business logic: {answer.status}")


def _tell_apart(subject: Subject) -> None:
    given = {"--bl": subject.bl, "--ven": subject.ven, "--ven2": subject.ven2, "--ven3": subject.stranger}
    seen: dict[tuple[str, str], str] = {}
    for option, credential in given.items():
        if credential is None:
            continue
        other = seen.setdefault((credential.client_id, credential.token), option)
        if other != option:
            raise Misused(f"{other} and {option} are the same client; the suite needs different ones")


def _clients(session: Session, desk: Probe) -> list[Actor]:
    return [desk.bl, *_vens(session, desk)]


def _vens(session: Session, desk: Probe) -> list[Actor]:
    subject = session.subject
    return [desk.ven, desk.ven2, *([desk.stranger] if isinstance(subject.stranger, Credential) else [])]


@dataclass(frozen=True)
class SetAside:
    """Request bodies of a ven that was there before, and of its resources."""

    ven: Obj
    resources: list[Obj]


async def _clear_vens(desk: Probe, set_aside: list[SetAside]) -> None:
    """Delete the vens of the test clients; those that are not ours are noted, to be put back."""
    for actor in _vens(desk.session, desk):
        answer = await actor.get("/vens")
        if answer.status != 200:
            continue
        for ven in answer.array():
            if not desk.session.dialect.names_owners and not is_ours(ven, "venName"):
                continue  # it may be anybody's
            desk.session.client_ids[actor.name] = ven["clientID"]
            resources = await desk.all(desk.bl, "/resources", {"venID": ven["id"]})
            if not is_ours(ven, "venName"):
                body = bodies.bl_ven(ven["clientID"], ven["venName"], **_kept(ven))
                set_aside.append(
                    SetAside(
                        body,
                        [
                            bodies.bl_resource(one["clientID"], ven["id"], one["resourceName"], **_kept(one))
                            for one in resources
                        ],
                    )
                )
            for one in resources:
                await desk.bl.delete(f"/resources/{one['id']}")
            await desk.bl.delete(f"/vens/{ven['id']}")


def _kept(obj: Obj) -> Obj:
    return {key: obj[key] for key in ("targets", "attributes") if obj.get(key)}


async def _put_back(desk: Probe, old: SetAside) -> None:
    ven = await _put_back_one(desk, "/vens", old.ven, f"ven {old.ven['venName']!r} of {old.ven['clientID']}")
    if ven:
        for body in old.resources:
            name = f"resource {body['resourceName']!r} of ven {old.ven['venName']!r}"
            await _put_back_one(desk, "/resources", body | {"venID": ven["id"]}, name)


async def _put_back_one(desk: Probe, path: str, body: Obj, name: str) -> Obj | None:
    try:
        answer = await desk.bl.send("POST", path, body=body)
        return answer.expect(201).object()
    except (Unreachable, Refused, Mismatch) as error:
        desk.session.warnings.append(f"{name} is not put back: {error}")
        return None


async def _sweep(desk: Probe) -> None:
    """Delete what carries a name of this run: a request without an answer may have created something."""
    bl, tag = desk.bl, desk.session.tag
    try:
        for program in await desk.all(bl, "/programs"):
            if str(program.get("programName")).startswith(tag):
                for event in await desk.all(bl, "/events", {"programID": program["id"]}):
                    await bl.delete(f"/events/{event['id']}")
                await bl.delete(f"/programs/{program['id']}")
        for path, name in (("/vens", "venName"), ("/subscriptions", "clientName")):
            for obj in await desk.all(bl, path):
                if str(obj.get(name)).startswith(tag):
                    await bl.delete(f"{path}/{obj['id']}")
    except (Unreachable, Refused, Mismatch, KeyError) as error:
        desk.session.warnings.append(f"something whose name begins with {tag} may be left: {error}")


async def _learn_client_ids(session: Session, desk: Probe) -> None:
    """Ask the VTN by what identifier it knows each VEN: it writes it into the ven the client registers."""
    if not session.dialect.names_owners:
        given = {"VEN 1": session.subject.ven, "VEN 2": session.subject.ven2, "VEN 3": session.subject.stranger}
        session.client_ids = {name: each.client_id or name for name, each in given.items() if each is not None}
        return
    for actor in _vens(session, desk):
        answer: VtnAnswer = await actor.post("/vens", bodies.ven_ven(session.name("ven")))
        with contextlib.suppress(Mismatch, KeyError):
            session.client_ids[actor.name] = str(answer.expect(201).object()["clientID"])
        await desk.clean_up()
        desk.step = Purpose.PREPARE
    if len(set(session.client_ids.values())) < len(session.client_ids):
        raise Misused("two of the VEN credentials are of the same client; the suite needs different ones")


async def _product(session: Session) -> tuple[str, str]:
    """Name and version of the VTN: as given, else from its `Server` header."""
    subject = session.subject
    if subject.product:
        return subject.product, subject.version
    desk = Probe(session, "-", frozenset({"bl"}))
    answer = await desk.nobody.get("/auth/server")
    name, _, version = answer.headers.get("Server", "").partition(" ")[0].partition("/")
    return name or "unknown", subject.version or version
