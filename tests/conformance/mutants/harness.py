"""Runs the suite against broken VTNs and shows that every check fails on the fault it exists for.

`scripts/conformance --mutation` starts our VTN behind the proxy, several times side by side. A check is first made with
the proxy transparent, and has to pass; then once per fault that names it, and has to fail while it asks its own
question, not while it seeds data. The exit code is 1 if a check has no fault, passes in spite of one, or fails without.

With `--standard` our rulings are not binding, as in a run against somebody else's VTN: only what the standard decides
is asked, and as widely as it decides. Then a check has to see at least one of its faults; others are about rulings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from multidict import CIMultiDict
from oadr_conformance import ALL, ALL_301, Check, Misused, Outcome, ReceiverAddress, Subject, judge, opened, select
from oadr_conformance.broker import ANONYMOUS
from oadr_conformance.probe import Probe
from oadr_conformance.session import Session
from rich.console import Console
from rich.table import Table
from vtns.brokers import open_door
from vtns.ours import TURNED, at_version, vtn
from yarl import URL

from bench.support.net import free_port
from mutants.handlers import Fault, FaultPlace
from mutants.proxy import ProxiedRequest, Proxy
from mutants.republisher import Republisher, renames_topics
from mutants.table import TABLE, faults_of, unused_patterns
from mutants.wrong_301 import WRONG_301
from tests.support import requirements

CHECKS: Final[Mapping[str, Sequence[Check]]] = {"3.1": ALL, "3.0.1": ALL_301}
"""Version of the standard -> its checks."""
_PATIENCE_S = 4.0
"""Time, in seconds, for a notification to arrive: many faults keep them from arriving at all."""


@dataclass
class CheckProof:
    """Hold what came of one check: how it went without fault, and which faults it was seen failing on."""

    key: str
    plain: str = ""
    killed: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)
    one_will_do: bool = False

    @property
    def good(self) -> bool:
        """Return True if it passes on a right VTN and fails on every fault meant for it (or one, if that will do)."""
        return self.plain == Outcome.PASS and bool(self.killed) and (self.one_will_do or not self.survived)

    @property
    def why_not(self) -> str:
        """Return what is wrong with the check, or with the VTN."""
        if self.plain != Outcome.PASS:
            return f"without any fault: {self.plain[:300]}"
        return f"does not see: {'; '.join(self.survived)}" if self.survived else "no fault names it"


@asynccontextmanager
async def rig(
    directory: Path, switches: Mapping[str, str], *, rulings: bool = True, standard: str = "3.1"
) -> AsyncIterator[tuple[Session, Proxy]]:
    """Yield the suite's session, through the proxy, to a VTN of our own on SQLite."""
    port = free_port()
    database_url = f"sqlite:///{directory / 'vtn.sqlite3'}"
    with vtn(database_url, directory, "--public-url", f"http://127.0.0.1:{port}", switches=switches) as one:
        subject = at_version(one, standard)
        proxy = Proxy(str(URL(subject.base).origin()), URL(subject.base).path)
        await proxy.start(port)
        deliveries, receiver = await _in_front_of_receiver(subject)
        proxy.callbacks = deliveries
        try:
            profile = replace(subject.profile, rulings=rulings)
            url = str(URL(subject.base).with_port(port))
            through = replace(subject, url=url, profile=profile, receiver=receiver, patience_s=_PATIENCE_S)
            async with opened(through) as session:
                await _learn_tokens(session, through, proxy)
                if session.dialect.names_notifiers:
                    await _in_front_of_broker(session, proxy, directory)
                yield session, proxy
        finally:
            if proxy.republisher is not None:
                await asyncio.to_thread(proxy.republisher.stop)
            await deliveries.stop()
            await proxy.stop()


async def _in_front_of_receiver(subject: Subject) -> tuple[Proxy, ReceiverAddress]:
    """Return a proxy where the VTN calls the suite, and where the suite listens behind it."""
    public, listen = subject.receiver, f"127.0.0.1:{free_port()}"
    if public is None:
        raise RuntimeError("this VTN is given no receiver to call")
    proxy = Proxy(f"http://{listen}", "", every_step=True)
    await proxy.start(public.place[1], public.tls())
    return proxy, ReceiverAddress(public.url, listen=listen)


