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
    """And nothing that is not one."""
    table = PAGE.read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `([a-z0-9_.]+)` \|", table, re.MULTILINE) == list(names(Settings))
