"""Runs checks one after another against one VTN and says what came of each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from oadr_conformance import bodies
from oadr_conformance.callbacks import CallbackServer
from oadr_conformance.errors import Mismatch, Misused, Refused, SeedFailed, Skipped, Unreachable
from oadr_conformance.probe import NO_RECEIVER, Actor, Probe
from oadr_conformance.registry import Check, Level, Standing
from oadr_conformance.session import Credential, Session, Subject, is_ours
from oadr_conformance.wire import HttpClient, HttpExchange, Obj, Purpose, VtnAnswer, redacted

_LONGEST_S = 600.0
"""Only against a check that never ends: how slow a VTN may be is not for us to say."""
_KEPT = 200
_GRACE_S = 5
"""Time, in seconds, a VTN may be silent after a check, as while it restarts."""
INTERRUPTED = "interrupted"
NOT_DECIDED = "the standard does not decide it; --switch rulings.binding=true asks for our rulings too"


class Outcome(StrEnum):
    """Outcome of a check."""

    PASS = "pass"
    FAIL = "fail"
    BLOCKED = "blocked"
    """The VTN refuses the plain data that the check needs, so its question could not be asked."""
    SKIP = "skip"
    """Something is missing on our side, as an expired token, or the check belongs to other settings."""
    NOT_ASKED = "not asked"
    """A ruling of ours, in a run that holds the VTN to the standard alone."""

    @property
    def word(self) -> str:
        """Return the word of totals: `passed`."""
        return _WORDS[self]


_WORDS = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.BLOCKED: "blocked",
    Outcome.SKIP: "skipped",
    Outcome.NOT_ASKED: "not asked",
}


@dataclass(frozen=True)
class Result:
    """Result of one check; texts contain no secret."""

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
    in_doubt: bool = False
    """The VTN was silent or refused a token meanwhile, so that perhaps no check can be made any more."""

    @property
    def decides(self) -> bool:
        """Return True if this result makes the VTN non-conformant."""
        return self.outcome is Outcome.FAIL and self.check.standing is Standing.MUST


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
    """Changes that the run could not undo."""
    of: int = 0
    """Number of all checks; only some of them may have been chosen."""
    cut_short: str = ""
    """Reason why the last checks were not made."""
    switches: Sequence[str] = ()
    """Declared configuration of the VTN, where it differs from the defaults."""

    def count(self, outcome: Outcome, standing: Standing | None = None) -> int:
        """Return the number of checks with this outcome; of one standing, if that is given."""
        return sum(result.outcome is outcome and standing in {None, result.check.standing} for result in self.results)

    def answered(self) -> tuple[int, int]:
        """Return how many MUSTs of the standard the VTN answered, and how many were chosen."""
        musts = Counter(result.outcome for result in self.results if result.check.standing is Standing.MUST)
        return musts[Outcome.PASS] + musts[Outcome.FAIL], musts.total()

    @property
    def leftovers(self) -> list[str]:
        """Return the objects that checks created and could not delete."""
        return [text for result in self.results for text in result.leftovers]

    @property
    def total(self) -> str:
        """`N passed, N failed, N skipped`, with `N blocked` and `N not asked` where there are any."""
        return counts_text({outcome: self.count(outcome) for outcome in Outcome})

    @property
    def totals(self) -> dict[Standing, dict[Outcome, int]]:
        """Return the same for MUSTs and SHOULDs of the standard and for our rulings, as far as they were chosen."""
        chosen = {result.check.standing for result in self.results}
        return {
            standing: {outcome: self.count(outcome, standing) for outcome in Outcome}
            for standing in Standing
            if standing in chosen
        }

    def flaw(self, *, strict: bool = False) -> str:
        """Return why the VTN does not conform, or why that is unknown; empty if it conforms.

        A failed MUST of the standard decides, then a failed ruling of a run that asks for rulings. Where the VTN
        answered not even half of the MUSTs that were chosen, or refused the plain data that one needs, nobody knows.
        `strict` counts a failed SHOULD and a skipped MUST too.
        """
        answered, chosen = self.answered()
        failed = [result.check for result in self.results if result.outcome is Outcome.FAIL]
        skipped = [result.check for result in self.results if result.outcome is Outcome.SKIP]
        rulings = any(check.standing is Standing.RULING and check.level is Level.MUST for check in failed)
        flaws = {
            "does not conform": any(check.standing is Standing.MUST for check in failed),
            "keeps to the standard, but not to our rulings": rulings,
            "incomplete": bool(self.cut_short),
            "nothing passed": not self.count(Outcome.PASS),
            "undecided: it refuses plain data that questions need": self.count(Outcome.BLOCKED, Standing.MUST) > 0,
            f"undecided: it answered {answered} of {chosen} MUSTs of the standard": 2 * answered < chosen,
            "does not conform: a SHOULD failed": strict and bool(failed),
            "does not conform: a MUST was skipped": strict and any(check.level is Level.MUST for check in skipped),
        }
        return next((flaw for flaw, found in flaws.items() if found), "")

    def conforms(self, *, strict: bool = False) -> bool:
        """Return True if the VTN has no flaw."""
        return not self.flaw(strict=strict)

    def complete(self) -> bool:
        """Return True if every MUST of the standard that was chosen has an answer, and all were chosen."""
        answered, chosen = self.answered()
        return answered == chosen and len(self.results) >= self.of

    def verdict(self, *, strict: bool = False) -> str:
        """Return the same in words, with what it cannot say."""
        word = self.flaw(strict=strict) or "conforms"
        answered, chosen = self.answered()
        if word == "conforms" and answered < chosen:
            word = f"conforms, as far as {answered} of {chosen} MUSTs of the standard tell"
        made = len(self.results)
        return word if made >= self.of else f"{word}{',' if ',' not in word else ' and'} {_OF.format(made, self.of)}"


_OF = "as far as {} of {} checks tell"


def counts_text(counts: Mapping[Outcome, int]) -> str:
    """`N passed, N failed, N skipped`, with `N blocked` and `N not asked` where there are any."""
    always = {Outcome.PASS, Outcome.FAIL, Outcome.SKIP}
    return ", ".join(f"{counts[outcome]} {outcome.word}" for outcome in Outcome if outcome in always or counts[outcome])


async def run(
    subject: Subject,
    checks: Iterable[Check],
    *,
    profile_name: str = "3.1",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
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
    started, clock = now(), time.monotonic()
    results: list[Result] = []
    cut_short = ""
    stop = stop or asyncio.Event()
    async with opened(subject) as session:
        product, version = await _product(session)
        for check in checks:
            cut_short = cut_short or (INTERRUPTED if stop.is_set() else "")
            result = Result(check, Outcome.SKIP, why=cut_short) if cut_short else await _judge(session, check, stop)
            if result.in_doubt:
                cut_short, silent = await _lost(session)
                if cut_short and not silent:
                    result = Result(check, Outcome.SKIP, why=cut_short)
            results.append(result)
            progress(result)
    seconds = time.monotonic() - clock
    if stop.is_set():
        cut_short = INTERRUPTED
    return Run(
        session.base,
        product,
        version,
        profile_name,
        started,
        seconds,
        tuple(results),
        warnings=tuple(session.warnings),
        of=of,
        cut_short=cut_short,
        switches=tuple(subject.profile.changes),
    )


async def _judge(session: Session, check: Check, stop: asyncio.Event) -> Result:
    """The result of a check, unless it is stopped; then it cleans up and is skipped."""
    work, stopped = asyncio.ensure_future(judge(session, check)), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
    return Result(check, Outcome.SKIP, why=INTERRUPTED) if work.cancelled() else work.result()


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
            raise Unreachable(f"no OpenADR 3.1 VTN at {session.base}: {mismatch}") from mismatch
        set_aside: list[SetAside] = []
        try:
            await _clear_vens(desk, set_aside)
            await _learn_client_ids(session, desk)
            yield session
        except Mismatch as mismatch:
            raise Unreachable(f"no OpenADR 3.1 VTN at {session.base}: {mismatch}") from mismatch
        finally:
            desk.step = Purpose.CLEANUP
            if wire.unanswered:
                await _sweep(desk)
            for one in set_aside:
                await _put_back(desk, one)


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


async def judge(session: Session, check: Check) -> Result:
    """Make one check and clean up behind it, whatever happens."""
    if check.ruling and not session.profile.rulings:
        return Result(check, Outcome.NOT_ASKED, why=NOT_DECIDED)
    probe = Probe(session, check.key, check.needs)
    started = time.monotonic()
    error: Skipped | Mismatch | None = None
    try:
        if "expired" in check.needs and not session.subject.expired_token:
            raise Skipped("needs --expired-token")
        if "receiver" in check.needs and session.callbacks is None:
            raise Skipped(NO_RECEIVER)
        if "notifiers" in check.needs and not session.profile.notifiers:
            raise Skipped("applies where notifiers.offered is on")
        async with asyncio.timeout(_LONGEST_S):
            await check.body(probe)
    except Skipped as skipped:
        error = skipped
    except Mismatch as mismatch:
        error = mismatch
    except asyncio.CancelledError:
        await probe.clean_up()
        raise
    except (Unreachable, Refused, TimeoutError) as silence:
        what = f"no result within {_LONGEST_S:g} s" if isinstance(silence, TimeoutError) else str(silence)
        error = Mismatch("a token" if isinstance(silence, Refused) else "an answer", what)
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

    log = [exchange for exchange in probe.log if exchange.step is not Purpose.CLEANUP]
    if error is None:
        return Result(check, Outcome.PASS, leftovers=tuple(leftovers), seconds=seconds)
    if isinstance(error, Skipped):
        return Result(check, Outcome.SKIP, why=clean(error.why), leftovers=tuple(leftovers), seconds=seconds)
    exchange: HttpExchange | None = error.exchange or (log[-1] if log else None)
    request, response = exchange.lines() if exchange else ("", "")
    return Result(
        check,
        Outcome.BLOCKED if isinstance(error, SeedFailed) else Outcome.FAIL,
        expected=clean(error.expected),
        got=clean(error.got),
        request=clean(request),
        response=clean(response),
        exchanges=tuple(clean(one.summary()) for one in log[-_KEPT:]),
        leftovers=tuple(leftovers),
        seconds=seconds,
        in_doubt=any(one.status in {0, 401, 403} for one in log),
    )


async def _find_api(session: Session, desk: Probe) -> None:
    """Find the API prefix and the token endpoint: the first prefix at which /auth/server says where tokens are."""
    for base in session.subject.prefixes:
        session.move(base)
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
            raise Unreachable(f"no OpenADR 3.1 VTN at {session.base}: GET /programs answers {answer.status}")
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
