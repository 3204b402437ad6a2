"""``oadr ven fleet``: many VENs with simulated houses, in a few processes, to try a VTN with."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import sys
from collections.abc import Awaitable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oadr.commands.ven.sample_house import sample_circuits
from oadr.errors import Exit, Failure, reporting
from oadr.join_line import LONGEST, BadJoinLine, JoinLine
from oadr.process import lean
from oadr.terminal.output import JsonOption, show_json_line, wants_json

if TYPE_CHECKING:
    from ven.fleet import FleetFigures

_MOST: Final = 10_000
_END_WITHIN_S: Final = 60.0
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LONGEST_FIGURES: Final = 1 << 20


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
        failed = asyncio.run(Processes(shares, every_s=every, as_json=wants_json(as_json)).run())
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


class Processes:
    """Run the processes of a fleet until interrupted, and print what all of them do together."""

    def __init__(self, shares: list[dict[str, Any]], *, every_s: float, as_json: bool) -> None:
        from ven.fleet import FleetFigures

        self._shares = shares
        self._every_s = every_s
        self._as_json = as_json
        self._figures = [FleetFigures(vens=len(share["homes"])) for share in shares]
        self._stall_s = 0.0
        self._failed: dict[str, str] = {}

    async def run(self) -> dict[str, str]:
        """Return which VENs or processes have failed, and why, once all have ended in order."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        began = loop.time()
        ended = asyncio.gather(*(self._process(place, stopped) for place in range(len(self._shares))))
        while not (ended.done() or stopped.is_set()):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await _first_of(stopped.wait(), asyncio.shield(ended))
            self._show(loop.time() - began)
        stopped.set()
        await ended
        self._show(loop.time() - began)
        total = self._total()
        more = {"others": f"{total.failed - len(total.named)} more"} if total.failed > len(total.named) else {}
        return total.named | more | self._failed

    async def _process(self, place: int, stopped: asyncio.Event) -> None:
        import logging

        import structlog

        from ven.fleet import FleetFigures

        level = logging.getLevelName(max(structlog.get_logger().get_effective_level(), logging.WARNING)).lower()
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "oadr.ven_worker", level),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_FIGURES,
            start_new_session=True,  # Ctrl-C is for us: we have it end in order
        )
        assert child.stdin is not None  # noqa: S101 # both are pipes
        assert child.stdout is not None  # noqa: S101
        child.stdin.write(json.dumps(self._shares[place]).encode() + b"\n")
        reading = asyncio.create_task(self._read(place, child.stdout))
        with suppress(OSError):
            await child.stdin.drain()
        await _first_of(stopped.wait(), asyncio.shield(reading))
        if not stopped.is_set():
            self._failed[f"process {place + 1}"] = "has ended by itself, and all its VENs with it"
            vens = len(self._shares[place]["homes"])
            self._figures[place] = FleetFigures(vens=vens, failed=vens)
            typer.echo(f"oadr: process {place + 1} has ended by itself, and its {vens} VENs with it", err=True)
        child.stdin.close()
        try:
            async with asyncio.timeout(_END_WITHIN_S):
                await reading
                code = await child.wait()
        except TimeoutError:
            child.kill()
            code = await child.wait()
        if code != 0:
            self._failed.setdefault(f"process {place + 1}", f"has ended with {code}")

    async def _read(self, place: int, stream: asyncio.StreamReader) -> None:
        import msgspec

        from ven.fleet import FleetFigures

        async for line in stream:
            self._figures[place] = figures = msgspec.json.decode(line, type=FleetFigures)
            self._stall_s = max(self._stall_s, figures.longest_stall_s)

    def _total(self) -> FleetFigures:
        first, *others = self._figures
        for each in others:
            first += each
        return first

    def _show(self, after_s: float) -> None:
        import msgspec

        total = msgspec.structs.replace(self._total(), longest_stall_s=self._stall_s)
        self._stall_s = 0.0
        if self._as_json:
            show_json_line({"after_s": round(after_s, 1), **msgspec.structs.asdict(total)})
            sys.stdout.flush()
            return
        typer.echo(
            f"{after_s:6.0f} s  {total.registered} of {total.vens} registered, {total.in_events} in events,"
            f" {total.limited} limited, {total.drawn_kw:.1f} kW drawn, {total.shed_kw:.1f} kW shed,"
            f" {total.problems} problems, {total.failed} failed;"
            f" longest stall {total.longest_stall_s:.2f} s, {total.rss_mb:.0f} MB"
        )


async def _first_of(*awaited: Awaitable[object]) -> None:
    """Return when one of these has ended, and cancel the others."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
