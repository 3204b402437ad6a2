"""A running VTN, and the command line as an operator would use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bench.support.net import free_port
from oadr.__main__ import app
from tests.e2e.processes import program


@dataclass
class Operator:
    """Business logic at the command line, in this process; the VTN is a process of its own."""

    environment: dict[str, str]
    secrets: dict[str, str]
    url: str

    def run(self, *words: str, stdin: str | None = None, **variables: str) -> Result:
        """Run a command, whatever becomes of it."""
        return CliRunner(env=self.environment | variables).invoke(app, words, input=stdin)

    def ask(self, *words: str, stdin: str | None = None) -> Any:
        """Return what a command prints as JSON; fail if the command does."""
        done = self.run(*words, stdin=stdin)
        assert done.exit_code == 0, f"{words}: {done.exit_code}: {done.stderr}"
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def vtn_with_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A VTN on SQLite with business logic and two VEN clients."""
    folder = tmp_path_factory.mktemp("operator")
    database = {
        "OADR_VTN_DATABASE__URL": f"sqlite:///{folder / 'vtn.sqlite3'}",
        "OADR_VTN_AUTH__CLIENT_PER_S": "1000",
        "OADR_VTN_AUTH__ARGON2__TIME_COST": "1",
        "OADR_VTN_AUTH__ARGON2__MEMORY_KIB": "8",
    }
    administrator = Operator(database, {}, "")  # in this process: three others take seconds in each worker
    secrets = {
        name: administrator.ask("vtn", "client", "add", name, "--role", role)["client_secret"]
        for name, role in (("utility", "bl"), ("home-1", "ven"), ("home-2", "ven"))
    }
    port = free_port()
    url = f"http://127.0.0.1:{port}/openadr3/3.1.0"
    server = program("vtn", ["vtn", "run", "--port", str(port)], folder=folder, environment=database, port=port)
    server.start()
    try:
        environment = {
            "OADR_BL_URL": url,
            "OADR_BL_CLIENT_ID": "utility",
            "OADR_BL_CLIENT_SECRET": secrets["utility"],
        }
        yield Operator(environment, secrets, url)
    finally:
        server.stop()


@pytest.fixture
def operator(vtn_with_clients: Operator) -> Iterator[Operator]:
    """The same VTN, emptied afterwards."""
    yield vtn_with_clients
    for event in vtn_with_clients.ask("event", "list"):
        vtn_with_clients.ask("event", "delete", event["id"])
    for ven in vtn_with_clients.ask("vens", "list", "--no-reports"):
        vtn_with_clients.ask("vens", "remove", ven["id"])
