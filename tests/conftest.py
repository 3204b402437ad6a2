"""Fixtures every room may use; what they give is described in `docs/development.md`."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from hypothesis import settings

from tests.support.mosquitto import Mosquitto
from tests.support.official import official_document
from tests.support.pki import Pki
from tests.support.postgres import PostgresServer
from ven.transport import Answer, Transport

settings.register_profile("oadr", deadline=None)  # a busy machine is not a failure
settings.load_profile("oadr")


@pytest.fixture(autouse=True)
def _same_logs() -> Iterator[None]:
    """A command that a test runs in this process sets up logs for itself only: its streams are closed afterwards."""
    structured, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**structured)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _valid_requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check every request that our client sends in this process against the official OpenADR 3.1 document.

    A test that sends something else on purpose says so with the mark ``sends_invalid_requests``.
    """
    problems: list[str] = []
    send = Transport.request

    async def checked(
        self: Transport, method: str, url: str, *, query: Sequence[tuple[str, str]] = (), **content: Any
    ) -> Answer:
        problems.extend(_problems(method, url, query := tuple(query), content.get("body")))
        return await send(self, method, url, query=query, **content)

    monkeypatch.setattr(Transport, "request", checked)
    yield
    if request.node.get_closest_marker("sends_invalid_requests") is None:
        assert problems == [], "not valid by the official document"


def _problems(method: str, url: str, query: Sequence[tuple[str, str]], body: bytes | None) -> list[str]:
    _, root, path = url.partition("/openadr3/3.1.0")
    if not root or path == "/auth/token":
        return []
    target = f"{path}?{urlencode(query)}" if query else path
    return [f"{method} {target}: {each}" for each in official_document().request_problems(method, target, body)]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this run, started by the first test that needs it."""
    directory = Path(tempfile.mkdtemp(prefix="oadr-postgres-"))
    server = None
    try:
        server = PostgresServer(directory)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server for tests that stop, crash or restart it; it runs again afterwards."""
    yield postgres_server
    postgres_server.start()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a new and empty PostgreSQL database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A running broker without passwords or TLS."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """The authority of this run, which issues certificates for servers and clients."""
    return Pki(tmp_path_factory.mktemp("pki"), now=lambda: datetime.now(UTC))


@pytest.fixture
def mosquitto_tls(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Mosquitto]:
    """A running broker that speaks TLS only and asks for a client certificate: `client_files("name")` makes one."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto-tls"), pki=pki)
    broker.start()
    yield broker
    broker.stop()
