"""Background services: whatever happens to one is seen, and the server goes on or ends on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from bench.support.postgres import PostgresServer
from oadr.errors import Exit, exit_code_of
from tests.support.pki import Pki, TlsFiles, client_context
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest, unique
from vtn.app import VtnServer, build
from vtn.deliveries import Deliveries
from vtn.errors import ServiceFailed
from vtn.mdns import Announcement
from vtn.notify import upkeep
from vtn.notify.dispatcher import NotificationDispatcher
from vtn.notify.upkeep import OutboxUpkeep
from vtn.services import VITAL_FAILURES, Closing, Pauses, Service, Services
from vtn.settings import Settings
from vtn.store import tables
from vtn.store.console.repeats import RepeatStore
from vtn.store.listener import PostgresListener
from vtn.store.outbox.reads import Reads
from vtn.store.report import ReportStore

ALL: Final = (
    "revocations",
    "contacts",
    "cancelled_transactions",
    "websockets",
    "evaluations",
    "reads",
    "listener",
    "metrics",
    "retention",
    "event_repeats",
    "mdns",
    "certificates",
    "deliveries",
    "outbox",
)
RESTARTS: Final = "oadr_vtn_service_restarts_total"
RUNNING: Final = "oadr_vtn_services_running"
AT_ONCE: Final = Pauses(first_s=0.001, longest_s=0.001)
_LONG: Final = Pauses(first_s=3600.0, longest_s=7200.0)


class Work:
    """Does what a test says, each time it is run."""

    def __init__(self, *, at_end: Callable[[], Awaitable[None]] | None = None) -> None:
        self.runs = 0
        self.trouble: Exception | None = None
        self.returns = False
        self._at_end = at_end

    async def run(self) -> None:
        """Work for ever, or fail."""
        self.runs += 1
        if self.trouble is not None:
            raise self.trouble
        if self.returns:
            return
        try:
            await asyncio.Event().wait()
        finally:
            if self._at_end is not None:
                await self._at_end()


@contextlib.asynccontextmanager
async def running(*services: Service, pauses: Pauses = AT_ONCE, grace_s: float = 60.0) -> AsyncIterator[Services]:
    """Services from their start to their stop."""
    found = Services(services, pauses=pauses, grace_s=grace_s)
    found.start()
    try:
        yield found
    finally:
        await found.stop()


def task_of(services: Services, name: str) -> asyncio.Task[None]:
    """The task of a service."""
    return services._tasks[name]


async def test_a_service_that_raises_is_logged_with_its_name_counted_and_started_again() -> None:
    """And the others do not notice."""
    broken, sound = Work(), Work()
    broken.trouble = OSError("no such thing")
    with capture_logs() as logs:
        async with running(Service("broken", broken.run), Service("sound", sound.run)) as services:
            await wait_until(lambda: services.restarts["broken"] >= 3)
            broken.trouble = None
            await wait_until(lambda: services.is_running("broken") and not services.failing)
    told = [entry for entry in logs if entry["event"] == "a service failed and is started again"]
    assert {(entry["service"], entry["error"], entry["log_level"]) for entry in told} == {
        ("broken", "OSError: no such thing", "error")
    }
    assert [entry["failures"] for entry in told[:3]] == [1, 2, 3]
    assert sound.runs == 1
    assert services.restarts["sound"] == 0


@pytest.mark.parametrize("how", ["returns", "is cancelled"])
async def test_a_service_that_just_ends_is_started_again(how: str) -> None:
    """None may return, and nobody but the server may cancel one."""
    work = Work()
    work.returns = how == "returns"
    with capture_logs() as logs:
        async with running(Service("ends", work.run)) as services:
            await wait_until(lambda: work.runs)
            if not work.returns:
                task_of(services, "ends").cancel()
            await wait_until(lambda: services.restarts["ends"])
            work.returns = False
            await wait_until(lambda: services.is_running("ends"))
    assert logs[0]["error"] == ("it returned" if how == "returns" else "CancelledError")
    assert work.runs >= 2


async def test_a_service_that_waits_to_be_started_again_is_failing_and_can_be_stopped() -> None:
    """Also in the middle of its pause."""
    work = Work()
    work.trouble = RuntimeError("broken")
    async with running(Service("broken", work.run), Service("sound", Work().run), pauses=_LONG) as services:
        await wait_until(lambda: services.failing)
        assert [*services.failing] == ["broken"]
    assert [*services.failing] == []
    assert work.runs == 1


async def test_a_vital_service_that_fails_again_and_again_ends_all() -> None:
    """On purpose, with an error that names it."""
    work, other = Work(), Work()
    work.trouble = RuntimeError("broken")
    with capture_logs() as logs:
        async with running(Service("vital", work.run, is_vital=True), Service("other", other.run)) as services:
            with pytest.raises(ServiceFailed, match=r"'vital' failed 8 times in a row: RuntimeError: broken"):
                await services.failed()
            assert services.failure is not None
            assert services.failing == ("vital", "other")
    assert work.runs == VITAL_FAILURES
    assert logs[-1]["log_level"] == "critical"


async def test_a_service_that_does_not_end_is_left_behind_and_named() -> None:
    """The rest of the closing does not wait for it."""
    gate = asyncio.Event()

    async def hang() -> None:
        await gate.wait()

    work = Work(at_end=hang)
    with capture_logs() as logs:
        async with running(Service("stubborn", work.run), Service("sound", Work().run), grace_s=0.05) as services:
            await wait_until(lambda: work.runs)
            task = task_of(services, "stubborn")
    assert [(entry["event"], entry["service"]) for entry in logs] == [
        ("a service does not end and is left behind", "stubborn")
    ]
    gate.set()
    await asyncio.wait({task})


async def test_a_service_that_fails_while_it_ends_is_named_and_not_started_again() -> None:
    """The error belongs in the log, not to who stops the server."""

    async def fail() -> None:
        raise OSError("no goodbye")

    work = Work(at_end=fail)
    with capture_logs() as logs:
        async with running(Service("rude", work.run)):
            await wait_until(lambda: work.runs)
    assert [(entry["event"], entry["service"]) for entry in logs] == [("a service failed while it ended", "rude")]
    assert work.runs == 1


def test_a_program_that_forgets_to_stop_its_services_ends_all_the_same() -> None:
    """The event loop cancels what is left, which is no failure of a service."""

    async def forget() -> Services:
        services = Services((Service("forgotten", Work().run),), pauses=_LONG)
        services.start()
        await asyncio.sleep(0)
        return services

    assert asyncio.run(forget()).failure is None


def test_pauses_grow_to_the_longest_and_vary() -> None:
    """By half at most."""
    pauses = Pauses(first_s=1.0, longest_s=8.0)
    for failures, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (10_000, 8.0)):
        found = {pauses.after(failures) for _ in range(50)}
        assert all(most / 2 <= each <= most for each in found)
        assert len(found) > 1


async def test_all_parts_are_closed_the_last_first_whatever_fails() -> None:
    """Each that fails is named; a cancellation comes through at the end."""
    closing, closed = Closing(), []

    async def part(name: str, error: BaseException | None = None) -> None:
        closed.append(name)
        if error is not None:
            raise error

    closing.add("first", lambda: part("first"))
    closing.add("second", lambda: part("second", RuntimeError("broken")))
    closing.add("third", lambda: part("third", asyncio.CancelledError()))
    closing.add("fourth", lambda: closed.append("fourth"))
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await closing.close()
    assert closed == ["fourth", "third", "second", "first"]
    assert [entry["part"] for entry in logs] == ["second"]
    await closing.close()
    assert len(closed) == 4


@dataclass
class Whole:
    """A server with every service there is, on a PostgreSQL of its own."""

    vtn: VtnUnderTest
    pki: Pki

    async def ask(self, path: str) -> str:
        """Return the text of a page of the server."""
        connector = aiohttp.TCPConnector(ssl=client_context(self.pki.ca))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"https://127.0.0.1:{self.vtn.server.port}{path}") as response,
        ):
            assert response.status == 200
            return await response.text()

    async def number(self, name: str, service: str) -> float:
        """Return a number of a service from /metrics."""
        families = text_string_to_metric_families(await self.ask("/metrics"))
        (value,) = (
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and sample.labels.get("service") == service
        )
        return float(value)


def settings_of_all(url: str, files: TlsFiles) -> Settings:
    """Settings with which every service runs, often."""
    return settings_for(
        url,
        tls={"cert": str(files.certificate), "key": str(files.key), "watch_s": 0.05},
        mdns={"enabled": True, "name": unique("supervised"), "refresh_s": 0.05},
        reports={"retention_days": 30, "retention_poll_s": 0.05},
        contacts={"store_s": 0.05},
        notify={"dispatch": True},
        auth={"revocation_poll_s": 0.05},
        safety={"repeat_check_s": 0.05},
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(postgres_server: PostgresServer, postgresql_template: str, pki: Pki) -> AsyncIterator[Whole]:
    """One for the tests of this file."""
    url = postgres_server.url(postgres_server.create_database(template=postgresql_template))
    vtn = VtnUnderTest(settings_of_all(url, pki.server()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "_EVERY_S", 0.05)
        await vtn.start()
        yield Whole(vtn, pki)
        await vtn.stop()


def broken(*_: object, **__: object) -> Any:
    """Fail as nobody expects."""
    raise RuntimeError("broken by a test")


class _Broken:
    """Something that was asked for and cannot be read."""

    __iter__ = broken


def work_of(server: VtnServer, service: str) -> object:
    """Return what does the work of a service."""
    (run,) = (one.run for one in server.services._services if one.name == service)
    return getattr(run, "__self__", None)


def break_(service: str, server: VtnServer, patch: pytest.MonkeyPatch) -> None:  # noqa: PLR0912 # one for each
    """Have the next turn of a service fail."""
    listener = server._revisions._listener
    match service:
        case "revocations":
            patch.setattr(server.clients, "read_revocations", broken)
        case "contacts":
            patch.setattr(server._contacts, "_store", broken)
        case "cancelled_transactions":
            patch.setattr(server._revisions, "_cancelled", [(None, 0.0)])
            server._revisions._is_in_doubt.set()
        case "websockets":
            websockets = server._websockets

            def once() -> Any:
                websockets._occupied.clear()  # nobody is there
                return broken()

            patch.setattr(websockets, "_follow", once)
            websockets._occupied.set()
        case "reads":
            patch.setattr(Reads, "store", broken)
            reads = work_of(server, service)
            assert isinstance(reads, Reads)
            reads.add(tables.programs, "p", reader="somebody")
        case "deliveries":
            patch.setattr(NotificationDispatcher, "_claim_due", broken)
        case "outbox":
            patch.setattr(OutboxUpkeep, "tidy", broken)
        case "listener":
            patch.setattr(listener, "_clock", broken)
        case "metrics":
            patch.setattr(server._metrics, "_sampled", [(0, 0.0, broken)])
        case "evaluations":
            server._evaluating(server.stores)._waiting.put_nowait(_Broken())  # type: ignore[arg-type] # a broken one on purpose
        case "retention":
            patch.setattr(ReportStore, "remove_before", broken)
        case "event_repeats":
            patch.setattr(RepeatStore, "any", broken)
        case "mdns":
            patch.setattr(Announcement, "refresh", broken)
        case "certificates":
            patch.setattr(server._tls, "_look", broken)


@pytest.mark.parametrize("service", ALL)
async def test_a_fault_in_any_service_of_the_server_is_seen_and_it_runs_again(whole: Whole, service: str) -> None:
    """Seen in the log, /ready and /metrics; requests are answered all the while."""
    server = whole.vtn.server
    assert server.services.names == ALL
    before = await whole.number(RESTARTS, service)
    with capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        break_(service, server, patch)
        await wait_until(lambda: service in server.services.failing, what=f"{service} fails")
        ready = json.loads(await whole.ask("/ready"))
    assert ready["status"] == "ready"

    async def runs_again() -> bool:  # one that was started while it was broken fails once more
        return server.services.is_running(service) and await whole.number(RUNNING, service) == 1

    await wait_until(runs_again, what=f"{service} runs")

    assert await whole.number(RESTARTS, service) > before
    told = [entry for entry in logs if entry.get("service") == service]
    if service in {"deliveries", "websockets"}:  # these log the fault of one turn and go on with the next
        assert "broken by a test" in str(told)
    elif service != "cancelled_transactions":
        assert told[0]["error"] == "RuntimeError: broken by a test"


@pytest.mark.parametrize("service", ALL)
async def test_any_service_of_the_server_that_somebody_cancels_runs_again(whole: Whole, service: str) -> None:
    """As a fault."""
    services = whole.vtn.server.services
    before = services.restarts[service]

    task_of(services, service).cancel()

    await wait_until(lambda: services.restarts[service] > before)
    await wait_until(lambda: services.is_running(service))
    assert await whole.number(RUNNING, service) == 1


async def test_changes_of_other_hosts_are_heard_again_after_a_fault_in_the_listener(whole: Whole) -> None:
    """Its thread is another one then; meanwhile nothing is answered from memory."""
    server = whole.vtn.server
    listener = server._revisions._listener
    assert isinstance(listener, PostgresListener)
    await wait_until(listener.is_current)
    thread = listener._thread
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listener, "_clock", broken)
        await wait_until(lambda: thread is not None and not thread.is_alive())
        assert not listener.hangs()
    await wait_until(lambda: listener._thread is not thread)
    await wait_until(listener.is_current)


async def test_ready_names_what_fails_and_is_unavailable_when_the_server_has_to_end(vtn: VtnUnderTest) -> None:
    """GEN-022: for the operator, and for the balancer."""
    server = vtn.server
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Services, "failing", ("retention",))
        assert (await vtn.ask("GET", f"{vtn.origin}/ready")).ok() == {"status": "ready", "failing": ["retention"]}
        patch.setattr(server.services, "_failure", ServiceFailed("the service 'x' failed"))
        answer = await vtn.ask("GET", f"{vtn.origin}/ready")
    assert answer.status == 503
    assert (await vtn.ask("GET", f"{vtn.origin}/ready")).ok() == {"status": "ready"}


async def test_a_server_whose_vital_service_keeps_failing_ends_in_order(migrated_url: str) -> None:
    """With an exit code that says so; the port is free then, and the last contacts are stored."""
    server = build(settings_for(migrated_url, auth={"revocation_poll_s": 0.01}))
    running_ = asyncio.create_task(server.run())
    await wait_until(lambda: server.services.is_running("revocations"))
    server._contacts.heard("somebody", "OpenADR 3.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vtn.services.Pauses.after", lambda *_: 0.0)
        patch.setattr(server._bearer, "refresh_keys", broken)
        with pytest.raises(ServiceFailed, match="revocations") as failed:
            await running_

    assert exit_code_of(failed.value) is Exit.UNEXPECTED
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    assert server._contacts._heard == {}


async def test_a_server_closes_everything_although_its_services_hang_and_its_parts_fail(
    postgres_server: PostgresServer, postgresql_template: str, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is named; port, database, counters and threads are given back."""
    gate, hanging = asyncio.Event(), set[str]()
    started, started_too = VtnServer._services, Deliveries.services

    def stubborn(server: VtnServer, *parts: Any) -> list[Service]:
        return [Service(service.name, partial(hang, service.name)) for service in started(server, *parts)]

    def stubborn_too(deliveries: Deliveries) -> list[Service]:
        return [Service(service.name, partial(hang, service.name)) for service in started_too(deliveries)]

    async def hang(name: str) -> None:
        try:
            hanging.add(name)
            await gate.wait()
        finally:
            await gate.wait()

    monkeypatch.setattr(VtnServer, "_services", stubborn)
    monkeypatch.setattr(Deliveries, "services", stubborn_too)
    monkeypatch.setattr("vtn.app._SERVICES_END_S", 0.05)
    database = postgres_server.create_database(template=postgresql_template)
    server = build(settings_of_all(postgres_server.url(database), pki.server()))
    await server.start()
    await wait_until(lambda: len(hanging) == len(ALL))
    tasks = [task_of(server.services, name) for name in ALL]
    server._contacts.heard("somebody", "OpenADR 3.1")
    runner = server._runner
    assert runner is not None
    cleanup = runner.cleanup

    async def clean_and_fail() -> None:
        await cleanup()
        broken()

    listener = server._revisions._listener
    assert isinstance(listener, PostgresListener)
    with capture_logs() as logs:
        server._closing.add("bad part", clean_and_fail)
        await server.stop()
        gate.set()
        await asyncio.wait(tasks)

    assert {entry.get("service") for entry in logs if "left behind" in entry["event"]} == {*ALL}
    assert [entry["part"] for entry in logs if "part" in entry] == ["bad part"]
    assert server._contacts._heard == {}
    assert listener._thread is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await wait_until(lambda: asyncio.to_thread(lambda: postgres_server.query(sessions, database=database) == "0"))
