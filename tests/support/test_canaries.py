"""The guard against written secrets notes secrets and sees texts in every place that it names."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
import typer
from pydantic import SecretStr
from structlog.testing import capture_logs
from typer.testing import CliRunner

from oadr.process import logs
from openadr_client.clock import SystemClock
from openadr_client.tokens import ClientCredentials
from openadr_client.transport import BaseTransport
from tests.support.canaries import Canaries, Guard
from vtn.auth.secrets import Secrets
from vtn.settings import Auth, Settings
from vtn.store.vault import Vault

CHEAP = Auth.model_validate({"argon2": {"time_cost": 1, "memory_kib": 8, "parallelism": 1}})


async def test_secrets_are_noted_where_the_product_uses_them(canaries: Canaries, tmp_path: Path) -> None:
    """Settings, clients' secrets, sealed texts, key files, and what our client sends."""
    SecretStr("guarded-setting-1")
    SecretStr("postgresql://user:guarded%20password-2@localhost/name")
    secrets = Secrets(CHEAP)
    made = secrets.make()
    hashed = await secrets.hash("guarded-secret-3")
    assert not await secrets.matches("home", "guarded-secret-4", hashed)
    secrets.close()
    file = tmp_path / "keys"
    vault = Vault(Settings(secrets_key_file=file))
    assert vault.open(vault.seal("guarded-token-5", place="here"), place="here") == "guarded-token-5"
    (key,) = (line for line in file.read_text().splitlines() if not line.startswith("#"))
    ClientCredentials(
        cast(BaseTransport, None),
        base_url="http://vtn",
        client_id="home",
        client_secret="guarded-secret-6",
        token_url=None,
        scope=None,
        audience=None,
        authentication="form",
        clock=SystemClock(),
    )

    expected = ["guarded-setting-1", "guarded password-2", "guarded-secret-3", "guarded-secret-4", "guarded-token-5"]
    for secret in [*expected, "guarded-secret-6", made, key]:
        canaries.look("here", f"<{secret}>")
        assert len(canaries.found()) == 1, secret


def test_short_and_plain_secrets_are_not_looked_for(canaries: Canaries) -> None:
    """They may be in any text."""
    for secret in ("wrong", "00000000", "", "the same", "password", "Anonymous", "20260101", "127.0.0.1:8080"):
        SecretStr(secret)
        assert not canaries.knows(secret)
        canaries.look("here", f"<{secret}>")
    assert canaries.found() == []


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJob21lIn0.c2lnbmF0dXJl",
        "Authorization: Bearer 0123456789abcdef",
        "Basic aG9tZTpzZWNyZXQ=",
        "-----BEGIN EC PRIVATE KEY-----",
    ],
)
def test_tokens_and_keys_are_known_by_their_form(canaries: Canaries, text: str) -> None:
    canaries.look("here", text)
    assert len(canaries.found()) == 1


def test_every_log_of_this_process_is_looked_through(canaries: Canaries, capsys: pytest.CaptureFixture[str]) -> None:
    """Entries of the default set-up and of a program's, caught ones, and those of libraries."""
    SecretStr("guarded-in-a-log")
    structlog.get_logger("a").debug("one", value="guarded-in-a-log")
    assert len(canaries.found()) == 1
    with capture_logs():
        structlog.get_logger("b").info("one", value=["guarded-in-a-log"])
    assert len(canaries.found()) == 1
    logs.configure(level="debug", stream=io.StringIO())
    structlog.get_logger("c").debug("one", value="guarded-in-a-log")
    assert len(canaries.found()) == 1
    library = logging.getLogger("d")
    library.propagate = False
    library.addHandler(logging.NullHandler())
    library.error("one: %s", "guarded-in-a-log")
    assert len(canaries.found()) == 1
    capsys.readouterr()  # or this test fails as it should


def test_the_output_of_commands_in_this_process_is_looked_through(canaries: Canaries) -> None:
    """Except for standard output of a command that shows a new secret on purpose."""
    SecretStr("guarded-in-output")
    app = typer.Typer()

    @app.command(context_settings={"ignore_unknown_options": True})
    def show(words: list[str], *, err: bool = False) -> None:
        typer.echo("guarded-in-output", err=err)

    CliRunner().invoke(app, ["vens", "list"])
    assert len(canaries.found()) == 1
    CliRunner().invoke(app, ["vens", "list", "--err"])
    assert len(canaries.found()) == 1
    CliRunner().invoke(app, ["client", "add"])
    assert canaries.found() == []
    CliRunner().invoke(app, ["client", "add", "--err"])
    assert len(canaries.found()) == 1


def test_the_output_of_processes_is_looked_through(canaries: Canaries) -> None:
    """Their own secrets, too; a secret may be written in two pieces."""
    script = (
        "import sys; from pydantic import SecretStr; SecretStr('guarded-in-a-process');"
        "stream = getattr(sys, sys.argv[-1]); stream.write('<guarded-in-'); stream.write('a-process>')"
    )

    def run(*words: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", script, *words], env=os.environ, capture_output=True, check=True)
        assert b"<guarded-in-a-process>" in done.stdout + done.stderr
        return canaries.found()

    assert len(run("stderr")) == 1
    assert len(run("stdout")) == 1
    assert run("client", "add", "stdout") == []
    assert len(run("client", "add", "stderr")) == 1


def test_a_test_that_wrote_a_secret_fails(tmp_path: Path) -> None:
    """Also if only pytest has captured it."""
    canaries = Canaries(tmp_path / "texts")
    canaries.note("guarded-in-a-test")

    def report_of(when: str, *sections: tuple[str, str]) -> Any:
        report = SimpleNamespace(outcome="passed", longrepr=None, sections=[*sections])
        guard = Guard(canaries).pytest_runtest_makereport(
            cast(pytest.Item, SimpleNamespace(nodeid="test_it")), SimpleNamespace(when=when)
        )
        next(guard)
        with pytest.raises(StopIteration) as end:
            cast(Any, guard).send(report)
        return end.value.value

    assert report_of("teardown", ("Captured stderr call", "all is well")).outcome == "passed"
    failed = report_of("teardown", ("Captured stderr call", "it was <guarded-in-a-test>"))
    assert failed.outcome == "failed"
    assert "Captured stderr call" in failed.longrepr
    canaries.look("log", "guarded-in-a-test")
    assert report_of("call").outcome == "passed"
    assert report_of("teardown").outcome == "failed"
    assert report_of("teardown").outcome == "passed"
