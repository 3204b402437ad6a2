"""Preparing a VTN: what is written straight into the tables reads like what came in through the API."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bench import documents
from bench.api import Api
from bench.databases import databases
from bench.errors import Unusable
from bench.processes import Cores
from bench.vtn import ForeignOptions, Vtn, foreign_vtn, own_vtn
from bench.workloads.poll import ASK
from openadr_profiles.v31 import Event, Ven, decode


@pytest.fixture
async def vtn(tmp_path: Path) -> AsyncIterator[Vtn]:
    """Ours, on SQLite, wherever the system puts it."""
    cores = Cores.of_this_machine()
    everywhere = cores.server | cores.others
    with databases("sqlite", everywhere) as stores:
        async with own_vtn(stores, tmp_path, Cores(everywhere, everywhere)) as started:
            yield started


async def everything(reader: Api, target: str) -> list[msgspec.Raw]:
    """All pages of a collection."""
    found: list[msgspec.Raw] = []
    while page := msgspec.json.decode((await reader.read(f"{target}?skip={len(found)}")).body, type=list[msgspec.Raw]):
        found += page
    return found


async def test_own_vtn_holds_what_was_asked_for_and_can_be_asked_as_its_fleet(vtn: Vtn) -> None:
    await vtn.hold_events(150)
    await vtn.hold_vens(60)

    seen = msgspec.json.decode((await vtn.ven.read(ASK)).body, type=list[msgspec.Raw])
    assert len(seen) == documents.SEEN_EVENTS
    first = decode(bytes(seen[0]), Event)
    assert first.targets == (documents.WATCHED,)
    assert first.intervals is not None
    assert len(first.intervals) == documents.INTERVALS
    vens = [decode(bytes(ven), Ven) for ven in await everything(vtn.bl, "/vens")]
    fleet = [ven for ven in vens if ven.client_id.startswith("fleet-")]
    assert len({ven.id for ven in fleet}) == 60
    assert all(f"site-{ven.client_id.removeprefix('fleet-')}" in (ven.targets or ()) for ven in fleet)
    tokens = vtn.fleet(2)
    assert tokens is not None
    (own,) = msgspec.json.decode((await vtn.ven.having(tokens[1]).read("/vens")).body, type=list[Ven])
    assert own.client_id == "fleet-1"


async def test_another_vtn_is_filled_through_its_api_and_left_as_it_was(vtn: Vtn) -> None:
    before = {path: len(await everything(vtn.bl, path)) for path in ("/programs", "/events", "/vens")}
    taken = ForeignOptions(vtn.address.url, vtn.bl.token, vtn.ven.token, "bench-ven")
    with pytest.raises(Unusable, match="must not have a ven yet"):
        async with foreign_vtn(taken):
            pass
    options = ForeignOptions(vtn.address.url, vtn.bl.token, vtn.ven.token, "somebody-else")
    async with foreign_vtn(options) as other:
        await other.hold_events(10)
        await other.hold_events(60)
        await other.hold_vens(5)
        assert len(await everything(other.bl, "/events")) == before["/events"] + 60
        assert len(await everything(other.bl, "/vens")) == before["/vens"] + 6

    assert {path: len(await everything(vtn.bl, path)) for path in before} == before
