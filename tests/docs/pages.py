"""Reads the documentation: its pages, and the commands of this project that they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SEPARATORS = frozenset(";|&()<>")


class Command(NamedTuple):
    """One call of `oadr` as a page shows it."""

    page: str
    words: tuple[str, ...]
    """Words after `oadr`."""

    def __str__(self) -> str:
        return f"{self.page}: oadr {' '.join(self.words)}"


def pages() -> list[Path]:
    """List the pages for users and contributors."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def commands_in_blocks(page: Path) -> Iterator[Command]:
    """Give the calls in code blocks, which a reader copies as they stand."""
    for language, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language not in {"", "sh"}:
            continue
        for line in re.sub(r"\\\n", " ", block).splitlines():
            yield from commands_in_line(page.relative_to(ROOT).as_posix(), line)


def commands_in_line(page: str, line: str) -> Iterator[Command]:
    """Give the calls in one line of shell: `sudo -u openadr oadr vtn run; curl ...` has one."""
    if not re.search(r"(^|[\s/])oadr\s", line):
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= _SEPARATORS:
            words.append(word)
            continue
        called = next((index for index, name in enumerate(words) if name.rpartition("/")[2] == "oadr"), None)
        if called is not None and all("=" in name or name in _BEFORE for name in words[:called]):
            yield Command(page, tuple(words[called + 1 :]))
        words = []


_BEFORE = frozenset({"sudo", "-u", "openadr", "env", "exec"})


def inline_commands(page: Path) -> Iterator[Command]:
    """Give the calls in running text and tables, where `[FILE]` and `suspend|resume` are notation."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8")).replace("\\|", "|")
    for span in re.findall(r"`oadr ([^`]+)`", text):
        yield Command(page.relative_to(ROOT).as_posix(), tuple(span.split()))
