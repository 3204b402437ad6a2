"""Groups of commands that are imported one by one, when they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar

from typer.core import TyperGroup
from typer.main import get_group

from oadr.process import lean


class LateCommands(TyperGroup):
    """Finds each command in the module that has it: neither a list of commands (--help, completion) nor another
    command imports it."""

    places: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Of each command the typer application that is or has it, as ``module:name``, and what a list says of it."""
    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.places:
            return None
        place, help_ = self.places[cmd_name]
        if self._listing:
            return TyperGroup(name=cmd_name, help=help_)
        lean.import_structlog()
        module, _, name = place.partition(":")
        # Not get_command: that makes a command of an application with one, and `oadr vtn key` has only `rotate`.
        group = get_group(getattr(import_module(module), name))
        command: Any = group.commands.get(cmd_name, group)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._listed():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._listed():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _listed(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False
