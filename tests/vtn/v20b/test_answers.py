"""Answers of VENs of OpenADR 2.0b to events, and what becomes of them in OpenADR 3."""

from __future__ import annotations

from typing import Any

import pytest

from openadr_profiles.fleet.status import event_status
from openadr_profiles.v31 import Event, Report, Ven, decode, encode
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.telling import accept, answer, levels, polled, response


async def said(vtn: VtnUnderTest, event_id: str) -> list[dict[str, Any]]:
    """The payloads of each interval of the only opt report on an event, for the whole VEN."""
    (report,) = (await vtn.bl.get("/reports", {"eventID": event_id})).ok()
    assert report["reportName"] == f"opt-{event_id}"
    (resource,) = [each for each in report["resources"] if each["resourceName"] == "AGGREGATED_REPORT"]
    return [
        {payload["type"]: payload["values"] for payload in interval["payloads"]} for interval in resource["intervals"]
    ]


async def test_an_answer_becomes_an_opt_report(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-001, B-CRE-002, 4.6: the VEN is a participant of the event like any other."""
    ven, bl = await ven20(vtn20), vtn20.bl
    made = await bl.event(await bl.program(), **levels(vtn20, 1))
    (event,) = await polled(ven)
    assert (await answer(ven, response(event), request_id="")).code == "200"
    assert await said(vtn20, made["id"]) == [
        {
            "OPT": ["OPT_IN"],
            "OADR20B_OPT_TYPE": ["optIn"],
            "OADR20B_MODIFICATION_NUMBER": [0],
            "OADR20B_RESPONSE_CODE": ["200"],
        }
    ]
    vtn20.now.pass_(seconds=5)
    assert (await answer(ven, response(event, "optOut"))).code == "200"
    first, last = await said(vtn20, made["id"])
    assert (first["OADR20B_OPT_TYPE"], last["OADR20B_OPT_TYPE"], last["OPT"][0]) == (["optIn"], ["optOut"], "OPT_OUT")
    assert "OPT" not in first
    status = event_status(
        decode(encode(made), Event),
        [decode(encode(each), Ven) for each in (await bl.get("/vens")).ok()],
        [],
        [decode(encode(each), Report) for each in (await bl.get("/reports")).ok()],
        at=vtn20.now.at,
    )
    (participant,) = status.participants
    assert (participant.reached, participant.opted_in) == (True, False)


async def test_the_same_answer_again_changes_nothing(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-GEN-011, B-CRE-003."""
    ven = await ven20(vtn20)
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    (event,) = await polled(ven)
    for request_id in (event.request_id, event.request_id, "another"):
        reply = await answer(ven, response(event, request_id=request_id), request_id="r9")
        assert (reply.name, reply.code, reply.request_id) == ("oadrResponse", "200", "r9")
    assert len(await said(vtn20, made["id"])) == 1


async def test_wrong_answers_are_named_and_the_others_count(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-006."""
    ven, bl = await ven20(vtn20), vtn20.bl
    made = [await bl.event(await bl.program(), **levels(vtn20, 1)) for _ in range(2)]
    one, other = sorted(await polled(ven), key=lambda event: event.id)
    reply = await answer(ven, response(one, number=5), response(other), response(one, event_id="nobody's"))
    assert (reply.name, reply.code) == ("oadrResponse", "454")
    assert "modificationNumber is 5, the last one sent is 0" in (reply.text(".//ei:responseDescription") or "")
    assert len(await said(vtn20, other.id)) == 1
    assert (await bl.get("/reports", {"eventID": one.id})).ok() == []
    assert {one.id, other.id} == {each["id"] for each in made}


async def test_an_answer_to_an_unknown_event_is_refused(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-006: 450 before anything was sent, 452 after."""
    ven, stranger = await ven20(vtn20), await ven20(vtn20)
    await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    (event,) = await polled(ven)
    assert (await answer(stranger, response(event))).code == "450"
    await polled(stranger)
    assert (await answer(stranger, response(event, event_id="nobody's"))).code == "452"


async def test_an_answer_without_answers_is_an_error_report(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-005."""
    ven = await ven20(vtn20)
    assert (await answer(ven)).code == "459"
    assert (await answer(ven, code="460")).code == "200"


async def test_an_error_code_rejects_the_event(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-009: code and text are kept, and it is not offered again."""
    ven = await ven20(vtn20)
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    (event,) = await polled(ven)
    reply = await answer(ven, response(event, code="460", description="no such signal here"))
    assert reply.code == "200"
    (only,) = await said(vtn20, made["id"])
    assert only["OADR20B_OPT_TYPE"] == ["rejected"]
    assert only["OPT"] == ["OPT_OUT", "refused with 460: no such signal here"]
    vtn20.now.pass_(seconds=100)
    assert await polled(ven) == []


@pytest.mark.parametrize(("opt", "word"), [("optIn", "cancelConfirmed"), ("optOut", "cannotCancel")])
async def test_an_answer_to_a_cancellation_says_whether_it_is_followed(
    vtn20: VtnUnderTest, ven20: Enrol, opt: str, word: str
) -> None:
    """B-CRE-007, B-CRE-008: as long as the event is there, in its report."""
    ven, bl = await ven20(vtn20, targets=("north",)), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 1))
    await accept(ven, await polled(ven))
    off = {"programID": program["id"], "intervalPeriod": {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}}
    (await bl.put(f"/events/{made['id']}", off | {"intervals": [{"id": 0, "payloads": []}]})).ok()
    (event,) = await polled(ven)
    vtn20.now.pass_(seconds=1)
    assert (await answer(ven, response(event, opt))).code == "200"
    assert [each["OADR20B_OPT_TYPE"] for each in await said(vtn20, made["id"])] == [["optIn"], [word]]


async def test_silence_is_shown_once(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-012."""
    ven = await ven20(vtn20)
    made = await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1, minutes=500))
    for seconds in (30, 60, 120):
        await polled(ven)
        vtn20.now.pass_(seconds=seconds)
    (only,) = await said(vtn20, made["id"])
    assert only["OADR20B_OPT_TYPE"] == ["noResponse"]
    assert "OPT" not in only


async def test_an_answer_to_an_event_that_is_gone_is_accepted(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-007."""
    ven, bl = await ven20(vtn20), vtn20.bl
    made = await bl.event(await bl.program(), **levels(vtn20, 1))
    (event,) = await polled(ven)
    (await bl.delete(f"/events/{made['id']}")).ok()
    assert (await answer(ven, response(event))).code == "200"


async def test_answers_come_in_one_message_or_several(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-CRE-011."""
    ven, bl = await ven20(vtn20), vtn20.bl
    for _ in range(3):
        await bl.event(await bl.program(), **levels(vtn20, 1))
    first, *others = await polled(ven)
    assert (await answer(ven, response(first))).code == "200"
    assert (await answer(ven, *(response(each) for each in others))).code == "200"
    vtn20.now.pass_(seconds=100)
    assert await polled(ven) == []
