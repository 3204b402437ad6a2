"""Sign people in and out by name and password."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from vtn.console.routes import ConsoleRoute
from vtn.console.sessions import ConsoleSessions, address_of
from vtn.console.users import ConsoleUsers
from vtn.console.visit import Visit
from vtn.store.console.users import UserStore


async def show(visit: Visit) -> web.StreamResponse:
    """Show the form; without any user it says how to make one."""
    if visit.session is not None:
        return visit.redirect_to(_back(visit, visit.query("to")))
    return visit.render("login.html", **await _shown(visit, visit.query("to")))


async def sign_in(visit: Visit) -> web.StreamResponse:
    """Begin a session for a name and a password; too many wrong ones have to wait."""
    form = await visit.form()
    name, password, to = form.get("name", "").strip(), form.get("password", ""), form.get("to", "")
    guesses, address = visit.console.guesses, address_of(visit.request, visit.console)
    slow_down = guesses.refusal(address, name)
    if slow_down is not None:
        raise slow_down
    user = await users_of(visit).authenticated(name, password)
    if user is None:
        guesses.count(address, name)
        await visit.refused_sign_in(name[:128] or "nobody", "wrong name or password")
        return visit.refuse("The name or the password is wrong.", "login.html", **await _shown(visit, to))
    await visit.trail.note(visit.request, user.name, "signed in", "with a password")
    return await begin(visit, user.name, to)


async def begin(visit: Visit, user_name: str, to: str) -> web.Response:
    """Begin a session, in the place of the one that the browser had, and lead to where the visitor wanted to go."""
    sessions = ConsoleSessions(visit.console)
    if visit.session is not None:
        await sessions.end(visit.session.id)
    response = visit.redirect_to(_back(visit, to))
    sessions.give(response, await sessions.begin(visit.request, user_name))
    return response


async def sign_out(visit: Visit) -> web.StreamResponse:
    """End the session."""
    sessions = ConsoleSessions(visit.console)
    if visit.session is not None:
        await sessions.end(visit.session.id)
    await visit.audit("signed out", "by the user")
    response = visit.redirect("login", said="You are signed out.")
    sessions.take_back(response)
    return response


async def _shown(visit: Visit, to: str) -> dict[str, Any]:
    oidc = visit.console.settings.console.oidc
    has_users = await users_of(visit).any()
    return {"to": to, "has_users": has_users, "oidc_label": None if oidc is None else oidc.label}


def users_of(visit: Visit) -> ConsoleUsers:
    """Return the users of the console."""
    return ConsoleUsers(UserStore(visit.console.database), visit.console.stamps, visit.console.secrets)


def _back(visit: Visit, to: str) -> str:
    """Return the address that somebody wanted to see: a path below the console and nothing else."""
    is_ours = to.startswith(("/", "?")) and not to.startswith("//") and "\\" not in to and to.isprintable()
    return visit.pages.base + to if is_ours and len(to) <= 1000 else visit.url("now")


ROUTES = (
    ConsoleRoute("GET", "/login", show, role=None, name="login", title="Sign in"),
    ConsoleRoute("POST", "/login", sign_in, role=None, title="Sign in", most_bytes=16 * 1024),
    ConsoleRoute("POST", "/logout", sign_out, name="logout", most_bytes=16 * 1024),
)
