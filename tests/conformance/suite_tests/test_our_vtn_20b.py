"""Our VTN before the suite of 2.0b, on SQLite: every question once. `scripts/conformance --profile 2.0b` makes all."""

import asyncio
from pathlib import Path

from oadr_conformance import Outcome
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.hostile import hostile_checks
from vtns.ours20b import vtn20b

_QUESTIONS = tuple({(check.requirement, check.question): check for check in reversed(ALL20B)}.values())
_SKIPPED = {"stranger", "signed"}
"""What this VTN has not: it enrols whoever comes, and demands no signatures."""


def test_our_vtn_keeps_to_2_0b(tmp_path: Path) -> None:
    """Nothing fails, nothing is left, and no generated document makes a fault."""
    checks = (*_QUESTIONS, *hostile_checks(50, 3))
    with vtn20b(f"sqlite:///{tmp_path / 'vtn.sqlite3'}", tmp_path) as subject:
        result = asyncio.run(run20b(subject, checks))
    wrong = {
        one.check.key: f"{one.outcome}: expected {one.expected}, got {one.got} {one.why}"
        for one in result.results
        if one.outcome is not Outcome.PASS and not one.check.needs & _SKIPPED
    }
    assert wrong == {}
    assert not result.leftovers
