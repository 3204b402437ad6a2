"""Every MUST names the sentence that forbids the other behaviour; a VTN that does otherwise everywhere else passes."""

import asyncio
import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from oadr_conformance import ALL, Outcome, Run, Standing, run, select
from oadr_conformance.basis import BASES, Basis, Source
from vtns.demanding import DemandingVtn, demanding_vtn

_OPENAPI: Final = Path(__file__).parents[2] / "data" / "openapi" / "openadr3-3.1.yaml"
_HEADINGS: Final = {
    "Object Metadata",
    "Required and optional properties",
    "Response Codes and Errors",
    "Problem",
    "POST and PUT",
    "Compression",
    "Message validation",
    "Subscriptions",
    "Response Filtering",
    "Object names",
    "Object Privacy",
    "VEN created object privacy",
    "ven objects",
    "program and event objects - targeting",
    "Information Model",
    "EndPoints",
    "Private Strings",
    "Attribute Enumerations",
    "Program Attributes Enumerations",
    "Security objectives",
    "Assumptions",
    "OAuth 2.0 client credential flow",
    "Token endpoint discovery",
    "Webhooks",
    "Notifications via Additional Protocols",
    "MQTT",
    "MQTT Notifier Binding Authentication Enumerations",
}
"""Headings of the Definition that a basis may name."""
_SECTIONS: Final = {
    "3339 section 5.6",
    "6749 section 5.1",
    "6749 section 5.2",
    "8259 section 1",
    "8259 section 11",
    "9110 section 11.1",
    "9110 section 12.5.3",
}
_OPTIONAL: Final = {"COMP-001/gzip when asked"}
"""SHOULDs of the standard that the demanding VTN leaves out."""
_UNANSWERABLE: Final = {
    "AUTH-003/expired token",
    "AUTH-006/tampered: a changed signature",
    "AUTH-006/tampered: a changed payload",
}
"""Questions nobody can ask it: no token of it expires, and none is a JWT."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the OpenAPI document of 3.1."""
    found: dict[str, Any] = yaml.safe_load(_OPENAPI.read_text(encoding="utf-8"))
    return found


def test_every_check_of_the_standard_names_its_sentence() -> None:
    """Find a ruling of ours, said to be one, for each check without a sentence."""
    assert [check.key for check in ALL if check.standing is not Standing.RULING and not check.basis] == []
    assert [check.key for check in ALL if check.standing is Standing.RULING and check.basis] == []


def test_every_sentence_is_needed() -> None:
    """A pattern that names no check of the standard is a basis that got lost."""
    names = {name for check in ALL if not check.ruling for name in (check.requirement, check.key)}
    assert [pattern for pattern in BASES if not fnmatch.filter(names, pattern)] == []


def test_every_sentence_stands_somewhere(document: dict[str, Any]) -> None:
    """Headings, names and sections exist."""
    bases = {basis for bases in BASES.values() for basis in bases}
    assert {str(basis) for basis in bases if not _stands(basis, document)} == set()
    assert {basis.place for basis in bases if not basis.says} == set()


def _stands(basis: Basis, document: dict[str, Any]) -> bool:
    if basis.source is Source.DEFINITION:
        return basis.place in _HEADINGS
    if basis.source is Source.RFC:
        return basis.place in _SECTIONS
    name, _, member = basis.place.partition(".")
    parts = document["components"]
    scopes = parts["securitySchemes"]["oAuth2ClientCredentials"]["flows"]["clientCredentials"]["scopes"]
    operations = {
        one["operationId"]: {parameter["name"] for parameter in one.get("parameters", [])}
        for path in document["paths"].values()
        for method, one in path.items()
        if method in {"get", "post", "put", "delete"}
    }
    if name in operations:
        return not member or member in operations[name]
    if name in parts["schemas"]:
        return not member or member in parts["schemas"][name].get("properties", {})
    return name in parts["responses"] or name in scopes


@pytest.fixture(scope="module")
def demanding_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, DemandingVtn]:
    """Return the whole suite against the demanding VTN, given by its origin alone."""

    async def examine() -> tuple[Run, DemandingVtn]:
        async with demanding_vtn(tmp_path_factory.mktemp("demanding")) as (subject, server):
            return await run(subject, ALL, of=len(ALL)), server

    return asyncio.run(examine())


def test_a_demanding_vtn_fails_no_must(demanding_run: tuple[Run, DemandingVtn]) -> None:
    """It does the legal opposite of ours, and refuses what it may refuse; only a SHOULD that it leaves out shows."""
    result, server = demanding_run
    failed = {
        one.check.key: f"expected {one.expected}, got {one.got}"
        for one in result.results
        if one.outcome is Outcome.FAIL
    }
    assert failed.keys() == _OPTIONAL, failed
    assert result.conforms()
    assert result.leftovers == []
    assert {"hid what was not asked for", "asked for patience with tokens", "400", "409", "410"} <= server.met.keys()


def test_a_demanding_vtn_is_asked_everything(demanding_run: tuple[Run, DemandingVtn]) -> None:
    """No question is lost because data is refused: what the suite seeds no VTN has a reason to refuse."""
    result, _ = demanding_run
    blocked = {one.check.key: one.request for one in result.results if one.outcome is Outcome.BLOCKED}
    assert blocked == {}
    assert {one.check.key for one in result.results if one.outcome is Outcome.SKIP} == _UNANSWERABLE
    answered, chosen = result.answered()
    assert answered == chosen - len(_UNANSWERABLE)
    assert result.verdict() == f"conforms, as far as {answered} of {chosen} MUSTs of the standard tell"


def test_totals_tell_the_standard_from_our_rulings(demanding_run: tuple[Run, DemandingVtn]) -> None:
    """MUSTs, SHOULDs and rulings have a line each; a ruling that does not bind is not asked, and no skip."""
    result, _ = demanding_run
    totals = result.totals
    assert list(totals) == list(Standing)
    assert sum(sum(counts.values()) for counts in totals.values()) == len(ALL)
    assert totals[Standing.MUST][Outcome.NOT_ASKED] == 0
    rulings = sum(bool(check.ruling) for check in ALL)
    assert totals[Standing.RULING] == dict.fromkeys(Outcome, 0) | {Outcome.NOT_ASKED: rulings}


def test_a_vtn_at_the_root_of_its_origin_is_found(tmp_path: Path) -> None:
    """Nothing has to say that it has no prefix."""

    async def examine() -> Run:
        async with demanding_vtn(tmp_path) as (subject, _):
            return await run(subject, select(ALL, ["PROG-001"]))

    result = asyncio.run(examine())
    assert result.url.count("/") == len(["http:", "", "host"]) - 1
    assert result.total == "1 passed, 0 failed, 0 skipped"
