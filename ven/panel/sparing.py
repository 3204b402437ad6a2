"""Say why a circuit gives nothing, or what it gives, while an event asks for less power. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ven.panel.circuits import IDLE_BELOW_KW, BranchCircuit
from ven.panel.constraints import UNRESTRICTED, Restrictions
from ven.panel.curtailment import SheddingPlan

CRITICAL = "critical: it is never switched"
NOTHING_TO_GIVE = "its settings let nothing be taken of it (shed_share)"
FEED_IN_ONLY = "only what it feeds in may be limited"
NOT_READ = "its power is not known"
DRAWS_NOTHING = "it draws nothing"
STAYS_ON = "it was shed just now and rests (min_on_s)"
SHED_LONG_ENOUGH = "it was shed for as long as it may be (max_shed_s)"
STAYS_OFF = "it has to stay off for a while (min_off_s)"
OTHERS_GIVE_ENOUGH = "other circuits give enough"
WOULD_BE_TOO_MUCH = "it can only be switched off as a whole, which would be too much"


def why_spared(
    circuit: BranchCircuit,
    plans: Sequence[SheddingPlan],
    *,
    drawn_kw: Decimal | None,
    left_alone: str | None = None,
    restrictions: Restrictions = UNRESTRICTED,
) -> str:
    """Return why a circuit gives nothing for any of the plans in force; the first reason that is true.

    ``drawn_kw`` is its power in kW now, None if it is not known; ``left_alone`` is why its owner keeps it from being
    limited.
    """
    asked_kw = max((plan.requested_kw for plan in plans), default=Decimal(0))
    given_kw = max((plan.shed_kw for plan in plans), default=Decimal(0))
    reasons = (
        (circuit.critical, CRITICAL),
        (not circuit.may_be_shed, NOTHING_TO_GIVE),
        (left_alone is not None, left_alone or ""),
        (circuit.id in restrictions.exhausted, SHED_LONG_ENOUGH),
        (circuit.id in restrictions.resting, STAYS_ON),
        (circuit.limits_feed_in and not any(each.is_fed_in for plan in plans for each in plan.circuits), FEED_IN_ONLY),
        (drawn_kw is None, NOT_READ),
        (drawn_kw is not None and abs(drawn_kw) < IDLE_BELOW_KW, DRAWS_NOTHING),
        (circuit.on_off and given_kw < asked_kw, WOULD_BE_TOO_MUCH),
    )
    return next((reason for is_so, reason in reasons if is_so), OTHERS_GIVE_ENOUGH)
