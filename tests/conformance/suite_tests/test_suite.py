"""The suite as such: its checks, the catalogue, how it treats the VTN it examines, and what it tells."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from oadr_conformance import (
    ALL,
    ALL_301,
    Check,
    Credential,
    Level,
    Misused,
    Outcome,
    Refused,
    Result,
    Run,
    Subject,
    Unreachable,
    judge,
    profile_of,
    run,
    select,
)
from oadr_conformance.bodies import COLLECTIONS, bl_ven
from oadr_conformance.probe import Probe
from oadr_conformance.reports import html_page, json_text, junit_xml, show
from oadr_conformance.runner import opened
from oadr_conformance.session import PREFIX
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.wire import Obj
from rich.console import Console

from bench.support.net import free_port
from tests.support import requirements


@pytest.mark.parametrize("checks", [ALL, ALL_301, ALL20B], ids=["3.1", "3.0.1", "2.0b"])
def test_no_two_checks_have_the_same_key(checks: Sequence[Check]) -> None:
    """A key names one check of a version; 3.0.1 shares keys with 3.1."""
    assert [key for key, count in Counter(check.key for check in checks).items() if count > 1] == []


def test_every_check_rests_on_a_line_of_the_catalogue_and_has_its_level() -> None:
    """IDs resolve, and the catalogue decides how binding a check is."""
    lines = requirements.catalogue()
    strays = {name for check in requirements.CHECKS for name in check.requirements if name not in lines}
    assert strays == set()
    assert {check.key for check in requirements.CHECKS if check.level != lines[check.requirement].level} == set()


def test_every_must_that_a_client_can_see_has_a_check() -> None:
    """What has none is listed with the reason why it cannot be seen."""
    coverage = requirements.coverage(requirements.CHECKS)
    assert coverage.missing == frozenset()
    covered = {name for check in requirements.CHECKS for name in check.requirements}
    assert covered & requirements.listed("unobservable.md").keys() == set()


def test_ranges_of_ids_name_everything_between() -> None:
    """Docstrings of tests may say TIME-010..TIME-012."""
    assert list(requirements.named_in("TIME-010..TIME-012, PAGE-001 … 003; R-09, PRIV-EX-04")) == [
        "TIME-010",
        "TIME-011",
        "TIME-012",
        "PAGE-001",
        "PAGE-002",
        "PAGE-003",
        "R-09",
        "PRIV-EX-04",
    ]
    assert list(requirements.named_in("B-SEC-009 to 011 and B-GEN-001")) == [
        *("B-SEC-009", "B-SEC-010", "B-SEC-011"),
        "B-GEN-001",
    ]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["PAGE-007"], {"PAGE-007"}),
        (["comp"], {"COMP-001", "COMP-002", "COMP-005"}),
        (["OBJ-008/ids: program"], {"OBJ-008"}),
        (["TIME-00?"], {f"TIME-00{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)}),
        (["TIME-003"], {"TIME-001"}),
    ],
)
def test_checks_are_selected_by_area_requirement_or_key(patterns: list[str], expected: set[str]) -> None:
    """A requirement that a check covers on the way selects it too."""
    assert {check.requirement for check in select(ALL, patterns)} == expected


def test_a_pattern_that_names_nothing_is_a_mistake() -> None:
    """A typing error must not look like a VTN that passes."""
    with pytest.raises(Misused, match="PAEG"):
        select(ALL, ["PAEG"])


@pytest.mark.parametrize("switches", [["nonsense=1"], ["webhook.verify_echo=maybe"], ["auth.invalid_token_status=402"]])
def test_an_unknown_switch_or_value_is_a_mistake(switches: list[str]) -> None:
    """The message names it."""
    with pytest.raises(Misused, match=switches[0].partition("=")[0 if "nonsense" in switches[0] else 2]):
        profile_of("default", switches)


@pytest.mark.parametrize("text", ["", "id:", "@/nowhere/at/all"])
def test_a_broken_credential_is_a_mistake(text: str) -> None:
    """An empty secret would only look like a refusal by the VTN."""
    with pytest.raises(Misused):
        Credential.parse(text)


def test_a_credential_may_come_from_a_file(tmp_path: Path) -> None:
    """So that secrets do not show in the list of processes."""
    (tmp_path / "bl").write_text("me:sec:ret\n", encoding="utf-8")
    assert Credential.parse(f"@{tmp_path / 'bl'}") == Credential(client_id="me", client_secret="sec:ret")


def test_nobody_at_the_url_is_unreachable() -> None:
    """Not a VTN that fails every check."""
    bl, ven, ven2 = (Credential(token=text) for text in ("x", "y", "z"))
    subject = Subject(f"http://127.0.0.1:{free_port()}", bl=bl, ven=ven, ven2=ven2)
    with pytest.raises(Unreachable):
        asyncio.run(run(subject, ALL))


def test_a_refused_credential_stops_the_run(vtn_on_sqlite: Subject) -> None:
    """The message says whose."""
    wrong = Credential(client_id=vtn_on_sqlite.ven.client_id, client_secret="wrong")
    with pytest.raises(Refused, match=wrong.client_id):
        asyncio.run(run(_with(vtn_on_sqlite, ven=wrong), ALL))
    with pytest.raises(Refused, match="VEN 1"):
        asyncio.run(run(_with(vtn_on_sqlite, ven=Credential(token="no-token")), ALL))


def test_a_run_leaves_nothing_behind_and_can_be_repeated(vtn_on_sqlite: Subject) -> None:
    """Everything that was created is deleted, so a second run finds the same VTN."""
    checks = select(ALL, ["VEN", "PRIV-EX-0*", "REPORT", "SUBS-00*"])
    for _ in range(2):
        result = asyncio.run(run(vtn_on_sqlite, checks))
        assert [one.check.key for one in result.results if one.outcome is Outcome.FAIL] == []
        assert asyncio.run(_stored(vtn_on_sqlite)) == []


def test_a_failing_check_cleans_up_too(vtn_on_sqlite: Subject) -> None:
    """What was created before the failure goes, the newest first, so that nothing hangs on what is gone."""

    async def body(t: Probe) -> None:
        ven = await t.enrol(t.ven)
        await t.resource(ven)
        await t.report(t.ven, await t.event())
        await t.subscription(t.ven)
        (await t.bl.get("/programs")).expect(418)

    check = Check("X-001", "fails", (), Level.MUST, "fails", "nowhere", frozenset({"bl", "ven"}), body)

    async def examine() -> Result:
        async with opened(vtn_on_sqlite) as session:
            return await judge(session, check)

    result = asyncio.run(examine())
    assert (result.outcome, result.expected, result.got) == (Outcome.FAIL, "status 418", "status 200")
    assert result.response.startswith("HTTP 200")
    assert result.leftovers == ()
    assert asyncio.run(_stored(vtn_on_sqlite)) == []


def test_data_that_cannot_be_seeded_is_told_apart(vtn_on_sqlite: Subject) -> None:
    """Then the check's own question was never asked."""

    async def body(t: Probe) -> None:
        await t.event({"id": "nonexistent"})

    check = Check("X-001", "fails", (), Level.MUST, "fails", "nowhere", frozenset({"bl"}), body)

    async def examine() -> Result:
        async with opened(vtn_on_sqlite) as session:
            return await judge(session, check)

    result = asyncio.run(examine())
    assert (result.outcome, result.got) == (Outcome.BLOCKED, "status 400")


