"""VENs of OpenADR 2.0b that see more events than they are told of, and what they are told after they register anew."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.telling import accept, at, levels, polled, told
from vtn.api.v20b import event_examination
from vtn.store.v20b.event_rows import DeliveryRow, IssueRow, OpenDelivery

MOST = 3


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little room, so that the tests are quick."""
    monkeypatch.setattr(event_examination, "MOST_EVENTS", MOST)


def of_gases(vtn: VtnUnderTest) -> dict[str, Any]:
    """Members of an event that has no form in 2.0b."""
    return {
        "intervalPeriod": {"start": at(vtn, 600), "duration": "PT30M"},
        "intervals": [{"id": 0, "payloads": [{"type": "GHG", "values": [1]}]}],
    }


@pytest.mark.parametrize("has_form", [True, False])
async def test_an_active_event_stays_whatever_is_issued_after_it(
    vtn20: VtnUnderTest, ven20: Enrol, has_form: bool
) -> None:
    """B-EVT-004, B-EVT-040: it is not cancelled for want of room."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    made = await bl.event(program, **levels(vtn20, 3, minutes=-5))
    await accept(ven, await polled(ven))
    for number in range(MOST + 2):
        vtn20.now.pass_(seconds=1)
        await bl.event(program, **(levels(vtn20, 1, minutes=100 + 40 * number) if has_form else of_gases(vtn20)))
    events = await polled(ven)
    assert (len(events), [event.status for event in events if event.id == made["id"]]) == (
        (MOST, ["active"]) if has_form else (0, [])
    )
    (same, *others) = told(await ven.request_events())
    assert (same.id, same.number, same.status) == (made["id"], 0, "active")
    assert {event.status for event in others} <= {"far"}


async def test_what_begins_first_is_told_first_and_the_rest_when_there_is_room(
    vtn20: VtnUnderTest, ven20: Enrol
) -> None:
    """B-EVT-002: an emergency is told although there is no more room; what is told stays, the rest is logged."""
    ven, bl = await ven20(vtn20), vtn20.bl
    program = await bl.program()
    far = [(await bl.event(program, **levels(vtn20, 1, minutes=100 + 40 * number)))["id"] for number in range(MOST + 1)]
    with capture_logs() as logs:
        assert [event.id for event in await polled(ven)] == far[:MOST]
    assert [line["untold"] for line in logs if "untold" in line] == [1]
    urgent = await bl.event(program, **levels(vtn20, 3, minutes=-5))
    events = await polled(ven)
    assert [(event.id, event.status) for event in events] == [
        (urgent["id"], "active"),
        *((event_id, "far") for event_id in far[:MOST]),
    ]
    await accept(ven, events)
    for event_id in (urgent["id"], far[0]):
        (await bl.delete(f"/events/{event_id}")).ok()
    live = [event.id for event in await polled(ven) if event.status != "cancelled"]
    assert live == far[1:]


@pytest.mark.parametrize(("is_visible", "statuses"), [(True, []), (False, [1])])
def test_an_event_that_was_not_looked_at_is_cancelled_only_if_it_is_not_visible(
    is_visible: bool, statuses: list[int]
) -> None:
    """B-EVT-040: however many events there are, what a VEN may see is not taken back."""
    at = "2026-06-01T12:00:00.000000Z"
    issue = IssueRow(
        event_id="e",
        issue=0,
        wire_id="e",
        program_id="p",
        state="LIVE",
        number=0,
        market_context="http://p",
        digest="d",
        event_modified_at=at,
        program_modified_at=at,
        created_at=at,
        changed_at=at,
        starts_at=at,
    )
    sent = DeliveryRow(
        ven_id="v",
        event_id="e",
        issue=0,
        registration_id="r",
        first_number=0,
        number=0,
        shown_number=0,
        is_closed=False,
        request_id="q",
        sent_at=at,
        sent_times=1,
    )
    found = event_examination.examined([], [OpenDelivery(issue, sent, True, is_visible)], "r", at)
    assert ([entry.number for entry in found.entries], found.over) == (statuses, ())


async def test_what_is_taken_back_while_a_ven_registers_anew_is_cancelled(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-EVT-004, B-EVT-016: it may have kept its events, so it is told until it confirms."""
    ven, bl = await ven20(vtn20), vtn20.bl
    made = await bl.event(await bl.program(), **levels(vtn20, 3, minutes=-5))
    await accept(ven, await polled(ven))
    (await bl.delete(f"/events/{made['id']}")).ok()
    for request_id in ("first", "second"):
        assert (await ven.create(request_id=request_id)).code == "200"
        (event,) = await polled(ven)
        assert (event.id, event.number, event.status) == (made["id"], 1, "cancelled")
        assert await polled(ven) == []
    await accept(ven, [event])
    assert (await ven.create(request_id="third")).code == "200"
    assert await polled(ven) == []
