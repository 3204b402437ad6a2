"""The exchanges of known clients of 3.0.1, as they are on the wire: each of them works unchanged."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Answer, Session, VtnUnderTest, unique
from vtn.access import Role, Scope

PREFIX = "/openadr3/3.0.1"
SECRET = "a secret of twelve+ characters/"
VEN_SCOPES = (Scope.READ_ALL, Scope.WRITE_REPORTS, Scope.WRITE_SUBSCRIPTIONS, Scope.WRITE_VENS)
DAY = {"start": "2026-07-01T00:00:00Z", "duration": "P1DT1H", "randomizeStart": None}


async def account(vtn: VtnUnderTest, role: Role) -> str:
    """A registered client."""
    name = unique("client")
    await vtn.server.clients.add(name, role, secret=SECRET, scopes=VEN_SCOPES if role is Role.VEN else None)
    return name


async def token(vtn: VtnUnderTest, **how: Any) -> Answer:
    """Ask for a token."""
    return await vtn.ask("POST", f"{vtn.origin}{PREFIX}/auth/token", **how)


def session(vtn: VtnUnderTest, answer: Answer, member: str = "access_token") -> Session:
    """Somebody with the token of an answer, on 3.0.1."""
    return vtn.with_token(answer.ok()[member]).on_301


def basic(name: str) -> dict[str, str]:
    """A Basic header with the id and the secret as they are."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{SECRET}".encode()).decode()}


