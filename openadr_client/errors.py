"""Errors of talking to a VTN or to a broker. Each class says what the caller can do.

ClientError(Exception)
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
│   └── UnexpectedAnswer         success that cannot be read: no VTN at this address, or another version
│       └── AnswerTooLarge       more bytes than are read from one answer: ask for less at once
├── BrokerError                  the MQTT broker
│   ├── BrokerUnreachable        no connection: check host, port and network
│   ├── BrokerUntrusted          TLS could not be agreed on: check CA, certificate and server name
│   ├── BrokerRefused            the broker said no: check user, password, client id and its access rules
│   ├── NotSent                  a message never left this process: it may be sent again
│   └── Unconfirmed              a message may have been sent: only its effect can tell
├── UnreadableNotification       what was pushed to us is no notification: read again what it may have been about
├── NoWay                        the VTN has no way of telling that we can use: poll
├── BadCertificateFile           a CA, certificate or key file cannot be used: correct the setting
└── LibraryMissing               an optional library is not installed: install the extra that the message names
"""

from __future__ import annotations

from typing import Final

from openadr_profiles.v31 import Problem


class ClientError(Exception):
    """Base of every error of this package."""


class VtnError(ClientError):
    """Base of everything that can be the result of a call to the VTN."""


class Unreachable(VtnError):
    """The VTN could not be reached, or the connection broke before an answer was complete.

    Whether a write was carried out is unknown, unless ``was_sent`` is False: then no byte of the request has left.
    ``is_lasting`` is True for what another attempt cannot mend, such as an unusable address.
    """

    def __init__(self, message: str, *, was_sent: bool = True, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.is_lasting = is_lasting


class UntrustedServer(Unreachable):
    """The TLS handshake failed: an unknown authority, a wrong name, or a client certificate that was refused."""

    def __init__(self, message: str) -> None:
        super().__init__(message, was_sent=False, is_lasting=True)


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


class BrokerError(ClientError):
    """Base of what the broker, or its absence, can cause."""


class BrokerUnreachable(BrokerError):
    """There is no connection to the broker."""


class BrokerUntrusted(BrokerError):
    """The TLS handshake with the broker failed."""


class BrokerRefused(BrokerError):
    """The broker refused the connection or the subscription."""


class NotSent(BrokerError):
    """The message never left this process: it may be sent again."""


class Unconfirmed(BrokerError):
    """The message may have been sent; only its effect can tell."""


class UnreadableNotification(ClientError):
    """Say that what was pushed to us is no notification."""


class NoWay(ClientError):
    """The VTN has no way of telling that is wanted, allowed and possible here; polling is left."""


class BadCertificateFile(ClientError):
    """A certificate or key file is missing, unreadable or does not fit its partner."""


class LibraryMissing(ClientError, ImportError):
    """An optional library is not installed; the message names the extra of this distribution that brings it."""


REFUSALS: Final[dict[int, type[Refused]]] = {403: Forbidden, 404: NotFound, 409: Conflict}
"""The class for a 4xx status; every other one is InvalidRequest."""
