"""Commands of business logic against a VTN: issuing safely, changing, cancelling, looking at what is there."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from oadr.errors import Exit
from oadr.events.publishing import create_all, program_named
from openadr_client.client import VtnClient
from openadr_client.errors import Forbidden, InvalidRequest
from openadr_profiles.fleet.building import reduction_event
from openadr_profiles.v31 import EventPayloadType, ProgramRequest
from tests.oadr.conftest import Operator
from tests.oadr.other_vtn import without_extensions


@pytest.fixture
def group(operator: Operator) -> Operator:
    """Two vens in a group and one beside it."""
    for name, target in (("home-1", "group:north"), ("home-2", "group:north"), ("elsewhere", "group:south")):
        operator.ask("vens", "add", name, "--target", target)
    return operator


def payloads(event: object) -> list[tuple[str, list[float]]]:
    found = json.loads(json.dumps(event))["intervals"]
    return [(payload["type"], payload["values"]) for interval in found for payload in interval["payloads"]]


def test_zero_is_a_limit_and_a_pause_between_sheds(group: Operator) -> None:
    limit = group.ask("event", "create", "--limit", "0kW", "--for", "10m", "--target", "group:north")
    assert payloads(limit) == [("IMPORT_CAPACITY_LIMIT", [0.0])]
    words = ("--shed", "3kW", "--shed", "0kW", "--shed", "3kW", "--start", "now", "--for", "30m")
    pause = group.ask("event", "create", *words, "--target", "group:north")
    assert payloads(pause) == [
        (type_, [kw]) for type_, kw in [("DISPATCH_SETPOINT_RELATIVE", kw) for kw in (-3, 0, -3)]
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--shed", "3", "--yes"), Exit.USAGE, "has no unit"),
        (("--shed", "-3kW", "--yes"), Exit.USAGE, "without a sign"),
        (("--shed", "3kW"), Exit.CHECK_FAILED, "goes to everybody"),
        (("--shed", "1MW", "--target", "group:north"), Exit.CHECK_FAILED, "2 MW in total, more than 1 MW"),
        (("--shed", "99999999kW", "--yes", "--target", "group:north"), Exit.CHECK_FAILED, "max_kw_per_ven"),
        (("--shed", "1kW", "--yes", "--for", "9999d"), Exit.CHECK_FAILED, "max_days_ahead"),
        (("--shed", "1kW", "--yes", "--start", "+99999d"), Exit.CHECK_FAILED, "max_days_ahead"),
        (
            ("--shed", "1kW", "--target", "group:north", "--start", "2020-01-01T00:00:00Z"),
            Exit.CHECK_FAILED,
            "over already",
        ),
        (("--shed", "1kW", "--level", "1"), Exit.USAGE, "exactly one"),
        (("--total", "1kW", "--target", "nobody"), Exit.USAGE, "nobody is reached"),
    ],
)
def test_what_is_dangerous_is_not_issued_without_agreement(
    group: Operator, words: tuple[str, ...], code: Exit, said: str
) -> None:
    done = group.run("event", "create", *words)
    assert (done.exit_code, said in done.stderr.replace("\n", " ")) == (code, True), done.stderr
    assert group.ask("event", "list") == []


def test_limits_come_from_the_configuration(group: Operator, tmp_path: Path) -> None:
    file = tmp_path / "operator.toml"
    file.write_text("[safety]\nmax_kw_per_ven = 2\n")
    words = ("event", "create", "--shed", "3kW", "--target", "group:north", "--config", str(file))
    assert group.run(*words).exit_code == Exit.CHECK_FAILED
    assert group.run(*words, OADR_BL_SAFETY__MAX_KW_PER_VEN="3").exit_code == Exit.OK


def test_a_preview_says_what_would_happen_and_a_dry_run_issues_nothing(group: Operator) -> None:
    group.ask("event", "create", "--shed", "1kW", "--target", "group:north", "--name", "running")
    done = group.run("event", "create", "--shed", "3kW", "--dry-run", "--start", "+1m", "--for", "30m")
    assert done.exit_code == 0
    assert "3 VENs x 3 kW = 9 kW" in done.stderr
    assert "takes the place of event running" in done.stderr
    assert len(group.ask("event", "list")) == 1
    nobody = group.run("event", "create", "--shed", "3kW", "--target", "group:typo")
    assert nobody.exit_code == 0
    assert "nobody is reached" in nobody.stderr


def test_who_issues_an_event_is_told_what_vens_of_2_0b_will_not_see(group: Operator, tmp_path: Path) -> None:
    """4.7: in a preview of its own, and whenever such a VEN is reached; nothing is issued by a preview."""
    group.ask("vens", "add", "old-plant", "--for-client", "oadr20b-aabb", "--target", "group:north")
    file = tmp_path / "prices.csv"
    file.write_text("start,duration,EXPORT_PRICE\n2040-01-01T00:00:00Z,15m,1.25\n")
    done = group.run("event", "preview", str(file), "--target", "group:north", "--json")
    assert done.exit_code == Exit.CHECK_FAILED
    found = json.loads(done.stdout)
    assert (found["vens"], found["refused"].partition(":")[0]) == (1, "NOTHING_LEFT")
    assert found["losses"] == ["TYPE_OMITTED: EXPORT_PRICE has no signal in 2.0b"]
    file.write_text("start,duration,shed\ntomorrow 18:00,15m,1kW\n,15m,2kW\n")
    told = group.ask("event", "preview", str(file), "--target", "group:north", "--json")
    assert [(signal["name"], signal["values"]) for signal in told["signals"]] == [
        ("LOAD_DISPATCH", [-1.0, -2.0]),
        ("SIMPLE", [1.0]),
    ]
    limit = group.run("event", "create", "--limit", "4kW", "--for", "10m", "--target", "group:north")
    assert limit.exit_code == 0
    assert "1 VEN of OpenADR 2.0b will not be told of it" in limit.stderr.replace("\n", " ")
    others = group.run("event", "create", "--limit", "4kW", "--for", "10m", "--target", "group:south")
    assert "2.0b" not in others.stderr


def test_a_preview_says_who_gets_an_event_and_fails_if_nobody_does(group: Operator, tmp_path: Path) -> None:
    """For every version of OpenADR (O1); why others do not get it is said."""
    file = tmp_path / "event.csv"
    file.write_text("start,duration,shed\n2040-01-01T00:00:00Z,15m,1kW\n")
    far = {"OADR_BL_SAFETY__MAX_DAYS_AHEAD": "9999"}
    done = group.run("event", "preview", str(file), "--target", "group:north", "--json", **far)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["told"] == found["recipients"] > 0
    assert sum(found["languages"].values()) == found["told"]
    assert "1 kW" in found["summary"][0]
    nobody = group.run("event", "preview", str(file), "--target", "group:typo", **far)
    assert nobody.exit_code == Exit.CHECK_FAILED
    assert "nobody will get it" in nobody.stderr
    refused = group.run("event", "preview", str(file), "--target", "group:north")
    assert refused.exit_code == Exit.CHECK_FAILED
    assert "max_days_ahead" in refused.stderr
    assert group.ask("event", "list") == []


def test_a_total_is_divided_and_every_part_is_issued(group: Operator) -> None:
    done = group.run("event", "create", "--total", "5kW", "--yes", "--for", "30m")
    assert done.exit_code == 0, done.stderr
    assert "equally, since not all have said" in done.stderr
    (event,) = json.loads(done.stdout)
    assert payloads(event) == [("DISPATCH_SETPOINT_RELATIVE", [-1.666])]


def test_an_event_is_read_from_json_yaml_and_csv(group: Operator, tmp_path: Path) -> None:
    document = {
        "targets": ["group:north"],
        "intervalPeriod": {"start": "2030-01-01T00:00:00Z", "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.3]}]}],
    }
    ahead = {"OADR_BL_SAFETY__MAX_DAYS_AHEAD": "99999"}
    yaml = (
        "targets: ['group:north']\nintervalPeriod: {start: 2030-01-01T00:00:00Z, duration: PT1H}\n"
        "intervals: [{id: 0, payloads: [{type: PRICE, values: [0.3]}]}]\n"
    )
    for text in (json.dumps(document), yaml):
        done = group.run("event", "create", "-f", "-", stdin=text, **ahead)
        assert done.exit_code == 0, done.stderr
        event = json.loads(done.stdout)
        assert (event["targets"], payloads(event)) == (["group:north"], [("PRICE", [0.3])])
        assert event["intervalPeriod"]["start"].startswith("2030-01-01T00:00:00")
    file = tmp_path / "steps.csv"
    file.write_text("start,duration,shed\n+1h,15m,3kW\n,30m,500W\n")
    event = group.ask("event", "create", "-f", str(file), "--target", "group:north")
    assert payloads(event) == [("DISPATCH_SETPOINT_RELATIVE", [-3.0]), ("DISPATCH_SETPOINT_RELATIVE", [-0.5])]
    assert [interval["intervalPeriod"]["duration"] for interval in event["intervals"]] == ["PT15M", "PT30M"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("e.json", "{", "not JSON"),
        ("e.json", '{"intervals": []}', "intervals: missing"),
        ("e.json", '{"intervals": [{"id": 0, "payloads": []}], "interval_period": 1}', "no such member"),
        ("e.yaml", "a: &x [1]\nb: *x", "aliases"),
        ("e.csv", "duration,shed\n15m,3kW\n", "start: needed"),
        ("e.csv", "start,duration,shed\nnow,15m,3\n", "line 2: '3' has no unit"),
        ("e.csv", "start,shed\n", "expected a header"),
    ],
)
def test_a_file_that_is_no_event_is_refused_by_name(
    operator: Operator, tmp_path: Path, name: str, text: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    done = operator.run("event", "create", "-f", str(file), "--yes")
    assert done.exit_code == Exit.USAGE
    assert f"{file}: " in done.stderr
    assert said in done.stderr


def test_an_update_changes_what_is_given_and_keeps_the_rest(group: Operator) -> None:
    words = ("--shed", "3kW", "--start", "+1h", "--for", "30m", "--target", "group:north", "--name", "evening")
    old = group.ask("event", "create", *words)
    new = group.ask("event", "update", old["id"][:8], "--for", "2h")
    assert (new["id"], new["start"], new["eventName"], payloads(new)) == (
        old["id"],
        old["start"],
        "evening",
        payloads(old),
    )
    assert new["end"] != old["end"]
    assert new["reportDescriptors"] == old["reportDescriptors"]
    other = group.ask("event", "update", old["id"], "--shed", "1kW", "--shed", "2kW")
    assert (other["end"], payloads(other)) == (
        new["end"],
        [("DISPATCH_SETPOINT_RELATIVE", [-1.0]), ("DISPATCH_SETPOINT_RELATIVE", [-2.0])],
    )
    assert group.run("event", "update", old["id"], "--shed", "1MW").exit_code == Exit.CHECK_FAILED


def test_cancelling_keeps_the_plan_and_what_is_over_is_not_cancelled(group: Operator) -> None:
    event = group.ask("event", "create", "--shed", "3kW", "--start", "+1h", "--target", "group:north")
    off = group.ask("event", "cancel", event["id"][:8])
    assert (off["state"], off["start"], off["end"], off["asks"]) == (
        "cancelled",
        event["start"],
        event["end"],
        event["asks"],
    )
    again = group.run("event", "cancel", event["id"])
    assert again.exit_code == 0
    assert "cancelled before" in again.stderr
    assert json.loads(again.stdout)["modificationDateTime"] == off["modificationDateTime"]
    status = group.ask("event", "status", event["id"])
    assert (status["state"], status["start"][:19]) == ("cancelled", event["start"][:19])
    words = ("--start", "2020-01-01T00:00:00Z", "--for", "1h", "--target", "group:north", "--yes")
    past = group.ask("event", "create", "--shed", "1kW", *words)
    refused = group.run("event", "cancel", past["id"])
    assert (refused.exit_code, "nothing to cancel" in refused.stderr) == (Exit.CHECK_FAILED, True)
    assert group.ask("event", "get", past["id"])["intervalPeriod"] == past["intervalPeriod"]


def test_a_unique_beginning_of_an_id_is_enough_and_several_are_named(group: Operator) -> None:
    event = group.ask("event", "create", "--shed", "1kW", "--target", "group:north")
    assert group.ask("event", "get", event["id"][:6])["id"] == event["id"]
    nothing = group.run("event", "get", "zzzz")
    assert (nothing.exit_code, "there is no event 'zzzz'" in nothing.stderr) == (Exit.REFUSED, True)
    several = group.run("vens", "remove", "")
    assert several.exit_code == Exit.USAGE


def test_the_list_has_units_names_ends_and_programs(group: Operator) -> None:
    group.ask("event", "create", "--shed", "3kW", "--target", "group:north", "--name", "evening", "--program", "winter")
    (event,) = group.ask("event", "list")
    assert (event["asks"], event["eventName"], event["programName"]) == (["shed 3 kW"], "evening", "winter")
    assert event["end"] > event["start"]


def test_vens_are_listed_with_problems_changed_by_name_and_removed(group: Operator) -> None:
    vens = {ven["venName"]: ven for ven in group.ask("vens", "list")}
    assert vens["home-1"]["lastReport"] is None
    assert vens["home-1"]["problems"] == ["never seen", "has never reported", "no resources"]
    typo = group.run("vens", "add", "hmoe-1", "--known", "--target", "x")
    assert (typo.exit_code, "no ven is named" in typo.stderr) == (Exit.REFUSED, True)
    new = group.run("vens", "add", "home-3")
    assert "counts as silent" in new.stderr
    group.ask("vens", "remove", "home-3")
    assert "home-3" not in {ven["venName"] for ven in group.ask("vens", "list")}


async def test_vens_are_listed_with_their_last_contact_protocol_and_refused_request(group: Operator) -> None:
    """Polls count: a VEN need not report to be seen."""
    async with VtnClient(base_url=group.url, client_id="home-2", client_secret=group.secrets["home-2"]) as home:
        await home.events.search()
        with pytest.raises(Forbidden):
            await home.programs.create(ProgramRequest(program_name="mine"))
    (ven,) = [each for each in await asyncio.to_thread(group.ask, "vens", "list") if each["venName"] == "home-2"]
    assert ven["protocol"] == "OpenADR 3.1"
    assert datetime.now(UTC) - datetime.fromisoformat(ven["lastContact"]) < timedelta(minutes=10)
    assert ven["lastContactAgo"].endswith(" ago")
    refused = ven["lastRefused"]
    assert (refused["status"], refused["title"], refused["request"]) == (403, "Not allowed", "POST /programs")
    reported, problem, *_ = ven["problems"]
    assert reported == "has never reported"
    assert (problem.startswith("POST /programs refused "), problem.endswith(" ago: 403 Not allowed")) == (True, True)
    preview = await asyncio.to_thread(group.run, "event", "create", "--shed", "1kW", "--yes", "--dry-run")
    assert "warning: 2 of 3 VENs never seen: " in preview.stderr, "home-2 is not one of them"
    assert "home-2" not in preview.stderr
    words = ("--shed", "1kW", "--target", "group:north")
    event = await asyncio.to_thread(group.ask, "event", "create", *words)
    status = await asyncio.to_thread(group.ask, "event", "status", event["id"])
    assert {each["name"]: each["last_contact"] is None for each in status["participants"]} == {
        "home-1": True,
        "home-2": False,
    }
    assert (status["totals"]["targeted"], status["totals"]["unseen"]) == (2, 1)


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"no such page"), (403, b""), (405, b""), (501, b""), (200, b"<html>Welcome</html>")]
)
def test_a_vtn_that_tells_of_no_contacts_is_said_to_and_all_else_works(
    group: Operator, status: int, body: bytes
) -> None:
    with without_extensions(group.url, status=status, body=body) as url:
        done = group.run("vens", "list", "--vtn", url)
        assert done.exit_code == 0, done.stderr
        assert done.stderr == "this VTN does not tell when it last heard of its VENs\n"
        vens = json.loads(done.stdout)
        assert [(ven["lastContact"], ven["protocol"]) for ven in vens] == [(None, None)] * 3
        assert vens[0]["problems"] == ["has never reported", "no resources"]
        preview = group.run("event", "create", "--shed", "1kW", "--yes", "--dry-run", "--vtn", url)
        assert preview.exit_code == 0, preview.stderr
        assert "seen" not in preview.stderr


def test_an_event_that_nobody_gets_says_so(group: Operator) -> None:
    event = group.ask("event", "create", "--shed", "1kW", "--target", "group:typo")
    status = group.ask("event", "status", event["id"])
    assert (status["totals"]["targeted"], status["participants"]) == (0, [])


def test_no_report_is_an_empty_list_and_an_export_has_its_header(operator: Operator) -> None:
    assert operator.ask("report", "list") == []
    rows = list(csv.reader(io.StringIO(operator.run("report", "export", "--csv").stdout)))
    assert rows[0][:3] == ["report_id", "event_id", "client_id"]


async def test_of_several_events_all_are_created_or_none(operator: Operator) -> None:
    variables = operator.environment
    async with VtnClient(
        base_url=operator.url, client_id="utility", client_secret=variables["OADR_BL_CLIENT_SECRET"]
    ) as client:
        owner = await program_named(client, "summer")
        good = reduction_event(
            owner.id, EventPayloadType.SIMPLE, [1], start=datetime.now(UTC), length=timedelta(hours=1)
        )
        bad = msgspec.structs.replace(good, program_id="no-such-program")
        with pytest.raises(InvalidRequest):
            await create_all(client, [good, good, bad])
        assert await client.events.search() == []
