"""The scenario that a VEN is examined with: long lists, trouble while it reads, and events that ask for reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from oadr_conformance.ven31.heard import HeardRecord
from oadr_conformance.ven31.pace import ScenarioPace
from oadr_conformance.ven31.server import LabVtn, PlannedTrouble
from oadr_conformance.wire import Obj

PAYLOAD: Final = "USAGE"
UNITS: Final = "KWH"
READING: Final = "DIRECT_READ"
FIRST_ID: Final = 4
"""Id of the first interval of an event; that of the second is one more than twice that."""
NOBODY: Final = "conformance-nobody"
REFUSED_REPORT: Final = "a refused report"
TROUBLES: Final = ("two answers 500", "a broken body", "429 and Retry-After", "503 and Retry-After")

_FILLERS: Final = 54
_WITHDRAWALS: Final = 3
_FILLER: Final = "conformance-filler"
_NOTE: Final = {"conformanceNote": {"to be": ["ignored"]}}
_DAY: Final = timedelta(days=1)

Tell = Callable[[str], None]


async def play(vtn: LabVtn, pace: ScenarioPace, tell: Tell) -> bool:
    """Play the scenario, to its end or until the VEN falls silent; return False if no VEN appears."""
    record = vtn.record
    _fill(vtn)
    vtn.record.mark("start")
    if not await record.until(lambda: bool(record.requests), pace.wait_s):
        return False
    record.mark("appeared")
    tell("the VEN is there: it reads programs and events")
    await record.until(lambda: bool(record.reads), pace.recovery_s)
    record.mark("calm")
    if record.reads:
        first = record.reads[0].at
        await record.until(lambda: _reads_since(record, first) >= 2 and _paged(record), 4 * pace.poll_s + 1)
    if not record.read_since(record.marks["appeared"] - 1):
        tell("the VEN reads no events: the rest is not played")
        return True
    if not await _trouble(vtn, pace, tell):
        tell("the VEN asks nothing any more: the rest is not played")
        return True
    record.mark("events")
    await _events(vtn, pace, tell)
    record.mark("end")
    return True


def _reads_since(record: HeardRecord, moment: float) -> int:
    return sum(one.at > moment for one in record.reads)


def _paged(record: HeardRecord) -> bool:
    return any(one.skip > 0 for one in record.of("GET", "/events"))


def _fill(vtn: LabVtn) -> None:
    """Put so much into the VTN that lists have two pages, with members and words that no VEN knows."""
    for number in range(_FILLERS):
        vtn.put("programs", {"programName": f"{_FILLER}-{number}", **_NOTE})
    program = vtn.put("programs", {"programName": "conformance-program", **_NOTE})
    start = _text(datetime.now(UTC) + _DAY)
    for number in range(_FILLERS):
        payloads = [{"type": "CONFORMANCE_UNKNOWN", "values": [number]}]
        period = {"start": start, "duration": "PT1H"}
        body = {"programID": program["id"], "eventName": f"{_FILLER}-{number}", "intervalPeriod": period}
        vtn.put("events", {**body, "intervals": [{"id": 0, "payloads": payloads, **_NOTE}], **_NOTE})


async def _trouble(vtn: LabVtn, pace: ScenarioPace, tell: Tell) -> bool:
    """Answer reads of events wrongly, one way after the other, and wait each time until the VEN reads again.

    Returns False if it falls silent.
    """
    plans: dict[str, list[dict[str, Any]]] = {
        TROUBLES[0]: [{"status": 500, "body": "<h1>Internal error</h1>"}] * 2,
        TROUBLES[1]: [{"status": 200, "body": '[{"id": "', "content_type": "application/json"}],
        TROUBLES[2]: [{"status": 429, "body": "later", "pause_s": pace.pause_s}],
        TROUBLES[3]: [{"status": 503, "body": "later", "pause_s": pace.pause_s}],
    }
    record = vtn.record
    for name, answers in plans.items():
        tell(f"the VEN gets {name}")
        vtn.troubles.extend(PlannedTrouble(name, **answer) for answer in answers)
        pause_s = sum(answer.get("pause_s", 0) for answer in answers)
        if not await _reads_after(name, vtn, pause_s + pace.recovery_s):
            return False
        vtn.troubles.clear()
    tell("its token is withdrawn")
    for _ in range(_WITHDRAWALS):  # it may just have been about to renew it
        record.mark("revoked")
        vtn.revoke()
        await record.until(lambda: record.read_since(record.marks["revoked"]), pace.recovery_s)
        if any(one.token == "revoked" for one in record.requests):
            break
    return _asked_since(record, record.marks["revoked"])


async def _reads_after(trouble: str, vtn: LabVtn, timeout_s: float) -> bool:
    """Wait until events are read again after some trouble; return False if nothing is asked any more."""
    record, begin = vtn.record, time.monotonic()
    if await record.until(lambda: not vtn.troubles and record.read_after(trouble), timeout_s):
        return True
    last = [one.at for one in record.requests if one.fault == trouble]
    return _asked_since(record, last[-1] if last else begin)


def _asked_since(record: HeardRecord, moment: float) -> bool:
    return any(one.at > moment for one in record.requests)


async def _events(vtn: LabVtn, pace: ScenarioPace, tell: Tell) -> None:
    """Make events that ask for reports, delete one of them, and wait for the reports."""
    record = vtn.record
    tell(f"events begin in {pace.lead_s} s and last {2 * pace.part_s} s")
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=pace.lead_s)
    begins = time.monotonic() + (start - datetime.now(UTC)).total_seconds()
    vtn.troubles.append(PlannedTrouble(REFUSED_REPORT, 503, "later", pause_s=1, on="POST /reports"))
    asks: dict[str, Obj] = {
        "each resource": {},
        "aggregate": {"aggregate": True},
        "for others": {"targets": [NOBODY]},
        "deleted": {},
    }
    program = list(vtn.store["programs"])[-1]
    for name, ask in asks.items():
        descriptor = {"payloadType": PAYLOAD, "readingType": READING, "units": UNITS, **ask, **_NOTE}
        record.events[name] = vtn.put("events", _event(program, name, start, pace.part_s, descriptor))
        record.ends[name] = begins + 2 * pace.part_s
    await record.until(lambda: False, begins - time.monotonic())
    record.mark("deleted")
    vtn.delete("events", record.events["deleted"]["id"])
    await record.until(lambda: False, begins + 2 * pace.part_s - time.monotonic())
    tell("the events are over: reports are due")
    wanted = ("each resource", "aggregate")
    arrived = await record.until(
        lambda: all(record.reports_about(name, PAYLOAD) for name in wanted), pace.poll_s + pace.patience_s
    )
    if arrived:  # what comes twice, or should not come, comes a little later
        await record.until(lambda: False, pace.poll_s + 1)


def _event(program_id: str, name: str, start: datetime, part_s: int, descriptor: Obj) -> Obj:
    payloads = [{"type": "SIMPLE", "values": [1]}, {"type": "CONFORMANCE_UNKNOWN", "values": ["to be ignored"]}]
    return {
        "programID": program_id,
        "eventName": f"conformance-{name.replace(' ', '-')}",
        "intervalPeriod": {"start": _text(start), "duration": f"PT{part_s}S"},
        "reportDescriptors": [descriptor],
        "intervals": [{"id": id_, "payloads": payloads} for id_ in interval_ids()],
        **_NOTE,
    }


def interval_ids() -> tuple[int, int]:
    """Return the ids of the two intervals of each event of the scenario."""
    return FIRST_ID, 2 * FIRST_ID + 1


def _text(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
