"""Tell what a route of the HTTP interface is: where it answers, who may ask, and what is said about it to readers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Right(StrEnum):
    """Hold what a caller must be allowed to do."""

    OPEN = "nothing"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a query, or a part of the path."""

    name: str
    text: str
    schema: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ApiRoute:
    """One operation. ``path`` has no slash at its end; with one it means the same (COMPAT-022)."""

    method: str
    path: str
    handle: Handler
    summary: str
    tag: str
    right: Right = Right.READ
    parameters: tuple[Parameter, ...] = ()
    body: type | None = None
    answer: Any = None
    """The type of what is answered; None for anything."""
    status: int = 200
    refusals: tuple[int, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the parameters that the query may have."""
        return frozenset(parameter.name for parameter in self.parameters)
