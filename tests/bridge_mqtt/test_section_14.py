"""The forty-three faults that were seen in the original (section 14): each has tests that hold it off."""

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import aiomqtt
import pytest
from sqlalchemy import Index, UniqueConstraint

from bridge_mqtt.store import schema
from openadr_profiles.panel import FLAT, AckStatus, CommandState
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).parents[2]

HOLDERS: Final[dict[int, tuple[str, ...]]] = {
    1: (
        "tests/bridge_mqtt/test_crashes.py::test_a_bridge_that_is_killed_in_mid_event_knows_what_panels_hold",
        "tests/bridge_mqtt/test_crashes.py::test_a_bridge_that_is_killed_while_sending_goes_on_without_a_second_shed",
    ),
    2: (
        "tests/bridge_mqtt/test_store.py::test_the_database_itself_refuses_a_second_command_on_its_way",
        "tests/bridge_mqtt/test_faults.py::test_a_lost_ack_without_telemetry_is_cleared_up_by_ping_restore_and_shed",
    ),
    3: ("tests/bridge_mqtt/test_section_14.py::test_answers_without_an_event_and_of_every_form_are_stored",),
    4: (
        "tests/bridge_mqtt/test_store.py::test_every_recording_goes_through_the_ack_store",
        "tests/profiles/panel/test_replay.py::test_acks_of_a_recording_are_read_as_what_they_mean",
    ),
    5: ("tests/bridge_mqtt/test_section_14.py::test_answers_without_an_event_and_of_every_form_are_stored",),
    6: (
        "tests/bridge_mqtt/test_faults.py::test_a_panel_that_comes_online_inside_a_window_is_told_with_the_remaining_time",
    ),
    7: (
        "tests/bridge_mqtt/test_crashes.py::test_a_command_decided_while_the_broker_is_away_is_sent_once_when_it_is_back",
    ),
    8: (
        "tests/bridge_mqtt/test_events.py::test_a_withdrawn_event_is_restored_at_once",
        "tests/bridge_mqtt/test_api_ordering.py::test_an_event_that_is_stopped_or_deleted_is_so_at_the_vtn_and_restored_at_the_panel",
    ),
    9: ("tests/bridge_mqtt/test_section_14.py::test_the_end_of_an_event_restores_only_who_holds_it",),
    10: (
        "tests/bridge_mqtt/test_faults.py::test_a_panel_that_comes_online_inside_a_window_is_told_with_the_remaining_time",
    ),
    11: (
        "tests/bridge_mqtt/test_events.py::test_an_absurd_amount_fails_alone",
        "tests/bridge_mqtt/test_meaning.py::test_what_has_no_meaning_fails_alone_and_says_why",
        "tests/bridge_mqtt/test_vtn_side.py::test_an_unreadable_event_is_named_and_all_others_are_carried_out",
    ),
    12: ("tests/bridge_mqtt/test_event_changes.py::test_an_event_that_was_over_while_the_bridge_was_away_is_missed",),
    13: ("tests/bridge_mqtt/test_section_14.py::test_no_panel_waits_for_the_answer_of_another",),
    14: (
        "tests/bridge_mqtt/test_allocation.py::test_parts_are_proportional_to_capability",
        "tests/bridge_mqtt/test_allocation.py::test_parts_always_add_up_to_the_request_or_to_all_there_is",
        "tests/bridge_mqtt/test_events.py::test_a_panel_that_rejects_leaves_its_part_to_the_others",
    ),
    15: (
        "tests/bridge_mqtt/test_api_reading.py::test_an_event_is_shown_with_what_was_asked_and_what_was_delivered",
        "tests/bridge_mqtt/test_section_14.py::test_what_a_panel_claims_is_not_what_it_delivers",
    ),
    16: (
        "tests/bridge_mqtt/test_api.py::test_an_ack_has_the_canonical_form",
        "tests/bridge_mqtt/test_api_reading.py::test_a_panel_that_has_not_answered_is_in_the_event_too",
    ),
    17: ("tests/bridge_mqtt/test_section_14.py::test_samples_are_stored_whatever_event_they_name_and_once",),
    18: ("tests/bridge_mqtt/test_section_14.py::test_samples_are_stored_whatever_event_they_name_and_once",),
    19: ("tests/bridge_mqtt/test_section_14.py::test_whether_a_panel_is_enabled_is_apart_from_whether_it_is_online",),
    20: ("tests/profiles/panel/test_reader.py::test_loads_are_read_item_by_item_in_every_spelling",),
    21: (
        "tests/bridge_mqtt/test_faults.py::test_the_same_ack_twice_is_one_row",
        "tests/bridge_mqtt/test_section_14.py::test_samples_are_stored_whatever_event_they_name_and_once",
    ),
    22: (
        "tests/bridge_mqtt/test_crashes.py::test_acks_wait_in_the_broker_while_the_database_is_away",
        "tests/openadr_client/test_mqtt.py::test_while_nothing_is_stored_the_broker_keeps_the_rest",
        "tests/bridge_mqtt/test_event_changes.py::test_an_answer_that_the_database_refuses_is_put_aside_alone",
    ),
    23: (
        "tests/openadr_client/test_mqtt.py::test_a_message_that_was_not_stored_comes_again_and_one_that_was_does_not",
    ),
    24: ("tests/bridge_mqtt/test_book.py::test_the_same_answer_in_one_batch_and_in_the_next_is_one_row",),
    25: (
        "tests/openadr_client/test_mqtt.py::test_nobody_there_is_unreachable",
        "tests/bridge_mqtt/test_crashes.py::test_the_broker_comes_back_and_the_event_goes_on",
    ),
    26: (
        "tests/openadr_client/test_mqtt.py::test_the_name_to_verify_can_be_another_than_the_host",
        "tests/openadr_client/test_mqtt.py::test_a_broker_of_an_unknown_authority_is_not_trusted",
    ),
    27: (
        "tests/bridge_mqtt/test_broker_access.py::test_a_panel_can_neither_answer_for_another_nor_read_its_commands",
        "tests/bridge_mqtt/test_faults.py::test_an_unknown_panel_is_in_quarantine_and_in_no_figure",
        "tests/bridge_mqtt/test_hostile.py::test_no_payload_and_no_topic_stops_the_bridge",
        "tests/bridge_mqtt/test_dialect_detection.py::test_a_forged_answer_does_not_make_a_flat_panel_shed_twice",
    ),
    28: (
        "tests/bridge_mqtt/test_api.py::test_with_a_token_only_health_is_open",
        "tests/e2e/test_canaries.py::test_ven_and_bridge_write_no_secret",
    ),
    29: ("tests/bridge_mqtt/test_store.py::test_what_is_stored_comes_back_with_zone_and_watt",),
    30: (
        "tests/profiles/panel/test_reader.py::test_every_spelling_of_an_instant_is_the_same_instant",
        "tests/profiles/panel/test_replay_with_faults.py::test_a_recording_with_a_fault_means_what_it_meant",
    ),
    31: (
        "tests/profiles/panel/test_reader.py::test_circuits_of_any_form_are_read_item_by_item",
        "tests/bridge_mqtt/test_takeover.py::test_circuits_come_back_as_they_were_stored",
    ),
    32: (
        "tests/bridge_mqtt/test_api_reading.py::test_the_history_of_circuits_is_newest_first_and_goes_on_where_it_ended",
    ),
    33: ("tests/bridge_mqtt/test_api_reading.py::test_a_panel_tells_what_it_could_shed_and_what_it_sheds",),
    34: ("tests/bridge_mqtt/test_section_14.py::test_the_baseline_stays_while_that_of_the_panel_sinks",),
    35: (
        "tests/bridge_mqtt/test_faults.py::test_a_panel_that_restarts_in_an_event_is_told_again",
        "tests/bridge_mqtt/test_event_changes.py::test_a_panel_that_returns_with_an_event_that_is_over_is_restored",
    ),
    36: (
        "tests/bridge_mqtt/test_watch.py::test_a_recorded_shadow_delta_undoes_the_shed",
        "tests/bridge_mqtt/test_watch.py::test_what_is_done_is_what_the_settings_say_and_once_for_each_shed",
    ),
    37: ("tests/profiles/panel/test_commands.py::test_an_amount_a_panel_would_misread_is_refused",),
    38: ("tests/bridge_mqtt/test_section_14.py::test_what_a_panel_claims_is_not_what_it_delivers",),
    39: ("tests/bridge_mqtt/test_section_14.py::test_the_document_and_the_code_are_one",),
    40: (
        "tests/bridge_mqtt/test_loops.py::test_a_bridge_of_which_one_loop_was_killed_carries_out_the_next_event",
        "tests/bridge_mqtt/test_with_vtn.py::test_an_event_of_the_vtn_reaches_the_panels_and_comes_back_as_reports",
    ),
    41: (
        "tests/bridge_mqtt/test_api.py::test_health_is_about_the_process_and_ready_about_its_parts",
        "tests/bridge_mqtt/test_api_ordering.py::test_without_credentials_the_setting_is_named",
    ),
    42: ("tests/bridge_mqtt/test_allocation.py::test_a_request_beyond_all_capability_takes_everything_and_no_more",),
    43: ("tests/bridge_mqtt/test_section_14.py::test_what_grows_is_read_by_an_index_and_forgotten",),
}
"""The tests that hold each number off."""


