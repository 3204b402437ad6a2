"""Evaluate events from the table of readings: what is read is enough, results are kept, and frozen ones stay."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.performance import EvaluationRequest
from openadr_profiles.v31 import Event, decode, encode
from tests.support.waiting import wait_until
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.performance.stored import DAY, HOUR, START, Row, StoredReadings, hours, usual_days
from vtn.access import Role, Scope
from vtn.evaluated_parts import MOST_STEPS_KEPT, EvaluatedParts
from vtn.evaluator import Evaluator
from vtn.performance.baselines import EvaluatedTime
from vtn.performance.calendar import Calendar
from vtn.performance.evaluation import NO_READINGS, evaluate
from vtn.performance.from_reports import Reported
from vtn.performance.kept import participant_row
from vtn.performance.methods import parsed
from vtn.performance.profile import MeteredEnergy
from vtn.store import tables
from vtn.store.performance.results import DRAFTS_KEPT, MOST_DRAFTS, SILENT_FOR, EvaluationRemoved
from vtn.store.stamps import stamp

PATH = "/performance/results"
QUIET = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Past = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="session")
async def stored(vtn: VtnUnderTest) -> StoredReadings:
    """The tables of readings, empty."""
    found = StoredReadings(vtn)
    await found.empty()
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def event(vtn: VtnUnderTest) -> Past:
    """An event of an hour in the past, that asks for 2 kW."""
    assert vtn.now() > START + DAY
    return await past_event(vtn.bl, await vtn.bl.program())


async def past_event(bl: Session, program: Any, at: datetime = START) -> Past:
    """Return an event of an hour."""
    found: Past = await bl.event(
        program,
        intervalPeriod={"start": at.isoformat(), "duration": "PT1H"},
        intervals=[{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-2]}]}],
    )
    return found


async def evaluated(caller: Session, event: Past, **members: Any) -> Past:
    """Have an event evaluated and return its result."""
    asked = (await caller.post(PATH, {"eventID": event["id"], "stepS": 3600} | members)).ok(201)

    async def done() -> bool:
        return (await caller.get(f"{PATH}/{asked['id']}")).ok()["state"] not in {"WAITING", "EVALUATING"}

    await wait_until(done, timeout_s=30, what="the result")
    found: Past = (await caller.get(f"{PATH}/{asked['id']}")).ok()
    return found


async def home(vtn: VtnUnderTest, stored: StoredReadings, event: Past, rows: list[Row], name: str = "") -> int:
    """Make a home with a meter, asked for 2 kW; return the number of its meter."""
    client = vtn.home()
    await vtn.bl.ven_for(client, **({"venName": name} if name else {}))
    number = await stored.meter(client.client_id)
    await stored.put(number, rows)
    await stored.ask(event["id"], client.client_id, 2.0)
    return number


async def test_a_result_has_curve_sums_and_participants(vtn: VtnUnderTest, stored: StoredReadings, event: Past) -> None:
    """3 kWh on ten days before, 1.5 in the event, 3 before it: 1.5 of 2 kWh, a factor of 0.75, 0.5 short."""
    await home(vtn, stored, event, usual_days(3.0) + hours({12: 3, 13: 3, 14: 3, 16: 1.5}), "a")
    await vtn.bl.ven_for(vtn.home(), venName="b")

    found = await evaluated(vtn.bl, event)

    assert (found["state"], found["vens"], found["vensDone"], found["method"]) == ("EVALUATED", 2, 2, "10-of-10")
    sums = found["sums"]
    assert (sums["deliveredKwh"], sums["requestedKwh"], sums["shortfallKwh"]) == (1.5, 2.0, 0.5)
    assert (sums["performance"], sums["participants"], sums["participantsKnown"], sums["gaps"]) == (0.75, 2, 1, 1)
    (step,) = sums["curve"]
    assert step["whole"]["deliveredKwh"] is None  # what one does not know, the sum of all does not
    assert (step["known"]["deliveredKwh"], step["known"]["baselineKwh"], step["participantsKnown"]) == (1.5, 3.0, 1)
    people = (await vtn.bl.get(f"{PATH}/{found['id']}/participants")).ok()
    by_name = {one["participant"]: one for one in people}
    assert (by_name["a meter"]["performance"], by_name["a meter"]["adjustment"]) == (0.75, 1.0)
    assert by_name["a meter"]["steps"][0] == {
        "start": "2026-05-15T16:00:00Z",
        "requestedKwh": 2.0,
        "baselineKwh": 3.0,
        "meteredKwh": 1.5,
        "deliveredKwh": 1.5,
        "shortfallKwh": 0.5,
        "deliveredKw": 1.5,
        "estimated": False,
    }
    assert (by_name["b"]["notes"], by_name["b"]["deliveredKwh"]) == ([NO_READINGS], None)
    rows = list(csv.DictReader(io.StringIO((await vtn.bl.get(f"{PATH}/{found['id']}/settlement")).raw.decode())))
    assert {(row["participant"], row["delivered_kwh"], row["inputs_sha256"]) for row in rows} == {
        ("a meter", "1.500", found["inputsSha256"]),
        ("b", "", found["inputsSha256"]),
    }


async def test_what_was_asked_without_an_end_ends_with_the_event_or_an_opt_out(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past
) -> None:
    """Of a VEN that said nothing more after its first status report; one had left after a quarter of an hour."""
    ids = {}
    for name in ("stayed", "left"):
        client = vtn.home()
        ids[name] = client.client_id
        await vtn.bl.ven_for(client, venName=name)
        number = await stored.meter(client.client_id)
        await stored.put(number, hours({16: 1.5}))
        await stored.ask(event["id"], client.client_id, 2.0, is_open=True)
    await stored.opt_out(event["id"], ids["left"], HOUR / 4)
    found = await evaluated(vtn.bl, event)
    people = (await vtn.bl.get(f"{PATH}/{found['id']}/participants")).ok()
    assert {one["clientID"]: one["requestedKwh"] for one in people} == {ids["stayed"]: 2.0, ids["left"]: 0.5}


async def test_days_with_other_events_are_not_averaged(vtn: VtnUnderTest, stored: StoredReadings, event: Past) -> None:
    """One cancelled in the middle was one until then; one cancelled before, or that only wants reports, is none."""
    program = {"id": event["programID"]}
    await past_event(vtn.bl, program, START - DAY)
    await cancel(vtn, await past_event(vtn.bl, program, START - 2 * DAY), telling_its_plan=False)
    at = START - 4 * DAY - HOUR
    await cancel(vtn, await past_event(vtn.bl, program, START - 4 * DAY), at=at)
    await cancel(vtn, await past_event(vtn.bl, program, START - 7 * DAY), at=START - 7 * DAY + HOUR / 2)
    only_reports = {"payloadType": "USAGE"}
    await vtn.bl.event(
        program,
        intervalPeriod={"start": (START - 3 * DAY).isoformat(), "duration": "PT1H"},
        intervals=[{"id": 0, "payloads": []}],
        reportDescriptors=[only_reports],
    )
    await home(vtn, stored, event, usual_days(3.0) + hours({16: 1.5}))

    found = await evaluated(vtn.bl, event, method="3-of-3")

    (one,) = (await vtn.bl.get(f"{PATH}/{found['id']}/participants")).ok()
    assert one["baselineDays"] == ["2026-05-07", "2026-05-11", "2026-05-12"]


async def cancel(vtn: VtnUnderTest, event: Past, *, telling_its_plan: bool = True, at: datetime | None = None) -> None:
    """Cancel an event as our console does, or as another client; with ``at`` as if it had been done then."""
    request = msgspec.json.decode(encode(cancelled(decode(msgspec.json.encode(event), Event))))
    if not telling_its_plan:
        request["intervals"] = event["intervals"]
    (await vtn.bl.put(f"/events/{event['id']}", request)).ok()
    if at is not None:
        async with vtn.server._database.write() as connection:
            of_it = update(tables.events).where(tables.events.c.id == event["id"])
            await connection.execute(of_it.values(cancelled_at=stamp(at)))


async def test_a_frozen_result_never_changes_and_a_correction_is_a_difference(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past
) -> None:
    """REPORT-006: who froze it and when is kept; what it would be now is another result."""
    before = usual_days(3.0) + hours({12: 3, 13: 3, 14: 3})
    meter = await home(vtn, stored, event, before + hours({16: 1.5}))
    await home(vtn, stored, event, before + hours({16: 1.0}))
    frozen = await evaluated(vtn.bl, event, freeze=True)
    people = (await vtn.bl.get(f"{PATH}/{frozen['id']}/participants")).ok()

    await stored.put(meter, before + hours({16: 2.5}))
    now = await evaluated(vtn.bl, event)

    assert (frozen["state"], frozen["frozenAt"] is not None) == ("FROZEN", True)
    assert frozen["frozenBy"].startswith("bl")
    assert (await vtn.bl.get(f"{PATH}/{frozen['id']}")).ok() == frozen
    assert (await vtn.bl.get(f"{PATH}/{frozen['id']}/participants")).ok() == people
    assert now["inputsSha256"] != frozen["inputsSha256"]
    (difference,) = (await vtn.bl.get(f"{PATH}/{frozen['id']}/differences", {"to": now["id"]})).ok()
    assert (difference["was"]["deliveredKwh"], difference["now"]["deliveredKwh"]) == (1.5, 0.5)
    assert "frozen" in (await vtn.bl.delete(f"{PATH}/{frozen['id']}")).problem(409)
    await vtn.bl.delete(f"/events/{event['id']}")
    assert (await vtn.bl.get(f"{PATH}/{frozen['id']}")).ok() == frozen


async def test_a_draft_can_be_frozen_and_a_frozen_one_again(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past
) -> None:
    """Prove that what was looked at is what is kept: the second freeze changes neither who nor when."""
    await home(vtn, stored, event, usual_days(3.0) + hours({16: 1.5}))
    draft = await evaluated(vtn.bl, event)
    first = (await vtn.bl.post(f"{PATH}/{draft['id']}/freeze", {})).ok()
    vtn.now.pass_(minutes=1)
    assert (await vtn.bl.post(f"{PATH}/{draft['id']}/freeze", {})).ok() == first
    assert first["inputsSha256"] == draft["inputsSha256"]
    assert [one["id"] for one in (await vtn.bl.get(PATH, {"frozen": "true", "eventID": event["id"]})).ok()] == [
        draft["id"]
    ]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"method": "best"}, "method: 'best': expected one of"),
        ({"stepS": 420}, "stepS: expected a length"),
        ({"stepS": 1}, "stepS"),
        ({"zone": "Europe/Nowhere"}, "zone: expected the name of a time zone"),
        ({"zone": "../../etc/passwd"}, "zone: expected the name of a time zone"),
        ({"holidays": ["christmas"]}, "holidays"),
        ({"eventID": "nothing"}, "eventID: there is no such event"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_by_name(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past, members: dict[str, Any], said: str
) -> None:
    """And nothing is written."""
    refusal = await vtn.bl.post(PATH, {"eventID": event["id"]} | members)
    assert said in refusal.problem(400)
    assert (await vtn.bl.get(PATH)).ok() == []


async def test_an_event_must_be_over(vtn: VtnUnderTest) -> None:
    """One of tomorrow, one without end, and one that was cancelled are refused."""
    program = await vtn.bl.program()
    later = await past_event(vtn.bl, program, vtn.now() + DAY)
    open_ = await vtn.bl.event(
        program,
        intervalPeriod={"start": START.isoformat()},
        intervals=[{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-2]}]}],
    )
    for one, said in ((later, "is over"), (open_, "has an end")):
        assert said in (await vtn.bl.post(PATH, {"eventID": one["id"]})).problem(400)


async def test_results_are_for_business_logic_and_changes_of_them_for_who_writes_events(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past
) -> None:
    """AUTH-039: a VEN sees nothing; who only reads neither evaluates, nor removes, nor freezes anything."""
    assert (await vtn.home().get(PATH)).status == 403
    assert (await vtn.nobody.get(PATH)).status == 401
    reader = vtn.caller(Role.BL, scopes=[Scope.READ_ALL])
    found = await evaluated(vtn.bl, event)
    assert (await reader.get(f"{PATH}/{found['id']}")).ok()["id"] == found["id"]
    assert (await reader.post(PATH, {"eventID": event["id"]})).status == 403
    assert (await reader.delete(f"{PATH}/{found['id']}")).status == 403
    assert (await reader.post(f"{PATH}/{found['id']}/freeze", {})).status == 403


async def test_drafts_are_kept_for_a_day_and_are_not_too_many(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past
) -> None:
    """Frozen results stay."""
    frozen = await evaluated(vtn.bl, event, freeze=True)
    await evaluated(vtn.bl, event)
    store = vtn.server.stores.performance if vtn.server.stores else None
    assert store is not None
    asked = {key: (await store.get(frozen["id"]))[key] for key in ASKED}
    for _ in range(MOST_DRAFTS - 1):
        await store.ask(asked, by="test")
    assert "not frozen" in (await vtn.bl.post(PATH, {"eventID": event["id"]})).problem(409)
    vtn.now.at += DRAFTS_KEPT + timedelta(minutes=1)
    now = await evaluated(vtn.bl, event)
    assert {one["id"] for one in (await vtn.bl.get(PATH)).ok()} == {frozen["id"], now["id"]}


async def test_an_evaluation_whose_result_is_removed_ends(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past
) -> None:
    """And one whose server is gone has failed."""
    store = vtn.server.stores.performance if vtn.server.stores else None
    assert store is not None
    frozen = await evaluated(vtn.bl, event, freeze=True)
    asked = {key: (await store.get(frozen["id"]))[key] for key in ASKED}
    id_ = await store.ask(asked, by="test")
    await store.begin(id_, 3)
    (await vtn.bl.delete(f"{PATH}/{id_}")).ok()
    row = {"result_id": id_, "position": 0, "client_id": "c", "resource": "r", "name": "n", "gaps": 0, "details": "{}"}
    with pytest.raises(EvaluationRemoved):
        await store.add(id_, [row], vens_done=1)
    lost = await store.ask(asked, by="test")
    vtn.now.at += SILENT_FOR + timedelta(minutes=1)
    found = (await vtn.bl.get(f"{PATH}/{lost}")).ok()
    assert (found["state"], "stopped" in found["trouble"]) == ("FAILED", True)
    assert "FAILED" in (await vtn.bl.get(f"{PATH}/{lost}/settlement")).problem(409)


async def test_a_meter_with_too_many_readings_fails_alone(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound what is read: meters are read one after the other then, and one that has too much is noted."""
    monkeypatch.setattr("vtn.evaluated_parts.MOST_READINGS", 100)
    await home(vtn, stored, event, usual_days(3.0) + hours({12: 3, 13: 3, 14: 3, 16: 1.5}), "a")
    await home(vtn, stored, event, usual_days(3.0) + hours({12: 3, 13: 3, 14: 3, 16: 1.0}), "b")
    minutes = [(START + number * MINUTE, MINUTE, 0.01, False) for number in range(-120, 60)]
    await home(vtn, stored, event, minutes, "c")
    found = await evaluated(vtn.bl, event)
    people = (await vtn.bl.get(f"{PATH}/{found['id']}/participants")).ok()
    by_name = {one["participant"]: (one["deliveredKwh"], one["notes"]) for one in people}
    assert by_name == {
        "a meter": (1.5, []),
        "b meter": (2.0, []),
        "c meter": (None, ["more than 100 readings"]),
    }


