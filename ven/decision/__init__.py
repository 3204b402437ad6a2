"""Decide whether to take part in an event: by the owner's word, rules of their own, and the limits in the settings."""

from ven.decision.candidate import Candidate, Decision, Engagement
from ven.decision.choices import Choices, OptChoice, OptScope, ScopeKind
from ven.decision.deciding import decide_on
from ven.decision.hours import DailyHours
from ven.decision.own import Rule, own_rules
from ven.decision.rules import OptRules, ScopedLimits

__all__ = [
    "Candidate",
    "Choices",
    "DailyHours",
    "Decision",
    "Engagement",
    "OptChoice",
    "OptRules",
    "OptScope",
    "Rule",
    "ScopeKind",
    "ScopedLimits",
    "decide_on",
    "own_rules",
]
