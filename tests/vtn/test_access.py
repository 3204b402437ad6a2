"""The rule of who sees what, and that the database says the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from openadr_profiles.v31 import Invalid
from tests.vtn.harness import VtnUnderTest
from vtn.access import DEFAULT_SCOPES, ONLY_BL, Caller, Entitlement, Role, Scope, scope_named, scopes_named
from vtn.settings import Privacy
from vtn.store.event import EventStore
from vtn.store.outbox.notes import Notes
from vtn.store.program import ProgramStore
from vtn.store.query import EventQuery, ProgramQuery
from vtn.store.tables import events, programs, resources, vens
from vtn.store.visibility import Visibility

WORDS = ("a", "b", "c", "V1")
some_targets = st.lists(st.sampled_from(WORDS), unique=True, max_size=3)
READER = Caller("client", Role.VEN, DEFAULT_SCOPES[Role.VEN])
AT = "2026-06-01T00:00:00.000000Z"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
async def test_the_database_admits_and_shows_what_the_rule_does(vtn: VtnUnderTest, data: st.DataObject) -> None:
    """PRIV-021, PRIV-003 … PRIV-009, PRIV-012, PRIV-013, PRIV-016: for any grants, objects and question."""
    await vtn.wipe()
    of_ven, of_resource, of_foreign = (data.draw(some_targets) for _ in range(3))
    asked = data.draw(st.none() | st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    of_programs = data.draw(st.lists(some_targets, min_size=1, max_size=3))
    of_events = data.draw(st.lists(st.tuples(st.integers(0, len(of_programs) - 1), some_targets), max_size=6))
    privacy = Privacy(implicit_ven_id_target=data.draw(st.booleans()), events_follow_program=data.draw(st.booleans()))
    common = {"created_at": AT, "modified_at": AT}
    async with vtn.server._database.write() as connection:
        ven = common | {"id": "V1", "client_id": "client", "name": "v", "targets": tuple(of_ven), "members": '"x":1'}
        await connection.execute(insert(vens).values(ven))
        resource = {"ven_id": "V1", "members": '"x":1'} | common
        for number, (client, targets) in enumerate((("client", of_resource), ("other", of_foreign))):
            row = {"id": f"R{number}", "client_id": client, "name": f"R{number}", "targets": tuple(targets)}
            await connection.execute(insert(resources).values(resource | row))
        for number, targets in enumerate(of_programs):
            row = {"id": f"P{number}", "name": f"P{number}", "targets": tuple(targets), "members": '"x":1'}
            await connection.execute(insert(programs).values(common | row))
        for number, (program, targets) in enumerate(of_events):
            row = {"id": f"E{number}", "program_id": f"P{program}", "targets": tuple(targets), "members": '"x":1'}
            await connection.execute(insert(events).values(common | row | {"targets_inside": False}))

    granted = frozenset([*of_ven, *of_resource, *(["V1"] if privacy.implicit_ven_id_target else [])])
    entitlement = Entitlement(granted, None if asked is None else frozenset(asked))
    expected_programs = {
        f"P{number}": list(entitlement.shown(targets))
        for number, targets in enumerate(of_programs)
        if entitlement.admits(targets)
    }
    expected_events = {
        f"E{number}": list(entitlement.shown(targets))
        for number, (program, targets) in enumerate(of_events)
        if entitlement.admits(targets, program_targets=of_programs[program] if privacy.events_follow_program else ())
    }
    database, stamps = vtn.server._database, vtn.server._stamps
    visibility, notes = Visibility(database, privacy), Notes(database, stamps, privacy)
    wanted = None if asked is None else tuple(asked)
    found_programs = await ProgramStore(database, stamps, notes, visibility).search(
        ProgramQuery(targets=wanted), visible_to=READER
    )
    found_events = await EventStore(database, stamps, notes, visibility).search(
        EventQuery(targets=wanted), visible_to=READER
    )

    assert isinstance(found_programs, list)
    assert isinstance(found_events, list)
    assert {one.id: list(one.targets or ()) for one in found_programs} == expected_programs
    assert {one.id: list(one.targets or ()) for one in found_events} == expected_events


def test_a_ven_has_no_scope_that_is_for_business_logic_only() -> None:
    """AUTH-010, AUTH-011."""
    assert DEFAULT_SCOPES[Role.VEN].isdisjoint(ONLY_BL)
    assert DEFAULT_SCOPES[Role.VEN] == {
        Scope.READ_TARGETS,
        Scope.READ_VEN_OBJECTS,
        Scope.WRITE_REPORTS,
        Scope.WRITE_SUBSCRIPTIONS,
        Scope.WRITE_VENS,
    }
    assert DEFAULT_SCOPES[Role.BL] == {
        Scope.READ_ALL,
        Scope.READ_BL,
        Scope.WRITE_PROGRAMS,
        Scope.WRITE_EVENTS,
        Scope.WRITE_SUBSCRIPTIONS,
        Scope.WRITE_VENS,
    }


@pytest.mark.parametrize(
    ("word", "role", "scope"),
    [
        ("write_vens", Role.VEN, Scope.WRITE_VENS),
        ("write_vens_ven", Role.VEN, Scope.WRITE_VENS),
        ("write_vens_bl", Role.BL, Scope.WRITE_VENS),
        ("write_subscriptions_bl", Role.BL, Scope.WRITE_SUBSCRIPTIONS),
        ("read_bl", Role.BL, Scope.READ_BL),
        ("write_vens_bl", Role.VEN, None),
        ("write_events_bl", Role.BL, None),
        ("write_users", Role.BL, None),
        ("", Role.BL, None),
    ],
)
def test_spellings_of_scopes(word: str, role: Role, scope: Scope | None) -> None:
    """AUTH-040, COMPAT-015."""
    assert scope_named(word, role) is scope


def test_scopes_that_mean_nothing_here_are_kept_apart() -> None:
    """COMPAT-015: for who registers a client; what cannot be a scope at all is refused."""
    known, unknown = scopes_named(["read_all", "write_users"], Role.BL)
    assert (known, unknown) == (frozenset({Scope.READ_ALL}), frozenset({"write_users"}))
    for word in ("", "two words", 'quo"te', "x" * 129):
        with pytest.raises(Invalid, match="scope"):
            scopes_named([word], Role.BL)
