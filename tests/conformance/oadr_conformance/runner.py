"""Runs checks one after another against one VTN and says what came of each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from oadr_conformance import bodies
from oadr_conformance.errors import Mismatch, Refused, SeedFailed, Skipped, Unreachable
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import MUST, Check
from oadr_conformance.session import Credential, Session, Subject, is_ours
from oadr_conformance.wire import Answer, Exchange, Obj, Step, Wire, redacted

_LONGEST_S = 60.0
_KEPT = 200


class Outcome(StrEnum):
    """What came of a check."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Result:
    """What came of one check; texts carry no secret."""

    check: Check
    outcome: Outcome
    expected: str = ""
    got: str = ""
    why: str = ""
    request: str = ""
    response: str = ""
    exchanges: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    seconds: float = 0.0
    seeding: bool = False
    """The failure happened before the check's own question was asked."""

    @property
    def decides(self) -> bool:
        """Whether this result makes the VTN non-conformant."""
        return self.outcome is Outcome.FAIL and self.check.level is MUST


@dataclass(frozen=True)
class Run:
    """All results of one run, and what was examined."""

    url: str
    product: str
    version: str
    profile: str
    started: datetime
    seconds: float
    results: Sequence[Result] = field(default_factory=tuple)
    warnings: Sequence[str] = field(default_factory=tuple)
    """What the run could not put back as it was."""

    def count(self, outcome: Outcome) -> int:
        """How many checks ended so."""
        return Counter(result.outcome for result in self.results)[outcome]

    @property
    def leftovers(self) -> list[str]:
        """What checks created and could not delete."""
        return [text for result in self.results for text in result.leftovers]

    @property
    def total(self) -> str:
        """`N passed, N failed, N skipped`."""
        passed, failed, skipped = (self.count(outcome) for outcome in Outcome)
        return f"{passed} passed, {failed} failed, {skipped} skipped"

    def conforms(self, *, strict: bool = False) -> bool:
        """Whether no MUST failed; `strict` also counts every other failure and every skipped MUST."""
        if not strict:
            return not any(result.decides for result in self.results)
        return not any(
            result.outcome is Outcome.FAIL or (result.outcome is Outcome.SKIP and result.check.level is MUST)
            for result in self.results
        )


async def run(
    subject: Subject,
    checks: Iterable[Check],
    *,
    profile_name: str = "3.1",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[Result], None] = lambda _result: None,
) -> Run:
    """Examine a VTN.

    Raises:
        Unreachable: nothing answers at the URL.
        Refused: a credential is not accepted.
        Misused: the URL is not one.
    """
    started, clock = now(), time.monotonic()
    results: list[Result] = []
    async with opened(subject) as session:
        product, version = await _product(session)
        for check in checks:
            result = await judge(session, check)
            results.append(result)
            progress(result)
    seconds = time.monotonic() - clock
    return Run(session.base, product, version, profile_name, started, seconds, tuple(results), tuple(session.warnings))


@contextlib.asynccontextmanager
async def opened(subject: Subject) -> AsyncIterator[Session]:
    """A session with working credentials and VENs without a ven; what was there before is put back at the end."""
    async with Wire(verify_tls=subject.verify_tls) as wire:
        session = Session(subject, wire)
        desk = Probe(session, "-", frozenset({"bl", "ven", "ven2"}))
        desk.step = Step.PREPARE
        await _check_credentials(session, desk)
        set_aside = await _clear_vens(desk)
        try:
            await _learn_client_ids(session, desk)
            yield session
        finally:
            for body in set_aside:
                await _put_back(desk, body)


async def judge(session: Session, check: Check) -> Result:
    """Make one check and clean up behind it, whatever happens."""
    probe = Probe(session, check.key, check.needs)
    started = time.monotonic()
    error: Skipped | Mismatch | None = None
    try:
        if "expired" in check.needs and not session.subject.expired_token:
            raise Skipped("needs --expired-token")
        async with asyncio.timeout(_LONGEST_S):
            await check.body(probe)
    except Skipped as skipped:
        error = skipped
    except Mismatch as mismatch:
        error = mismatch
    except (Unreachable, TimeoutError) as silence:
        what = str(silence) if isinstance(silence, Unreachable) else f"no result within {_LONGEST_S:g} s"
        error = Mismatch("an answer", what)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as surprise:
        # An answer of a shape that the check did not foresee is the VTN's failure, not the end of the run.
        got = f"an answer in which the check finds no way ({type(surprise).__name__}: {surprise})"
        error = Mismatch("an answer of the standard's shape", got)
    leftovers = await probe.clean_up()
    return _result(session, check, probe, error, leftovers, time.monotonic() - started)


