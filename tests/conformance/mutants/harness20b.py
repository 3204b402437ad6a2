"""Runs the suite of 2.0b against broken VTNs and shows that every check fails on the faults it exists for.

`scripts/conformance --mutation --profile 2.0b` makes every check before the small VTN behind its front: first with the
front transparent, where it has to pass; then once per fault that names it, where it has to fail while it asks its own
question. The exit code is 1 if a check has no fault, passes in spite of one, or fails without.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from oadr_conformance import Check, Outcome, select
from oadr_conformance.examining import judged
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import Examination20b, opened20b
from rich.console import Console

from mutants.faults20b import faults20b_of, unused_patterns20b
from mutants.front20b import Fault20b, Front20b, front20b
from mutants.harness import CheckProof

SIGNED = ("B-SEC-008", "B-SEC-009", "B-SEC-010", "B-SEC-011")
"""Requirements that need a VTN that demands signatures."""


async def prove20b(
    examination: Examination20b,
    front: Front20b,
    checks: Iterable[Check],
    faults: Callable[[str], Iterable[Fault20b]] = faults20b_of,
) -> list[CheckProof]:
    """Return the verdict on each check."""
    verdicts = []
    for check in checks:
        result = await judged(examination, check)
        verdict = CheckProof(check.key, result.outcome)
        if result.outcome is Outcome.PASS:
            for fault in faults(check.key):
                await _mend(examination, front)
                async with front.broken(fault):
                    result = await judged(examination, check)
                seen = result.outcome is Outcome.FAIL
                (verdict.killed if seen else verdict.survived).append(fault.name)
            await _mend(examination, front)
        else:
            verdict.plain = f"{result.outcome}: {result.why or f'expected {result.expected}, got {result.got}'}"
        verdicts.append(verdict)
    return verdicts


async def _mend(examination: Examination20b, front: Front20b) -> None:
    """Have the VENs register again: a lying front may have told them anything."""
    await front.pusher.stop()  # what is under way is of the run before, with the habits of then
    front.vtn.events.programs.clear()
    front.vtn.events.events.clear()
    for state in examination.session.registrations.values():
        state.id = ""
        state.requests.clear()
        if state.ven_id and not state.ven_id.startswith("VEN-"):
            state.ven_id = ""
    examination.session.vtn_ids.clear()
    await front.pusher.start()


async def prove_all20b(
    directory: Path, checks: Sequence[Check], faults: Callable[[str], Iterable[Fault20b]] = faults20b_of
) -> list[CheckProof]:
    """Return the verdict on each check, each made before the VTN that it needs."""
    of_signed = [check for check in checks if check.matches(SIGNED)]
    verdicts = []
    for signed, chosen in ((False, [check for check in checks if check not in of_signed]), (True, of_signed)):
        folder = directory / ("signed" if signed else "usual")
        folder.mkdir()
        async with front20b(folder, signed=signed) as (front, subject), opened20b(subject) as examination:
            verdicts += await prove20b(examination, front, chosen, faults)
    return verdicts


def main20b(only: Sequence[str]) -> int:
    """Prove the chosen checks and print what is wrong; 0 if nothing is."""
    console, started = Console(), time.monotonic()
    checks = select(ALL20B, only)
    with tempfile.TemporaryDirectory(prefix="oadr-mutation-") as directory:
        verdicts = asyncio.run(prove_all20b(Path(directory), checks))
    stray = unused_patterns20b(check.key for check in ALL20B)
    for verdict in verdicts:
        if not verdict.good:
            console.print(f"{verdict.key}: {verdict.why_not}", style="red", highlight=False, markup=False)
    for pattern in stray:
        console.print(f"names no check: {pattern}", style="red", highlight=False, markup=False)
    good = sum(verdict.good for verdict in verdicts)
    runs = sum(len(verdict.killed) + len(verdict.survived) for verdict in verdicts)
    total = f"{good} of {len(verdicts)} checks proved able to fail, {runs} faulty runs"
    console.print(f"{total}, {time.monotonic() - started:.0f} s", highlight=False)
    return 0 if good == len(verdicts) and not stray else 1
