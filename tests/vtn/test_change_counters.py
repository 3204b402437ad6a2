"""The board on which the processes of a host tell each other of changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vtn.counters.counters import ChangeCounters
from vtn.errors import CountersUnusable

TABLES = ("events", "programs")

_DIES_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from vtn.counters.counters import ChangeCounters
board = ChangeCounters(Path(sys.argv[1]), ("events", "programs"))
board.begin("events")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_write_shows_to_every_process_once_it_has_ended(tmp_path: Path) -> None:
    """ETAG-003: the revision of its table moves, and of no other."""
    writer, other = ChangeCounters(tmp_path / "board", TABLES), ChangeCounters(tmp_path / "board", TABLES)
    events, programs = other.place("events"), other.place("programs")
    before = other.read(events), other.read(programs)

    writer.begin("events")
    assert (other.read(events), other.read(programs)) == before
    writer.end("events")

    assert other.read(events) != before[0]
    assert other.read(programs) == before[1]
    writer.close()
    other.close()


def test_a_write_of_a_process_that_was_killed_is_ended_by_those_that_live(tmp_path: Path) -> None:
    """Nobody knows whether it was committed, so nothing from before it may be answered again."""
    survivor = ChangeCounters(tmp_path / "board", TABLES)
    events = survivor.place("events")
    before = survivor.read(events)

    done = subprocess.run([sys.executable, "-c", _DIES_WHILE_WRITING, str(tmp_path / "board")], check=False)
    assert done.returncode == -9
    assert survivor.read(events) == before

    survivor.settle()
    assert survivor.read(events) != before
    settled = survivor.read(events)
    survivor.settle()
    assert survivor.read(events) == settled
    survivor.close()


def test_a_write_of_a_living_process_is_left_to_it(tmp_path: Path) -> None:
    """Settling looks for dead owners, not for slow ones."""
    slow, other = ChangeCounters(tmp_path / "board", TABLES), ChangeCounters(tmp_path / "board", TABLES)
    events = other.place("events")
    slow.begin("events")
    before = other.read(events)

    other.settle()

    assert other.read(events) == before
    slow.close()
    assert other.read(events) != before
    other.close()


def test_revisions_never_come_back(tmp_path: Path) -> None:
    """A slot that a new process takes over goes on counting, also after all processes were gone."""
    seen = set()
    for _ in range(3):
        board = ChangeCounters(tmp_path / "board", TABLES)
        board.begin("events")
        board.end("events")
        revision = board.read(board.place("events"))
        assert revision not in seen
        seen.add(revision)
        board.close()


def test_only_so_many_processes_share_a_board(tmp_path: Path) -> None:
    """One more is refused with a reason; a place that is given back can be taken."""
    boards = [ChangeCounters(tmp_path / "board", TABLES) for _ in range(32)]
    with pytest.raises(CountersUnusable, match="32 processes"):
        ChangeCounters(tmp_path / "board", TABLES)

    boards.pop().close()
    boards.append(ChangeCounters(tmp_path / "board", TABLES))
    for board in boards:
        board.close()


def test_another_version_does_not_share_a_board_that_is_in_use(tmp_path: Path) -> None:
    """Its tables may be others; unused, the board is made anew."""
    present = ChangeCounters(tmp_path / "board", TABLES)
    with pytest.raises(CountersUnusable, match="another version"):
        ChangeCounters(tmp_path / "board", ("events",))

    present.close()
    ChangeCounters(tmp_path / "board", ("events",)).close()


def test_a_board_is_neither_a_link_nor_somebody_elses(tmp_path: Path) -> None:
    """Whoever may write it decides how fresh answers are."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CountersUnusable):
        ChangeCounters(tmp_path / "link", TABLES)
    assert not (tmp_path / "elsewhere").exists()


def test_a_board_that_was_removed_is_noticed(tmp_path: Path) -> None:
    """New processes would make another one, and nobody would hear of anybody."""
    board = ChangeCounters(tmp_path / "board", TABLES)
    seen = [board.in_place]

    (tmp_path / "board").unlink()

    assert [*seen, board.in_place] == [True, False]
    board.close()
