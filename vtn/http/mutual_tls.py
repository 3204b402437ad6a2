"""TLS of the listener for OpenADR 2.0b: certificates of both kinds, its cipher suites, and clients that show theirs.

These rules hold on that listener only, so that its older suites touch nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import structlog
from aiohttp import web

from openadr_profiles.v20b import fingerprint
from vtn.errors import BadCertificate, Forbidden, Unauthenticated
from vtn.http.tls import RenewableContext, load_pair
from vtn.lru import LruCache
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

_LONGEST_HEADER: Final = 16 * 1024
_REMEMBERED: Final = 50_000
_ADDRESSES: Final = 1000


class MutualTls:
    """The context of the listener, and what renews it when its files change (B-SEC-001 … B-SEC-004, B-SEC-014).

    ``on_distrust`` is called when authorities or lists of revoked certificates are others than before: then the
    connections that are open were made by rules that hold no more.
    """

    def __init__(self, settings: V20b, on_distrust: Callable[[], None]) -> None:
        self._settings = settings
        self._on_distrust = on_distrust
        self.context = RenewableContext.of(_server_context(settings))
        self.client_context = None if settings.push is None else RenewableContext.of(_client_context(settings))
        """For connections to VENs, if they are pushed to."""
        self._state = self._look()
        self._trusted = _trusted(settings)

    def reload(self) -> None:
        """Use the files as they are now; what cannot be used is said in the log, and the old ones stay."""
        self._state = self._look()
        try:
            context = _server_context(self._settings)  # all files belong together, or nothing changes
            client_context = None if self.client_context is None else _client_context(self._settings)
            trusted = _trusted(self._settings)
        except BadCertificate as error:
            _log.warning("the certificates of the OpenADR 2.0b listener were not renewed", why=str(error))
            return
        self.context.renew(context)
        if self.client_context is not None and client_context is not None:
            self.client_context.renew(client_context)
        _log.info("certificates of the OpenADR 2.0b listener renewed")
        if trusted != self._trusted:
            self._trusted = trusted
            self._on_distrust()

    async def follow(self) -> None:
        """Check the files at intervals, and reload them when they have changed."""
        while True:
            await asyncio.sleep(self._settings.watch_s)
            if self._look() != self._state:
                self.reload()

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for file in _files(self._settings):
            try:
                state = file.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)


class Peers:
    """Tell the fingerprint of who sends a request: that of its connection, or of what a trusted proxy hands on.

    It is worked out once for a connection, and for what the proxy says while that is remembered.
    """

    def __init__(self, settings: V20b) -> None:
        from ipaddress import ip_network  # noqa: PLC0415 (few servers need it)

        self._header = settings.proxy_header
        self._proxies = tuple(ip_network(entry) for entry in settings.trusted_proxies)
        self._known: WeakKeyDictionary[Any, tuple[str, float]] = WeakKeyDictionary()
        self._handed: LruCache[bytes, str] = LruCache(_REMEMBERED)
        self._trusted: LruCache[str, bool] = LruCache(_ADDRESSES)

    def fingerprint(self, request: web.Request) -> str:
        """Return the fingerprint of the certificate (B-SEC-005).

        Raises Forbidden (it expired while the connection was open, or the request came past the proxy) and
        Unauthenticated (there is none).
        """
        return self._handed_on(request) if self._proxies else self._shown(request)

    def certificate(self, request: web.Request) -> bytes:
        """Return the certificate itself as DER, of a request that has a fingerprint; raises Unauthenticated."""
        if self._proxies:
            return _der_in(request.headers.get(self._header, ""))
        transport = request.transport
        connection: Any = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if connection is None else connection.getpeercert(binary_form=True)
        if not isinstance(der, bytes):
            raise Unauthenticated("a certificate is needed")
        return der

    def _shown(self, request: web.Request) -> str:
        transport = request.transport
        connection: Any = None if transport is None else transport.get_extra_info("ssl_object")
        if transport is None or connection is None:
            raise Unauthenticated("a certificate is needed")
        known = self._known.get(connection)
        if known is None:
            der, described = connection.getpeercert(binary_form=True), connection.getpeercert()
            if der is None:
                raise Unauthenticated("a certificate is needed")
            known = self._known[connection] = fingerprint.of(der), _end_of(described)
        if time.time() > known[1]:
            raise Forbidden("the certificate has expired")
        return known[0]

    def _handed_on(self, request: web.Request) -> str:
        """Read the proxy's header; nobody else may speak for a VEN (B-SEC-007)."""
        if not self._is_trusted(request.remote or ""):
            raise Forbidden("requests are taken from the proxy only")
        texts = request.headers.getall(self._header, [])
        if len(texts) != 1 or not texts[0]:
            raise Unauthenticated("a certificate is needed")
        text = texts[0][:_LONGEST_HEADER]
        key = blake2b(text.encode(errors="surrogateescape"), digest_size=32).digest()
        found = self._handed.get(key)
        if found is None:
            found = fingerprint.of(_der_in(text))
            self._handed.put(key, found)
        return found

    def _is_trusted(self, remote: str) -> bool:
        """Return True if an address is that of a proxy."""
        from ipaddress import ip_address  # noqa: PLC0415 (few servers need it)

        known = self._trusted.get(remote)
        if known is None:
            try:
                address = ip_address(remote.partition("%")[0])
            except ValueError:
                return False
            known = any(address in network for network in self._proxies)
            self._trusted.put(remote, known)
        return known


