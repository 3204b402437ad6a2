"""Clients of the API: who may get tokens, with role and scopes; suspended, resumed, and given new secrets."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from vtn.access import Role as ClientRole
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Malformed
from vtn.store.console.clients import ClientListing
from vtn.store.query import Page

_LONGEST_ID: Final = 128
_SMALL: Final = 16 * 1024


async def show(visit: Visit) -> web.StreamResponse:
    """Show a page of clients."""
    return visit.render("clients.html", **await _shown(visit))


async def suspend(visit: Visit) -> web.StreamResponse:
    """Give a client no more tokens, and take back those that are out; raises NotFound."""
    client_id = visit.path("client_id")
    await visit.console.clients.suspend(client_id)
    await visit.audit("client suspended", f"client {client_id}", before={"suspended": False}, after={"suspended": True})
    return visit.redirect("clients", said=f"{client_id} is suspended; its tokens end within a minute.")


async def resume(visit: Visit) -> web.StreamResponse:
    """Give a client tokens again; raises NotFound."""
    client_id = visit.path("client_id")
    await visit.console.clients.resume(client_id)
    await visit.audit("client resumed", f"client {client_id}", before={"suspended": True}, after={"suspended": False})
    return visit.redirect("clients", said=f"{client_id} gets tokens again.")


async def rotate(visit: Visit) -> web.StreamResponse:
    """Give a client a new secret, which this answer shows once, and take its tokens back; raises NotFound."""
    client_id = visit.path("client_id")
    made = await visit.console.clients.rotate(client_id)
    await visit.audit("client secret rotated", f"client {client_id}")
    return visit.render("client_secret.html", made=made)


async def _shown(visit: Visit) -> dict[str, Any]:
    beginning, role, page = visit.query("client"), visit.query("role"), visit.page_asked()
    if role not in {"", *ClientRole}:
        raise Malformed("role: expected BL or VEN")
    if len(beginning) > _LONGEST_ID:
        raise Malformed(f"client: expected at most {_LONGEST_ID} characters")
    listing = visit.console.store(ClientListing)
    found = await listing.search(beginning=beginning, role=role, page=Page(page.skip, page.limit))
    return {"found": page.of(found), "asked": {"client": beginning, "role": role}}


ROUTES = (
    ConsoleRoute("GET", "/settings/clients", show, role=Role.ADMIN, name="clients", title="Clients"),
    ConsoleRoute(
        "POST",
        "/settings/clients/{client_id}/suspend",
        suspend,
        role=Role.ADMIN,
        name="suspend_client",
        title="Clients",
        most_bytes=_SMALL,
    ),
    ConsoleRoute(
        "POST",
        "/settings/clients/{client_id}/resume",
        resume,
        role=Role.ADMIN,
        name="resume_client",
        title="Clients",
        most_bytes=_SMALL,
    ),
    ConsoleRoute(
        "POST",
        "/settings/clients/{client_id}/rotate",
        rotate,
        role=Role.ADMIN,
        name="rotate_client",
        title="A new secret",
        most_bytes=_SMALL,
    ),
)
