"""Tokens of an external authorisation server: its keys, over a real socket, and what is read from its claims."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio
from jwt.utils import base64url_encode

from bench.support.net import free_port
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.identity_provider import IdentityProvider
from vtn.access import Role

VEN_SCOPES = "read_targets read_ven_objects write_reports write_vens"


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[IdentityProvider]:
    """A server with one key."""
    provider = IdentityProvider()
    await provider.start()
    provider.add_key("one")
    yield provider
    await provider.stop()


class World:
    """A VTN that accepts the provider's tokens, and callers that hold some."""

    def __init__(self, vtn: VtnUnderTest, provider: IdentityProvider) -> None:
        self.vtn = vtn
        self.provider = provider

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a valid token; a change to None leaves the claim out."""
        now = self.vtn.now.at
        good = {
            "iss": self.provider.url,
            "aud": "vtn",
            "client_id": "home",
            "scope": VEN_SCOPES,
            "iat": now.timestamp(),
            "exp": (now + timedelta(hours=1)).timestamp(),
        }
        return {name: value for name, value in (good | changed).items() if value is not None}

    def caller(self, kid: str | None = "one", **changed: Any) -> Session:
        """Somebody with a token that the provider signed."""
        return self.vtn.with_token(self.provider.token(self.claims(**changed), kid))


@pytest_asyncio.fixture(loop_scope="session")
async def world(start_vtn: StartVtn, provider: IdentityProvider) -> World:
    """Both."""
    return World(await start_vtn(auth={"external": provider.settings()}), provider)


@pytest.mark.parametrize(
    ("family", "algorithm", "named"),
    [
        ("RSA", "RS256", None),
        ("RSA", "RS512", "RS512"),
        ("RSA", "PS256", "PS256"),
        ("P-256", "ES256", None),
        ("P-384", "ES384", None),
        ("Ed25519", "EdDSA", None),
    ],
)
async def test_the_key_decides_the_algorithm(world: World, family: str, algorithm: str, named: str | None) -> None:
    """AUTH-008, AUTH-036: by what it says, or by its kind."""
    world.provider.add_key("other", family, algorithm, alg=named)

    ven = await world.caller("other").ven()
    assert ven["clientID"] == "home"


def hmac_signed(claims: dict[str, Any], key: bytes) -> str:
    """A token signed with anything as a secret; the library refuses to make such a token."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "one"}, claims)]
    signed = b".".join(base64url_encode(part) for part in parts)
    return (signed + b"." + base64url_encode(hmac.digest(key, signed, "sha256"))).decode()


async def test_a_token_signed_with_a_published_key_as_if_it_were_a_secret_is_refused(world: World) -> None:
    """AUTH-008: no confusion of algorithms, and nothing unsigned."""
    published = json.dumps(world.provider.keys[0])
    forged = hmac_signed(world.claims(), published.encode())
    unsigned = jwt.encode(world.claims(), None, algorithm="none", headers={"kid": "one"})  # type: ignore[arg-type] # so it is

    for token in (forged, unsigned, "bad_token", "a.b.c", "é"):
        (await world.vtn.with_token(token).get("/events")).problem(401)


