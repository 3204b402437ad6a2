"""Secrets that must be read back are sealed in the database, under a key from elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role
from vtn.errors import SecretsKeyUnusable
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.sealing import prepare_secrets, reseal
from vtn.store.vault import Vault, is_sealed

TOKEN = "canary-callback-token"
OPEN = {"verify_echo": False, "allow_private_addresses": True}


def settings(url: str, folder: Path) -> Settings:
    """Of a server whose key is in a file of this test."""
    return settings_for(url, secrets_key_file=str(folder / "vtn.key"), webhook=OPEN)


def subscription(*tokens: str | None) -> dict[str, Any]:
    """One entry for each token."""
    entry = {"objects": ["EVENT"], "operations": ["CREATE"]}
    entries = [
        entry | {"callbackUrl": f"https://192.0.2.{number}/"} | ({} if token is None else {"bearerToken": token})
        for number, token in enumerate(tokens)
    ]
    return {"clientName": "c", "objectOperations": entries}


async def stored(database: Database) -> str:
    """Everything in the tables that hold secrets."""
    found = ""
    for table in ("signing_keys", "subscriptions"):
        found += str(await database.rows(text(f"SELECT * FROM {table}")))
    return found


def content(folder: Path) -> bytes:
    """All bytes of the files in a folder but the key's."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.suffix != ".key")


async def test_tokens_and_keys_are_sealed_and_come_back(migrated_url: str, tmp_path: Path) -> None:
    """Only the owner gets tokens back (SUBS-011); what is stored shows none."""
    vtn = VtnUnderTest(settings(migrated_url, tmp_path))
    await vtn.start()
    try:
        home = vtn.home()
        made = (await home.post("/subscriptions", subscription(TOKEN, None, ""))).ok(201)
        assert [one.get("bearerToken") for one in made["objectOperations"]] == [TOKEN, None, ""]
        path = f"/subscriptions/{made['id']}"
        assert (await home.get(path)).ok() == made
        seen = (await vtn.bl.get(path)).ok()
        assert [one["bearerToken"] for one in seen["objectOperations"]] == [None, None, None]

        # Business logic, which cannot see tokens, keeps them (SUBS-010).
        (await vtn.bl.put(path, seen | {"clientName": "renamed"})).ok()
        assert (await home.get(path)).ok()["objectOperations"][0]["bearerToken"] == TOKEN

        kept = await stored(vtn.server._database)
        assert TOKEN not in kept
        assert vtn.server._tokens._keys.newest[1] not in kept
        assert stat.S_IMODE(os.stat(tmp_path / "vtn.key").st_mode) == 0o600  # noqa: PTH116 (it does not block)
    finally:
        await vtn.stop()


@pytest.mark.parametrize("way", ["missing", "another"])
async def test_a_wrong_key_is_said_at_start(migrated_url: str, tmp_path: Path, way: str) -> None:
    """The error names the setting and the key that is needed; no other key is made in its place."""
    first = VtnUnderTest(settings(migrated_url, tmp_path))
    await first.start()
    await first.stop()
    (needed,) = first.server._vault.ids
    other = tmp_path / "other.key"
    if way == "another":
        Vault(settings_for("sqlite:///x", secrets_key_file=str(other))).seal("x", place="x")

    with pytest.raises(SecretsKeyUnusable, match=f"key {needed}.*secrets_key_file .OADR_VTN_SECRETS_KEY_FILE"):
        await VtnUnderTest(settings_for(migrated_url, secrets_key_file=str(other))).start()
    assert ("other.key" in os.listdir(tmp_path)) == (way == "another")  # noqa: PTH208 (names only)


