"""Errors of the bridge. Each class says what the operator can do.

BridgeError(Exception)
├── BrokerError             the MQTT broker
│   ├── BrokerUnreachable   no connection: check host, port and network
│   ├── BrokerUntrusted     TLS could not be agreed on: check CA, certificate and server name
│   └── BrokerRefused       the broker said no: check user, password, client id and its access rules
├── StoreError              the database
│   ├── StoreUnavailable    cannot be reached or used now: check the URL and the server
│   └── StoreTooNew         was written by a newer version: install that version
├── BadCertificateFile      a CA, certificate or key file cannot be used: correct the setting
└── ApiUnavailable          the HTTP address of the bridge cannot be used: choose another port
"""

from __future__ import annotations


class BridgeError(Exception):
    """Base of every error of the bridge."""


class BrokerError(BridgeError):
    """Base of what the broker, or its absence, can cause."""


class BrokerUnreachable(BrokerError):
    """There is no connection to the broker."""


class BrokerUntrusted(BrokerError):
    """The TLS handshake with the broker failed."""


class BrokerRefused(BrokerError):
    """The broker refused the connection or the subscription."""


class StoreError(BridgeError):
    """Base of what the database can cause."""


class StoreUnavailable(StoreError):
    """The database cannot be used now; nothing was stored."""


class StoreTooNew(StoreError):
    """The database holds a schema this version does not know."""


class BadCertificateFile(BridgeError):
    """A certificate or key file is missing, unreadable or does not fit its partner."""


class ApiUnavailable(BridgeError):
    """The address of the HTTP API cannot be listened on."""