async def test_shared_secrets_and_keys_for_encryption_are_not_used(world: World) -> None:
    """AUTH-008: whatever the server publishes."""
    world.provider.keys.append({"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "secret", "alg": "HS256"})
    world.provider.keys.append({"kty": "unheard-of", "kid": "new"})
    world.provider.add_key("enc", use="enc")
    token = jwt.encode(world.claims(), b"secret" * 8, algorithm="HS256", headers={"kid": "secret"})

    (await world.vtn.with_token(token).get("/events")).problem(401)
    (await world.caller("enc").get("/events")).problem(401)
    (await world.caller().get("/events")).ok()


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://somebody.example"},
        {"iss": None},
        {"aud": "something"},
        {"aud": ["something", "else"]},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e30},
        {"client_id": None},
        {"client_id": 5},
        {"client_id": ""},
        {"client_id": "c" * 129},
    ],
    ids=str,
)
async def test_a_token_for_others_or_without_what_it_needs_is_refused(world: World, changed: dict[str, Any]) -> None:
    """AUTH-006, AUTH-009."""
    answer = await world.caller(**changed).get("/events")

    answer.problem(401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="VTN", error="invalid_token"'


@pytest.mark.parametrize(
    "changed", [{"aud": ["else", "vtn"]}, {"iat": None}, {"client_id": None, "azp": "home"}, {"scope": ["read_all"]}]
)
async def test_what_servers_write_in_different_ways_is_understood(world: World, changed: dict[str, Any]) -> None:
    """COMPAT-014, AUTH-009."""
    (await world.caller(**changed).get("/events")).ok()


async def test_clocks_may_differ_a_little(world: World) -> None:
    """AUTH-008, AUTH-003: by half a minute, as set, and no more; also for a token that was seen before."""
    now = world.vtn.now.at
    early = now + timedelta(seconds=30)
    (await world.caller(iat=early.timestamp(), nbf=early.timestamp()).get("/events")).ok()
    late = now + timedelta(seconds=31)
    (await world.caller(nbf=late.timestamp()).get("/events")).problem(401)
    (await world.caller(iat=late.timestamp()).get("/events")).problem(401)

    caller = world.caller(exp=now.timestamp())
    world.vtn.now.pass_(seconds=29)
    (await caller.get("/events")).ok()
    world.vtn.now.pass_(seconds=1)
    assert (await caller.get("/events")).problem(401) == "the token has expired"


ROLES: list[tuple[str, dict[str, Any], Role]] = [
    ("named", {"role": "VEN", "scope": "read_bl read_all"}, Role.VEN),
    ("named otherwise", {"role": ["bl"], "scope": "read_targets"}, Role.BL),
    ("a name of nothing", {"role": "admin", "scope": VEN_SCOPES}, Role.VEN),
    ("read_bl", {"scope": "read_bl"}, Role.BL),
    ("write_programs", {"scp": ["read_all", "write_programs"], "scope": None}, Role.BL),
    ("write_events", {"roles": ["read_all", "write_events"], "scope": None}, Role.BL),
    ("read_all alone", {"scope": "read_all unknown_scope"}, Role.BL),
    ("read_all with a scope of a VEN", {"scope": "read_all write_reports"}, Role.VEN),
    ("a suffix", {"scope": "read_all write_vens_bl"}, Role.BL),
    ("another suffix", {"scope": "read_all write_subscriptions_ven"}, Role.VEN),
    ("scopes of a VEN", {"scope": VEN_SCOPES}, Role.VEN),
]


@pytest.mark.parametrize(("claims", "role"), [case[1:] for case in ROLES], ids=[case[0] for case in ROLES])
async def test_the_role_is_read_from_the_token(world: World, claims: dict[str, Any], role: Role) -> None:
    """AUTH-010, AUTH-016, AUTH-040, AUTH-039: seen in whether a hidden event is shown."""
    bl = world.caller(scope="read_bl read_all write_programs write_events")
    await bl.event(await bl.program(), targets=["others"])

    found = (await world.caller(**claims).get("/events")).ok()

    assert bool(found) == (role is Role.BL)


async def test_read_all_is_not_business_logic_where_vens_get_it(
    start_vtn: StartVtn, provider: IdentityProvider
) -> None:
    """AUTH-010, R-03: the switch."""
    external = provider.settings(read_all_implies_bl=False)
    world = World(await start_vtn(auth={"external": external}), provider)
    bl = world.caller(scope="read_bl write_programs write_events")
    await bl.event(await bl.program(), targets=["others"])

    assert (await world.caller(scope="read_all").get("/events")).ok() == []


async def test_claims_inside_others_can_be_named(start_vtn: StartVtn, provider: IdentityProvider) -> None:
    """AUTH-016: as some servers nest them."""
    members = {"scope_claims": ["realm_access.roles"], "client_id_claims": ["act.name"], "role_claim": "act.kind"}
    world = World(await start_vtn(auth={"external": provider.settings(**members)}), provider)
    caller = world.caller(realm_access={"roles": ["write_vens"]}, act={"name": "inner", "kind": "VEN"})

    assert (await caller.ven())["clientID"] == "inner"


async def test_keys_are_fetched_once(world: World) -> None:
    """AUTH-036: not for every token."""
    for number in range(3):
        (await world.caller(jti=str(number)).get("/events")).ok()

    assert world.provider.fetched == 1


async def test_a_new_key_is_found_and_unknown_ones_do_not_flood_the_server(world: World) -> None:
    """AUTH-036: fetched again for a key not seen yet, at most every half minute."""
    (await world.caller().get("/events")).ok()
    world.provider.add_key("two")
    (await world.caller("two").get("/events")).problem(401)
    world.vtn.now.pass_(seconds=30)
    (await world.caller("two").get("/events")).ok()
    for number in range(5):
        world.provider.add_key(f"later {number}")
        (await world.caller(f"later {number}").get("/events")).problem(401)

    assert world.provider.fetched == 2


async def test_a_key_that_is_gone_ends_what_it_signed(world: World) -> None:
    """AUTH-036: once the keys are fetched again; also for tokens that were seen before."""
    caller = world.caller(exp=(world.vtn.now.at + timedelta(hours=9)).timestamp())
    (await caller.get("/events")).ok()
    world.provider.keys.clear()
    world.provider.add_key("two")

    await world.vtn.server._bearer.refresh_keys()
    (await caller.get("/events")).ok()
    world.vtn.now.pass_(seconds=3600)
    await world.vtn.server._bearer.refresh_keys()
    (await world.caller("two").get("/events")).ok()
    (await caller.get("/events")).problem(401)


async def test_a_token_without_key_id_is_accepted_while_there_is_one_key(world: World) -> None:
    """AUTH-036: some servers have a single key and do not name it."""
    world.provider.keys.clear()
    world.provider.add_key(None)
    (await world.caller(None).get("/events")).ok()
    world.provider.add_key("two")

    world.vtn.now.pass_(seconds=3600)
    (await world.caller(None).get("/events")).problem(401)


async def test_without_keys_nobody_is_let_in(world: World) -> None:
    """AUTH-036: 503 while the server fails, and known keys go on verifying; never "accept"."""
    world.provider.status = 500
    answer = await world.caller().get("/events")
    answer.problem(503)
    assert "Retry-After" in answer.headers
    world.provider.status = 200
    (await world.caller().get("/events")).problem(503)
    world.vtn.now.pass_(seconds=30)
    (await world.caller().get("/events")).ok()

    world.provider.status = 500
    world.vtn.now.pass_(seconds=3600)
    (await world.caller(jti="unseen").get("/events")).ok()
    world.provider.add_key("two")
    (await world.caller("two").get("/events")).problem(503)


async def test_a_key_server_that_is_not_there_is_no_reason_to_accept(
    start_vtn: StartVtn, provider: IdentityProvider
) -> None:
    """AUTH-036."""
    nowhere = f"http://127.0.0.1:{free_port()}/jwks"
    world = World(await start_vtn(auth={"external": provider.settings(jwks_url=nowhere)}), provider)

    (await world.caller().get("/events")).problem(503)


async def test_our_own_tokens_are_off_then(world: World) -> None:
    """AUTH-031, AUTH-018: neither given nor accepted; clients are told where to go."""
    vtn = world.vtn
    assert (await vtn.nobody.get("/auth/server")).ok() == {"tokenURL": f"{world.provider.url}/token"}
    for url in (f"{vtn.base_url}/auth/token", f"{vtn.origin}/auth/token"):
        form = {"grant_type": "client_credentials", "client_id": "home", "client_secret": "word"}
        assert "/auth/server" in (await vtn.ask("POST", url, form=form)).problem(501)
    (await vtn.home().get("/events")).problem(401)


async def test_both_kinds_of_tokens_can_be_accepted(start_vtn: StartVtn, provider: IdentityProvider) -> None:
    """COMPAT-014: during a move from one to the other."""
    world = World(await start_vtn(auth={"external": provider.settings(), "own_tokens": True}), provider)

    (await world.caller().get("/events")).ok()
    (await world.vtn.home().get("/events")).ok()
    assert (await world.vtn.nobody.get("/auth/server")).ok()["tokenURL"].startswith(world.vtn.base_url)
    (await world.vtn.with_token("bad_token").get("/events")).problem(401)


async def test_a_suspended_client_is_refused_whoever_gives_its_tokens(world: World) -> None:
    """AUTH-034: the operator has the last word, and lets it in again."""
    clients = world.vtn.server.clients
    await clients.add("home", Role.VEN)
    caller = world.caller()
    (await caller.get("/events")).ok()

    await clients.suspend("home")
    (await caller.get("/events")).problem(401)
    world.vtn.now.pass_(seconds=60)
    (await world.caller().get("/events")).problem(401)
    await clients.resume("home")
    (await world.caller().get("/events")).ok()
