"""``oadr demo``: shows the story on a terminal, or judges it without one."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from oadr.demo.homes import KINDS, SPEAKS_20B
from oadr.demo.layout import clock_text
from oadr.demo.show import look_of, painter, painting, show_end
from oadr.demo.view import PARTS, DemoView, Doing, Row
from oadr.errors import Exit, Failure, reporting
from oadr.process import logs
from oadr.process.running import Interrupted, run_interruptibly
from oadr.terminal.options import examples, parsed_by
from oadr.terminal.output import show_json
from openadr_profiles.fleet.quantities import length

if TYPE_CHECKING:
    from oadr.demo.fleet import Fleet
    from oadr.demo.story import Scene

app = typer.Typer(add_completion=False)

_LEAST_S = 15
_LAST_LINES = 20
WITHOUT_20B = "No home on OpenADR 2.0b: OADR_20B=1 scripts/demo adds it (extra oadr20b)."


@app.command(epilog=examples("demo --stay", "demo --for 30s --check --json"))
def demo(
    *,
    speed: Annotated[
        float, typer.Option(min=1, max=600, help="How fast the demo's clock runs: 60 shows a minute a second.")
    ] = 60,
    for_: Annotated[
        timedelta,
        typer.Option(
            "--for", parser=parsed_by(length), metavar="TIME", help="How long to watch at most once all runs, as 30s."
        ),
    ] = "60s",  # type: ignore[assignment] # defaults pass through the parser
    check: Annotated[
        bool, typer.Option("--check", help="Judge the run: exit code 7, and the part, if anything is wrong.")
    ] = False,
    tls: Annotated[bool, typer.Option("--tls", help="VTN and broker with certificates of the demo's own CA.")] = False,
    details: Annotated[
        bool, typer.Option("--details", help="At the end, also show every circuit, command and acknowledgment.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep everything running after the event, with its pages, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON summary; what happens meanwhile goes to standard error.")
    ] = False,
) -> None:
    """Show a whole fleet on this machine and one event: VTN, broker, bridge, 3 legacy panels, and homes.

    Everything is real but the circuits. The data is in a temporary folder that is removed at the end.
    On a terminal it is a live picture; when piped, a line for whatever happens.
    """
    with reporting():
        seconds = for_.total_seconds()
        if seconds < _LEAST_S:
            raise typer.BadParameter(f"a run needs at least {_LEAST_S}s", param_hint="--for")
        if stay and (check or as_json):
            raise typer.BadParameter(
                "goes neither with --check nor with --json, which are for the end", param_hint="--stay"
            )
        console = Console(stderr=as_json)
        with _place(console) as folder:
            outcome = run_interruptibly(
                lambda: _play(
                    folder,
                    console,
                    speed=speed,
                    for_s=seconds,
                    tls=tls,
                    details=details,
                    summarise=not as_json,
                    stay=stay,
                )
            )
        if as_json:
            show_json(outcome)
        if check and outcome["findings"]:
            wrong = "".join(f"\n  {finding['part']}: {finding['problem']}" for finding in outcome["findings"])
            raise Failure(f"the check failed{wrong}", Exit.CHECK_FAILED)


@contextmanager
def _place(console: Console) -> Iterator[Path]:
    """A temporary folder with the log in it; if the demo breaks, the end of the log is shown."""
    with tempfile.TemporaryDirectory(prefix="oadr-demo-") as name:
        folder = Path(name)
        with (folder / "demo.log").open("w", encoding="utf-8") as log:
            logs.configure(level="info", stream=log)
            try:
                yield folder
            except Interrupted:
                raise
            except Exception:
                log.flush()
                console.print("The last entries of the log:", *_tail(folder / "demo.log"), sep="\n", markup=False)
                raise
            finally:
                logs.configure()


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines()[-_LAST_LINES:]


class _Run:
    """The state of a run so far, and the view of it."""

    def __init__(self, *, speed: float) -> None:
        from openadr_client import ScaledClock

        self.clock = ScaledClock(speed)
        self.began = time.monotonic()
        self.fleet: Fleet | None = None
        self.scene: Scene | None = None
        self.news: list[str] = []
        self.hint: str | None = None
        self.pages: tuple[str, ...] = ()
        self._running: frozenset[str] = frozenset()

    @property
    def elapsed_s(self) -> float:
        """Real seconds since the command began to work."""
        return time.monotonic() - self.began

    def tell(self, words: str) -> None:
        """Keep a line of news."""
        self.news.append(f"{clock_text(self.clock.now())}  {words}")

    def see(self, scene: Scene) -> None:
        """Keep a snapshot of the run, and the news since the one before."""
        from oadr.demo.summary import news

        for words in news(self.scene, scene):
            self.tell(words)
        self.scene = scene

    def view(self) -> DemoView:
        """Give what is to be shown now."""
        running = self.fleet.running if self.fleet else frozenset()
        for part in PARTS:
            if part in running - self._running:
                self.tell(f"started: {part}")
        self._running = running
        view = DemoView(
            now=self.clock.now(),
            speed=self.clock.speed,
            elapsed_s=self.elapsed_s,
            running=running,
            rows=[Row(name, kind, Doing.STARTING) for name, kind in KINDS.items()],
            news=tuple(self.news),
            hint=self.hint,
            pages=self.pages,
            lacking=None if SPEAKS_20B else WITHOUT_20B,
        )
        return view if self.scene is None else _with_scene(view, self.scene)


def _with_scene(view: DemoView, scene: Scene) -> DemoView:
    from oadr.demo import summary
    from oadr.demo.story import vens_in

    return replace(
        view,
        plan=scene.plan,
        power=scene.power,
        rows=summary.rows(scene),
        circuits=summary.circuits(scene),
        panels_kw=summary.panels_kw(scene),
        vens_in=vens_in(scene.evidence),
        verdict=summary.verdict(scene) if scene.over else None,
    )


async def _play(
    folder: Path, console: Console, *, speed: float, for_s: float, tls: bool, details: bool, summarise: bool, stay: bool
) -> dict[str, Any]:
    look = look_of(console)
    run = _Run(speed=speed)
    with painter(console, look) as screen:
        async with painting(screen, run.view):
            # In a thread, so that the screen is painted while the libraries of every part are loaded.
            await asyncio.to_thread(_load)
            started_s = await _watch(run, folder, for_s=for_s, tls=tls, shows_pages=summarise, stay=stay)
    scene = run.scene
    if scene is None:
        raise Failure("the demo showed nothing", Exit.UNEXPECTED)
    if summarise:
        if details:
            from oadr.demo.details import details as tables

            console.print(tables(scene))
        show_end(console, run.view(), look)
    return _outcome(scene, started_s=started_s, took_s=run.elapsed_s)


def _load() -> None:
    """Import all that the demo starts; it takes a few seconds on a slow machine."""
    import oadr.demo.story
    import oadr.demo.summary  # noqa: F401


async def _watch(run: _Run, folder: Path, *, for_s: float, tls: bool, shows_pages: bool, stay: bool) -> float:
    """Start the fleet and watch it to the end; return the seconds that the start took."""
    from oadr.demo.fleet import Fleet
    from oadr.demo.pace import Pace
    from oadr.demo.story import tell

    run.fleet = Fleet(folder, clock=run.clock, pace=Pace(run.clock.speed), tls=tls)
    async with run.fleet as fleet:
        started_s = run.elapsed_s
        variables = _write_variables(fleet)
        run.hint = f"Look inside from another terminal:  . {variables}"
        run.tell(f"everything runs after {started_s:.1f} s; VTN at {fleet.vtn_url}, bridge at {fleet.bridge_url}")
        run.tell(f"to look inside from another terminal:  . {variables}  then: oadr vens list, oadr event list")
        if shows_pages and fleet.pages:
            run.pages = fleet.pages.lines()
            for line in run.pages:
                run.tell(line)
        async for scene in tell(fleet, for_s=for_s):
            run.see(scene)
        if stay:
            run.hint = "All of it runs on until Ctrl-C: send an event of your own from the console."
            run.tell(run.hint)
            await asyncio.Event().wait()
    run.pages = ()
    run.hint = "--stay keeps it and its pages running; --details shows circuits, commands, acks."
    return started_s


def _write_variables(fleet: Fleet) -> Path:
    """Write what ``oadr`` needs to look at the VTN into a file for the shell, readable by its owner only."""
    from oadr.demo.fleet import BUSINESS_LOGIC

    who = fleet.credentials[BUSINESS_LOGIC]
    variables = {"URL": fleet.vtn_url, "CLIENT_ID": who.client_id, "CLIENT_SECRET": who.secret}
    if fleet.certificates:
        variables["CA_FILE"] = str(fleet.certificates.ca)
    lines = [f"export OADR_BL_{name}={shlex.quote(value)}\n" for name, value in variables.items()]
    program = Path(sys.argv[0]).absolute()
    if program.name == "oadr":
        lines.append(f'export PATH={shlex.quote(str(program.parent))}:"$PATH"\n')
    path = fleet.folder / "env"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(lines)
    return path


def _outcome(scene: Scene, *, started_s: float, took_s: float) -> dict[str, Any]:
    from oadr.demo import summary

    return {
        "passed": not scene.findings,
        "findings": [{"part": finding.part, "problem": finding.problem} for finding in scene.findings],
        "startedInS": round(started_s, 2),
        "tookS": round(took_s, 2),
        "requestedKwh": round(summary.requested_kwh(scene), 3),
        "deliveredKwh": round(summary.delivered_kwh(scene), 3),
        "acks": len(scene.evidence.acks),
        "ackResponseMs": scene.response_ms(),
        "reports": len(scene.evidence.reports),
        "languages": KINDS,
        "telemetry": {name: asdict(each) for name, each in scene.deliveries.items()},
        "event": scene.status.as_json(),
    }
