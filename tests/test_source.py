"""Constructs that mean something else on one of the Python versions we support."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "openadr_profiles",
    "openadr_pages",
    "openadr_client",
    "vtn",
    "ven",
    "bridge_mqtt",
    "certs",
    "oadr",
    "bench",
    "tests",
)
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


NAMED_TWICE = {
    "Outcome": "of a check and of a circuit: the conformance suite is a product of its own, with given public names",
}
"""Public classes that may have one name in two rooms, each with the reason."""

_OWN_NAMES = {"errors.py", "settings.py"}
"""Modules whose classes are read with their room before them: ``vtn.errors.Refused``, ``bridge_mqtt.settings.Api``."""

_OF_A_STANDARD = ("openadr_profiles/v20b/", "openadr_profiles/v301/", "vtn/api/v301/")
"""Folders whose classes are called as their version of the standard calls them, and read with it: ``v20b.Event``."""


def classes_of_one_name(files: Iterable[Path]) -> dict[str, list[str]]:
    """Return public classes that are defined in several places, by name.

    Within a package no name is free; between packages those of errors and settings are.
    """
    places: dict[str, list[Path]] = {}
    for path in files:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path)
    found = {}
    for name, where in places.items():
        shared = [path for path in where if path.name not in _OWN_NAMES and not _of_a_standard(path)]
        packages = [_package_of(path) for path in where]
        if len(shared) > 1 or len(packages) > len(set(packages)):
            found[name] = [path.as_posix() for path in where]
    return found


def _of_a_standard(path: Path) -> str | None:
    return next((folder for folder in _OF_A_STANDARD if f"/{folder}" in path.as_posix()), None)


def _package_of(path: Path) -> str:
    """Return the package of a file: a standard, or the topmost folder that has an ``__init__.py`` all the way down."""
    if standard := _of_a_standard(path):
        return standard
    while (path.parent / "__init__.py").exists():
        path = path.parent
    return path.name


def test_no_two_public_classes_have_one_name() -> None:
    """A reader who meets a name knows which class is meant (docs/architecture.md, Names)."""
    folders = [ROOT / folder for folder in (*FOLDERS, "tests/conformance/oadr_conformance") if folder != "tests"]
    folders += [ROOT / "tests" / "conformance" / "mutants", ROOT / "tests" / "conformance" / "vtns"]
    found = classes_of_one_name(path for folder in folders for path in sorted(folder.rglob("*.py")))

    assert {name: places for name, places in found.items() if name not in NAMED_TWICE} == {}
    assert NAMED_TWICE.keys() <= found.keys()


def test_two_classes_of_one_name_are_found(tmp_path: Path) -> None:
    """The check above can fail."""
    for folder, module in (("one", "a"), ("one", "errors"), ("two", "errors"), ("two", "b")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "__init__.py").touch()
        (tmp_path / folder / f"{module}.py").write_text("class Kept: ...\nclass _Own: ...\n")
    (tmp_path / "two" / "errors.py").write_text("class Refused: ...\n")
    (tmp_path / "one" / "errors.py").write_text("class Refused: ...\n")

    assert classes_of_one_name(sorted(tmp_path.rglob("*.py"))).keys() == {"Kept"}


_NO_VERBS = frozenset(
    """
    a an and as at by each either every everything for from how if in it its neither no not of on one our same she some
    such that the their them there these they this those to two what when where whether which who whoever whom whose
    why with without you your
    """.split()  # noqa: SIM905 (a list of words is easier to read than a list of strings)
)
"""Words that begin no verb. A docstring begins with one: "Return the ...", "Store ..."; a class's may with a noun."""


def functions_that_begin_without_verb(source: str) -> list[str]:
    """Return public functions, except properties and tests, whose docstring begins with a word that is no verb."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith(("_", "test_")):
            continue
        words = (ast.get_docstring(node) or "Return").split()
        if words and words[0].strip("`\"'.,:").lower() in _NO_VERBS:
            found.append(f"{node.name}: {' '.join(words[:4])}")
    return found


@pytest.mark.parametrize("folder", [*(folder for folder in FOLDERS if folder != "tests"), "tests/conformance"])
def test_docstrings_of_public_functions_begin_with_a_verb(folder: str) -> None:
    """As a colleague would say it: what the function does, not what there is."""
    found = {
        f"{path.relative_to(ROOT)}: {each}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "checks" not in path.parts  # a check's docstring is the sentence that it examines
        for each in functions_that_begin_without_verb(path.read_text(encoding="utf-8"))
    }

    assert found == set()


def test_a_docstring_without_verb_is_found() -> None:
    """The check above can fail."""
    assert functions_that_begin_without_verb('def f():\n    """The answer."""\n') == ["f: The answer."]
    assert functions_that_begin_without_verb('def f():\n    """Return the answer."""\n') == []
