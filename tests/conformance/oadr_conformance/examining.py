"""Makes checks one after another against a VTN of any version of the standard, and says what came of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from oadr_conformance.errors import Mismatch, Refused, SeedFailed, Skipped, Unreachable
from oadr_conformance.registry import Check
from oadr_conformance.results import Outcome, Result, Run
from oadr_conformance.wire import HttpExchange, Purpose, redacted

_LONGEST_S = 600.0
"""Only against a check that never ends: how slow a VTN may be is not for us to say."""
_KEPT = 200
INTERRUPTED = "interrupted"
NOT_DECIDED = "the standard does not decide it; --switch rulings.binding=true asks for our rulings too"


class Asking(Protocol):
    """One check at work: what it sent, and how it cleans up."""

    log: list[HttpExchange]

    async def clean_up(self) -> list[str]:
        """Undo what the check did; what could not be undone, in words."""


class Examination(Protocol):
    """One open run against one VTN; each version of the standard has its own."""

    @property
    def base(self) -> str:
        """Return the address of what is examined."""

    @property
    def rulings(self) -> bool:
        """Return True if our rulings bind the VTN too."""

    @property
    def secrets(self) -> Sequence[str]:
        """Return the texts that no report may show."""

    @property
    def warnings(self) -> Sequence[str]:
        """Return the changes that the run could not undo."""

    @property
    def switches(self) -> Sequence[str]:
        """Return the declared configuration of the VTN, where it differs from the defaults."""

    def asking(self, check: Check) -> Asking:
        """Return the view that the body of this check gets."""

    def missing(self, check: Check) -> str:
        """Return what this run lacks for the check; empty if nothing."""

    async def product(self) -> tuple[str, str]:
        """Return name and version of the VTN."""

    async def lost(self) -> tuple[str, bool]:
        """Return why no further check can be made, if so, and True if that is because the VTN is silent."""


async def examined(
    examination: Examination,
    checks: Iterable[Check],
    *,
    profile_name: str,
    started: datetime,
    progress: Callable[[Result], None] = lambda _result: None,
    stop: asyncio.Event | None = None,
    of: int = 0,
) -> Run:
    """Make the checks. When `stop` is set the check at work cleans up, and the others are skipped."""
    clock = time.monotonic()
    results: list[Result] = []
    cut_short = ""
    stop = stop or asyncio.Event()
    product, version = await examination.product()
    for check in checks:
        cut_short = cut_short or (INTERRUPTED if stop.is_set() else "")
        result = Result(check, Outcome.SKIP, why=cut_short) if cut_short else await _judged(examination, check, stop)
        if result.in_doubt:
            cut_short, silent = await examination.lost()
            if cut_short and not silent:
                result = Result(check, Outcome.SKIP, why=cut_short)
        results.append(result)
        progress(result)
    if stop.is_set():
        cut_short = INTERRUPTED
    return Run(
        examination.base,
        product,
        version,
        profile_name,
        started,
        time.monotonic() - clock,
        tuple(results),
        warnings=tuple(examination.warnings),
        of=of,
        cut_short=cut_short,
        switches=tuple(examination.switches),
    )


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


async def _judged(examination: Examination, check: Check, stop: asyncio.Event) -> Result:
    """The result of a check, unless it is stopped; then it cleans up and is skipped."""
    work, stopped = asyncio.ensure_future(judged(examination, check)), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
    return Result(check, Outcome.SKIP, why=INTERRUPTED) if work.cancelled() else work.result()


async def judged(examination: Examination, check: Check) -> Result:
    """Make one check and clean up behind it, whatever happens."""
    if check.ruling and not examination.rulings:
        return Result(check, Outcome.NOT_ASKED, why=NOT_DECIDED)
    asking = examination.asking(check)
    started = time.monotonic()
    error: Skipped | Mismatch | None = None
    try:
        if why := examination.missing(check):
            raise Skipped(why)
        async with asyncio.timeout(_LONGEST_S):
            await check.body(asking)
    except Skipped as skipped:
        error = skipped
    except Mismatch as mismatch:
        error = mismatch
    except asyncio.CancelledError:
        await asking.clean_up()
        raise
    except (Unreachable, Refused, TimeoutError) as silence:
        what = f"no result within {_LONGEST_S:g} s" if isinstance(silence, TimeoutError) else str(silence)
        error = Mismatch("a token" if isinstance(silence, Refused) else "an answer", what)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as surprise:
        # An answer of a shape that the check did not foresee is the VTN's failure, not the end of the run.
        got = f"an answer in which the check finds no way ({type(surprise).__name__}: {surprise})"
        error = Mismatch("an answer of the standard's shape", got)
    leftovers = await asking.clean_up()
    return _result(examination, check, asking, error, leftovers, time.monotonic() - started)


def _result(
    examination: Examination,
    check: Check,
    asking: Asking,
    error: Skipped | Mismatch | None,
    leftovers: Iterable[str],
    seconds: float,
) -> Result:
    def clean(text: str) -> str:
        return redacted(text, examination.secrets)

    log = [exchange for exchange in asking.log if exchange.step is not Purpose.CLEANUP]
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
