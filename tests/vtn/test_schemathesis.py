"""Thousands of requests made up from our own description: no answer is a server error or breaks the description."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
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
from vtn.api.openapi import description
from vtn.app import build
from vtn.settings import Settings

CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES: Final = int(os.environ.get("OADR_TEST_EXAMPLES", "25"))
"""For each operation, and for walks along the links; more in a long run."""
STEPS: Final = 8
QUIET: Final[dict[str, Any]] = {
    "database": None,
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": [hypothesis.Phase.generate],
}
# Nobody is called: the URLs are made up too.
SETTINGS: Final[dict[str, Any]] = {"webhook": {"verify_echo": False, "require_https": False, "denied_ports": []}}


def operations() -> list[str]:
    """Every operation by its name."""
    routes, open_routes = build(Settings())._routes()
    document = description(routes, open_routes, version="0", prefix="/openadr3/3.1.0", token_url="/auth/token")
    return [operation["operationId"] for item in document["paths"].values() for operation in item.values()]


async def schema_of(vtn: VtnUnderTest) -> Any:
    """The description as the server gives it, with the address where it is."""
    document = (await vtn.ask("GET", f"{vtn.origin}/openapi.json")).ok()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=vtn.base_url)
    return schema


@pytest.fixture(scope="session", params=["sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    """The single operations are asked on one kind of database."""
    name: str = request.param
    return name


@pytest.mark.parametrize("operation", operations())
async def test_any_request_gets_an_answer_as_described(start_vtn: StartVtn, operation: str) -> None:
    """GEN-010, PROBLEM-001, PROBLEM-006: documents that are right and wrong, with every parameter there is."""
    vtn = await start_vtn(**SETTINGS)
    found = (await schema_of(vtn)).find_operation_by_id(operation)
    caller = vtn.caller(Role.BL, scopes=set(Scope))
    strategy = found.as_strategy(generation_mode=GenerationMode.POSITIVE) | found.as_strategy(
        generation_mode=GenerationMode.NEGATIVE
    )

    @hypothesis.settings(max_examples=EXAMPLES, **QUIET)
    @hypothesis.given(case=strategy)
    def ask(case: Any) -> None:
        case.call_and_validate(headers=caller.headers, checks=CHECKS)

    await asyncio.to_thread(ask)


@pytest.mark.parametrize("role", list(Role))
async def test_what_was_made_can_be_read_changed_and_removed(start_vtn: StartVtn, role: Role) -> None:
    """The same along the links of the description: from each new object to what can be done with it."""
    vtn = await start_vtn(**SETTINGS)
    schema = await schema_of(vtn)
    caller = vtn.caller(role)
    asked: list[int] = []

    class Walk(schema.as_state_machine()):  # type: ignore[misc] # made at run time
        """Requests that follow from each other."""

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": caller.headers}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            asked.append(response.status_code)
            case.validate_response(response, checks=CHECKS)

    await asyncio.to_thread(
        Walk.run, settings=hypothesis.settings(max_examples=max(1, EXAMPLES // 3), stateful_step_count=STEPS, **QUIET)
    )

    assert len(asked) > EXAMPLES
    assert {200, 201} & set(asked)
