"""The life of an event at the bridge: split, commanded, acknowledged, restored."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.bridge_mqtt.conftest import ENVELOPE, FLAT, World, an_event


async def test_an_event_is_split_over_the_panels_and_restored_at_its_end(world: World) -> None:
    """The main job: both panels shed their parts, which add up; at the end both are told to restore."""
    one = await world.add_panel("panel-1", interval_s=30, plugged_in=False)
    two = await world.add_panel("panel-2", interval_s=30, plugged_in=False)
    await world.start()
    one.plug_in()
    two.plug_in()
    await world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await world.post(an_event(shed_kw=6, length_s=6))

    event = await world.until(
        "/api/events/evt-1", lambda e: all(p["holds"] == "held" for p in e["panels"]) and e["panels"]
    )
    assert sum(panel["requestedKw"] for panel in event["panels"]) == 6
    assert sum(panel["actualShedKw"] for panel in event["panels"]) > 5.9
    assert (one.model.sheds, two.model.sheds) == (1, 1)

    done = await world.until("/api/events/evt-1", lambda e: e["state"] == "completed")
    assert [step["state"] for step in done["history"]] == ["scheduled", "active", "completing", "completed"]
    for panel in done["panels"]:
        assert [(c["op"], c["state"]) for c in panel["commands"]] == [("shedPanel", "acked"), ("restorePanel", "acked")]
        assert all(c["responseMs"] is not None for c in panel["commands"])
    assert (one.model.event_id, two.model.event_id) == (None, None)
    page = await world.get("/api/events/evt-1/acks")
    assert {(ack["venId"], ack["op"], ack["status"], ack["matched"]) for ack in page["acks"]} == {
        ("panel-1", "shedPanel", "accepted", True),
        ("panel-2", "shedPanel", "accepted", True),
        ("panel-1", "restorePanel", "success", True),
        ("panel-2", "restorePanel", "success", True),
    }


async def test_an_envelope_panel_sheds_in_pieces_and_is_never_told_to_restore(sqlite_world: World) -> None:
    """C9: the window is sent piece by piece, since this program cannot restore."""
    panel = await sqlite_world.add_panel("panel-a", ENVELOPE)
    sqlite_world.piece(8)
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    await sqlite_world.post(an_event(shed_kw=2, length_s=16.5))

    done = await sqlite_world.until("/api/events/evt-1", lambda e: e["state"] == "completed")
    assert [(c["op"], c["state"]) for c in done["panels"][0]["commands"]] == [("shedPanel", "acked")] * 2
    assert panel.model.sheds == 2
    first, second = (json.loads(command) for command in panel.heard)
    assert second["ts"] >= first["ts"] + first["duration_sec"]


async def test_a_withdrawn_event_is_restored_at_once(sqlite_world: World) -> None:
    """12.5: deleted means restore to the holders, and only to them (C8)."""
    holder = await sqlite_world.add_panel("panel-1")
    other = await sqlite_world.add_panel("panel-2")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await sqlite_world.post(an_event(shed_kw=3, targets=("panel-1",)))
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

    await sqlite_world.withdraw("evt-1")

    done = await sqlite_world.until("/api/events/evt-1", lambda e: e["isFinal"])
    assert (done["state"], done["reason"]) == ("cancelled", "withdrawn by the VTN")
    assert [json.loads(command)["op"] for command in holder.heard] == ["event", "restore"]
    assert other.heard == []


async def test_a_changed_amount_is_a_restore_and_then_a_new_shed(sqlite_world: World) -> None:
    """C6, 12.5: the panel never holds two; what is unchanged is left alone."""
    panel = await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    began = datetime.now(UTC)
    await sqlite_world.post(an_event(shed_kw=3, start=began))
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

    await sqlite_world.post(an_event(shed_kw=3, start=began, modified=began + timedelta(seconds=1)))
    await sqlite_world.post(an_event(shed_kw=5, start=began, modified=began + timedelta(seconds=2)))

    event = await sqlite_world.until(
        "/api/events/evt-1",
        lambda e: e["panels"][0]["holds"] == "held" and e["panels"][0]["actualShedKw"] == 5,
    )
    assert [(c["op"], c["requestedShedKw"]) for c in event["panels"][0]["commands"]] == [
        ("shedPanel", 3.0),
        ("restorePanel", None),
        ("shedPanel", 5.0),
    ]
    assert panel.model.sheds == 2


async def test_of_two_events_a_panel_follows_the_more_important_one(sqlite_world: World) -> None:
    """C6: the lower number wins; when it is over, the other one is followed again."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    await sqlite_world.post(an_event("evt-low", shed_kw=2, priority=5))
    await sqlite_world.until("/api/events/evt-low", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")

    await sqlite_world.post(an_event("evt-high", shed_kw=4, priority=1))
    await sqlite_world.until("/api/events/evt-high", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    low = await sqlite_world.get("/api/events/evt-low")
    assert low["panels"][0]["excluded"] == "follows another event"

    await sqlite_world.withdraw("evt-high")
    await sqlite_world.until("/api/events/evt-low", lambda e: e["panels"][0]["holds"] == "held")


@pytest.mark.parametrize(
    ("members", "states", "reason"),
    [
        (
            {"payload_type": "SIMPLE", "values": (7,)},
            ["scheduled", "failed"],
            "interval 0: SIMPLE has the value 7: expected 0, 1, 2 or 3",
        ),
        ({"targets": ("nobody",), "length_s": 1}, ["scheduled", "missed"], "no panel took part"),
    ],
)
async def test_an_event_that_cannot_be_carried_out_says_why(
    sqlite_world: World, members: dict[str, Any], states: list[str], reason: str
) -> None:
    """Section 13: failed and missed are states of their own, with the reason."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.post(an_event(**members))

    done = await sqlite_world.until("/api/events/evt-1", lambda e: e["isFinal"])
    assert ([step["state"] for step in done["history"]], done["reason"]) == (states, reason)


async def test_levels_and_limits_become_kilowatts(sqlite_world: World) -> None:
    """12.5: SIMPLE takes a share of the capability, IMPORT_CAPACITY_LIMIT what is used above the limit."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    before = (await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"]))[0]
    await sqlite_world.post(an_event("evt-level", payload_type="SIMPLE", values=(2,)))
    level = await sqlite_world.until(
        "/api/events/evt-level", lambda e: e["panels"] and e["panels"][0]["holds"] == "held"
    )
    assert level["panels"][0]["requestedKw"] == pytest.approx(level["panels"][0]["capabilityKw"] * 0.66, abs=0.001)
    await sqlite_world.withdraw("evt-level")
    await sqlite_world.until("/api/events/evt-level", lambda e: e["isFinal"])

    limit = round(before["usedPowerKw"] - 5, 2)
    await sqlite_world.post(an_event("evt-limit", payload_type="IMPORT_CAPACITY_LIMIT", values=(limit,)))
    limited = await sqlite_world.until(
        "/api/events/evt-limit", lambda e: e["panels"] and e["panels"][0]["holds"] == "held"
    )
    panel = limited["panels"][0]
    assert panel["requestedKw"] == pytest.approx(panel["baselineKw"] - limit, abs=0.001)


