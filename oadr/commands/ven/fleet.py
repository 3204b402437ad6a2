"""``oadr ven fleet``: many VENs with simulated houses, in a few processes, to try a VTN with."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oadr.commands.ven.sample_house import sample_circuits
from oadr.errors import Exit, Failure, reporting
from oadr.process import lean
from oadr.process.workers import Workers
from oadr.terminal.output import JsonOption, show_figures, wants_json
from openadr_profiles.join_line import LONGEST, BadJoinLine, JoinLine

if TYPE_CHECKING:
    from ven.fleet import FleetFigures

_MOST: Final = 10_000
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def fleet(
    lines: Annotated[
        Path, typer.Argument(metavar="FILE", help="Join lines, one a line, as oadr vtn client add-many writes them.")
    ],
    *,
    count: Annotated[
        int | None, typer.Option(help="So many of them, the first in the file. Default: all.", min=1, max=_MOST)
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where their state files are kept.")] = Path("fleet"),
    processes: Annotated[
        int | None, typer.Option(help="Processes that share them. Default: one for each core.", min=1, max=64)
    ] = None,
    over: Annotated[float, typer.Option(help="Seconds over which they start.", min=0, max=3600)] = 10.0,
    every: Annotated[float, typer.Option(help="Seconds between two lines of figures.", min=0.1, max=3600)] = 5.0,
    poll_s: Annotated[float, typer.Option(help="Seconds between two looks at the VTN.", min=1, max=86400)] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Run many VENs with simulated houses until interrupted, and show every few seconds what they do.

    One that fails stops no other; the command then exits with 7.
    """
    with reporting():
        told = _read(lines, count)
        homes = _homes(told, folder.absolute(), poll_s=poll_s)
        shares = _shares(homes, min(processes or os.cpu_count() or 1, len(homes)), over_s=over, every_s=every)
        lean.resume_collecting()
        failed = asyncio.run(_run(shares, every_s=every, as_json=wants_json(as_json)))
        for name, problem in failed.items():
            typer.echo(f"{name}: {problem}", err=True)
        if failed:
            raise typer.Exit(Exit.CHECK_FAILED)


def _read(file: Path, count: int | None) -> list[JoinLine]:
    most = _MOST * (LONGEST + 2)
    try:
        with file.open("rb") as opened:
            raw = opened.read(most + 1)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}", Exit.USAGE) from None
    texts = [text for text in raw.decode("utf-8", errors="replace").splitlines() if text.strip()]
    if len(raw) > most or len(texts) > _MOST or len(texts) < (count or 1):
        raise Failure(f"{file} has {len(texts):,} join lines; expected {count or 1:,} to {_MOST:,}", Exit.USAGE)
    found: dict[str, JoinLine] = {}
    for number, text in enumerate(texts[:count], start=1):
        try:
            told = JoinLine.decode(text)
        except BadJoinLine as error:
            raise Failure(f"{file}, line {number}: {error}", Exit.USAGE) from None
        if told.ven_name in found:
            raise Failure(f"{file}, line {number}: {told.ven_name} is there already; expected each once", Exit.USAGE)
        found[told.ven_name] = told
    return list(found.values())


def _homes(told: list[JoinLine], folder: Path, *, poll_s: float) -> list[dict[str, Any]]:
    """Return the settings of each VEN; certificates of authorities are put into the folder."""
    circuits = sample_circuits()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authorities = {each.ca: _authority(folder, each.ca) for each in told if each.ca is not None}
    except OSError as error:
        raise Failure(f"{folder} cannot be used: {error.strerror}", Exit.USAGE) from None
    homes = []
    for each in told:
        plain = _PLAIN_NAME.fullmatch(each.ven_name)
        stem = each.ven_name if plain else sha256(each.ven_name.encode()).hexdigest()[:32]
        seed = int.from_bytes(sha256(each.ven_name.encode()).digest()[:4])
        vtn = {"url": each.url, "client_id": each.client_id, "client_secret": each.client_secret}
        homes.append(
            {
                "vtn": vtn
                | {"token_url": each.token_url, "ca_file": None if each.ca is None else authorities[each.ca]},
                "ven_name": each.ven_name,
                "store": str(folder / f"{stem}.sqlite3"),
                "driver": {"options": {"seed": seed, "state_file": str(folder / f"{stem}-panel.json")}},
                "circuits": circuits,
                "poll_s": poll_s,
            }
        )
    return homes


def _authority(folder: Path, der: bytes) -> str:
    file = folder / f"ca-{sha256(der).hexdigest()[:16]}.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(der), encoding="ascii")
    return str(file)


def _shares(homes: list[dict[str, Any]], processes: int, *, over_s: float, every_s: float) -> list[dict[str, Any]]:
    """Share the VENs out; those of a process start evenly over the whole time."""
    delays_s = [over_s * place / len(homes) for place in range(len(homes))]
    return [
        {"homes": homes[first::processes], "delays_s": delays_s[first::processes], "every_s": min(every_s, 1.0)}
        for first in range(processes)
    ]


def _line(after_s: float, total: FleetFigures) -> str:
    return (
        f"{after_s:6.0f} s  {total.registered} of {total.vens} registered, {total.in_events} in events,"
        f" {total.limited} limited, {total.drawn_kw:.1f} kW drawn, {total.shed_kw:.1f} kW shed,"
        f" {total.problems} problems, {total.failed} failed;"
        f" longest stall {total.longest_stall_s:.2f} s, {total.rss_mb:.0f} MB"
    )


async def _run(shares: list[dict[str, Any]], *, every_s: float, as_json: bool) -> dict[str, str]:
    from ven.fleet import FleetFigures

    sizes = [len(share["homes"]) for share in shares]
    workers = Workers(
        "oadr.ven_worker",
        shares,
        FleetFigures,
        idle=[FleetFigures(vens=size) for size in sizes],
        dead=[FleetFigures(vens=size, failed=size) for size in sizes],
        parts="VENs",
        every_s=every_s,
        show=lambda after_s, total: show_figures(after_s, total, _line, as_json=as_json),
    )
    return await workers.run()
