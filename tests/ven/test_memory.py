"""Memory of large answers is given back, where the C library can be told so."""

import ctypes
from types import SimpleNamespace

import pytest

from ven import memory


def test_c_library_is_told_to_give_large_blocks_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda knob, value: told.append((knob, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    memory.give_back_large_blocks()
    assert told == [(-3, 1 << 20)]


def test_c_library_without_such_a_knob_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def library(name: object) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace()

    monkeypatch.setattr(ctypes, "CDLL", library)
    memory.give_back_large_blocks()
    assert asked == [None]
