"""Templates that repeat: each time is issued once, before it, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest_asyncio
from pydantic import SecretStr
from structlog.testing import capture_logs

from openadr_profiles.v31 import parse_instant
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.harness import VtnUnderTest
from vtn.console.issuing.repeats import LEASE, RepeatIssuer
from vtn.settings import DatabaseSettings
from vtn.store.console.plans import PlanKind, PlanStore
from vtn.store.console.repeats import OccurrenceRow, RepeatStore
from vtn.store.database import Database
from vtn.store.lease import Lease

FORM = {"program": "peaks", "kind": "shed", "value": "2kW", "length": "1h", "shape": "one"}
FORM |= {"who": "some", "targets": "g"}
REPEAT = {"day": ["1", "2", "3", "4", "5", "6", "7"], "clock": "18:00", "zone": "Europe/Berlin", "lead": "2h"}


@pytest_asyncio.fixture(loop_scope="session")
async def morning(console: ConsoleUnderTest) -> ConsoleUnderTest:
    """The console on a Monday at 8:00 UTC, signed in then."""
    vtn = console.vtn
    monday = vtn.now() + timedelta(days=7 - vtn.now().weekday())
    vtn.now.at = monday.replace(hour=8, minute=0, second=0, microsecond=0)
    return await console.as_role("admin")


async def template(console: ConsoleUnderTest, **fields: Any) -> str:
    await console.vtn.bl.post("/programs", {"programName": "peaks"})
    await console.vtn.bl.ven_for(console.vtn.home(), ["g"])
    page = await console.post("/events/new", act="template", name="weekday peak", **{**FORM, **fields})
    assert page.status == 303, page.words
    (plan,) = await plans(console.vtn).all(PlanKind.TEMPLATE)
    return plan.id


def plans(vtn: VtnUnderTest) -> PlanStore:
    return PlanStore(vtn.server._database, vtn.server._stamps)


def repeats(vtn: VtnUnderTest) -> RepeatStore:
    return RepeatStore(vtn.server._database, vtn.server._stamps)


def issuer(vtn: VtnUnderTest, name: str = "a test") -> RepeatIssuer:
    server = vtn.server
    lease = Lease(server._database, server._stamps, name=LEASE, by=name, lease_s=60)
    assert server.stores is not None
    return RepeatIssuer(server.settings, server._database, server._stamps, server.stores.events, lease, vtn.now)


async def keep(console: ConsoleUnderTest, plan_id: str, **fields: Any) -> Page:
    return await console.post("/templates/repeats", plan_id=plan_id, **{**REPEAT, **fields})


async def starts(vtn: VtnUnderTest) -> list[datetime]:
    found = (await vtn.bl.get("/events")).ok()
    return sorted(parse_instant(event["intervalPeriod"]["start"]) for event in found)


async def states(vtn: VtnUnderTest) -> list[str]:
    rows: list[OccurrenceRow] = list(await repeats(vtn).occurrences())
    return sorted(str(row.state) for row in rows)


def next_evening(vtn: VtnUnderTest) -> datetime:
    """18:00 in Berlin: 16:00 UTC in June, 17:00 in December."""
    return (
        vtn.now()
        .astimezone(ZoneInfo("Europe/Berlin"))
        .replace(hour=18, minute=0, second=0, microsecond=0)
        .astimezone(UTC)
    )


async def test_an_event_is_issued_before_each_time_and_once_by_several_servers(morning: ConsoleUnderTest) -> None:
    """By processes that look at the same moment, lease or not (TIME-012)."""
    console = morning
    vtn = console.vtn
    plan_id = await template(console)
    assert (await keep(console, plan_id)).status == 303
    evening = next_evening(vtn)
    vtn.now.at = evening - timedelta(hours=3)
    await issuer(vtn).issue_due()
    assert await starts(vtn) == []
    vtn.now.at = evening - timedelta(hours=1)
    await asyncio.gather(*(issuer(vtn, f"server {number}").issue_due() for number in range(4)))
    assert await starts(vtn) == [evening]
    vtn.now.at = evening + timedelta(hours=23)
    await asyncio.gather(*(issuer(vtn, f"server {number}").issue_due() for number in range(4)))
    assert await starts(vtn) == [evening, evening + timedelta(days=1)]
    assert await states(vtn) == ["ISSUED", "ISSUED"]
    page = await (await console.as_role("operator")).page("/templates")
    assert len(page.cssselect(".badge-good")) == 2


async def test_what_was_missed_is_said_and_not_issued_late(morning: ConsoleUnderTest) -> None:
    console = morning
    vtn = console.vtn
    assert (await keep(console, await template(console))).status == 303
    evening = next_evening(vtn)
    vtn.now.at = evening + timedelta(days=2, hours=23)
    await issuer(vtn).issue_due()
    assert await starts(vtn) == [evening + timedelta(days=3)]
    assert await states(vtn) == ["ISSUED", "MISSED", "MISSED", "MISSED"]
    words = (await (await console.as_role("operator")).get("/templates")).ok().words
    assert "no server issued it before its start; it is not issued late" in words


async def test_a_database_that_does_not_answer_is_waited_for(morning: ConsoleUnderTest) -> None:
    """It is said once, nothing is settled, and the next look issues the event in time."""
    console = morning
    vtn = console.vtn
    assert (await keep(console, await template(console))).status == 303
    vtn.now.at = next_evening(vtn) - timedelta(hours=1)
    server = vtn.server
    assert server.stores is not None
    away = Database(DatabaseSettings(url=SecretStr("postgresql://nobody@127.0.0.1:1/none")))
    lease = Lease(server._database, server._stamps, name=LEASE, by="away", lease_s=60)
    often = server.settings.model_copy(
        update={"safety": server.settings.safety.model_copy(update={"repeat_check_s": 0.01})}
    )
    lost = RepeatIssuer(often, away, server._stamps, server.stores.events, lease, vtn.now)
    with capture_logs() as logs:
        running = asyncio.create_task(lost.run())
        await wait_until(lambda: bool(logs), timeout_s=30, what="the word of the issuer")
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await away.close()
    assert [each["event"] for each in logs] == ["the database does not answer; events of repeats are issued later"]
    assert await states(vtn) == []
    assert await issuer(vtn).issue_due() == 1


async def test_what_cannot_be_issued_any_more_is_refused_and_the_next_time_is_tried(morning: ConsoleUnderTest) -> None:
    console = morning
    vtn = console.vtn
    assert (await keep(console, await template(console))).status == 303
    (program,) = (await vtn.bl.get("/programs")).ok()
    (await vtn.bl.delete(f"/programs/{program['id']}")).ok()
    evening = next_evening(vtn)
    vtn.now.at = evening - timedelta(hours=1)
    await issuer(vtn).issue_due()
    assert await states(vtn) == ["REFUSED"]
    operator = await console.as_role("operator")
    assert "there is no program 'peaks'" in (await operator.get("/templates")).words
    await vtn.bl.post("/programs", {"programName": "peaks"})
    vtn.now.at += timedelta(days=1)
    await issuer(vtn).issue_due()
    assert await starts(vtn) == [evening + timedelta(days=1)]


async def test_a_repeat_is_paused_resumed_and_removed(morning: ConsoleUnderTest) -> None:
    """While it is paused nothing is issued, and nothing is called missed afterwards."""
    console = morning
    vtn = console.vtn
    plan_id = await template(console)
    assert (await keep(console, plan_id)).status == 303
    (row,) = await repeats(vtn).all()
    assert (await console.post(f"/templates/repeats/{row.id}", act="pause")).status == 303
    vtn.now.at = next_evening(vtn) + timedelta(days=3)
    await issuer(vtn).issue_due()
    console = await console.as_role("operator")
    assert (await console.post(f"/templates/repeats/{row.id}", act="resume")).status == 303
    await issuer(vtn).issue_due()
    assert (await starts(vtn), await states(vtn)) == ([], [])
    (row,) = await repeats(vtn).all()
    assert row.starts_at is not None
    assert row.starts_at > vtn.now()
    assert (await console.post(f"/templates/repeats/{row.id}", act="remove")).status == 303
    assert list(await repeats(vtn).all()) == []
    assert (await console.post(f"/templates/{plan_id}/remove")).status == 303
    assert (await console.post(f"/templates/{plan_id}/remove")).status == 404
    assert (await console.post(f"/templates/repeats/{row.id}", act="bomb")).status == 400


async def test_a_repeat_goes_on_after_the_event_that_was_issued_before_its_pause(morning: ConsoleUnderTest) -> None:
    """Paused and resumed between issue and start, it neither issues that time twice nor stops at it (TIME-012)."""
    console = morning
    vtn = console.vtn
    evening = next_evening(vtn)
    assert (await keep(console, await template(console))).status == 303
    vtn.now.at = evening - timedelta(hours=1)
    assert await issuer(vtn).issue_due() == 1
    (row,) = await repeats(vtn).all()
    for act in ("pause", "resume", "resume"):
        assert (await console.post(f"/templates/repeats/{row.id}", act=act)).status == 303
    assert await issuer(vtn).issue_due() == 0
    vtn.now.at = evening + timedelta(hours=23)
    assert await issuer(vtn).issue_due() == 1
    assert await starts(vtn) == [evening, evening + timedelta(days=1)]
    assert await states(vtn) == ["ISSUED", "ISSUED"]


async def test_a_repeat_is_checked_as_an_event_is(morning: ConsoleUnderTest) -> None:
    """Each mistake is named; one for everybody is agreed to by word (O1)."""
    console = morning
    plan_id = await template(console)
    mistakes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"day": []}, "day: none is chosen"),
        ({"day": ["8"]}, "day: none is chosen"),
        ({"clock": "25:00"}, "clock: '25:00' is no time of day"),
        ({"clock": "18:00+01:00"}, "is no time of day"),
        ({"zone": "Mars/Olympus"}, "there is no time zone 'Mars/Olympus'"),
        ({"zone": "../../etc/passwd"}, "there is no time zone"),
        ({"last_day": "tomorrow"}, "is no date"),
        ({"last_day": "2020-01-01"}, "no event starts up to then"),
        ({"lead": "8d"}, "lead: expected at most 7d"),
        ({"lead": "soon"}, "lead: "),
    )
    for fields, problem in mistakes:
        assert problem in (await keep(console, plan_id, **fields)).ok(422).words, problem
    assert (await keep(console, "none")).status == 404
    (await console.post(f"/templates/{plan_id}/remove")).ok(303)
    odd: tuple[tuple[dict[str, Any], str], ...] = (
        ({"value": "99MW"}, "max_kw_per_ven"),
        ({"targets": "nobody"}, "nobody would get it"),
        ({"who": "everybody", "targets": ""}, "expected the word everybody"),
        ({"shape": "csv", "csv": "start,duration,level\n18:00,1h,1"}, "cannot repeat"),
    )
    for typed, problem in odd:
        page = await console.post("/events/new", act="template", name="odd", **{**FORM, **typed})
        assert page.status == 303, page.words
        (plan,) = await plans(console.vtn).all(PlanKind.TEMPLATE)
        assert problem in (await keep(console, plan.id)).ok(422).words, problem
        if "who" in typed:
            assert (await keep(console, plan.id, word="everybody")).status == 303
        await plans(console.vtn).remove(plan.id)
    assert list(await repeats(console.vtn).all()) == []


async def test_a_server_looks_by_itself(morning: ConsoleUnderTest, start_vtn: StartVtn) -> None:
    """Its service issues what is due, under a lease."""
    console = morning
    plan_id = await template(console)
    assert (await keep(console, plan_id)).status == 303
    console.vtn.now.at = next_evening(console.vtn) - timedelta(hours=1)
    console.vtn.now.pass_(minutes=5)
    server = await start_vtn(safety={"repeat_check_s": 0.05})

    async def is_issued() -> bool:
        return len(await starts(server)) == 1

    await wait_until(is_issued)
    assert await states(server) == ["ISSUED"]
