"""Errors of talking to a VTN and of running a VEN. Each class says what the caller can do.

VenError(Exception)
├── VtnError                     an answer of the VTN, or the lack of one
│   ├── Unreachable              no connection: check the address and the network, try again later
│   │   └── UntrustedServer      TLS could not be agreed on: check certificates and names
│   ├── TemporarilyUnavailable   429 or 5xx: try again after ``retry_after_s`` or a back-off
│   ├── Unauthorized             the credentials were refused, also with a new token: correct them
│   ├── Refused                  the VTN understood and said no (``problem``): do not repeat unchanged
│   │   ├── Forbidden            403: the client lacks the role or scope
│   │   ├── NotFound             404: no such object, or not for this client
│   │   ├── Conflict             409: the name or client is taken
│   │   └── InvalidRequest       400 and other faults of the request: correct it
│   └── UnexpectedAnswer         success that cannot be read: probably not an OpenADR 3.1 VTN at this address
│       └── AnswerTooLarge       more bytes than are read from one answer: ask for less at once
├── NotUnderstood                an event asks for something that has no meaning here: opt out and say so
├── BadCertificateFile           a CA, certificate or key file cannot be used: correct the setting
├── BadStore                     the file of the VEN's memory cannot be used: correct the path or the file
├── BadDriverOptions             the driver does not understand an option: correct the setting
├── UnknownDriver                no driver of that name is installed: correct the setting or install it
└── DriverFailed                 the driver could not switch or read a circuit: look at the device
"""

from __future__ import annotations

from typing import Final

from openadr_profiles.v31 import Problem


class VenError(Exception):
    """Base of every error of this package."""


class VtnError(VenError):
    """Base of everything that can be the result of a call to the VTN."""


class Unreachable(VtnError):
    """The VTN could not be reached, or the connection broke before an answer was complete.

    Whether a write was carried out is unknown.
    """


class UntrustedServer(Unreachable):
    """The TLS handshake failed: an unknown authority, a wrong name, or a client certificate that was refused."""


class TemporarilyUnavailable(VtnError):
    """The VTN cannot answer now. ``retry_after_s`` is what it asked for, or None."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class Unauthorized(VtnError):
    """The token service or the VTN refused the credentials."""


class Refused(VtnError):
    """The VTN refused the request. ``problem`` is its answer, with at least ``status`` and ``detail``."""

    def __init__(self, message: str, *, problem: Problem) -> None:
        super().__init__(message)
        self.problem = problem


class Forbidden(Refused):
    """The client may not do this."""


class NotFound(Refused):
    """There is no such object, or it is not visible to this client."""


class Conflict(Refused):
    """A name or client that must be unique is taken."""


class InvalidRequest(Refused):
    """The request itself is at fault; ``problem.detail`` names the member."""


class UnexpectedAnswer(VtnError):
    """The server answered with something that is not OpenADR 3.1."""


class AnswerTooLarge(UnexpectedAnswer):
    """An answer has more bytes than are read; a page of fewer objects may have less."""


class NotUnderstood(VenError):
    """A payload of an event cannot be turned into a reduction; the message is fit to be a reason for opting out."""


class BadCertificateFile(VenError):
    """A certificate or key file is missing, unreadable or does not fit its partner."""


class BadStore(VenError):
    """The database file cannot be opened, is not ours, or is from a newer version."""


class BadDriverOptions(VenError):
    """The driver's own options are wrong; the message names each."""


class UnknownDriver(VenError):
    """The settings name a driver that does not exist."""


class DriverFailed(VenError):
    """A circuit could not be switched or read."""


REFUSALS: Final[dict[int, type[Refused]]] = {403: Forbidden, 404: NotFound, 409: Conflict}
"""The class for a 4xx status; every other one is InvalidRequest."""
