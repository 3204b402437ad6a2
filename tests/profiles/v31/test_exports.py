"""What the package offers is decided, not left over."""

from __future__ import annotations

import types

from openadr_profiles import v31


def test_every_public_name_is_listed_once_and_exists() -> None:
    offered = [
        name
        for name, value in vars(v31).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]

    assert sorted(offered) == sorted(v31.__all__)


def test_every_public_name_says_what_it_is() -> None:
    silent = [name for name in v31.__all__ if callable(value := getattr(v31, name)) and not value.__doc__]

    assert [name for name in silent if name not in {"Value", "Offset"}] == []
