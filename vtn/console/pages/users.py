"""Users of the console: added and removed, with roles and passwords, and their sessions."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from aiohttp import web

from openadr_profiles.v31 import Invalid
from vtn.access import UserRole
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.sessions import ConsoleSessions
from vtn.console.users import SHORTEST_PASSWORD, ConsoleUsers
from vtn.console.visit import Visit
from vtn.errors import Refused
from vtn.store.console.sessions import SessionRow
from vtn.store.console.users import UserStore, no_user

_SMALL: Final = 16 * 1024


async def show(visit: Visit) -> web.StreamResponse:
    """Show all users and their sessions."""
    return visit.render("users.html", **await _shown(visit))


async def add(visit: Visit) -> web.StreamResponse:
    """Add a user with a password."""
    form = await visit.form()
    name = form.get("name", "").strip()
    role = _role(form.get("role", ""))
    if role is None:
        return visit.refuse(_NO_ROLE, "users.html", **await _shown(visit))
    try:
        await _users(visit).add(name, role, form.get("password", ""))
    except (Invalid, Refused) as error:
        return visit.refuse(f"The user is not added: {error}.", "users.html", **await _shown(visit))
    await visit.audit("user added", f"user {name}", after={"role": role.value})
    return visit.redirect("users", said=f"{name} can sign in.")


async def set_role(visit: Visit) -> web.StreamResponse:
    """Give a user another role."""
    form, name = await visit.form(), visit.path("user_name")
    role = _role(form.get("role", ""))
    if role is None:
        return visit.refuse(_NO_ROLE, "users.html", **await _shown(visit))
    before = await UserStore(visit.console.database).get(name)
    try:
        await _users(visit).set_role(name, role)
    except Refused as error:
        return visit.refuse(f"The role is not changed: {error}.", "users.html", **await _shown(visit))
    old = None if before is None else {"role": before.role}
    await visit.audit("role changed", f"user {name}", before=old, after={"role": role.value})
    return visit.redirect("users", said=f"{name} is {role.value} from the next request on.")


async def set_password(visit: Visit) -> web.StreamResponse:
    """Give a user another password; the user's sessions end."""
    form, name = await visit.form(), visit.path("user_name")
    try:
        await _users(visit).set_password(name, form.get("password", ""))
    except (Invalid, Refused) as error:
        return visit.refuse(f"The password is not changed: {error}.", "users.html", **await _shown(visit))
    await visit.audit("password changed", f"user {name}")
    return visit.redirect("users", said=f"{name} has a new password; the sessions with the old one have ended.")


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a user and end the user's sessions."""
    name = visit.path("user_name")
    before = await UserStore(visit.console.database).get(name)
    if name == visit.user.name:
        return visit.refuse("You cannot remove yourself: let another admin do it.", "users.html", **await _shown(visit))
    try:
        await _users(visit).remove(name)
    except Refused as error:
        return visit.refuse(f"The user is not removed: {error}.", "users.html", **await _shown(visit))
    await visit.audit("user removed", f"user {name}", before=None if before is None else {"role": before.role})
    return visit.redirect("users", said=f"{name} is removed, and signed out everywhere.")


async def end_sessions(visit: Visit) -> web.StreamResponse:
    """End all sessions of a user; raises NotFound."""
    name = visit.path("user_name")
    if await UserStore(visit.console.database).get(name) is None:
        raise no_user(name)
    count = await ConsoleSessions(visit.console).end_of(name)
    await visit.audit("sessions ended", f"user {name}", after={"sessions": count})
    return visit.redirect("users", said=f"{count} session{'s' if count != 1 else ''} of {name} ended.")


_NO_ROLE: Final = f"role: expected {', '.join(UserRole)}."


def _role(text: str) -> UserRole | None:
    return UserRole(text) if text in {*UserRole} else None


async def _shown(visit: Visit) -> dict[str, Any]:
    sessions: dict[str, list[SessionRow]] = defaultdict(list)
    for each in await ConsoleSessions(visit.console).open():
        sessions[each.user_name].append(each)
    return {
        "users": await _users(visit).list(),
        "sessions": sessions,
        "roles": list(UserRole),
        "shortest_password": SHORTEST_PASSWORD,
    }


def _users(visit: Visit) -> ConsoleUsers:
    return ConsoleUsers(UserStore(visit.console.database), visit.console.stamps, visit.console.secrets)


ROUTES = (
    ConsoleRoute("GET", "/settings/users", show, role=Role.ADMIN, name="users", title="Users"),
    ConsoleRoute("POST", "/settings/users", add, role=Role.ADMIN, name="add_user", title="Users", most_bytes=_SMALL),
    ConsoleRoute("POST", "/settings/users/{user_name}/role", set_role, role=Role.ADMIN, name="set_role", title="Users"),
    ConsoleRoute(
        "POST",
        "/settings/users/{user_name}/password",
        set_password,
        role=Role.ADMIN,
        name="set_user_password",
        title="Users",
        most_bytes=_SMALL,
    ),
    ConsoleRoute(
        "POST", "/settings/users/{user_name}/remove", remove, role=Role.ADMIN, name="remove_user", title="Users"
    ),
    ConsoleRoute(
        "POST", "/settings/users/{user_name}/sessions/end", end_sessions, role=Role.ADMIN, name="end_user_sessions"
    ),
)
