"""Thousands of requests made up from our own description: no answer is a server error or breaks the description."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import hypothesis
import msgspec
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck
from schemathesis import Case as AnyCase
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role, Scope
from vtn.api.v31.openapi import description
from vtn.app import build
from vtn.settings import Settings

CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
pytestmark = pytest.mark.xdist_group("requests made up")
"""One process makes them up for both kinds of database, which takes longer than asking."""
EXAMPLES: Final = int(os.environ.get("OADR_TEST_EXAMPLES", "25"))
"""Made up for each operation, and walks along the links, on each kind of database; more in a long run."""
STEPS: Final = 20
REQUEST_S: Final = 60
"""Seconds that a request may take: the library's own limit of 10 is short of what a busy machine needs."""
LONGEST_LIST: Final = 3
"""In a document that is made up: lists within lists within lists take all the time, and find nothing more."""
LONGEST_PATTERN: Final = 40
QUIET: Final[dict[str, Any]] = {
    "database": None,
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": [hypothesis.Phase.generate],
}
# Nobody is called: the URLs are made up too.
SETTINGS: Final[dict[str, Any]] = {
    "webhook": {"verify_echo": False, "require_https": False, "denied_ports": []},
    "mqtt": {"url": "mqtt://127.0.0.1:1"},
}

OF_RESULTS: Final = (
    "evaluateEvent",
    "searchPerformanceResultByID",
    "deletePerformanceResult",
    "freezePerformanceResult",
    "searchPerformanceParticipants",
    "searchPerformanceDifferences",
    "readSettlement",
)
"""Operations on results of events, which are made in the background of events that are over: none exists here."""
CHILDREN: Final = (("ven_resource", "resourceID"), ("resource_group", "resourceGroupID"))
"""Types of children of a resource group, and the names under which the ids of such objects are known."""

Case: TypeAlias = AnyCase[Any]


def operations() -> list[str]:
    """Every operation by its name."""
    server = build(Settings())
    served, _ = server._wiring(server._stores()).versions()
    document = description(
        served.routes, served.open_routes, version="0", prefix="/openadr3/3.1.0", token_url="/auth/token"
    )
    return [operation["operationId"] for item in document["paths"].values() for operation in item.values()]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def document(shared_vtn: VtnUnderTest) -> bytes:
    """The description as a server gives it, but for where that is: it is the same for every kind of database."""
    text = (await shared_vtn.ask("GET", f"{shared_vtn.origin}/openapi.json")).ok()
    return msgspec.json.encode(text | {"servers": []})


@cache
def schema_of(document: bytes) -> Any:
    """The description, ready to make up requests from."""
    schema = schemathesis.openapi.from_dict(_with_short_bodies(msgspec.json.decode(document)))
    schema.config.request_timeout = REQUEST_S
    return schema


def walks_of(document: bytes) -> Any:
    """Walks along its links with documents that are right: with others they end where they begin."""
    schema = schemathesis.openapi.from_dict(_with_short_bodies(msgspec.json.decode(document)))
    schema.config.request_timeout = REQUEST_S
    schema.config.generation.update(modes=[GenerationMode.POSITIVE])
    return schema.as_state_machine()


def _with_short_bodies(document: dict[str, Any]) -> dict[str, Any]:
    """The description with bodies of requests that have short lists; answers are described as before."""

    def short(node: Any) -> Any:
        if isinstance(node, list):
            return [short(part) for part in node]
        if not isinstance(node, dict):
            return node
        node = {name: short(part) for name, part in node.items()}
        if isinstance(node.get("$ref"), str):
            node["$ref"] = node["$ref"].replace("/schemas/", "/schemas/short-")
        if node.get("type") == "array":
            node["maxItems"] = LONGEST_LIST
        if "pattern" in node and node.get("maxLength", 0) > LONGEST_PATTERN:
            node["maxLength"] = LONGEST_PATTERN
        return node

    schemas = document["components"]["schemas"]
    schemas |= {f"short-{name}": short(schema) for name, schema in schemas.items()}
    for item in document["paths"].values():
        for operation in item.values():
            if "requestBody" in operation:
                operation["requestBody"] = short(operation["requestBody"])
    return document


@cache
def systematic(document: bytes, operation: str) -> list[Case]:
    """Return the deterministic cases of the description: every member at its bounds, beyond them, wrong, or missing."""
    schema = schema_of(document)
    found = schema.find_operation_by_id(operation)
    config = schema.config.generation_for(operation=found, phase="coverage")
    return list(schema.iter_coverage_cases(found, generation_modes=list(GenerationMode), generation_config=config))


@cache
def made_up(document: bytes, operation: str) -> list[Case]:
    """Return documents that are right and wrong, by chance that is the same in every run."""
    found = schema_of(document).find_operation_by_id(operation)
    strategy = found.as_strategy(generation_mode=GenerationMode.POSITIVE) | found.as_strategy(
        generation_mode=GenerationMode.NEGATIVE
    )
    cases: list[Case] = []

    def note(case: Case) -> None:
        cases.append(case)

    hypothesis.settings(max_examples=EXAMPLES, **QUIET)(hypothesis.given(case=strategy)(note))()
    return cases


