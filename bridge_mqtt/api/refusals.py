"""Refusals: what a handler raises when it cannot do what was asked, each with its HTTP status."""

from __future__ import annotations

from collections.abc import Mapping


class ApiRefusal(Exception):
    """A request that is not carried out. The text names the member, the problem and what was expected."""

    status = 400
    title = "Bad Request"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})


class WrongQuestion(ApiRefusal):
    """A parameter or a body that cannot be used."""


class NoToken(ApiRefusal):
    """No token, or one that does not hold."""

    status, title = 401, "Unauthorized"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class NotAllowed(ApiRefusal):
    """The caller may not do this, or nobody may until it is set up."""

    status, title = 403, "Forbidden"


class NoSuchThing(ApiRefusal):
    """There is no such event, panel or circuit."""

    status, title = 404, "Not Found"


class NotNow(ApiRefusal):
    """Something else stands against it at present."""

    status, title = 409, "Conflict"


class TooSlow(ApiRefusal):
    """The body did not arrive in time."""

    status, title = 408, "Request Timeout"


class WrongHost(ApiRefusal):
    """The request names another machine."""

    status, title = 421, "Misdirected Request"


class NotJson(ApiRefusal):
    """The body is not JSON."""

    status, title = 415, "Unsupported Media Type"


class NotSetUp(ApiRefusal):
    """This bridge was not told what it needs for it."""

    status, title = 501, "Not Implemented"


class VtnFailed(ApiRefusal):
    """The VTN did not do what it was asked for."""

    status, title = 502, "Bad Gateway"


class Away(ApiRefusal):
    """The database or the VTN cannot be reached at present."""

    status, title = 503, "Service Unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})
