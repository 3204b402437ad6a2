"""Validation of documents, for every collection (GEN, OBJ)."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vtn.harness import Session, VtnUnderTest, unique
from vtn.access import Role, Scope

COLLECTIONS = ("programs", "events", "reports", "vens", "resources")
every_collection = pytest.mark.parametrize("collection", COLLECTIONS)
METADATA = {"id", "createdDateTime", "modificationDateTime", "objectType"}


@dataclass(frozen=True)
class Bench:
    """A caller who may write everything, and a full document of every collection."""

    caller: Session
    documents: dict[str, dict[str, Any]]

    def document(self, collection: str, **members: Any) -> dict[str, Any]:
        """A fresh document with a name of its own."""
        document = copy.deepcopy(self.documents[collection])
        for name in ("programName", "venName", "resourceName", "clientID"):
            if name in document:
                document[name] = unique(name)
        return document | members

    async def make(self, collection: str, **members: Any) -> Any:
        """Post one."""
        return (await self.caller.post(f"/{collection}", self.document(collection, **members))).ok(201)


async def a_bench(vtn: VtnUnderTest) -> Bench:
    """Full documents: every optional member is there, with values that must survive exactly."""
    caller = vtn.caller(Role.BL, scopes=set(Scope))
    program = await caller.program()
    event = await caller.event(program)
    ven = await caller.ven_for(vtn.home())
    curve = {"type": "CURVE", "values": [{"x": 0.17, "y": 1}, {"x": 2.0, "y": -3e-7}]}
    values = {"type": "PRICE", "values": [0.17, 1, 2.0, -5, True, False, "ä€😀", 123456789012345678]}
    period = {"start": "2026-06-01T12:00:00+02:00", "duration": "PT1H", "randomizeStart": "-PT5M"}
    intervals = [
        {"id": 7, "intervalPeriod": period, "payloads": [curve, values]},
        {"id": 7, "payloads": []},
        {"id": -1, "payloads": [values]},
    ]
    event_descriptor = {
        "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
        "payloadType": "PRICE",
        "units": "KWH",
        "currency": "USD",
    }
    report_descriptor = {
        "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
        "payloadType": "USAGE",
        "readingType": "DIRECT_READ",
        "units": "KWH",
        "accuracy": 0.5,
        "confidence": 100,
    }
    attributes = [{"type": "LOCATION", "values": [{"x": 1, "y": 2}]}, {"type": "own words", "values": ["a,b"]}]
    return Bench(
        caller,
        {
            "programs": {
                "programName": "x",
                "intervalPeriod": period,
                "programDescriptions": [{"URL": "https://example.com/a"}],
                "payloadDescriptors": [report_descriptor, event_descriptor],
                "attributes": attributes,
                "targets": ["b", "a"],
            },
            "events": {
                "programID": program["id"],
                "eventName": "name",
                "duration": "P1DT2H",
                "priority": 0,
                "targets": ["b", "a"],
                "reportDescriptors": [
                    {
                        "payloadType": "USAGE",
                        "readingType": "MEAN",
                        "units": "KWH",
                        "targets": ["z"],
                        "aggregate": False,
                        "startInterval": -1,
                        "numIntervals": -1,
                        "historical": True,
                        "frequency": -1,
                        "repeat": 1,
                        "reportIntervals": "SUB_INTERVALS",
                    }
                ],
                "payloadDescriptors": [event_descriptor],
                "intervalPeriod": {"start": "0001-01-01T00:00:00", "duration": "P9999Y"},
                "intervals": intervals,
            },
            "reports": {
                "eventID": event["id"],
                "clientName": "meter",
                "reportName": "name",
                "payloadDescriptors": [report_descriptor],
                "resources": [{"resourceName": "r", "intervalPeriod": period, "intervals": intervals}],
            },
            "vens": {
                "objectType": "BL_VEN_REQUEST",
                "clientID": "x",
                "venName": "x",
                "attributes": attributes,
                "targets": ["b", "a"],
            },
            "resources": {
                "objectType": "BL_RESOURCE_REQUEST",
                "clientID": "x",
                "venID": ven["id"],
                "resourceName": "x",
                "attributes": attributes,
                "targets": ["b", "a"],
            },
        },
    )


REQUIRED = [
    ("programs", "programName"),
    ("programs", "programDescriptions[0].URL"),
    ("programs", "payloadDescriptors[0].payloadType"),
    ("programs", "attributes[0].type"),
    ("programs", "attributes[0].values"),
    ("events", "programID"),
    ("events", "intervals[0].id"),
    ("events", "intervals[0].payloads"),
    ("events", "intervals[0].payloads[0].type"),
    ("events", "intervals[0].payloads[0].values"),
    ("events", "intervals[0].payloads[0].values[0].x"),
    ("events", "intervals[0].payloads[0].values[0].y"),
    ("events", "reportDescriptors[0].payloadType"),
    ("events", "payloadDescriptors[0].payloadType"),
    ("reports", "eventID"),
    ("reports", "clientName"),
    ("reports", "resources"),
    ("reports", "resources[0].resourceName"),
    ("reports", "resources[0].intervals"),
    ("reports", "resources[0].intervals[0].id"),
    ("vens", "clientID"),
    ("vens", "venName"),
    ("resources", "venID"),
    ("resources", "resourceName"),
]

ODD: tuple[Any, ...] = (None, [1], {"x": 1}, {"x": "1", "y": 1})
NO_TARGETS: tuple[Any, ...] = ("a", {"a": 1}, [1])
NO_INTERVALS: tuple[Any, ...] = ({}, "x", [5])

WRONG: list[tuple[str, str, Any]] = [
    *(
        (collection, name, value)
        for collection, name in (
            ("programs", "programName"),
            ("vens", "venName"),
            ("vens", "clientID"),
            ("resources", "resourceName"),
            ("resources", "clientID"),
            ("reports", "clientName"),
            ("reports", "resources[0].resourceName"),
            ("events", "intervals[0].payloads[0].type"),
            ("events", "targets[0]"),
            ("programs", "targets[0]"),
            ("vens", "targets[0]"),
            ("resources", "targets[0]"),
        )
        for value in ("", "ä" * 129, 5, True, ["x"])
    ),
    *(("events", "programID", value) for value in ("", "no id", "ä", "i" * 129, 5)),
    *(("reports", "eventID", value) for value in ("", "no id", 5)),
    *(("resources", "venID", value) for value in ("", "no id", 5)),
    *(("programs", "programDescriptions[0].URL", value) for value in ("www.example.com/x", "", "/x", 5, "x")),
    *(("events", "priority", value) for value in (-1, 1.5, "1", True)),
    *(("events", "intervals[0].id", value) for value in ("0", 0.5, 2**31, True)),
    *(
        ("events", name, value)
        for name in ("duration", "intervalPeriod.duration", "intervals[0].intervalPeriod.randomizeStart")
        for value in ("", "P", "PT", "P0S", "PT1.5H", "P1H", "P1W2D", "1H", "pt1h", " PT1H", 3600)
    ),
    *(
        ("events", name, value)
        for name in ("intervalPeriod.start", "intervals[0].intervalPeriod.start")
        for value in ("", "2026-06-01", "2026-06-01T12:00:00", "0000-00-00", "2026-02-30T00:00:00Z", "soon", 5)
    ),
    *(("events", "targets", value) for value in NO_TARGETS),
    *(("events", "intervals", value) for value in NO_INTERVALS),
    *(("events", "eventName", value) for value in (5, "n" * 4097)),
    *(("events", "payloadDescriptors[0].currency", value) for value in (5, "c" * 4097)),
    *(("events", "intervals[0].payloads[0].values[0]", value) for value in ODD),
    *(("events", "reportDescriptors[0].reportIntervals", value) for value in ("ALL", "intervals")),
    *(("events", "reportDescriptors[0].aggregate", value) for value in ("false", 0)),
    *(("events", "reportDescriptors[0].frequency", value) for value in ("1", 1.5, 2**31)),
    *(("reports", "payloadDescriptors[0].confidence", value) for value in (-1, 101, 0.5)),
    *(("reports", "payloadDescriptors[0].accuracy", value) for value in ("1", True)),
    ("reports", "reportName", "n" * 4097),
    ("events", "payloadDescriptors[0].objectType", "REPORT_PAYLOAD_DESCRIPTOR"),
    ("reports", "payloadDescriptors[0].objectType", "EVENT_PAYLOAD_DESCRIPTOR"),
    ("programs", "payloadDescriptors[0].objectType", "PAYLOAD_DESCRIPTOR"),
    ("vens", "objectType", "RESOURCE"),
    ("vens", "objectType", 5),
    ("resources", "objectType", "VEN_VEN_REQUEST"),
    ("vens", "venName", "nul\0"),
]


@pytest.mark.parametrize(("collection", "member"), REQUIRED, ids=lambda value: value)
async def test_a_required_member_that_is_missing_or_null_is_refused(
    vtn: VtnUnderTest, collection: str, member: str
) -> None:
    """OBJ-001, GEN-015, PROBLEM-005: the answer names the member; nothing is stored."""
    bench = await a_bench(vtn)
    before = (await bench.caller.get(f"/{collection}")).raw

    for change in (without, lambda document, path: put_in(document, path, None)):
        detail = (await bench.caller.post(f"/{collection}", change(bench.document(collection), member))).problem(400)
        assert detail.startswith(named(member)), detail

    assert (await bench.caller.get(f"/{collection}")).raw == before


@pytest.mark.parametrize(("collection", "member", "value"), WRONG, ids=lambda value: repr(value)[:40])
async def test_a_value_outside_the_limits_is_refused(
    vtn: VtnUnderTest, collection: str, member: str, value: object
) -> None:
    """OBJ-001 … OBJ-003, OBJ-007, OBJ-011, OBJ-012, EVT-006, EVT-007, EVT-015, EVT-017, VEN-008: by POST and by PUT."""
    bench = await a_bench(vtn)
    document = put_in(bench.document(collection), member, value)

    detail = (await bench.caller.post(f"/{collection}", document)).problem(400)
    assert detail.startswith(named(member)) or "NUL" in detail, detail

    present = await bench.make(collection)
    (await bench.caller.put(f"/{collection}/{present['id']}", document)).problem(400)
    assert (await bench.caller.get(f"/{collection}/{present['id']}")).ok() == present


@every_collection
async def test_a_full_document_comes_back_exactly(vtn: VtnUnderTest, collection: str) -> None:
    """GEN-017, TIME-003, COMPAT-047, COMPAT-051, COMPAT-052, PROG-006, PROG-007, EVT-008, EVT-009, VEN-002, RES-002."""
    bench = await a_bench(vtn)
    document = bench.document(collection)

    made = (await bench.caller.post(f"/{collection}", document)).ok(201)

    document.pop("objectType", None)
    assert _exact({name: made[name] for name in document}) == _exact(document)
    assert set(made) - set(document) == METADATA | ({"clientID"} if collection == "reports" else set())
    assert made["objectType"] == collection.upper().removesuffix("S")
    assert (await bench.caller.get(f"/{collection}/{made['id']}")).ok() == made
    assert made in (await bench.caller.get(f"/{collection}")).ok()


@every_collection
async def test_what_is_read_can_be_written_unchanged(vtn: VtnUnderTest, collection: str) -> None:
    """OBJ-013, GEN-013, GEN-016: metadata in a body is ignored; only the date of modification moves, and it does."""
    bench = await a_bench(vtn)
    made = await bench.make(collection)

    replaced = (await bench.caller.put(f"/{collection}/{made['id']}", made)).ok()

    assert replaced["modificationDateTime"] > made["modificationDateTime"]
    assert replaced["createdDateTime"] == made["createdDateTime"]
    changed = {"modificationDateTime": ""}
    assert replaced | changed == made | changed
    assert (await bench.caller.get(f"/{collection}/{made['id']}")).ok() == replaced


@every_collection
async def test_metadata_in_a_body_is_ignored_whatever_its_type(vtn: VtnUnderTest, collection: str) -> None:
    """GEN-011, GEN-013, COMPAT-028: so are members that the schema does not know, at every depth."""
    bench = await a_bench(vtn)
    junk: dict[str, Any] = {"id": 5, "createdDateTime": None, "modificationDateTime": ["x"], "unknown": {"a": [None]}}
    if collection not in {"vens", "resources"}:
        junk["objectType"] = {"wrong": "type"}
    document = bench.document(collection)
    for value in list(document.values()):
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value[0]["surprise"] = 1

    made = (await bench.caller.post(f"/{collection}", document | junk)).ok(201)

    assert len(made["id"]) == 36
    assert "surprise" not in json.dumps(made)
    assert "unknown" not in made


@every_collection
async def test_null_is_absence(vtn: VtnUnderTest, collection: str) -> None:
    """GEN-014, COMPAT-027, COMPAT-046, GEN-018: null is accepted for every optional member, and never given out."""
    bench = await a_bench(vtn)
    required = {"programName", "programID", "eventID", "clientName", "resources", "clientID", "venName", "resourceName"}
    document = bench.document(collection)
    sparse = {name: value if name in required | {"venID"} else None for name, value in document.items()}

    made = (await bench.caller.post(f"/{collection}", sparse)).ok(201)

    assert None not in made.values()
    always: dict[str, Any] = {"targets": []} if collection != "reports" else {}
    always |= {"intervals": []} if collection == "events" else {}
    expected = {name: value for name, value in sparse.items() if value is not None} | always
    assert {name: value for name, value in made.items() if name not in METADATA | {"clientID"}} == {
        name: value for name, value in expected.items() if name != "clientID"
    }


@every_collection
async def test_an_object_is_replaced_as_a_whole(vtn: VtnUnderTest, collection: str) -> None:
    """GEN-016, PROG-009, VEN-011: what the new document leaves out is gone."""
    bench = await a_bench(vtn)
    made = await bench.make(collection)
    optional = {"intervalPeriod", "programDescriptions", "payloadDescriptors", "attributes", "targets", "eventName"}
    optional |= {"duration", "priority", "reportDescriptors", "intervals", "reportName"}
    document = {name: value for name, value in bench.document(collection).items() if name not in optional}

    vtn.now.pass_(seconds=1)
    replaced = (await bench.caller.put(f"/{collection}/{made['id']}", document)).ok()

    assert optional & set(replaced) <= {"targets", "intervals"}
    assert not replaced.get("targets")
    assert not replaced.get("intervals")
    assert replaced["modificationDateTime"] > replaced["createdDateTime"] == made["createdDateTime"]


@every_collection
@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"5", b'"x"', b"null", b"\xff\xfe", b'{"a":NaN}', b'{"programName":Infinity}', b"[" * 100_000],
    ids=lambda raw: repr(raw[:20]),
)
async def test_a_body_that_is_no_json_object_is_refused(vtn: VtnUnderTest, collection: str, raw: bytes) -> None:
    """GEN-005, GEN-017: on POST and on PUT."""
    bench = await a_bench(vtn)
    present = await bench.make(collection)

    (await bench.caller.ask("POST", f"/{collection}", raw=raw)).problem(400)
    (await bench.caller.ask("PUT", f"/{collection}/{present['id']}", raw=raw)).problem(400)

    assert (await bench.caller.get(f"/{collection}/{present['id']}")).ok() == present


@every_collection
async def test_whether_an_object_exists_is_settled_before_its_new_document_is_judged(
    vtn: VtnUnderTest, collection: str
) -> None:
    """GEN-009, RES-014: 404 before 400 and before 415."""
    bench = await a_bench(vtn)

    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = await bench.caller.ask("PUT", f"/{collection}/unknown", raw=b"{", headers=headers)
        answer.problem(404)


@every_collection
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("object_id", ["a%20b", "%C3%A4", "a.b", "i" * 129, "a%2Fb", "%00"])
async def test_an_impossible_id_is_refused(vtn: VtnUnderTest, collection: str, method: str, object_id: str) -> None:
    """OBJ-009."""
    bench = await a_bench(vtn)

    url = f"{vtn.base_url}/{collection}/{object_id}"
    answer = await vtn.ask(method, url, json=bench.document(collection), headers=bench.caller.headers)

    answer.problem(400)


@every_collection
async def test_a_deleted_object_is_gone_at_once(vtn: VtnUnderTest, collection: str) -> None:
    """OBJ-015, MATRIX-004, PROG-013, COMPAT-040, COMPAT-044: the answer is the object as it was."""
    bench = await a_bench(vtn)
    made = await bench.make(collection)

    vtn.now.pass_(seconds=1)
    assert (await bench.caller.delete(f"/{collection}/{made['id']}")).ok() == made

    (await bench.caller.delete(f"/{collection}/{made['id']}")).problem(404)
    (await bench.caller.get(f"/{collection}/{made['id']}")).problem(404)
    assert made["id"] not in await bench.caller.ids(f"/{collection}")


@every_collection
async def test_names_of_128_characters_are_counted_in_characters(vtn: VtnUnderTest, collection: str) -> None:
    """OBJ-002: not in bytes."""
    bench = await a_bench(vtn)
    name = {"programs": "programName", "reports": "clientName", "vens": "venName", "resources": "resourceName"}
    if collection == "events":
        made = await bench.make(collection, targets=["😀" * 128])
        assert made["targets"] == ["😀" * 128]
    else:
        made = await bench.make(collection, **{name[collection]: "😀" * 128})
        assert made[name[collection]] == "😀" * 128


@pytest.mark.parametrize("collection", ["programs", "events", "vens", "resources"])
async def test_targets_are_a_set_in_the_order_given(vtn: VtnUnderTest, collection: str) -> None:
    """OBJ-010, COMPAT-045: repeated targets count once; none, null and an empty list are the same."""
    bench = await a_bench(vtn)

    assert (await bench.make(collection, targets=["b", "a", "b", "a", "c"]))["targets"] == ["b", "a", "c"]
    assert (await bench.make(collection, targets=[]))["targets"] == []
    strange = ["a,b", 'quote " and \\', "{}", "NULL", " ", "ä€😀", "%"]
    assert (await bench.make(collection, targets=strange))["targets"] == strange


@every_collection
async def test_dates_are_utc_with_letters(vtn: VtnUnderTest, collection: str) -> None:
    """GEN-019, COMPAT-044, COMPAT-043."""
    bench = await a_bench(vtn)
    made = await bench.make(collection)

    for name in ("createdDateTime", "modificationDateTime"):
        assert made[name][10] == "T"
        assert made[name].endswith("Z")
        assert len(made[name]) == 27


def _exact(value: object) -> str:
    """JSON text, in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def named(member: str) -> str:
    """Return a member's name in an error message: up to the list if the value's own position has no name."""
    return member.partition(".values")[0].removesuffix("[0]")


