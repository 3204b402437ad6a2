"""The table of settings in the documentation is the one of the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from vtn.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "vtn.md"


def names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting with its dotted name, in order."""
    for name, field in model.model_fields.items():
        group = next(
            (
                kind
                for kind in (field.annotation, *get_args(field.annotation))
                if isinstance(kind, type) and issubclass(kind, BaseModel)
            ),
            None,
        )
        if group is None:
            yield prefix + name
        else:
            yield from names(group, f"{prefix}{name}.")


def test_every_setting_is_in_the_table() -> None:
    """And nothing that is not one. Versions of the standard and alarms have pages of their own."""
    table = PAGE.read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]
    elsewhere = {"alarms.": "alarms.md", "console.": "console.md"}
    elsewhere |= {"v301.": "openadr-3.0.1.md", "v20b.": "openadr-2.0b.md"}
    own = [name for name in names(Settings) if not name.startswith(tuple(elsewhere))]

    assert re.findall(r"^\| `([a-z0-9_.]+)` \|", table, re.MULTILINE) == own
    for group, page in elsewhere.items():
        told = set(re.findall(r"`([a-z0-9_.]+)`", (PAGE.parent / page).read_text(encoding="utf-8")))
        missing = [name for name in names(Settings) if name.startswith(group) and not told & _ways_to_say(name)]
        assert missing == []


def _ways_to_say(name: str) -> set[str]:
    """A setting with its group and without."""
    parts = name.split(".")
    return {".".join(parts[number:]) for number in range(len(parts))}
