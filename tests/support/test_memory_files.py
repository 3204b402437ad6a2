"""Files of a run are in memory only where there is enough of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.memory_files import folder_in_memory

PLENTY = 64 * 1024**2  # kB


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    """Return what the kernel says of a machine with a lot of memory."""
    file = tmp_path / "meminfo"
    file.write_text(f"MemTotal:  {PLENTY} kB\nMemAvailable:   {PLENTY} kB\n")
    return file


def changed(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    """Let the file system of every folder be another one: large unless told otherwise."""
    system = {"f_bavail": 2**30, "f_frsize": 4096, "f_flag": 0} | members
    monkeypatch.setattr(os, "statvfs", lambda _: type("System", (), system))


def test_a_large_file_system_is_taken(tmp_path: Path, meminfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch)
    assert folder_in_memory(tmp_path, meminfo) == tmp_path


@pytest.mark.parametrize("members", [{"f_bavail": 16 * 1024}, {"f_flag": os.ST_NOEXEC}])
def test_a_small_one_is_not_nor_one_without_programs(
    tmp_path: Path, meminfo: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, int]
) -> None:
    """A container has 64 MB there, unless it was given more."""
    changed(monkeypatch, **members)
    assert folder_in_memory(tmp_path, meminfo) is None


@pytest.mark.parametrize("text", ["MemAvailable: 1048576 kB\n", "MemTotal: 1 kB\n", ""])
def test_a_machine_with_little_memory_keeps_its_files_on_the_disk(
    tmp_path: Path, meminfo: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    changed(monkeypatch)
    meminfo.write_text(text)
    assert folder_in_memory(tmp_path, meminfo) is None


def test_a_system_without_such_a_folder_does_without(tmp_path: Path, meminfo: Path) -> None:
    assert folder_in_memory(tmp_path / "shm", meminfo) is None
    assert folder_in_memory(tmp_path, tmp_path / "none") is None
