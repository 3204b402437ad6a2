"""`oadr vtn`: what an operator types."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from bench.support.net import accepts_connections, free_port
from oadr.commands.vtn import app
from oadr.errors import Exit
from tests.support.waiting import wait_until_sync
from tests.vtn.conftest import settings_for
from vtn.app import client_registry

CHEAP = {f"OADR_VTN_AUTH__ARGON2__{name}": value for name, value in (("TIME_COST", "1"), ("MEMORY_KIB", "8"))}


@pytest.fixture
def url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with tables."""
    path = tmp_path / "vtn.sqlite3"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


def oadr(*words: str, url: str) -> Result:
    """One command on a database; its log, which goes to standard error, is left out."""
    with structlog.testing.capture_logs():
        return CliRunner(env=CHEAP | {"OADR_VTN_DATABASE__URL": url}).invoke(app, words)


def answer(result: Result) -> Any:
    """Return the output of a command, parsed as JSON."""
    assert result.exit_code == Exit.OK, result.output
    return json.loads(result.stdout)


def test_a_client_is_added_listed_suspended_and_given_a_new_secret(url: str) -> None:
    """The secret is in the first answer, and in no other."""
    made = answer(oadr("client", "add", "home", "--role", "ven", url=url))
    assert made["client_id"] == "home"
    assert len(made["client_secret"]) > 30
    oadr("client", "add", "utility", "--role", "BL", "--scope", "read_all", "--token-lifetime", "600", url=url)

    assert oadr("client", "suspend", "home", url=url).exit_code == Exit.OK
    listed = answer(oadr("client", "list", "--json", url=url))
    assert [(one["client_id"], one["role"], one["suspended"]) for one in listed] == [
        ("home", "VEN", True),
        ("utility", "BL", False),
    ]
    assert (listed[1]["scopes"], listed[1]["token_lifetime_s"]) == ("read_all", 600)
    assert made["client_secret"] not in json.dumps(listed)

    assert oadr("client", "resume", "home", url=url).exit_code == Exit.OK
    assert answer(oadr("client", "rotate", "home", url=url))["client_secret"] != made["client_secret"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("client", "add", "x", "--role", "boss"), Exit.USAGE, "boss"),
        (("client", "add", "x", "--role", "ven", "--scope", "write_events"), Exit.REFUSED, "write_events"),
        (("client", "add", "taken", "--role", "ven"), Exit.REFUSED, "taken"),
        (("client", "rotate", "missing"), Exit.REFUSED, "missing"),
        (("client", "suspend", "missing"), Exit.REFUSED, "missing"),
        (("client", "list", "--config", "missing.toml"), Exit.CONFIGURATION, "missing.toml"),
        (("run", "--host", "0.0.0.0"), Exit.CONFIGURATION, "can be reached by others"),
        (("run", "--tls-cert", "missing.pem", "--tls-key", "missing.key"), Exit.CONFIGURATION, "missing.pem"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(url: str, words: tuple[str, ...], code: Exit, message: str) -> None:
    """The documented exit codes."""
    assert oadr("client", "add", "taken", "--role", "ven", url=url).exit_code == Exit.OK

    result = oadr(*words, url=url)

    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    """Exit code 4."""
    result = oadr("migrate", url=f"postgresql://user:geheim@127.0.0.1:{free_port()}/vtn")

    assert result.exit_code == Exit.UNREACHABLE
    assert "cannot reach the database postgresql" in result.stderr
    assert "geheim" not in result.output


def test_tables_are_made_on_demand(tmp_path: Path) -> None:
    """And once is enough."""
    url = f"sqlite:///{tmp_path}/new.sqlite3"
    for _ in range(2):
        result = oadr("migrate", url=url)
        assert result.exit_code == Exit.OK
        assert "is up to date" in result.stdout


def test_a_server_runs_until_it_is_told_to_end(url: str) -> None:
    """SIGTERM ends it well; a second one on its port is told so."""
    port = free_port()
    environment = os.environ | CHEAP | {"OADR_VTN_DATABASE__URL": url, "OADR_VTN_PORT": str(port)}
    command = [sys.executable, "-m", "oadr", "vtn", "run"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        wait_until_sync(lambda: accepts_connections("127.0.0.1", port))
        second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        first.send_signal(signal.SIGTERM)
        _, errors = first.communicate(timeout=120)

    assert second.returncode == Exit.UNREACHABLE
    assert f"port {port} on 127.0.0.1 is taken" in second.stderr
    assert first.returncode == Exit.OK, errors.decode()


def test_a_client_takes_a_secret_that_was_chosen_elsewhere(url: str, tmp_path: Path) -> None:
    """I5: from a file or standard input, and it is not shown; labs name that theirs is weak."""
    file = tmp_path / "secret"
    file.write_text("correct horse battery\n")
    made = oadr("client", "add", "home", "--role", "ven", "--secret-file", str(file), url=url)
    assert answer(made) == {"client_id": "home", "role": "VEN"}
    assert "horse" not in made.output

    def lab(*words: str, secret: bytes, command: str = "add") -> Result:
        with structlog.testing.capture_logs():
            return CliRunner(env=CHEAP | {"OADR_VTN_DATABASE__URL": url}).invoke(
                app, ["client", command, "lab", "--secret-file", "-", *words], input=secret
            )

    refused = lab("--role", "bl", secret=b"999")
    assert refused.exit_code == Exit.REFUSED
    assert "secret: expected at least 12 characters" in refused.output
    assert "999" not in refused.output
    assert answer(lab("--role", "bl", "--allow-weak-secret", secret=b"999"))["client_id"] == "lab"
    assert answer(lab("--allow-weak-secret", secret=b"1000\r\n", command="rotate")) == {"client_id": "lab"}

    async def check() -> list[bool]:
        async with client_registry(settings_for(url)) as clients:
            found = [
                await clients.authenticated(*pair)
                for pair in (("home", "correct horse battery"), ("lab", "999"), ("lab", "1000"))
            ]
        return [client is not None for client in found]

    assert asyncio.run(check()) == [True, False, True]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot read"), (b"", "empty"), (b"\n", "empty"), (b"x" * 20_000, "too long"), (b"\xff" * 20, "UTF-8")],
)
def test_a_secret_that_cannot_be_read_registers_nobody(
    url: str, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """And the error names the file, never what is in it."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    refused = oadr("client", "add", "home", "--role", "ven", "--secret-file", str(file), url=url)

    assert refused.exit_code == Exit.USAGE
    assert problem in " ".join(refused.output.split())
    assert answer(oadr("client", "list", "--json", url=url)) == []


def test_a_scope_that_nobody_knows_does_no_harm(url: str) -> None:
    """COMPAT-015: it stands on the account, is warned of, and grants nothing."""
    words = [word for scope in ("read_targets", "write_users") for word in ("--scope", scope)]
    added = oadr("client", "add", "home", "--role", "ven", *words, url=url)
    assert added.exit_code == Exit.OK
    assert "knows no scope write_users" in added.stderr
    (listed,) = answer(oadr("client", "list", "--json", url=url))
    assert listed["scopes"] == "read_targets write_users"

    odd = oadr("client", "add", "odd", "--role", "ven", "--scope", "two words", url=url)
    assert odd.exit_code == Exit.REFUSED
    assert "scope: expected" in odd.output
