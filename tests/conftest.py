"""Fixtures every room may use; what they give is described in `docs/development.md`."""

import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from hypothesis import settings

from bench.support.postgres import PostgresServer, prepare
from openadr_client.transport import Answer, BaseTransport
from tests.support.canaries import Canaries, Guard
from tests.support.memory_files import available_bytes, folder_in_memory
from tests.support.mosquitto import Mosquitto
from tests.support.official import official_document
from tests.support.once import Once
from tests.support.pki import Pki
from tests.support.rows import first_rows
from tests.support.second_tries import SecondTries
from tests.support.sent import RECORDER, Sent

_SHARED = pytest.StashKey[Path]()
_MOST_WORKERS = 8
_WORKER_BYTES = 1024**3  # what a worker takes with the servers that it starts
_COLLECTED_AFTER = (2_000, 10, 25)

settings.register_profile("oadr", deadline=None)  # a busy machine is not a failure
settings.load_profile("oadr")


@pytest.fixture(scope="session", autouse=True)
def _usual_logs() -> Callable[[], None]:
    """Logs as they are before anything is run: to be called to have them so again."""
    structured, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def restore() -> None:
        structlog.configure(**structured)
        root.handlers[:] = handlers
        root.setLevel(level)

    return restore


@pytest.fixture(autouse=True)
def _same_logs(_usual_logs: Callable[[], None]) -> Iterator[None]:
    """A command that runs in this process sets up logs for itself only, also in a fixture: its streams are closed."""
    _usual_logs()
    yield
    _usual_logs()


@pytest.fixture(autouse=True)
def _valid_requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sent: Sent) -> Iterator[None]:
    """Check every request that our client sends against the official OpenADR 3.1 document.

    Here and in the commands that tests start as processes of their own. A test that sends others on purpose says
    so with the mark ``sends_invalid_requests``.
    """
    problems: list[str] = []
    send = BaseTransport.request

    async def checked(
        self: BaseTransport, method: str, url: str, *, query: Sequence[tuple[str, str]] = (), **content: Any
    ) -> Answer:
        problems.extend(_problems(method, url, query := tuple(query), content.get("body")))
        return await send(self, method, url, query=query, **content)

    monkeypatch.setattr(BaseTransport, "request", checked)
    yield
    problems += [problem for each in sent.read() for problem in _problems(*each)]
    if request.node.get_closest_marker("sends_invalid_requests") is None:
        assert problems == [], "not valid by the official document"


def _problems(method: str, url: str, query: Sequence[tuple[str, str]], body: bytes | None) -> list[str]:
    for prefix, version in (("/openadr3/3.1.0", "3.1"), ("/openadr3/3.0.1", "3.0.1")):
        _, root, path = url.partition(prefix)
        if root and path != "/auth/token":
            target = f"{path}?{urlencode(query)}" if query else path
            found = official_document(version).request_problems(method, target, body)
            return [f"{method} {target}: {each}" for each in found]
    return []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the storm of `e2e/test_ledger.py` and the day of `ven/faults/test_day_ledger.py` be worse, or others.

    And let a run make some rows of each test only.
    """
    group = parser.getgroup("ledgers")
    group.addoption("--kills", type=int, default=6, help="processes to kill during the storm, or the day [6]")
    parser.addoption("--rows", type=int, default=0, help="at most so many sets of parameters of each test [all]")
    group.addoption("--seed", type=int, default=1, help="the chance of both; another number is another storm [1]")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the workers of this run share; hear Ctrl-C also where a shell started the run with `&`.

    Set up logs.
    """
    if "TMPDIR" not in os.environ and (memory := folder_in_memory()) is not None:
        os.environ["TMPDIR"], tempfile.tempdir = str(memory), None  # also for workers, and processes that tests start
    # Tracebacks in plain text, as programs write them: to colour one takes seconds, and rich shows all local values.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # programs that tests start would ignore it, too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.stash[_SHARED] = shared = Path(tempfile.mkdtemp(prefix="oadr-tests-"))
        shared.chmod(0o711)  # started by root, PostgreSQL runs from here as another account
        config.add_cleanup(lambda: shutil.rmtree(shared, ignore_errors=True))
        config.pluginmanager.register(SecondTries())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--rows` leaves out."""
    if most := config.getoption("rows"):
        items[:], left = first_rows(items, most)
        config.hook.pytest_deselected(items=left)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector away from what lives as long as the run: each full walk over it takes half a second.

    What tests make is looked for, if not as often as usual.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*_COLLECTED_AFTER)
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where that folder is."""
    node.workerinput["shared"] = str(node.config.stash[_SHARED])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run three times as many workers as there are processors, because the tests wait a lot; a single test needs none.

    Twice as many where there is no memory for more; as many as PYTEST_XDIST_AUTO_NUM_WORKERS says where it is set.
    """
    if any("::" in argument for argument in config.args):
        return 0
    if given := os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return int(given)
    processors = len(os.sched_getaffinity(0))
    in_memory = max(2 * processors, available_bytes() // _WORKER_BYTES)
    return min(3 * processors, in_memory, _MOST_WORKERS)


@pytest.fixture(autouse=True, scope="session")
def _no_files_of_the_user(pytestconfig: pytest.Config) -> Iterator[None]:
    """Databases and keys that a test names no place for go into a folder of this run, also those of processes."""
    told: dict[str, str] | None = getattr(pytestconfig, "workerinput", None)
    shared = pytestconfig.stash[_SHARED] if told is None else Path(told["shared"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(shared / "data"))
        yield


@pytest.fixture(autouse=True, scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """Record what our client sends in processes that tests start; they inherit the variables for it."""
    file = tmp_path_factory.mktemp("sent") / "requests"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_SENT_REQUESTS", str(file))
        patch.setenv("PYTHONPATH", str(RECORDER), prepend=os.pathsep)
        yield Sent(file)


@pytest.fixture(autouse=True, scope="session")
def canaries(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Canaries]:
    """Fail each test that writes a secret anywhere, here or in processes that it starts; see `support/canaries.py`."""
    file = tmp_path_factory.mktemp("written") / "texts"
    found = Canaries(file)
    pytestconfig.pluginmanager.register(Guard(found))
    with pytest.MonkeyPatch.context() as patch, found.watching():
        patch.setenv("TEST_WRITTEN", str(file))
        patch.setenv("PYTHONPATH", str(RECORDER), prepend=os.pathsep)
        yield found


@pytest.fixture(scope="session")
def once(pytestconfig: pytest.Config) -> Once:
    """Make something once for all workers of this run: `once("name", fill)` gives the folder that `fill` has filled."""
    told: dict[str, str] | None = getattr(pytestconfig, "workerinput", None)
    return Once(pytestconfig.stash[_SHARED] if told is None else Path(told["shared"]))


@pytest.fixture(scope="session")
def postgres_server(once: Once) -> Iterator[PostgresServer]:
    """The PostgreSQL server of this worker, started by the first test that needs it."""
    prepared = once("postgres", prepare)
    directory = Path(tempfile.mkdtemp(prefix="oadr-postgres-"))
    server = None
    try:
        server = PostgresServer(directory, prepared=prepared)
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
