"""The judge of requests and answers finds what the official document does not allow, and nothing else."""

import json
from typing import Any

import pytest

from tests.support.official import official_document

REPORT: dict[str, Any] = {
    "eventID": "e",
    "clientName": "home",
    "payloadDescriptors": [{"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "units": None}],
    "resources": [
        {
            "resourceName": "ev",
            "intervals": [
                {
                    "id": 0,
                    "intervalPeriod": {"start": "0001-01-01T00:00:00", "duration": "PT0S"},
                    "payloads": [{"type": "USAGE", "values": [1.5, "x", True, {"x": 1, "y": 2}]}],
                }
            ],
        }
    ],
}
METADATA = {"id": "1", "createdDateTime": "2026-01-01T00:00:00Z", "modificationDateTime": "2026-01-01T00:00:00+01:00"}


def test_a_valid_request_has_no_problem() -> None:
    """R-39: the beginning of time is a start too."""
    assert official_document().request_problems("POST", "/reports", json.dumps(REPORT).encode()) == []
    assert official_document().request_problems("GET", "/events?targets=a&targets=b&limit=50&active=true", None) == []
    form = b"grant_type=client_credentials&clientID=a&clientSecret=b"
    assert official_document().request_problems("POST", "/auth/token", form, "application/json") != []


def test_extensions_are_known_by_name() -> None:
    """The document does not have them, and no other operation passes."""
    assert official_document().request_problems("GET", "/contacts?skip=0", None) == []
    assert official_document().request_problems("POST", "/contacts", b"{}") != []
    assert official_document().request_problems("GET", "/contact", None) != []


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("POST", "/reports", REPORT | {"payloadDescriptors": [{"payloadType": "X"}]}, "payloadDescriptors.0: "),
        ("POST", "/reports", REPORT | {"eventID": "a b"}, "eventID: "),
        ("POST", "/reports", REPORT | {"resources": None}, "resources: "),
        ("POST", "/event", {}, "POST /event: the document has no such operation"),
        ("GET", "/events?limit=51", None, "?limit: "),
        ("GET", "/events?limit=x", None, "?limit: "),
        ("GET", "/events?venName=a", None, "?venName: "),
        ("DELETE", "/events/1", {}, "a body of application/json; expected none"),
        ("PUT", "/vens/1", {"venName": "x"}, "(whole): "),
    ],
)
def test_an_invalid_request_is_found(method: str, target: str, body: Any, expected: str) -> None:
    """The member or parameter is named."""
    content = None if body is None else json.dumps(body).encode()
    problems = official_document().request_problems(method, target, content)

    assert len(problems) == 1
    assert problems[0].startswith(expected)


def test_an_answer_is_judged_by_its_status() -> None:
    """R-21: a stored ven is a VEN."""
    ven = METADATA | {"objectType": "VEN", "clientID": "c", "venName": "v"}
    problems = official_document().answer_problems

    assert problems("GET", "/vens/1", 200, json.dumps(ven).encode()) == []
    assert problems("GET", "/vens", 200, json.dumps([ven]).encode()) == []
    assert problems("GET", "/vens/1", 200, json.dumps(ven | {"objectType": "BL_VEN_REQUEST"}).encode()) != []
    assert problems("GET", "/vens/1", 200, json.dumps(ven | {"createdDateTime": "12:00"}).encode()) != []
    assert problems("GET", "/vens/1", 404, b'{"title": 5}') != []
