"""Tokens on requests (AUTH-001 … AUTH-010, AUTH-039)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role, Scope

KEY = "a signing key that is known to the test"


def claims(vtn: VtnUnderTest, **changed: Any) -> dict[str, Any]:
    """Return the claims of a valid token; a change to None leaves the claim out."""
    now = vtn.now.at
    good = {
        "iss": "openadr-fleet",
        "aud": "openadr3",
        "sub": "home",
        "role": "VEN",
        "scope": "read_targets",
        "iat": now.timestamp(),
        "exp": (now + timedelta(hours=1)).timestamp(),
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(content: dict[str, Any], key: str = KEY, algorithm: str = "HS256", kid: str = "settings") -> str:
    """A token made elsewhere."""
    return jwt.encode(content, key, algorithm=algorithm, headers={"kid": kid})


async def test_a_token_signed_with_the_key_of_the_settings_is_accepted(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """The key may be given; then nothing else is needed to make tokens (for instance for measurements)."""
    other = await start_vtn(auth={"signing_key": KEY})

    (await other.with_token(signed(claims(other))).get("/events")).ok()
    (await other.home().get("/events")).ok()


FORGERIES: dict[str, dict[str, Any]] = {
    "wrong issuer": {"iss": "somebody"},
    "wrong audience": {"aud": "something"},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "no subject": {"sub": None},
    "no role": {"role": None},
    "unknown role": {"role": "ADMIN"},
    "no scope": {"scope": None},
    "scope of another kind": {"scope": 5},
    "expiry of another kind": {"exp": "soon"},
    "expiry beyond the calendar": {"exp": 1e30},
    "no time of issue": {"iat": None},
}


@pytest.mark.parametrize("changed", FORGERIES.values(), ids=FORGERIES)
async def test_a_token_that_does_not_say_what_it_must_is_refused(
    vtn: VtnUnderTest, start_vtn: StartVtn, changed: dict[str, Any]
) -> None:
    """AUTH-006: even if it is signed with our key."""
    other = await start_vtn(auth={"signing_key": KEY})

    answer = await other.with_token(signed(claims(other, **changed))).get("/events")

    answer.problem(401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="VTN", error="invalid_token"'


async def test_a_token_signed_otherwise_is_refused(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-006, AUTH-008: another key, another algorithm, none at all, or a kid of nothing."""
    other = await start_vtn(auth={"signing_key": KEY})
    good = claims(other)
    unsigned = jwt.encode(good, "", algorithm="none", headers={"kid": "settings"})

    for token in (
        signed(good, key="another key that is long enough for it"),
        signed(good, key=KEY * 2, algorithm="HS512"),
        signed(good, algorithm="HS384", key=KEY * 2),
        signed(good, kid="unknown"),
        jwt.encode(good, KEY),
        unsigned,
        signed(good)[:-3],
        "a.b.c",
        "é",
    ):
        (await other.with_token(token).get("/events")).problem(401)


async def test_an_unverifiable_token_can_be_answered_with_403(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-006, R-01: the switch `auth.invalid_token_status`; missing and expired ones stay 401."""
    lenient = await start_vtn(auth={"invalid_token_status": 403})
    home = lenient.home()

    (await lenient.with_token("bad_token").get("/events")).problem(403)
    (await lenient.nobody.get("/events")).problem(401)
    lenient.now.pass_(hours=2)
    (await home.get("/events")).problem(401)


async def test_an_expired_token_is_refused_to_the_second(vtn: VtnUnderTest) -> None:
    """AUTH-003, AUTH-008: whether or not it was seen before."""
    seen, unseen = vtn.home(), vtn.home()

    vtn.now.pass_(seconds=3599)
    (await seen.get("/events")).ok()
    vtn.now.pass_(seconds=1)
    for caller in (seen, seen, unseen):
        answer = await caller.get("/events")
        assert answer.problem(401) == "the token has expired"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="VTN", error="invalid_token"'


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_compared_without_case(vtn: VtnUnderTest, scheme: str) -> None:
    """AUTH-001."""
    token = vtn.home().headers["Authorization"].removeprefix("Bearer ")

    (await vtn.nobody.ask("GET", "/events", headers={"Authorization": f"{scheme} {token}"})).ok()


async def test_a_token_counts_only_where_it_belongs(vtn: VtnUnderTest) -> None:
    """AUTH-002, AUTH-005: not twice, not empty, not with another scheme, never in the address."""
    header = vtn.home().headers["Authorization"]
    token = header.removeprefix("Bearer ")
    url = f"{vtn.base_url}/events"

    for headers in (
        [("Authorization", header), ("Authorization", header)],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", token)],
        [("Authorization", f"Basic {token}")],
        [],
    ):
        answer = await vtn.ask("GET", url, headers=headers, params={"access_token": token})
        answer.problem(401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="VTN"'


async def test_scopes_open_operations_and_the_role_decides_what_is_seen(vtn: VtnUnderTest) -> None:
    """AUTH-039: a VEN with read_all may read, and still sees only what it may."""
    await vtn.bl.event(await vtn.bl.program(), targets=["others"])
    await vtn.home().ven()
    curious = vtn.caller(Role.VEN, scopes={Scope.READ_ALL})

    for path in ("/programs", "/events", "/reports", "/vens", "/resources"):
        found = (await curious.get(path)).ok()
        assert [one["objectType"] for one in found] == (["PROGRAM"] if path == "/programs" else [])


async def test_business_logic_with_the_scope_may_report(vtn: VtnUnderTest) -> None:
    """COMPAT-016: the scopes of the token count."""
    both = vtn.caller(Role.BL, scopes=set(Scope))

    report = await both.report(await vtn.bl.event(await vtn.bl.program(), targets=["others"]))

    assert report["clientID"] == both.client_id


async def test_servers_on_one_database_accept_each_others_tokens(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Without a key in the settings, the one in the database is everybody's."""
    other = await start_vtn()

    (await vtn.with_token(other.home().headers["Authorization"].removeprefix("Bearer ")).get("/events")).ok()


async def test_remembering_tokens_is_bounded(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """And forgetting one costs only the signature again."""
    forgetful = await start_vtn(auth={"token_cache": 3})
    callers = [forgetful.home() for _ in range(5)]

    for _ in range(2):
        for caller in callers:
            (await caller.get("/events")).ok()

    assert len(forgetful.server._tokens.cache) == 3
