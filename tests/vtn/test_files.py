"""Files that hold secrets are for their owner only, from their first byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn import files


@pytest.fixture
def careless() -> Iterator[None]:
    """A user whose new files everybody may read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path) -> dict[str, int]:
    """The modes of the files in a folder."""
    return {path.name: mode(path) for path in folder.iterdir()}


def give_away(folder: Path) -> None:
    """Let everybody read the files in a folder."""
    for path in folder.iterdir():
        path.chmod(0o644)


@pytest.mark.usefixtures("careless")
async def test_the_files_of_sqlite_are_their_owners_only(tmp_path: Path) -> None:
    """The database, its log and its index hold keys, hashes and readings."""
    vtn = VtnUnderTest(settings_for(f"sqlite:///{tmp_path / 'vtn.sqlite3'}"))
    await vtn.start()
    await vtn.bl.program()

    found = modes(tmp_path)
    assert {"vtn.sqlite3", "vtn.sqlite3-wal", "vtn.sqlite3-shm"} <= found.keys()
    assert set(found.values()) == {0o600}, found
    await vtn.stop()


@pytest.mark.usefixtures("careless")
async def test_a_database_that_others_could_read_is_closed_to_them_with_a_warning(tmp_path: Path) -> None:
    """Earlier versions left it to the umask."""
    path = tmp_path / "vtn.sqlite3"
    first = VtnUnderTest(settings_for(f"sqlite:///{path}"))
    await first.start()
    give_away(tmp_path)

    with structlog.testing.capture_logs() as logs:
        second = VtnUnderTest(settings_for(f"sqlite:///{path}"))
        await second.start()

    assert [one["log_level"] for one in logs if "other users could read the database" in one["event"]] == ["warning"]
    assert {mode for name, mode in modes(tmp_path).items() if not name.endswith(("-revisions", ".key"))} == {0o600}
    await second.stop()
    await first.stop()


@pytest.mark.usefixtures("careless")
def test_a_new_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """Nothing is left of one that could not be written to its end."""
    with files.new_file(tmp_path / "whole") as file:
        file.write(b"all of it")
        (unfinished,) = tmp_path.iterdir()
        assert mode(unfinished) == 0o600
    assert (tmp_path / "whole").read_bytes() == b"all of it"
    assert mode(tmp_path / "whole") == 0o600

    with pytest.raises(ZeroDivisionError), files.new_file(tmp_path / "half"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("there", ["file", "link", "broken link"])
def test_a_name_that_is_taken_stays_as_it_is(tmp_path: Path, there: str) -> None:
    """A planted link does not lead us to another file."""
    other, target = tmp_path / "other", tmp_path / "target"
    if there != "broken link":
        other.write_text("of somebody else")
    if there == "file":
        other.rename(target)
    else:
        target.symlink_to(other)

    with pytest.raises(FileExistsError), files.new_file(target) as file:
        file.write(b"ours")
    if there == "broken link":
        assert not other.exists()
    else:
        assert target.read_text() == "of somebody else"
