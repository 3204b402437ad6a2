"""Tell who an event will reach, as the console says before it is issued."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from tests.vtn.conftest import StartVtn
from tests.vtn.console.large_fleet import large_fleet
from tests.vtn.harness import Session, VtnUnderTest, unique
from vtn.settings import Privacy
from vtn.store.audience import sees_event
from vtn.store.console.choices import ChoiceStore
from vtn.store.console.preview import Audience, AudienceStore
from vtn.store.stamps import stamp
from vtn.store.tables import clients, contacts, vens

TARGETS = ("g1", "g2", "g3")


def store(vtn: VtnUnderTest, *, names: bool = False) -> AudienceStore:
    return AudienceStore(vtn.server._database, vtn.server._stamps, Privacy(), names=names)


def audience(vtn: VtnUnderTest, *targets: str, **members: Any) -> Audience:
    return Audience(targets=targets, starts_at=vtn.now(), **members)


async def ids_of_those_who_see(vtn: VtnUnderTest, its: Audience, *, names: bool) -> set[str]:
    """Ask as pages and evaluations do, who need no more than the vens."""
    sees = sees_event(its.targets, its.program_targets, Privacy(), names=names)
    return {row["id"] for row in await vtn.server._database.rows(select(vens.c.id).where(sees))}


async def heard(vtn: VtnUnderTest, client_id: str, protocol: str = "OpenADR 3.1", **ago: float) -> None:
    row = {"client_id": client_id, "protocol": protocol, "heard_at": stamp(vtn.now() - timedelta(**ago))}
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(contacts).values(row))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("names", [False, True])
async def test_those_who_are_told_are_those_who_see_the_event(
    vtn: VtnUnderTest, start_vtn: StartVtn, seed: int, names: bool
) -> None:
    """For vens, resources, programs and targets at random, compared with a GET of each client (PRIV-003 … PRIV-016)."""
    if names:
        vtn = await start_vtn(v301={"name_targets": True})
    chance = random.Random(seed)

    def some(most: int = 2) -> list[str]:
        return chance.sample(TARGETS, chance.choice((0, *range(most + 1))))

    homes: dict[str, Session] = {}
    called: list[str] = []
    for number in range(5):
        home = vtn.home()
        ven = await vtn.bl.ven_for(home, some())
        homes[ven["id"]] = home
        called.append(ven["venName"])
        for _ in range(number % 3):
            document = {"resourceName": unique("r"), "venID": ven["id"], "clientID": home.client_id, "targets": some()}
            called.append((await vtn.bl.post("/resources", document)).ok(201)["resourceName"])
    found = store(vtn, names=names)
    for _ in range(8):
        program = await vtn.bl.program(targets=some(1))
        targets = [*some(), *chance.sample(list(homes), chance.choice((0, 0, 1))), *chance.sample(called, names)]
        document = {"programID": program["id"], "targets": targets, "intervals": []}
        event = (await vtn.bl.post("/events", document)).ok(201)
        seen = {id_ for id_, home in homes.items() if (await home.get(f"/events/{event['id']}")).status == 200}
        its = audience(vtn, *targets, program_targets=tuple(program.get("targets") or ()))
        totals, page = await found.totals(its), await found.page(its)
        assert {each.ven_id for each in page if each.is_told} == seen
        assert (totals.told, totals.chosen, totals.vens) == (len(seen), len(page), 5)
        assert {each.ven_id for each in await found.recipients(its)} == seen
        assert await ids_of_those_who_see(vtn, its, names=names) == seen


async def test_each_ven_has_its_language_its_channel_and_what_is_in_the_way(vtn: VtnUnderTest) -> None:
    """And what all of them can shed is summed up without those that do not say."""
    far, new, old = vtn.home(), vtn.home(), vtn.home()
    rated = [{"type": "MAX_POWER_CONSUMPTION", "values": [4.5]}]
    far_ven = await vtn.bl.ven_for(far, ["g1"])
    for name, more in (("ev", []), ("pump", [{"type": "SHED_SHARE", "values": [0.5]}])):
        document = {"resourceName": name, "venID": far_ven["id"], "clientID": far.client_id}
        (await vtn.bl.post("/resources", {**document, "attributes": [*rated, *more]})).ok(201)
    await vtn.bl.ven_for(new, ["g1"])
    old_ven = await vtn.bl.ven_for(old, ["g1"])
    await heard(vtn, far.client_id)
    await heard(vtn, old.client_id, "OpenADR 3.0.1", days=2)
    rows = {each.ven_id: each for each in await store(vtn).page(audience(vtn, "g1"))}
    near = rows[far_ven["id"]]
    assert (near.language, near.kw, near.reason, near.resources) == ("3.1", Decimal("6.75"), None, 2)
    assert rows[old_ven["id"]].reason == "UNSEEN"
    totals = await store(vtn).totals(audience(vtn, "g1"))
    assert totals.reasons == {"NEVER_SEEN": 1, "UNSEEN": 1}
    assert totals.languages == {"3.1": 1, "3.0.1": 1, "unknown": 1}
    assert (totals.kw_known, totals.kw_unknown, totals.channels) == (Decimal("6.75"), 2, {"poll": 3})
    assert [each.reason for each in await store(vtn).page(audience(vtn, "g1"), reason="UNSEEN")] == ["UNSEEN"]


async def test_a_suspended_client_does_not_get_it(vtn: VtnUnderTest) -> None:
    home = vtn.home()
    await vtn.bl.ven_for(home, ["g1"])
    row = {"client_id": home.client_id, "role": "VEN", "scopes": "", "secret_hash": "x", "created_at": stamp(vtn.now())}
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(clients).values(row | {"suspended": False}))
        await connection.execute(update(clients).where(clients.c.client_id == home.client_id).values(suspended=True))
    totals = await store(vtn).totals(audience(vtn, "g1"))
    assert (totals.told, totals.chosen, totals.reasons) == (0, 1, {"SUSPENDED": 1})
    assert await store(vtn).recipients(audience(vtn, "g1")) == []


async def test_vens_that_two_events_share_are_counted(vtn: VtnUnderTest) -> None:
    """By targets of vens, of resources and by ids (PRIV-003)."""
    await large_fleet(vtn.server._database, at=stamp(vtn.now()), count=40, circuits=2)
    found = store(vtn)
    others = {"a": ("group:1", "circuit:0"), "b": ("group:2",), "c": ("v00001", "v00002"), "d": ("nobody",)}
    assert await found.shared(audience(vtn, "group:1", "group:3"), others) == {"a": 8, "c": 1}
    assert await found.shared(audience(vtn), others) == {"a": 40, "b": 4, "c": 2}
    assert await found.shared(audience(vtn), {}) == {}


async def test_targets_vens_and_resources_can_be_chosen_by_name(vtn: VtnUnderTest) -> None:
    await large_fleet(vtn.server._database, at=stamp(vtn.now()), count=20, circuits=1)
    choices = ChoiceStore(vtn.server._database, vtn.server._stamps)
    known = await choices.known_targets()
    assert [(each.target, each.vens) for each in known[:2]] == [("circuit:0", 20), ("group:0", 2)]
    found = await choices.vens_called(["house 00003", "v00004", "nobody"])
    assert found == {"house 00003": "v00003", "v00004": "v00004"}
    assert (await choices.resources_called(["c0"]))["c0"] == [("circuit:0",)] * 20
    assert await choices.program_named("none") is None


async def test_nobody_is_counted_where_there_is_nobody(vtn: VtnUnderTest) -> None:
    totals = await store(vtn).totals(audience(vtn))
    assert (totals.vens, totals.chosen, totals.told, totals.kw_known) == (0, 0, 0, None)
