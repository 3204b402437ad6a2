"""EiReport when messages come twice, together or late: a value is kept once, and nothing is asked or ended in part."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import aiohttp

from tests.support.pki import Pki
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.v20b.conftest import OPERATOR, Enrol, fingerprint_of
from tests.vtn.v20b.scripted_ven import element, of, payload
from tests.vtn.v20b.telling import at
from tests.vtn.v20b.test_reports import (
    created,
    data,
    description,
    interval,
    metadata,
    register,
    requested,
    update,
    values,
    with_telemetry,
)

START = "2026-06-02T00:00:00Z"


async def test_a_long_message_that_is_repeated_is_kept_once(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-GEN-011, B-RPT-013: also one that is longer than a report is continued to."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    many = [interval(f"2026-06-01T{n // 60:02}:{n % 60:02}:00Z", ("p", n)) for n in range(501)]
    for _ in range(2):
        assert (await update(ven, data(request_id, *many))).code == "200"
    assert len(values((await vtn20.bl.get("/reports")).ok(), "DEMAND")) == 501


async def test_a_first_message_that_comes_several_times_at_once_is_kept_once(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-GEN-011, B-RPT-013: a client that waits no longer asks again on another connection."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    given = data(request_id, interval(START, ("p", 7)), interval(START, ("p", 8)))  # the same start twice, too
    replies = await asyncio.gather(*(update(ven, given) for _ in range(4)))
    assert [reply.code for reply in replies] == ["200"] * 4
    reports = (await vtn20.bl.get("/reports")).ok()
    assert [value for *_, value in values(reports, "DEMAND")] == [8]


async def test_lists_of_reports_that_come_at_once_are_taken_one_after_the_other(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """B-RPT-004: and so are registrations."""
    ven = await ven20(vtn20)
    lists = (register(ven, metadata(description("p", source="meter-1"))) for _ in range(6))
    replies = await asyncio.gather(*lists, *(ven.create(request_id=f"c{number}") for number in range(3)))
    assert [reply.status for reply in replies] == [200] * 9
    assert [reply.code for reply in replies[:6]] == ["200"] * 6


async def test_a_request_that_ends_while_another_one_is_being_ended_is_told_too(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """B-RPT-015: the VEN's answer is to what it was told."""
    ven, _ = await with_telemetry(vtn20, ven20)
    await ven.poll()
    await ven.acknowledge_reports()
    program = await vtn20.bl.program()
    events = [
        await vtn20.bl.event(
            program,
            intervalPeriod={"start": at(vtn20, 60 * length), "duration": f"PT{length}M"},
            intervals=[{"id": 0, "payloads": [{"type": "X", "values": [1]}]}],
            reportDescriptors=[{"payloadType": "DEMAND", "readingType": "MEAN", "repeat": -1}],
        )
        for length in (15, 30)
    ]
    ids = [id_ for id_, _, _ in requested(await ven.poll())]
    await created(ven, *ids)

    (await vtn20.bl.delete(f"/events/{events[0]['id']}")).ok()
    first = (await ven.poll()).texts("ei:reportRequestID")
    (await vtn20.bl.delete(f"/events/{events[1]['id']}")).ok()
    await ven.poll()
    await ven.respond("EiReport", "oadrCanceledReport", "<oadr:oadrPendingReports/>", of("ei:venID", ven.ven_id))
    second = (await ven.poll()).texts("ei:reportRequestID")

    assert (len(first), len(second)) == (1, 1)
    assert {*first, *second} == set(ids)


async def test_unsigned_messages_of_a_ven_that_signs_are_refused_without_a_key_too(
    start_vtn: StartVtn, pki: Pki
) -> None:
    """B-SEC-009: behind a proxy this server may have no certificate of its own."""
    vtn = await start_vtn(v20b={"port": 0, "trusted_proxies": ["127.0.0.0/8"]})
    files = pki.client(unique("ven"))
    assert vtn.server.stores is not None
    await vtn.server.stores.v20b.vens.enrol(
        unique("signer"), by=OPERATOR, fingerprint=fingerprint_of(files), signs=True
    )
    url = f"http://127.0.0.1:{vtn.server.port_20b}/OpenADR2/Simple/2.0b/EiRegisterParty"
    headers = {"Content-Type": "application/xml", "X-Client-Cert": quote(files.certificate.read_text())}
    query = payload(element("oadrQueryRegistration", of("pyld:requestID", "q")))
    async with aiohttp.ClientSession() as session, session.post(url, data=query, headers=headers) as answer:
        assert answer.status == 403
