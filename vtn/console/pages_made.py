"""The pages as they are made: their templates, addresses and navigation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader

from openadr_pages import environment
from openadr_pages.assets import Assets
from openadr_pages.templating import has_block, render
from vtn.console.console import Console
from vtn.console.routes import ConsoleRoute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtn.console.visit import Visit

_OWN_FILES = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class NavItem:
    """A word in the navigation; ``is_here`` says that this page, or one below it, is shown."""

    word: str
    url: str
    is_here: bool


class Pages:
    """Addresses of routes by name, and templates, each compiled once."""

    def __init__(self, console: Console, routes: Sequence[ConsoleRoute]) -> None:
        self.base = console.base
        self._routes = {route.name: route for route in routes if route.name}
        self._nav = [route for route in routes if route.nav]
        self._assets = Assets()
        self._environment = _templates()
        self.serve_asset = self._assets.handler

    def compile(self) -> None:
        """Compile every template, so that no visitor waits for it; those that were compiled already cost nothing."""
        for name in self._environment.list_templates(extensions=["html"]):
            self._environment.get_template(name)

    def url(self, name: str, **params: object) -> str:
        """Return the address of a route as browsers see it; raises KeyError for a name that no route has."""
        path, rest = self._routes[name].path, dict(params)
        for variable in [each for each in rest if f"{{{each}}}" in path]:
            path = path.replace(f"{{{variable}}}", quote(str(rest.pop(variable)), safe=""))
        query = urlencode({key: str(value) for key, value in rest.items() if value is not None and value != ""})
        return f"{self.base}{'' if path == '/' else path}" + (f"?{query}" if query else "")

    def asset(self, name: str) -> str:
        """Return the address of a file that pages load."""
        return f"{self.base}/{self._assets.url(name)}"

    def navigation(self, visit: Visit) -> list[NavItem]:
        """Return the words of the navigation that this user may follow."""
        here = visit.request.path.removeprefix("/console").rstrip("/") or "/"
        return [
            NavItem(route.nav or "", self.url(route.name), _is_below(here, route.path))
            for route in self._nav
            if route.role is None or visit.user.role.may(route.role)
        ]

    def render(self, template: str, context: dict[str, Any], *, block: str | None) -> str:
        """Return a page, or a block of it if it has one of this name."""
        if block is not None and not has_block(self._environment.get_template(template), block):
            block = None
        return render(self._environment, template, context, block=block)


@cache
def _templates() -> Environment:
    """Return the templates, which all servers of a process have in common: each is compiled once."""
    return environment(PackageLoader("vtn.console", "templates"))


def _is_below(here: str, path: str) -> bool:
    return here == path or (path != "/" and here.startswith(f"{path}/"))
