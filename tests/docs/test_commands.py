"""Every command that the documentation shows is one that the program has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer import Exit
from typer.main import get_command
from typer.testing import CliRunner

from oadr.__main__ import app
from tests.docs.pages import Command, commands_in_blocks, commands_in_line, inline_commands, pages

PRESENT = [page for page in pages() if page.name != "CHANGELOG.md"]  # may name commands of the past
IN_BLOCKS = [command for page in PRESENT for command in commands_in_blocks(page)]
INLINE = [command for page in PRESENT for command in inline_commands(page)]


def parse(command: Command) -> None:
    """Parse as `oadr` would, without running anything; raises click's UsageError."""
    group: Any = get_command(app)
    try:
        context = group.make_context("oadr", list(command.words))
    except Exit:  # `oadr --version` is done here
        return
    while hasattr(group, "resolve_command"):
        words = [*context._protected_args, *context.args]
        if not words and group.invoke_without_command:
            return
        name, group, rest = group.resolve_command(context, words)
        context = group.make_context(name, rest, parent=context)


@pytest.mark.parametrize("command", IN_BLOCKS, ids=str)
def test_a_command_in_a_code_block_parses(command: Command) -> None:
    """A reader can copy it: its options exist, required ones are there, values have the right form."""
    parse(command)


@pytest.mark.parametrize("command", INLINE, ids=str)
def test_a_command_in_the_text_exists(command: Command) -> None:
    """Its words are commands of the program, and its options are options of that command."""
    group: Any = get_command(app)
    words = iter(command.words)
    for word in words:
        if word.startswith(("-", "[-")):
            name = word.strip("[]").partition("=")[0]
            option = next((each for each in group.params if name in each.opts), None)
            assert option is not None or name == "--help", f"{command}: no option {name}"
            if option is not None and not option.is_flag:
                next(words, None)
        elif hasattr(group, "list_commands"):
            if word == "...":
                break
            found = [group.get_command(None, name) for name in word.split("|")]
            assert all(found), f"{command}: no command {word}"
            group = found[0]


def test_pages_show_commands() -> None:
    """The two tests above look at something: each area of the program is shown somewhere."""
    assert {"vtn", "ven", "bridge", "event", "vens", "cert", "conformance"} <= {each.words[0] for each in IN_BLOCKS}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("oadr vens list   # who is there", ["vens list"]),
        ("A=1 oadr vens list; oadr vtn run > log", ["vens list", "vtn run"]),
        ("sudo -u openadr env A=b /opt/openadr/bin/oadr vtn migrate", ["vtn migrate"]),
        ("cd oadr src", []),
        ('oadr event create --name "two words"', ["event create --name two words"]),
    ],
)
def test_commands_are_found_in_a_line(line: str, found: list[str]) -> None:
    """Comments, variables, other programs and separators are told apart from the call."""
    assert [" ".join(command.words) for command in commands_in_line("page", line)] == found


def test_every_area_is_listed_in_the_help() -> None:
    """The commands of the page of commands are those of the program."""
    answer = CliRunner().invoke(app, ["--help"])
    shown = set(re.findall(r"^[ │]+(\w+)  ", answer.output, re.MULTILINE))
    text = next(page for page in pages() if page.name == "cli.md").read_text(encoding="utf-8")
    areas = set(get_command(app).list_commands(None))  # type: ignore[attr-defined]

    assert areas <= shown
    assert [area for area in sorted(areas) if f"oadr {area}" not in text] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_page_installs_from_an_index(page: Path) -> None:
    """There is no release yet: `pip install openadr-fleet` would find nothing, or somebody else's package."""
    assert re.findall(r"pip install[^\n]*\bopenadr-fleet", page.read_text(encoding="utf-8")) == []
