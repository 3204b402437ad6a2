"""Programs that may be read without a token, and nothing else (COMPAT-017, R-54)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import Answer, Session, VtnUnderTest
from vtn.access import Role

PUBLIC = {"programs": ["tariff"]}


def refused(answer: Answer) -> str:
    """The detail of an answer that asks for a token."""
    detail = answer.problem(401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    return detail


async def refused_alike(vtn: VtnUnderTest, path: str) -> None:
    """Make sure that a path is refused just as one of which there is nothing."""
    answer, missing = await vtn.nobody.get(path), await vtn.nobody.get(f"/{path.split('/')[1]}/never-was")
    assert refused(answer) == refused(missing)
    assert answer.body | {"instance": ""} == missing.body | {"instance": ""}
    assert answer.headers["WWW-Authenticate"] == missing.headers["WWW-Authenticate"]


async def replaced(bl: Session, program: dict[str, object], **members: object) -> None:
    """Put a program with other members in the place of one."""
    (await bl.put(f"/programs/{program['id']}", {"programName": program["programName"]} | members)).ok()


async def test_without_the_setting_every_request_needs_a_token(vtn: VtnUnderTest) -> None:
    """Off by default."""
    event = await vtn.bl.event(await vtn.bl.program(programName="tariff"))

    for path in ("/programs", "/events", f"/events/{event['id']}", f"/programs/{event['programID']}"):
        refused(await vtn.nobody.get(path))


async def test_a_public_program_and_its_events_are_read_without_a_token(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """And no others, in lists and by id, under every prefix."""
    open_ = await start_vtn(public=PUBLIC)
    bl, nobody = open_.bl, open_.nobody
    program, other = await bl.program(programName="tariff"), await bl.program(programName="tariff-2")
    event, hidden = await bl.event(program), await bl.event(other)

    assert (await nobody.get("/programs")).ok() == [program]
    assert (await nobody.get("/events")).ok() == [event]
    assert (await nobody.get(f"/programs/{program['id']}")).ok() == program
    assert (await nobody.get(f"/events/{event['id']}")).ok() == event
    assert (await open_.ask("GET", f"{open_.origin}/openadr3/3.1.1/events/")).ok() == [event]
    await refused_alike(open_, f"/programs/{other['id']}")
    await refused_alike(open_, f"/events/{hidden['id']}")


async def test_targets_are_kept_from_who_has_no_token(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """PRIV-005, PRIV-016, EVT-020: events with targets, report descriptors with targets, and programs with targets."""
    for privacy in ({}, {"events_follow_program": False}):
        await vtn.wipe()
        open_ = await start_vtn(public=PUBLIC, privacy=privacy)
        bl, nobody = open_.bl, open_.nobody
        program = await bl.program(programName="tariff")
        targeted = await bl.event(program, targets=["north"])
        descriptors = [{"payloadType": "USAGE", "targets": ["north"]}, {"payloadType": "DEMAND"}]
        event = await bl.event(program, reportDescriptors=descriptors)

        (found,) = (await nobody.get("/events")).ok()
        assert found["id"] == event["id"]
        assert [each["payloadType"] for each in found["reportDescriptors"]] == ["DEMAND"]
        await refused_alike(open_, f"/events/{targeted['id']}")

        await replaced(bl, program, targets=["north"])
        for path in ("/programs", "/events"):
            assert (await nobody.get(path)).ok() == []
        await refused_alike(open_, f"/events/{event['id']}")
        await refused_alike(open_, f"/programs/{program['id']}")


async def test_who_has_no_token_reads_nothing_else_and_writes_nothing(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Reports, subscriptions, vens and resources stay closed, and so does every other method."""
    open_ = await start_vtn(public=PUBLIC)
    bl, nobody = open_.bl, open_.nobody
    program = await bl.program(programName="tariff")
    event = await bl.event(program)
    report = await open_.home().report(event)

    for path in ("/reports", f"/reports/{report['id']}", "/subscriptions", "/vens", "/resources"):
        refused(await nobody.get(path))
    for kind, one in (("programs", program), ("events", event)):
        refused(await nobody.post(f"/{kind}", one))
        refused(await nobody.put(f"/{kind}/{one['id']}", one))
        refused(await nobody.delete(f"/{kind}/{one['id']}"))
    assert (await bl.get(f"/events/{event['id']}")).ok() == event


