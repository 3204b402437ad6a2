"""Finding VTNs on the local network with multicast DNS (MDNS-008 … MDNS-011).

What is found is told to a person: it never replaces an address in the settings, and gets no credentials by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from openadr_client.errors import LibraryMissing

try:
    from zeroconf import InterfaceChoice, ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
except ModuleNotFoundError as missing:
    raise LibraryMissing(
        f"finding VTNs needs the library {missing.name}: install it with  pip install 'openadr-fleet[mdns]'",
        name=missing.name,
    ) from missing

SERVICE_TYPE: Final = "_openadr3._tcp.local."
_ASK_MS: Final = 2000
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVtn:
    """A VTN as it announces itself; members it does not tell are empty. ``url`` is the address of its API."""

    name: str
    url: str
    version: str
    host: str
    port: int
    addresses: tuple[str, ...]
    program_names: tuple[str, ...]
    requires_auth: bool
    openapi_url: str

    @property
    def is_protected(self) -> bool:
        """Return True if the address uses https."""
        return self.url.startswith("https://")


async def discover(*, wait_s: float = 3.0, interfaces: Sequence[str] | None = None) -> list[FoundVtn]:
    """Return every VTN that answers within ``wait_s``, the highest version first (MDNS-008).

    ``interfaces`` are own addresses to ask from, by default all. Raises OSError where there is no multicast.
    """
    zeroconf = AsyncZeroconf(interfaces=InterfaceChoice.All if interfaces is None else list(interfaces))
    names: set[str] = set()

    def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            names.discard(name)
        else:
            names.add(name)

    browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, handlers=[heard])
    try:
        await asyncio.sleep(wait_s)
        services = [AsyncServiceInfo(SERVICE_TYPE, name) for name in sorted(names)]
        told = await asyncio.gather(*(service.async_request(zeroconf.zeroconf, _ASK_MS) for service in services))
        found = [_found(service) for service, known in zip(services, told, strict=True) if known]
    finally:
        await browser.async_cancel()
        await zeroconf.async_close()
    return sorted(found, key=lambda one: (_order(one.version), one.name), reverse=True)


def _found(service: AsyncServiceInfo) -> FoundVtn:
    """Tolerant of what is missing, and of any letter case (MDNS-011)."""
    told = _texts(service.properties)
    addresses = tuple(service.parsed_scoped_addresses())
    host = (service.server or (addresses[0] if addresses else "")).rstrip(".")
    port = service.port or 443
    base_path = told.get("base_path", "").strip("/")
    return FoundVtn(
        name=service.name.removesuffix(f".{SERVICE_TYPE}"),
        url=told.get("local_url") or f"https://{host}:{port}/{base_path}".rstrip("/"),
        version=told.get("version", ""),
        host=host,
        port=port,
        addresses=addresses,
        program_names=tuple(name for name in told.get("program_names", "").split(",") if name),
        requires_auth=told.get("requires_auth", "true").strip().lower() != "false",
        openapi_url=told.get("openapi_url", ""),
    )


def _texts(properties: Mapping[bytes, bytes | None]) -> dict[str, str]:
    return {
        key.decode(errors="replace").lower(): (value or b"").decode(errors="replace")
        for key, value in properties.items()
    }


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(version))
