"""Options of commands: values that are more than text, refused in our own words; examples at the end of a help."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import typer

T = TypeVar("T")


def parsed_by(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return `parse` as the parser of an option: its ValueError becomes the message of a usage error, unchanged.

    Left to itself, typer (0.29 and newer) puts "Value error, " in front.
    """

    @wraps(parse)
    def parser(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parser


def examples(*calls: str) -> str:
    """Return the end of a command's help: calls of ``oadr``, written without that word."""
    return "\n".join(["\b", "Examples:", *(f"  oadr {call}" for call in calls)])
