"""What a VEN is asked for follows what is wanted: also when that becomes what it was before, or changes meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.pki import Pki
from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest
from tests.vtn.statements import Statements
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.scripted_ven import Reply, ScriptedVen, of
from tests.vtn.v20b.telling import at
from tests.vtn.v20b.test_reports import (
    created,
    data,
    interval,
    requested,
    update,
    with_telemetry,
)
from vtn.counters import revisions
from vtn.store.v20b.reports import ASK, ReportStore20b

ASKS = {"reportDescriptors": [{"payloadType": "DEMAND", "readingType": "MEAN", "repeat": -1}]}


@pytest.fixture(autouse=True)
def _remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "MOMENT_S", -1.0)  # what is remembered for a moment only is forgotten at once


def without_form(vtn: VtnUnderTest) -> dict[str, Any]:
    """Members of an event that has no form in 2.0b, so that a VEN is asked for its reports alone."""
    return {
        "intervalPeriod": {"start": at(vtn, 60), "duration": "PT15M"},
        "intervals": [{"id": 0, "payloads": [{"type": "X", "values": [1]}]}],
    }


async def offering(vtn: VtnUnderTest, ven20: Enrol, **given: Any) -> ScriptedVen:
    """A VEN that agreed to send what it offers, for which nothing waits."""
    ven, _ = await with_telemetry(vtn, ven20, **given)
    assert (await ven.poll()).name == "oadrRegisterReport"
    await ven.acknowledge_reports()
    return ven


async def at_rest(vtn: VtnUnderTest, ven: ScriptedVen) -> None:
    """Poll until the server remembers that the VEN is asked for all that is wanted."""

    async def is_remembered() -> bool:
        with Statements(vtn) as statements:
            assert (await ven.poll()).name == "oadrResponse"
        return not statements.sent

    await wait_until(is_remembered)


async def agreed(ven: ScriptedVen) -> str:
    """The id of the request that the next poll brings, to which the VEN agrees."""
    ((id_, _, _),) = requested(await ven.poll())
    assert (await created(ven, id_)).code == "200"
    return id_


async def stopped(ven: ScriptedVen) -> Reply:
    """Agree that reports end."""
    pending = "<oadr:oadrPendingReports/>"
    return await ven.respond("EiReport", "oadrCanceledReport", pending, of("ei:venID", ven.ven_id))


@pytest.mark.parametrize("how", ["PUT", "DELETE"])
async def test_a_report_that_is_wanted_no_more_is_cancelled_after_a_rest(
    vtn20: VtnUnderTest, ven20: Enrol, how: str
) -> None:
    """B-RPT-015: no event asks then, as before the first one did."""
    ven, program = await offering(vtn20, ven20), await vtn20.bl.program()
    await at_rest(vtn20, ven)
    event = await vtn20.bl.event(program, **without_form(vtn20), **ASKS)
    request_id = await agreed(ven)
    if how == "PUT":
        (await vtn20.bl.put(f"/events/{event['id']}", {"programID": program["id"]} | without_form(vtn20))).ok()
    else:
        (await vtn20.bl.delete(f"/events/{event['id']}")).ok()
    assert (await ven.poll()).texts("ei:reportRequestID") == [request_id]
    await stopped(ven)
    await at_rest(vtn20, ven)


async def test_a_report_that_another_server_asked_for_is_cancelled(vtn20: VtnUnderTest, ven20: Enrol, pki: Pki) -> None:
    """B-RPT-015: by the one that was not polled meanwhile, too."""
    files = pki.client("elsewhere")
    ven, program = await offering(vtn20, ven20, files=files), await vtn20.bl.program()
    await at_rest(vtn20, ven)
    other = VtnUnderTest(vtn20.server.settings, vtn20.now)
    await other.start()
    there = await ven20(other, files=files, enrolled=False)
    there.ven_id = ven.ven_id
    event = await vtn20.bl.event(program, **without_form(vtn20), **ASKS)
    request_id = ""

    async def is_asked() -> bool:
        nonlocal request_id
        found = requested(await there.poll())
        request_id = found[0][0] if found else ""
        return bool(found)

    await wait_until(is_asked, timeout_s=30)
    assert (await created(there, request_id)).code == "200"
    await other.stop()
    (await vtn20.bl.delete(f"/events/{event['id']}")).ok()
    assert (await ven.poll()).texts("ei:reportRequestID") == [request_id]


async def test_what_is_asked_for_while_its_event_goes_is_cancelled(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-RPT-015: and what the other poll found out meanwhile is not relied on."""
    ven, program = await offering(vtn20, ven20), await vtn20.bl.program()
    event = await vtn20.bl.event(program, **without_form(vtn20), **ASKS)
    change, is_deciding, may_go_on = ReportStore20b.change, asyncio.Event(), asyncio.Event()

    async def later(self: ReportStore20b, ven_id: str, **given: Any) -> None:
        is_deciding.set()
        await may_go_on.wait()
        await change(self, ven_id, **given)

    monkeypatch.setattr(ReportStore20b, "change", later)
    polling = asyncio.create_task(ven.poll())
    await is_deciding.wait()
    (await vtn20.bl.delete(f"/events/{event['id']}")).ok()
    await at_rest(vtn20, ven)
    may_go_on.set()
    ((request_id, _, _),) = requested(await polling)
    assert (await ven.poll()).texts("ei:reportRequestID") == [request_id]


