"""Sign people in by an OpenID Connect provider: send the browser there, and take it back."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from openadr_pages.headers import PRIVATE, SECURITY
from vtn.console.console import PATH
from vtn.console.oidc_attempt import OidcAttempt
from vtn.console.pages.login import begin, users_of
from vtn.console.routes import ConsoleRoute
from vtn.console.sessions import address_of, set_cookie
from vtn.console.visit import Visit
from vtn.errors import Malformed, NotFound, Refused, Unauthenticated

if TYPE_CHECKING:
    from vtn.console.oidc import OidcProvider

_COOKIE: Final = "oadr_console_attempt"
_ATTEMPT_S: Final = 600
_KEY: Final = "an OpenID provider"


async def start(visit: Visit) -> web.StreamResponse:
    """Send the browser to the provider, with an attempt in a cookie."""
    provider = _provider(visit)
    _may_try(visit)
    attempt = OidcAttempt.new(visit.query("to"))
    address = await provider.address(attempt, _callback_url(visit))
    response = web.Response(status=303, headers={hdrs.LOCATION: address} | SECURITY | PRIVATE)
    set_cookie(response, visit.console, _COOKIE, attempt.packed(), max_age_s=_ATTEMPT_S)
    return response


async def callback(visit: Visit) -> web.StreamResponse:
    """Begin a session for whom the provider sends back; raises Unauthenticated, Forbidden, Unavailable, Conflict."""
    provider = _provider(visit)
    _may_try(visit)
    attempt = OidcAttempt.unpacked(visit.request.cookies.get(_COOKIE, ""))
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), visit.query("state").encode()):
        raise Malformed("state: this is not the end of an attempt to sign in here; begin again at the login")
    if visit.query("error"):
        raise Unauthenticated(f"the sign-in service says {visit.query('error')[:80]}; nobody was signed in")
    try:
        identity = await provider.identity(attempt, visit.query("code"), _callback_url(visit))
        name = await users_of(visit).known_as(identity.subject, identity.name, identity.role)
    except Refused as error:
        visit.console.guesses.count(address_of(visit.request, visit.console), _KEY)
        await visit.refused_sign_in("nobody", f"OpenID: {error}")
        raise
    await visit.trail.note(visit.request, name, "signed in", f"by {identity.subject.partition(' ')[0]}")
    response = await begin(visit, name, attempt.to)
    response.del_cookie(_COOKIE, path=visit.console.base)
    return response


def _provider(visit: Visit) -> OidcProvider:
    """Return the provider of the settings, made once; raises NotFound if there is none."""
    settings = visit.console.settings.console.oidc
    if settings is None:
        raise NotFound("no OpenID provider is set (console.oidc)")
    from vtn.console.oidc import OidcProvider  # noqa: PLC0415 (with it all of PyJWT and its algorithms)

    return visit.console.kept(OidcProvider, lambda: OidcProvider(settings, visit.console.now))


def _may_try(visit: Visit) -> None:
    slow_down = visit.console.guesses.refusal(address_of(visit.request, visit.console), _KEY)
    if slow_down is not None:
        raise slow_down


def _callback_url(visit: Visit) -> str:
    return f"{visit.console.addresses.reached_by(visit.request)}{PATH}/oidc/callback"


ROUTES = (
    ConsoleRoute("GET", "/oidc/start", start, role=None, name="oidc_start", title="Sign in"),
    ConsoleRoute("GET", "/oidc/callback", callback, role=None, name="oidc_callback", title="Sign in"),
)
