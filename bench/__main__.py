"""``python -m bench``: run workloads, show what was found, write it to a file. ``scripts/bench`` calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.errors import BenchError, Unusable
from bench.page import write
from bench.report import show
from bench.runner import DatabaseKind, Options, measure
from bench.vtn import ForeignOptions
from bench.workloads import WORKLOADS

_OWN_EVENTS, _FOREIGN_EVENTS = "50,1000,100000", "50,1000"
_OWN_VENS, _FOREIGN_VENS = "10,1000,10000", "10,1000"
_REPORTS = "10000,1000000"
_PANELS = "200,1000,10000"
_FILE_WIDTH = 200


app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help=f"Workloads: {', '.join(WORKLOADS)}. Default: all.")
    ] = None,
    *,
    database: Annotated[
        DatabaseKind | None,
        typer.Option(help="Default: PostgreSQL; SQLite too for events and reports.", show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; figures are medians of them.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds of load per server and round.")] = 2.0,
    events: Annotated[
        str | None, typer.Option(help=f"Events in the store, one size after the other [{_OWN_EVENTS}].")
    ] = None,
    vens: Annotated[
        str | None, typer.Option(help=f"vens in the store, one size after the other [{_OWN_VENS}].")
    ] = None,
    reports: Annotated[
        str, typer.Option(help="Reports in the store for `search`, one size after the other.")
    ] = _REPORTS,
    panels: Annotated[str, typer.Option(help="Panels of the bridge, one number after the other.")] = _PANELS,
    out: Annotated[Path | None, typer.Option(help="Write everything to this JSON file too.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Put the tables into this Markdown page, between its marks for figures.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Another VTN's base URL, instead of starting ours.")] = None,
    bl_token: Annotated[str | None, typer.Option(envvar="BENCH_BL_TOKEN", help="For --url: of business logic.")] = None,
    ven_token: Annotated[str | None, typer.Option(envvar="BENCH_VEN_TOKEN", help="For --url: of a VEN.")] = None,
    ven_client_id: Annotated[str | None, typer.Option(help="For --url: the client id of that VEN.")] = None,
    ven_client_secret: Annotated[
        str | None, typer.Option(envvar="BENCH_VEN_CLIENT_SECRET", help="For --url: its secret, for `token`.")
    ] = None,
    pid: Annotated[int | None, typer.Option(help="For --url: the server's process, for CPU and memory.")] = None,
) -> None:
    """Measure a VTN beside bare references."""
    progress = Console(stderr=True)
    try:
        foreign = _foreign(url, bl_token, ven_token, ven_client_id, ven_client_secret, pid)
        options = Options(
            names=_known(names or list(WORKLOADS)),
            database=database,
            rounds=rounds,
            seconds=seconds,
            events=_sizes("--events", events or (_FOREIGN_EVENTS if foreign else _OWN_EVENTS)),
            vens=_sizes("--vens", vens or (_FOREIGN_VENS if foreign else _OWN_VENS)),
            reports=_sizes("--reports", reports),
            panels=_sizes("--panels", panels),
            foreign=foreign,
        )
        run = uvloop.run(measure(options, lambda line: progress.print(line, markup=False, highlight=False)))
        if out is not None:
            out.write_text(json.dumps(run.as_json(), indent=2) + "\n")
        if page is not None:
            write(run, page)
    except BenchError as error:
        progress.print(f"bench: {error}", style="red", markup=False)
        for note in getattr(error, "__notes__", ()):
            progress.print(note, markup=False, highlight=False)
        raise typer.Exit(1) from error
    show(run, Console(width=None if Console().is_terminal else _FILE_WIDTH))


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in WORKLOADS:
            raise Unusable(f"there is no workload {name}; there are {', '.join(WORKLOADS)}")
    return names


def _sizes(option: str, text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise Unusable(f"{option}: expected numbers such as 50,1000, not {text}")
    return tuple(sorted(int(part) for part in parts))


def _foreign(
    url: str | None,
    bl_token: str | None,
    ven_token: str | None,
    ven_client_id: str | None,
    ven_client_secret: str | None,
    pid: int | None,
) -> ForeignOptions | None:
    if url is None:
        return None
    if bl_token is None or ven_token is None or ven_client_id is None:
        raise Unusable("--url needs --bl-token, --ven-token and --ven-client-id")
    return ForeignOptions(url, bl_token, ven_token, ven_client_id, ven_client_secret, pid)


if __name__ == "__main__":
    app()
