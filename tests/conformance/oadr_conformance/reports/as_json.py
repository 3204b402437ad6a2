"""A run as one JSON document."""

from __future__ import annotations

import json
from typing import Any

from oadr_conformance.groups import groups_of, total
from oadr_conformance.results import Result, Run


def as_object(run: Run, *, strict: bool = False) -> dict[str, Any]:
    """Return the run as a JSON object: the VTN, the total, and every result; texts contain no secret."""
    return {
        "url": run.url,
        "product": run.product,
        "version": run.version,
        "profile": run.profile,
        "switches": list(run.switches),
        "started": run.started.isoformat().replace("+00:00", "Z"),
        "seconds": round(run.seconds, 3),
        "conforms": run.conforms(strict=strict),
        "verdict": run.verdict(strict=strict),
        "cut_short": run.cut_short,
        "total": run.total,
        "totals": {
            standing.value: {outcome.word: count for outcome, count in counts.items()}
            for standing, counts in run.totals.items()
        },
        "requirements": total(groups_of(run.results)),
        "warnings": list(run.warnings),
        "results": [_result(result) for result in run.results],
    }


def json_text(run: Run, *, strict: bool = False) -> str:
    """Return the same as text."""
    return json.dumps(as_object(run, strict=strict), indent=2, ensure_ascii=False) + "\n"


def _result(result: Result) -> dict[str, Any]:
    check = result.check
    told: dict[str, Any] = {
        "key": check.key,
        "requirements": list(check.requirements),
        "level": check.level.value,
        "sentence": check.sentence,
        "section": check.section,
        "standing": check.standing.value,
        "ruling": check.ruling,
        "outcome": result.outcome.value,
        "seconds": round(result.seconds, 3),
    }
    details = {
        "expected": result.expected,
        "got": result.got,
        "why": result.why,
        "request": result.request,
        "response": result.response,
        "exchanges": list(result.exchanges),
        "leftovers": list(result.leftovers),
    }
    return told | {key: value for key, value in details.items() if value}
