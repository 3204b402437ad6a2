"""The dialects there are. A new panel program is a module like ``flat.py``, and its object in ``DIALECTS`` here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openadr_profiles.panel.dialect import Dialect
from openadr_profiles.panel.envelope import ENVELOPE
from openadr_profiles.panel.flat import FLAT
from openadr_profiles.panel.vocabulary import AckStatus

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (FLAT, ENVELOPE)}
"""All dialects by name, in the order in which an answer is tried."""

ASSUMED: Final[Dialect] = FLAT
"""Stands for the dialect of a panel that has not been heard of yet."""

WITHOUT_RESTORE: Final[Dialect] = ENVELOPE
"""Stands for the dialect of a panel once it has refused a restore."""


def dialect_named(name: str | None) -> Dialect | None:
    """Return the dialect of a name, None if there is none of that name."""
    return None if name is None else DIALECTS.get(name)


def outcome_of(
    members: Mapping[str, Any], op: str, error: str | None, warnings: list[str]
) -> tuple[AckStatus, str | None]:
    """Return how a command went and the name of the dialect that says so; unknown and None if no dialect does."""
    for dialect in DIALECTS.values():
        status = dialect.outcome(members, op, error, warnings)
        if status is not None:
            return status, dialect.name
    warnings.append(f"neither {' nor '.join(each.outcome_member for each in DIALECTS.values())} says how it went")
    return AckStatus.UNKNOWN, None


def dialect_of_sample(topic: str, members: Mapping[str, Any]) -> str | None:
    """Return the name of the dialect that a metering message shows, None if it could be of any (rule C9)."""
    return next((each.name for each in DIALECTS.values() if each.wrote_sample(topic, members)), None)
