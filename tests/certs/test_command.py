"""`oadr cert`, as somebody at a terminal or a script meets it."""

import json
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oadr.commands.cert import app
from tests.support.terminal import open_terminal


def oadr_cert(*arguments: object) -> tuple[int, Any, str]:
    """Run a command as a script does: exit code, the JSON it prints, and standard error."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    code, _, _ = oadr_cert("ca", "--out", tmp_path / "ca")
    assert code == 0
    return tmp_path / "ca"


def test_three_commands_make_what_mutual_tls_needs(ca: Path, tmp_path: Path) -> None:
    """An authority, a server and a client; the client's files may go elsewhere."""
    code, server, _ = oadr_cert("issue", "server", "vtn.example.org", "--ca", ca, "--san", "10.0.0.7", "--san", "::1")
    assert code == 0
    assert server["alternativeNames"] == ["vtn.example.org", "10.0.0.7", "::1"]
    assert server["certificateFile"] == str(ca / "vtn.example.org.pem")

    code, client, _ = oadr_cert("issue", "client", "ven-17", "--ca", ca, "--out", tmp_path / "home")
    assert code == 0
    assert client["usages"] == ["client"]
    assert sorted(file.name for file in (tmp_path / "home").iterdir()) == ["ven-17.key", "ven-17.pem"]
    context = ssl.create_default_context(cafile=ca / "ca.pem")
    context.load_cert_chain(client["certificateFile"], client["keyFile"])


def test_options_reach_the_certificate(ca: Path) -> None:
    """Lifetime and kind of key."""
    _, client, _ = oadr_cert("issue", "client", "ven-17", "--ca", ca, "--days", 10, "--key", "rsa-2048")

    assert client["key"] == "RSA 2048"
    remaining = datetime.fromisoformat(client["notAfter"]) - datetime.now(UTC)
    assert 9 <= remaining.days <= 10


def test_show_lists_every_certificate_of_a_file(ca: Path) -> None:
    """What `issue` printed is what `show` reads back."""
    _, issued, _ = oadr_cert("issue", "client", "ven-17", "--ca", ca)
    chain = ca / "chain.pem"
    chain.write_bytes((ca / "ven-17.pem").read_bytes() + (ca / "ca.pem").read_bytes())

    code, shown, _ = oadr_cert("show", chain)

    assert code == 0
    assert [each["subject"] for each in shown] == ["CN=ven-17", "CN=OpenADR Fleet CA"]
    assert shown[0]["sha256"].endswith(shown[0]["openadrFingerprint"])
    assert shown[0]["sha256"] == issued["sha256"]
    assert not shown[0]["expired"]


def test_a_terminal_gets_a_table(ca: Path) -> None:
    """And a program gets JSON, which the other tests read."""
    ours, theirs = open_terminal()
    command = [sys.executable, "-c", "from oadr.commands.cert import app; app()", "show", str(ca / "ca.pem")]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            command, stdout=theirs, check=False, cwd=Path(__file__).parents[2], env={**os.environ, "COLUMNS": "120"}
        )
        printed = terminal.read(65536).decode()
        os.close(theirs)

    assert done.returncode == 0
    assert "OpenADR 2.0b fingerprint" in printed
    assert "─" in printed


def test_an_existing_authority_is_not_replaced_by_accident(ca: Path) -> None:
    """Everything it issued would become worthless."""
    before = (ca / "ca.key").read_bytes()

    code, _, message = oadr_cert("ca", "--out", ca)

    assert code == 3
    assert message == f"oadr: {ca}/ca.key exists already; --force replaces it\n"
    assert (ca / "ca.key").read_bytes() == before
    assert oadr_cert("ca", "--out", ca, "--force")[0] == 0
    assert (ca / "ca.key").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (
            ["issue", "client", "a", "--ca", "nowhere"],
            3,
            "oadr: nowhere/ca.pem cannot be read: No such file or directory",
        ),
        (["show", "nowhere.pem"], 3, "oadr: nowhere.pem cannot be read: No such file or directory"),
        (["issue", "server", "https://vtn", "--ca", "{ca}"], 2, "oadr: 'https://vtn' is neither a DNS name nor"),
        (["issue", "client", "", "--ca", "{ca}"], 2, "oadr: '' cannot be a common name"),
        (["issue", "client", "a", "--ca", "{ca}", "--days", "0"], 2, "Invalid value for '--days'"),
        (["issue", "client", "a", "--ca", "{ca}", "--days", "99999999"], 2, "ends after the year 9999"),
        (["issue", "client", "a", "--ca", "{ca}", "--key", "dsa"], 2, "Invalid value for '--key'"),
        (["issue", "client", "a"], 2, "Missing option '--ca'"),
    ],
)
def test_a_mistake_is_told_in_words_with_its_exit_code(
    ca: Path, arguments: list[str], code: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 for what was asked, 3 for what was found."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")

    answered, printed, message = oadr_cert(*(argument.format(ca=ca) for argument in arguments))

    assert (answered, printed) == (code, None)
    assert reason in message
    assert "Traceback" not in message
    assert sorted(file.name for file in ca.iterdir()) == ["ca.key", "ca.pem"]
