"""``oadr bridge simulate``: be legacy panels on a broker, a few or ten thousand, with the faults of the real ones."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oadr.config import load
from oadr.errors import Exit, Failure, reporting
from oadr.process import lean
from oadr.process.running import run_until_stopped
from oadr.process.workers import Workers
from oadr.terminal.options import parsed_by
from oadr.terminal.output import JsonOption, show_figures, wants_json

if TYPE_CHECKING:
    from bridge_mqtt.simulators.fleet import PanelFigures, PanelPlan

_MOST: Final = 100_000
_ID: Final = "{id}"


def _panel_program(name: str) -> str:
    from bridge_mqtt.simulators.panels import MODELS

    if name not in MODELS:
        raise ValueError(f"{name!r} is none of {', '.join(MODELS)}")
    return name


def _fault(text: str) -> tuple[str, float]:
    from bridge_mqtt.simulators.faults import NAMES

    name, _, share = text.partition("=")
    if name not in NAMES:
        raise ValueError(f"{name!r} is none of {', '.join(NAMES)}")
    try:
        part = float(share) if share else 1.0
    except ValueError:
        part = -1.0
    if not 0 < part <= 1:
        raise ValueError(f"{name}: expected the share of the panels that have it, above 0 to 1, not {share!r}")
    return name, part


def _checked_fault(text: str) -> str:
    _fault(text)
    return text


def simulate(
    panel_ids: Annotated[list[str] | None, typer.Argument(metavar="PANEL...", help="Ids of the panels.")] = None,
    *,
    count: Annotated[int | None, typer.Option(help="Instead of ids: so many panels.", min=1, max=_MOST)] = None,
    prefix: Annotated[str, typer.Option(help="With --count: their ids are this and a number from 1.")] = "panel-",
    processes: Annotated[
        int | None, typer.Option(help="Processes that share them. Default: one for each core.", min=1, max=64)
    ] = None,
    over: Annotated[float, typer.Option(help="With --count: seconds over which they start.", min=0, max=3600)] = 10.0,
    broker: Annotated[str, typer.Option(metavar="URL", help="The broker they connect to.")] = "mqtt://127.0.0.1:1883",
    topic_prefix: Annotated[
        str, typer.Option(metavar="LEVELS", help="Levels before their topics, as site-7 for site-7/ven/cmd/panel-1.")
    ] = "",
    dialect: Annotated[
        list[str],
        typer.Option(
            parser=parsed_by(_panel_program),
            metavar="NAME",
            help="Their program: flat, envelope, or minimal, which only measures. Given more than once: in turn.",
        ),
    ] = ["flat"],  # noqa: B006 # typer copies it
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two samples.")] = 5.0,
    everything: Annotated[
        bool, typer.Option("--everything", help="Send what the programs send besides metering, and shadow documents.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            parser=parsed_by(_checked_fault),
            metavar="NAME[=SHARE]",
            help="A fault that this share of them has (docs/bridge.md lists them). May be given more than once.",
        ),
    ] = None,
    show_every: Annotated[float, typer.Option(help="Seconds between two lines of figures.", min=0.1, max=3600)] = 5.0,
    ca_file: Annotated[Path | None, typer.Option(help="CA of the broker, for mqtts://.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="The panels' certificate, for mqtts://; with {id} one for each panel.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, or keys.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Be simulated legacy panels on a broker until interrupted.

    Few panels are named and run in this process. Many (--count) are shared by several processes, and a line every few
    seconds says what all of them do.
    """
    with reporting():
        if bool(panel_ids) == (count is not None):
            raise Failure("expected ids of panels, or --count with a number of them", Exit.USAGE)
        own = [path is not None and _ID in str(path) for path in (certificate, key)]
        if own[0] != own[1]:
            raise Failure("expected {id} in both --certificate and --key, or in neither", Exit.USAGE)
        given: dict[str, Any] = {"url": broker, "ca_file": ca_file, "topic_prefix": topic_prefix}
        given |= {} if own[0] else {"client_certificate": certificate, "client_key": key}
        told = _told(given)
        ids = panel_ids or [f"{prefix}{number}" for number in range(1, (count or 0) + 1)]
        faults = [_fault(text) for text in fault or ()]
        plans = [
            _plan(id_, number, dialect[number % len(dialect)], faults, over / len(ids) if count else 0.0)
            | ({"certificate": _of(certificate, id_), "key": _of(key, id_)} if own[0] else {})
            for number, id_ in enumerate(ids)
        ]
        job = {"broker": told, "interval_s": every, "everything": everything}
        if count is None:
            _run_here(plans, job)
            return
        many = min(processes or os.cpu_count() or 1, len(plans))
        shares = [job | {"panels": plans[first::many], "every_s": min(show_every, 1.0)} for first in range(many)]
        _check(shares, ids)
        lean.resume_collecting()
        failed = asyncio.run(_run(shares, every_s=show_every, as_json=wants_json(as_json)))
        for name, problem in failed.items():
            typer.echo(f"{name}: {problem}", err=True)
        if failed:
            raise typer.Exit(Exit.CHECK_FAILED)


