"""Who may ask the bridge: its own tokens, and those of business logic at the VTN."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import ApiSettings
from tests.bridge_mqtt.conftest import World

KEY = "the signing key of a VTN, of 64 bytes and more, which is long enough for all"
OTHER_KEY = "another signing key, also of 64 bytes and more, and long enough for all as well"
WRITING = ("DELETE", "/api/events/evt-none")
READING = ("GET", "/api/vens/")


async def status_of(bridge: Bridge, question: tuple[str, str], token: str | None, **headers: str) -> tuple[int, str]:
    """The status of an answer, and the detail if it is a refusal."""
    method, path = question
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with aiohttp.ClientSession(headers=headers) as session, session.request(method, bridge.api_url + path) as got:
        body = await got.json(content_type=None)
        return got.status, body.get("detail", "") if isinstance(body, dict) else ""


def token(key: Any = KEY, *, algorithm: str = "HS256", kid: str | None = "settings", **claims: Any) -> str:
    """A token of business logic as the VTN makes it, but for what is given."""
    now = datetime.now(UTC)
    usual = {
        "iss": "openadr-fleet",
        "aud": "openadr3",
        "sub": "operator",
        "role": "BL",
        "scope": "read_all read_bl write_events",
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(hours=1),
    }
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(usual | claims, key, algorithm=algorithm, headers=headers)


async def bridge_with(world: World, **api: Any) -> Bridge:
    """A bridge with one silent panel and these settings of its interface."""
    await world.add_panel("panel-1", plugged_in=False)
    return await world.start(api={"port": 0} | api)


@asynccontextmanager
async def key_server(*keys: dict[str, Any]) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that publishes keys; its URL and the questions it was asked."""
    asked: list[str] = []

    async def document(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"keys": list(keys)})

    application = web.Application()
    application.router.add_get("/keys", document)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/keys", asked
    finally:
        await runner.cleanup()


def signed_by_hand(secret: bytes, like: str) -> str:
    """A token with the content of another one, signed with a public key as if that were a secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one","typ":"JWT"}').rstrip(b"=").decode()
    text = f"{head}.{like.split('.')[1]}"
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def published(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    """A public key as servers publish it."""
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found | {"kid": kid, "use": "sig", "alg": "RS256"}


async def test_each_token_opens_what_it_is_for(sqlite_world: World) -> None:
    """One for reading, one for both; none is a 401 that says what is expected."""
    bridge = await bridge_with(sqlite_world, token="for reading", write_token="for both")

    assert (await status_of(bridge, READING, None))[0] == 401
    assert (await status_of(bridge, READING, "wrong"))[0] == 401
    assert (await status_of(bridge, READING, "for reading"))[0] == 200
    assert (await status_of(bridge, READING, "for both"))[0] == 200
    assert await status_of(bridge, WRITING, "for reading") == (
        403,
        "api.token is for reading; writing needs api.write_token",
    )
    assert (await status_of(bridge, WRITING, "wrong"))[0] == 401
    assert (await status_of(bridge, WRITING, "for both"))[0] not in {401, 403}


async def test_without_a_token_nobody_writes(sqlite_world: World) -> None:
    """The setting that is missing is named."""
    bridge = await bridge_with(sqlite_world)

    assert (await status_of(bridge, READING, None))[0] == 200
    status, detail = await status_of(bridge, WRITING, None)
    assert (status, detail) == (
        403,
        "nobody may write here: set api.write_token, or api.vtn_tokens for tokens of the VTN",
    )


async def test_without_a_token_pages_of_other_sites_and_other_hosts_are_refused(sqlite_world: World) -> None:
    """A browser on the same machine must not be the way to the panels' data."""
    bridge = await bridge_with(sqlite_world)

    assert (await status_of(bridge, READING, None, **{"Sec-Fetch-Site": "cross-site"}))[0] == 403
    assert (await status_of(bridge, READING, None, Host="evil.example"))[0] == 421
    assert (await status_of(bridge, READING, None, Host="localhost:8090"))[0] == 200


@pytest.mark.parametrize(
    ("claims", "reads", "writes"),
    [
        ({}, 200, None),
        ({"scope": "read_all"}, 200, 403),
        ({"role": "VEN"}, 401, 401),
        ({"role": None, "scope": "read_targets read_ven_objects"}, 401, 401),
        ({"role": None, "scope": "read_all"}, 200, 403),
        ({"role": None, "scope": "write_events"}, 200, None),
        ({"iss": "somebody"}, 401, 401),
        ({"aud": "something"}, 401, 401),
        ({"exp": 1}, 401, 401),
        ({"exp": "soon"}, 401, 401),
        ({"nbf": 32_503_680_000}, 401, 401),
        ({"key": OTHER_KEY}, 401, 401),
        ({"algorithm": "none", "key": None}, 401, 401),
        ({"algorithm": "HS512"}, 401, 401),
    ],
)
async def test_a_token_that_the_vtn_signed_opens_what_its_role_and_scopes_allow(
    sqlite_world: World, claims: dict[str, Any], reads: int, writes: int | None
) -> None:
    """A VEN's token opens nothing: it would show the power of its neighbours."""
    bridge = await bridge_with(sqlite_world, vtn_tokens={"signing_keys": [KEY]})
    shown = token(**claims)

    assert (await status_of(bridge, READING, shown))[0] == reads
    status, _ = await status_of(bridge, WRITING, shown)
    assert status == writes if writes is not None else status not in {401, 403}


async def test_tokens_of_an_authorisation_server_are_verified_by_its_keys(sqlite_world: World) -> None:
    """A public key is no shared secret, and unknown keys do not make the bridge ask again and again."""
    ours, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    async with key_server(published(ours, "one")) as (url, asked):
        bridge = await bridge_with(sqlite_world, vtn_tokens={"jwks_url": url, "issuer": "https://id.example"})

        def signed(key: Any, kid: str | None = "one", algorithm: str = "RS256") -> str:
            return token(key, algorithm=algorithm, kid=kid, iss="https://id.example")

        assert (await status_of(bridge, READING, signed(ours)))[0] == 200
        assert (await status_of(bridge, READING, signed(ours, None)))[0] == 200
        assert (await status_of(bridge, READING, signed(other)))[0] == 401
        for _ in range(5):
            assert (await status_of(bridge, READING, signed(other, "two")))[0] == 401
        public = ours.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert (await status_of(bridge, READING, signed_by_hand(public, signed(ours))))[0] == 401
        assert (await status_of(bridge, READING, "a" * 8_000))[0] == 401
        assert (await status_of(bridge, READING, "é"))[0] == 401
    assert asked == ["/keys"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "give signing_keys, or the jwks_url"),
        ({"signing_keys": ["short"]}, "at least 32 bytes"),
        ({"jwks_url": "http://id.example/keys"}, "expected an https URL"),
        ({"jwks_url": "id.example"}, "expected a URL such as"),
    ],
)
def test_settings_of_tokens_that_cannot_work_say_why(values: dict[str, Any], problem: str) -> None:
    """Before anything listens."""
    with pytest.raises(ValueError, match=problem):
        ApiSettings.model_validate({"vtn_tokens": values})
