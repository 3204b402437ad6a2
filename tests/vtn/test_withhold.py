"""Error messages of the database about a failed statement contain no value of a row (S4)."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from oadr.process import logs
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.store.database import Database
from vtn.store.tables import clients
from vtn.store.withhold import withhold_values

CANARY = "canary-of-a-secret"
CLIENT = {"client_id": "c", "role": "BL", "scopes": "", "secret_hash": CANARY, "created_at": None, "suspended": False}


async def test_an_error_shows_no_parameter_and_no_row(migrated_url: str) -> None:
    """Neither in its text nor in that of an error behind it."""
    database = Database(settings_for(migrated_url).database)
    try:
        with pytest.raises(DBAPIError) as caught:
            async with database.write() as connection:
                await connection.execute(insert(clients).values(CLIENT))
        error: BaseException | None = caught.value
        while error is not None:
            assert CANARY not in f"{error} {error!r} {getattr(error, 'detail', '')}"
            error = error.__cause__ or error.__context__
    finally:
        await database.close()


async def test_a_request_that_fails_logs_no_secret(migrated_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A constraint that nobody foresaw: 500, with a traceback that names the constraint and quotes no row."""
    vtn = VtnUnderTest(settings_for(migrated_url, webhook={"verify_echo": False, "allow_private_addresses": True}))
    await vtn.start()
    logs.configure(level="debug")
    try:
        async with vtn.server._database.write() as connection:
            if vtn.server._database.is_sqlite:
                await connection.execute(
                    text(
                        "CREATE TRIGGER refuse BEFORE INSERT ON subscriptions "
                        "BEGIN SELECT RAISE(ABORT, 'nobody foresaw this'); END"
                    )
                )
            else:
                await connection.execute(text("ALTER TABLE subscriptions ADD CONSTRAINT nobody_foresaw CHECK (false)"))
        entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://192.0.2.1/"}
        document = {"clientName": "c", "objectOperations": [entry | {"bearerToken": CANARY}]}
        answer = await vtn.home().post("/subscriptions", document)
        assert answer.status == 500
        assert CANARY.encode() not in answer.raw
    finally:
        await vtn.stop()
    output = "".join(capsys.readouterr())
    assert "request failed" in output
    assert "foresaw" in output
    assert CANARY not in output


def test_a_driver_that_quotes_an_argument_is_shortened() -> None:
    """As asyncpg does for one that it cannot send."""
    error = ValueError(f"invalid input for query argument $1: '{CANARY}' (expected an int)")
    error.__cause__ = ValueError(f'invalid input syntax for type integer: "{CANARY}"\nCONTEXT:  {CANARY}')

    withhold_values(error)

    assert str(error) == "invalid input for query argument $1"
    assert str(error.__cause__) == "invalid input syntax for type integer"
