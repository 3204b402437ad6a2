"""Shows a run while it goes on: a full screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from oadr.demo.layout import Look, screen, summary
from oadr.demo.view import DemoView
from oadr.process.running import cancel

_PAINT_EVERY_S: Final = 0.2
_LINES_WIDTH: Final = 100


class Painter(Protocol):
    """Shows one view after the other."""

    def paint(self, view: DemoView) -> None:
        """Show how things are now."""
        ...


class FullScreen:
    """A screen of its own on a terminal; what was there before comes back at the end."""

    def __init__(self, live: Live, console: Console, look: Look) -> None:
        self._live = live
        self._console = console
        self._look = look

    def paint(self, view: DemoView) -> None:
        """Draw everything anew, as large as the terminal is now."""
        width, height = self._console.size
        self._live.update(block(screen(view, width, height, self._look)), refresh=True)


class PlainLines:
    """One line for whatever happens: for a pipe, a log, or a terminal that cannot move its cursor."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0

    def paint(self, view: DemoView) -> None:
        """Print the news since the last time."""
        for line in view.news[self._told :]:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._told = len(view.news)


def look_of(console: Console) -> Look:
    """Find out what a terminal can show; characters that it cannot show never end the run."""
    look = Look.of(console.encoding, colour=console.color_system is not None and not console.no_color)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    return look


def is_screen(console: Console) -> bool:
    """Return True if a full screen can be shown."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def painter(console: Console, look: Look) -> Iterator[Painter]:
    """Give the way of showing that fits where the output goes."""
    if not is_screen(console):
        yield PlainLines(console)
        return
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        yield FullScreen(live, console, look)


@asynccontextmanager
async def painting(to: Painter, view: Callable[[], DemoView]) -> AsyncIterator[None]:
    """Show the present view again and again while entered, and once more at the end."""

    async def paint() -> None:
        while True:
            to.paint(view())
            await asyncio.sleep(_PAINT_EVERY_S)

    task = asyncio.create_task(paint(), name="painter")
    try:
        yield
    finally:
        await cancel([task])
    if not task.cancelled():
        task.result()
    to.paint(view())


def show_end(console: Console, view: DemoView, look: Look) -> None:
    """Print the last screen so that it stays; without a terminal, the table and the verdict."""
    if is_screen(console):
        width, height = console.size
        lines = screen(view, width, height - 1, look)
    else:
        lines = summary(view, _LINES_WIDTH, look)
    console.print(block(lines), soft_wrap=not is_screen(console))


def block(lines: list[Text]) -> Group:
    """Join lines into one thing to print, each on a line of its own."""
    for line in lines:
        line.no_wrap = True
        line.overflow = "crop"
    return Group(*lines)
