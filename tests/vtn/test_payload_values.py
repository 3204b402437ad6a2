"""Payload values that do not suit their type (OBJ-005, OBJ-006, COMPAT-056)."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from openadr_profiles.v31 import EventRequest, decode, encode
from openadr_profiles.v31.payload_values import unsuitable
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest


def intervals(payload_type: str, *values: object) -> list[dict[str, Any]]:
    """One interval that suits, and one of which the second payload is in question."""
    good = {"type": "PRICE", "values": [0.17]}
    return [{"id": 0, "payloads": [good]}, {"id": 1, "payloads": [good, {"type": payload_type, "values": values}]}]


@pytest.mark.parametrize(
    ("payload_type", "good", "bad"),
    [
        ("PRICE", [[0.1], [-2], [0]], [["0.1"], [], [1, 2], [True], [{"x": 1, "y": 2}]]),
        ("USAGE", [[-1.5]], [["x"]]),
        ("DISPATCH_SETPOINT_RELATIVE", [[-5], [5.5]], [["-5 kW"]]),
        ("SIMPLE", [[0], [3], [2.0]], [[4], [1.5], [-1], ["1"], [True]]),
        ("CONTROL_LEVEL_OFFSET_PERCENT", [[-1], [0.5]], [[50], ["50"]]),
        ("STORAGE_CHARGE_LEVEL", [[0.5]], [[80]]),
        ("OPERATING_STATE", [["NORMAL"]], [["FINE"], [1]]),
        ("DATA_QUALITY", [["OK"]], [["ok"]]),
        ("CURVE", [[], [{"x": 1, "y": 2}]], [[1]]),
        ("SOMETHING_OF_OURS", [[], ["x", 1, True]], []),
        ("ALERT_OTHER", [["storm"]], []),
    ],
)
def test_what_suits_a_type(payload_type: str, good: list[list[object]], bad: list[list[object]]) -> None:
    """ENUM-020: a shed may be negative."""

    def found(values: list[object]) -> list[str]:
        document = {"programID": "p", "intervals": intervals(payload_type, *values)}
        return [each.member for each in unsuitable(decode(encode(document), EventRequest))]

    assert [found(values) for values in good] == [[]] * len(good)
    assert [found(values) for values in bad] == [["intervals[1].payloads[1].values"]] * len(bad)


async def test_they_are_taken_and_told_by_default(vtn: VtnUnderTest) -> None:
    """OBJ-005: stored as they came, logged without the value, and counted."""

    async def counted() -> float:
        lines = (await vtn.ask("GET", f"{vtn.origin}/metrics")).raw.decode().splitlines()
        (line,) = [line for line in lines if line.startswith("oadr_vtn_unsuitable_payload_values_total ")]
        return float(line.split()[1])

    before, program = await counted(), await vtn.bl.program()
    with structlog.testing.capture_logs() as logs:
        event = await vtn.bl.event(program, intervals=intervals("PRICE", "much", "more"))
        home = vtn.home()
        resources = [{"resourceName": "r", "intervals": intervals("USAGE", "some")}]
        report = await home.report(event, resources=resources)

    assert event["intervals"][1]["payloads"][1]["values"] == ["much", "more"]
    assert report["resources"][0]["intervals"][1]["payloads"][1]["values"] == ["some"]
    told = [(log["member"], log["payload_type"]) for log in logs if "suit" in log["event"]]
    assert told == [
        ("intervals[1].payloads[1].values", "PRICE"),
        ("resources[0].intervals[1].payloads[1].values", "USAGE"),
    ]
    assert "much" not in repr(logs)
    assert await counted() == before + 2


async def test_strict_refuses_and_off_says_nothing(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """OBJ-006: 400 naming the member."""
    program = await vtn.bl.program()
    document = {"programID": program["id"], "intervals": intervals("PRICE", "much")}
    strict = await start_vtn(validation={"payload_values": "strict"})
    off = await start_vtn(validation={"payload_values": "off"})

    detail = (await strict.bl.post("/events", document)).problem(400)
    assert detail == "intervals[1].payloads[1].values: expected one number for PRICE"
    (await strict.bl.post("/events", document | {"intervals": intervals("PRICE", 0.10)})).ok(201)
    with structlog.testing.capture_logs() as logs:
        (await off.bl.post("/events", document)).ok(201)
    assert logs == []
