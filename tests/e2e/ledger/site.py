"""A VTN, a second one that delivers too, a database and a broker, each a process that can be killed."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import jwt

from bench.support.net import free_port
from bench.support.postgres import PostgresServer
from tests.e2e.ledger.audit import Audit, PostgresAudit, SqliteAudit
from tests.e2e.processes import program, run_oadr
from tests.support.mosquitto import Mosquitto
from vtn.access import DEFAULT_SCOPES, Role
from vtn.settings import Auth

PREFIX: Final = "openadr3/"
_KEY: Final = "a key of the ledger's test, long enough for HS256"
_POSTGRES: Final = (
    *("fsync=off", "full_page_writes=off", "max_connections=100", "shared_buffers=64MB", "unix_socket_directories="),
    "track_commit_timestamp=on",
)


class Site:
    """Everything that a notification passes through. ``postgres`` is None with SQLite, which is no process.

    ``faults`` counts what went wrong on purpose.
    """

    def __init__(
        self, folder: Path, broker: Mosquitto, database_url: str, audit: Audit, postgres: PostgresServer | None
    ) -> None:
        self.broker = broker
        self.audit = audit
        self.faults: Counter[str] = Counter()
        self._postgres = postgres
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}/openadr3/3.1.0"
        environment = {
            "OADR_VTN_DATABASE__URL": database_url,
            "OADR_VTN_AUTH__SIGNING_KEY": _KEY,
            "OADR_VTN_SECRETS_KEY_FILE": str(folder / "secrets.key"),
            "OADR_VTN_WEBHOOK__REQUIRE_HTTPS": "false",
            "OADR_VTN_WEBHOOK__ALLOW_PRIVATE_ADDRESSES": "true",
            "OADR_VTN_MQTT__URL": broker.url,
            "OADR_VTN_WEBSOCKET__HEARTBEAT_S": "1",
        }
        done = run_oadr("vtn", "migrate", environment=environment)
        assert done.returncode == 0, done.stderr
        audit.install()
        self.vtn = program(
            "vtn", ["vtn", "run", "--port", str(port)], folder=folder, environment=environment, port=port
        )
        self.second = program("dispatcher", ["vtn", "dispatch"], folder=folder, environment=environment)

    async def has_delivered(self) -> bool:
        """Return True if no delivery is pending."""
        return await asyncio.to_thread(self.audit.pending) == 0

    def start(self) -> None:
        """Start what can be killed."""
        self.vtn.start()
        self.second.start()

    def stop(self) -> None:
        """Stop it in an orderly way."""
        self.second.stop()
        self.vtn.stop()

    async def go_wrong(self, chance: random.Random) -> None:
        """Let one thing happen, and return when all works again."""
        choices: dict[Callable[[], None], int] = {
            self._kill_vtn: 4,
            self._kill_second: 4,
            self._kill_both: 2,
            self._restart_broker: 2,
        }
        if self._postgres is not None:
            choices |= {self._crash_database: 1, self._restart_database: 1}
        fault = chance.choices(list(choices), list(choices.values()))[0]
        self.faults[fault.__name__.strip("_").replace("_", " ")] += 1
        await asyncio.to_thread(fault)

    @property
    def kills(self) -> int:
        """Return how many processes of ours were killed."""
        return self.faults["kill vtn"] + self.faults["kill second"] + 2 * self.faults["kill both"]

    def _kill_vtn(self) -> None:
        self.vtn.stop(signal.SIGKILL)
        self.vtn.start()

    def _kill_second(self) -> None:
        self.second.stop(signal.SIGKILL)
        self.second.start()

    def _kill_both(self) -> None:
        for process in (self.second, self.vtn):
            process.stop(signal.SIGKILL)
        self.start()

    def _restart_broker(self) -> None:
        self.broker.restart()

    def _crash_database(self) -> None:
        assert self._postgres is not None
        self._postgres.crash()
        self._postgres.start()

    def _restart_database(self) -> None:
        assert self._postgres is not None
        self._postgres.restart()


def token(client_id: str, role: Role) -> str:
    """Return a token of a client, as the VTN signs them."""
    auth, now = Auth(), int(datetime.now(UTC).timestamp())
    claims: Mapping[str, object] = {
        "iss": auth.issuer,
        "aud": auth.audience,
        "sub": client_id,
        "role": role.value,
        "scope": " ".join(sorted(DEFAULT_SCOPES[role])),
        "iat": now - 1,
        "exp": now + 24 * 3600,
    }
    return jwt.encode(dict(claims), _KEY, algorithm="HS256", headers={"kid": "settings"})


@contextmanager
def a_site(kind: str, folder: Path, prepared: Path, broker: Mosquitto) -> Iterator[Site]:
    """Yield a site on ``sqlite``, or on a ``postgresql`` of its own that notes when transactions were committed."""
    with ExitStack() as stack:
        if kind == "sqlite":
            file = folder / "vtn.sqlite3"
            site = Site(folder, broker, f"sqlite:///{file}", SqliteAudit(file), None)
        else:
            # Where another account may go: started by root, PostgreSQL runs as one.
            own = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="oadr-postgres-", ignore_cleanup_errors=True))
            )
            postgres = PostgresServer(own, settings=_POSTGRES, prepared=prepared)
            stack.callback(postgres.stop)
            postgres.start()
            name = postgres.create_database()
            url = postgres.url(name).replace("+asyncpg", "")
            site = Site(folder, broker, url, PostgresAudit(postgres, name), postgres)
        stack.callback(site.stop)
        site.start()
        yield site