class Known:
    """Ids of objects that exist, by the names that members and parameters have for them."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self._vtn = vtn
        self._bl = vtn.caller(Role.BL, scopes=set(Scope))
        self.ids: dict[str, str] = {}

    @property
    def complete(self) -> bool:
        """Return True if there is an object of each kind."""
        return len(self.ids) == 7

    async def make(self) -> None:
        """Whatever is missing. Everybody may see it."""
        bl, ids = self._bl, self.ids
        if "programID" not in ids:
            ids["programID"] = (await bl.program())["id"]
        if "eventID" not in ids:
            ids["eventID"] = (await bl.event({"id": ids["programID"]}))["id"]
        if "reportID" not in ids:
            ids["reportID"] = (await bl.report({"id": ids["eventID"]}))["id"]
        if "venID" not in ids:
            ids["venID"] = (await bl.ven_for(self._vtn.home()))["id"]
        if "resourceID" not in ids:
            ids["resourceID"] = (
                await bl.resource({"id": ids["venID"]}, clientID="c", objectType="BL_RESOURCE_REQUEST")
            )["id"]
        if "subscriptionID" not in ids:
            document = {"clientName": "c", "objectOperations": []}
            ids["subscriptionID"] = (await bl.post("/subscriptions", document)).ok(201)["id"]
        if "resourceGroupID" not in ids:
            ids["resourceGroupID"] = (await bl.group({"objectType": "RESOURCE", "id": ids["resourceID"]}))["id"]

    def forget(self, case: Case) -> None:
        """Forget the object that the case removes, with all that depends on it."""
        for name in case.path_parameters:
            lost = {"programID": ["eventID", "reportID"], "eventID": ["reportID"], "venID": ["resourceID"]}
            for gone in (name, *lost.get(name, ())):
                self.ids.pop(gone, None)


def naming(case: Case, ids: Mapping[str, str], *, in_path: bool = True) -> Case:
    """The case with ids of objects that exist in place of those made up."""
    named = {name: ids[name] for name in case.path_parameters.keys() & ids.keys()} if in_path else {}
    body = case.body
    if isinstance(body, dict):
        body = body | {name: ids[name] for name in body.keys() & ids.keys() & {"programID", "eventID", "venID"}}
        children: Any = [
            {"type": kind, "id": ids[name]} for kind, name in CHILDREN if kind in str(body.get("children"))
        ]
        body |= {"children": children} if children else {}
    case.path_parameters = {**case.path_parameters, **named}
    case.body = body
    return case


@pytest.mark.parametrize("operation", operations())
async def test_any_request_gets_an_answer_as_described(start_vtn: StartVtn, document: bytes, operation: str) -> None:
    """GEN-010, PROBLEM-001, PROBLEM-006: documents that are right and wrong, with every parameter there is.

    Two of three name objects that exist, as far as they name any.
    """
    vtn = await start_vtn(**SETTINGS)
    caller = vtn.caller(Role.BL, scopes=set(Scope))
    known, loop = Known(vtn), asyncio.get_running_loop()
    asked = Counter[int]()

    def ask_all(session: requests.Session) -> None:
        for each in (*systematic(document, operation), *made_up(document, operation)):
            case = each
            if asked.total() % 3:
                if not known.complete:
                    asyncio.run_coroutine_threadsafe(known.make(), loop).result()
                case = naming(case, known.ids)
            answer = case.call(base_url=vtn.base_url, session=session, headers=caller.headers)
            asked[answer.status_code] += 1
            if case.method == "DELETE" and answer.status_code == 200:
                known.forget(case)
            case.validate_response(answer, checks=CHECKS)

    with requests.Session() as session:
        await asyncio.to_thread(ask_all, session)

    assert asked.total() >= len(systematic(document, operation))
    assert {200, 201} & asked.keys() or operation in {"fetchToken", "listenToNotifications", *OF_RESULTS}


async def test_the_cases_are_thousands(document: bytes) -> None:
    """So many on each kind of database, whatever becomes of the description and of what makes them up from it."""
    assert sum(len(systematic(document, operation)) for operation in operations()) > 3000


@pytest.mark.parametrize("role", list(Role))
async def test_what_was_made_can_be_read_changed_and_removed(start_vtn: StartVtn, document: bytes, role: Role) -> None:
    """The same along the links of the description: from each new object to what can be done with it."""
    vtn = await start_vtn(**SETTINGS)
    loop, made, walked = asyncio.get_running_loop(), set[str](), Counter[str]()
    asked = 0

    with requests.Session() as session:

        class Walk(walks_of(document)):  # type: ignore[misc] # made at run time
            """Requests that follow from each other; every walk begins in the same place, so that it can be repeated."""

            def setup(self) -> None:
                asyncio.run_coroutine_threadsafe(vtn.wipe(), loop).result()
                self.caller, known = vtn.caller(role), Known(vtn)
                asyncio.run_coroutine_threadsafe(known.make(), loop).result()
                self.ids = known.ids

            def before_call(self, case: Case) -> None:
                naming(case, self.ids, in_path=False)

            def get_call_kwargs(self, case: Case) -> dict[str, Any]:
                return {"base_url": vtn.base_url, "session": session, "headers": self.caller.headers}

            def validate_response(self, response: Any, case: Case, **_: Any) -> None:
                nonlocal asked
                asked += 1
                case.validate_response(response, checks=CHECKS)
                if response.status_code == 201:
                    made.add(response.json()["id"])
                elif response.status_code == 200 and made & set(case.path_parameters.values()):
                    walked[case.method] += 1

        # A VEN is refused so often that few of its walks lead on to a change of what it made.
        examples = EXAMPLES if role is Role.BL else 3 * EXAMPLES
        walks = hypothesis.settings(max_examples=examples, stateful_step_count=STEPS, **QUIET)
        await asyncio.to_thread(Walk.run, settings=walks)

    assert asked > EXAMPLES * STEPS // 2
    assert walked.keys() == {"GET", "PUT", "DELETE"}
    assert walked.total() > EXAMPLES // 2
