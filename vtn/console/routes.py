"""Tell what a page of the console is: a method and a path, and the role that somebody needs for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp import web

from vtn.access import UserRole

if TYPE_CHECKING:
    from vtn.console.visit import Visit

Role: Final = UserRole
"""The roles of people, as pages name them: ``Role.OPERATOR``."""

Show: TypeAlias = Callable[["Visit"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ConsoleRoute:
    """A page or an act, at a path below ``/console``; ``{name}`` in it is a variable.

    ``role`` is what its user must at least be; None opens it to everybody. ``nav`` is its word in the navigation, in
    the order of the pages; ``title`` is its heading, by default that word. ``most_bytes`` bounds what may be posted.
    """

    method: str
    path: str
    handler: Show
    role: UserRole | None = UserRole.VIEWER
    name: str = ""
    title: str | None = None
    nav: str | None = None
    most_bytes: int = 1024 * 1024