async def test_an_event_right_after_another_has_the_baseline_of_that_one(world: World) -> None:
    """Fault no. 34: nothing was measured since the panel was restored, and before that it was curtailed."""
    panel = await world.add_panel("panel-1")
    await world.start()
    before = (await world.until("/api/panels", lambda panels: panels[0]["online"]))[0]
    await world.post(an_event("evt-1", shed_kw=6, length_s=300))
    first = await world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    await world.until("/api/panels", lambda panels: panels[0]["usedPowerKw"] < before["usedPowerKw"] - 4)
    panel.faults.mute_telemetry = True
    await world.withdraw("evt-1")
    await world.until("/api/events/evt-1", lambda e: e["isFinal"])

    limit = round(before["usedPowerKw"] - 5, 2)
    await world.post(an_event("evt-2", payload_type="IMPORT_CAPACITY_LIMIT", values=(limit,), length_s=300))
    second = await world.until("/api/events/evt-2", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    assert second["panels"][0]["baselineKw"] == first["panels"][0]["baselineKw"]
    assert second["panels"][0]["requestedKw"] == pytest.approx(first["panels"][0]["baselineKw"] - limit, abs=0.001)


async def test_a_panel_that_rejects_leaves_its_part_to_the_others(sqlite_world: World) -> None:
    """Section 13: the remainder is redistributed."""
    refusing = await sqlite_world.add_panel("panel-1")
    await sqlite_world.add_panel("panel-2")
    refusing.faults.reject = 1
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await sqlite_world.post(an_event(shed_kw=6))

    event = await sqlite_world.until(
        "/api/events/evt-1",
        lambda e: len(e["panels"]) == 2 and e["panels"][1]["holds"] == "held" and e["panels"][1]["actualShedKw"] > 5.9,
    )
    first, second = event["panels"]
    assert (first["excluded"], first["requestedKw"]) == ("rejected: unknown load", 0)
    assert [c["op"] for c in second["commands"]] == ["shedPanel", "restorePanel", "shedPanel"]


async def test_limits_and_equal_parts_hold_at_the_panels(sqlite_world: World) -> None:
    """No. 14: nobody is asked for more than its most, and the others make it up."""
    for name in ("panel-1", "panel-2", "panel-3"):
        await sqlite_world.add_panel(name)
    panels = [{"id": "panel-1", "most_kw": 0.5}, {"id": "panel-2", "least_kw": 1}, {"id": "panel-3"}]
    await sqlite_world.start(panels=panels, dispatch={"share": "equal", "first_contact_s": 3.0})
    await sqlite_world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await sqlite_world.post(an_event(shed_kw=6))

    event = await sqlite_world.until(
        "/api/events/evt-1", lambda e: len(e["panels"]) == 3 and all(p["holds"] == "held" for p in e["panels"])
    )
    assert [panel["requestedKw"] for panel in event["panels"]] == [0.5, 2.75, 2.75]


async def test_an_absurd_amount_fails_alone(sqlite_world: World) -> None:
    """B3: the event says why; the one beside it is carried out."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    await sqlite_world.post(an_event("evt-absurd", shed_kw=1e25, priority=0))
    await sqlite_world.post(an_event("evt-good", shed_kw=2))

    await sqlite_world.until("/api/events/evt-good", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    absurd = await sqlite_world.get("/api/events/evt-absurd")
    assert (absurd["state"], absurd["panels"]) == ("failed", [])
    assert "expected at most 1,000,000,000 kW" in absurd["reason"]


async def test_the_first_commands_are_queued_before_it_is_decided_about_all_others(sqlite_world: World) -> None:
    """In a large fleet the first panels are told at the event's second, not once all have been looked at."""
    for number in range(60):
        await sqlite_world.add_panel(f"panel-{number:02}", interval_s=2)
    await sqlite_world.start(dispatch={"ack_timeout_s": 120, "offline_after_s": 600})
    await sqlite_world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await sqlite_world.post(an_event(shed_kw=60))

    event = await sqlite_world.until(
        "/api/events/evt-1", lambda e: len(e["panels"]) == 60 and all(p["holds"] == "held" for p in e["panels"])
    )

    commands = [command for panel in event["panels"] for command in panel["commands"]]
    together = Counter(command["queuedAt"] for command in commands)
    assert [together[moment] for moment in sorted(together)] == [50, 10]
    assert min(command["sentAt"] for command in commands) < max(command["sentAt"] for command in commands)


async def test_an_event_in_units_that_no_database_holds_fails_alone(world: World) -> None:
    """A reason with NUL in it must not stop the decisions about other events; PostgreSQL stores no NUL."""
    await world.add_panel("panel-1")
    await world.start()
    await world.until("/api/panels", lambda panels: panels[0]["online"])
    await world.post(an_event("evt-odd", units="k\u0000W"))
    await world.post(an_event("evt-good", shed_kw=2))

    odd = await world.until("/api/events/evt-odd", lambda e: e["state"] == "failed", timeout_s=60)
    assert "in 'k\\x00W': only KW, W and MW are understood" in odd["reason"]
    await world.until("/api/events/evt-good", lambda e: e["panels"] and e["panels"][0]["holds"] == "held", timeout_s=60)


async def test_fifty_panels_of_both_dialects_answer_and_every_ack_is_joined_to_its_command(sqlite_world: World) -> None:
    """Section 13: each correlationId is one command, one panel, one answer, and the parts add up to the request."""
    for number in range(50):
        await sqlite_world.add_panel(f"panel-{number:02}", ENVELOPE if number % 5 == 0 else FLAT, interval_s=2)
    await sqlite_world.start(dispatch={"ack_timeout_s": 120, "offline_after_s": 600})
    await sqlite_world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    await sqlite_world.post(an_event(shed_kw=100))

    event = await sqlite_world.until(
        "/api/events/evt-1", lambda e: len(e["panels"]) == 50 and all(p["holds"] == "held" for p in e["panels"])
    )

    assert sum(Decimal(str(panel["requestedKw"])) for panel in event["panels"]) == 100
    sent = {c["correlationId"]: panel["venId"] for panel in event["panels"] for c in panel["commands"]}
    acks = (await sqlite_world.get("/api/events/evt-1/acks?limit=1000"))["acks"]
    assert {ack["correlationId"]: ack["venId"] for ack in acks if ack["op"] == "shedPanel"} == sent
    assert all(panel.model.sheds == 1 for panel in sqlite_world.panels.values())
