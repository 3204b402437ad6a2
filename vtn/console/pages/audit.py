"""The audit trail: who did what, when, and what was there before and after."""

from __future__ import annotations

from aiohttp import web

from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Malformed
from vtn.store.console.audit import ActStore

_SIZE = 50


async def show(visit: Visit) -> web.StreamResponse:
    """Show acts, newest first, of one user or one kind if asked."""
    user, act, older = visit.query("user"), visit.query("act"), visit.query("older")
    if older and not (older.isascii() and older.isdigit() and len(older) < 16):
        raise Malformed("older: expected the number of an act")
    acts = await ActStore(visit.console.database).newest(
        user_name=user or None, act=act or None, before_seq=int(older) if older else None, limit=_SIZE + 1
    )
    more = acts[_SIZE - 1].seq if len(acts) > _SIZE else None
    return visit.render("audit.html", acts=acts[:_SIZE], older=more, asked={"user": user, "act": act})


ROUTES = (ConsoleRoute("GET", "/audit", show, name="audit", nav="Audit", title="Audit trail", role=Role.ADMIN),)
