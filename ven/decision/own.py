"""Rules of one's own, in Python: marked with `decide`, or named under an entry point.

A rule is a function of a `Candidate`. It returns None (no opinion), a text (opt out, and why) or a `Decision`. Own
rules are asked before the limits in the settings, in the order of their names; the first opinion counts. They run
between two steps of the agent, so they must answer at once: whatever takes time belongs into a thread of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final, TypeAlias, TypeVar

import structlog

from ven.decision.candidate import Candidate, Decision
from ven.errors import BadRule

_log = structlog.get_logger(__name__)

GROUP: Final = "openadr_fleet.rules"
"""The group of entry points under which packages name their rules."""

Rule: TypeAlias = Callable[[Candidate], Decision | str | None]
_R = TypeVar("_R", bound=Rule)

_marked: dict[str, Rule] = {}


def decide(rule: _R) -> _R:
    """Have a function asked about every event: ``@ven.decide``."""
    _marked[name_of(rule)] = rule
    return rule


def own_rules() -> dict[str, Rule]:
    """Return all rules by name: those marked, and those that installed packages name.

    Raises:
        BadRule: a rule that a package names cannot be loaded, or is no function.
    """
    found: dict[str, Rule] = {}
    for point in entry_points(group=GROUP):
        try:
            rule = point.load()
        except Exception as error:  # whatever a package of somebody else raises
            raise BadRule(f"rule {point.name} ({point.value}) cannot be loaded: {error}") from error
        if not callable(rule):
            raise BadRule(f"rule {point.name} ({point.value}) is no function: expected one that takes a candidate")
        found[name_of(rule)] = rule
    return dict(sorted((_marked | found).items()))


def name_of(rule: Rule) -> str:
    """Return the name of a rule in logs, as ``package.module.function``."""
    return f"{getattr(rule, '__module__', '?')}.{getattr(rule, '__qualname__', repr(rule))}"


def opinion(name: str, rule: Rule, candidate: Candidate) -> Decision | None:
    """Ask a rule. One that fails, or answers something else, has no opinion, which is logged."""
    try:
        said = rule(candidate)
    except Exception:  # the code is somebody else's
        _log.exception("a rule failed and is left out", rule=name, event_id=candidate.timeline.event.id)
        return None
    if said is None:
        return None
    if isinstance(said, Decision):
        return Decision(said.opted_in, None if said.reason is None else _encodable(said.reason))
    if isinstance(said, str) and said:
        return Decision.out(_encodable(said))
    _log.error("a rule answers what is no decision", rule=name, answer=repr(said)[:80])
    return None


def _encodable(reason: str) -> str:
    return reason.encode(errors="replace").decode()