@cache
def functions_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize("number", range(1, 44))
def test_each_number_has_its_tests(number: int) -> None:
    """A test that is renamed or taken away leaves no number without one."""
    for holder in HOLDERS[number]:
        file, _, name = holder.partition("::")
        assert name in functions_in(file), holder


def test_there_are_no_other_numbers() -> None:
    assert sorted(HOLDERS) == list(range(1, 44))


async def ready(world: World) -> None:
    """Wait until all panels are online and known."""
    await world.until("/api/panels", lambda panels: panels and all(each["online"] for each in panels))


async def test_answers_without_an_event_and_of_every_form_are_stored(world: World) -> None:
    """No. 3, 5: restore, ping, errors, and the camel-case form, of which the original kept none."""
    await world.add_panel("panel-1")
    await world.start()
    await ready(world)
    answers: list[dict[str, object]] = [
        {"op": "restore", "status": "success", "ts": 1, "correlationId": "r-1"},
        {"op": "ping", "status": "success", "pong": True, "correlationId": "p-1"},
        {"op": "shedload", "ok": False, "venId": "panel-1", "correlationId": "e-1", "error": "missing loadId"},
        {
            "op": "shedPanel",
            "status": "completed",
            "eventId": "evt-camel",
            "correlationId": "c-1",
            "requestedShedKw": 5.0,
            "actualShedKw": 4.8,
            "circuits_curtailed": [{"loadId": "heater1", "name": "Water Heater", "shedKw": 4.8}],
        },
    ]
    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        for answer in answers:
            await client.publish("ven/ack/panel-1", json.dumps(answer), qos=1)

    page = await world.until("/api/vens/panel-1/acks", lambda page: len(page["acks"]) == len(answers))
    found = {ack["correlationId"]: ack for ack in page["acks"]}
    assert {name: (ack["op"], ack["status"], ack["eventId"]) for name, ack in found.items()} == {
        "r-1": ("restorePanel", "success", None),
        "p-1": ("ping", "success", None),
        "e-1": ("shedLoad", "rejected", None),
        "c-1": ("shedPanel", "completed", "evt-camel"),
    }
    assert (found["c-1"]["requestedShedKw"], found["c-1"]["actualShedKw"]) == (5.0, 4.8)


