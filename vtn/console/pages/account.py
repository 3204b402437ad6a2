"""Show people their own account: change the password, end sessions."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from openadr_profiles.v31 import Invalid
from vtn.console.pages.login import users_of
from vtn.console.routes import ConsoleRoute
from vtn.console.sessions import ConsoleSessions, address_of
from vtn.console.users import SHORTEST_PASSWORD
from vtn.console.visit import Visit
from vtn.errors import NotFound, Refused
from vtn.store.console.users import UserStore

_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


async def show(visit: Visit) -> web.StreamResponse:
    """Show the user's sessions, and the form for a new password."""
    return visit.render("account.html", **await _shown(visit))


async def set_password(visit: Visit) -> web.StreamResponse:
    """Take a new password from who knows the old one; all sessions end, and a new one begins."""
    form = await visit.form()
    users, guesses, address = users_of(visit), visit.console.guesses, address_of(visit.request, visit.console)
    slow_down = guesses.refusal(address, visit.user.name)
    if slow_down is not None:
        raise slow_down
    if await users.authenticated(visit.user.name, form.get("password", "")) is None:
        guesses.count(address, visit.user.name)
        return visit.refuse("The present password is wrong.", "account.html", **await _shown(visit))
    if form.get("new_password") != form.get("new_password_again"):
        return visit.refuse("The two new passwords differ.", "account.html", **await _shown(visit))
    try:
        await users.set_password(visit.user.name, form.get("new_password", ""))
    except (Invalid, Refused) as error:
        return visit.refuse(f"The new password was not taken: {error}.", "account.html", **await _shown(visit))
    await visit.audit("password changed", f"user {visit.user.name}")
    sessions = ConsoleSessions(visit.console)
    response = visit.redirect("account", said="The password is changed; all other sessions have ended.")
    sessions.give(response, await sessions.begin(visit.request, visit.user.name))
    return response


async def end_session(visit: Visit) -> web.StreamResponse:
    """End one of the user's sessions; raises NotFound."""
    ended = await ConsoleSessions(visit.console).end(visit.path("session_id"), user_name=visit.user.name)
    if ended is None:
        raise NotFound("there is no such session; it may be over already")
    await visit.audit("session ended", f"user {visit.user.name}", before={"browser": ended.browser})
    return visit.redirect("account", said="The session has ended.")


async def _shown(visit: Visit) -> dict[str, Any]:
    row = await UserStore(visit.console.database).get(visit.user.name)
    return {
        "browser_of": browser_of,
        "sessions": await ConsoleSessions(visit.console).open(visit.user.name),
        "own_session": "" if visit.session is None else visit.session.id,
        "has_password": row is not None and row.subject is None,
        "shortest_password": SHORTEST_PASSWORD,
    }


def browser_of(agent: str) -> str:
    """Return what a browser calls itself in a few words, as ``Firefox on Linux``."""
    browser = next((word for mark, word in _BROWSERS if mark in agent), None)
    system = next((word for mark, word in _SYSTEMS if mark in agent), None)
    if browser is None:
        return agent[:60] or "not said"
    return browser if system is None else f"{browser} on {system}"


ROUTES = (
    ConsoleRoute("GET", "/account", show, name="account", title="Your account"),
    ConsoleRoute("POST", "/account/password", set_password, name="set_password", most_bytes=16 * 1024),
    ConsoleRoute("POST", "/account/sessions/{session_id}/end", end_session, name="end_session"),
)