async def test_a_token_that_is_not_valid_is_refused(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-003: it does not become a request without a token."""
    open_ = await start_vtn(public=PUBLIC)
    event = await open_.bl.event(await open_.bl.program(programName="tariff"))

    for header in ("", "Bearer", "Bearer nonsense", "Basic YTpi"):
        for path in ("/programs", "/events", f"/events/{event['id']}"):
            refused(await open_.nobody.get(path, authorization=header))
    (await open_.caller(Role.VEN, scopes=()).get("/events")).problem(403)


async def test_what_is_public_may_change_at_any_time(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """ETAG-003: events move, programs get other names, take over names, and go; kept answers do not outlive that."""
    open_ = await start_vtn(public=PUBLIC)
    bl, nobody = open_.bl, open_.nobody
    tariff, other = await bl.program(programName="tariff"), await bl.program(programName="other")
    event = await bl.event(tariff)
    path = f"/events/{event['id']}"

    async def seen() -> tuple[list[str], list[str], int]:
        return await nobody.ids("/programs"), await nobody.ids("/events"), (await nobody.get(path)).status

    assert await seen() == await seen() == ([tariff["id"]], [event["id"]], 200)
    (await bl.put(path, {"programID": other["id"]})).ok()
    assert await seen() == await seen() == ([tariff["id"]], [], 401)
    await replaced(bl, tariff, programName="retired")
    assert await seen() == ([], [], 401)
    await replaced(bl, other, programName="tariff")
    assert await seen() == await seen() == ([other["id"]], [event["id"]], 200)
    (await bl.put(path, {"programID": other["id"], "targets": ["north"]})).ok()
    assert await seen() == ([other["id"]], [], 401)
    (await bl.put(path, {"programID": other["id"]})).ok()
    assert await seen() == ([other["id"]], [event["id"]], 200)
    (await bl.delete(f"/programs/{other['id']}")).ok()
    assert await seen() == ([], [], 401)


async def test_readers_with_and_without_a_token_never_share_an_answer(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """A VEN that holds nothing sees more than somebody without a token, whoever of them asks first, and again."""
    open_ = await start_vtn(public=PUBLIC)
    bl, home, nobody = open_.bl, open_.home(), open_.nobody
    for name in ("tariff", "other"):
        await bl.event(await bl.program(programName=name))

    for path in ("/programs", "/events"):
        for order in ((home, nobody, bl), (nobody, bl, home)):
            for _ in range(2):
                counts = {caller.client_id: len(await caller.ids(path, {"limit": "9"})) for caller in order}
                assert counts == {"": 1, home.client_id: 2, bl.client_id: 2}


async def test_an_unchanged_public_answer_is_not_sent_again(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """ETAG-001, ETAG-002: 304 while it is the same; no cache may give it to others without asking here."""
    open_ = await start_vtn(public=PUBLIC)
    bl, nobody = open_.bl, open_.nobody
    event = await bl.event(await bl.program(programName="tariff"))

    for path in ("/programs", "/events", f"/events/{event['id']}"):
        first = await nobody.get(path)
        first.ok()
        same = await nobody.get(path, if_none_match=first.headers["ETag"])
        assert (same.status, same.raw) == (304, b"")
        for answer in (first, same):
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert answer.headers["Vary"] == "Authorization, Accept-Encoding"
    tag = (await nobody.get("/events")).headers["ETag"]
    await bl.event(await bl.program())
    assert (await nobody.get("/events", if_none_match=tag)).status == 304
    await bl.event({"id": event["programID"]})
    assert len((await nobody.get("/events", if_none_match=tag)).ok()) == 2
    refused(await nobody.get(f"/programs/{(await bl.program())['id']}", if_none_match="*"))


async def test_filters_and_pages_come_after_what_is_public(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """PAGE-009, PRIV-007: hidden objects shorten no page, and no filter finds them."""
    open_ = await start_vtn(public={"programs": ["tariff", "tariff-2", 'it\'s "quoted"']})
    bl, nobody = open_.bl, open_.nobody
    first, second = await bl.program(programName="tariff"), await bl.program(programName='it\'s "quoted"')
    hidden = await bl.program(programName="hidden")
    expected: list[str] = []
    for number in range(5):
        expected.insert(0, (await bl.event((first, second)[number % 2]))["id"])
        await bl.event(hidden)
        await bl.event(first, targets=["north"])

    pages = [await nobody.ids("/events", {"skip": str(skip), "limit": "2"}) for skip in range(0, 8, 2)]
    assert pages == [expected[0:2], expected[2:4], expected[4:], []]
    for active in ("true", "false"):
        assert await nobody.ids("/events", {"active": active}) == expected
    assert await nobody.ids("/events", {"programID": first["id"]}) == expected[0::2]
    assert await nobody.ids("/events", {"programID": second["id"], "skip": "1"}) == expected[3:4]
    assert await nobody.ids("/programs") == [second["id"], first["id"]]
    assert await nobody.ids("/programs", {"programName": "tariff"}) == [first["id"]]
    for path, params in (
        ("/events", {"programID": hidden["id"]}),
        ("/events", {"targets": "north"}),
        ("/programs", {"programName": "hidden"}),
        ("/programs", {"targets": "north"}),
    ):
        assert await nobody.ids(path, params) == []
    (await nobody.get("/events", {"limit": "0.5"})).problem(400)


async def test_one_address_asks_only_so_often_without_a_token(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """GEN-008: 429 with Retry-After; who has a token is not counted, and refusals without one are not either."""
    open_ = await start_vtn(public=PUBLIC | {"requests_per_s": 0.5, "requests_burst": 3})

    for _ in range(3):
        (await open_.nobody.get("/events")).ok()
    answer = await open_.nobody.get("/programs")
    answer.problem(429)
    assert answer.headers["Retry-After"] == "2"
    (await open_.home().get("/events")).ok()
    refused(await open_.nobody.get("/vens"))
    open_.now.pass_(seconds=2)
    (await open_.nobody.get("/events")).ok()


async def test_behind_a_proxy_no_address_has_a_limit(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """There everybody has the address of the proxy."""
    open_ = await start_vtn(
        public=PUBLIC | {"requests_per_s": 0.5, "requests_burst": 1},
        behind_proxy=True,
        public_url="https://vtn.example",
    )
    url = f"http://127.0.0.1:{open_.server.port}/openadr3/3.1.0/events"

    assert [(await open_.ask("GET", url)).status for _ in range(3)] == [200, 200, 200]


async def test_the_description_says_what_needs_no_token(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """For programs and for people; without public programs every operation needs one."""
    open_ = await start_vtn(public=PUBLIC)
    objects = ("/programs", "/programs/{programID}", "/events", "/events/{eventID}")
    told = ("/programs", "/programs/{programID}", "/programs/{programID}/events")

    for server, expected in (
        (vtn, set()),
        (open_, {*objects, "/notifiers", *(f"/notifiers/mqtt/topics{path}" for path in told)}),
    ):
        described = (await server.ask("GET", f"{server.origin}/openapi.json")).ok()
        optional = {
            (method, path)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
            if {} in operation["security"]
        }
        assert optional == {("get", path) for path in expected}
        page = (await server.ask("GET", f"{server.origin}/docs")).raw.decode()
        assert page.count("no token for what is public") == len(expected)


@pytest.mark.parametrize("programs", [[""], ["x" * 129], ["tariff"] * 101, "tariff"])
def test_what_is_no_name_of_a_program_is_refused_at_start(programs: object) -> None:
    """It would never be the name of one."""
    with pytest.raises(ValidationError, match=r"public\.programs"):
        settings_for("sqlite:///x", public={"programs": programs})
