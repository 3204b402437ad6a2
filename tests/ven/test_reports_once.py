"""Each report arrives once, whatever breaks."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_client.client import VtnClient
from openadr_client.clock import ManualClock
from openadr_client.errors import Forbidden, Unreachable
from openadr_profiles.v31 import (
    Problem,
    ReportDescriptor,
    ReportRequest,
    encode,
)
from tests.ven.builders import START
from tests.ven.conftest import StartHome
from tests.ven.home import Home, Town
from tests.ven.report_words import asking
from ven.reports.sender import ReportSender
from ven.store import StateFile
from ven.store.reports import ReportRecords

Break = Callable[[pytest.MonkeyPatch], None]


def lose_the_answer(patch: pytest.MonkeyPatch) -> None:
    """The report arrives, but the connection breaks before its answer does."""
    create = VtnClient.__init__

    def init(self: VtnClient, **members: Any) -> None:
        create(self, **members)
        really = self.reports.put
        failed: list[bool] = []

        async def once(request: ReportRequest, id_: str | None = None) -> str:
            made = await really(request, id_)
            if not failed and id_ is None:
                failed.append(True)
                raise Unreachable("the connection broke")
            return made

        patch.setattr(self.reports, "put", once)

    patch.setattr(VtnClient, "__init__", init)


def die_before_recording(patch: pytest.MonkeyPatch) -> None:
    """The report arrives, but the process is killed before it can write that down."""

    async def never(self: ReportRecords, *_: Any) -> None:
        raise Unreachable("as if killed")

    patch.setattr(ReportRecords, "mark_sent", never)


@pytest.mark.parametrize("break_", [lose_the_answer, die_before_recording])
async def test_every_report_arrives_exactly_once(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch, break_: Break
) -> None:
    home: Home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE")))
    await home.until(START + timedelta(minutes=55))
    await home.kill()
    with monkeypatch.context() as patch:
        break_(patch)
        await home.start()
        await home.until(START + timedelta(minutes=60, seconds=1))
        assert len(await town.reports(event)) == 1
        await home.kill()
    await home.start()
    await home.pass_(minutes=20)
    assert len(await town.reports(event)) == 1
    assert len(await town.opts(event)) == 1
    assert len(await town.status(event)) == 1


class FlakyReports:
    """Stands for `client.reports`: each call works, fails before arriving, or loses its answer, as told."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = plan
        self.stored: dict[str, ReportRequest] = {}

    async def _call(self, act: Callable[[], Any]) -> Any:
        how = self.plan.pop(0) if self.plan else "works"
        if how == "fails":
            raise Unreachable("no connection")
        answer = act()
        if how == "loses":
            raise Unreachable("no answer")
        return answer

    async def put(self, request: ReportRequest, id_: str | None = None) -> Any:
        def store() -> str:
            stored_id = id_ or f"r{len(self.stored)}"
            self.stored[stored_id] = request
            return stored_id

        return await self._call(store)

    async def ids_by_name(self, **_: Any) -> Any:
        return await self._call(lambda: {each.report_name: id_ for id_, each in self.stored.items()})


class Picky(FlakyReports):
    """Refuses every report of one event."""

    def __init__(self) -> None:
        super().__init__([])
        self.refused = 0

    async def put(self, request: ReportRequest, id_: str | None = None) -> Any:
        if request.event_id == "bad":
            self.refused += 1
            raise Forbidden("no", problem=Problem(status=403))
        return await super().put(request, id_)


async def test_refused_reports_keep_no_other_from_being_sent(tmp_path: Path) -> None:
    """A hundred of them kept all others waiting for hours."""
    clock = ManualClock(START)
    client = FlakyClient([])
    client.reports = picky = Picky()
    async with StateFile(tmp_path / "ven.sqlite3", now=START) as store:

        def add(name: str, event_id: str) -> None:
            report = ReportRequest(event_id=event_id, client_name="home", report_name=name, resources=())
            moved = {"d": clock.now()}
            store.reports.add({name: encode(report)}, event_id, cursors=moved, expires_at=None, may_exist=False)

        for number in range(120):
            add(f"report-bad-{number}", "bad")
            assert await store.journal.flush()
        add("report-good", "good")
        assert await store.journal.flush()
        sender = ReportSender(store=store, client=cast(VtnClient, client), clock=clock)
        await sender.send_all()
        await sender.send_all()
        assert [each.report_name for each in picky.stored.values()] == ["report-good"]
        assert picky.refused == 120
        for _ in range(10 * 60):
            await clock.advance(60)
            await sender.send_all()
        assert picky.refused == 120 * 6, "each is tried five times more, over some hours"
        assert await store.reports.unsent() == []


class FlakyClient:
    def __init__(self, plan: list[str]) -> None:
        self.reports = FlakyReports(plan)


@given(
    st.lists(st.sampled_from(["works", "fails", "loses"]), max_size=25),
    st.lists(st.sampled_from(["a", "b", "c", "send", "die"]), max_size=20),
)
@settings(max_examples=50, deadline=None)
def test_newest_revision_arrives_once_whatever_breaks(plan: list[str], doings: list[str]) -> None:
    """Reports put, sent, lost and interrupted in any order: in the end the VTN has each name once, as last written."""

    async def run() -> None:
        client = FlakyClient(plan)
        written: dict[str, ReportRequest] = {}
        with TemporaryDirectory() as folder:
            path = Path(folder) / "ven.sqlite3"
            for number, life in enumerate(_lives(doings)):
                async with StateFile(path, now=START) as store:
                    clock = ManualClock(START)
                    outbox = ReportSender(store=store, client=cast(VtnClient, client), clock=clock)
                    for doing in life:
                        if doing == "send":
                            await clock.advance(900)  # what failed before is not left alone any longer
                            with suppress(Unreachable):
                                await outbox.send_all()
                        elif doing == "die":
                            with suppress(Unreachable), pytest.MonkeyPatch.context() as patch:
                                die_before_recording(patch)
                                await outbox.send_all()
                        else:
                            report = ReportRequest(
                                event_id="e", client_name=str(number), report_name=doing, resources=()
                            )
                            written[doing] = report
                            store.reports.put(doing, "e", encode(report), expires_at=None, may_exist=False)
                            assert await store.journal.flush()
        arrived = sorted(client.reports.stored.values(), key=lambda report: report.report_name or "")
        assert arrived == [written[name] for name in sorted(written)]

    asyncio.run(run())


def _lives(doings: list[str]) -> list[list[str]]:
    """Prove it for processes one after the other: each `die` ends one; the last goes on until everything is sent."""
    lives: list[list[str]] = [[]]
    for doing in doings:
        lives[-1].append(doing)
        if doing == "die":
            lives.append([])
    lives[-1] += ["send"] * 30
    return lives