def _der_in(header: str) -> bytes:
    """Return the certificate that a proxy hands on, as DER; raises Unauthenticated."""
    try:
        return ssl.PEM_cert_to_DER_cert(unquote(header[:_LONGEST_HEADER]).replace("\t", "\n"))
    except (ValueError, TypeError):
        raise Unauthenticated("the proxy hands on no certificate that can be read") from None


def _server_context(settings: V20b) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _set_ciphers(context, settings)
    _load(context, settings, _pairs(settings))
    return context


def _client_context(settings: V20b) -> ssl.SSLContext:
    """Return a context that trusts the authorities of VENs. Who a VEN is, its fingerprint says, not its host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    _set_ciphers(context, settings)
    _load(context, settings, _pairs_for_vens(settings))
    return context


def _pairs(settings: V20b) -> list[tuple[Path, Path]]:
    """Return the certificates of the listener with their keys."""
    both = (settings.cert, settings.key), (settings.rsa_cert, settings.rsa_key)
    return [(cert, key) for cert, key in both if cert is not None and key is not None]


def _pairs_for_vens(settings: V20b) -> list[tuple[Path, Path]]:
    """Return the certificates that VENs are shown when they are called, with their keys."""
    push = settings.push
    if push is None or push.cert is None or push.key is None:
        return _pairs(settings)
    return [(push.cert, push.key)]


def _set_ciphers(context: ssl.SSLContext, settings: V20b) -> None:
    try:
        context.set_ciphers(settings.ciphers)
    except ssl.SSLError as error:
        raise BadCertificate(f"v20b.ciphers: OpenSSL knows no cipher of TLS 1.2 under {settings.ciphers!r}") from error


def _load(context: ssl.SSLContext, settings: V20b, pairs: list[tuple[Path, Path]]) -> None:
    for cert, key in pairs:
        try:
            load_pair(context, cert, key)
        except ssl.SSLError as error:
            raise BadCertificate(f"{cert} and {key} are not a certificate with its key: {error.reason}") from error
        except OSError as error:
            raise BadCertificate(f"cannot read the certificate {cert} or its key {key}: {error.strerror}") from error
    for file, what in ((settings.ca, "certificate of an authority"), (settings.crl, "list of revoked certificates")):
        if file is None:
            continue
        try:
            context.load_verify_locations(file)
        except ssl.SSLError as error:
            raise BadCertificate(f"{file} has no {what}: {error.reason}") from error
        except OSError as error:
            raise BadCertificate(f"cannot read {file}: {error.strerror}") from error
    if settings.crl is not None:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF


def _trusted(settings: V20b) -> tuple[bytes, ...]:
    """Return what says whose certificates are taken: the authorities, and what they revoked."""
    try:
        return tuple(file.read_bytes() for file in (settings.ca, settings.crl) if file is not None)
    except OSError as error:
        raise BadCertificate(f"cannot read {error.filename}: {error.strerror}") from error


def _files(settings: V20b) -> list[Path]:
    every = (settings.cert, settings.key, settings.rsa_cert, settings.rsa_key, settings.ca, settings.crl)
    push = () if settings.push is None else (settings.push.cert, settings.push.key)
    return [file for file in (*every, *push) if file is not None]


def _end_of(described: Any) -> float:
    """Return when a certificate ends, in seconds since 1970."""
    end = (described or {}).get("notAfter")
    return float(ssl.cert_time_to_seconds(end)) if isinstance(end, str) else float("inf")
