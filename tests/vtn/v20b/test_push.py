"""Pushing to VENs that serve over mutual TLS themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from openadr_profiles.v20b.signing import SigningKey, sign, verify
from tests.support.pki import Pki, TlsFiles
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import Moment, VtnUnderTest
from tests.vtn.v20b.conftest import Enrol, v20b_settings
from tests.vtn.v20b.pushed_ven import PushedVen, answered, pushed_ven
from tests.vtn.v20b.scripted_ven import element, of, payload
from tests.vtn.v20b.telling import accept, levels, told
from tests.vtn.v20b.test_reports import description, metadata, register, requested
from tests.vtn.v20b.test_signatures import vtn_fingerprint
from vtn.api.v20b.push_address import PushAddresses
from vtn.store.v20b.event_tables import oadr20b_deliveries
from vtn.v20b_settings import V20bPush

PUSH = {
    "allowed": ["127.0.0.1"],
    "first_retry_s": 0.05,
    "longest_retry_s": 0.2,
    "alarm_after": 3,
    "timeout_s": 10,
    "at_once": 8,
}

_DUE = select(oadr20b_deliveries.c.event_id).where(oadr20b_deliveries.c.due_at.is_not(None))

MakePushed = Callable[..., Awaitable[PushedVen]]


def pushing_settings(url: str, pki: Pki, **members: Any) -> Any:
    """Settings of a VTN that pushes, with a certificate of its own for that."""
    shown = pki.client("vtn")
    push = PUSH | {"cert": shown.certificate, "key": shown.key} | members
    return settings_for(url, v20b=v20b_settings(pki, push=push, poll_s=1, polls_allowed=1000, telemetry=False))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pushing_vtn(shared_url_20b: str, pki: Pki) -> AsyncIterator[VtnUnderTest]:
    """One VTN for this module that pushes. Its clock stands at the present, for signatures."""
    now = Moment()
    now.at = datetime.now(UTC)
    vtn = VtnUnderTest(pushing_settings(shared_url_20b, pki), now)
    await vtn.start()
    yield vtn
    await vtn.stop()


@pytest.fixture
def vtn(pushing_vtn: VtnUnderTest, vtn20: VtnUnderTest) -> VtnUnderTest:
    """That VTN on an empty database, which the other one has made empty."""
    return pushing_vtn


@pytest_asyncio.fixture(loop_scope="session")
async def pushed(vtn: VtnUnderTest, ven20: Enrol, pki: Pki) -> AsyncIterator[MakePushed]:
    """Make VENs that serve, registered for push unless told otherwise."""
    made: list[PushedVen] = []

    async def make(*, registered: bool = True, **given: Any) -> PushedVen:
        ven = await pushed_ven(vtn, ven20, pki, **given)
        made.append(ven)
        if registered:
            assert (await ven.register()).code == "200"
            await ven.got("oadrRegisterReport")
        return ven

    yield make
    for ven in made:
        ven.gate.set()
        await ven.close()


async def test_all_that_a_poll_would_bring_is_pushed(vtn: VtnUnderTest, pushed: MakePushed) -> None:
    """B-TRN-005, B-POL-003, B-EVT-006, B-RPT-007, B-RPT-010: each to its service, once, and the answers count."""
    ven, bl = await pushed(), vtn.bl
    assert (await ven.got("oadrRegisterReport")).service == "EiReport"
    assert (await register(ven.ven, metadata(description("p")))).code == "200"
    program = await bl.program()
    asking = [{"payloadType": "DEMAND", "readingType": "MEAN", "repeat": -1}]
    made = await bl.event(program, **levels(vtn, 1, reportDescriptors=asking))
    distribution = await ven.got("oadrDistributeEvent")
    assert distribution.service == "EiEvent"
    assert distribution.reply.text("ei:eiResponse") is None
    (event,) = told(distribution.reply)
    assert (event.id, event.number, event.values) == (made["id"], 0, {"SIMPLE": [1]})
    await accept(ven.ven, [event])
    asked = await ven.got("oadrCreateReport")
    assert [r_ids for _, _, r_ids in requested(asked.reply)] == [["p"]]
    (await bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn, 2))).ok()
    (changed,) = told((await ven.got("oadrDistributeEvent", 2)).reply)
    assert (changed.number, changed.values) == (1, {"SIMPLE": [2]})
    await ven.got("oadrCancelReport")
    await accept(ven.ven, [changed])
    (await bl.delete(f"/events/{made['id']}")).ok()
    (cancelled,) = told((await ven.got("oadrDistributeEvent", 3)).reply)
    assert (cancelled.number, cancelled.status) == (2, "cancelled")
    await accept(ven.ven, [cancelled])
    for order, message in (("REREGISTER", "oadrRequestReregistration"), ("CANCEL", "oadrCancelPartyRegistration")):
        (await bl.post("/vens_20b/orders", {"venName": ven.name, "order": order})).ok()
        assert (await ven.got(message)).service == "EiRegisterParty"

    async def has_ended() -> bool:
        (known,) = (await bl.get("/vens_20b", {"venName": ven.name})).ok()
        return not known["registered"] and not known["push"]

    await wait_until(has_ended, timeout_s=30)
    once = ("oadrCreateReport", "oadrCancelReport", "oadrRequestReregistration", "oadrCancelPartyRegistration")
    assert sorted(ven.names) == sorted(["oadrRegisterReport", *["oadrDistributeEvent"] * 3, *once])


async def test_a_report_that_is_wanted_no_more_is_cancelled_by_a_push(vtn: VtnUnderTest, pushed: MakePushed) -> None:
    """B-TRN-005, B-RPT-015: when no event asks, as at the last look before the first one that did."""
    ven, program = await pushed(), await vtn.bl.program()
    assert (await register(ven.ven, metadata(description("p")))).code == "200"
    await vtn.bl.event(program, **levels(vtn, 1, minutes=300))
    await ven.got("oadrDistributeEvent")
    made = await vtn.bl.event(program, **levels(vtn, 1), reportDescriptors=[{"payloadType": "DEMAND"}])
    asked = await ven.got("oadrCreateReport")
    (await vtn.bl.put(f"/events/{made['id']}", {"programID": program["id"]} | levels(vtn, 2))).ok()
    cancelled = await ven.got("oadrCancelReport")
    assert cancelled.reply.texts("ei:reportRequestID") == [requested(asked.reply)[0][0]]


@pytest.mark.parametrize("response_required", ["always", "never"])
async def test_what_did_not_reach_a_ven_is_sent_again_when_it_is_back(
    vtn: VtnUnderTest, pushed: MakePushed, response_required: str
) -> None:
    """B-TRN-005, B-POL-004: with an alarm meanwhile, and others are told at once."""
    dead, other = await pushed(), await pushed()
    await dead.close()
    policy = [{"type": "OADR20B_RESPONSE_REQUIRED", "values": [response_required]}]
    made = await vtn.bl.event(await vtn.bl.program(attributes=policy), **levels(vtn, 1))
    assert [event.id for event in told((await other.got("oadrDistributeEvent")).reply)] == [made["id"]]
    metrics = vtn.server._metrics
    assert metrics is not None
    await wait_until(lambda: b"oadr_vtn_20b_unreached 1.0" in metrics.text(), timeout_s=30)
    await dead.serve()
    assert [event.id for event in told((await dead.got("oadrDistributeEvent")).reply)] == [made["id"]]
    await wait_until(lambda: b"oadr_vtn_20b_unreached 0.0" in metrics.text(), timeout_s=30)
    assert told(other.pushed[-1].reply)[0].text("oadr:oadrResponseRequired") == response_required
    if response_required == "always":
        vtn.now.pass_(seconds=4)
        await other.got("oadrDistributeEvent", 2)
        return

    async def nothing_is_due() -> bool:
        return not await vtn.server._database.rows(_DUE)

    await wait_until(nothing_is_due, timeout_s=30)
    assert other.names.count("oadrDistributeEvent") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        503,
        307,
        b"",
        b"no XML",
        b"<!DOCTYPE x>" + answered("oadrResponse"),
        b" " * (1 << 20) + answered("oadrRegisteredReport"),
        answered("oadrResponse"),
        payload(element("oadrPoll", of("ei:venID", "x"))),
        answered("oadrRegisteredReport", of("ei:venID", "somebody else's")),
    ],
)
async def test_an_answer_that_is_wrong_acknowledges_nothing(
    vtn: VtnUnderTest, pushed: MakePushed, wrong: bytes | int
) -> None:
    """B-TRN-003, B-TRN-005, B-GEN-005: the same message comes again, and what is behind it after it."""
    ven = await pushed(registered=False)
    ven.script.extend([wrong, wrong])
    await ven.register()
    first, last = await ven.got("oadrRegisterReport"), await ven.got("oadrRegisterReport", 3)
    assert first.reply.text("pyld:requestID") == last.reply.text("pyld:requestID")
    await vtn.bl.event(await vtn.bl.program(), **levels(vtn, 1))
    await ven.got("oadrDistributeEvent")
    assert ven.names == ["oadrRegisterReport"] * 3 + ["oadrDistributeEvent"]


async def test_a_refusal_of_events_has_them_sent_again(vtn: VtnUnderTest, pushed: MakePushed) -> None:
    """B-TRN-005: an oadrResponse with an error is no acknowledgement; an answer of another kind of message is one."""
    ven = await pushed()
    ven.script.append(answered("oadrResponse", of("ei:venID", ven.ven.ven_id), code="454"))
    await vtn.bl.event(await vtn.bl.program(), **levels(vtn, 1))
    assert told((await ven.got("oadrDistributeEvent", 2)).reply)[0].number == 0


async def test_a_stranger_at_the_address_of_a_ven_is_told_nothing(
    vtn: VtnUnderTest, pushed: MakePushed, pki: Pki
) -> None:
    """B-SEC-006: a certificate of the same authority that is not enrolled for this VEN."""
    ven = await pushed()
    await ven.close()
    failed = failures(vtn)
    await ven.serve(pki.server())
    await vtn.bl.event(await vtn.bl.program(), **levels(vtn, 1))
    await wait_until(lambda: failures(vtn) >= failed + 2, timeout_s=30)
    assert ven.names == ["oadrRegisterReport"]
    await ven.close()
    await ven.serve()
    await ven.got("oadrDistributeEvent")


async def test_a_ven_has_one_message_under_way(vtn: VtnUnderTest, pushed: MakePushed) -> None:
    """B-TRN-005: and what changes meanwhile is told afterwards, of others at once."""
    ven, other = await pushed(), await pushed()
    ven.gate.clear()
    program = await vtn.bl.program()
    await vtn.bl.event(program, **levels(vtn, 1))
    await ven.got("oadrDistributeEvent")
    await other.got("oadrDistributeEvent")
    late = await vtn.bl.event(program, **levels(vtn, 1, minutes=300))
    assert late["id"] in {event.id for event in told((await other.got("oadrDistributeEvent", 2)).reply)}
    assert (ven.at_once, ven.names.count("oadrDistributeEvent")) == (1, 1)
    ven.gate.set()
    assert late["id"] in {event.id for event in told((await ven.got("oadrDistributeEvent", 2)).reply)}


async def test_one_of_two_servers_pushes_and_the_other_goes_on(
    vtn: VtnUnderTest, pushed: MakePushed, shared_url_20b: str, pki: Pki
) -> None:
    """B-TRN-005: nothing comes twice, and what the first had under way when it ended is sent by the second."""
    ven = await pushed()
    other = VtnUnderTest(pushing_settings(shared_url_20b, pki), vtn.now)
    await other.start()
    program = await vtn.bl.program()
    await vtn.bl.event(program, **levels(vtn, 1))
    await accept(ven.ven, told((await ven.got("oadrDistributeEvent")).reply))
    ven.gate.clear()
    made = await vtn.bl.event(program, **levels(vtn, 2, minutes=300))
    await ven.got("oadrDistributeEvent", 2)
    await vtn.server.services.stop()
    ven.gate.set()
    assert ven.names.count("oadrDistributeEvent") == 2
    vtn.now.pass_(seconds=10)
    events = told((await ven.got("oadrDistributeEvent", 3)).reply)
    assert made["id"] in {event.id for event in events}
    await other.stop()
    vtn.server.services.start()


async def test_signed_messages_are_pushed_to_who_signs(vtn: VtnUnderTest, pushed: MakePushed) -> None:
    """B-SEC-008 … B-SEC-011: and only signed answers count."""
    ven = await pushed(registered=False, signs=True)

    def signing(files: TlsFiles) -> Callable[[bytes], bytes]:
        key = SigningKey(files.key.read_bytes(), files.certificate.read_bytes())
        return lambda body: sign(body, key, now=vtn.now())

    ven.ven.sealed = signing(ven.client_files)
    assert (await ven.register(signature="true")).code == "200"
    await ven.got("oadrRegisterReport", 2)
    ven.sealed = signing(ven.files)
    await vtn.bl.event(await vtn.bl.program(), **levels(vtn, 1))
    raw = (await ven.got("oadrDistributeEvent")).reply.raw
    assert verify(raw, {vtn_fingerprint(vtn)}, now=vtn.now()).received.name == "oadrDistributeEvent"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1", "https"),
        ("https://user:secret@127.0.0.1", "user"),
        ("https://10.1.2.3", "may not go to"),
        ("https://[::1]", "may not go to"),
        ("https://127.0.0.1:22", "port 22"),
        ("https://127.0.0.1/a?b=c", "query"),
        ("127.0.0.1:8443", "https"),
        ("https://127.0.0.1/" + "x" * 1000, "1000 characters"),
    ],
)
async def test_an_address_is_judged_before_it_is_stored(
    vtn: VtnUnderTest, pushed: MakePushed, address: str, words: str
) -> None:
    """B-REG-006: refused in words, and nothing is stored."""
    ven = await pushed(registered=False)
    reply = await ven.register(address=address)
    assert reply.code == "454"
    said = reply.text(".//ei:responseDescription") or ""
    assert said.startswith("oadrTransportAddress: ")
    assert words in said
    assert (await ven.ven.query()).text("ei:registrationID") is None


@pytest.mark.parametrize(("found", "words"), [(["10.0.0.1"], "may not be called"), (OSError(), "cannot be found")])
async def test_a_host_is_judged_by_its_addresses(found: Any, words: str) -> None:
    """B-REG-006."""

    async def lookup(_host: str, _port: int) -> list[str]:
        if isinstance(found, Exception):
            raise found
        return list(found)

    addresses = PushAddresses(V20bPush(), lookup=lookup)
    assert words in (await addresses.problem_of_host("https://ven.example") or "")


def failures(vtn: VtnUnderTest) -> float:
    """Return how many attempts to push failed so far."""
    metrics = vtn.server._metrics
    assert metrics is not None
    (line,) = [each for each in metrics.text().decode().splitlines() if each.startswith("oadr_vtn_20b_pushes_failed")]
    return float(line.split()[-1])
