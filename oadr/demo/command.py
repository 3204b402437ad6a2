"""``oadr demo``: shows the story on a terminal, or judges it without one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from oadr import logs
from oadr.errors import Exit, Failure, reporting
from oadr.output import JsonOption, show_json, wants_json
from oadr.quantities import length
from oadr.running import Interrupted, run_interruptibly

if TYPE_CHECKING:
    from oadr.demo.fleet import Fleet
    from oadr.demo.story import Scene

app = typer.Typer(add_completion=False)

_LEAST_S = 15
_LAST_LINES = 20


@app.command()
def demo(
    *,
    speed: Annotated[float, typer.Option(min=1, max=600, help="How many seconds pass in one.")] = 60,
    for_: Annotated[
        timedelta, typer.Option("--for", parser=length, metavar="TIME", help="How long to watch at most, as 30s.")
    ] = "60s",  # type: ignore[assignment] # defaults pass through the parser
    check: Annotated[
        bool, typer.Option("--check", help="Judge the run: exit code 7, and the part, if anything is wrong.")
    ] = False,
    tls: Annotated[bool, typer.Option("--tls", help="VTN and broker with certificates of the demo's own CA.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a whole fleet on this machine and one event: VTN, broker, bridge, 3 legacy panels and 3 homes.

    Everything is real but the circuits. The data is in a temporary folder that is removed at the end.
    """
    with reporting():
        seconds = for_.total_seconds()
        if seconds < _LEAST_S:
            raise typer.BadParameter(f"a run needs at least {_LEAST_S}s", param_hint="--for")
        as_json = wants_json(as_json)
        console = Console(stderr=as_json)
        with _place(console) as folder:
            outcome = run_interruptibly(
                lambda: _play(folder, console, speed=speed, for_s=seconds, tls=tls, live=not as_json)
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


async def _play(folder: Path, console: Console, *, speed: float, for_s: float, tls: bool, live: bool) -> dict[str, Any]:
    from oadr.demo.fleet import Fleet
    from oadr.demo.pace import Pace
    from oadr.demo.story import tell
    from ven.clock import ScaledClock

    began = time.monotonic()
    scene: Scene | None = None
    async with Fleet(folder, clock=ScaledClock(speed), pace=Pace(speed), tls=tls) as fleet:
        started_s = time.monotonic() - began
        _introduce(console, fleet, speed=speed, started_s=started_s)
        with Live(console=console, auto_refresh=False, transient=True) if live else _nothing() as screen:
            async for scene in tell(fleet, for_s=for_s - started_s):
                if screen is not None:
                    screen.update(_picture(scene, all_circuits=False), refresh=True)
    if scene is None:
        raise Failure("the demo showed nothing", Exit.UNEXPECTED)
    outcome = _outcome(scene, started_s=started_s, took_s=time.monotonic() - began)
    if live:
        _summarise(console, scene, outcome)
    return outcome


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _introduce(console: Console, fleet: Fleet, *, speed: float, started_s: float) -> None:
    from oadr.demo.fleet import BUSINESS_LOGIC

    who = fleet.credentials[BUSINESS_LOGIC]
    console.print(f"Started in {started_s:.1f} s; one second shows {speed:g} s. Ctrl-C stops all and removes the data.")
    console.print(f"VTN     {fleet.vtn_url}\nBridge  {fleet.bridge_url}/api/panels\nData    {fleet.folder}")
    console.print("To look around with oadr event, report, vens while it runs:", markup=False)
    variables = {"URL": fleet.vtn_url, "CLIENT_ID": who.client_id, "CLIENT_SECRET": who.secret}
    if fleet.certificates:
        variables["CA_FILE"] = str(fleet.certificates.ca)
    exports = " ".join(f"OADR_BL_{name}={value}" for name, value in variables.items())
    console.print(f"  export {exports}", soft_wrap=True, highlight=False)


def _picture(scene: Scene, *, all_circuits: bool) -> Group:
    from oadr.status_view import status_tables

    return Group(*status_tables(scene.status, all_circuits=all_circuits), _acknowledgments(scene))


def _acknowledgments(scene: Scene) -> Table:
    table = Table(header_style="bold", pad_edge=False, box=SIMPLE_HEAD)
    for heading in ("Panel", "Command", "State", "ms", "Shed kW", "correlationId"):
        table.add_column(heading, justify="right" if heading in {"ms", "Shed kW"} else "left", no_wrap=True)
    for panel, commands in scene.evidence.commands.items():
        for command in commands:
            took, shed = command["responseMs"], command["actualShedKw"]
            table.add_row(
                panel,
                command["op"],
                command["state"],
                "-" if took is None else str(took),
                "-" if shed is None else f"{shed:.2f}",
                command["correlationId"],
            )
    return table


def _outcome(scene: Scene, *, started_s: float, took_s: float) -> dict[str, Any]:
    participants = scene.status.participants
    return {
        "passed": not scene.findings,
        "findings": [{"part": finding.part, "problem": finding.problem} for finding in scene.findings],
        "startedInS": round(started_s, 2),
        "tookS": round(took_s, 2),
        "requestedKwh": float(sum(one.requested_kwh for one in participants)),
        "deliveredKwh": float(sum(one.delivered_kwh for one in participants)),
        "acks": len(scene.evidence.acks),
        "ackResponseMs": scene.response_ms(),
        "reports": len(scene.evidence.reports),
        "event": scene.status.as_json(),
    }


def _summarise(console: Console, scene: Scene, outcome: dict[str, Any]) -> None:
    console.print(_picture(scene, all_circuits=True))
    console.print(
        f"Delivered {outcome['deliveredKwh']:.2f} kWh of {outcome['requestedKwh']:.2f} kWh asked for; "
        f"{outcome['acks']} acknowledgments and {outcome['reports']} reports stored."
    )
    if times := outcome["ackResponseMs"]:
        console.print(
            f"Acknowledgments took {times['min']:.0f} to {times['max']:.0f} ms, {times['median']:.0f} ms in the middle."
        )
    for finding in outcome["findings"]:
        console.print(f"{finding['part']}: {finding['problem']}", style="red", markup=False)
    if not outcome["findings"]:
        console.print("Every part did what it should.", style="green")
