"""Documents in and out: what cannot be read says why, what can be read comes back as it was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.v31 import (
    BlVenRequest,
    Event,
    EventRequest,
    Invalid,
    ProgramRequest,
    ReportRequest,
    SubscriptionRequest,
    VenVenRequest,
    decode,
    encode,
)
from openadr_profiles.v31.codec import depth
from tests.profiles.v31.strategies import events


def valued(values: str) -> str:
    """An event whose one payload has these values, as JSON text."""
    return f'{{"programID":"p","intervals":[{{"id":0,"payloads":[{{"type":"X","values":[{values}]}}]}}]}}'


def problem(document: str | bytes, type_: Any = EventRequest) -> str:
    with pytest.raises(Invalid) as caught:
        decode(document, type_)
    return str(caught.value)


# --- unreadable -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "empty; expected a JSON document"),
        (" \n", "empty; expected a JSON document"),
        ("{", "not readable JSON: it ends too early"),
        ('{"programID":"p"', "not readable JSON: it ends too early"),
        ('{"programID":"p"}}', "not readable JSON: trailing characters (byte 18)"),
        ("{'programID':'p'}", "not readable JSON: object keys must be strings (byte 1)"),
        ("programID=p", "not readable JSON: invalid character (byte 0)"),
        (b'{"programID":"\xff"}', "not readable JSON: it is not UTF-8"),
        ("\ud800", "not readable JSON: it is not UTF-8"),
        ("[]", "expected an object with programID, got a list"),
        ("null", "expected an object with programID, got null"),
        ('"programID"', "expected an object with programID, got a string"),
        ("17", "expected an object with programID, got an integer"),
    ],
)
def test_document_that_is_none_says_why(document: str | bytes, said: str) -> None:
    """GEN-005, PROBLEM-005: in words of the document, not of the decoder."""
    assert problem(document) == said


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "nan", "+1", "01", ".5", "1.", "0x10", "undefined"])
def test_what_is_no_json_value_is_refused(token: str) -> None:
    """GEN-017."""
    assert problem(valued(token)).startswith("not readable JSON: ")


def test_number_without_bounds_is_refused() -> None:
    """GEN-017: what a number cannot hold would not come back."""
    assert problem(valued("1e999")).startswith("intervals[0].payloads[0].values[0]: out of range; expected a number")
    assert problem(valued("9" * 100_000)).startswith("intervals[0].payloads[0].values[0]: out of range")


@pytest.mark.parametrize("inner", ['{"x":' * 100_000 + "1" + "}" * 100_000, "[" * 100_000 + "]" * 100_000])
def test_depth_is_bounded(inner: str) -> None:
    """GEN-005: a document made to exhaust the reader is refused like any other, also in a member that is ignored."""
    assert problem(f'{{"programID":"p","extension":{inner}}}') == "not readable JSON: it is nested too deeply"


@given(st.integers(1_001, 3_000), st.text(max_size=20))
def test_depth_counts_what_is_outside_of_strings(levels: int, inside: str) -> None:
    """GEN-005: brackets in a string are no levels, however it is written."""
    strings = json.dumps([inside, '[[\\"[{', "]\\\\"])
    assert depth("[" * levels + strings + "]" * levels) == levels + 1
    assert depth("[" + "[]," * levels + strings + "]") == 2


def test_last_of_equal_members_counts() -> None:
    """GEN-005: JSON leaves it open; this is what most readers do."""
    assert decode('{"programID":"p","programID":"q"}', EventRequest).program_id == "q"


def test_refused_value_is_shown_shortened() -> None:
    """PROBLEM-005: and cannot pretend to be another member."""
    kind = "x - at `$.programID`" + "y" * 10_000
    said = problem(json.dumps({"programID": "p", "payloadDescriptors": [{"payloadType": "P", "objectType": kind}]}))

    assert said.startswith("payloadDescriptors[0].objectType: 'x - at")
    assert len(said) < 200


def test_choice_between_two_forms_names_both() -> None:
    """OBJ-003."""
    forms = VenVenRequest | BlVenRequest

    assert problem('{"objectType":"X","venName":"v"}', forms) == (
        "objectType: 'X' is not allowed; expected VEN_VEN_REQUEST or BL_VEN_REQUEST"
    )
    assert problem('{"objectType":7}', forms) == "objectType: not a string; expected VEN_VEN_REQUEST or BL_VEN_REQUEST"
    assert problem('{"objectType":"BL_VEN_REQUEST","venName":"v"}', forms) == "clientID: required, but missing"
    assert problem('{"objectType":"VEN_VEN_REQUEST","venName":""}', forms) == (
        "venName: too short; expected a string of 1 to 128 characters"
    )


def test_place_in_a_list_of_objects_is_named() -> None:
    """PROBLEM-005: lists are read too."""
    assert problem('[{"programID":"p"},{"programID":7}]', list[EventRequest]) == (
        "[1].programID: expected 1 to 128 letters, digits, - or _, got an integer"
    )
    entry = {"objects": ["EVENT", "CAT"], "operations": [], "callbackUrl": "https://example.com/"}
    assert problem(json.dumps({"clientName": "c", "objectOperations": [entry]}), SubscriptionRequest) == (
        "objectOperations[0].objects[1]: 'CAT' is not allowed; "
        "expected PROGRAM, EVENT, REPORT, SUBSCRIPTION, VEN or RESOURCE"
    )
    assert problem('{"a":[1,"x"]}', dict[str, list[int]]) == "[...][1]: expected an integer, got a string"


def test_type_without_words_of_its_own_still_says_what_is_wrong() -> None:
    """PROBLEM-005."""
    assert problem('"x"', None) == "expected `null`, got `str`"


# --- as it was sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        "0.17", "0.1", "1", "1.0", "2.0", "0", "-0.0", "true", "false", '"1"', "1e-7", "123456789012345678901234567890",
        "-9223372036854775809", "0.1,0.2,0.3", '{"x":1,"y":2.0}', '{"x":-0.5,"y":0}', '"P1D","0001-01-01T00:00:00Z"',
        '"é\\u0001\\n\\"","家🔌"', "",
    ],
)  # fmt: skip
def test_values_keep_their_kind_their_number_and_their_order(values: str) -> None:
    """GEN-017, COMPAT-051, COMPAT-052, EVT-009."""
    document = valued(values)

    assert encode(decode(document, EventRequest)).decode() == document


@pytest.mark.parametrize("text", ["PT60M", "P0Y0M0DT1H0M0S", "P9999Y", "-PT5M", "P1W"])
@pytest.mark.parametrize("start", ["0001-01-01", "2025-01-01 00:00:00+05:30", "2025-01-01t00:00:00.120z"])
def test_times_are_returned_as_the_text_that_was_sent(text: str, start: str) -> None:
    """TIME-003, TIME-005, COMPAT-051."""
    document = {
        "programID": "p",
        "duration": text,
        "intervalPeriod": {"start": start, "duration": text, "randomizeStart": text},
    }

    assert json.loads(encode(decode(json.dumps(document), EventRequest))) == document


def test_defaults_that_were_sent_are_not_left_out_and_others_not_added() -> None:
    """COMPAT-047, GEN-018: to have said -1 is not to have said nothing."""
    document = {
        "programID": "p",
        "duration": "PT0S",
        "reportDescriptors": [
            {
                "payloadType": "USAGE",
                "aggregate": False,
                "startInterval": -1,
                "numIntervals": -1,
                "historical": True,
                "frequency": -1,
                "repeat": 1,
                "reportIntervals": "INTERVALS",
            },
            {"payloadType": "USAGE"},
        ],
        "intervals": [],
    }

    assert json.loads(encode(decode(json.dumps(document), EventRequest))) == document


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
ids = st.text("abcXYZ019-_", min_size=1, max_size=128)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
values = st.one_of(numbers, st.booleans(), st.text(max_size=20), st.fixed_dictionaries({"x": numbers, "y": numbers}))
values_maps = st.fixed_dictionaries({"type": names, "values": st.lists(values, max_size=5)})
int32 = st.integers(-(2**31), 2**31 - 1)
texts = st.text(max_size=50)
targets = st.lists(names, min_size=1, max_size=4, unique=True)
periods = st.fixed_dictionaries(
    {},
    optional={
        "start": st.sampled_from(["0001-01-01", "2025-01-01T00:00:00Z", "2025-06-01 12:00:00.5+02:00"]),
        "duration": st.sampled_from(["PT1H", "P9999Y", "-PT5M", "P1M", "PT60M"]),
        "randomizeStart": st.sampled_from(["PT0S", "PT5M"]),
    },
)
intervals = st.lists(
    st.fixed_dictionaries(
        {"id": int32, "payloads": st.lists(values_maps, max_size=3)}, optional={"intervalPeriod": periods}
    ),
    max_size=4,
)
report_descriptors = st.fixed_dictionaries(
    {"payloadType": names},
    optional={
        "readingType": names,
        "units": names,
        "targets": st.lists(names, max_size=2),
        "aggregate": st.booleans(),
        "startInterval": int32,
        "numIntervals": int32,
        "historical": st.booleans(),
        "frequency": int32,
        "repeat": int32,
        "reportIntervals": st.sampled_from(["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"]),
    },
)
event_documents = st.fixed_dictionaries(
    {"programID": ids},
    optional={
        "eventName": texts,
        "duration": st.sampled_from(["PT1H", "P9999Y"]),
        "priority": st.integers(0, 2**40),
        "targets": targets,
        "reportDescriptors": st.lists(report_descriptors, max_size=2),
        "payloadDescriptors": st.lists(
            st.fixed_dictionaries(
                {"payloadType": names, "objectType": st.just("EVENT_PAYLOAD_DESCRIPTOR")},
                optional={"units": names, "currency": texts},
            ),
            max_size=2,
        ),
        "intervalPeriod": periods,
        "intervals": intervals,
    },
)
report_documents = st.fixed_dictionaries(
    {
        "eventID": ids,
        "clientName": names,
        "resources": st.lists(
            st.fixed_dictionaries(
                {"resourceName": names, "intervals": intervals}, optional={"intervalPeriod": periods}
            ),
            max_size=3,
        ),
    },
    optional={
        "reportName": texts,
        "payloadDescriptors": st.lists(
            st.fixed_dictionaries(
                {"payloadType": names, "objectType": st.just("REPORT_PAYLOAD_DESCRIPTOR")},
                optional={
                    "readingType": names,
                    "units": names,
                    "accuracy": numbers,
                    "confidence": st.integers(0, 100),
                },
            ),
            max_size=2,
        ),
    },
)
program_documents = st.fixed_dictionaries(
    {"programName": names},
    optional={
        "intervalPeriod": periods,
        "programDescriptions": st.lists(st.fixed_dictionaries({"URL": st.just("https://example.com/x")}), max_size=2),
        "attributes": st.lists(values_maps, max_size=2),
        "targets": targets,
        "payloadDescriptors": st.lists(
            st.fixed_dictionaries(
                {
                    "payloadType": names,
                    "objectType": st.sampled_from(["EVENT_PAYLOAD_DESCRIPTOR", "REPORT_PAYLOAD_DESCRIPTOR"]),
                },
                optional={"units": names},
            ),
            max_size=3,
        ),
    },
)
documents = st.one_of(
    st.tuples(st.just(EventRequest), event_documents),
    st.tuples(st.just(ReportRequest), report_documents),
    st.tuples(st.just(ProgramRequest), program_documents),
)


def kinds(value: Any) -> Any:
    """The value with the kind of every number visible: ``1`` and ``1.0`` are equal, but not the same."""
    match value:
        case dict():
            return {name: kinds(inner) for name, inner in value.items()}
        case list():
            return [kinds(inner) for inner in value]
        case _:
            return repr(value)


@given(documents)
def test_document_comes_back_as_it_was_sent(sent: tuple[type, dict[str, Any]]) -> None:
    """GEN-017, COMPAT-047, COMPAT-051, COMPAT-052, OBJ-013: nothing is added, left out, or written another way."""
    type_, document = sent
    read: object = decode(json.dumps(document), type_)
    written = encode(read)

    assert kinds(json.loads(written)) == kinds(document)
    assert decode(written, type_) == read


@given(events())
def test_stored_event_comes_back_as_it_was(event: Event) -> None:
    """GEN-017."""
    assert decode(encode(event), Event) == event


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_rubbish_is_refused_and_never_fails_otherwise(document: bytes | str) -> None:
    """GEN-005."""
    with pytest.raises(Invalid):
        decode(document, EventRequest)


json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["programID", "duration", "priority", "targets", "intervals", "intervalPeriod", "eventName"]),
        json_values,
    )
)
def test_wrong_members_are_named(document: dict[str, Any]) -> None:
    """GEN-015, PROBLEM-005: whatever is sent is an event, or a member is named with its problem."""
    wrong = None
    try:
        decode(json.dumps(document), EventRequest)
    except Invalid as error:
        wrong = error

    if wrong is not None:
        assert wrong.member.split(".")[0].split("[")[0] in {*document, "programID"}
        assert wrong.problem
        assert "`" not in wrong.problem