def test_the_ven_of_a_test_client_is_put_back(vtn_on_sqlite: Subject) -> None:
    """A client that has a ven already gets it back after the run, with its targets."""

    async def enrolled(client_id: str) -> list[Obj]:
        async with opened(
            _with(vtn_on_sqlite, ven=vtn_on_sqlite.ven2, ven2=vtn_on_sqlite.stranger, stranger=None)
        ) as session:
            probe = Probe(session, "-", frozenset({"bl"}))
            found = (await probe.bl.get("/vens")).expect(200).array()
            if not found:
                body = bl_ven(client_id, "somebody's ven", targets=["feeder-7"])
                return [(await probe.bl.send("POST", "/vens", body=body)).expect(201).object()]
            for ven in found:
                await probe.bl.delete(f"/vens/{ven['id']}")
            return found

    asyncio.run(enrolled(vtn_on_sqlite.ven.client_id))
    asyncio.run(run(vtn_on_sqlite, select(ALL, ["VEN-001"])))
    (ven,) = asyncio.run(enrolled(vtn_on_sqlite.ven.client_id))
    assert (ven["venName"], ven["targets"]) == ("somebody's ven", ["feeder-7"])


def test_a_token_instead_of_a_secret_skips_what_needs_the_secret(vtn_on_sqlite: Subject) -> None:
    """A skip is not a pass: it is counted, says why, and spoils a strict verdict."""

    async def token(credential: Credential) -> str:
        async with opened(vtn_on_sqlite) as session:
            return await session.token(credential)

    bl = Credential(token=asyncio.run(token(vtn_on_sqlite.bl)))
    result = asyncio.run(run(_with(vtn_on_sqlite, bl=bl), select(ALL, ["AUTH-012", "PAGE-003/*event"])))
    assert result.total == "1 passed, 0 failed, 12 skipped"
    assert {one.why for one in result.results} == {
        "",
        "only a client id and secret can ask for a token with other scopes",
    }
    assert result.conforms()
    assert not result.conforms(strict=True)


