"""What each object must have, may have, and may not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openadr_profiles.v31 import (
    BlResourceRequest,
    BlVenRequest,
    Event,
    EventRequest,
    Invalid,
    Program,
    ProgramRequest,
    Report,
    ReportRequest,
    Resource,
    Ven,
    VenResourceRequest,
    VenVenRequest,
    decode,
    encode,
)

PROGRAM = {"programName": "p"}
EVENT = {"programID": "p"}
REPORT: dict[str, Any] = {"eventID": "e", "clientName": "c", "resources": []}
VEN = {"objectType": "VEN_VEN_REQUEST", "venName": "v"}
BL_VEN = {"objectType": "BL_VEN_REQUEST", "clientID": "c", "venName": "v"}
RESOURCE = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "r", "venID": "v"}
BL_RESOURCE = {"objectType": "BL_RESOURCE_REQUEST", "clientID": "c", "resourceName": "r", "venID": "v"}

SMALLEST: list[tuple[type, dict[str, Any]]] = [
    (ProgramRequest, PROGRAM),
    (EventRequest, EVENT),
    (ReportRequest, REPORT),
    (VenVenRequest, VEN),
    (BlVenRequest, BL_VEN),
    (VenResourceRequest, RESOURCE),
    (BlResourceRequest, BL_RESOURCE),
]


UNDERSTOOD = {(VenResourceRequest, "venID"), (BlResourceRequest, "clientID")}
"""Members that the standard requires and whose value is known without them (COMPAT-030)."""


def payload(value: Any) -> dict[str, Any]:
    return {"type": "PRICE", "values": [value]}


def interval(**members: Any) -> dict[str, Any]:
    return {"id": 0, "payloads": [], **members}


def read(type_: type, document: Any) -> dict[str, Any]:
    """The document as it comes back."""
    answer: dict[str, Any] = json.loads(encode(decode(json.dumps(document), type_)))
    return answer


def refused(type_: type, document: Any) -> tuple[str, str]:
    """The member that is wrong, and what is wrong with it."""
    with pytest.raises(Invalid) as caught:
        decode(json.dumps(document), type_)
    return caught.value.member, caught.value.problem


@pytest.mark.parametrize(("type_", "document"), SMALLEST)
def test_required_members_are_enough(type_: type, document: dict[str, Any]) -> None:
    """OBJ-001, PROG-001, EVT-002, REPORT-001: and nothing is invented (COMPAT-047)."""
    assert read(type_, document) == document


@pytest.mark.parametrize(
    ("type_", "document", "member"),
    [
        (type_, {name: value for name, value in document.items() if name != member}, member)
        for type_, document in SMALLEST
        for member in document
        if member != "objectType" and (type_, member) not in UNDERSTOOD
    ]
    + [
        (EventRequest, EVENT | {"intervals": [{"payloads": []}]}, "intervals[0].id"),
        (EventRequest, EVENT | {"intervals": [interval(), {"id": 1}]}, "intervals[1].payloads"),
        (EventRequest, EVENT | {"intervals": [interval(payloads=[{"type": "A"}])]}, "intervals[0].payloads[0].values"),
        (EventRequest, EVENT | {"intervals": [interval(payloads=[{"values": []}])]}, "intervals[0].payloads[0].type"),
        (
            EventRequest,
            EVENT | {"intervals": [interval(payloads=[payload({"x": 1})])]},
            "intervals[0].payloads[0].values[0].y",
        ),
        (EventRequest, EVENT | {"reportDescriptors": [{"payLoadType": "USAGE"}]}, "reportDescriptors[0].payloadType"),
        (EventRequest, EVENT | {"payloadDescriptors": [{"units": "KWH"}]}, "payloadDescriptors[0].payloadType"),
        (ProgramRequest, PROGRAM | {"programDescriptions": [{}]}, "programDescriptions[0].URL"),
        (ReportRequest, REPORT | {"resources": [{"intervals": []}]}, "resources[0].resourceName"),
        (ReportRequest, REPORT | {"resources": [{"resourceName": "r"}]}, "resources[0].intervals"),
    ],
)  # fmt: skip
def test_missing_required_member_is_named(type_: type, document: dict[str, Any], member: str) -> None:
    """OBJ-001, GEN-015, PROG-005, EVT-004, EVT-007, EVT-017, REPORT-010, OBJ-011."""
    assert refused(type_, document) == (member, "required, but missing")


@pytest.mark.parametrize(
    ("type_", "document", "member"),
    [(type_, document, member) for type_, document in SMALLEST for member in document if member != "objectType"],
)
@pytest.mark.parametrize("value", [None, 7, True, {}])
def test_wrongly_typed_required_member_is_named(type_: type, document: dict[str, Any], member: str, value: Any) -> None:
    """GEN-015: null, too, unless the member may be left out."""
    if value is None and (type_, member) in UNDERSTOOD:
        assert member not in read(type_, document | {member: None})
        return
    name, problem = refused(type_, document | {member: value})

    assert name == member
    assert problem.startswith("expected ")
    assert ", got " in problem


@pytest.mark.parametrize(
    ("type_", "document", "optional"),
    [
        (
            ProgramRequest,
            PROGRAM,
            ["intervalPeriod", "programDescriptions", "payloadDescriptors", "attributes", "targets"],
        ),
        (
            EventRequest,
            EVENT,
            [
                "eventName",
                "duration",
                "priority",
                "targets",
                "reportDescriptors",
                "payloadDescriptors",
                "intervalPeriod",
                "intervals",
            ],
        ),
        (ReportRequest, REPORT, ["reportName", "payloadDescriptors"]),
        (VenVenRequest, VEN, ["attributes"]),
        (BlVenRequest, BL_VEN, ["attributes", "targets"]),
        (VenResourceRequest, RESOURCE, ["attributes"]),
        (BlResourceRequest, BL_RESOURCE, ["attributes", "targets"]),
    ],
)
def test_null_means_absent_wherever_a_member_may_be_left_out(
    type_: type, document: dict[str, Any], optional: list[str]
) -> None:
    """GEN-014, GEN-018: also where the schema does not list null; and null is not written back."""
    assert read(type_, document | dict.fromkeys(optional)) == document


def test_null_means_absent_inside_too() -> None:
    """GEN-014."""
    descriptor = dict.fromkeys(
        [
            "readingType", "units", "targets", "aggregate", "startInterval", "numIntervals", "historical", "frequency",
            "repeat", "reportIntervals",
        ]
    )  # fmt: skip
    event = EVENT | {
        "intervalPeriod": {"start": None, "duration": None, "randomizeStart": None},
        "payloadDescriptors": [{"payloadType": "PRICE", "objectType": None, "units": None, "currency": None}],
        "reportDescriptors": [{"payloadType": "USAGE", **descriptor}],
        "intervals": [interval(intervalPeriod=None)],
    }

    assert read(EventRequest, event) == EVENT | {
        "intervalPeriod": {},
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE"}],
        "reportDescriptors": [{"payloadType": "USAGE"}],
        "intervals": [interval()],
    }


@pytest.mark.parametrize(("type_", "document"), SMALLEST)
def test_unknown_members_and_those_of_the_vtn_are_ignored(type_: type, document: dict[str, Any]) -> None:
    """GEN-011, GEN-013: whatever their type."""
    more = {"id": 5, "createdDateTime": [], "modificationDateTime": {"x": None}, "programRevision": 1, "": ""}
    if "objectType" not in document:
        more["objectType"] = 17

    assert read(type_, document | more) == document


def test_unknown_members_are_ignored_at_every_level() -> None:
    """GEN-011, REPORT-011: payload descriptors inside a resource are such."""
    report = REPORT | {
        "programID": "p",
        "resources": [
            {
                "resourceName": "r",
                "payloadDescriptors": [{"payloadType": 5}],
                "intervals": [interval(payloads=[payload({"x": 1, "y": 2, "z": 3}) | {"unit": "EUR"}], note="n")],
            }
        ],
    }

    assert read(ReportRequest, report)["resources"] == [
        {"resourceName": "r", "intervals": [interval(payloads=[payload({"x": 1, "y": 2})])]}
    ]


NAMES = [
    (ProgramRequest, PROGRAM, "programName"),
    (ReportRequest, REPORT, "clientName"),
    (VenVenRequest, VEN, "venName"),
    (BlVenRequest, BL_VEN, "clientID"),
    (BlResourceRequest, BL_RESOURCE, "resourceName"),
]


@pytest.mark.parametrize(("type_", "document", "member"), NAMES)
@pytest.mark.parametrize("letter", ["x", "é", "家", "🔌"])
def test_names_are_one_to_128_code_points(type_: type, document: dict[str, Any], member: str, letter: str) -> None:
    """OBJ-002."""
    assert read(type_, document | {member: letter * 128})[member] == letter * 128
    expectation = "expected a string of 1 to 128 characters"
    assert refused(type_, document | {member: letter * 129}) == (member, f"too long; {expectation}")
    assert refused(type_, document | {member: ""}) == (member, f"too short; {expectation}")


@pytest.mark.parametrize("value", ["a b", "a/b", "é", "a\n", "a.b", "x" * 129, ""])
@pytest.mark.parametrize(
    ("type_", "document", "member"), [(EventRequest, EVENT, "programID"), (ReportRequest, REPORT, "eventID")]
)
def test_object_ids_are_url_safe(type_: type, document: dict[str, Any], member: str, value: str) -> None:
    """OBJ-001: and the refusal says which letters there are."""
    name, problem = refused(type_, document | {member: value})

    assert name == member
    assert problem.endswith("expected 1 to 128 letters, digits, - or _")
    assert read(type_, document | {member: "aZ09_-"})[member] == "aZ09_-"


@pytest.mark.parametrize(
    ("type_", "document", "path"),
    [
        (EventRequest, EVENT, "eventName"),
        (ReportRequest, REPORT, "reportName"),
    ],
)
def test_texts_without_a_limit_of_their_own_are_capped(type_: type, document: dict[str, Any], path: str) -> None:
    """OBJ-007."""
    assert (
        read(
            type_,
            document
            | {
                path: "x" * 4096,
            },
        )[path]
        == "x" * 4096
    )
    assert refused(type_, document | {path: "x" * 4097}) == (
        path,
        "too long; expected a string of 0 to 4096 characters",
    )


def test_currency_is_any_text() -> None:
    """OBJ-004, ENUM-012: capped, not checked."""
    kind = {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE"}
    descriptors = [kind | {"currency": text} for text in ("EUR", "XYZ", "", "beans")]
    event = EVENT | {"payloadDescriptors": descriptors}

    assert read(EventRequest, event) == event
    assert refused(EventRequest, EVENT | {"payloadDescriptors": [{"payloadType": "PRICE", "currency": "x" * 4097}]})


@pytest.mark.parametrize(
    ("document", "member", "allowed"),
    [
        (
            {"payloadDescriptors": [{"payloadType": "P", "objectType": "REPORT_PAYLOAD_DESCRIPTOR"}]},
            "payloadDescriptors[0].objectType",
            "EVENT_PAYLOAD_DESCRIPTOR",
        ),
        (
            {"reportDescriptors": [{"payloadType": "P", "reportIntervals": "intervals"}]},
            "reportDescriptors[0].reportIntervals",
            "INTERVALS, OPEN_INTERVALS or SUB_INTERVALS",
        ),
    ],
)
def test_closed_sets_are_closed(document: dict[str, Any], member: str, allowed: str) -> None:
    """OBJ-003: the refusal lists what is allowed."""
    name, problem = refused(EventRequest, EVENT | document)

    assert (name, problem.split("; ")[1]) == (member, f"expected {allowed}")


def test_program_descriptor_of_an_unknown_kind_is_refused() -> None:
    """OBJ-003."""
    name, problem = refused(ProgramRequest, PROGRAM | {"payloadDescriptors": [{"payloadType": "P", "objectType": "X"}]})

    assert name == "payloadDescriptors[0].objectType"
    assert problem == "'X' is not allowed; expected EVENT_PAYLOAD_DESCRIPTOR or REPORT_PAYLOAD_DESCRIPTOR"


@pytest.mark.parametrize("word", ["PRICE", "MY_OWN", "x", "家", "with blanks, and commas"])
def test_semantic_words_are_open(word: str) -> None:
    """OBJ-004, ENUM-017: private strings survive unchanged."""
    event = EVENT | {
        "intervals": [interval(payloads=[{"type": word, "values": ["v"]}])],
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": word, "units": word, "currency": word}
        ],
        "reportDescriptors": [{"payloadType": word, "units": word, "readingType": word}],
        "targets": [word],
    }

    assert read(EventRequest, event) == event


def test_values_are_not_judged() -> None:
    """OBJ-005: a SIMPLE of 99, a PRICE of text and an empty list of values are the clients' to judge."""
    event = EVENT | {
        "intervals": [
            interval(payloads=[{"type": "SIMPLE", "values": [99]}, payload("cheap"), {"type": "PRICE", "values": []}])
        ]
    }

    assert read(EventRequest, event) == event


