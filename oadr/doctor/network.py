"""Look at the way to an address: its name, a connection, and TLS with its certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from openadr_client.checkup import Checkup, Condition

_LOOKUP_S: Final = 5.0
_CONNECT_S: Final = 5.0
_HANDSHAKE_S: Final = 10.0
_SOON: Final = timedelta(days=21)
_ENCRYPTED: Final = frozenset({"https", "mqtts", "wss", "smtps"})
_PORTS: Final = {"https": 443, "http": 80, "mqtts": 8883, "mqtt": 1883, "wss": 443, "ws": 80, "smtps": 465}


async def look_at(url: str, *, what: str, now: datetime, ca_file: Path | None = None) -> AsyncIterator[Checkup]:
    """Yield a finding on each step of the way to a URL, and none after the first that fails. Never raises.

    ``what`` names the thing at the end, as "vtn"; ``ca_file`` has more authorities of certificates, PEM.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        host, port = None, None
    if not host or port is None:
        text = f"{url[:200]!r} is no address"
        yield Checkup(what, Condition.FAILED, text, "write it as https://host:port/path")
        return
    name = await _name(host, port, what)
    yield name
    if name.health is Condition.FAILED:
        return
    connection = await _connection(host, port, what)
    yield connection
    if connection.health is Condition.FAILED or parts.scheme not in _ENCRYPTED:
        return
    yield await _tls(host, port, what, now, ca_file)


async def alone(findings: AsyncIterator[Checkup]) -> AsyncIterator[Checkup]:
    """Yield findings; a fault of ours among them becomes one of them, so that others are looked at, too."""
    try:
        async for finding in findings:
            yield finding
    except Exception as error:  # whatever it is, the rest is examined
        text = f"it could not be examined: {type(error).__name__}: {error}"
        yield Checkup("doctor", Condition.FAILED, text, "tell the maintainers of this program")


async def _name(host: str, port: int, what: str) -> Checkup:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_LOOKUP_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Checkup(f"{what} dns", Condition.FAILED, f"the name server does not answer for {host}", _NAME_SERVER)
    except (OSError, UnicodeError):
        return Checkup(
            f"{what} dns",
            Condition.FAILED,
            f"{host} is not known to the name server",
            "correct the host in the address, or have it entered there",
        )
    addresses = sorted({str(entry[4][0]) for entry in found})
    return Checkup(f"{what} dns", Condition.OK, f"{host} is at {', '.join(addresses[:4])}")


async def _connection(host: str, port: int, what: str) -> Checkup:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        text = f"{host}:{port} does not answer within {_CONNECT_S:g} s"
        return Checkup(f"{what} tcp", Condition.FAILED, text, "let the firewalls on the way pass this port")
    except OSError as error:
        text = f"{host}:{port} takes no connection: {error.strerror or type(error).__name__}"
        return Checkup(f"{what} tcp", Condition.FAILED, text, "start what should listen there, or correct the port")
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return Checkup(f"{what} tcp", Condition.OK, f"{host}:{port} takes connections")


async def _tls(host: str, port: int, what: str, now: datetime, ca_file: Path | None) -> Checkup:
    named = f"{what} tls"
    try:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        return Checkup(named, Condition.FAILED, f"{ca_file} cannot be read: {error}", "correct ca_file")
    try:
        async with asyncio.timeout(_HANDSHAKE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        return Checkup(named, Condition.FAILED, f"its certificate does not hold: {error.verify_message}", _fix(error))
    except TimeoutError:
        return Checkup(
            named, Condition.FAILED, "the handshake takes too long", "see whether TLS is spoken at this port"
        )
    except (ssl.SSLError, OSError) as error:
        text = f"TLS fails: {getattr(error, 'reason', None) or error.strerror or type(error).__name__}"
        return Checkup(named, Condition.FAILED, text, "see whether TLS 1.2 or newer is spoken at this port")
    certificate = writer.get_extra_info("peercert") or {}
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    text = f"{version}; the certificate holds until {ends_at:%Y-%m-%d %H:%M} UTC"
    if ends_at - now <= _SOON:
        return Checkup(named, Condition.WARNING, text, "renew the certificate before that day")
    return Checkup(named, Condition.OK, text)


def _fix(error: ssl.SSLCertVerificationError) -> str:
    message = error.verify_message.lower()
    if "expired" in message:
        return "renew the certificate at the server"
    if "mismatch" in message or "not valid for" in message:
        return "use the name that the certificate has, or have one made for this name"
    if "not yet valid" in message:
        return "set the clock of this computer"
    return "name the authority that issued it (ca_file), or have the server send its whole chain"


_NAME_SERVER: Final = "see whether this computer has a network and a name server"