@pytest.fixture(scope="module")
def mixed_run(vtn_on_sqlite: Subject) -> Run:
    """Return a run with a pass, a failure and a skip: the suite is told of switches that the VTN does not have."""
    switches = ["auth.invalid_token_status=403", "rulings.binding=true"]
    told = _with(vtn_on_sqlite, profile=profile_of("default", switches), version="1.2")
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    checks = select(ALL, ["PAGE-007", "AUTH-006/garbage", "PRIV-EX-17/*events"])
    return asyncio.run(run(told, checks, now=lambda: moment))


def test_json_has_every_result_and_the_exchange_of_failures(mixed_run: Run) -> None:
    """What a program reads."""
    told = json.loads(json_text(mixed_run))
    assert told["total"] == "6 passed, 1 failed, 1 skipped"
    assert not told["conforms"]
    (failed,) = [one for one in told["results"] if one["outcome"] == "fail"]
    assert (failed["expected"], failed["got"]) == ("status 403", "status 401")
    assert failed["request"].startswith("GET http://")
    assert failed["response"].startswith("HTTP 401")
    assert failed["level"] == Level.MUST


def test_junit_counts_like_the_suite(mixed_run: Run) -> None:
    """What a continuous integration server reads."""
    suites = ET.fromstring(junit_xml(mixed_run)).findall("testsuite")
    counts = {
        suite.get("name"): tuple(int(suite.get(name, "")) for name in ("tests", "failures", "skipped"))
        for suite in suites
    }
    assert counts == {"AUTH": (1, 1, 0), "PAGE": (6, 0, 0), "PRIV": (1, 0, 1)}
    failure = ET.fromstring(junit_xml(mixed_run)).find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "expected status 403, got status 401"


def test_the_page_needs_nothing_but_itself_and_begins_with_the_summary(mixed_run: Run) -> None:
    """Product, version, date and total on top, then the failure with its exchange."""
    page = html_page(mixed_run).partition("<h1>")[2]
    parts = [
        "does not conform",
        "OpenADR Fleet 1.2",
        "2026-01-02 03:04 UTC",
        "6 passed, 1 failed, 1 skipped",
        "HTTP 401",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert "src=" not in page
    assert "href=" not in page


def test_the_terminal_shows_the_total_last(mixed_run: Run) -> None:
    """After the failures, so that it is what one sees."""
    console = Console(record=True, width=200, file=Path("/dev/null").open("w"))  # noqa: SIM115 - closed with the console
    show(mixed_run, console)
    console.file.close()
    text = console.export_text()
    assert "expected status 403" in text
    assert text.rstrip().splitlines()[-2:] == [
        "3 requirements: 1 passed, 1 failed, 1 skipped",
        "6 passed, 1 failed, 1 skipped: does not conform",
    ]


def test_no_report_carries_a_token_or_secret(mixed_run: Run, vtn_on_sqlite: Subject) -> None:
    """Reports are passed on."""
    everything = json_text(mixed_run) + junit_xml(mixed_run) + html_page(mixed_run)
    assert vtn_on_sqlite.bl.client_secret not in everything
    assert "Bearer ey" not in everything


def _with(subject: Subject, **changes: object) -> Subject:
    return replace(subject, **changes)  # type: ignore[arg-type]  # the names are those of the fields


async def _stored(subject: Subject) -> list[str]:
    async with opened(subject) as session:
        return await _ids(Probe(session, "-", frozenset({"bl"})))


async def _ids(probe: Probe) -> list[str]:
    """Names of what our suite has left in any collection."""
    found = []
    for path in COLLECTIONS.values():
        found += [obj for obj in await probe.all(probe.bl, path) if PREFIX in json.dumps(obj)]
    return [obj["id"] for obj in found]