@pytest.mark.parametrize("value", [None, [1], {}, {"x": 1}, {"x": "1", "y": 2}, {"x": None, "y": 2}])
def test_what_is_no_value_is_refused(value: Any) -> None:
    """OBJ-011: a point needs both numbers; lists and null are no values."""
    member, _ = refused(EventRequest, EVENT | {"intervals": [interval(payloads=[payload(value)])]})

    assert member.startswith("intervals[0].payloads[0].values[0]")


@pytest.mark.parametrize("targets", [["a", "b", "a"], ["a", "b"]])
@pytest.mark.parametrize(
    ("type_", "document"),
    [(ProgramRequest, PROGRAM), (EventRequest, EVENT), (BlVenRequest, BL_VEN), (BlResourceRequest, BL_RESOURCE)],
)
def test_targets_are_kept_once_in_their_order(type_: type, document: dict[str, Any], targets: list[str]) -> None:
    """OBJ-010."""
    assert read(type_, document | {"targets": targets})["targets"] == ["a", "b"]
    assert "targets" not in read(type_, document | {"targets": []})


@pytest.mark.parametrize("target", ["", "x" * 129, 7, None, ["a"]])
def test_wrong_target_is_named_by_its_place(target: Any) -> None:
    """OBJ-001, COMPAT-055."""
    name, problem = refused(EventRequest, EVENT | {"targets": ["fine", target]})

    assert name == "targets[1]"
    assert "expected a string of 1 to 128 characters" in problem


