"""List the settings of a server as somebody may see them: names, values without secrets, and where each comes from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr

from vtn.console.visit import host_of
from vtn.settings import Settings

PREFIX: Final = "OADR_VTN_"
_LONGEST: Final = 300
_OF_A_SECRET: Final = ("webhook.url",)
"""URLs that may have a secret in their path or query."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting: its dotted name, its value as text, and its source."""

    name: str
    value: str
    source: str

    @property
    def is_default(self) -> bool:
        """Return True if nobody has set it."""
        return self.source == "default"


def setting_rows(settings: Settings, environment: Collection[str]) -> list[SettingRow]:
    """Return a row for each setting; ``environment`` has the names of this process's variables.

    What is given and not in the environment comes from the file or a flag of the command.
    """
    names = frozenset(name.upper() for name in environment)
    return list(_rows(settings, "", names, is_given=True))


def _rows(group: BaseModel, prefix: str, names: frozenset[str], *, is_given: bool) -> Iterator[SettingRow]:
    for name in type(group).model_fields:
        value = getattr(group, name)
        given = is_given and name in group.model_fields_set
        path = f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{path}.", names, is_given=given)
        else:
            yield SettingRow(path, _shown(path, value), _source(path, names) if given else "default")


def _source(path: str, names: frozenset[str]) -> str:
    """Return where a setting comes from: its own variable, one of a table around it, or the file or a flag."""
    parts = path.upper().split(".")
    for count in range(len(parts), 0, -1):
        variable = PREFIX + "__".join(parts[:count])
        for each in (variable, f"{variable}_FILE"):
            if each in names:
                return f"environment, {each}"
    return "file or flag"


def _shown(path: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return "set, not shown"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "on", False: "off"}[value]
    if path.endswith(_OF_A_SECRET) and isinstance(value, str):
        return host_of(value)
    if isinstance(value, Mapping):
        return _short(", ".join(f"{key} = {each}" for key, each in value.items()) or "none")
    if isinstance(value, tuple | list | frozenset):
        every = ["set, not shown" if isinstance(each, SecretStr) else str(each) for each in value]
        return _short(", ".join(every) or "none")
    return _short(str(value) if isinstance(value, str | int | float | Path) else repr(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
