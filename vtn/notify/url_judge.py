"""Callback URLs: which ones may be called at all, and connections that lead nowhere else.

Subscribers choose these URLs and this server connects to them, so they must not lead into the network it stands in
(WEBHOOK-023 … WEBHOOK-026): the address that was judged is the address that is connected to, whatever a name resolves
to a moment later.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from vtn.errors import BadCertificate
from vtn.notification_settings import Webhook

Address: TypeAlias = IPv4Address | IPv6Address
Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOOKUPS_AT_ONCE: Final = 32
_NUMERIC: Final = re.compile(r"[0-9.]+")


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as this machine knows them."""
    look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_lookup_threads(), look)
    return [str(entry[4][0]) for entry in found]


@cache
def _lookup_threads() -> ThreadPoolExecutor:
    """Return threads for lookups alone: a name server that does not answer holds up nothing but other lookups."""
    return ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="lookup")


class NotCallable(Exception):
    """A callback may not be called; the text says why, and nothing of what was found there."""


class UrlJudge:
    """Judges callback URLs, and makes connections to allowed addresses only. ``lookup`` gives those of a host name."""

    def __init__(self, settings: Webhook, *, lookup: Lookup = system_lookup) -> None:
        self.settings: Final = settings
        self._lookup = lookup
        self._ssl = None if settings.ca_file is None else _client_context(settings)
        self._networks = tuple(ip_network(entry) for entry in settings.allowed if _is_network(entry))
        self._hosts = frozenset(entry.lower() for entry in settings.allowed if not _is_network(entry))

    def problem(self, text: str, *, plain: bool = False) -> str | None:
        """Return why a URL may not be called, as far as its text tells (WEBHOOK-001, WEBHOOK-025).

        ``plain`` allows http whatever the settings say.
        """
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError:
            return "not a URL"
        if url.scheme != "https" and ((self.settings.require_https and not plain) or url.scheme != "http"):
            return "expected an https URL"
        if url.user is not None or url.password is not None:
            return "a user or password is not allowed in it; use bearerToken"
        if "#" in text:
            return "a fragment is not allowed in it"
        if port in self.settings.denied_ports:
            return f"port {port} is not allowed"
        return self._problem_of_host(host) if host else "the host is missing"

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; raises NotCallable unless all are allowed: none bypasses the check."""
        found = await self._lookup(host, port)
        if not found or not all(self._is_allowed(host, ip_address(address.partition("%")[0])) for address in found):
            raise NotCallable("is at an address that callbacks may not go to")
        return found

    async def connector(
        self,
        kind: type[aiohttp.TCPConnector] = aiohttp.TCPConnector,
        *,
        context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> aiohttp.TCPConnector:
        """Return a connector that connects to allowed addresses only.

        It trusts the authorities of ``context``, or else those of the settings.
        """
        if context is not None:
            return kind(resolver=_Resolver(self.addresses), ssl=context, use_dns_cache=False, **options)
        if self._ssl is None:  # reading the system's authorities takes a tenth of a start, and few servers need them
            self._ssl = await asyncio.to_thread(_client_context, self.settings)
        return kind(resolver=_Resolver(self.addresses), ssl=self._ssl, use_dns_cache=False, **options)

    def _problem_of_host(self, host: str) -> str | None:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            # Numbers that are no address in the usual notation are one in others, which the network would follow.
            return "the host is not an address" if _NUMERIC.fullmatch(host) else None
        return None if self._is_allowed(host, address) else "the address is one that callbacks may not go to"

    def _is_allowed(self, host: str, address: Address) -> bool:
        if self.settings.allow_private_addresses or host.lower() in self._hosts:
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
