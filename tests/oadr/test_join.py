"""From `oadr vtn client add` to a VEN that runs: the join line is made, pasted, tried and used."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import ssl
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.support.net import free_port
from bench.support.processes import ServerProcess
from certs import Authority
from oadr.__main__ import app
from oadr.commands.ven.sample_house import sample_circuits
from oadr.commands.vtn.clients import show_credentials
from oadr.commands.vtn.join import certificate_in_file, join_lines
from oadr.commands.vtn.options import load_settings
from oadr.errors import Exit
from openadr_client import SystemClock
from openadr_profiles.join_line import JoinLine
from tests.e2e.processes import OADR, oadr, program
from tests.oadr.conftest import Operator
from tests.support.pki import Pki, server_context
from tests.support.terminal import open_terminal
from tests.support.waiting import wait_until_sync
from ven.joining import JoinStep, join_vtn
from ven.settings import VenSettings


@pytest.fixture
def database(tmp_path: Path) -> dict[str, str]:
    """Settings of a VTN with a database of its own."""
    return {
        "OADR_VTN_DATABASE__URL": f"sqlite:///{tmp_path / 'vtn.sqlite3'}",
        "OADR_VTN_AUTH__ARGON2__TIME_COST": "1",
        "OADR_VTN_AUTH__ARGON2__MEMORY_KIB": "8",
    }


def run(*words: str, stdin: str | None = None, environment: Mapping[str, str] | None = None) -> Result:
    return CliRunner(env=environment).invoke(app, words, input=stdin)


def told_by(done: Result) -> JoinLine | None:
    assert done.exit_code == 0, done.stderr
    made = json.loads(done.stdout)
    told = None if made["join_line"] is None else JoinLine.decode(made["join_line"])
    assert told is None or (told.client_id, told.client_secret) == (made["client_id"], made["client_secret"])
    return told


def line_for(operator: Operator, name: str, **members: str) -> str:
    given = {"url": operator.url, "client_id": name, "client_secret": operator.secrets[name], "ven_name": name}
    return JoinLine(**given | members).encode()  # type: ignore[arg-type] # all of these are texts


@pytest.mark.parametrize(
    ("variables", "words", "url", "noted"),
    [
        ({}, (), "http://127.0.0.1:8080/openadr3/3.1.0", "for VENs on this machine only: its address is 127.0.0.1"),
        ({"PUBLIC_URL": "https://vtn.example/dr"}, (), "https://vtn.example/dr/openadr3/3.1.0", ""),
        ({"PUBLIC_URL": "http://localhost"}, (), "http://localhost/openadr3/3.1.0", "its address is localhost"),
        ({"HOST": "192.0.2.7", "INSECURE_HTTP": "1"}, (), "http://192.0.2.7:8080/openadr3/3.1.0", ""),
        ({"HOST": "0.0.0.0", "INSECURE_HTTP": "1"}, (), None, "the address of the VTN is not known"),
        ({"PORT": "0"}, (), None, "the address of the VTN is not known"),
        ({}, ("--url", "https://vtn.example"), "https://vtn.example/openadr3/3.1.0", ""),
        ({}, ("--url", "https://vtn.example/dr/openadr3/3.1.1/"), "https://vtn.example/dr/openadr3/3.1.1", ""),
    ],
)
def test_the_address_in_a_line_is_one_that_devices_reach_or_that_is_said(
    database: dict[str, str], variables: dict[str, str], words: tuple[str, ...], url: str | None, noted: str
) -> None:
    environment = database | {f"OADR_VTN_{name}": value for name, value in variables.items()}
    done = run("vtn", "client", "add", "home-1", "--role", "ven", *words, environment=environment)
    told = told_by(done)
    assert (None if told is None else told.url) == url
    assert (noted in done.stderr) if noted else ("public_url" not in done.stderr)


def test_a_line_has_what_was_asked_for_and_is_made_anew_with_a_new_secret(database: dict[str, str], pki: Pki) -> None:
    words = ["home-1", "--url", "https://vtn.example", "--ca-file", str(pki.ca), "--ven-name", "Haus 1"]
    words += ["--token-url", "https://tokens.example/token"]
    first = told_by(run("vtn", "client", "add", *words, "--role", "ven", environment=database))
    again = told_by(run("vtn", "client", "rotate", *words, environment=database))
    for told in (first, again):
        assert told is not None
        assert (told.ven_name, told.token_url, told.ca) == (
            "Haus 1",
            "https://tokens.example/token",
            certificate_in_file(pki.ca),
        )
    assert first != again


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("--role", "bl", "--url", "https://vtn.example"), None, "--url is for the join line"),
        (
            ("--role", "ven", "--secret-file", "-", "--ven-name", "x"),
            "a long secret here",
            "--ven-name is for the join",
        ),
        (("--role", "ven", "--url", "vtn.example"), None, "--url: expected a URL"),
        (("--role", "ven", "--ca-file", "/gone.pem"), None, "--ca-file: /gone.pem cannot be read"),
        (("--role", "ven", "--ven-name", "n" * 129), None, "cannot be used"),
    ],
)
def test_mistakes_are_said_before_there_is_a_client(
    database: dict[str, str], words: tuple[str, ...], stdin: str | None, said: str
) -> None:
    done = run("vtn", "client", "add", "home-1", *words, stdin=stdin, environment=database)
    assert (done.exit_code, said in done.stderr) == (Exit.USAGE, True), done.stderr
    assert run("vtn", "client", "add", "home-1", "--role", "ven", environment=database).exit_code == Exit.OK


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ven-name", "n" * 129), "the join line cannot be used"),
        (("--url", "https://vtn.example/" + "p" * 500), "the join line cannot be used"),
        (("--url", "https://vtn.example:99999"), "--url: expected a port from 1 to 65535"),
        (("--token-url", "https://tokens.example:abc"), "--token-url: expected a port from 1 to 65535"),
    ],
)
def test_no_secret_is_changed_for_which_there_would_be_no_line(
    database: dict[str, str], words: tuple[str, str], said: str
) -> None:
    """`client rotate` says what is wrong while the old secret is still good."""
    assert run("vtn", "client", "add", "home-1", "--role", "ven", environment=database).exit_code == Exit.OK
    with closing(sqlite3.connect(database["OADR_VTN_DATABASE__URL"].removeprefix("sqlite:///"))) as connection:
        before = connection.execute("select * from clients").fetchall()
        done = run("vtn", "client", "rotate", "home-1", *words, environment=database)
        assert (done.exit_code, said in done.stderr, done.stdout) == (Exit.USAGE, True, ""), done.stderr
        assert connection.execute("select * from clients").fetchall() == before


def test_a_secret_that_is_made_is_shown_whatever_becomes_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = join_lines(load_settings(None, {}), url="https://vtn.example", token_url=None, ca_file=None)
    made = {"client_id": "home-1", "client_secret": "shown now and never again"}
    show_credentials(made, given=None, as_json=False, lines=lines, ven_name="n" * 129, is_again=True)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == made | {"join_line": None}
    assert "No join line: the join line cannot be used" in shown.err


def test_no_line_is_shown_with_a_secret_of_ones_own_or_for_business_logic(database: dict[str, str]) -> None:
    for words in (("--role", "bl"), ("--role", "ven", "--secret-file", "-")):
        done = run("vtn", "client", "add", words[-1], *words, stdin="a long secret here", environment=database)
        assert "join_line" not in json.loads(done.stdout)


def test_a_household_joins_and_runs(operator: Operator, tmp_path: Path) -> None:
    """`oadr ven join` asks for nothing, and what it writes is all that `oadr ven run` needs."""
    config = tmp_path / "house" / "ven.toml"
    done = run("ven", "join", "--config", str(config), stdin=line_for(operator, "home-1"))
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert [each["what"] for each in said["steps"]] == ["name", "port", "token", "programs", "ven"]
    assert (said["joined"], said["next"]) == (True, f"oadr ven run --config {config}")
    assert config.stat().st_mode & 0o777 == 0o600
    assert operator.secrets["home-1"] not in done.stdout + done.stderr
    (ven,) = operator.ask("vens", "list", "--no-reports")
    assert (ven["venName"], ven["resourceCount"]) == ("home-1", 0), ven

    home = program("home", ["ven", "run", "--config", str(config)], folder=tmp_path, environment={})
    home.start()
    try:
        wait_until_sync(
            lambda: operator.ask("vens", "list", "--no-reports")[0]["resourceCount"] == 4, what="registered"
        )
    finally:
        home.stop()
    assert sorted(each.name for each in config.parent.iterdir()) == ["ven.sqlite3", "ven.toml"]


def test_settings_that_are_there_are_not_lost(operator: Operator, tmp_path: Path) -> None:
    """Neither to the same line, nor to one of another VEN, nor to `--force`, which keeps them beside the new ones."""
    config = tmp_path / "ven.toml"
    words = ("ven", "join", line_for(operator, "home-1"), "--config", str(config))
    other = ("ven", "join", line_for(operator, "home-2"), "--config", str(config))
    assert run(*words).exit_code == 0
    assert run(*words).exit_code == 0  # the same line again: nothing is lost by it
    config.write_text(config.read_text() + "# mine\n")
    config.chmod(0o644)
    kept = config.read_text()
    done = run(*words)
    assert (done.exit_code, json.loads(done.stdout)["changed"], config.read_text()) == (0, [], kept)
    for refused in (other, (*words, "--template", os.devnull)):
        done = run(*refused)
        assert (done.exit_code, "there already" in done.stderr, "ven.toml.bak" in done.stderr) == (2, True, True)
        assert config.read_text() == kept
    assert [each.name for each in tmp_path.iterdir()] == ["ven.toml"]
    done = run(*words, "--force")
    assert (done.exit_code, json.loads(done.stdout)["kept"]) == (0, [f"{config}.bak"])
    assert "# mine" not in config.read_text()
    assert run(*other, "--force").exit_code == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ven.toml", "ven.toml.bak", "ven.toml.bak.2"]
    assert Path(f"{config}.bak").read_text() == kept
    assert "simulated" in Path(f"{config}.bak.2").read_text()
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}


REAL = """# ours
ven_name = "home-1"
{top}
driver.kind = "mqtt" # the relays of the cellar

