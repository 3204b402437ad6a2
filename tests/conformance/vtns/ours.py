"""Our VTN, started as a stranger would start it: a process, the command line, HTTP.

The script `scripts/conformance` runs the suite against it on SQLite and on PostgreSQL with several workers, and prints
one total for each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import jwt
from oadr_conformance import ALL, Credential, Outcome, Run, Subject, profile_of, run, select
from oadr_conformance.reports import html_page, show
from oadr_conformance.session import WIRE_SHAPES
from rich.console import Console

from bench.support.net import free_port
from bench.support.postgres import PostgresServer
from bench.support.processes import ServerProcess
from vtn.access import Role, Scope
from vtn.app import client_registry
from vtn.settings import Settings
from vtns.brokers import guarded_broker, open_broker
from vtns.receiver import receiver, receiver_of

_KEY = "a key for conformance runs, long enough for HS256"
_SETTINGS = f"""
log_requests = false

[auth]
signing_key = "{_KEY}"
client_burst = 10000
address_burst = 10000
invalid_token_status = {{invalid_token_status}}

[auth.argon2]
time_cost = 1
memory_kib = 64

[database]
url = "{{database_url}}"

[privacy]
implicit_ven_id_target = {{implicit_ven_id_target}}
events_follow_program = {{events_follow_program}}

[reports]
bl_may_delete = {{bl_may_delete}}

[webhook]
allowed = ["127.0.0.1"]
ca_file = "{{ca_file}}"