def test_private_target_texts_are_kept() -> None:
    """OBJ-004: any text of 1 to 128 characters, commas and blanks included."""
    targets = ["group:north", "a,b", " ", "家", "x" * 128]

    assert read(EventRequest, EVENT | {"targets": targets})["targets"] == targets


@pytest.mark.parametrize("url", ["https://example.com/x?y=%20", "mailto:a@b.c", "urn:x:y", "ftp://x"])
def test_program_description_may_be_any_absolute_uri(url: str) -> None:
    """OBJ-012."""
    program = PROGRAM | {"programDescriptions": [{"URL": url}]}
    assert read(ProgramRequest, program) == program


@pytest.mark.parametrize(
    "url", ["www.example.com/x", "/x", "//example.com/x", "", "https:", "1http://x", "a b:c", "http://a b"]
)
def test_program_description_without_scheme_is_refused(url: str) -> None:
    """OBJ-012."""
    name, problem = refused(ProgramRequest, PROGRAM | {"programDescriptions": [{"URL": url}]})

    assert name == "programDescriptions[0].URL"
    assert problem.endswith("expected an absolute URI such as https://example.com/page")


@pytest.mark.parametrize("priority", [-1, 1.5, "1", True])
def test_priority_is_a_natural_number(priority: Any) -> None:
    """EVT-006."""
    name, problem = refused(EventRequest, EVENT | {"priority": priority})

    assert name == "priority"
    assert "expected an integer of 0 or more" in problem
    assert read(EventRequest, EVENT | {"priority": 0})["priority"] == 0