async def test_the_end_of_an_event_restores_only_who_holds_it(sqlite_world: World) -> None:
    """No. 9: neither a panel of another event, nor an idle one, nor one that is away is told anything."""
    first = await sqlite_world.add_panel("panel-1")
    second = await sqlite_world.add_panel("panel-2")
    idle = await sqlite_world.add_panel("panel-3")
    await sqlite_world.start()
    await ready(sqlite_world)
    await sqlite_world.post(an_event("evt-1", targets=("panel-1",), shed_kw=1))
    await sqlite_world.post(an_event("evt-2", targets=("panel-2",), shed_kw=1))
    for event_id in ("evt-1", "evt-2"):
        await sqlite_world.until(f"/api/events/{event_id}", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

    await sqlite_world.withdraw("evt-1")
    await sqlite_world.until("/api/events/evt-1", lambda e: e["state"] == "cancelled")

    assert [json.loads(command)["op"] for command in first.heard] == ["event", "restore"]
    assert [json.loads(command)["op"] for command in second.heard] == ["event"]
    assert idle.heard == []
    assert second.model.event_id == "evt-2"


async def test_no_panel_waits_for_the_answer_of_another(sqlite_world: World) -> None:
    """No. 13: none of thirty panels answers, and each has its command long before the first could time out."""
    panels = [await sqlite_world.add_panel(f"panel-{number}", interval_s=1) for number in range(30)]
    await sqlite_world.start(dispatch={"ack_timeout_s": 600, "offline_after_s": 600})
    await ready(sqlite_world)
    for panel in panels:
        panel.faults.silent = True
    await sqlite_world.post(an_event(shed_kw=30))

    await wait_until(lambda: all(len(panel.heard) == 1 for panel in panels))
    event = await sqlite_world.get("/api/events/evt-1")
    states = {command["state"] for part in event["panels"] for command in part["commands"]}
    assert states == {CommandState.SENT}


async def test_samples_are_stored_whatever_event_they_name_and_once(world: World) -> None:
    """No. 17, 18, 21: of an event nobody knows, of a panel that was listed before it was heard, delivered twice."""
    await world.add_panel("panel-1", plugged_in=False)
    await world.start()
    now = int(world.clock.now().timestamp())
    sample = {
        "venId": "panel-1",
        "timestamp": now,
        "message_num": 7,
        "usedPowerKw": 5.5,
        "eventId": "ui-evt-1795454773",
    }
    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        for _ in range(3):
            await client.publish("volttron/metering", json.dumps(sample), qos=1)
        await client.publish("volttron/metering", json.dumps(sample | {"message_num": 8, "usedPowerKw": 6.5}), qos=1)

    page = await world.until("/api/vens/panel-1/telemetry", lambda page: len(_items(page)) >= 2)
    powers = sorted(each["usedPowerKw"] for each in _items(page))
    assert powers == [5.5, 6.5]
    assert (await world.get("/api/panels/panel-1"))["online"]


def _items(page: dict[str, object]) -> list[dict[str, float]]:
    """The rows of a page, whatever they are called."""
    return next(value for value in page.values() if isinstance(value, list))


async def test_whether_a_panel_is_enabled_is_apart_from_whether_it_is_online(sqlite_world: World) -> None:
    """No. 19: a panel that is registered and there is commanded; one that is disabled never is."""
    enabled = await sqlite_world.add_panel("panel-1")
    disabled = await sqlite_world.add_panel("panel-2")
    await sqlite_world.start(panels=[{"id": "panel-1"}, {"id": "panel-2", "enabled": False}])
    await ready(sqlite_world)
    await sqlite_world.post(an_event(shed_kw=2))

    event = await sqlite_world.until(
        "/api/events/evt-1", lambda e: any(part["holds"] == "held" for part in e["panels"])
    )
    assert [part["venId"] for part in event["panels"]] == ["panel-1"]
    assert (len(enabled.heard), disabled.heard) == (1, [])


async def test_the_baseline_stays_while_that_of_the_panel_sinks(sqlite_world: World) -> None:
    """No. 34, CAP 15: ours is from before the event; the panel's own follows the curtailed power."""
    panel = await sqlite_world.add_panel("panel-1", interval_s=0.05)
    await sqlite_world.start()
    await ready(sqlite_world)
    await wait_until(lambda: panel.samples >= 60)
    await sqlite_world.post(an_event(shed_kw=6, length_s=300))
    before = await sqlite_world.until(
        "/api/events/evt-1",
        lambda e: e["panels"] and e["panels"][0]["holds"] == "held" and e["panels"][0]["baselineKw"] is not None,
    )
    told = panel.samples
    await wait_until(lambda: panel.samples >= told + 60)

    after = (await sqlite_world.get("/api/events/evt-1"))["panels"][0]
    assert after["baselineKw"] == before["panels"][0]["baselineKw"]
    own = panel.model.sample(sqlite_world.clock.now())["baselinePowerKw"]
    assert own < after["baselineKw"] - 5


async def test_what_a_panel_claims_is_not_what_it_delivers(sqlite_world: World) -> None:
    """No. 15, 38: a panel that only says it sheds delivers nothing, and its claim is shown apart from that."""
    panel = await sqlite_world.add_panel("panel-1")
    panel.faults.feigns = True
    await sqlite_world.start(dispatch={"on_giveback": "ignore"})
    await sqlite_world.until("/api/vens/panel-1/baseline", lambda answer: answer["samples"] >= 3)
    await sqlite_world.post(an_event(shed_kw=6, length_s=300))

    found = await sqlite_world.until(
        "/api/events/evt-1/performance", lambda answer: answer["vens"] and answer["vens"][0]["deliveredKw"] is not None
    )
    (part,) = found["vens"]
    assert abs(part["deliveredKw"]) < 1
    page = await sqlite_world.get("/api/vens/panel-1/acks")
    shed = next(ack for ack in page["acks"] if ack["op"] == "shedPanel")
    assert (shed["status"], shed["actualShedKw"]) == (AckStatus.ACCEPTED, 6.0)


def test_the_document_and_the_code_are_one() -> None:
    """No. 39: every rule is in the one document, and its example is what a panel is sent."""
    page = (ROOT / "docs" / "panel-contract.md").read_text(encoding="utf-8")
    rules = set(re.findall(r"^\| ([CR]\d+) \|", page, re.MULTILINE))
    assert rules == {f"C{n}" for n in range(1, 12)} | {f"R{n}" for n in range(1, 21)}
    example = json.loads(re.findall(r"```json\n(\{\"op\": \"event\".*?)```", page, re.DOTALL)[0])
    assert json.loads(_as_documented()) == example


def _as_documented() -> bytes:
    now = datetime.fromtimestamp(1795454636, UTC)
    return FLAT.shed_message(
        ven_id="panel-17",
        correlation_id="evt-a1b2c3d4-mfrggzdfmztwq2lk",
        event_id="evt-a1b2c3d4",
        amount_kw=5.0,
        now=now,
        until=now + timedelta(seconds=3542),
    )


GROWING: Final = ("ven_acks", "bridge_telemetry", "bridge_commands", "bridge_quarantine")


@pytest.mark.parametrize("table", GROWING)
def test_what_grows_is_read_by_an_index_and_forgotten(table: str) -> None:
    """No. 43: what is kept of each panel has an index that begins with the panel; of all, one by time."""
    found = schema.metadata.tables[table]
    keys = [[column.name for column in each.columns] for each in found.indexes if isinstance(each, Index)]
    keys += [
        [column.name for column in each.columns] for each in found.constraints if isinstance(each, UniqueConstraint)
    ]
    first = "received_at" if table == "bridge_quarantine" else "ven_id"

    assert any(key[:1] == [first] for key in keys), keys
