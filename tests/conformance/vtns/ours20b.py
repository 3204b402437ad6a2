"""Our VTN with its 2.0b listener, started as a stranger would start it: a process, the command line, certificates.

`scripts/conformance --profile 2.0b` runs the suite of 2.0b against it, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from oadr_conformance import Credential, Outcome, ReceiverAddress, Run, select
from oadr_conformance.reports import show
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.hostile import hostile_checks
from oadr_conformance.v20b.subject import ClientCert, Subject20b
from rich.console import Console

from bench.support.net import free_port
from bench.support.postgres import PostgresServer
from bench.support.processes import ServerProcess
from certs import Authority, KeyKind
from vtns.ours import answers, client_of, oadr_command

_SETTINGS = """
log_requests = false

[auth]
signing_key = "a key for conformance runs, long enough for HS256"
client_burst = 10000
address_burst = 10000

[auth.argon2]
time_cost = 1
memory_kib = 64

[database]
url = "{database_url}"

[v20b]
port = {port}
cert = "{ec.certificate}"
key = "{ec.key}"
rsa_cert = "{rsa.certificate}"
rsa_key = "{rsa.key}"
ca = "{ca}"
vtn_id = "Conformance-VTN"
poll_s = 1
auto_enrol = true
retry_polls = 1
polls_allowed = 1000.0
burst = 10000
signatures = {signatures}

[v20b.push]
cert = "{shown.certificate}"
key = "{shown.key}"
allowed = ["127.0.0.1"]
first_retry_s = 0.1
longest_retry_s = 0.5
"""
_VEN = "conformance-ven"


@contextmanager
def vtn20b(database_url: str, directory: Path, *, signed: bool = False) -> Iterator[Subject20b]:
    """Yield a running VTN and what the suite must know of it: every VEN is enrolled that comes."""
    authority = Authority.create("conformance 2.0b", now=lambda: datetime.now(UTC) - timedelta(days=60))
    ca = authority.save(directory).certificate
    new = Authority.load(directory, now=lambda: datetime.now(UTC))
    old = Authority.load(directory, now=lambda: datetime.now(UTC) - timedelta(days=30))

    def client(name: str) -> ClientCert:
        pair = new.issue_client(name).save(directory / name)
        return ClientCert(pair.certificate, pair.key)

    def server(kind: KeyKind) -> ClientCert:
        pair = new.issue_server("127.0.0.1", key_kind=kind).save(directory / kind.value)
        return ClientCert(pair.certificate, pair.key)

    listening = new.issue_server("127.0.0.1").save(directory / "ven-server")
    vens = {name: client(name) for name in ("Conformance-VEN", "Conformance-VEN2")}
    pair = old.issue_client("expired", lifetime=timedelta(days=1)).save(directory / "expired")
    port, api_port = free_port(), free_port()
    config = directory / "vtn.toml"
    config.write_text(
        _SETTINGS.format(
            database_url=database_url,
            port=port,
            ec=server(KeyKind.EC_P256),
            rsa=server(KeyKind.RSA_2048),
            ca=ca,
            shown=client("vtn"),
            signatures=str(signed).lower(),
        ),
        encoding="utf-8",
    )
    bl = client_of("conformance-bl", "BL", config)
    process = ServerProcess(
        oadr_command("vtn", "run", "--config", str(config), "--port", str(api_port)),
        log=directory / "vtn.log",
        ready=lambda: answers(f"http://127.0.0.1:{api_port}/health"),
    )
    api = f"http://127.0.0.1:{api_port}/openadr3/3.1.0"
    try:
        process.start()
        operator = _Operator(api, bl)
        for identity in (vens["Conformance-VEN"], ClientCert(listening.certificate, listening.key)):
            operator.post("/vens_20b", {"venName": _VEN, "addFingerprint": identity.fingerprint})
        yield Subject20b(
            url=f"https://127.0.0.1:{port}",
            ven=vens["Conformance-VEN"],
            ven2=vens["Conformance-VEN2"],
            expired=ClientCert(pair.certificate, pair.key),
            ca_file=ca,
            vtn_id="Conformance-VTN",
            business_logic_url=api,
            bl=bl,
            receiver=ReceiverAddress(
                "https://127.0.0.1", "127.0.0.1:0", certificate=listening.certificate, key=listening.key
            ),
            order=operator.order,
            rulings=True,
            signed=signed,
            product="OpenADR Fleet",
        )
    finally:
        process.stop()


class _Operator:
    """Business logic as it enrols the VEN of the suite, and sends it orders."""

    def __init__(self, api: str, credential: Credential) -> None:
        self._api = api
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_secret": credential.client_secret,
        }
        self._headers: dict[str, str] = {}
        token = self._send("/auth/token", urlencode(form).encode())["access_token"]
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, document: dict[str, str]) -> None:
        """Send a document."""
        self._send(path, json.dumps(document).encode())

    async def order(self, order: str) -> None:
        """Order something of the VEN: `reregister` or `unregister`."""
        named = {"reregister": "REREGISTER", "unregister": "CANCEL"}
        await asyncio.to_thread(self.post, "/vens_20b/orders", {"venName": _VEN, "order": named[order]})

    def _send(self, path: str, body: bytes) -> Any:
        with urlopen(Request(self._api + path, body, self._headers), timeout=30) as response:
            return json.load(response)


def main() -> int:
    """Run the suite of 2.0b against our VTN; 0 if no check failed."""
    parser = argparse.ArgumentParser(prog="scripts/conformance --profile 2.0b", description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="an area, requirement or check")
    parser.add_argument("--signed", action="store_true", help="demand XML signatures, and sign")
    parser.add_argument("--hostile", type=int, default=0, metavar="N", help="send N generated bad documents too")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="one database only")
    options = parser.parse_args()
    console = Console()
    totals: dict[str, Run] = {}
    checks = select((*ALL20B, *hostile_checks(options.hostile, 0)), options.only)
    with tempfile.TemporaryDirectory(prefix="oadr-conformance-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for database in ("sqlite", "postgresql"):
            if options.database not in {None, database}:
                continue
            own = folder / database
            own.mkdir()
            with _database(database, folder) as url, vtn20b(url, own, signed=options.signed) as subject:
                totals[database] = asyncio.run(run20b(subject, checks, of=len(ALL20B)))
            show(totals[database], console)
    for database, result in totals.items():
        console.print(f"{database}: {result.total}", highlight=False)
    return 1 if any(one.count(Outcome.FAIL) + one.count(Outcome.BLOCKED) for one in totals.values()) else 0


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'vtn.sqlite3'}"
        return
    server = PostgresServer(folder)
    server.start()
    try:
        yield server.url(server.create_database())
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
