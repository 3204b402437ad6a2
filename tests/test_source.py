"""Constructs that mean something else on one of the Python versions we support."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("openadr_profiles", "openadr_client", "vtn", "ven", "bridge_mqtt", "certs", "oadr", "bench", "tests")
_MAY_RAISE = (ast.Raise, ast.Assert, ast.Await, ast.AsyncFor, ast.AsyncWith)


def raised_in_groups(source: str) -> list[int]:
    """Lines of `except*` blocks that raise, wait or assert.

    Python 3.11 before 3.11.4 (Debian 12 has 3.11.2) wraps an error or a cancellation that leaves one in a group.
    """
    groups = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.TryStar)]
    return sorted(
        part.lineno for handler in _handlers(groups) for part in _own(handler) if isinstance(part, _MAY_RAISE)
    )


def _handlers(groups: list[ast.TryStar]) -> Iterator[ast.ExceptHandler]:
    for group in groups:
        yield from group.handlers


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node that runs with it: not the bodies of functions defined there."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own(child)


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_raised_in_a_block_of_an_exception_group(folder: str) -> None:
    """Such an error reaches nobody who waits for it by its type."""
    files = sorted((ROOT / folder).rglob("*.py"))
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in raised_in_groups(path.read_text())]

    assert files
    assert found == []


def test_a_raise_in_a_block_of_an_exception_group_is_found() -> None:
    """The check above can fail."""
    assert raised_in_groups("try:\n  pass\nexcept* OSError:\n  if x:\n    raise y\n  def f():\n    raise z\n") == [5]
    assert raised_in_groups("async def f():\n  try:\n    pass\n  except* OSError:\n    await wait()\n") == [5]
    assert raised_in_groups("try:\n  raise x\nexcept OSError:\n  raise y\n") == []
