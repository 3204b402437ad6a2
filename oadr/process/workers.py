"""Share work out over processes of our own, add up what they say they do, and end them in order."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, Protocol, Self, TypeVar

import typer

_END_WITHIN_S: Final = 60.0
_LONGEST_FIGURES: Final = 1 << 20


class Figures(Protocol):
    """The figures of one process, or of several added up; a msgspec struct."""

    @property
    def failed(self) -> int:
        """Return how many of its parts have ended by themselves."""
        ...

    @property
    def named(self) -> dict[str, str]:
        """Return why, for the first of them."""
        ...

    @property
    def longest_stall_s(self) -> float:
        """Return the longest time for which its loop was late since the last figures, in s."""
        ...

    def __add__(self, other: Self, /) -> Self: ...


F = TypeVar("F", bound=Figures)


class Workers(Generic[F]):
    """Run processes until interrupted, and show what all of them do together.

    Each is ``python -m MODULE LEVEL``, reads its share as a line of JSON and writes ``kind`` as lines of JSON.
    ``idle`` are the figures of each before it has said anything, ``dead`` those once it has ended by itself; ``parts``
    are what a share has, as "VENs". ``show`` is called with the seconds since the start and the sum.
    """

    def __init__(
        self,
        module: str,
        shares: Sequence[dict[str, Any]],
        kind: type[F],
        *,
        idle: Sequence[F],
        dead: Sequence[F],
        parts: str,
        every_s: float,
        show: Callable[[float, F], None],
    ) -> None:
        self._module = module
        self._shares = shares
        self._kind = kind
        self._figures = list(idle)
        self._dead = dead
        self._parts = parts
        self._every_s = every_s
        self._print = show
        self._stall_s = 0.0
        self._failed: dict[str, str] = {}

    async def run(self) -> dict[str, str]:
        """Return which parts or processes have failed, and why, once all have ended in order."""
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

        level = logging.getLevelName(max(structlog.get_logger().get_effective_level(), logging.WARNING)).lower()
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module, level),
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
            parts = f"all its {self._parts} with it"
            self._failed[f"process {place + 1}"] = f"has ended by itself, and {parts}"
            self._figures[place] = dead = self._dead[place]
            many = f"its {dead.failed} {self._parts} with it"
            typer.echo(f"oadr: process {place + 1} has ended by itself, and {many}", err=True)
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

        async for line in stream:
            self._figures[place] = figures = msgspec.json.decode(line, type=self._kind)
            self._stall_s = max(self._stall_s, figures.longest_stall_s)

    def _total(self) -> F:
        first, *others = self._figures
        for each in others:
            first += each
        return first

    def _show(self, after_s: float) -> None:
        import msgspec

        total: Any = self._total()  # of a struct, which a protocol cannot say
        stall_s, self._stall_s = self._stall_s, 0.0
        self._print(after_s, msgspec.structs.replace(total, longest_stall_s=stall_s))


async def _first_of(*awaited: Awaitable[object]) -> None:
    """Return when one of these has ended, and cancel the others."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