@pytest.mark.parametrize("number", [-(2**31) - 1, 2**31, 0.5, "1", None])
def test_interval_id_is_an_int32(number: Any) -> None:
    """OBJ-001, EVT-007."""
    name, problem = refused(EventRequest, EVENT | {"intervals": [interval(id=number)]})

    assert name == "intervals[0].id"
    assert "expected an integer from -2147483648 to 2147483647" in problem


def test_interval_ids_are_the_clients_own() -> None:
    """EVT-008, EVT-009: duplicates, negatives and any order come back unchanged; so do empty lists (EVT-007)."""
    event = EVENT | {"intervals": [interval(id=number) for number in (5, 5, -3, 2**31 - 1, -(2**31))]}

    assert read(EventRequest, event) == event
    assert read(EventRequest, EVENT | {"intervals": []}) == EVENT | {"intervals": []}


@pytest.mark.parametrize("confidence", [-1, 101, 50.5])
def test_confidence_is_a_percentage(confidence: Any) -> None:
    """OBJ-001."""
    report = REPORT | {"payloadDescriptors": [{"payloadType": "USAGE", "confidence": confidence}]}
    name, problem = refused(ReportRequest, report)

    assert name == "payloadDescriptors[0].confidence"
    assert "expected an integer from 0 to 100" in problem


