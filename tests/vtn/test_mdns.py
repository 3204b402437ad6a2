"""Being found on the local network, over real multicast on this machine (requirements section 13)."""

from __future__ import annotations

import socket

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from openadr_client.discovery import SERVICE_TYPE, FoundVtn, discover
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest, unique
from vtn.mdns import _fitting

on_one_database = pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="session")


@pytest.fixture
def name() -> str:
    """A name that no other test and no neighbour uses."""
    return unique(f"VTN {socket.gethostname()[:12]}")[:40]


async def found(name: str) -> list[FoundVtn]:
    """The instances of that name that answer now."""
    return [one for one in await discover(wait_s=1.3, interfaces=["127.0.0.1"]) if one.name.startswith(name)]


@on_one_database
async def test_a_server_is_found_with_what_it_offers(vtn: VtnUnderTest, start_vtn: StartVtn, name: str) -> None:
    """MDNS-001 … MDNS-003, MDNS-005, MDNS-007, MDNS-008, V301-044: one instance per version of 3.1, public programs."""
    bl = vtn.bl
    open_, _ = await bl.program(), await bl.program(targets=["secret"])
    server = await start_vtn(mdns={"enabled": True, "name": name, "host_name": "testhost"})

    async def both() -> list[FoundVtn]:
        instances = await found(name)
        return instances if len(instances) == 2 else []

    newest, older = await wait_until(both)

    port = server.server.port
    assert (newest.version, older.version) == ("3.1.1", "3.1.0")
    assert older.url == f"http://testhost.local:{port}/openadr3/3.1.0"
    assert not older.is_protected
    assert (older.host, older.port, older.addresses) == ("testhost.local", port, ("127.0.0.1",))
    assert older.program_names == (open_["programName"],)
    assert older.requires_auth
    assert older.openapi_url == f"http://testhost.local:{port}/openapi.json"


@on_one_database
async def test_changes_are_announced_and_the_end_too(vtn: VtnUnderTest, start_vtn: StartVtn, name: str) -> None:
    """MDNS-006: a new program, and good-bye."""
    server = await start_vtn(mdns={"enabled": True, "name": name, "refresh_s": 0.05})
    program = await vtn.bl.program()

    async def told() -> bool:
        return any(program["programName"] in one.program_names for one in await found(name))

    await wait_until(told)
    await server.stop()

    async def gone() -> bool:
        return await found(name) == []

    await wait_until(gone)


@on_one_database
async def test_nothing_is_announced_unless_asked_for(start_vtn: StartVtn) -> None:
    """MDNS-010."""
    assert "mdns" not in (await start_vtn()).server.services.names


async def test_what_others_announce_is_read_tolerantly(name: str) -> None:
    """MDNS-011: members that are missing, words in another letter case."""
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    service = AsyncServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        parsed_addresses=["127.0.0.1"],
        port=8081,
        properties={"Version": "3.1", "requires_auth": "fALSE", "base_path": "/openadr3/3.1.0/"},
        server="other.local.",
    )
    try:
        await (await zeroconf.async_register_service(service))
        (one,) = await wait_until(lambda: found(name))
    finally:
        await zeroconf.async_unregister_all_services()
        await zeroconf.async_close()

    assert (one.version, one.requires_auth, one.program_names) == ("3.1", False, ())
    assert one.url == "https://other.local:8081/openadr3/3.1.0"


async def test_what_was_found_is_not_spoken_to(name: str) -> None:
    """MDNS-009: discovery lists what there is; nobody connects to it, so no credentials can reach it."""
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        service = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{name}.{SERVICE_TYPE}",
            parsed_addresses=["127.0.0.1"],
            port=listener.getsockname()[1],
            properties={"version": "3.1.0", "base_path": "openadr3/3.1.0"},
            server="stranger.local.",
        )
        try:
            await (await zeroconf.async_register_service(service))
            await wait_until(lambda: found(name))
        finally:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_long_list_of_programs_is_cut_between_names() -> None:
    """MDNS-004: in bytes; a name with a comma is left out."""
    assert _fitting(["a", "b,c", "d"], 241) == "a,d"
    assert _fitting(["ä" * 100, "x" * 40, "y"], 241) == "ä" * 100 + "," + "x" * 40
    assert _fitting(["ä" * 100, "x" * 41, "y"], 241) == "ä" * 100
    assert _fitting([], 241) == ""