async def test_a_page_has_fewer_participants_where_they_have_many_steps(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at least; the walk goes on behind it, and ends with an empty page."""
    monkeypatch.setattr("vtn.api.performance_answers._MOST_STEPS", 1)
    for name in ("a", "b"):
        await home(vtn, stored, event, hours({16: 1.5}), name)
    path = f"{PATH}/{(await evaluated(vtn.bl, event))['id']}/participants"
    pages = [(await vtn.bl.get(path, {"skip": str(skip)})).ok() for skip in range(3)]
    assert [len(page) for page in pages] == [1, 1, 0]
    assert {page[0]["participant"] for page in pages[:2]} == {"a meter", "b meter"}


async def test_an_evaluation_that_would_be_too_large_fails_with_the_remedy(
    vtn: VtnUnderTest, stored: StoredReadings, event: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one is carried out."""
    assert MOST_STEPS_KEPT > 10_000 * 96
    monkeypatch.setattr("vtn.evaluated_parts.MOST_STEPS_KEPT", 1)
    await home(vtn, stored, event, hours({16: 1.5}))
    await home(vtn, stored, event, hours({16: 1.5}))
    found = await evaluated(vtn.bl, event)
    assert (found["state"], "choose a longer step" in found["trouble"]) == ("FAILED", True)
    monkeypatch.undo()
    assert (await evaluated(vtn.bl, event))["state"] == "EVALUATED"


ASKED = (
    "event_id",
    "event_name",
    "program_id",
    "starts_at",
    "ends_at",
    "method",
    "step_s",
    "zone",
    "holidays",
    "circuits",
)

MINUTE = timedelta(minutes=1)
KINDS = {
    "hours": [(hour * HOUR, HOUR) for hour in range(9, 21)],
    "quarters": [(9 * HOUR + number * 15 * MINUTE, 15 * MINUTE) for number in range(48)],
    "fives": [(11 * HOUR + number * 5 * MINUTE, 5 * MINUTE) for number in range(96)],
    "shifted": [(9 * HOUR + 5 * MINUTE + number * 15 * MINUTE, 15 * MINUTE) for number in range(46)],
    "day": [(0 * HOUR, DAY)],
    "long": [(10 * HOUR, 3 * HOUR), (13 * HOUR, 6 * HOUR)],
    "nothing": [],
}
days = st.lists(
    st.tuples(
        st.lists(st.sampled_from(sorted(KINDS)), max_size=2, unique=True),
        st.sets(st.integers(0, 60), max_size=2),
        st.integers(0, 9_999),
    ),
    min_size=9,
    max_size=9,
)


def rows_of(drawn: list[tuple[list[str], set[int], int]]) -> list[Row]:
    """Return the readings of the event's day and the days before, without those that are missing."""
    rows: list[Row] = []
    for back, (kinds, missing, seed) in enumerate(drawn):
        midnight = START.replace(hour=0) - back * DAY
        for kind in kinds:
            for number, (at, length) in enumerate(KINDS[kind]):
                if number not in missing:
                    kwh = ((seed + 7919 * number) % 5000) / 1000 + 0.1
                    rows.append((midnight + at, length, kwh, (seed + number) % 11 == 0))
    return rows


@QUIET
@given(
    drawn=st.lists(days, min_size=1, max_size=3),
    method=st.sampled_from(["3-of-4+mul:20%", "high-2-of-3+add", "mid-1-of-3", "meter-before-after", "10-of-10"]),
    step_s=st.sampled_from([300, 900, 3600]),
)
async def test_what_is_read_gives_the_same_as_all_readings(
    vtn: VtnUnderTest,
    drawn: list[list[tuple[list[str], set[int], int]]],
    method: str,
    step_s: int,
) -> None:
    """The windows that are read give what the rules give with every reading: with gaps, overlaps and any lengths."""
    stored = StoredReadings(vtn)
    await stored.empty()
    bl = vtn.bl
    event = await past_event(bl, await bl.program())
    of_all = Reported(defaultdict(list), defaultdict(list), defaultdict(list))
    client = vtn.home()
    await bl.ven_for(client)
    for number, each in enumerate(drawn):
        rows = rows_of(each)
        await stored.put(await stored.meter(client.client_id, f"m{number}"), rows)
        of_all.readings[client.client_id, f"m{number}"] = [
            MeteredEnergy(start, length, Decimal(repr(kwh)), estimated) for start, length, kwh, estimated in rows
        ]
    step = timedelta(seconds=step_s)
    expected = evaluate(
        EvaluatedTime(START, START + HOUR),
        of_all,
        [(client.client_id, f"m{number}") for number in range(len(drawn))],
        parsed(method),
        step=step,
        calendar=Calendar(UTC),
        event_days=(),
        name=lambda meter: meter[1],
    )

    server = vtn.server
    assert server.stores is not None
    asked = EvaluationRequest(event_id=event["id"], method=method, step_s=step_s)
    evaluator = Evaluator(server.stores.performance_inputs, server.stores.performance, vtn.now)
    found = await _evaluated(evaluator, asked)

    for row, result in zip(found, expected.participants, strict=True):
        assert _told(row) == _told(participant_row(result))
    await bl.delete(f"/events/{event['id']}")
    await bl.delete(f"/programs/{event['programID']}")
    vens = (await bl.get("/vens")).ok()
    for one in vens:
        await bl.delete(f"/vens/{one['id']}")


async def _evaluated(evaluator: Evaluator, request: EvaluationRequest) -> list[dict[str, Any]]:
    """Return the participants as the service would keep them, without keeping them."""
    asked = await evaluator.checked(request)
    part = EvaluatedParts(evaluator._inputs, asked, await evaluator._event_days(asked))
    reached = await evaluator._inputs.reached(asked.planned)
    return [row async for _, rows in part.each(reached) for row in rows]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row says, without its name and the notes that count what was looked at."""
    details = msgspec.json.decode(row["details"])
    kept = {key: row[key] for key in ("requested_wh", "delivered_wh", "shortfall_wh", "gaps")}
    return kept | {key: details[key] for key in ("days", "adjustment", "steps")}
