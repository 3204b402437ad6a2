"""Start and end of the command: what it imports, closed pipes, Ctrl-C, completion, examples in every help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from oadr.__main__ import app
from oadr.commands import event, vtn
from oadr.process.late_commands import LateCommands
from tests.docs.pages import commands_in_line
from tests.docs.test_commands import parse
from tests.e2e.processes import OADR, oadr, program
from tests.oadr.conftest import Operator
from tests.support.pki import Pki
from tests.support.waiting import wait_until_sync


def imported_by(*words: str) -> set[str]:
    """The modules that a command has imported when it is done."""
    script = (
        f"import sys\nsys.argv[1:] = {list(words)!r}\nfrom oadr.start import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def profiled(errors: str) -> set[str]:
    """The modules that Python says it has imported, when asked for the time of each."""
    return {line.rpartition("|")[2].strip() for line in errors.splitlines() if line.startswith("import time:")}


def test_help_imports_no_command_and_no_large_library() -> None:
    found = imported_by("--help")
    assert not {name for name in found if name.startswith(("oadr.", "ven", "vtn", "bridge_mqtt"))} - {
        "oadr.__main__",
        "oadr.process",
        "oadr.process.late_commands",
        "oadr.process.lean",
        "oadr.start",
    }
    assert not {"aiohttp", "pydantic", "structlog", "asyncio", "msgspec", "rich"} & found


def test_a_command_imports_no_other_command(operator: Operator) -> None:
    found = imported_by("event", "list", "--help")
    others = {"oadr.commands.vtn", "oadr.commands.bridge", "oadr.commands.event.create", "oadr.demo"}
    assert not (others | {"aiohttp", "sqlalchemy", "vtn"}) & found


def test_a_list_imports_no_library_that_it_does_not_use(operator: Operator) -> None:
    """Neither for settings nor for a log without colours."""
    environment = os.environ | operator.environment | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run([OADR, "event", "list"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = profiled(done.stderr)
    assert {"openadr_client.client", "structlog"} <= found
    assert not {"aiohttp", "rich.console", "pydantic_settings", "sqlalchemy", "vtn"} & found


def test_aiohttp_is_imported_without_authorities_and_nothing_else_changes(tmp_path: Path) -> None:
    """A connection that names no TLS context trusts nobody; contexts that are made later trust those of the system."""
    script = (
        "import os, ssl\nbefore = dict(os.environ)\nfrom oadr.process import lean\nlean.import_aiohttp()\n"
        "from aiohttp import connector\nassert dict(os.environ) == before\n"
        "context = connector._SSL_CONTEXT_VERIFIED\n"
        "print(len(context.get_ca_certs()), context.verify_mode.name, len(ssl.create_default_context().get_ca_certs()))"
    )
    environment = os.environ | {"SSL_CERT_FILE": str(Pki(tmp_path, now=lambda: datetime.now(UTC)).ca)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["0", "CERT_REQUIRED", "1"]


def test_a_vtn_starts_without_what_few_servers_need(tmp_path: Path) -> None:
    """Of its own rooms it loads none that answers to somebody, and of libraries those of HTTP, SQL and settings."""
    database = {"OADR_VTN_DATABASE__URL": f"sqlite:///{tmp_path / 'vtn.sqlite3'}"}
    oadr("vtn", "client", "add", "utility", "--role", "bl", environment=database)
    log = tmp_path / "vtn.log"
    server = program(
        "vtn", ["vtn", "run", "--port", "0"], folder=tmp_path, environment=database | {"PYTHONPROFILEIMPORTTIME": "1"}
    )
    server.start()
    try:
        wait_until_sync(lambda: "VTN started" in log.read_text(), timeout_s=30, what="the VTN has started")
        found = profiled(log.read_text())
    finally:
        server.stop()
    assert {"vtn.app", "aiohttp.web", "sqlalchemy"} <= found
    late = (
        *("oadr.commands.vtn.clients", "oadr.commands.vtn.database", "vtn.api.performance_answers", "vtn.evaluator"),
        *("vtn.api.v20b", "vtn.api.v31.openapi", "vtn.api.v301.openapi", "vtn.listener_20b", "vtn.store.v20b.stores"),
        *("vtn.alarms.rules", "vtn.notify.alarms.watch", "vtn.notify.alarms.email", "vtn.notify.mqtt", "smtplib"),
        *("vtn.console.application", "vtn.console.issuing", "vtn.notify.broker_access", "vtn.report_facts"),
        *("vtn.performance", "openadr_profiles.fleet.status", "openadr_profiles.fleet.power", "openadr_profiles.v20b"),
        *("jinja2", "lxml", "signxml", "aiomqtt", "paho", "pyarrow", "zeroconf", "jwt", "prometheus_client"),
        *("alembic", "mako", "asyncpg", "sqlalchemy.dialects.postgresql", "pydantic_settings", "rich.console"),
    )
    assert not {name for name in found if f"{name}.".startswith(tuple(f"{one}." for one in late))}


def test_a_closed_pipe_is_quiet(operator: Operator) -> None:
    environment = os.environ | operator.environment
    environment.pop("PYTHONUNBUFFERED", None)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([OADR, "event", "list"], stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_while_importing_is_quiet() -> None:
    script = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from oadr.start import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, b"")


def test_completion_knows_commands_and_their_commands() -> None:
    def completed(words: str, position: int) -> set[str]:
        environment = os.environ | {
            "_OADR_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }
        return set(subprocess.run([OADR], capture_output=True, text=True, env=environment, check=False).stdout.split())

    assert completed("oadr ev", 1) == {"event"}
    assert completed("oadr event sta", 2) == {"status"}
    # From a shell, as a user does it: the command looks which shell has started it.
    shown = subprocess.run(
        ["bash", "-c", f'"{OADR}" --show-completion; exit $?'], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "_OADR_COMPLETE=complete_bash" in shown.stdout


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command below a command, with that one itself."""
    yield name, command
    if hasattr(command, "list_commands"):
        for below in command.list_commands(None):
            yield from commands(f"{name} {below}", command.get_command(None, below))


