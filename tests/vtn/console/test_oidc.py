"""Signing in by an OpenID Connect provider: a real one, in a thread of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from bench.support.net import accepts_connections, free_port
from bench.support.processes import ServerProcess
from tests.vtn.conftest import settings_for
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.harness import Moment, VtnUnderTest
from vtn.access import UserRole
from vtn.console.oidc_attempt import OidcAttempt
from vtn.console.pages.oidc import _COOKIE
from vtn.console.sessions import COOKIE
from vtn.console.users import ConsoleUsers
from vtn.store.console.audit import ActStore
from vtn.store.console.users import UserStore

SECRET = "a-secret-of-the-console-at-its-provider"


class RealTime(Moment):
    """The time of the provider, which has no other."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


USERS = (
    {"sub": "1", "preferred_username": "anna", "groups": ["grid", "oadr-operators"]},
    {"sub": "2", "preferred_username": "bert", "groups": ["cleaners"]},
    {"sub": "3", "email": "cleo@utility.example", "groups": "oadr-viewers"},
)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The issuer of a provider, in a process of its own, that lets these users in."""
    log, port = tmp_path_factory.mktemp("oidc") / "provider.log", free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    for user in USERS:
        command += ["--user-claims", json.dumps(user)]
    server = ServerProcess(command, log=log, ready=lambda: accepts_connections("127.0.0.1", port))
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def with_provider(shared_vtn: VtnUnderTest, provider: str) -> AsyncIterator[VtnUnderTest]:
    """A server whose console has this provider, on the database that all tests share."""
    oidc = {
        "issuer": provider,
        "client_id": "console",
        "client_secret": SECRET,
        "operators": ["oadr-operators"],
        "viewers": ["oadr-viewers"],
        "label": "the utility's account",
    }
    vtn = _server(shared_vtn, oidc)
    await vtn.start()
    yield vtn
    await vtn.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def console(vtn: VtnUnderTest, with_provider: VtnUnderTest) -> AsyncIterator[ConsoleUnderTest]:
    """Somebody who is not signed in, at a server without users."""
    somebody = ConsoleUnderTest(with_provider)
    yield somebody
    await somebody.close()


def _server(beside: VtnUnderTest, oidc: dict[str, Any]) -> VtnUnderTest:
    url = beside.server.settings.database.url.get_secret_value()
    return VtnUnderTest(settings_for(url, console={"oidc": oidc}), RealTime())


async def _authorized(address: str, subject: str) -> str:
    """Sign in at the provider, as in a browser; gives where it leads back to."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, data={"sub": subject}, allow_redirects=False) as response,
    ):
        assert response.status == 302, await response.text()
        return response.headers["Location"]


async def _signed_in(console: ConsoleUnderTest, subject: str, to: str = "") -> Page:
    """Go to the provider and come back."""
    out = (await console.get("/oidc/start", to=to)).ok(303)
    back = urlsplit(await _authorized(out.leads_to, subject))
    assert back.path == "/console/oidc/callback"
    return await console.get(f"{back.path.removeprefix('/console')}?{back.query}")


async def _acts(console: ConsoleUnderTest) -> list[tuple[str, str]]:
    rows = await ActStore(console.vtn.server._database).newest(limit=10)
    return [(row.user_name, row.act) for row in rows]


async def test_somebody_signs_in_by_the_provider(console: ConsoleUnderTest) -> None:
    """With the role of a group; the login offers it, and leads to where one wanted to go."""
    assert "Sign in with the utility's account" in (await console.get("/login")).ok().words

    back = (await _signed_in(console, "1", to="/account")).ok(303)

    assert back.leads_to == "/console/account"
    assert "anna operator" in (await console.get("/account")).ok().words
    assert await _acts(console) == [("anna", "signed in")]


