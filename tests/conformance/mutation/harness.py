"""Runs the suite against broken VTNs and shows that every check fails on the fault it exists for.

`python -m mutation.harness` (see `docs/conformance.md`) starts our VTN behind the proxy. A check is first made with the
proxy transparent, and has to pass; then once per fault of the table, and has to fail while asking its own question (not
while seeding data). It exits with 1 if a check has no fault, passes in spite of one, or does not pass without any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import requirements
from multidict import CIMultiDict
from oadr_conformance import ALL, Check, Outcome, Subject, judge, opened, select
from oadr_conformance.session import Session
from rich.console import Console
from rich.table import Table
from stranger import TURNED, vtn
from yarl import URL

from mutation.proxy import COLLECTIONS, Asked, Proxy
from mutation.table import TABLE, faults_of, unused_patterns
from tests.support.net import free_port


@dataclass
class Verdict:
    """What came of one check: how it went without fault, and which faults it was seen failing on."""

    check: Check
    plain: str = ""
    killed: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """It passes on a right VTN and fails on every fault it exists for, of which there is one."""
        return self.plain == Outcome.PASS and bool(self.killed) and not self.survived


@asynccontextmanager
async def _rig(directory: Path, switches: dict[str, str]) -> AsyncIterator[tuple[Session, Proxy]]:
    """The suite's session through the proxy to a VTN of our own."""
    port = free_port()
    with vtn(
        f"sqlite:///{directory / 'vtn.sqlite3'}",
        directory,
        *("--public-url", f"http://127.0.0.1:{port}"),
        switches=switches,
    ) as subject:
        proxy = Proxy(str(URL(subject.base).origin()), URL(subject.base).path)
        await proxy.start(port)
        try:
            through = replace(subject, url=str(URL(subject.base).with_port(port)))
            async with opened(through) as session:
                await _learn_tokens(session, through, proxy)
                yield session, proxy
        finally:
            await proxy.stop()


async def _learn_tokens(session: Session, subject: Subject, proxy: Proxy) -> None:
    for credential in (subject.bl, subject.ven, subject.ven2, subject.stranger):
        if credential is not None:
            proxy.tokens[credential.client_id] = await session.token(credential)
    proxy.bl = subject.bl.client_id


async def _sweep(session: Session, proxy: Proxy) -> None:
    """Delete what a lying proxy made the suite leave behind; the rest goes with programs and vens."""
    token = proxy.tokens[proxy.bl]
    prefix = URL(session.base).path

    async def send(method: str, path: str, by: str) -> list[dict[str, str]]:
        headers = CIMultiDict({"Authorization": f"Bearer {by}"})
        told = await proxy.forward(Asked(method, prefix + path, (), headers, b"", prefix))
        found = told.json()
        return found if method == "GET" and isinstance(found, list) else []

    for collection in ("programs", "vens", "subscriptions"):
        if collection in COLLECTIONS:
            for obj in await send("GET", f"/{collection}", token):
                await send("DELETE", f"/{collection}/{obj['id']}", token)


async def examine(session: Session, proxy: Proxy, checks: Sequence[Check], console: Console) -> list[Verdict]:
    """The verdict on each check."""
    verdicts = []
    for check in checks:
        proxy.handler = None
        result = await judge(session, check)
        verdict = Verdict(check, result.outcome)
        if result.outcome is Outcome.PASS:
            for fault in faults_of(check.key):
                proxy.handler = fault.make()
                result = await judge(session, check)
                proxy.handler = None
                seen = result.outcome is Outcome.FAIL and not result.seeding
                (verdict.killed if seen else verdict.survived).append(fault.name)
                await _sweep(session, proxy)
        else:
            verdict.plain = f"{result.outcome}: {result.why or f'expected {result.expected}, got {result.got}'}"
        if not verdict.good:
            console.print(f"{check.key}: {_why(verdict)}", style="red", highlight=False, markup=False)
        verdicts.append(verdict)
    return verdicts


def _why(verdict: Verdict) -> str:
    if verdict.plain != Outcome.PASS:
        return f"without any fault: {verdict.plain[:300]}"
    if verdict.survived:
        return f"does not see: {'; '.join(verdict.survived)}"
    return "no fault in the table"


def _report(verdicts: Sequence[Verdict], console: Console) -> None:
    killed = Counter(name for verdict in verdicts for name in verdict.killed)
    table = Table(title="Faults", title_justify="left", header_style="bold")
    table.add_column("A VTN where ...")
    table.add_column("is seen by", justify="right")
    for fault in TABLE:
        if killed[fault.name]:
            table.add_row(fault.name, f"{killed[fault.name]} checks")
    console.print(table)
    console.print(requirements.coverage(ALL).text(), highlight=False, markup=False)


async def _run(only: list[str], share: tuple[int, int], *, turned: bool, console: Console) -> list[Verdict]:
    directory = Path(tempfile.mkdtemp(prefix="oadr-mutation-"))
    try:
        async with _rig(directory, dict(TURNED) if turned else {}) as (session, proxy):
            number, count = share
            return await examine(session, proxy, select(ALL, only)[number::count], console)
    finally:
        shutil.rmtree(directory)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="an area, requirement or check; repeatable")
    parser.add_argument("--share", default="0/1", help="I/N: the I-th of N shares of the checks, to run side by side")
    parser.add_argument("--json", type=Path, help="write check -> faults here")
    options = parser.parse_args()
    console = Console()
    started = time.monotonic()
    number, _, count = options.share.partition("/")
    share = int(number), int(count)
    verdicts = asyncio.run(_run(options.only, share, turned=False, console=console))
    skipped = [verdict.check.key for verdict in verdicts if verdict.plain.startswith(Outcome.SKIP)]
    if skipped:
        console.print("again with the switches turned:", ", ".join(skipped), highlight=False, markup=False)
        again = asyncio.run(_run(skipped, (0, 1), turned=True, console=console))
        verdicts = [verdict for verdict in verdicts if verdict.check.key not in set(skipped)] + again
    _report(verdicts, console)
    if options.json:
        told = {verdict.check.key: {"killed": verdict.killed, "survived": verdict.survived} for verdict in verdicts}
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    stray = unused_patterns(check.key for check in ALL)
    for pattern in stray:
        console.print(f"names no check: {pattern}", style="red", highlight=False, markup=False)
    good = sum(verdict.good for verdict in verdicts)
    runs = sum(len(verdict.killed) + len(verdict.survived) for verdict in verdicts)
    console.print(
        f"{good} of {len(verdicts)} checks proved able to fail, {runs} faulty runs, {time.monotonic() - started:.0f} s",
        highlight=False,
    )
    return 0 if good == len(verdicts) and not stray else 1


if __name__ == "__main__":
    sys.exit(main())
