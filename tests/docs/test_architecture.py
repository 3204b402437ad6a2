"""The drawings and tables of docs/architecture.md are true: rooms and imports are those of the code, files exist."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import Any, Final, NamedTuple

import grimp
import pytest

from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_SETTINGS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: Final[list[str]] = _SETTINGS["tool"]["importlinter"]["root_packages"]
_BLOCK: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROOM: Final = re.compile(r'(\w+)\["([\w/.]+)"\]')
_ARROW: Final = re.compile(r"(\w+) --> (\w+(?: & \w+)*)")
_SUBJECT: Final = re.compile(r"%% rooms of (\w+)")
_PARTICIPANT: Final = re.compile(r"participant \w+ as ([\w/.]+)")
_RULE: Final = re.compile(r"^\| (.+?) \| `([\w/.]+\.py)` \| `(\w+)` \|$", re.MULTILINE)
_FILE: Final = re.compile(r"`((?:\w+/)+\w*(?:\.py)?)`")


class Drawing(NamedTuple):
    """A drawing of rooms: what it draws, its rooms as paths, and its arrows as pairs of paths."""

    subject: str
    rooms: frozenset[str]
    arrows: frozenset[tuple[str, str]]


def drawings(page: str) -> list[Drawing]:
    """Return the drawings of rooms on a page; every line in them is understood, or the test fails."""
    return [_drawing(block) for block in _BLOCK.findall(page) if block.startswith("flowchart")]


def _drawing(block: str) -> Drawing:
    rooms: dict[str, str] = {}
    arrows, subject = set(), ""
    for line in filter(None, map(str.strip, block.splitlines()[1:])):
        if found := _SUBJECT.fullmatch(line):
            subject = found[1]
        elif found := _ROOM.fullmatch(line):
            rooms[found[1]] = found[2]
        elif found := _ARROW.fullmatch(line):
            arrows |= {(rooms[found[1]], rooms[to]) for to in found[2].split(" & ")}
        else:
            raise ValueError(f"expected a room, an arrow or %% rooms of: {line}")
    return Drawing(subject, frozenset(rooms.values()), frozenset(arrows))


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def imports_between(rooms: frozenset[str]) -> set[tuple[str, str]]:
    """Return which rooms import which; a module belongs to the smallest room it is in."""
    names = {room.removesuffix(".py").replace("/", "."): room for room in rooms}

    def room_of(module: str) -> str | None:
        while module:
            if module in names:
                return names[module]
            module = module.rpartition(".")[0]
        return None

    graph = _graph()
    found = {
        (room_of(importer), room_of(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    return {(one, other) for one, other in found if one and other and one != other}


DRAWINGS: Final = drawings(PAGE)
JOURNEYS: Final = [block for block in _BLOCK.findall(PAGE) if block.startswith("sequenceDiagram")]
RULES: Final = _RULE.findall(PAGE)


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.subject)
def test_every_room_of_a_drawing_is_there(drawing: Drawing) -> None:
    """As a folder with a package in it, or as a file."""
    missing = [room for room in drawing.rooms if not (ROOT / _place(room)).exists()]

    assert drawing.rooms
    assert missing == []


def _place(room: str) -> str:
    if room == "oadr_conformance":
        return "tests/conformance/oadr_conformance/__init__.py"
    return room if room.endswith(".py") else f"{room}/__init__.py"


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.subject)
def test_every_folder_is_drawn(drawing: Drawing) -> None:
    """A new room appears on the page that a newcomer reads first."""
    if drawing.subject == "everything":
        assert drawing.rooms == set(PACKAGES)
        return
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / drawing.subject).glob("*/__init__.py")}

    assert folders
    assert folders <= drawing.rooms


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.subject)
def test_the_arrows_are_the_imports_between_rooms(drawing: Drawing) -> None:
    """Neither is an arrow drawn that is no import, nor is an import between two rooms left out."""
    real = imports_between(drawing.rooms)

    assert {"drawn only": drawing.arrows - real, "imported only": real - drawing.arrows} == {
        "drawn only": set(),
        "imported only": set(),
    }


def test_all_rooms_with_rooms_inside_are_drawn() -> None:
    """The whole, and the three packages whose folders know each other."""
    assert [drawing.subject for drawing in DRAWINGS] == ["everything", "vtn", "ven", "oadr"]


def test_a_wrong_drawing_is_found() -> None:
    """The checks above can fail."""
    block = '```mermaid\nflowchart TD\n    %% rooms of vtn\n    a["vtn/api"]\n    s["vtn/store"]\n    s --> a\n```\n'
    (wrong,) = drawings(block)

    assert wrong.arrows == {("vtn/store", "vtn/api")}
    assert imports_between(wrong.rooms) == {("vtn/api", "vtn/store")}
    with pytest.raises(ValueError, match="expected a room"):
        drawings(block.replace("s --> a", "s ==> a"))


def test_every_file_of_a_journey_exists() -> None:
    """Participants that are files of ours; people, brokers and other programs have no path."""
    files = {name for journey in JOURNEYS for name in _PARTICIPANT.findall(journey) if "/" in name}

    assert len(JOURNEYS) == 3
    assert len(files) > 12
    assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize(("sentence", "file", "name"), RULES, ids=[sentence for sentence, _, _ in RULES])
def test_a_file_defines_what_holds_its_rule(sentence: str, file: str, name: str) -> None:
    """The table says which class or function of the file to read; it is more than a stub."""
    nodes = [node for node in ast.walk(ast.parse((ROOT / file).read_text())) if getattr(node, "name", None) == name]

    assert nodes, f"{file} defines no {name}: {sentence}"
    assert any(_lines(node) >= 3 for node in nodes)


def _lines(node: Any) -> int:
    return int(node.end_lineno - node.lineno + 1)


def test_the_table_has_a_rule_for_every_part() -> None:
    """A good twenty sentences, with each package among them."""
    assert len(RULES) >= 20
    assert {file.partition("/")[0] for _, file, _ in RULES} >= {"openadr_profiles", "vtn", "ven", "bridge_mqtt", "oadr"}
    assert len({sentence for sentence, _, _ in RULES}) == len(RULES)


def test_every_other_file_that_the_page_names_exists() -> None:
    """Paths in running text and in the other tables; `<name>` stands for a choice."""
    named = set(_FILE.findall(PAGE))

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