@pytest.mark.parametrize("accuracy", [1, 1.0, 0.1, -2, 1e-7])
def test_accuracy_keeps_its_kind(accuracy: float) -> None:
    """COMPAT-052."""
    report = REPORT | {"payloadDescriptors": [{"payloadType": "USAGE", "accuracy": accuracy}]}

    assert repr(read(ReportRequest, report)["payloadDescriptors"][0]["accuracy"]) == repr(accuracy)


@pytest.mark.parametrize(
    "member", ["startInterval", "numIntervals", "frequency", "repeat", "aggregate", "historical", "readingType"]
)
def test_wrongly_typed_report_request_is_named(member: str) -> None:
    """OBJ-001."""
    name, _ = refused(EventRequest, EVENT | {"reportDescriptors": [{"payloadType": "USAGE", member: ["x"]}]})

    assert name == f"reportDescriptors[0].{member}"


@pytest.mark.parametrize("member", ["duration", "start", "randomizeStart"])
@pytest.mark.parametrize("value", ["soon", "", 5, [], "P0S"])
def test_malformed_time_is_named_wherever_it_is(member: str, value: Any) -> None:
    """EVT-015, TIME-002, TIME-006."""
    name, problem = refused(EventRequest, EVENT | {"intervals": [interval(intervalPeriod={member: value})]})

    assert name == f"intervals[0].intervalPeriod.{member}"
    assert "such as" in problem


def test_impossible_order_of_times_is_accepted() -> None:
    """EVT-016: overlapping, gapped and past intervals, and periods without anything."""
    event = EVENT | {
        "intervals": [
            interval(intervalPeriod={"start": "2030-01-01T00:00:00Z", "duration": "P1D"}),
            interval(intervalPeriod={"start": "1970-01-01T00:00:00Z"}),
            interval(intervalPeriod={}),
        ]
    }

    assert read(EventRequest, event) == event


# --- descriptors and variants -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("descriptor", "kind"),
    [
        ({"payloadType": "PRICE"}, "EVENT_PAYLOAD_DESCRIPTOR"),
        ({"payloadType": "MY_OWN"}, "EVENT_PAYLOAD_DESCRIPTOR"),
        ({"payloadType": "USAGE"}, "REPORT_PAYLOAD_DESCRIPTOR"),
        ({"payloadType": "MY_OWN", "readingType": "MEAN"}, "REPORT_PAYLOAD_DESCRIPTOR"),
        ({"payloadType": "MY_OWN", "accuracy": 0.5}, "REPORT_PAYLOAD_DESCRIPTOR"),
        ({"payloadType": "MY_OWN", "confidence": 0}, "REPORT_PAYLOAD_DESCRIPTOR"),
        ({"payloadType": "USAGE", "objectType": "EVENT_PAYLOAD_DESCRIPTOR"}, "EVENT_PAYLOAD_DESCRIPTOR"),
    ],
)
def test_kind_of_a_program_descriptor_is_added_if_it_is_not_said(descriptor: dict[str, Any], kind: str) -> None:
    """R-30, COMPAT-053."""
    (read_back,) = read(ProgramRequest, PROGRAM | {"payloadDescriptors": [descriptor]})["payloadDescriptors"]

    assert read_back == descriptor | {"objectType": kind}


def test_kinds_of_descriptors_are_mixed_in_their_order() -> None:
    """PROG-006, PROG-007."""
    descriptors = [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE", "units": "KWH", "currency": "USD"},
        {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "readingType": "MEAN", "confidence": 90},
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "GHG"},
    ]

    assert read(ProgramRequest, PROGRAM | {"payloadDescriptors": descriptors})["payloadDescriptors"] == descriptors


def test_kind_of_a_descriptor_of_events_and_reports_is_added_if_it_is_not_said() -> None:
    """R-30, COMPAT-053: the schema requires the member, so an answer has it; null is absence (GEN-014)."""
    price = {"payloadType": "PRICE"}
    usage = {"payloadType": "USAGE"}
    event = read(EventRequest, EVENT | {"payloadDescriptors": [price, price | {"objectType": None}]})
    report = read(ReportRequest, REPORT | {"payloadDescriptors": [usage]})

    assert event["payloadDescriptors"] == [price | {"objectType": "EVENT_PAYLOAD_DESCRIPTOR"}] * 2
    assert report["payloadDescriptors"] == [usage | {"objectType": "REPORT_PAYLOAD_DESCRIPTOR"}]


