"""The VEN of openleadr, an implementation that knows nothing of ours, follows events over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from openleadr import OpenADRClient

from tests.support.pki import Pki
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.v20b.conftest import OPERATOR, fingerprint_of
from tests.vtn.v20b.telling import at, levels
from tests.vtn.v20b.test_answers import said


class Follower:
    """A VEN that opts in to what asks for little, and notes what it was told."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.told: list[tuple[str, int, str]] = []
        client.on_event = client.on_update_event = self.decide

    async def decide(self, event: dict[str, Any]) -> str:
        """Opt in unless the first level is above 2."""
        descriptor = event["event_descriptor"]
        self.told.append((descriptor["event_id"], descriptor["modification_number"], descriptor["event_status"]))
        level = event["event_signals"][0]["intervals"][0]["signal_payload"]
        return "optIn" if level <= 2 else "optOut"

    async def poll(self) -> list[tuple[str, int, str]]:
        """Poll once or twice; return what came."""
        self.told = []
        for _ in range(2):  # the first answer may be the list of reports
            await self.client._poll()
        return self.told


@pytest_asyncio.fixture(loop_scope="session")
async def follower(vtn20: VtnUnderTest, pki: Pki) -> AsyncIterator[Follower]:
    """A registered VEN of openleadr, at the time of the day: it has no other clock."""
    vtn20.now.at = max(vtn20.now.at, datetime.now(UTC).replace(microsecond=0))
    files, stores = pki.client(unique("openleadr")), vtn20.server.stores
    assert stores is not None
    await stores.v20b.vens.enrol(unique("home20b"), by=OPERATOR, fingerprint=fingerprint_of(files))
    client = OpenADRClient(
        ven_name="openleadr",
        vtn_url=f"https://127.0.0.1:{vtn20.server.port_20b}/OpenADR2/Simple/2.0b",
        cert=str(files.certificate),
        key=str(files.key),
        ca_file=str(pki.ca),
        check_hostname=False,
        disable_signature=True,
        show_fingerprint=False,
    )
    await client.create_party_registration()
    assert client.registration_id
    yield Follower(client)
    await client.client_session.close()


async def test_a_ven_of_openleadr_follows_an_event_to_its_end(vtn20: VtnUnderTest, follower: Follower) -> None:
    """B-EVT, B-CRE: told, opted in, changed, opted out, cancelled, confirmed."""
    bl = vtn20.bl
    program = await bl.program()
    assert await follower.poll() == []
    made = await bl.event(program, **levels(vtn20, 1, 2))
    assert await follower.poll() == [(made["id"], 0, "far")]
    assert [each["OPT"] for each in await said(vtn20, made["id"])] == [["OPT_IN"]]
    assert await follower.poll() == []
    vtn20.now.pass_(seconds=1)
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn20, 3))).ok()
    assert await follower.poll() == [(made["id"], 1, "far")]
    assert [each["OADR20B_OPT_TYPE"] for each in await said(vtn20, made["id"])] == [["optIn"], ["optOut"]]
    (await bl.delete(f"/events/{made['id']}")).ok()
    assert await follower.poll() == [(made["id"], 2, "cancelled")]
    vtn20.now.pass_(seconds=100)
    assert await follower.poll() == []


async def test_a_ven_of_openleadr_reads_every_kind_of_signal(vtn20: VtnUnderTest, follower: Follower) -> None:
    """B-EVT-031: prices, dispatch and temperatures with their units, from one event of each."""
    bl = vtn20.bl
    seen: dict[str, Any] = {}

    async def keep(event: dict[str, Any]) -> str:
        seen.update({signal["signal_name"]: signal for signal in event["event_signals"]})
        return "optIn"

    follower.client.on_event = keep
    for type_, units, currency, value in (
        ("PRICE", "KWH", "EUR", 0.25),
        ("DISPATCH_SETPOINT_RELATIVE", "KW", None, -3.5),
        ("CONTROL_SETPOINT", "CELSIUS", None, 21),
    ):
        descriptor = {"payloadType": type_, "units": units} | ({"currency": currency} if currency else {})
        await bl.event(
            await bl.program(),
            payloadDescriptors=[descriptor],
            intervalPeriod={"start": at(vtn20, 60), "duration": "PT1H"},
            intervals=[{"id": 0, "payloads": [{"type": type_, "values": [value]}]}],
        )
    await follower.poll()
    values = {name: signal["intervals"][0]["signal_payload"] for name, signal in seen.items()}
    assert values == {"SIMPLE": values["SIMPLE"], "ELECTRICITY_PRICE": 0.25, "LOAD_DISPATCH": -3.5, "LOAD_CONTROL": 21}
    assert seen["LOAD_DISPATCH"]["measurement"]["unit"] == "W"
    assert seen["LOAD_DISPATCH"]["measurement"]["scale"] == "k"
    assert seen["LOAD_DISPATCH"]["intervals"][0]["duration"] == timedelta(hours=1)


async def test_a_ven_of_openleadr_opts_by_eiopt(vtn20: VtnUnderTest, follower: Follower) -> None:
    """B-OPT-002, B-OPT-008."""
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    await follower.poll()
    vtn20.now.pass_(seconds=1)
    client = follower.client
    opt_id = await client.create_opt(
        "optOut",
        "economic",
        targets=[{"ven_id": client.ven_id}],
        event_id=made["id"],
        modification_number=0,
    )
    assert (await said(vtn20, made["id"]))[-1]["OPT"] == ["OPT_OUT", "economic"]
    vtn20.now.pass_(seconds=1)
    assert await client.cancel_opt(opt_id)
    assert (await said(vtn20, made["id"]))[-1]["OPT"] == ["OPT_IN"]
