"""The older panel program: members inside ``data``, answers with ``ok``, and no restore."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from openadr_profiles.panel.dialect import Dialect
from openadr_profiles.panel.identity import LOADS_FILTER
from openadr_profiles.panel.load import Load, circuit_type
from openadr_profiles.panel.switching import switch_by_command
from openadr_profiles.panel.vocabulary import SHED_OPS, AckStatus

_NEVER = frozenset({"pv", "solar", "batt", "battery"})
_NAMES_A_LACK = re.compile(r"\b(?:missing|unknown|requires?|required)\b|\bno\b.*\bprovided\b", re.IGNORECASE | re.ASCII)


class EnvelopeDialect(Dialect):
    """The language of the older panel program, which ends a shed only when its time runs out."""

    name = "envelope"
    shed_op = "shedPanel"
    outcome_member = "ok"
    can_restore = False
    piece_s = 60
    piece_bounds_s = (1, 3600)

    def outcome(self, members: Mapping[str, Any], op: str, error: str | None, warnings: list[str]) -> AckStatus | None:
        """Return what ``ok`` means: a refusal is a rejection if its error names something that is missing."""
        match members.get("ok"):
            case True:
                return AckStatus.ACCEPTED if op in SHED_OPS else AckStatus.SUCCESS
            case False:
                lacks = error is not None and _NAMES_A_LACK.search(error)
                return AckStatus.REJECTED if lacks else AckStatus.FAILED
            case None:
                return None
            case _:
                warnings.append("ok is neither true nor false; ignored")
                return None

    def switch_message(
        self, *, ven_id: str, correlation_id: str, load_id: str, enabled: bool, now: datetime
    ) -> tuple[str, bytes]:
        """Return a ``setLoad`` command, which this program answers."""
        return switch_by_command(
            ven_id=ven_id, correlation_id=correlation_id, load_id=load_id, enabled=enabled, now=now
        )

    def wrote_sample(self, topic: str, members: Mapping[str, Any]) -> bool:
        """Return True for a message with a schema version; load lists of all programs look alike."""
        return "schemaVersion" in members and not topic.startswith(LOADS_FILTER.removesuffix("+"))

    def shed_share(self, load: Load) -> Decimal:
        """Return 0 for generation and for the battery, which is not a load, else 1."""
        return Decimal(0) if circuit_type(load) in _NEVER else Decimal(1)


ENVELOPE = EnvelopeDialect()
