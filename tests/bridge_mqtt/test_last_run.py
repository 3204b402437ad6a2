"""Take back a lease: only one that the process before noted last, and only once that process is gone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge_mqtt.last_run import LastRun

URL = "postgresql+asyncpg://bridge:password@db.example/openadr"
UNTIL = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def begun(folder: Path, client_id: str = "north", url: str = URL) -> LastRun:
    """A run of this name that begins now."""
    run = LastRun(url, client_id, folder=folder)
    run.begin()
    return run


def killed(run: LastRun) -> None:
    """End a run as the operating system does with a process that is killed."""
    assert run._fd is not None
    os.close(run._fd)
    run._fd = None


def test_the_lease_of_a_process_that_is_gone_is_known_and_no_other(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.note(UNTIL - timedelta(seconds=2))
    first.note(UNTIL)
    killed(first)
    next_one = begun(tmp_path)
    assert next_one.left(UNTIL)
    assert not next_one.left(UNTIL + timedelta(microseconds=1)), "another host has renewed it since"


def test_while_the_process_lives_nothing_is_left(tmp_path: Path) -> None:
    """One that is stopped lives, too: its lock stays."""
    first = begun(tmp_path)
    first.note(UNTIL)
    second = begun(tmp_path)
    assert not second.left(UNTIL)
    second.note(UNTIL + timedelta(seconds=2))
    second.end()
    killed(first)
    assert begun(tmp_path).left(UNTIL)


def test_a_run_that_ends_in_order_leaves_nothing(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.note(UNTIL)
    first.end()
    assert list(tmp_path.iterdir()) == []
    assert not begun(tmp_path).left(UNTIL)


@pytest.mark.parametrize(("client_id", "url"), [("south", URL), ("north", f"{URL}2"), ("north", "sqlite:///north.db")])
def test_other_names_and_databases_are_others(tmp_path: Path, client_id: str, url: str) -> None:
    first = begun(tmp_path)
    first.note(UNTIL)
    killed(first)
    assert not begun(tmp_path, client_id, url).left(UNTIL)


def test_a_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    """Nor is a link followed; the bridge then waits, as it does on another host."""
    path = LastRun(URL, "north", folder=tmp_path).path
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(UNTIL.isoformat().encode().ljust(64))
    path.symlink_to(elsewhere)
    run = begun(tmp_path)
    run.note(UNTIL)
    assert not run.left(UNTIL)
    run.end()
    assert path.is_symlink()
    assert LastRun(URL, "north", folder=tmp_path / "none").left(UNTIL) is False
