"""``oadr vtn user``: who may use the console, said on the machine of the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from oadr.__main__ import app
from oadr.errors import Exit

Run: TypeAlias = Callable[..., Result]

PASSWORD = "wind-over-the-fields-7"


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path) -> Run:
    """Runs a command on a database with empty tables."""
    file = tmp_path / "vtn.sqlite3"
    file.write_bytes(sqlite_template.read_bytes())
    return lambda *words, typed=None: CliRunner().invoke(
        app, ["vtn", "user", *words, "--database", str(file)], input=typed
    )


def _users(run: Run) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(_ran(run, "list", "--json").stdout)
    return found


def _ran(run: Run, *words: str, typed: str | None = None, code: int = 0) -> Result:
    result = run(*words, typed=typed)
    assert result.exit_code == code, result.stderr
    return result


def test_a_user_is_added_listed_changed_and_removed(run: Run, tmp_path: Path) -> None:
    """The password comes from a file or standard input, and is shown nowhere."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")

    _ran(run, "add", "anna", "--role", "admin", "--password-file", str(file))
    _ran(run, "add", "wall", "--role", "VIEWER", "--password-file", "-", typed=f"{PASSWORD}-2")
    (anna, wall) = _users(run)
    assert (anna["name"], anna["role"], anna["signs_in_with"]) == ("anna", "admin", "a password")
    assert (wall["name"], wall["role"], wall["signed_in"]) == ("wall", "viewer", None)

    _ran(run, "passwd", "wall", "--password-file", "-", typed=f"{PASSWORD}-3")
    _ran(run, "remove", "anna")
    assert [user["name"] for user in _users(run)] == ["wall"]


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (("add", "bert", "--role", "viewer", "--password-file", "-"), "short", "password: expected 12 to 1024"),
        (("add", "bert", "--role", "viewer", "--password-file", "-"), "aaaaaaaaaaaaaa", "4 different characters"),
        (("add", "bert-the-first", "--role", "viewer", "--password-file", "-"), "Bert-The-First1", "than the name"),
        (("add", "bert bad", "--role", "viewer", "--password-file", "-"), PASSWORD, "name: expected 1 to 128 letters"),
        (("passwd", "nobody", "--password-file", "-"), PASSWORD, "there is no user nobody"),
        (("remove", "nobody"), None, "there is no user nobody"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, words: tuple[str, ...], typed: str | None, said: str) -> None:
    """One line names the member, the problem and what was expected."""
    result = _ran(run, *words, typed=typed, code=Exit.REFUSED)

    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert _users(run) == []


def test_a_name_is_taken_once(run: Run) -> None:
    """The user that there is keeps the password."""
    _ran(run, "add", "anna", "--role", "admin", "--password-file", "-", typed=PASSWORD)
    again = _ran(run, "add", "anna", "--role", "viewer", "--password-file", "-", typed=PASSWORD, code=Exit.REFUSED)

    assert "there already is a user anna" in again.stderr
    assert _users(run)[0]["role"] == "admin"


def test_without_terminal_and_file_nobody_is_asked(run: Run) -> None:
    """A script is told the option."""
    assert "--password-file" in _ran(run, "add", "anna", "--role", "admin", code=Exit.USAGE).stderr
