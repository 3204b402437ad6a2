"""Errors of the bridge. Each class says what the operator can do; those of VTN and broker are in `openadr_client`.

BridgeError(Exception)
├── StoreError              the database
│   ├── StoreUnavailable    cannot be reached or used now: check the URL and the server
│   │   └── StoreBusy       has no connection free: ask again in some seconds
│   └── StoreTooNew         was written by a newer version: install that version
├── BadCredentials          the file with the panels' credentials at the VTN: correct the line that is named
├── NotLeading              another bridge on the same database leads now: stand by
├── NameTaken               another process works under the same client id on this database: stop it, or rename this one
├── NoApi                   at the address of the settings is no OpenADR API: correct vtn.url
├── BadRecording            a recording of panels' traffic: correct the line that is named
└── ApiUnavailable          the HTTP address of the bridge cannot be used: choose another port
"""

from __future__ import annotations


class BridgeError(Exception):
    """Base of every error of the bridge."""


class StoreError(BridgeError):
    """Base of what the database can cause."""


class StoreUnavailable(StoreError):
    """The database cannot be used now; nothing was stored."""


class StoreBusy(StoreUnavailable):
    """All connections were in use for too long."""


class StoreTooNew(StoreError):
    """The database holds a schema this version does not know."""


class NotLeading(BridgeError):
    """Another bridge has taken the lead; nothing was stored."""


class NameTaken(BridgeError):
    """Another bridge works under our client id; nothing was changed."""


class NoApi(BridgeError):
    """Something answers at the VTN's address, but no OpenADR API."""


class ApiUnavailable(BridgeError):
    """The address of the HTTP API cannot be listened on."""


class BadCredentials(BridgeError):
    """The file with the credentials of panels cannot be used; the message names the line and shows no secret."""


class BadRecording(BridgeError):
    """A recording cannot be read; the message names the file, the line, the problem and what was expected."""
