"""Errors of commands: one line for people, and an exit code for scripts.

Packages raise their own exceptions and know nothing of exit codes; the table below is the one place that maps them.
It names classes by text, so that a device without the server's libraries never imports them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import typer

from oadr.terminal.text import visible


class Exit(IntEnum):
    """Exit codes of every ``oadr`` command (documented in README and ``docs/cli.md``)."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    UNAUTHORIZED = 5
    REFUSED = 6
    CHECK_FAILED = 7
    INTERRUPTED = 130


class Failure(Exception):
    """A command cannot go on: what, why and what to do, with its exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


EXIT_CODES: Final[dict[str, Exit]] = {
    "oadr.config.ConfigError": Exit.CONFIGURATION,
    "openadr_profiles.join_line.BadJoinLine": Exit.USAGE,
    "oadr.process.running.Interrupted": Exit.INTERRUPTED,
    "openadr_client.errors.Unreachable": Exit.UNREACHABLE,
    "openadr_client.errors.TemporarilyUnavailable": Exit.UNREACHABLE,
    "openadr_client.errors.UnexpectedAnswer": Exit.UNREACHABLE,
    "openadr_client.errors.Unauthorized": Exit.UNAUTHORIZED,
    "openadr_client.errors.Forbidden": Exit.UNAUTHORIZED,
    "openadr_client.errors.Refused": Exit.REFUSED,
    "openadr_client.errors.BadCertificateFile": Exit.CONFIGURATION,
    "openadr_client.errors.LibraryMissing": Exit.CONFIGURATION,
    "openadr_client.errors.BrokerError": Exit.UNREACHABLE,
    "openadr_client.errors.NoWay": Exit.UNREACHABLE,
    "openadr_client.errors.UnreadableNotification": Exit.UNREACHABLE,
    "openadr_client.errors.BrokerRefused": Exit.UNAUTHORIZED,
    "ven.errors.BadStore": Exit.CONFIGURATION,
    "ven.errors.BadRule": Exit.CONFIGURATION,
    "ven.errors.UnknownDriver": Exit.CONFIGURATION,
    "ven.errors.BadDriverOptions": Exit.CONFIGURATION,
    "ven.errors.DriverFailed": Exit.UNREACHABLE,
    "ven.local_api.client.NotRunning": Exit.UNREACHABLE,
    "ven.local_api.client.LocalRefusal": Exit.REFUSED,
    "openadr_profiles.v31.errors.Invalid": Exit.REFUSED,
    "openadr_profiles.panel.errors.UnsafePanelId": Exit.USAGE,
    "vtn.errors.ServiceFailed": Exit.UNEXPECTED,
    "vtn.errors.BrokerFailed": Exit.UNREACHABLE,
    "vtn.errors.StartFailed": Exit.UNREACHABLE,
    "vtn.errors.BadCertificate": Exit.CONFIGURATION,
    "vtn.errors.MigrationTooNew": Exit.CONFIGURATION,
    "vtn.errors.MigrationMissing": Exit.CONFIGURATION,
    "vtn.errors.SecretsKeyUnusable": Exit.CONFIGURATION,
    "vtn.errors.LibraryMissing": Exit.CONFIGURATION,
    "vtn.errors.ArchiveUnusable": Exit.CONFIGURATION,
    "vtn.errors.DatabaseMissing": Exit.CONFIGURATION,
    "vtn.errors.DatabaseNotEmpty": Exit.CONFIGURATION,
    "vtn.errors.Unavailable": Exit.UNREACHABLE,
    "vtn.errors.Refused": Exit.REFUSED,
    "bridge_mqtt.errors.StoreError": Exit.UNREACHABLE,
    "bridge_mqtt.errors.StoreTooNew": Exit.CONFIGURATION,
    "bridge_mqtt.errors.BadCredentials": Exit.CONFIGURATION,
    "bridge_mqtt.errors.BadRecording": Exit.CONFIGURATION,
    "bridge_mqtt.errors.ApiUnavailable": Exit.UNREACHABLE,
    "bridge_mqtt.errors.NameTaken": Exit.REFUSED,
    "bridge_mqtt.errors.NoApi": Exit.CONFIGURATION,
    "certs.errors.CertificateError": Exit.CONFIGURATION,
    "certs.errors.Invalid": Exit.USAGE,
}


def exit_code_of(error: BaseException) -> Exit | None:
    """Return the exit code for an exception of one of the packages, or None if a user cannot act on it."""
    for class_ in type(error).__mro__:
        if code := EXIT_CODES.get(f"{class_.__module__}.{class_.__qualname__}"):
            return code
    return None


@contextmanager
def reporting() -> Iterator[None]:
    """Turn exceptions into one clear line on standard error and an exit code, never a traceback."""
    try:
        yield
    except Failure as failure:
        _say(str(failure))
        raise typer.Exit(failure.code) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _say(f"this command needs the library {error.name}: install it with  pip install 'openadr-fleet[{extra}]'")
        raise typer.Exit(Exit.CONFIGURATION) from None
    except Exception as error:
        # The outermost edge of the program: what the table knows is a user's to mend, anything else is our fault.
        code = exit_code_of(error)
        if code is Exit.UNAUTHORIZED and _is_not_found(error.__cause__):
            _say(f"{error.__cause__}. {_WRONG_PATH}")
            raise typer.Exit(Exit.REFUSED) from None
        if code is not None:
            if code is not Exit.INTERRUPTED:
                _say(str(error))
            raise typer.Exit(code) from None
        import structlog

        structlog.get_logger(__name__).exception("unexpected failure")
        _say(f"unexpected failure: {type(error).__name__}: {error}")
        raise typer.Exit(Exit.UNEXPECTED) from None


_WRONG_PATH: Final = (
    "There is no VTN at this path; expected the API's root with its version, such as http://host:8080/openadr3/3.1.0"
)


def _is_not_found(error: BaseException | None) -> bool:
    return any(
        f"{class_.__module__}.{class_.__qualname__}" == "openadr_client.errors.NotFound"
        for class_ in type(error).__mro__
    )


_EXTRAS: Final = {
    "sqlalchemy": "vtn",
    "alembic": "vtn",
    "argon2": "vtn",
    "jwt": "vtn",
    "asyncpg": "postgres",
    "aiomqtt": "bridge",
    "paho": "bridge",
    "cryptography": "certs",
    "amqtt": "demo",
    "zeroconf": "mdns",
    "ifaddr": "mdns",
    "prometheus_client": "vtn",
    "pyarrow": "parquet",
    "lxml": "oadr20b",
    "openleadr": "oadr20b",
    "signxml": "oadr20b",
    "xmlschema": "oadr20b",
}


def _say(message: str) -> None:
    print(visible(f"oadr: {message}", keep="\n"), file=sys.stderr)  # noqa: T201 - the command's own voice