[[circuits]]
id = "boiler"
breaker_amps = 16
rated_kw = 2
{tables}"""
DOTTED = """vtn.url = {url!r}
vtn.client_id = "home-1"
vtn.client_secret = "of before" # from the letter
vtn.timeout_s = 20.0"""
TABLE = """
[vtn]
url = {url!r}  # the utility
client_id = "home-1"
client_secret = 'of before'"""


@pytest.mark.parametrize(("top", "tables"), [(DOTTED, ""), ("", TABLE), ("", TABLE.replace("\n", "\r\n"))])
def test_a_real_home_gets_its_new_secret_and_stays_what_it_is(
    operator: Operator, tmp_path: Path, top: str, tables: str, pki: Pki
) -> None:
    """Driver, circuits and comments stay, also after `client rotate` with an authority that was not in the line."""
    config = tmp_path / "ven.toml"
    before = REAL.format(top=top.format(url=operator.url), tables=tables.format(url=operator.url))
    config.write_bytes(before.encode())
    config.chmod(0o640)
    secret = operator.secrets["home-1"]
    done = run("ven", "join", "--config", str(config), stdin=line_for(operator, "home-1"))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["changed"] == ["vtn.client_secret"]
    quote = '"' if top else "'"
    assert config.read_bytes().decode() == before.replace(f"{quote}of before{quote}", f'"{secret}"')
    assert config.stat().st_mode & 0o777 == 0o640
    assert Path(f"{config}.bak").read_bytes().decode() == before
    assert secret not in done.stdout + done.stderr

    line = JoinLine(
        url=operator.url,
        client_id="home-1",
        client_secret=secret,
        ven_name="home-1",
        ca=certificate_in_file(pki.ca),
    )
    done = run("ven", "join", "--config", str(config), stdin=line.encode())
    assert json.loads(done.stdout)["changed"] == ["vtn.ca_file"], done.stderr
    expected = tomllib.loads(before)
    expected["vtn"] |= {"client_secret": secret, "ca_file": str(tmp_path / "ven-ca.pem")}
    assert tomllib.loads(config.read_bytes().decode()) == expected
    assert certificate_in_file(tmp_path / "ven-ca.pem") == certificate_in_file(pki.ca)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (TABLE.replace("'of before'", "'''of before'''"), "it is of another form: set vtn.client_secret yourself"),
        (TABLE.rpartition("\n")[0], "vtn.client_secret is not in it: set vtn.client_secret yourself"),
    ],
)
def test_what_cannot_be_renewed_is_left_with_words_on_what_to_set(tmp_path: Path, tables: str, said: str) -> None:
    config, url = tmp_path / "ven.toml", "http://127.0.0.1:1/openadr3/3.1.0"
    before = REAL.format(top="", tables=tables.format(url=url))
    config.write_text(before)
    line = JoinLine(url=url, client_id="home-1", client_secret="a new one for it", ven_name="home-1").encode()
    done = run("ven", "join", "--config", str(config), stdin=line)
    assert (done.exit_code, said in done.stderr) == (Exit.USAGE, True), done.stderr
    assert "a new one" not in done.stderr
    assert config.read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["ven.toml"]


def test_other_settings_come_from_a_template_as_they_are(operator: Operator, tmp_path: Path) -> None:
    config, template = tmp_path / "ven.toml", tmp_path / "template.toml"
    text = 'store = "here.sqlite3"\n# a comment\n[[circuits]]\nid = "boiler"\nbreaker_amps = 16\nrated_kw = 2\n'
    template.write_text(text)
    words = ("ven", "join", line_for(operator, "home-1"), "--config", str(config), "--template", str(template))
    assert run(*words).exit_code == 0
    assert config.read_text().endswith(text)
    settings = VenSettings.model_validate(tomllib.loads(config.read_text()))
    assert ([each.id for each in settings.circuits], settings.store) == (["boiler"], Path("here.sqlite3"))
    for wrong, code, said in (
        ('ven_name = "x"', Exit.USAGE, "has ven_name, which comes from the join line"),
        ("= 1", Exit.CONFIGURATION, "not readable TOML"),
        ("colour = 1", Exit.CONFIGURATION, "colour: no such setting"),
    ):
        template.write_text(wrong)
        done = run(*words, "--force")
        assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
        assert config.read_text().endswith(text)
        assert sorted(each.name for each in tmp_path.iterdir()) == ["template.toml", "ven.toml"]


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        ({"url": "http://127.0.0.1:1/openadr3/3.1.0"}, Exit.UNREACHABLE, "port: 127.0.0.1 does not answer on port 1"),
        ({"url": "http://vtn.invalid/openadr3/3.1.0"}, Exit.UNREACHABLE, "name: vtn.invalid has no address here"),
        ({"client_secret": "not the one of home-1"}, Exit.UNAUTHORIZED, "Ask the operator for a new join line"),
    ],
)
def test_a_failure_is_named_with_what_to_do_and_the_settings_are_kept(
    operator: Operator, tmp_path: Path, members: dict[str, str], code: Exit, said: str
) -> None:
    config = tmp_path / "ven.toml"
    done = run("ven", "join", "--config", str(config), stdin=line_for(operator, "home-1", **members))
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    found = json.loads(done.stdout)
    assert (found["joined"], found["next"]) == (False, f"oadr ven doctor --config {config}")
    assert members.get("client_secret", "-" * 20) not in done.stdout + done.stderr
    assert config.exists()


def test_a_path_without_a_vtn_and_a_name_that_is_taken_are_told_apart(operator: Operator, tmp_path: Path) -> None:
    config = str(tmp_path / "ven.toml")
    elsewhere = line_for(operator, "home-1", url=operator.url.replace("3.1.0", "9.9.9"))
    done = run("ven", "join", "--config", config, stdin=elsewhere)
    assert "there is no VTN at this path" in done.stderr
    operator.ask("vens", "add", "home-2")
    taken = line_for(operator, "home-1", ven_name="home-2")
    done = run("ven", "join", "--config", config, "--force", stdin=taken)
    assert (done.exit_code, "another client has a ven of this name" in done.stderr) == (Exit.REFUSED, True)


@pytest.mark.parametrize("text", ["", "oadrjoin1_AH-Eo3Vy", "no line"])
def test_a_line_that_is_none_writes_nothing(tmp_path: Path, text: str) -> None:
    config = tmp_path / "ven.toml"
    done = run("ven", "join", "--config", str(config), stdin=text)
    assert (done.exit_code, "join line" in done.stderr) == (Exit.USAGE, True)
    assert not config.exists()


@pytest.mark.parametrize(("typed", "said"), [("oadrjoin1_AH-Eo3Vy\n", "cut off"), ("\x04", "there is no join line")])
def test_a_line_is_not_shown_while_it_is_pasted(tmp_path: Path, typed: str, said: str) -> None:
    """On a terminal the command asks for the line; Ctrl-D is as good as nothing."""
    ours, theirs = open_terminal()
    process = subprocess.Popen(
        [OADR, "ven", "join", "--config", str(tmp_path / "ven.toml")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, is_asked = "", False
    with suppress(OSError):  # EIO: the other side is closed
        while part := os.read(ours, 4096):
            shown += part.decode()
            if not is_asked and (is_asked := "not shown): " in shown):
                os.write(ours, typed.encode())
    os.close(ours)
    assert process.wait(timeout=60) == Exit.USAGE
    assert said in shown
    assert typed.strip() not in shown


@pytest.fixture
def vtn_with_tls(database: dict[str, str], tmp_path: Path, pki: Pki) -> Iterator[str]:
    """The address of a VTN whose certificate is of a private authority."""
    files, port = pki.server(), free_port()
    words = ["vtn", "run", "--port", str(port), "--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    server: ServerProcess = program("vtn", words, folder=tmp_path / "vtn", environment=database, port=port)
    server.start()
    yield f"https://127.0.0.1:{port}"
    server.stop()


def test_a_private_authority_comes_with_the_line(
    database: dict[str, str], vtn_with_tls: str, tmp_path: Path, pki: Pki
) -> None:
    words = ("vtn", "client", "add", "home-1", "--role", "ven", "--url", vtn_with_tls, "--ca-file", str(pki.ca))
    line = oadr(*words, environment=database)["join_line"]
    config = tmp_path / "ven.toml"
    done = run("ven", "join", "--config", str(config), stdin=line)
    assert done.exit_code == 0, done.stderr
    assert [each["what"] for each in json.loads(done.stdout)["steps"]][2] == "TLS"
    assert certificate_in_file(tmp_path / "ven-ca.pem") == certificate_in_file(pki.ca)
    assert tomllib.loads(config.read_text())["vtn"]["ca_file"] == str(tmp_path / "ven-ca.pem")


async def last_step(port: int, ca_file: Path | None, host: str = "127.0.0.1") -> JoinStep:
    vtn = {"url": f"https://{host}:{port}", "client_id": "x", "client_secret": "y", "ca_file": ca_file}
    settings = VenSettings.model_validate({"vtn": vtn, "ven_name": "x", "circuits": sample_circuits()})
    return [step async for step in join_vtn(settings, SystemClock())][-1]


def _expired(_: Pki, folder: Path) -> ssl.SSLContext:
    """Serve with a certificate of an authority that is saved as ca.pem and has issued it for one day, long ago."""
    ago = Authority.create("old", now=lambda: datetime.now(UTC) - timedelta(days=30))
    ago.save(folder)
    pair = ago.issue_server("localhost", alternative_names=["127.0.0.1"], lifetime=timedelta(days=1)).save(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize(
    ("served", "trusts", "to_do"),
    [
        (lambda pki, _: server_context(pki.server()), False, "ask for a join line made with --ca-file"),
        (lambda pki, _: server_context(pki.server("vtn.example")), True, "the certificate is for another name"),
        (_expired, None, "look at this computer's clock"),
        (lambda *_: None, True, "does this port of the VTN speak TLS?"),
    ],
)
async def test_what_is_wrong_with_tls_is_told_apart(
    pki: Pki, tmp_path: Path, served: Callable[[Pki, Path], ssl.SSLContext | None], trusts: bool | None, to_do: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=served(pki, tmp_path))
    trusted = {True: pki.ca, False: None, None: tmp_path / "ca.pem"}[trusts]
    async with server:
        step = await last_step(server.sockets[0].getsockname()[1], trusted)
    assert step.what == "TLS"
    assert to_do in (step.to_do or ""), step


def test_the_sample_house_is_part_of_the_documented_one() -> None:
    example = tomllib.loads((Path(__file__).parents[2] / "docs" / "examples" / "home.toml").read_text())
    documented = {each["id"]: each for each in example["circuits"]}
    for circuit in sample_circuits():
        assert documented[circuit["id"]] == circuit