async def test_the_exchange_is_bound_to_the_browser(console: ConsoleUnderTest) -> None:
    """PKCE with S256, and state and nonce of the attempt; nothing of the verifier is in the address."""
    out = (await console.get("/oidc/start")).ok(303)

    query = {name: values[0] for name, values in parse_qs(urlsplit(out.leads_to).query).items()}
    attempt = OidcAttempt.unpacked(console.cookies[_COOKIE])
    assert attempt is not None
    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert query["code_challenge_method"] == "S256"
    assert (query["state"], query["nonce"]) == (attempt.state, attempt.nonce)
    assert query["redirect_uri"] == f"{console.vtn.origin}/console/oidc/callback"
    assert attempt.verifier not in out.leads_to


async def test_a_name_without_a_group_of_ours_is_refused(console: ConsoleUnderTest) -> None:
    """In words, and in the audit trail; no user is made."""
    refused = (await _signed_in(console, "2")).ok(403)

    assert "bert is known, and has no role here: the claim groups names none" in refused.words
    assert not console.cookies.get(COOKIE)
    assert await _acts(console) == [("nobody", "sign-in refused")]
    assert await UserStore(console.vtn.server._database).all() == []


async def test_a_claim_may_be_a_text_and_a_name_an_address(console: ConsoleUnderTest) -> None:
    """Prove that what one provider calls a group is a list at another."""
    (await _signed_in(console, "3")).ok(303)

    (user,) = await UserStore(console.vtn.server._database).all()
    assert (user.name, user.role, user.password_hash) == ("cleo@utility.example", "viewer", None)


async def test_what_comes_back_to_another_browser_is_refused(console: ConsoleUnderTest) -> None:
    """A link that somebody else made signs nobody in."""
    out = (await console.get("/oidc/start")).ok(303)
    back = urlsplit(await _authorized(out.leads_to, "1"))
    path = f"{back.path.removeprefix('/console')}?{back.query}"
    victim = console.stranger()

    assert "begin again at the login" in (await victim.get(path)).ok(400).words
    (await victim.get("/oidc/start")).ok(303)
    assert "begin again at the login" in (await victim.get(path)).ok(400).words
    assert not victim.cookies.get(COOKIE)


async def test_a_code_is_good_once_and_an_id_token_for_its_attempt(console: ConsoleUnderTest) -> None:
    """A replay is refused by the provider, a token for another nonce by us."""
    out = (await console.get("/oidc/start")).ok(303)
    back = urlsplit(await _authorized(out.leads_to, "1"))
    path, kept = f"{back.path.removeprefix('/console')}?{back.query}", console.cookies[_COOKIE]
    attempt = OidcAttempt.unpacked(kept)
    assert attempt is not None

    console.cookies[_COOKIE] = OidcAttempt(attempt.state, "another nonce", attempt.verifier).packed()
    assert "belongs to another attempt" in (await console.get(path)).ok(401).words
    console.cookies[_COOKIE] = kept
    assert "the provider answers 400 invalid_grant" in (await console.get(path)).ok(401).words
    assert not console.cookies.get(COOKIE)


async def test_a_user_with_a_password_is_not_taken_over(console: ConsoleUnderTest) -> None:
    """Prove that whoever the provider calls anna is not the anna with a password here."""
    server = console.vtn.server
    users = ConsoleUsers(UserStore(server._database), server._stamps, server._secrets)
    await users.add("anna", UserRole.ADMIN, "wind-over-the-fields-7")

    assert "there already is a user anna" in (await _signed_in(console, "1")).ok(409).words
    assert not console.cookies.get(COOKIE)


async def test_a_provider_that_is_away_is_said_to_be(vtn: VtnUnderTest) -> None:
    """Prove that whoever wanted to sign in may try again later."""
    away = _server(vtn, {"issuer": "http://127.0.0.1:9", "client_id": "console", "viewers": ["x"]})
    await away.start()
    somebody = ConsoleUnderTest(away)

    assert "sign-in service does not answer" in (await somebody.get("/oidc/start")).ok(503).words

    await somebody.close()
    await away.stop()