async def test_a_sealed_text_opens_in_its_place_only(tmp_path: Path) -> None:
    """Somebody who can write to the database cannot give one subscription the tokens of another."""
    vault = Vault(settings("sqlite:///x", tmp_path))
    sealed = vault.seal(TOKEN, place="subscriptions/a")
    assert is_sealed(sealed)
    assert sealed != vault.seal(TOKEN, place="subscriptions/a")
    assert vault.open(sealed, place="subscriptions/a") == TOKEN

    for changed, place in ((sealed, "subscriptions/b"), (sealed[:-6] + "AAAAA=", "subscriptions/a")):
        with pytest.raises(SecretsKeyUnusable, match="damaged or moved"):
            vault.open(changed, place=place)


@pytest.mark.parametrize("text", ["", "# nothing\n", "no key", "AAAA\n", "\xff"])
def test_a_file_that_is_no_key_file_is_said(tmp_path: Path, text: str) -> None:
    """Naming it and what was expected, and showing nothing of it."""
    (tmp_path / "vtn.key").write_text(text, encoding="latin-1")
    with pytest.raises(SecretsKeyUnusable, match=r"vtn\.key is not a key file; expected") as refused:
        Vault(settings("sqlite:///x", tmp_path)).seal("x", place="x")
    assert "no key\n" not in str(refused.value)


async def test_secrets_of_an_earlier_version_are_sealed_at_start(sqlite_template: Path, tmp_path: Path) -> None:
    """Nothing of them is left in the files, and tokens that were given go on."""
    path = shutil.copy(sqlite_template, tmp_path / "vtn.sqlite3")
    secret = "5ec4e7" * 11
    database = Database(settings_for(f"sqlite:///{path}").database)
    members = (
        '"clientID":"a,b","clientName":"c","objectOperations":[{"objects":["EVENT"],"operations":["CREATE"],'
        f'"callbackUrl":"https://192.0.2.1/","bearerToken":"{TOKEN}"}}]'
    )
    at = "2026-01-31T16:00:00.000000Z"
    async with database.write() as connection:
        await connection.execute(
            text("INSERT INTO signing_keys VALUES ('old', :secret, :at)"), {"secret": secret, "at": at}
        )
        await connection.execute(
            text(
                "INSERT INTO subscriptions (id, created_at, modified_at, client_id, client_name, objects, targets, "
                "has_tokens, members) VALUES ('s', :at, :at, 'a,b', 'c', '[\"EVENT\"]', '[]', 1, :members)"
            ),
            {"at": at, "members": members},
        )
    await database.close()
    assert TOKEN.encode() in content(tmp_path)

    vtn = VtnUnderTest(settings_for(f"sqlite:///{path}"))
    await vtn.start()
    try:
        assert vtn.server._tokens._keys.newest == ("old", secret)
        found = (await vtn.caller(Role.VEN, client_id="a,b").get("/subscriptions/s")).ok()
        assert found["objectOperations"][0]["bearerToken"] == TOKEN
        assert found["clientID"] == "a,b"
        for plain in (TOKEN, secret):
            assert plain.encode() not in content(tmp_path)
    finally:
        await vtn.stop()


async def test_keys_are_rotated_under_a_running_server(migrated_url: str, tmp_path: Path) -> None:
    """It finds the new key in the file; tokens go on; the old key is needed no more, but for older backups."""
    vtn = VtnUnderTest(settings(migrated_url, tmp_path))
    await vtn.start()
    try:
        home = vtn.home()
        made = (await home.post("/subscriptions", subscription(TOKEN))).ok(201)
        vault = Vault(vtn.server.settings)
        (old,) = vault.ids
        new = vault.add_key()
        assert vault.ids == [new, old]
        database = vtn.server._database
        assert await reseal(database, vault) == 2
        assert vault.forget_old_keys() == [old]

        assert (await home.get(f"/subscriptions/{made['id']}")).ok() == made
        assert f"v1.{old}" not in await stored(database)
        await prepare_secrets(database, Vault(vtn.server.settings))
        assert await vtn.server._tokens._keys.refresh() is False
    finally:
        await vtn.stop()
