"""Runs the demo on a pseudo-terminal and saves the screen it leaves as SVG. Called by ``scripts/picture``."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH, HEIGHT = 96, 29
TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "demo.svg"
MOST_BYTES = 200_000
SPACE = "&#160;"
CELL_WIDTH = 12.2
PADDED = re.compile(
    r'x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="(?P<length>[\d.]+)"(?P<rest>[^>]*)>'
    r"(?P<spaces>(?:&#160;)+)(?=[^<&]|&[^#])"
)
LEAVES_FULL_SCREEN = "\x1b[?1049l"


def record(*options: str) -> str:
    """Run the demo to its end on a terminal of its own; everything it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "LINES", "COLUMNS"}}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(  # noqa: S603 # our own program
        [sys.executable, "-m", "oadr", "demo", "--check", *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    written = bytearray()
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the program has gone
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    if code := process.wait():
        sys.exit(f"the demo ended with {code}:\n{written[-2000:].decode(errors='replace')}")
    return written.decode()


def picture(screen: str) -> str:
    """Draw lines with terminal colours as SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in screen.replace("\r", "").strip("\n").split("\n"):
        console.print(Text.from_ansi(line), no_wrap=True, overflow="crop")
    svg = console.export_svg(title="scripts/demo", theme=MONOKAI, unique_id="demo")
    # A picture in a README fetches no fonts.
    head, _, rest = svg.partition("@font-face")
    svg = head + rest[rest.index(".demo-matrix") :] if rest else svg
    return PADDED.sub(_without_padding, svg)


def _without_padding(text: re.Match[str]) -> str:
    """Move a text that begins with spaces to its first letter: some programs draw such spaces and some do not."""
    spaces = len(text["spaces"]) // len(SPACE)
    x, length = (float(text[name]) for name in ("x", "length"))
    moved, left = x + spaces * CELL_WIDTH, length - spaces * CELL_WIDTH
    return f'x="{moved:g}" y="{text["y"]}" textLength="{left:g}"{text["rest"]}>'


def main() -> None:
    """Write the picture."""
    _, left, screen = record(*sys.argv[1:]).rpartition(LEAVES_FULL_SCREEN)
    if not left:
        sys.exit("the demo showed no full screen")
    svg = picture(screen.replace("\x1b[?25h", ""))
    if len(svg.encode()) > MOST_BYTES:
        sys.exit(f"the picture has {len(svg.encode())} bytes, more than {MOST_BYTES}")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(svg, encoding="utf-8")
    print(f"{TARGET}: {len(svg.encode())} bytes")


if __name__ == "__main__":
    main()
