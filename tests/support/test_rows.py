"""`--rows` keeps every test, with some of its sets of parameters."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.rows import first_rows


@dataclass(frozen=True)
class Named:
    """A test that was collected."""

    nodeid: str


def test_every_test_is_kept_with_so_many_rows() -> None:
    names = ("a.py::test_x[1]", "a.py::test_y", "a.py::test_x[2]", "b.py::test_x[1]", "a.py::test_x[3]")
    kept, left = first_rows(map(Named, names), 2)
    assert [each.nodeid for each in kept] == [*names[:4]]
    assert [each.nodeid for each in left] == [names[4]]
