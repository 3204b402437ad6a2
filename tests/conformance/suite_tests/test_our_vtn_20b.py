"""Our VTN before the suite of 2.0b: each question once, those about what is stored on PostgreSQL, others on SQLite.

`scripts/conformance --profile 2.0b` makes all on both.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from oadr_conformance import Check, Outcome
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.hostile import hostile_checks
from vtns.ours20b import vtn20b

_QUESTIONS = tuple({(check.requirement, check.question): check for check in reversed(ALL20B)}.values())
_SKIPPED = {"stranger", "signed"}
"""What this VTN has not: it enrols whoever comes, and demands no signatures."""


_STORED = ("B-REG-", "B-CRE-", "B-OPT-", "B-RPT-")


def test_our_vtn_keeps_to_2_0b(tmp_path: Path) -> None:
    """Nothing fails, nothing is left, and no generated document makes a fault."""
    others = (check for check in _QUESTIONS if not check.requirement.startswith(_STORED))
    _keeps_to(f"sqlite:///{tmp_path / 'vtn.sqlite3'}", (*others, *hostile_checks(50, 3)), tmp_path)


def test_our_vtn_keeps_to_2_0b_on_postgresql(postgresql_url: str, tmp_path: Path) -> None:
    """Registrations, answers, opts and reports are kept there."""
    stored = [check for check in _QUESTIONS if check.requirement.startswith(_STORED)]
    assert len(stored) > len(_STORED)
    _keeps_to(postgresql_url, stored, tmp_path)


def _keeps_to(database_url: str, checks: Sequence[Check], folder: Path) -> None:
    with vtn20b(database_url, folder) as subject:
        result = asyncio.run(run20b(subject, checks))
    wrong = {
        one.check.key: f"{one.outcome}: expected {one.expected}, got {one.got} {one.why}"
        for one in result.results
        if one.outcome is not Outcome.PASS and not one.check.needs & _SKIPPED
    }
    assert wrong == {}
    assert not result.leftovers
