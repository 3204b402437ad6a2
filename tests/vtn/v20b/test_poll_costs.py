"""Count what a poll costs while nothing happens."""

from __future__ import annotations

import pytest

from openadr_profiles.v20b.messages import Message, Poll
from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest
from tests.vtn.statements import Statements
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.scripted_ven import element, of, payload
from tests.vtn.v20b.telling import accept, levels, polled, told
from tests.vtn.v20b.test_reports import requested, with_telemetry
from vtn.api.v20b.counts import Counts20b
from vtn.api.v20b.wire import MessageWire
from vtn.counters import revisions
from vtn.v20b_settings import V20b


async def test_an_empty_poll_asks_the_database_nothing(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-POL-002: all that it looks at is remembered until it changes, not only for a moment; a change is seen."""
    monkeypatch.setattr(revisions, "MOMENT_S", -1.0)  # what is remembered for a moment only is forgotten at once
    ven = await ven20(vtn20)
    await ven.poll()
    await ven.acknowledge_reports()

    async def nothing_is_asked() -> bool:
        with Statements(vtn20) as statements:
            reply = await ven.poll()
        assert (reply.name, reply.code) == ("oadrResponse", "200")
        return not statements.sent

    await wait_until(nothing_is_asked)  # on a busy machine other hosts may not be heard for a moment
    await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    assert len(await polled(ven)) == 1


async def test_a_change_that_asks_for_no_report_costs_who_reports_nothing(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-RPT-007: neither other events nor other VENs have it looked through again; an event that asks does."""
    monkeypatch.setattr(revisions, "MOMENT_S", -1.0)
    ven, _ = await with_telemetry(vtn20, ven20)
    program = await vtn20.bl.program()

    async def nothing_is_looked_through() -> bool:
        with Statements(vtn20) as statements:
            while (reply := await ven.poll()).name != "oadrResponse":
                if reply.name == "oadrDistributeEvent":
                    await accept(ven, told(reply))
                else:
                    await ven.acknowledge_reports()
        return not any("oadr20b_capabilities.content" in text for text in statements.texts)

    await wait_until(nothing_is_looked_through)
    for _ in range(2):
        await vtn20.bl.event(program, **levels(vtn20, 1))
        await with_telemetry(vtn20, ven20)  # an event is made that carries its values
    await wait_until(nothing_is_looked_through, timeout_s=0)

    asking = await vtn20.bl.event(program, **levels(vtn20, 1), reportDescriptors=[{"payloadType": "DEMAND"}])
    await accept(ven, await polled(ven))
    assert len(requested(await ven.poll())) == 1
    assert (await vtn20.bl.delete(f"/events/{asking['id']}")).status == 200
    await accept(ven, await polled(ven))
    await wait_until(nothing_is_looked_through)


async def test_a_poll_that_is_repeated_is_read_once() -> None:
    """B-POL-002: what a VEN sends every few seconds is the same, byte for byte; nothing else is kept."""
    wire = MessageWire(V20b(enabled=False), None, Counts20b(None))

    async def read(message: str) -> Message:
        return await wire.read(payload(message), "", None)

    polls = [await read(element("oadrPoll", of("ei:venID", ven_id))) for ven_id in ("1", "1", "2")]
    assert polls == [Poll(ven_id="1"), Poll(ven_id="1"), Poll(ven_id="2")]
    assert polls[0] is polls[1]
    others = [await read(element("oadrQueryRegistration", of("pyld:requestID", "q"))) for _ in range(2)]
    assert others[0] == others[1]
    assert others[0] is not others[1]
