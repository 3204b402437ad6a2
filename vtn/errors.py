"""Errors of the VTN.

VtnError
├── Refused                  a request that is not carried out; ``vtn/http/problem.py`` gives each its status
│   ├── Malformed            the request itself is not readable: a query parameter, an id in the path
│   ├── Unauthenticated      no token, or one that does not hold
│   │   └── Revoked          a token that was taken back
│   ├── Forbidden            the caller's role or scopes do not allow it
│   ├── NotFound             no such object for this reader, whether hidden or missing
│   ├── Conflict             another object has that name
│   ├── Stale                If-Match names a version that is no longer the current one
│   ├── UnsupportedMediaType a body that is not JSON
│   ├── TooLarge             a body that has more bytes than are accepted
│   ├── TooSlow              a body that does not arrive in time
│   ├── ClientGone           a client that hung up in the middle of its body; nobody is there to be answered
│   ├── TooManyRequests      slow down, and when to come back
│   ├── UpgradeNeeded        an address that is a websocket was asked for like any other
│   ├── NotOffered           a part of the standard that this server was told not to offer
│   └── Unavailable          the database does not answer at the moment
│       └── Overloaded       more waits to be read or written than this process takes
├── ChangedMeanwhile         an object was changed while an answer was being made of it: it is read again
├── ArchiveUnusable          a backup or example that cannot be written or read, or would overwrite something
├── DatabaseMissing          there is no database yet, and this command makes none
├── DatabaseNotEmpty         a backup would be mixed with what is there
├── ServiceFailed            background work without which the server must not go on fails again and again
└── StartFailed              the server cannot start; the text names the thing and the remedy
    ├── DatabaseUnreachable
    ├── MigrationTooNew
    ├── MigrationMissing
    ├── PortTaken
    ├── AddressUnusable
    ├── BadCertificate
    ├── CountersUnusable
    ├── SecretsKeyUnusable
    ├── LibraryMissing
    └── WorkerFailed
        └── WorkerKilled

A document that breaks the schema, or refers to something that does not exist, is ``openadr_profiles.v31.Invalid``.
"""

from __future__ import annotations


class VtnError(Exception):
    """Base of everything the VTN raises on purpose."""


class Refused(VtnError):
    """A request is not carried out. The text is for the caller and tells nothing about other objects or the inside."""


class Malformed(Refused):
    """A query parameter or path that cannot be read (PAGE-008, PAGE-016, OBJ-009)."""


class Unauthenticated(Refused):
    """No valid token. ``reason`` is the OAuth word, None if no token was sent (AUTH-002, AUTH-003, AUTH-006).

    ``unverifiable`` tells a token that is not ours from one that is over: deployments may answer it otherwise (R-01).
    """

    def __init__(self, detail: str, *, reason: str | None = None, unverifiable: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.unverifiable = unverifiable


class Revoked(Unauthenticated):
    """A token of a client whose tokens were taken back, as far as this process knows (AUTH-034)."""

    def __init__(self, client_id: str) -> None:
        super().__init__("the token was revoked", reason="invalid_token")
        self.client_id = client_id


class Forbidden(Refused):
    """The caller is known, and may not do this (AUTH-004)."""


class NotFound(Refused):
    """No such object for this reader; the same for hidden and missing ones (PRIV-010)."""

    def __init__(self, detail: str = "there is no such object") -> None:
        super().__init__(detail)


class Conflict(Refused):
    """Another object has that name (OBJ-014); the text names the member, not the other object (PROBLEM-007)."""


class Stale(Refused):
    """The object has changed since the caller read it (If-Match)."""


class UnsupportedMediaType(Refused):
    """The body is declared to be something other than JSON (GEN-004)."""


class TooLarge(Refused):
    """The body has more bytes than are accepted here, as sent or unpacked (GEN-008)."""


class ClientGone(Refused):
    """The client hung up before its body was whole: no answer can reach it."""


class TooSlow(Refused):
    """The body does not arrive in time (GEN-008)."""


class TooManyRequests(Refused):
    """The caller exceeds a rate; ``retry_after_s`` says when it may come back (GEN-008, AUTH-035)."""

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class UpgradeNeeded(Refused):
    """The address is a websocket, and the request does not ask for one."""


class NotOffered(Refused):
    """A part of the standard that this server was told not to offer (AUTH-031)."""


class Unavailable(Refused):
    """The database does not answer at the moment; nothing was stored."""


class Overloaded(Unavailable):
    """More waits to be read or written than this process takes; nothing was stored."""


class ChangedMeanwhile(VtnError):
    """An object of an answer was changed or removed before its text was read: the answer has to be read again."""


class ArchiveUnusable(VtnError):
    """A backup or example file cannot be written or read, or would overwrite something."""


class DatabaseMissing(VtnError):
    """There is no database yet, and a command that only reads makes none."""


class DatabaseNotEmpty(VtnError):
    """A backup would be mixed with what the database holds already."""


class BrokerFailed(VtnError):
    """The MQTT broker cannot be reached, or does not take a command about its accounts."""


class ServiceFailed(VtnError):
    """A service without which the server must not go on fails again and again."""


class StartFailed(VtnError):
    """The server cannot start."""


class DatabaseUnreachable(StartFailed):
    """The database does not answer, or refuses us."""


class MigrationTooNew(StartFailed):
    """The database was written by a newer version of this program."""


class MigrationMissing(StartFailed):
    """The database needs a migration, and this process was told not to do it."""


class PortTaken(StartFailed):
    """Another process listens on the port."""


class AddressUnusable(StartFailed):
    """The host name or address cannot be listened on."""


class LibraryMissing(StartFailed):
    """A library that the settings need is not installed."""


class BadCertificate(StartFailed):
    """The certificate or its key cannot be used."""


class CountersUnusable(StartFailed):
    """The file in which the processes of a host tell each other of changes cannot be used."""


class SecretsKeyUnusable(StartFailed):
    """The key of the secrets in the database is not there, not the right one, or no key."""


class WorkerFailed(StartFailed):
    """A worker process ends before it serves."""


class WorkerKilled(WorkerFailed):
    """Somebody killed a worker process before it served; another may well start."""
