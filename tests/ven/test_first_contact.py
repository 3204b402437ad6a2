"""A home and a VTN that does not want it, or cannot prove who it is."""

import asyncio
from pathlib import Path

import pytest

from bench.support.net import free_port
from openadr_client.client import VtnClient
from openadr_client.clock import ManualClock, SystemClock
from openadr_client.errors import BadCertificateFile, Conflict, Unauthorized, UntrustedServer
from openadr_client.pooled_transport import PooledTransport
from openadr_client.short_transport import ShortTransport
from openadr_profiles.v31 import BlVenRequest, VenVenRequest
from tests.support.pki import Pki
from tests.ven.conftest import StartHome
from tests.ven.home import SECRET, Town
from tests.ven.home import town as a_town
from ven.agent import run_ven
from ven.registration import circuit_resources, registration
from ven.settings import VenSettings


async def test_wrong_secret_ends_the_start_with_a_clear_error(town: Town) -> None:
    settings = town.settings(vtn={"url": town.vtn.base_url, "client_id": "home-1", "client_secret": "wrong"})
    with pytest.raises(Unauthorized, match="client home-1 got no token"):
        await run_ven(settings, clock=town.clock)


async def test_name_of_another_client_ends_the_start_with_a_clear_error(town: Town) -> None:
    await town.bl.vens.create(BlVenRequest(client_id="neighbour", ven_name="home-1"))
    home = await town.home()
    with pytest.raises(Conflict, match="venName"):
        await run_ven(home.settings, clock=town.clock)


async def test_vtn_that_is_not_there_is_waited_for(town: Town) -> None:
    home = await town.home()
    await town.close_vtn()
    ready = asyncio.Event()
    task = asyncio.create_task(run_ven(home.settings, clock=town.clock, ready=ready))
    await town.clock.asleep(2)
    assert not ready.is_set()
    await town.reopen_vtn()
    await town.clock.advance(1)
    await asyncio.wait_for(ready.wait(), 120)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_registration_survives_a_race(town: Town, start_home: StartHome) -> None:
    """VENCLIENT-008: two processes of one client register at the same time."""
    home = await town.home()
    async with home.settings.vtn.client(town.clock) as one, home.settings.vtn.client(town.clock) as other:
        wanted = circuit_resources(home.settings.circuits)
        ours, theirs = await asyncio.gather(
            registration(one, home.settings).see_to(wanted), registration(other, home.settings).see_to(wanted)
        )
    assert ours.id == theirs.id
    assert len(await town.bl.resources.search()) == 3


@pytest.mark.parametrize(("rename", "name"), [(False, "old name"), (True, "home-1")])
async def test_ven_is_renamed_only_if_told(town: Town, rename: bool, name: str) -> None:
    """VENCLIENT-008."""
    home = await town.home()
    async with home.settings.vtn.client(town.clock) as client:
        await client.vens.create(VenVenRequest(ven_name="old name"))
        settings = home.settings.model_copy(update={"rename": rename})
        ours = await registration(client, settings).see_to(circuit_resources(settings.circuits))
    assert ours.ven_name == name


async def test_changed_circuit_is_described_anew_and_keeps_its_targets(town: Town) -> None:
    home = await town.home()
    async with home.settings.vtn.client(town.clock) as client:
        await registration(client, home.settings).see_to(circuit_resources(home.settings.circuits))
        before = next(each for each in await town.bl.resources.search() if each.resource_name == "ev")
        changed = [each.model_copy(update={"name": "Wallbox"}) for each in home.settings.circuits]
        await registration(client, home.settings).see_to(circuit_resources(changed))
    after = await town.bl.resources.get(before.id)
    assert ("DESCRIPTION", ("Wallbox",)) in {(each.type, each.values) for each in after.attributes or ()}


async def test_vtn_with_a_known_authority_is_trusted_and_another_is_not(tmp_path: Path, empty_database: Path) -> None:
    """TLS-002, TLS-004, TLS-005: chain and name are verified, nothing falls back to plain text."""
    clock = SystemClock()
    pki = Pki(tmp_path / "pki", now=clock.now)
    files = pki.server()
    tls = {"cert": files.certificate, "key": files.key}
    async with a_town(tmp_path, ManualClock(clock.now()), tls=tls, ca_file=pki.ca, database=empty_database) as town:
        base_url = town.vtn.base_url
        assert base_url.startswith("https://")

        async def programs(**members: object) -> object:
            async with VtnClient(base_url=base_url, client_id="bl", client_secret=SECRET, **members) as client:  # type: ignore[arg-type] # a table of calls
                return await client.programs.search()

        stranger = Pki(tmp_path / "stranger", now=clock.now, name="stranger")
        for transport in (PooledTransport, ShortTransport):
            assert await programs(transport=transport, ca_file=pki.ca) == []
            assert await programs(transport=transport, verify=False) == []
            with pytest.raises(UntrustedServer, match="no trusted TLS connection to https://127"):
                await programs(transport=transport)
            with pytest.raises(UntrustedServer):
                await programs(transport=transport, ca_file=stranger.ca)


async def test_certificate_for_another_name_is_not_trusted(tmp_path: Path, empty_database: Path) -> None:
    """TLS-004."""
    clock = SystemClock()
    pki = Pki(tmp_path / "pki", now=clock.now)
    files = pki.server("elsewhere.example", "127.0.0.2")
    tls = {"cert": files.certificate, "key": files.key}
    async with a_town(tmp_path, ManualClock(clock.now()), tls=tls, ca_file=pki.ca, database=empty_database) as town:
        for transport in (PooledTransport, ShortTransport):
            async with VtnClient(base_url=town.vtn.base_url, ca_file=pki.ca, transport=transport) as client:
                with pytest.raises(UntrustedServer):
                    await client.programs.search()


def test_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_text("not a certificate")
    url = f"https://127.0.0.1:{free_port()}"
    with pytest.raises(BadCertificateFile, match=r"odd\.pem is not a readable file of CA certificates"):
        VtnClient(base_url=url, ca_file=tmp_path / "odd.pem")
    with pytest.raises(BadCertificateFile, match=r"gone\.pem is not a readable"):
        VtnClient(base_url=url, ca_file=tmp_path / "gone.pem")
    with pytest.raises(BadCertificateFile, match=r"odd\.pem: not a certificate with its private key"):
        VtnClient(base_url=url, client_certificate=tmp_path / "odd.pem")


def test_settings_carry_the_certificate_files(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki", now=SystemClock().now)
    files = pki.client("home-1")
    settings = VenSettings.model_validate(
        {
            "vtn": {
                "url": "https://vtn.example/openadr3/3.1.0",
                "ca_file": files.ca,
                "client_certificate": files.certificate,
                "client_key": files.key,
            },
            "ven_name": "home-1",
            "circuits": [{"id": "ev", "breaker_amps": 32, "rated_kw": 7}],
        }
    )
    assert settings.vtn.client(SystemClock()).client_id is None
