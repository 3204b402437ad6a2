"""EiRegisterParty over TLS, as a VEN meets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from tests.support.pki import Pki
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol, fingerprint_of
from tests.vtn.v20b.scripted_ven import Reply, element, of
from tests.vtn.v20b.test_answers import said
from tests.vtn.v20b.test_opts import an_event, event_of, opt


async def test_a_query_tells_what_is_offered_and_changes_nothing(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-001, B-REG-002, B-REG-004, B-GEN-002, B-GEN-007: ids are told to who is registered."""
    ven = await ven20(vtn20, registered=False)
    for _ in range(2):
        reply = await ven.query("q7")
        assert (reply.name, reply.code, reply.request_id) == ("oadrCreatedPartyRegistration", "200", "q7")
        assert reply.texts(".//oadr:oadrProfileName") == ["2.0b"]
        assert reply.texts(".//oadr:oadrTransportName") == ["simpleHttp"]
        assert reply.text("ei:registrationID") is reply.text("ei:venID") is None
        assert reply.text("ei:vtnID") == "OpenADR-Fleet"
        assert reply.message.get("{http://docs.oasis-open.org/ns/energyinterop/201110}schemaVersion") == "2.0b"
    await ven.create()
    reply = await ven.query()
    assert (reply.text("ei:registrationID"), reply.text("ei:venID")) == (ven.registration_id, ven.ven_id)