async def test_openadr3_client_of_elaad(vtn: VtnUnderTest) -> None:
    """COMPAT-003, COMPAT-006, COMPAT-027, COMPAT-028, COMPAT-049, COMPAT-062: nulls, whole objects in a PUT, scopes."""
    form = {"grant_type": "client_credentials", "scope": "write_programs read_all", "audience": "vtn"}
    answer = await token(vtn, form=form, headers=basic(await account(vtn, Role.BL)) | {"Accept": "application/json"})
    assert set(answer.ok()["scope"].split()) == {"write_programs", "read_all"}
    everything = {"grant_type": "client_credentials"}
    business = session(vtn, await token(vtn, form=everything, headers=basic(await account(vtn, Role.BL))))
    program = {
        "programName": unique("program"),
        "programLongName": None,
        "retailerName": None,
        "timeZoneOffset": None,
        "intervalPeriod": DAY,
        "programDescriptions": None,
        "bindingEvents": None,
        "payloadDescriptors": None,
        "targets": None,
    }
    made = (await business.post("/programs", program)).ok(201)
    assert made["intervalPeriod"] == {"start": DAY["start"], "duration": DAY["duration"]}
    event = {
        "programID": made["id"],
        "eventName": None,
        "priority": None,
        "targets": [{"type": "POWER_SERVICE_LOCATION", "values": ["871685900000000001"]}],
        "reportDescriptors": None,
        "payloadDescriptors": [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KW", "currency": None}],
        "intervalPeriod": DAY,
        "intervals": [{"id": 0, "intervalPeriod": None, "payloads": [{"type": "SIMPLE", "values": [2.0]}]}],
    }
    stored = (await business.post("/events", event)).ok(201)
    assert stored["targets"] == event["targets"]
    assert "priority" not in stored
    put = await business.put(f"/events/{stored['id']}", stored | {"eventName": "renamed"})
    assert put.ok()["eventName"] == "renamed"
    found = await business.get(
        "/events",
        [("targetType", "POWER_SERVICE_LOCATION"), ("targetValues", "871685900000000001"), ("targetValues", "x")],
    )
    assert found.ok() == [put.body]
    assert (await business.post("/programs", program)).status == 409
    assert (await business.get("/programs/fake-program-id")).status == 404
    ven = (await business.post("/vens", {"venName": unique("CC-XXX"), "attributes": None, "targets": None})).ok(201)
    resources = f"/vens/{ven['id']}/resources"
    (await business.post(resources, {"resourceName": "r", "attributes": None, "targets": None})).ok(201)
    assert [one["resourceName"] for one in (await business.get(resources)).ok()] == ["r"]
    assert (await business.delete(f"/programs/{made['id']}")).ok()["id"] == made["id"]


async def test_toadr3(start_vtn: StartVtn) -> None:
    """COMPAT-003, COMPAT-025, COMPAT-034, COMPAT-046, COMPAT-060: objectType everywhere, words of HTTP, no nulls."""
    vtn = await start_vtn(webhook={"verify_echo": False})
    form = {"grant_type": "client_credentials", "client_secret": SECRET, "scope": "read_all"}
    answer = await token(vtn, form=form | {"client_id": await account(vtn, Role.VEN)})
    assert isinstance(answer.ok()["expires_in"], int)
    home = session(vtn, await token(vtn, form=form | {"client_id": await account(vtn, Role.VEN), "scope": ""}))
    business = vtn.bl.on_301
    program = (await business.post("/programs", {"programName": unique("p")})).ok(201)
    event = (await business.post("/events", {"programID": program["id"], "intervals": []})).ok(201)
    assert (await home.get("/events", {"programID": program["id"], "skip": "0", "limit": "50"})).ok() == [event]
    assert None not in event.values()
    report = {
        "objectType": "REPORT",
        "programID": program["id"],
        "eventID": event["id"],
        "clientName": "YAC",
        "resources": [
            {
                "resourceName": "r",
                "intervals": [
                    {
                        "id": 0,
                        "intervalPeriod": {"start": "0000-00-00", "duration": "PT1H"},
                        "payloads": [{"type": "USAGE", "values": [1.5]}],
                    }
                ],
            }
        ],
    }
    made = (await home.post("/reports", report)).ok(201)
    assert (await home.get("/reports", {"clientName": "YAC", "programID": program["id"]})).ok() == [made]
    assert made["resources"][0]["intervals"][0]["intervalPeriod"]["start"] == "0001-01-01T00:00:00Z"
    entry = {"objects": ["EVENT"], "operations": ["POST", "PUT"], "callbackUrl": "https://1.1.1.1/cb"}
    document = {"objectType": "SUBSCRIPTION", "clientName": "YAC", "programID": program["id"]}
    with vtn.extensions(r"objectOperations\.\d+\.operations"):
        made = (await home.post("/subscriptions", document | {"objectOperations": [entry]})).ok(201)
        found = (await home.get("/subscriptions", [("objects", "EVENT"), ("objects", "PROGRAM")])).ok()
    assert found == [made]
    assert found[0]["objectOperations"][0]["operations"] == ["POST", "PUT"]
    missing = await home.get("/programs/no-such-program")
    assert missing.status == 404
    assert {"title", "detail"} <= missing.body.keys()


async def test_oadr30_of_universal_devices(vtn: VtnUnderTest) -> None:
    """COMPAT-002, COMPAT-031, COMPAT-040, COMPAT-045: nested resources without their ven, 201 and 200 exactly."""
    form = {"client_secret": SECRET, "grant_type": "client_credentials", "scope": "read_all write_vens write_reports"}
    answer = await token(vtn, form=form | {"client_id": await account(vtn, Role.VEN)})
    home = session(vtn, answer)
    document = {"venName": unique("eisy"), "resources": [{"resourceName": "pool"}, {"resourceName": "spa"}]}
    made = (await home.post("/vens", document)).ok(201)
    assert {one["resourceName"] for one in made["resources"]} == {"pool", "spa"}
    assert (await home.post("/vens", document)).status == 409
    program = await vtn.bl.program()
    await vtn.bl.event(program, intervalPeriod={"duration": "PT1H"})
    (event,) = (await home.get("/events", {"programID": program["id"]})).ok()
    assert event["intervals"] == []
    report = {"programID": program["id"], "eventID": event["id"], "clientName": made["venName"], "resources": []}
    (await home.post("/reports", report)).ok(201)


@pytest.mark.parametrize("names", [("client_id", "client_secret"), ("clientID", "clientSecret")])
async def test_openadr_ven_ha_for_home_assistant(vtn: VtnUnderTest, names: tuple[str, str]) -> None:
    """COMPAT-013, COMPAT-045, COMPAT-074: a token request in JSON, a poll without parameters, an opt report."""
    name = await account(vtn, Role.VEN)
    answer = await token(vtn, json=dict(zip(names, (name, SECRET), strict=True)))
    assert answer.ok()["expires_in"] > 0
    home = session(vtn, answer, "token")
    program = await vtn.bl.program()
    await vtn.bl.event(program, intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [2]}]}])
    (event,) = (await home.get("/events")).ok()
    assert event["intervals"][0]["payloads"] == [{"type": "SIMPLE", "values": [2]}]
    opted = {"id": 0, "payloads": [{"type": "OPT", "values": ["OPT_IN"]}]}
    report = {
        "programID": event["programID"],
        "eventID": event["id"],
        "clientName": "ha",
        "resources": [{"resourceName": "home", "intervals": [opted]}],
    }
    (await home.post("/reports", report)).ok(201)
    wrong = await token(vtn, json={names[0]: name, names[1]: "wrong"})
    assert (wrong.status, wrong.body["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("body", [b"[]", b'{"client_id": 7}', b"{", b'{"client_id":"a\\u0000","client_secret":"b"}'])
async def test_token_requests_in_json_that_are_none(vtn: VtnUnderTest, body: bytes) -> None:
    """COMPAT-011, COMPAT-013: 400 with an error of OAuth; on 3.1, and where it is switched off, every JSON is."""
    answer = await token(vtn, raw=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")
    whole = await vtn.ask("POST", f"{vtn.base_url}/auth/token", json={"client_id": "a", "client_secret": "b"})
    assert "x-www-form-urlencoded" in whole.ok(400)["error_description"]


async def test_words_of_31_pass_through(vtn: VtnUnderTest) -> None:
    """V301-045: vocabulary that 3.0.1 did not have is private text to it."""
    program = await vtn.bl.program(attributes=[{"type": "X", "values": [1]}])
    payloads = [{"type": "PRICE_ALTERNATE", "values": [0.5]}, {"type": "DISPATCH_INSTRUCTION", "values": ["x"]}]
    event = await vtn.bl.event(
        program,
        payloadDescriptors=[{"payloadType": "PRICE_ALTERNATE", "units": "THERMS", "currency": "EUR"}],
        intervals=[{"id": 0, "payloads": payloads}],
    )
    shown = (await vtn.bl.on_301.get(f"/events/{event['id']}")).ok()
    assert shown["intervals"][0]["payloads"] == payloads
    assert shown["payloadDescriptors"] == event["payloadDescriptors"]
