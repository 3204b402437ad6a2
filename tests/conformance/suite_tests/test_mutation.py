"""A check that cannot fail is worthless. `scripts/conformance --mutation` proves all; here each fault is tried once."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from mutants.handlers import Fault
from mutants.harness import CheckProof, prove, rig
from mutants.table import TABLE, faults_of, unused_patterns
from oadr_conformance import ALL, Check
from vtns.ours import GUARDED, TURNED


def test_every_check_has_a_fault_it_exists_for() -> None:
    """Without one nobody knows whether it can fail."""
    assert [check.key for check in ALL if not faults_of(check.key)] == []


def test_every_pattern_of_the_table_names_a_check() -> None:
    """A pattern that names none is a check that got lost."""
    assert unused_patterns(check.key for check in ALL) == []


def test_every_fault_is_seen_by_a_check_that_exists_for_it(tmp_path: Path) -> None:
    """One check per fault, against our VTN behind the proxy that breaks it."""
    plan: dict[str, tuple[Check, list[Fault]]] = {}
    planned = set()
    for check in ALL:
        for fault in faults_of(check.key):
            if fault.name not in planned:
                planned.add(fault.name)
                plan.setdefault(check.key, (check, []))[1].append(fault)
    assert planned == {fault.name for fault in TABLE}

    async def try_some(checks: list[Check], switches: Mapping[str, str]) -> list[CheckProof]:
        directory = tmp_path / ("turned" if switches else "usual")
        directory.mkdir()
        async with rig(directory, switches) as (session, proxy):
            return await prove(session, proxy, checks, lambda key: plan[key][1])

    checks = [check for check, _ in plan.values()]
    guarded = [check for check in checks if check.matches(GUARDED)]
    usual = [check for check in checks if check not in guarded]
    proofs = asyncio.run(try_some(usual, {})) + asyncio.run(try_some(guarded, TURNED))
    assert {verdict.key: verdict.why_not for verdict in proofs if not verdict.good} == {}
