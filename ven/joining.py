"""Try a connection to a VTN step by step, and register there, so that each failure has a name and a way out."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from openadr_client import (
    BadCertificateFile,
    ClientError,
    Clock,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
    UntrustedServer,
    VtnClient,
)
from ven.registration import registration
from ven.settings import VenSettings

_ANSWER_WITHIN_S: Final = 10.0
_SELF_SIGNED_OR_UNKNOWN: Final = frozenset({2, 18, 19, 20, 21})
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_NAMES: Final = frozenset({62, 64})
"""Tell what OpenSSL calls the reasons for which a certificate is not accepted (X509_V_ERR_...)."""


@dataclass(frozen=True)
class JoinStep:
    """Hold what one step has found; ``error`` and ``to_do`` if it failed, which ends the trial."""

    what: str
    found: str
    error: ClientError | None = None
    to_do: str | None = None


class _StepFailed(Exception):
    def __init__(self, error: ClientError, to_do: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.to_do = to_do


async def join_vtn(settings: VenSettings, clock: Clock) -> AsyncIterator[JoinStep]:
    """Yield a step after the other, the last one with an error if it fails: name, port, TLS, token, programs, ven.

    The ven is registered without resources: these follow when the VEN runs, with the circuits it then has.
    """
    parts = urlsplit(settings.vtn.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        client = settings.vtn.client(clock)
    except BadCertificateFile as error:
        yield JoinStep("TLS", str(error), error, "correct the setting of the file that is named")
        return
    tls = client.tls_context()
    steps: dict[str, Callable[[], Awaitable[str]]] = {
        "name": partial(_look_up, host, port),
        "port": partial(_connect, host, port),
        **({} if tls is None else {"TLS": partial(_shake_hands, tls, host, port)}),
        "token": partial(_get_token, client),
        "programs": partial(_read_programs, client),
        "ven": partial(_register, settings, client),
    }
    async with client:
        for what, step in steps.items():
            yield (done := await _tried(what, step))
            if done.error is not None:
                return


async def _tried(what: str, step: Callable[[], Awaitable[str]]) -> JoinStep:
    try:
        return JoinStep(what, await step())
    except _StepFailed as failed:
        return JoinStep(what, str(failed.error), failed.error, failed.to_do)
    except ClientError as error:
        return JoinStep(what, str(error), error, _what_to_do(error))


async def _look_up(host: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        why = f"no answer within {_ANSWER_WITHIN_S:g} s" if isinstance(error, TimeoutError) else str(error)
        to_do = "is this computer on the network, and does its DNS work? Else ask for a join line with another --url"
        raise _StepFailed(Unreachable(f"{host} has no address here: {why}", was_sent=False), to_do) from error
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    return f"{host} is {', '.join(addresses[:4])}"


async def _connect(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = f"no answer within {_ANSWER_WITHIN_S:g} s" if isinstance(error, TimeoutError) else str(error)
        to_do = "is the VTN running, and does a firewall or router let this port through?"
        raise _StepFailed(
            Unreachable(f"{host} does not answer on port {port}: {why}", was_sent=False), to_do
        ) from error
    await _close(writer)
    return f"{host} answers on port {port}"


async def _shake_hands(context: ssl.SSLContext, host: str, port: int) -> str:
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        raise _StepFailed(UntrustedServer(f"no trusted TLS connection to {host}: {error}"), _mend_tls(error)) from error
    except (OSError, TimeoutError) as error:
        to_do = "does this port of the VTN speak TLS? Else ask for a join line with the right --url"
        why = f"no handshake within {_ANSWER_WITHIN_S:g} s" if isinstance(error, TimeoutError) else str(error)
        raise _StepFailed(UntrustedServer(f"no TLS connection to {host}: {why}"), to_do) from error
    version = writer.get_extra_info("ssl_object").version()
    await _close(writer)
    return f"{version}, the certificate is {'NOT verified' if context.verify_mode is ssl.CERT_NONE else 'trusted'}"


def _mend_tls(error: ssl.SSLError) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else None
    if code in _SELF_SIGNED_OR_UNKNOWN:
        return "the VTN has an authority of its own: ask for a join line made with --ca-file, or set vtn.ca_file"
    if code in _OTHER_NAMES:
        return "the certificate is for another name: ask for a join line whose --url has that name"
    if code == _NOT_YET_VALID:
        return "have this computer's clock set by NTP: it seems to be slow"
    if code == _EXPIRED:
        return "look at this computer's clock; if it is right, the operator has to renew the certificate"
    return "does this port of the VTN speak TLS? Else ask for a join line with the right --url"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass  # it has answered, which is what was asked


async def _get_token(client: VtnClient) -> str:
    try:
        await client.access_token()
    except Unauthorized as error:
        if isinstance(error.__cause__, NotFound):
            raise _StepFailed(error, _NO_VTN) from error
        to_do = "was the client removed, suspended or given a new secret? Ask the operator for a new join line"
        raise _StepFailed(error, to_do) from error
    return f"client {client.client_id} has got one"


_NO_VTN: Final = "there is no VTN at this path: ask for a join line whose --url is the API's root with its version"


async def _read_programs(client: VtnClient) -> str:
    try:
        found = await client.programs.search()
    except NotFound as error:
        raise _StepFailed(error, _NO_VTN) from error
    except (Forbidden, Unauthorized) as error:
        to_do = "ask the operator whether this client has the role VEN and its scopes"
        raise _StepFailed(error, to_do) from error
    return f"{len(found)} shown to us"


async def _register(settings: VenSettings, client: VtnClient) -> str:
    try:
        ven = await registration(client, settings).see_to({})
    except Conflict as error:
        to_do = "another client has a ven of this name: ask for a join line with another --ven-name"
        raise _StepFailed(error, to_do) from error
    except Forbidden as error:
        to_do = (
            f"this client may not register: ask the operator for the scope write_vens, or to add {settings.ven_name}"
        )
        raise _StepFailed(error, to_do) from error
    targets = f"targets {', '.join(ven.targets)}" if ven.targets else "no targets yet"
    return f"registered as {ven.ven_name} ({ven.id}), {targets}"


def _what_to_do(error: ClientError) -> str:
    if isinstance(error, UntrustedServer):
        return "ask for a join line made with --ca-file, or set vtn.ca_file"
    if isinstance(error, Unreachable):
        return "is the VTN running, and is the network there? Then try again"
    return "try again later; if it stays, show this to the operator"