async def _in_front_of_broker(session: Session, proxy: Proxy, directory: Path) -> None:
    """Let publications be changed, if the VTN's broker lets everybody hear and publish everything."""
    desk = Probe(session, "-", frozenset({"bl"}))
    binding = await desk.binding(desk.bl)
    proxy.open_door = open_door(directory)
    if binding["authentication"]["method"] == ANONYMOUS and session.subject.ca_file is not None:
        proxy.republisher = Republisher(binding["URIS"][0], session.subject.ca_file)
        await asyncio.to_thread(proxy.republisher.start)


@contextmanager
def broken(proxy: Proxy, fault: Fault) -> Iterator[None]:
    """Let the fault be there for a while."""
    if fault.place is FaultPlace.BROKER:
        if proxy.republisher is None:
            raise RuntimeError("this VTN has no broker")
        proxy.republisher.change, proxy.handler = fault.make(), renames_topics()
    elif fault.place is FaultPlace.CALLBACKS:
        if proxy.callbacks is None:
            raise RuntimeError("this VTN calls nobody")
        proxy.callbacks.handler = fault.make()
    else:
        proxy.handler = fault.make()
    try:
        yield
    finally:
        for each in (proxy, proxy.callbacks):
            if each is not None:
                each.handler = None
        if proxy.republisher is not None:
            proxy.republisher.change = None


async def _learn_tokens(session: Session, subject: Subject, proxy: Proxy) -> None:
    for credential in (subject.bl, subject.ven, subject.ven2, subject.stranger):
        if credential is not None:
            proxy.tokens[credential.client_id] = await session.token(credential)
    proxy.bl = subject.bl.client_id


async def prove(
    session: Session,
    proxy: Proxy,
    checks: Iterable[Check],
    faults: Callable[[str], Iterable[Fault]] = faults_of,
) -> list[CheckProof]:
    """Return the verdict on each check."""
    verdicts = []
    for check in checks:
        proxy.handler = None
        result = await judge(session, check)
        verdict = CheckProof(check.key, result.outcome, one_will_do=_one_will_do(session, check))
        if result.outcome is Outcome.PASS:
            for fault in faults(check.key):
                with broken(proxy, fault):
                    result = await judge(session, check)
                seen = result.outcome is Outcome.FAIL
                (verdict.killed if seen else verdict.survived).append(fault.name)
                await _sweep(session, proxy)
        else:
            verdict.plain = f"{result.outcome}: {result.why or f'expected {result.expected}, got {result.got}'}"
        verdicts.append(verdict)
    return verdicts


def _one_will_do(session: Session, check: Check) -> bool:
    """Return True where some faults of a check are none: about rulings, or of 3.1 alone."""
    is_shared = session.subject.standard != "3.1" and check.area != "V301"
    return is_shared or not session.profile.rulings


async def _sweep(session: Session, proxy: Proxy) -> None:
    """Delete what a lying proxy made the suite leave behind; the rest goes with programs and vens."""
    prefix = URL(session.base).path
    headers = CIMultiDict({"Authorization": f"Bearer {proxy.tokens[proxy.bl]}"})
    for collection in ("/programs", "/vens", "/subscriptions"):
        found = (await proxy.forward(ProxiedRequest("GET", prefix + collection, (), headers, b"", prefix))).json()
        for obj in found if isinstance(found, list) else ():
            if obj["id"] == session.dialect.program:
                continue  # of the run, not of a check
            await proxy.forward(ProxiedRequest("DELETE", f"{prefix}{collection}/{obj['id']}", (), headers, b"", prefix))


async def _prove_all(only: Sequence[str], share: tuple[int, int], *, rulings: bool, standard: str) -> list[CheckProof]:
    """The verdicts on one share of the checks; those that our VTN's switches rule out are made with switches turned."""
    number, count = share
    known = CHECKS[standard]
    checks = [check for check in select(known, only) if rulings or not check.ruling]
    verdicts = await _with_vtn(checks[number::count], {}, rulings=rulings, standard=standard)
    skipped = {verdict.key for verdict in verdicts if verdict.plain.startswith(Outcome.SKIP)}
    if skipped:
        left = [check for check in known if check.key in skipped]
        again = await _with_vtn(left, TURNED, rulings=rulings, standard=standard)
        verdicts = [verdict for verdict in verdicts if verdict.key not in skipped] + again
    return verdicts


