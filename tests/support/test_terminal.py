"""The terminal that other tests rely on."""

import os
import pty

import pytest

from tests.support.terminal import open_terminal


def test_a_system_without_terminals_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have no devpts."""

    def none() -> tuple[int, int]:
        raise OSError("out of pty devices")

    monkeypatch.setattr(pty, "openpty", none)

    with pytest.raises(RuntimeError, match=r"out of pty devices.*mount -t devpts"):
        open_terminal()


def test_a_program_is_connected_to_a_terminal() -> None:
    """The output of the program can be read."""
    ours, theirs = open_terminal()
    try:
        assert os.isatty(theirs)
        os.write(theirs, b"x")
        assert os.read(ours, 10) == b"x"
    finally:
        os.close(ours)
        os.close(theirs)