def put_in(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The document with another value at a path such as `intervals[0].id`."""
    parent, last = _parent(document, path)
    parent[last] = value
    return document


def without(document: dict[str, Any], path: str) -> dict[str, Any]:
    """The document without a member."""
    parent, last = _parent(document, path)
    del parent[last]
    return document


def _parent(document: Any, path: str) -> tuple[Any, Any]:
    steps: list[Any] = []
    for part in path.split("."):
        name, _, index = part.partition("[")
        steps.append(name)
        if index:
            steps.append(int(index.removesuffix("]")))
    for step in steps[:-1]:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.setdefault(step, {})
        else:
            document = document[step]
    return document, steps[-1]


async def test_numbers_come_back_with_the_text_they_came_with(vtn: VtnUnderTest) -> None:
    """GEN-017: in every kind of object, also in the view of a VEN that does not see all of an event's descriptors."""
    numbers = b'0.10,1e3,0.12345678901234567890,12345678901234567890,-0,1.0,{"x":2.50,"y":1E-7}'
    payload = b'{"type":"USAGE","values":[' + numbers + b"]}"
    home = vtn.home()
    ven = await vtn.bl.ven_for(home, ["a"])
    bodies = {"/programs": b'{"programName":"P","attributes":[%s]}' % payload}
    program = (await vtn.bl.ask("POST", "/programs", raw=bodies["/programs"])).ok(201)
    bodies["/events"] = (
        b'{"programID":"%s","reportDescriptors":[{"payloadType":"USAGE","targets":["a"]},'
        b'{"payloadType":"USAGE","targets":["b"]}],"intervals":[{"id":0,"payloads":[%s]}]}'
    ) % (program["id"].encode(), payload)
    event = (await vtn.bl.ask("POST", "/events", raw=bodies["/events"])).ok(201)
    bodies["/reports"] = (
        b'{"eventID":"%s","clientName":"c","payloadDescriptors":[{"payloadType":"USAGE","accuracy":0.50}],'
        b'"resources":[{"resourceName":"r","intervals":[{"id":0,"payloads":[%s]}]}]}'
    ) % (event["id"].encode(), payload)
    report = (await home.ask("POST", "/reports", raw=bodies["/reports"])).ok(201)

    assert report["payloadDescriptors"][0]["accuracy"] == 0.5
    for path, reader in (
        (f"/programs/{program['id']}", vtn.bl),
        (f"/events/{event['id']}", vtn.bl),
        (f"/events/{event['id']}", home),
        (f"/reports/{report['id']}", home),
    ):
        assert payload in (await reader.get(path)).raw
    assert b'"accuracy":0.50' in (await home.get(f"/reports/{report['id']}")).raw
    assert b'["b"]' not in (await home.get(f"/events/{event['id']}")).raw
    put = (await vtn.bl.ask("PUT", f"/vens/{ven['id']}", raw=(
        b'{"clientID":"%s","venName":"V","attributes":[%s]}' % (home.client_id.encode(), payload)
    ))).raw  # fmt: skip
    assert payload in put