async def _with_vtn(
    checks: Sequence[Check], switches: Mapping[str, str], *, rulings: bool, standard: str
) -> list[CheckProof]:
    directory = Path(tempfile.mkdtemp(prefix="oadr-mutation-"))
    try:
        async with rig(directory, switches, rulings=rulings, standard=standard) as (session, proxy):
            return await prove(session, proxy, checks)
    finally:
        shutil.rmtree(directory)


def _side_by_side(arguments: Sequence[str], jobs: int) -> list[CheckProof]:
    """The same in several processes, each with a VTN of its own."""
    command = [sys.executable, "-m", "mutants.harness", *arguments]
    shares = [
        subprocess.Popen([*command, "--share", f"{number}/{jobs}"], stdout=subprocess.PIPE) for number in range(jobs)
    ]
    verdicts = []
    for share in shares:
        told, _ = share.communicate()
        if share.returncode != 0:
            raise RuntimeError("a share of the checks could not be made; see above")
        verdicts += [CheckProof(**one) for one in json.loads(told)]
    return verdicts


def _report(verdicts: Sequence[CheckProof], console: Console) -> None:
    killed = Counter(name for verdict in verdicts for name in verdict.killed)
    table = Table(title="Faults", title_justify="left", header_style="bold")
    table.add_column("A VTN in which ...")
    table.add_column("is seen by", justify="right")
    for fault in (*TABLE, *WRONG_301):
        if killed[fault.name]:
            table.add_row(fault.name, f"{killed[fault.name]} checks")
    console.print(table)
    console.print(requirements.coverage(requirements.CHECKS).text(), highlight=False, markup=False)
    for verdict in verdicts:
        if not verdict.good:
            console.print(f"{verdict.key}: {verdict.why_not}", style="red", highlight=False, markup=False)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="scripts/conformance --mutation", description=__doc__)
    parser.add_argument("--profile", choices=[*CHECKS, "2.0b"], default="3.1", help="version of the standard")
    parser.add_argument("--only", action="append", default=[], help="an area, requirement or check; repeatable")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="VTNs side by side")
    parser.add_argument("--json", type=Path, help="write the verdict on every check here")
    parser.add_argument("--standard", action="store_true", help="prove the checks as they judge somebody else's VTN")
    parser.add_argument("--share", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.profile == "2.0b":
        from mutants.harness20b import main20b  # it shares this module's verdicts

        return main20b(options.only)
    if options.share:
        number, _, count = options.share.partition("/")
        share = int(number), int(count)
        verdicts = asyncio.run(_prove_all(options.only, share, rulings=not options.standard, standard=options.profile))
        sys.stdout.write(json.dumps([asdict(verdict) for verdict in verdicts]))
        return 0
    console, started = Console(), time.monotonic()
    try:
        select(CHECKS[options.profile], options.only)
    except Misused as error:
        parser.error(str(error))
    arguments = [argument for only in options.only for argument in ("--only", only)]
    arguments += ["--profile", options.profile]
    verdicts = _side_by_side([*arguments, *(["--standard"] if options.standard else [])], options.jobs)
    _report(verdicts, console)
    if options.json:
        options.json.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1), encoding="utf-8")
    keys = [check.key for check in CHECKS[options.profile]]
    stray = unused_patterns(keys, TABLE if options.profile == "3.1" else WRONG_301)
    for pattern in stray:
        console.print(f"names no check: {pattern}", style="red", highlight=False, markup=False)
    good = sum(verdict.good for verdict in verdicts)
    runs = sum(len(verdict.killed) + len(verdict.survived) for verdict in verdicts)
    total = f"{good} of {len(verdicts)} checks proved able to fail, {runs} faulty runs"
    console.print(f"{total}, {time.monotonic() - started:.0f} s", highlight=False)
    return 0 if good == len(verdicts) and not stray else 1


if __name__ == "__main__":
    sys.exit(main())
