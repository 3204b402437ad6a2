"""Decide on one event. Rules without I/O."""

from __future__ import annotations

from collections.abc import Mapping

from openadr_profiles.fleet.power import PayloadNotUnderstood
from ven.decision.candidate import Candidate, Decision
from ven.decision.choices import OptChoice
from ven.decision.own import Rule, opinion
from ven.decision.rules import OptRules


def decide_on(
    candidate: Candidate,
    rules: OptRules,
    *,
    choice: OptChoice | None = None,
    own: Mapping[str, Rule] | None = None,
    reports_only: bool = False,
) -> Decision:
    """Return the decision on an event, in unless somebody says otherwise.

    An event that cannot be understood, or of which nothing here acts on anything (ruling 22), is opted out of whatever
    anybody says. Else the owner's own word counts, then their own rules, then the limits in the settings; the first
    that has an opinion gives the reason. ``reports_only`` says that the event asks for nothing but reports.
    """
    context = candidate.context
    note = None
    if not reports_only:
        try:
            note = context.not_acted_on()
        except PayloadNotUnderstood as error:
            return Decision.out(str(error))
        if not context.asks_for_reduction:
            return Decision.out(note or "it asks for nothing")
    if choice is not None:
        return choice.decision
    for name, rule in (own or {}).items():
        if (said := opinion(name, rule, candidate)) is not None:
            return said
    if (reason := rules.reason_to_stay_out(candidate)) is not None:
        return Decision.out(reason)
    return Decision(opted_in=True, reason=note)
