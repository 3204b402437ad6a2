"""Callback URLs: which ones may be called at all, and the proof that who is behind one wants to be called.

Subscribers choose these URLs and this server connects to them, so they must not lead into the network it stands in
(WEBHOOK-023 … WEBHOOK-026): the address that was judged is the address that is connected to, whatever a name resolves
to a moment later.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from openadr_profiles.v31 import Invalid, ObjectOperation
from vtn.errors import BadCertificate, TooManyRequests
from vtn.settings import Webhook

Address: TypeAlias = IPv4Address | IPv6Address
Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64: Final = IPv6Network("64:ff9b::/96")
_NUMERIC: Final = re.compile(r"[0-9.]+")
_BODY_LIMIT: Final = 4096
_AT_ONCE: Final = 8
_WAITING: Final = 64


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as this machine knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class _Unreachable(Exception):
    """A callback cannot be called; the text says why, and nothing of what was found there."""


class Callbacks:
    """Judges callback URLs. ``lookup`` gives the addresses of a host name."""

    def __init__(self, settings: Webhook, *, lookup: Lookup = system_lookup) -> None:
        self._settings = settings
        self._lookup = lookup
        self._ssl = None if settings.ca_file is None else _client_context(settings)
        self._networks = tuple(ip_network(entry) for entry in settings.allowed if _is_network(entry))
        self._hosts = frozenset(entry.lower() for entry in settings.allowed if not _is_network(entry))
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def check(self, entries: Iterable[ObjectOperation]) -> None:
        """Raise Invalid for a URL that may not be called, as far as its text tells (WEBHOOK-001, WEBHOOK-025)."""
        for number, entry in enumerate(entries):
            if problem := self._problem(entry.callback_url):
                raise Invalid(_member(number), problem)

    async def verify(self, entries: Sequence[ObjectOperation], known: frozenset[str] = frozenset()) -> None:
        """Ask each distinct URL that is not ``known`` whether it wants to be called; raises Invalid for one that fails.

        With ``verify_echo`` off only the addresses are judged, as far as the name can be resolved.
        """
        asked: dict[str, tuple[int, ObjectOperation]] = {}
        for number, entry in enumerate(entries):
            if entry.callback_url not in known:
                asked.setdefault(entry.callback_url, (number, entry))
        if len(asked) > self._settings.max_urls:
            raise Invalid("objectOperations", f"more than {self._settings.max_urls} different callback URLs")
        if self._waiting + len(asked) > _WAITING:
            raise TooManyRequests("too many callback URLs are being verified; try again later", retry_after_s=5)
        self._waiting += len(asked)
        try:
            verifications = (self._verify(number, entry) for number, entry in asked.values())
            for result in await asyncio.gather(*verifications, return_exceptions=True):
                if result is not None:
                    raise result
        finally:
            self._waiting -= len(asked)

    async def _verify(self, number: int, entry: ObjectOperation) -> None:
        async with self._turn:
            try:
                if self._settings.verify_echo:
                    await self._challenge(entry)
                else:
                    await self._judge_addresses(URL(entry.callback_url))
            except _Unreachable as error:
                raise Invalid(_member(number), f"{entry.callback_url[:200]} {error}") from error

    async def _challenge(self, entry: ObjectOperation) -> None:
        """WEBHOOK-002 … WEBHOOK-007: a random value, which must come back."""
        value = secrets.token_urlsafe(24)
        headers = {"Accept-Encoding": "identity"}
        if entry.bearer_token is not None:
            headers["Authorization"] = f"Bearer {entry.bearer_token}"
        if self._ssl is None:  # reading the system's authorities takes a tenth of a start, and few servers need them
            self._ssl = await asyncio.to_thread(_client_context, self._settings)
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._addresses), ssl=self._ssl, use_dns_cache=False, force_close=True
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                    auto_decompress=False,
                ) as session,
                session.get(
                    URL(entry.callback_url).extend_query(echo=value), headers=headers, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise _Unreachable("was asked to echo a value and did not answer 200")
                body = await _beginning(response)
        except TimeoutError:
            raise _Unreachable("did not answer in time") from None
        except (aiohttp.ClientError, ValueError, OSError):
            raise _Unreachable("cannot be reached, or its certificate is not trusted") from None
        if not _echoes(body, value):
            raise _Unreachable("did not echo the value it was sent in the parameter echo")

    async def _judge_addresses(self, url: URL) -> None:
        host, port = url.host or "", url.port or 443
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._addresses(host, port)
        except (OSError, UnicodeError):
            return  # unknown at present; judged again when it is called

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; all of them must be allowed, so that none bypasses the check."""
        found = await self._lookup(host, port)
        if not found or not all(self._is_allowed(host, ip_address(address.partition("%")[0])) for address in found):
            raise _Unreachable("is at an address that callbacks may not go to")
        return found

    def _problem(self, text: str) -> str | None:
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError:
            return "not a URL"
        if url.scheme != "https" and (self._settings.require_https or url.scheme != "http"):
            return "expected an https URL"
        if url.user is not None or url.password is not None:
            return "a user or password is not allowed in it; use bearerToken"
        if "#" in text:
            return "a fragment is not allowed in it"
        if port in self._settings.denied_ports:
            return f"port {port} is not allowed"
        return self._problem_of_host(host) if host else "the host is missing"

    def _problem_of_host(self, host: str) -> str | None:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            # Numbers that are no address in the usual notation are one in others, which the network would follow.
            return "the host is not an address" if _NUMERIC.fullmatch(host) else None
        return None if self._is_allowed(host, address) else "the address is one that callbacks may not go to"

    def _is_allowed(self, host: str, address: Address) -> bool:
        if self._settings.allow_private_addresses or host.lower() in self._hosts:
            return True
        address = _inner(address)
        return is_public(address) or any(address in network for network in self._networks)


def is_public(address: Address) -> bool:
    """Return True if an address is public: not loopback, private, link-local, reserved or unspecified (WEBHOOK-023)."""
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _echoes(body: bytes, value: str) -> bool:
    """Return True for the value, the value as a JSON text, or an object with it as ``echo`` (WEBHOOK-004)."""
    body = body.strip()
    if body == value.encode():
        return True
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return bool((found.get("echo") if isinstance(found, dict) else found) == value)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) <= _BODY_LIMIT and (chunk := await response.content.read(_BODY_LIMIT)):
        body += chunk
    return bytes(body) if len(body) <= _BODY_LIMIT else b""


class _Resolver(AbstractResolver):
    """Gives connections only the addresses that were judged."""

    def __init__(self, addresses: Callable[[str, int], Awaitable[Sequence[str]]]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._addresses(host, port)
        ]

    async def close(self) -> None:
        """Close the resolver: there is nothing to release."""


def _member(number: int) -> str:
    return f"objectOperations[{number}].callbackUrl"


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry)
    except ValueError:
        return False
    return True


def _client_context(settings: Webhook) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None)
        if settings.ca_file is not None:
            context.load_verify_locations(settings.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise BadCertificate(f"cannot read the authorities in {settings.ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