@pytest.mark.parametrize(
    ("type_", "own", "other"),
    [
        (VenVenRequest, VEN, "BL_VEN_REQUEST"),
        (BlVenRequest, BL_VEN, "VEN_VEN_REQUEST"),
        (VenResourceRequest, RESOURCE, "BL_RESOURCE_REQUEST"),
        (BlResourceRequest, BL_RESOURCE, "VEN_RESOURCE_REQUEST"),
    ],
)
def test_request_of_the_other_role_is_refused(type_: type, own: dict[str, Any], other: str) -> None:
    """OBJ-003, R-19: an absent type is understood (COMPAT-029)."""
    assert refused(type_, own | {"objectType": other})[0] == "objectType"
    assert refused(type_, own | {"objectType": "ven"})[0] == "objectType"
    del (implicit := dict(own))["objectType"]
    assert read(type_, implicit) == own


def test_ven_does_not_write_its_own_targets() -> None:
    """VEN-007: they are ignored, like any member it may not write."""
    assert read(VenVenRequest, VEN | {"targets": ["a"], "clientID": "other"}) == VEN
    assert read(VenResourceRequest, RESOURCE | {"targets": ["a"], "clientID": "other"}) == RESOURCE


# --- stored objects ---------------------------------------------------------------------------------------------------

METADATA = {
    "id": "id-1",
    "createdDateTime": "2025-01-01T00:00:00Z",
    "modificationDateTime": "2025-01-02T00:00:00Z",
}
STORED: list[tuple[type, dict[str, Any]]] = [
    (Program, PROGRAM | METADATA | {"objectType": "PROGRAM"}),
    (Event, EVENT | METADATA | {"objectType": "EVENT"}),
    (Report, REPORT | METADATA | {"objectType": "REPORT", "clientID": "c"}),
    (Ven, METADATA | {"objectType": "VEN", "clientID": "c", "venName": "v"}),
    (Resource, METADATA | {"objectType": "RESOURCE", "clientID": "c", "resourceName": "r", "venID": "v"}),
]


@pytest.mark.parametrize(("type_", "document"), STORED)
def test_stored_object_has_its_metadata(type_: type, document: dict[str, Any]) -> None:
    """GEN-018, COMPAT-042, COMPAT-048: id, both moments and objectType are always written."""
    assert read(type_, document) == document


@pytest.mark.parametrize(("type_", "document"), STORED)
@pytest.mark.parametrize("word", ["BL_VEN_REQUEST", "VEN_RESOURCE_REQUEST", "SOMETHING", ""])
def test_any_word_for_a_stored_object_is_understood(type_: type, document: dict[str, Any], word: str) -> None:
    """R-21: other servers say other words, or none."""
    decode(json.dumps(document | {"objectType": word}), type_)
    del (silent := dict(document))["objectType"]
    decode(json.dumps(silent), type_)


@pytest.mark.parametrize("member", ["createdDateTime", "modificationDateTime"])
@pytest.mark.parametrize("value", ["2025-01-01T00:00:00", "2025-01-01", "yesterday", None, 5])
def test_moment_of_a_stored_object_is_aware(member: str, value: Any) -> None:
    """GEN-019: what has no offset would fail later, when it is compared."""
    name, problem = refused(Event, EVENT | METADATA | {member: value})

    assert name == member
    assert "expected an RFC 3339 instant with offset such as" in problem


def test_moment_with_a_blank_is_understood() -> None:
    """VENCLIENT-018: some servers write it so."""
    assert read(Event, EVENT | METADATA | {"createdDateTime": "2025-01-01 00:00:00Z"})["createdDateTime"] == (
        "2025-01-01T00:00:00Z"
    )


@pytest.mark.parametrize(
    ("request_type", "stored_type", "document"),
    [
        (ProgramRequest, Program, PROGRAM),
        (EventRequest, Event, EVENT),
        (ReportRequest, Report, REPORT | {"clientID": "c"}),
    ],
)
def test_object_that_was_read_can_be_put_back(request_type: type, stored_type: type, document: dict[str, Any]) -> None:
    """OBJ-013."""
    stored = read(stored_type, document | METADATA | {"objectType": "X"})

    assert read(request_type, stored) == {name: value for name, value in document.items() if name != "clientID"}