def _result(
    session: Session,
    check: Check,
    probe: Probe,
    error: Skipped | Mismatch | None,
    leftovers: Iterable[str],
    seconds: float,
) -> Result:
    def clean(text: str) -> str:
        return redacted(text, session.secrets)

    log = [exchange for exchange in probe.log if exchange.step is not Step.CLEANUP]
    if error is None:
        return Result(check, Outcome.PASS, leftovers=tuple(leftovers), seconds=seconds)
    if isinstance(error, Skipped):
        return Result(check, Outcome.SKIP, why=clean(error.why), leftovers=tuple(leftovers), seconds=seconds)
    exchange: Exchange | None = error.exchange or (log[-1] if log else None)
    request, response = exchange.lines() if exchange else ("", "")
    return Result(
        check,
        Outcome.FAIL,
        expected=clean(error.expected),
        got=clean(error.got),
        request=clean(request),
        response=clean(response),
        exchanges=tuple(clean(one.summary()) for one in log[-_KEPT:]),
        leftovers=tuple(leftovers),
        seconds=seconds,
        seeding=isinstance(error, SeedFailed),
    )


async def _check_credentials(session: Session, desk: Probe) -> None:
    """Find the token endpoint and prove every credential with a read it must be allowed."""
    info = await desk.nobody.get("/auth/server")
    if info.status == 200:
        with contextlib.suppress(Mismatch, KeyError):
            session.token_url = str(info.object()["tokenURL"])
    for actor in _clients(session, desk):
        answer = await actor.get("/programs", {"limit": 1})
        if answer.status in {401, 403}:
            raise Refused(f"{session.base} refuses {actor.name} to read programs: {answer.status} {answer.text[:200]}")
        if answer.status != 200:
            raise Unreachable(f"no OpenADR 3.1 VTN at {session.base}: GET /programs answers {answer.status}")


def _clients(session: Session, desk: Probe) -> list[Actor]:
    return [desk.bl, *_vens(session, desk)]


def _vens(session: Session, desk: Probe) -> list[Actor]:
    subject = session.subject
    return [desk.ven, desk.ven2, *([desk.stranger] if isinstance(subject.stranger, Credential) else [])]


async def _clear_vens(desk: Probe) -> list[Obj]:
    """Delete the vens of the test clients; request bodies of those that are not ours, to be put back."""
    set_aside = []
    for actor in _vens(desk.session, desk):
        answer = await actor.get("/vens")
        if answer.status != 200:
            continue
        for ven in answer.array():
            if not is_ours(ven, "venName"):
                body = bodies.bl_ven(ven["clientID"], ven["venName"])
                set_aside.append(body | {key: ven[key] for key in ("targets", "attributes") if ven.get(key)})
            await desk.bl.delete(f"/vens/{ven['id']}")
    return set_aside


async def _put_back(desk: Probe, body: Obj) -> None:
    try:
        answer = await desk.bl.send("POST", "/vens", body=body, step=Step.CLEANUP)
        why = "" if answer.status == 201 else f"status {answer.status}"
    except Unreachable as error:
        why = str(error)
    if why:
        desk.session.warnings.append(f"ven {body['venName']!r} of {body['clientID']} is not put back: {why}")


async def _learn_client_ids(session: Session, desk: Probe) -> None:
    """Ask the VTN by what identifier it knows each VEN: it writes it into the ven the client registers."""
    for actor in _vens(session, desk):
        answer: Answer = await actor.post("/vens", bodies.ven_ven(session.name("ven")))
        with contextlib.suppress(Mismatch, KeyError):
            session.client_ids[actor.name] = str(answer.expect(201).object()["clientID"])
    await desk.clean_up()
    desk.step = Step.PREPARE


async def _product(session: Session) -> tuple[str, str]:
    """Name and version of the VTN: as given, else from its `Server` header."""
    subject = session.subject
    if subject.product:
        return subject.product, subject.version
    desk = Probe(session, "-", frozenset({"bl"}))
    answer = await desk.nobody.get("/auth/server")
    name, _, version = answer.headers.get("Server", "").partition(" ")[0].partition("/")
    return name or "unknown", subject.version or version