def _told(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the broker as plain values, checked."""
    from bridge_mqtt.settings import Broker

    checked = load(Broker, prefix="OADR_PANEL_", flags=given, environment={})
    return {name: value for name, value in checked.model_dump(mode="json", exclude_unset=True).items() if value}


def _plan(id_: str, number: int, program: str, faults: list[tuple[str, float]], apart_s: float) -> dict[str, Any]:
    from bridge_mqtt.simulators.fleet import has_fault
    from openadr_profiles.panel import check_panel_id

    return {
        "id": check_panel_id(id_),
        "program": program,
        "seed": number,
        "delay_s": round(number * apart_s, 4),
        "faults": [name for name, share in faults if has_fault(name, share, number)],
    }


def _of(path: Path | None, id_: str) -> str:
    return str(path).replace(_ID, id_)


def _check(shares: list[dict[str, Any]], ids: list[str]) -> None:
    """Refuse what could not connect: more panels than a process may have files."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    largest = max(len(share["panels"]) for share in shares)
    if hard != resource.RLIM_INFINITY and largest + 100 > hard:
        raise Failure(
            f"{len(ids):,} panels in {len(shares)} processes are {largest:,} connections each, and a process may have"
            f" {hard:,} open files; expected more --processes, or a higher limit (ulimit -n)",
            Exit.USAGE,
        )


def _run_here(plans: list[dict[str, Any]], job: dict[str, Any]) -> None:
    from bridge_mqtt.settings import Broker
    from bridge_mqtt.simulators.fleet import PanelFleet, PanelPlan
    from openadr_client import SystemClock

    broker = Broker.model_validate(job["broker"])
    read: list[PanelPlan] = [PanelPlan(**plan) for plan in plans]

    async def all_panels() -> None:
        fleet = PanelFleet(
            read,
            broker,
            interval_s=job["interval_s"],
            everything=job["everything"],
            clock=SystemClock(),
            is_quiet=False,
        )
        await fleet.run()

    run_until_stopped(all_panels)


async def _run(shares: list[dict[str, Any]], *, every_s: float, as_json: bool) -> dict[str, str]:
    from bridge_mqtt.simulators.fleet import PanelFigures

    sizes = [len(share["panels"]) for share in shares]
    workers = Workers(
        "oadr.panel_worker",
        shares,
        PanelFigures,
        idle=[PanelFigures(panels=size) for size in sizes],
        dead=[PanelFigures(panels=size, failed=size) for size in sizes],
        parts="panels",
        every_s=every_s,
        show=lambda after_s, total: show_figures(after_s, total, _line, as_json=as_json),
    )
    return await workers.run()


def _line(after_s: float, total: PanelFigures) -> str:
    why = "" if total.problem is None else f"; not connected: {total.problem}"
    return (
        f"{after_s:6.0f} s  {total.connected} of {total.panels} connected, {total.shedding} shed"
        f" {total.shed_kw:.1f} of {total.drawn_kw + total.shed_kw:.1f} kW, {total.samples} samples,"
        f" {total.commands} commands, {total.double_sheds} double sheds, {total.unconfirmed} unconfirmed,"
        f" {total.left_out} left out, {total.failed} failed; longest stall {total.longest_stall_s:.2f} s,"
        f" {total.rss_mb:.0f} MB{why}"
    )