async def test_a_report_that_is_wanted_again_while_it_is_cancelled_is_asked_for_again(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """B-RPT-007, B-RPT-015: once the VEN has stopped."""
    ven, program = await offering(vtn20, ven20), await vtn20.bl.program()
    event = await vtn20.bl.event(program, **without_form(vtn20), **ASKS)
    request_id = await agreed(ven)
    plain = {"programID": program["id"]} | without_form(vtn20)
    (await vtn20.bl.put(f"/events/{event['id']}", plain)).ok()
    assert (await ven.poll()).texts("ei:reportRequestID") == [request_id]
    (await vtn20.bl.put(f"/events/{event['id']}", plain | ASKS)).ok()
    assert (await ven.poll()).name == "oadrResponse"
    await stopped(ven)
    assert await agreed(ven) != request_id
    await at_rest(vtn20, ven)


async def test_values_that_come_while_a_report_is_cancelled_do_not_revive_it(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-RPT-015: the VEN is told to stop all the same."""
    ven, program = await offering(vtn20, ven20), await vtn20.bl.program()
    event = await vtn20.bl.event(program, **without_form(vtn20), **ASKS)
    request_id = await agreed(ven)
    updated, is_kept, may_go_on = ReportStore20b.updated, asyncio.Event(), asyncio.Event()

    async def later(self: ReportStore20b, *given: Any, **named: Any) -> None:
        is_kept.set()
        await may_go_on.wait()
        await updated(self, *given, **named)

    monkeypatch.setattr(ReportStore20b, "updated", later)
    sending = asyncio.create_task(update(ven, data(request_id, interval(at(vtn20, 60), ("p", 1), length="PT15M"))))
    await is_kept.wait()
    (await vtn20.bl.put(f"/events/{event['id']}", {"programID": program["id"]} | without_form(vtn20))).ok()
    change, is_decided = ReportStore20b.change, asyncio.Event()

    async def then_values(self: ReportStore20b, ven_id: str, **given: Any) -> None:
        await change(self, ven_id, **given)
        may_go_on.set()
        await sending
        is_decided.set()

    monkeypatch.setattr(ReportStore20b, "change", then_values)
    assert (await ven.poll()).texts("ei:reportRequestID") == [request_id]
    assert (is_decided.is_set(), (await sending).code) == (True, "200")


async def test_a_message_that_gets_a_point_while_it_is_dropped_stays(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-POL-003, B-RPT-007: what two polls at once find and change."""
    ven, program = await offering(vtn20, ven20), await vtn20.bl.program()
    (known,) = (await vtn20.bl.get("/vens")).ok()
    assert vtn20.server.stores is not None
    await vtn20.server.stores.v20b.outbox.put(known["id"], ASK)
    told, has_looked = ReportStore20b.told, False

    async def then_another(self: ReportStore20b, ven_id: str, *, piggyback: bool) -> Any:
        nonlocal has_looked
        found = await told(self, ven_id, piggyback=piggyback)
        if not has_looked:
            has_looked = True
            assert found == []
            await vtn20.bl.event(program, **without_form(vtn20), **ASKS)
            await ven.poll()
        return found

    monkeypatch.setattr(ReportStore20b, "told", then_another)
    assert [r_ids for _, _, r_ids in requested(await ven.poll())] == [["p"]]
    assert has_looked
