"""The first page: what happens at the moment."""

from __future__ import annotations

from aiohttp import web

from vtn.console.routes import ConsoleRoute
from vtn.console.visit import Visit


async def show(visit: Visit) -> web.StreamResponse:
    """Show what happens at the moment."""
    return visit.render("now.html")


ROUTES = (ConsoleRoute("GET", "/", show, name="now", nav="Now"),)