COMMANDS = [*commands("oadr", get_command(app))]


@pytest.mark.parametrize("group", [vtn.app, event.app], ids=["vtn", "event"])
def test_every_command_that_is_made_is_listed(group: typer.Typer) -> None:
    """Commands are imported one by one: beside a group of its own, what is made and not listed cannot be called."""
    listed = get_command(group)
    assert isinstance(listed, LateCommands)
    for place in {place for place, _ in listed.places.values()}:
        module, _, name = place.partition(":")
        found: typer.Typer = getattr(import_module(module), name)
        if not isinstance(found.info.help, str):
            made = {each.name or getattr(each.callback, "__name__", "") for each in found.registered_commands}
            assert made <= listed.places.keys()


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_help_has_two_examples(name: str, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this command, as one can copy them: they parse. The conformance suite has its credentials from variables."""
    for each in ("BL", "VEN", "VEN2", "EXPIRED_TOKEN"):
        monkeypatch.setenv(f"OADR_CONFORMANCE_{each}", "id:secret")
    calls = [line.strip() for line in (command.epilog or "").removeprefix("\b\nExamples:\n").splitlines()]
    assert len(calls) == 2, command.epilog
    for call in calls:
        assert f"{call} ".startswith(f"{name} ")
        for found in commands_in_line(name, call):
            parse(found)


def test_nothing_answers_is_said_in_the_words_of_an_operator(operator: Operator) -> None:
    done = operator.run("event", "list", "--vtn", "http://127.0.0.1:1/openadr3/3.1.0")
    assert done.exit_code == 4
    assert done.stderr == (
        "oadr: cannot reach http://127.0.0.1:1: nothing answers there; is the VTN running (oadr vtn run)?\n"
    )


@pytest.mark.sends_invalid_requests
def test_a_wrong_path_names_the_one_expected(operator: Operator) -> None:
    done = operator.run("event", "list", "--vtn", operator.url.replace("3.1.0", "9.9"))
    assert done.exit_code == 6
    assert "no VTN at this path; expected the API's root with its version" in done.stderr


def test_a_ven_is_told_that_business_logic_is_needed(operator: Operator) -> None:
    variables = {"OADR_BL_CLIENT_ID": "home-1", "OADR_BL_CLIENT_SECRET": operator.secrets["home-1"]}
    done = operator.run("program", "create", "x", **variables)
    assert done.exit_code == 5
    assert "if home-1 is a VEN, use a client of business logic" in done.stderr