[mqtt]
url = "{{broker}}"
ca_file = "{{ca_file}}"
{{access}}
"""
_CHEAP_SECRETS = {"time_cost": 1, "memory_kib": 64}
_SCOPES = ("read_all", "read_targets", "read_ven_objects", "write_reports", "write_subscriptions", "write_vens")
_USUAL = {
    "auth.invalid_token_status": "401",
    "privacy.implicit_ven_id_target": "true",
    "privacy.events_follow_program": "true",
    "reports.bl_may_delete": "false",
}
TURNED = {
    "auth.invalid_token_status": "403",
    "privacy.implicit_ven_id_target": "false",
    "privacy.events_follow_program": "false",
    "reports.bl_may_delete": "true",
}
"""Switches of the suite that our VTN has, each the other way round than usual."""
GUARDED = ("MQTT-016", "MQTT-018", "MQTT-039", "MQTT-042", "MQTT-044")
"""Requirements that need a broker that knows its clients: our VTN has one with its switches turned."""
_BOUND = ("rulings.binding=true",)
"""Our rulings bind our VTN."""
_WORKERS = 4


def oadr_command(*arguments: str) -> list[str]:
    """Return the command `oadr` with these arguments."""
    return [sys.executable, "-m", "oadr", *arguments]


def client_of(client_id: str, role: str, config: Path, *options: str) -> Credential:
    """Return a new client of the VTN with this configuration."""
    done = subprocess.run(
        oadr_command("vtn", "client", "add", client_id, "--role", role, "--config", str(config), "--json", *options),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"no client {client_id}: {done.stderr}")
    made = json.loads(done.stdout)
    return Credential(client_id=made["client_id"], client_secret=made["client_secret"])


@contextmanager
def vtn(
    database_url: str, directory: Path, *arguments: str, switches: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Subject]:
    """Yield a running VTN and what the suite must know of it; `arguments` go to `oadr vtn run`.

    With switches turned its broker knows its clients, else it admits everybody.
    """
    kind = guarded_broker if switches else open_broker
    with receiver(directory) as (callback_url, pki), kind(directory, pki) as (broker, access):
        values = {switch.partition(".")[2]: value for switch, value in (_USUAL | dict(switches)).items()}
        config = directory / "vtn.toml"
        config.write_text(
            _SETTINGS.format(database_url=database_url, ca_file=pki.ca, broker=broker, access=access, **values),
            encoding="utf-8",
        )
        with _started(config, directory, database_url, arguments) as subject:
            profile = profile_of("default", [*_BOUND, *(f"{switch}={value}" for switch, value in switches.items())])
            yield replace(
                subject, callback_url=callback_url, profile=profile, receiver=receiver_of(pki), ca_file=pki.ca
            )


def at_version(subject: Subject, standard: str) -> Subject:
    """Return the same VTN where it speaks another version of the standard."""
    usual = WIRE_SHAPES[standard].usual_prefix
    return replace(subject, url=subject.url.replace(WIRE_SHAPES["3.1"].usual_prefix, usual), standard=standard)


@contextmanager
def _started(config: Path, directory: Path, database_url: str, arguments: tuple[str, ...]) -> Iterator[Subject]:
    bl = client_of("conformance-bl", "BL", config)  # makes the tables, so it goes first
    with ThreadPoolExecutor() as pool:  # a loop may run here
        ven, ven2, stranger = pool.submit(asyncio.run, _vens(database_url)).result()
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    process = ServerProcess(
        oadr_command("vtn", "run", "--config", str(config), "--port", str(port), *arguments),
        log=directory / "vtn.log",
        ready=lambda: answers(f"{origin}/health"),
    )
    try:
        process.start()
        yield Subject(
            url=f"{origin}/openadr3/3.1.0",
            bl=bl,
            ven=ven,
            ven2=ven2,
            stranger=stranger,
            expired_token=_expired(f"{origin}/openadr3/3.1.0/auth/token", bl),
            product="OpenADR Fleet",
        )
    finally:
        process.stop()


async def _vens(database_url: str) -> list[Credential]:
    """Return new clients of three VENs, the last without all rights, made without a process for each."""
    settings = Settings.model_validate({"database": {"url": database_url}, "auth": {"argon2": _CHEAP_SECRETS}})
    scopes = {"conformance-ven": None, "conformance-ven2": None, "conformance-ven3": [Scope(each) for each in _SCOPES]}
    async with client_registry(settings) as clients:
        made = [await clients.add(name, Role.VEN, scopes=some) for name, some in scopes.items()]
    return [Credential(client_id=each.client_id, client_secret=each.secret) for each in made]


def answers(url: str) -> bool:
    """Return True if a GET of this URL is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _expired(token_url: str, client: Credential) -> str:
    """A token like those of the VTN, over for an hour; we know the key it signs with."""
    form = f"grant_type=client_credentials&client_id={client.client_id}&client_secret={client.client_secret}"
    with urllib.request.urlopen(token_url, data=form.encode(), timeout=10) as response:
        token = json.load(response)["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    claims["exp"], claims["iat"] = claims["exp"] - 7200, claims["iat"] - 7200
    return jwt.encode(claims, _KEY, algorithm="HS256", headers=jwt.get_unverified_header(token))


def _examine(subject: Subject, only: list[str], console: Console) -> Run:
    result = asyncio.run(run(subject, select(ALL, only)))
    show(result, console)
    return result


def _name(database: str, workers: int) -> str:
    return database if workers == 1 else f"{database}, {workers} workers"


def main() -> int:
    """Run the suite against our VTN on both databases; 0 if no check failed on either."""
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="an area, requirement or check")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="one database only")
    parser.add_argument("--profile", choices=["3.1", "2.0b"], default="3.1", help="version of the standard")
    parser.add_argument("--mutation", action="store_true", help="prove that every check can fail instead")
    parser.add_argument(
        "--workers", type=int, choices=range(1, 17), metavar="N", help="of both VTNs [1 on SQLite, 4 on PostgreSQL]"
    )
    parser.add_argument("--html", type=Path, help="write pages NAME-sqlite.html and NAME-postgresql.html")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="oadr-conformance-"))
    directory.chmod(0o755)
    console = Console()
    totals: dict[str, Run] = {}
    try:
        if options.database != "postgresql":
            workers = options.workers or 1
            with vtn(f"sqlite:///{directory / 'vtn.sqlite3'}", directory, "--workers", str(workers)) as subject:
                totals[_name("SQLite", workers)] = _examine(subject, options.only, console)
        if options.database != "sqlite":
            server = PostgresServer(directory)
            server.start()
            workers = options.workers or _WORKERS
            try:
                with vtn(server.url(server.create_database()), directory, "--workers", str(workers)) as subject:
                    totals[_name("PostgreSQL", workers)] = _examine(subject, options.only, console)
            finally:
                server.stop()
    finally:
        shutil.rmtree(directory)
    for name, result in totals.items():
        if options.html:
            path = options.html.with_name(f"{options.html.stem}-{name.partition(',')[0].lower()}.html")
            path.write_text(html_page(result), encoding="utf-8")
        console.print(f"{name}: {result.total}", highlight=False)
    return 1 if any(result.count(Outcome.FAIL) + result.count(Outcome.BLOCKED) for result in totals.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
