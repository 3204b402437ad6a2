"""TLS that this server terminates itself: its certificate, renewed while it runs, and those of its clients."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import structlog
from aiohttp import web

from vtn.errors import BadCertificate, Forbidden
from vtn.settings import Tls

_log = structlog.get_logger(__name__)

_State: TypeAlias = tuple[tuple[int, int, int], ...]


class RenewableContext(ssl.SSLContext):
    """Stand for the context that new connections get, so that a listener follows a renewal.

    A context only ever learns to trust more, and resumes sessions of clients it no longer would trust. So a renewal
    puts another one in its place, which trusts the files as they are now and knows no session.
    """

    _current: ssl.SSLContext

    @classmethod
    def of(cls, current: ssl.SSLContext) -> RenewableContext:
        """Return one that stands for a context, until there is another."""
        new = cls(current.protocol)
        new._current = current
        return new

    def renew(self, current: ssl.SSLContext) -> None:
        """Use another context for new connections."""
        self._current = current

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Return a new connection's part of TLS: event loops ask for it here."""
        return self._current.wrap_bio(*arguments, **named)


class ServerTls:
    """TLS 1.2 and newer (TLS-002). ``context`` is what new connections use, before and after a renewal."""

    def __init__(self, settings: Tls) -> None:
        self._settings = settings
        self.context = RenewableContext.of(_context(settings))
        self._names = _names_in(settings)
        self._state = self._look()

    def is_for(self, name: str) -> bool:
        """Say whether the certificate is for a host name, or for all names of its domain."""
        return not self._names.isdisjoint({name, f"*.{name.partition('.')[2]}"})

    def reload(self) -> None:
        """Use the files as they are now; what cannot be used is said in the log, and the old ones stay (TLS-006)."""
        self._state = self._look()
        try:
            context, names = _context(self._settings), _names_in(self._settings)
        except BadCertificate as error:
            _log.warning("the certificate was not renewed", why=str(error))
        else:
            self.context.renew(context)
            self._names = names
            _log.info("certificate renewed", file=str(self._settings.cert))

    async def follow(self) -> None:
        """Check the files at intervals, and reload them when they have changed."""
        while True:
            await asyncio.sleep(self._settings.watch_s)
            if self._look() != self._state:
                self.reload()

    def _look(self) -> _State:
        files = (self._settings.cert, self._settings.key, self._settings.client_ca)
        found = []
        for file in files:
            try:
                state = file.stat() if file is not None else None
            except OSError:
                state = None
            found.append((0, 0, 0) if state is None else (state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)


class ClientCertificates:
    """Binding of clients to certificates: a bound client's tokens are valid with its certificates only, and vice versa.

    ``clients`` maps ``CN=name`` or ``sha256:fingerprint`` to a client's id.
    """

    def __init__(self, clients: Mapping[str, str]) -> None:
        self._clients = {_normal(name): client_id for name, client_id in clients.items()}
        self._bound = frozenset(clients.values())

    def check(self, request: web.Request, client_id: str) -> None:
        """Raise Forbidden unless the connection and the client belong together, as far as the settings say."""
        owner = self._owner(request)
        if owner == client_id or (owner is None and client_id not in self._bound):
            return
        raise Forbidden("this client and the certificate of this connection do not belong together")

    def _owner(self, request: web.Request) -> str | None:
        connection: Any = request.get_extra_info("ssl_object")
        certificate = None if connection is None else connection.getpeercert(binary_form=True)
        if certificate is None:
            return None
        names = [f"sha256:{hashlib.sha256(certificate).hexdigest()}"]
        subject = connection.getpeercert().get("subject", ())
        names += [f"CN={value}" for part in subject for kind, value in part if kind == "commonName"]
        return next((self._clients[name] for name in names if name in self._clients), None)


def _normal(name: str) -> str:
    """Normalise a fingerprint: without colons and in lower case."""
    kind, _, rest = name.partition(":")
    return f"sha256:{rest.replace(':', '').lower()}" if kind.lower() == "sha256" else name


def _names_in(settings: Tls) -> frozenset[str]:
    from cryptography import x509  # noqa: PLC0415 (only where there is a certificate: it is slow to load)

    certificate = x509.load_pem_x509_certificate(settings.cert.read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return frozenset(hosts) | {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def load_pair(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """Take a certificate with its key. One that has a password is refused: OpenSSL would ask for it on the terminal.

    Raises:
        BadCertificate: the key has a password.
        ssl.SSLError, OSError: the files cannot be read, or are not what they should be.
    """

    def no_password() -> str:
        raise BadCertificate(f"the key in {key or cert} has a password: expected a key without one, with mode 0600")

    context.load_cert_chain(cert, key, password=no_password)


def _context(settings: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ciphers is not None:
        context.set_ciphers(settings.ciphers)
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: Tls) -> None:
    try:
        load_pair(context, settings.cert, settings.key)
    except ssl.SSLError as error:
        raise BadCertificate(
            f"{settings.cert} and {settings.key} are not a certificate with its key: {error.reason}"
        ) from error
    except OSError as error:
        raise BadCertificate(
            f"cannot read the certificate {settings.cert} or its key {settings.key}: {error.strerror}"
        ) from error
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except ssl.SSLError as error:
            raise BadCertificate(f"{settings.client_ca} has no certificate of an authority: {error.reason}") from error
        except OSError as error:
            raise BadCertificate(f"cannot read the authorities in {settings.client_ca}: {error.strerror}") from error
