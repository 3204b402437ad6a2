"""Announce this server on the local network with multicast DNS (MDNS-001 … MDNS-011). Off unless asked for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

import ifaddr
import structlog
from zeroconf import IPVersion, NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from vtn.errors import Unavailable
from vtn.settings import Settings

_log = structlog.get_logger(__name__)

SERVICE_TYPE: Final = "_openadr3._tcp.local."
_LONGEST_TXT: Final = 255


class Announcement:
    """Announce one instance for each prefix of the API. ``program_names`` gives the names that anybody may know."""

    def __init__(self, settings: Settings, *, port: int, program_names: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._settings = settings
        self._port = port
        self._program_names = program_names
        self._zeroconf: AsyncZeroconf | None = None
        self._announced: list[AsyncServiceInfo] = []

    async def run(self) -> None:
        """Announce the server until cancelled; then withdraw the announcement with goodbye records (MDNS-006).

        That it is not possible here is a warning, no failure (MDNS-010); it is tried again every ``mdns.refresh_s``.
        """
        is_told = False
        try:
            while True:
                try:
                    await (self._begin() if self._zeroconf is None else self.refresh())
                    is_told = False
                except (OSError, NonUniqueNameException, Unavailable) as error:
                    if not is_told:
                        _log.warning("the announcement on the local network is not up to date", why=str(error))
                    is_told = True
                await asyncio.sleep(self._settings.mdns.refresh_s)
        finally:
            await self._withdraw()

    async def _begin(self) -> None:
        addresses, names = self._addresses(), await self._program_names()
        self._zeroconf = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.All)
        try:
            self._announced = self._services(addresses, names)
            for service in self._announced:
                await (await self._zeroconf.async_register_service(service, allow_name_change=True))
        except BaseException:
            await self._withdraw()
            raise

    async def _withdraw(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            try:
                await zeroconf.async_unregister_all_services()
            finally:
                await zeroconf.async_close()

    async def refresh(self) -> None:
        """Announce again what has changed: addresses, and programs (MDNS-006)."""
        if self._zeroconf is None:
            return
        addresses, names = self._addresses(), await self._program_names()
        if addresses != [str(one) for one in self._announced[0].parsed_addresses(IPVersion.All)]:
            await self._zeroconf.async_update_interfaces(interfaces=addresses)
        for before, now in zip(self._announced, self._services(addresses, names), strict=True):
            if (before.properties, before.addresses) != (now.properties, now.addresses):
                now = AsyncServiceInfo(  # noqa: PLW2901 (the same under the name that was settled on)
                    SERVICE_TYPE,
                    before.name,
                    parsed_addresses=addresses,
                    port=self._port,
                    properties=now.properties,
                    server=now.server,
                )
                await (await self._zeroconf.async_update_service(now))
                self._announced[self._announced.index(before)] = now

    def _services(self, addresses: Sequence[str], names: Sequence[str]) -> list[AsyncServiceInfo]:
        settings = self._settings
        host = f"{settings.mdns.host_name or _host_name()}.local"
        origin = f"{'https' if settings.tls else 'http'}://{host}:{self._port}"
        services = []
        for prefix in settings.prefixes:
            version = prefix.rpartition("/")[2]
            properties = {
                "version": version,
                "base_path": prefix.lstrip("/"),
                "local_url": origin + prefix,
                "program_names": _fitting(names, _LONGEST_TXT - len("program_names=")),
                "requires_auth": "True",
                "openapi_url": f"{origin}/openapi.json",
            }
            services.append(
                AsyncServiceInfo(
                    SERVICE_TYPE,
                    f"{settings.mdns.name} {version}.{SERVICE_TYPE}",
                    parsed_addresses=list(addresses),
                    port=self._port,
                    properties=properties,
                    server=f"{host}.",
                )
            )
        return services

    def _addresses(self) -> list[str]:
        """Return the addresses of the server: the one it listens on, or all of this machine."""
        host = "127.0.0.1" if self._settings.host == "localhost" else self._settings.host
        try:
            if not ip_address(host).is_unspecified:
                return [host]
        except ValueError:
            return [socket.gethostbyname(host)]
        found = [
            ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            for adapter in ifaddr.get_adapters()
            for ip in adapter.ips
            if isinstance(ip.ip, str)
        ]
        return [address for address in found if not ip_address(address).is_loopback] or ["127.0.0.1"]


def _fitting(names: Sequence[str], most: int) -> str:
    """Return as many whole names as fit (MDNS-004), without names that contain a comma, which separates them."""
    text = ""
    for name in names:
        longer = f"{text},{name}" if text else name
        if "," in name:
            continue
        if len(longer.encode()) > most:
            break
        text = longer
    return text


def _host_name() -> str:
    return socket.gethostname().partition(".")[0] or "vtn"
