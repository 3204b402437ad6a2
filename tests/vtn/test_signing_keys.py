"""Changing the key that signs tokens, without logging everybody out; and removing clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role
from vtn.administration import rotate_signing_key
from vtn.app import client_registry
from vtn.auth.keys import SigningKeys
from vtn.errors import Conflict, NotFound
from vtn.store.signing_key import SigningKeyStore

OLD, NEW = "the first signing key of the settings", "the second signing key of the settings"


@pytest_asyncio.fixture(loop_scope="session")
async def start_vtn(migrated_url: str) -> AsyncIterator[StartVtn]:
    """Starts servers on a database of this test, whose keys nobody else uses."""
    started: list[VtnUnderTest] = []

    async def start(**members: Any) -> VtnUnderTest:
        started.append(VtnUnderTest(settings_for(migrated_url, **members)))
        await started[-1].start()
        return started[-1]

    yield start
    for vtn in started:
        await vtn.stop()


async def keys_of(vtn: VtnUnderTest) -> list[str]:
    """The ids of the keys in the database."""
    server = vtn.server
    keys = SigningKeys(server.settings.auth, SigningKeyStore(server._database), server._stamps, vtn.now, server._vault)
    await keys.refresh()
    return list(keys._keys)


async def test_a_new_key_ends_no_token(start_vtn: StartVtn) -> None:
    """Old tokens hold, new ones come from the new key, and other processes accept both."""
    vtn, other = await start_vtn(), await start_vtn()
    before = vtn.home()

    kid = await rotate_signing_key(vtn.server.settings, now=vtn.now)
    await vtn.server._tokens.refresh_keys()
    after = vtn.home()
    other.now.pass_(seconds=1)

    assert vtn.server._tokens._keys.newest[0] == kid
    for token in (before, after):
        for server in (vtn, other):
            (await server.with_token(token.headers["Authorization"].removeprefix("Bearer ")).get("/events")).ok()


async def test_a_server_looks_for_a_key_it_does_not_know_but_not_all_the_time(start_vtn: StartVtn) -> None:
    """A flood of invented keys is not a flood of statements."""
    vtn = await start_vtn()
    other = await start_vtn()
    await rotate_signing_key(vtn.server.settings, now=vtn.now)
    await vtn.server._tokens.refresh_keys()
    token = vtn.home().headers["Authorization"].removeprefix("Bearer ")

    (await other.with_token(token).get("/events")).problem(401)
    other.now.pass_(seconds=1)
    (await other.with_token(token).get("/events")).ok()


async def test_a_key_goes_when_nothing_it_signed_can_hold(start_vtn: StartVtn) -> None:
    """COMPAT-010: as long as the longest lifetime of any client."""
    vtn = await start_vtn()
    settings = vtn.server.settings
    await vtn.server.clients.add("patient", Role.VEN, token_lifetime_s=10_000)
    (first,) = await keys_of(vtn)
    second = await rotate_signing_key(settings, now=vtn.now)
    vtn.now.pass_(seconds=9_999)
    await rotate_signing_key(settings, now=vtn.now)
    assert first in await keys_of(vtn)

    vtn.now.pass_(seconds=2)
    await rotate_signing_key(settings, now=vtn.now)

    assert first not in await keys_of(vtn)
    assert second in await keys_of(vtn)


async def test_a_stolen_key_can_be_ended_at_once(start_vtn: StartVtn) -> None:
    """Then everybody needs a new token, remembered or not."""
    vtn = await start_vtn()
    before = vtn.home()
    (await before.get("/events")).ok()

    kid = await rotate_signing_key(vtn.server.settings, now=vtn.now, end_tokens=True)
    await vtn.server._tokens.refresh_keys()

    (await before.get("/events")).problem(401)
    (await vtn.home().get("/events")).ok()
    assert await keys_of(vtn) == [kid]


async def test_keys_in_the_settings_are_changed_there(start_vtn: StartVtn) -> None:
    """The previous key goes on verifying; the command says what to do."""
    old = await start_vtn(auth={"signing_key": OLD})
    token = old.home().headers["Authorization"].removeprefix("Bearer ")
    new = await start_vtn(auth={"signing_key": NEW, "previous_signing_keys": [OLD]})
    alone = await start_vtn(auth={"signing_key": NEW})

    (await new.with_token(token).get("/events")).ok()
    (await new.home().get("/events")).ok()
    (await alone.with_token(token).get("/events")).problem(401)
    with pytest.raises(Conflict, match="previous_signing_keys"):
        await rotate_signing_key(new.server.settings, now=new.now)


async def test_a_removed_client_gets_and_holds_no_token(start_vtn: StartVtn) -> None:
    """AUTH-034: here at once, elsewhere with the next look; its objects stay."""
    vtn, other = await start_vtn(), await start_vtn()
    async with client_registry(vtn.server.settings, now=vtn.now) as clients:
        made = await clients.add("leaving", Role.VEN)
        caller = vtn.caller(Role.VEN, client_id="leaving")
        ven = await caller.ven()
        vtn.now.pass_(seconds=1)
        await clients.remove("leaving")
        with pytest.raises(NotFound, match="leaving"):
            await clients.remove("leaving")

    for server in (vtn, other):
        await server.server.clients.read_revocations()
        (await server.with_token(caller.headers["Authorization"].removeprefix("Bearer ")).get("/vens")).problem(401)
    form = {"grant_type": "client_credentials", "client_id": made.client_id, "client_secret": made.secret}
    assert (await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form)).status == 401
    assert (await vtn.bl.get(f"/vens/{ven['id']}")).ok() == ven


async def test_a_client_that_comes_back_starts_anew(start_vtn: StartVtn) -> None:
    """With another secret, and without its old tokens."""
    vtn = await start_vtn()
    clients = vtn.server.clients
    await clients.add("returning", Role.VEN)
    before = vtn.caller(Role.VEN, client_id="returning")
    vtn.now.pass_(seconds=1)
    await clients.remove("returning")
    vtn.now.pass_(seconds=1)
    await clients.add("returning", Role.VEN)

    await clients.read_revocations()

    (await before.get("/events")).problem(401)
    (await vtn.caller(Role.VEN, client_id="returning").get("/events")).ok()
