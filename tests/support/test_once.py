"""Sharing between the workers of a run."""

from pathlib import Path
from threading import Barrier, Thread

import pytest

from bench.support.net import free_port
from tests.support.once import Once


def test_who_comes_second_gets_what_the_first_has_made(tmp_path: Path) -> None:
    """However many come at the same time."""
    made: list[Path] = []
    got: list[Path] = []
    together = Barrier(4)

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("x")

    def come() -> None:
        together.wait()
        got.append(Once(tmp_path)("thing", make))

    threads = [Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made == [tmp_path / "thing"]
    assert got == made * 4
    assert (tmp_path / "thing" / "file").read_text() == "x"


def test_what_could_not_be_made_is_tried_again(tmp_path: Path) -> None:
    """The next caller finds nothing half-made."""

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Once(tmp_path)("thing", fail)

    assert list(Once(tmp_path)("thing", lambda _: None).iterdir()) == []


def test_workers_choose_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker takes the port of another's server while that is stopped."""
    for worker, lowest in (("gw0", 10_000), ("gw3", 13_750), ("gw16", 10_000)):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        assert all(lowest <= free_port() < lowest + 1_250 for _ in range(20))
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    assert 10_000 <= free_port() <= 30_000
