"""Preparing a VTN: what is written straight into the tables reads like what came in through the API."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bench import documents
from bench.api import ApiClient
from bench.databases import databases
from bench.errors import Unusable
from bench.processes import Cores
from bench.vtn import ForeignOptions, Vtn, foreign_vtn, own_vtn
from bench.workloads.poll import ASK
from openadr_profiles.v31 import Event, Report, Ven, decode


@pytest.fixture
async def vtn(tmp_path: Path) -> AsyncIterator[Vtn]:
    """Ours, on SQLite, wherever the system puts it."""
    cores = Cores.of_this_machine()
    everywhere = cores.server | cores.others
    with databases("sqlite", everywhere) as stores:
        async with own_vtn(stores, tmp_path, Cores(everywhere, everywhere)) as started:
            yield started


async def everything(reader: ApiClient, target: str, filters: str = "") -> list[msgspec.Raw]:
    """All pages of a collection."""
    found: list[msgspec.Raw] = []
    while page := msgspec.json.decode(
        (await reader.read(f"{target}?skip={len(found)}&{filters}")).body, type=list[msgspec.Raw]
    ):
        found += page
    return found


async def reports(reader: ApiClient, filters: str = "") -> list[Report]:
    """All reports that a reader finds."""
    return [decode(bytes(each), Report) for each in await everything(reader, "/reports", filters)]


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


async def test_own_vtn_holds_reports_that_read_like_those_of_its_fleet(vtn: Vtn) -> None:
    await vtn.hold_events(60)
    assert await vtn.hold_reports(300)
    assert await vtn.hold_reports(200)

    found = await reports(vtn.bl)
    assert len({report.id for report in found}) == len(found) == 200
    assert [report.created_date_time for report in found] == sorted(
        (report.created_date_time for report in found), reverse=True
    )
    own = await reports(vtn.ven)
    assert {report.id for report in own} == {report.id for report in found if report.client_id == "bench-ven"}
    assert len(own) == 20
    hot = found[-1].event_id
    of_event = await reports(vtn.bl, f"eventID={hot}")
    assert 20 <= len(of_event) < 50
    assert {report.event_id for report in of_event} == {hot}
    (one,) = await reports(vtn.bl, "clientName=name-fleet-7")
    assert one.client_id == "fleet-7"


async def test_reports_of_another_vtn_are_not_filled_in(vtn: Vtn) -> None:
    async with foreign_vtn(ForeignOptions(vtn.address.url, vtn.bl.token, vtn.ven.token, "somebody-else")) as other:
        assert not await other.hold_reports(10)