async def test_a_registration_gives_ids_and_the_interval_of_polls(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-003, B-REG-004."""
    ven = await ven20(vtn20, registered=False)
    reply = await ven.create(request_id="r2")
    assert (reply.code, reply.request_id) == ("200", "r2")
    assert reply.text(".//oadr:oadrRequestedOadrPollFreq/xcal:duration") == "PT10S"
    assert ven.registration_id
    assert ven.ven_id


async def test_a_registration_is_kept_over_a_restart(vtn20: VtnUnderTest, ven20: Enrol, pki: Pki) -> None:
    """B-REG-003, B-EVT-041: a new process on the same database knows the VEN by its certificate."""
    files = pki.client("restarted")
    ven = await ven20(vtn20, files=files)
    other = VtnUnderTest(vtn20.server.settings, vtn20.now)
    await other.start()
    again = await ven20(other, files=files, enrolled=False)
    assert (await again.query()).text("ei:registrationID") == ven.registration_id
    assert (await again.poll(ven.ven_id)).name == "oadrRegisterReport"
    await other.stop()


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"profile": "2.0a"}, "459", "2.0a is not offered"),
        ({"transport": "xmpp"}, "459", "xmpp is not offered"),
        ({"signature": "true"}, "459", "oadrXmlSignature"),
        ({"registration_id": "nobody's"}, "452", "registrationID"),
        ({"ven_id": "somebody"}, "452", "venID"),
        ({"pull": "false"}, "454", "oadrTransportAddress"),
        ({"pull": "false", "address": "https://ven.example"}, "459", "does not push"),
    ],
)
async def test_what_cannot_be_registered_is_refused_in_words(
    vtn20: VtnUnderTest, ven20: Enrol, given: dict[str, str], code: str, words: str
) -> None:
    """B-REG-005, B-REG-006, B-REG-008, B-SEC-012: a refusal has no registrationID, and nothing is stored."""
    ven = await ven20(vtn20, registered=False)
    reply = await ven.create(request_id="bad", **given)
    assert (reply.name, reply.code, reply.request_id) == ("oadrCreatedPartyRegistration", code, "bad")
    assert words in (reply.text(".//ei:responseDescription") or "")
    assert reply.text("ei:registrationID") is None
    assert (await ven.query()).text("ei:registrationID") is None


async def test_who_names_its_registration_keeps_it(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-007, B-REG-015: settings change, ids do not."""
    ven = await ven20(vtn20)
    before = ven.ven_id, ven.registration_id
    reply = await ven.create(
        request_id="again", registration_id=ven.registration_id, ven_id=ven.ven_id, report_only="true"
    )
    assert reply.code == "200"
    assert (ven.ven_id, ven.registration_id) == before
    assert (await ven.request_events()).code == "451"


async def test_who_lost_its_registration_gets_a_new_one(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-009, B-GEN-011: another one, unless it is the same message once more."""
    ven = await ven20(vtn20)
    first = ven.registration_id
    await ven.create(request_id="lost")
    second = ven.registration_id
    await ven.create(request_id="lost")
    assert first != second == ven.registration_id
    assert (await ven.cancel(first)).code == "452"


async def test_a_cancelled_registration_is_over(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-011, B-REG-012: other messages get 463, and a poll the request to register again."""
    ven = await ven20(vtn20)
    assert (await ven.cancel("wrong")).code == "452"
    reply = await ven.cancel()
    assert (reply.name, reply.code) == ("oadrCanceledPartyRegistration", "200")
    assert (reply.text("ei:registrationID"), reply.text("ei:venID")) == (ven.registration_id, ven.ven_id)
    assert (await ven.request_events()).code == "463"
    assert (await ven.poll()).name == "oadrRequestReregistration"
    answer = await ven.respond("EiRegisterParty", "oadrResponse", of("ei:venID", ven.ven_id))
    assert (answer.status, answer.raw) == (200, b"")
    assert (await ven.cancel()).raw == reply.raw  # B-GEN-011: it may not have heard the answer
    vtn20.now.pass_(seconds=61)
    assert (await ven.cancel()).code == "452"
    assert (await ven.create(request_id="back")).code == "200"


async def test_a_request_to_register_again_is_asked_once_and_first(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-010, B-POL-001, B-POL-004: before all else, and again only after a while."""
    ven = await ven20(vtn20)
    stores = vtn20.server.stores
    assert stores is not None
    enrolled = await stores.v20b.vens.by_fingerprint(await only_fingerprint(vtn20, ven.ven_id))
    assert enrolled is not None
    for _ in range(2):
        await stores.v20b.outbox.put(enrolled.id, "oadrRequestReregistration", is_control=True)
    assert [(await ven.poll()).name for _ in range(3)] == [
        "oadrRequestReregistration",
        "oadrRegisterReport",
        "oadrResponse",
    ]
    vtn20.now.pass_(seconds=31)
    assert (await ven.poll()).name == "oadrRequestReregistration"
    await ven.respond("EiRegisterParty", "oadrResponse")
    assert (await ven.poll()).name == "oadrRegisterReport"
    assert (await ven.acknowledge_reports()).code == "200"
    vtn20.now.pass_(seconds=31)
    assert (await ven.poll()).name == "oadrResponse"


@pytest.mark.parametrize(("code", "stays"), [("200", False), ("459", True)])
async def test_the_vtn_cancels_a_registration(vtn20: VtnUnderTest, ven20: Enrol, code: str, stays: bool) -> None:
    """B-REG-013: it is over when the VEN agrees; else it stays, and an operator sees that."""
    ven = await ven20(vtn20)
    stores = vtn20.server.stores
    assert stores is not None
    enrolled = await stores.v20b.vens.by_fingerprint(await only_fingerprint(vtn20, ven.ven_id))
    assert enrolled is not None
    await stores.v20b.outbox.put(enrolled.id, "oadrCancelPartyRegistration", is_control=True)
    asked = await ven.poll()
    assert (asked.name, asked.text("ei:registrationID")) == ("oadrCancelPartyRegistration", ven.registration_id)
    more = of("ei:registrationID", ven.registration_id), of("ei:venID", ven.ven_id)
    answer = await ven.respond(
        "EiRegisterParty",
        "oadrCanceledPartyRegistration",
        *more,
        code=code,
        request_id=asked.text("pyld:requestID") or "",
    )
    assert (answer.name, answer.code) == ("oadrResponse", "200")
    assert ((await ven.query()).text("ei:registrationID") is not None) is stays
    again = await ven.respond("EiRegisterParty", "oadrCanceledPartyRegistration", *more)
    assert again.code == "450"


async def test_a_certificate_that_nobody_enrolled_is_refused(
    vtn20: VtnUnderTest, ven20: Enrol, pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    """B-REG-005, B-REG-016, B-GEN-005: nothing is told but that, and the log names the command that enrols it."""
    files = pki.client("stranger")
    known, stranger = await ven20(vtn20), await ven20(vtn20, files=files, enrolled=False)
    for reply in (await stranger.create(), await stranger.query(), await stranger.poll(known.ven_id)):
        assert reply.code == "463"
        assert reply.text("ei:registrationID") is None
    assert (await stranger.poll(known.ven_id)).raw == (await stranger.poll("nobody")).raw
    stores = vtn20.server.stores
    assert stores is not None
    assert f"--fingerprint {fingerprint_of(files)}" in capsys.readouterr().out


async def test_a_foreign_venid_is_told_nothing(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-GEN-005, B-GEN-006: whether it exists or not, and whatever its text looks like."""
    one, other = await ven20(vtn20), await ven20(vtn20)
    for ven_id in (other.ven_id, "nobody", f" {one.ven_id}", f"0{one.ven_id}"):
        reply = await one.poll(ven_id)
        assert (reply.code, reply.text("ei:venID")) == ("463", None)


async def test_a_venid_is_text(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-GEN-006: leading zeros, digits and markup stay as they are."""
    for wire_id in ("00123", "1.2.3", "true", "a<&>b"):
        ven = await ven20(vtn20, wire_id=wire_id)
        assert ven.ven_id == wire_id
        assert (await ven.poll()).text("ei:venID") == wire_id


async def test_a_disabled_ven_is_refused(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-005: for everything."""
    ven = await ven20(vtn20, registered=False, is_disabled=True)
    assert (await ven.create()).code == (await ven.query()).code == (await ven.poll("x")).code == "463"


async def test_messages_for_another_service_are_refused(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-GEN-012: in a message, not as a fault."""
    ven = await ven20(vtn20)
    reply = await ven.send("EiEvent", element("oadrPoll", of("ei:venID", ven.ven_id)))
    assert (reply.name, reply.code) == ("oadrResponse", "453")


async def only_fingerprint(vtn: VtnUnderTest, ven_id: str | None) -> str:
    """The fingerprint that a VEN is enrolled with."""
    stores = vtn.server.stores
    assert stores is not None
    assert ven_id is not None
    (found,) = await stores.v20b.vens.fingerprints(ven_id)
    return found


@asynccontextmanager
async def broken(vtn: VtnUnderTest, table: str, condition: str) -> AsyncIterator[None]:
    """Have the database refuse rows of a table unless a condition holds, in which ``{}`` stands before columns."""
    database = vtn.server._database
    made, dropped = [f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK ({condition.format('')}) NOT VALID"], []
    if database.is_sqlite:
        fails = f"WHEN NOT ({condition.format('NEW.')}) BEGIN SELECT RAISE(ABORT, 'broken'); END"
        made = [f"CREATE TRIGGER broken_{when} BEFORE {when} ON {table} {fails}" for when in ("INSERT", "UPDATE")]
        dropped = [f"DROP TRIGGER broken_{when}" for when in ("INSERT", "UPDATE")]

    async def run(statements: list[str]) -> None:
        async with database.write() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    await run(made)
    try:
        yield
    finally:
        await run(dropped or [f"ALTER TABLE {table} DROP CONSTRAINT broken"])


async def test_a_registration_begins_and_ends_whole_or_not_at_all(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-012 … B-REG-014: what goes wrong between leaves nothing behind; the repetition of the VEN does it all."""
    ven = await ven20(vtn20)
    event = await an_event(vtn20, ven)
    assert (await opt(vtn20, ven, event=event_of(event))).code == "200"
    vtn20.now.pass_(seconds=1)
    async with broken(vtn20, "oadr20b_outbox", "{}kind <> 'oadrRegisterReport'"):
        assert (await ven.create(request_id="anew")).status == 500
    assert (await ven.query()).text("ei:registrationID") == ven.registration_id
    assert (await said(vtn20, event.id))[-1]["OPT"][0] == "OPT_OUT"
    assert (await ven.create(request_id="anew")).code == "200"
    assert (await ven.poll()).name == "oadrDistributeEvent"
    assert (await said(vtn20, event.id))[-1]["OPT"] == ["OPT_IN"]
    assert (await ven.poll()).name == "oadrRegisterReport"

    stores = vtn20.server.stores
    assert stores is not None
    enrolled = await stores.v20b.vens.by_fingerprint(await only_fingerprint(vtn20, ven.ven_id))
    assert enrolled is not None
    await stores.v20b.outbox.put(enrolled.id, "oadrCancelPartyRegistration", is_control=True)
    assert (await ven.poll()).name == "oadrCancelPartyRegistration"

    async def canceled() -> Reply:
        more = of("ei:registrationID", ven.registration_id), of("ei:venID", ven.ven_id)
        return await ven.respond("EiRegisterParty", "oadrCanceledPartyRegistration", *more)

    async with broken(vtn20, "oadr20b_vens", "{}registration_id IS NOT NULL"):
        assert (await canceled()).status == 500
    kinds = [each.kind for each in await stores.v20b.outbox.waiting(enrolled.id)]
    assert kinds == ["oadrCancelPartyRegistration", "oadrRegisterReport"]
    for _ in range(2):  # and once more, as the answer may be lost
        assert (await canceled()).code == "200"
    assert (await ven.query()).text("ei:registrationID") is None
    assert await stores.v20b.outbox.waiting(enrolled.id) == []
