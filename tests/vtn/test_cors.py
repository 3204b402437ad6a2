"""Pages of other origins in a browser (CORS), and proxies that take a part of the path away (TLS-007)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import Answer, VtnUnderTest

APP = "https://app.example"
ASKED = {"Origin": APP, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}


def varies(answer: Answer) -> set[str]:
    """Return the header names in Vary; the header may occur more than once."""
    return {name for line in answer.headers.getall("Vary") for name in line.split(", ")}


async def test_no_page_may_use_the_api_unless_it_is_named(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Off by default: the question is a method that the path does not have."""
    named = await start_vtn(cors={"origins": ["https://other.example"]})
    for server in (vtn, named):
        refused = await server.bl.ask("OPTIONS", "/programs", headers=ASKED)
        refused.problem(405)
        found = await server.bl.ask("GET", "/programs", headers={"Origin": APP})
        for answer in (refused, found):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_a_named_origin_may_use_the_api(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """The question is answered without a token, the request as always; refusals can be read too."""
    open_ = await start_vtn(cors={"origins": [APP], "max_age_s": 60})

    asked = await open_.ask("OPTIONS", f"{open_.base_url}/programs/some-id", headers=ASKED)
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == APP
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "If-None-Match"} <= set(asked.headers["Access-Control-Allow-Headers"].split(", "))
    assert asked.headers["Access-Control-Max-Age"] == "60"
    assert "Access-Control-Allow-Credentials" not in asked.headers

    for caller, status in ((open_.bl, 200), (open_.nobody, 401)):
        answer = await caller.ask("GET", "/programs", headers={"Origin": APP})
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in varies(answer)
    again = await open_.bl.ask("GET", "/programs", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in again.headers
    assert {"Origin", "Authorization"} <= varies(again)


async def test_every_origin_may_be_named_at_once(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """With the star, which is what browsers are told then."""
    open_ = await start_vtn(cors={"origins": ["*"]})

    answer = await open_.bl.ask("GET", "/programs", headers={"Origin": APP})

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://app.example/x", "null", ""])
def test_what_is_no_origin_is_refused_at_start(origin: str) -> None:
    """It would never match what a browser sends."""
    with pytest.raises(ValidationError, match="origins"):
        settings_for("sqlite:///x", cors={"origins": [origin]})


async def test_a_proxy_may_take_a_part_of_the_path_away(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-018, TLS-007: everything a client is told has the path; what arrives does not."""
    public = await start_vtn(public_url="https://vtn.example/dr/", behind_proxy=True)
    origin = f"http://127.0.0.1:{public.server.port}"

    assert public.base_url == "https://vtn.example/dr/openadr3/3.1.0"
    told = (await public.ask("GET", f"{origin}/openadr3/3.1.0/auth/server")).ok()
    assert told == {"tokenURL": "https://vtn.example/dr/openadr3/3.1.0/auth/token"}
    made = await public.ask("POST", f"{origin}/openadr3/3.1.0/programs", json={"programName": "P"},
                            headers=public.bl.headers)  # fmt: skip
    assert made.headers["Location"] == f"{public.base_url}/programs/{made.ok(201)['id']}"
    described = (await public.ask("GET", f"{origin}/openapi.json")).ok()
    assert described["servers"][0]["url"] == public.base_url


@pytest.mark.parametrize("url", ["https://vtn.example/a b", "https://vtn.example/?x", "https://u@vtn.example", "/dr"])
def test_what_is_no_address_is_refused_at_start(url: str) -> None:
    """And says what is expected."""
    with pytest.raises(ValidationError, match="expected"):
        settings_for("sqlite:///x", public_url=url)
