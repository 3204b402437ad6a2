"""Tell who may do what on 3.0.1: the same rule as on 3.1, and the switches that soften it."""

from __future__ import annotations

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from vtn.access import Role, Scope

OF_301 = (Scope.READ_ALL, Scope.WRITE_REPORTS, Scope.WRITE_SUBSCRIPTIONS, Scope.WRITE_VENS)


def old_home(vtn: VtnUnderTest) -> Session:
    """A VEN with the scopes of 3.0.1, which has `read_all` for everybody."""
    return vtn.caller(Role.VEN, scopes=OF_301)


async def test_a_ven_sees_on_301_what_it_sees_on_31(vtn: VtnUnderTest) -> None:
    """V301-007, V301-035, V301-024: by targets and by owner, though its scope is called read_all."""
    business, home, other = vtn.bl, old_home(vtn), vtn.home()
    await business.ven_for(home, ["mine"])
    await business.ven_for(other, ["theirs"])
    program = await business.program()
    seen = await business.event(program, targets=["mine"])
    hidden = await business.event(program, targets=["theirs"])
    await other.report(hidden)

    assert await home.on_301.ids("/events") == [seen["id"]]
    (await home.on_301.get(f"/events/{hidden['id']}")).problem(404)
    assert await home.on_301.ids("/reports") == []
    assert len(await home.on_301.ids("/vens")) == 1
    report = {"programID": program["id"], "eventID": hidden["id"], "clientName": "m", "resources": []}
    assert (await home.on_301.post("/reports", report)).problem(400) == "eventID: there is no such event"


async def test_read_all_of_a_ven_is_no_privilege_on_31(vtn: VtnUnderTest) -> None:
    """V301-036: the view of a VEN, and 403 where all objects are told of."""
    business, home = vtn.bl, old_home(vtn)
    await business.event(await business.program(), targets=["secret"])

    assert await home.ids("/events") == []
    assert await home.ids("/vens") == []
    (await home.get("/contacts")).problem(403)
    (await home.get("/notifiers/mqtt/topics/events")).problem(403)


@pytest.mark.parametrize(
    ("scopes", "path", "status"),
    [
        ((Scope.READ_TARGETS,), "/events", 200),
        ((Scope.READ_TARGETS,), "/reports", 403),
        ((Scope.READ_VEN_OBJECTS,), "/vens", 200),
        ((Scope.READ_VEN_OBJECTS,), "/programs", 403),
        ((Scope.READ_ALL,), "/subscriptions", 200),
        ((Scope.WRITE_VENS,), "/vens", 403),
    ],
)
async def test_scopes_open_what_they_open_on_31(
    vtn: VtnUnderTest, scopes: tuple[Scope, ...], path: str, status: int
) -> None:
    """V301-035: `read_all`, and the scopes of 3.1 for the corresponding reads."""
    assert (await vtn.caller(Role.VEN, scopes=scopes).on_301.get(path)).status == status


async def test_a_ven_writes_no_programs_and_nobody_goes_without_a_token(vtn: VtnUnderTest) -> None:
    """V301-035, AUTH-001."""
    (await vtn.home().on_301.post("/programs", {"programName": "x"})).problem(403)
    for path in ("/programs", "/vens/x/resources"):
        (await vtn.nobody.on_301.get(path)).problem(401)


async def test_with_legacy_privacy_everybody_reads_everything_on_301(start_vtn: StartVtn) -> None:
    """V301-007: all that is read, never what is written; a report and a subscription on what is read; 3.1 stays."""
    vtn = await start_vtn(v301={"privacy": "legacy"}, webhook={"verify_echo": False})
    business, home, other = vtn.bl, vtn.home(), vtn.home()
    theirs = await business.ven_for(other, ["theirs"])
    program = await business.program(targets=["theirs"])
    event = await business.event(program, targets=["theirs"])
    report = await other.report(event)

    assert (await home.on_301.get("/events")).ok()[0]["targets"] == [{"type": "GROUP", "values": ["theirs"]}]
    assert await home.on_301.ids("/reports") == [report["id"]]
    assert await home.on_301.ids("/vens") == [theirs["id"]]
    assert await home.on_301.ids(f"/vens/{theirs['id']}/resources") == []
    assert await home.ids("/events") == await home.ids("/reports") == await home.ids("/vens") == []
    document = {"programID": program["id"], "eventID": event["id"], "clientName": "m", "resources": []}
    mine = (await home.on_301.post("/reports", document)).ok(201)["id"]
    (await home.on_301.put(f"/reports/{mine}", document | {"clientName": "n"})).ok()
    entry = {"objects": ["EVENT"], "operations": ["READ"], "callbackUrl": "https://1.1.1.1/"}
    subscription = {"clientName": "m", "programID": program["id"], "objectOperations": [entry]}
    (await home.on_301.post("/subscriptions", subscription)).ok(201)

    (await home.on_301.put(f"/reports/{report['id']}", document)).problem(404)
    (await home.on_301.delete(f"/reports/{report['id']}")).problem(404)
    (await home.on_301.put(f"/vens/{theirs['id']}", {"venName": "x"})).problem(404)
    (await home.on_301.post(f"/vens/{theirs['id']}/resources", {"resourceName": "x"})).problem(404)
    (await home.on_301.delete(f"/events/{event['id']}")).problem(403)


@pytest.mark.parametrize(("settings", "status"), [({}, 401), ({"invalid_client_status": 403}, 403)])
async def test_a_wrong_secret(start_vtn: StartVtn, settings: dict[str, int], status: int) -> None:
    """V301-038: invalid_client; a switch makes it 403, at the token endpoint of 3.0.1 only."""
    vtn = await start_vtn(v301=settings)
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "wrong"}

    for base, expected in ((vtn.origin + "/openadr3/3.0.1", status), (vtn.base_url, 401)):
        answer = await vtn.ask("POST", f"{base}/auth/token", form=form)
        assert answer.status == expected
        assert answer.body["error"] == "invalid_client"
    wrong = await vtn.ask("POST", f"{vtn.origin}/openadr3/3.0.1/auth/token", form={"grant_type": "password"})
    assert (wrong.status, wrong.body["error"]) == (400, "unsupported_grant_type")


async def test_the_prefix_is_the_operators_choice(start_vtn: StartVtn) -> None:
    """V301-037: another one, or none, and then nothing of 3.0.1 is served."""
    moved = await start_vtn(v301={"prefixes": ["/old"]})
    assert (await moved.bl.on_301.get("/programs")).ok() == []
    (await moved.ask("GET", f"{moved.origin}/openadr3/3.0.1/programs")).problem(404)
    without = await start_vtn(v301={"prefixes": []})
    (await without.ask("GET", f"{without.origin}/openadr3/3.0.1/programs")).problem(404)


async def test_nobody_is_registered_under_the_name_of_a_placeholder(vtn: VtnUnderTest) -> None:
    """V301-026."""
    from openadr_profiles.v31 import Invalid

    with pytest.raises(Invalid, match="stands for no client"):
        await vtn.server.clients.add("unassigned-x", Role.VEN)
