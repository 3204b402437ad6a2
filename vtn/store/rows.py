"""Objects as stores give them: columns and stored members, with the targets that the caller may see.

A row is of no version of the standard. The members are those of the core model (``openadr_profiles.v31``), encoded once
when the object was written; each version's renderer (``vtn/api/v31/render.py``) puts what a row has into its own form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec import Struct


class ObjectRow(Struct, frozen=True, gc=False):
    """One object: its metadata (instants as RFC 3339 texts), its members as JSON without braces, its visible targets.

    ``targets`` is None where the kind of object has none. ``records`` are all its targets with their types, as a text
    of ``openadr_profiles.v301.targets``; None if none has one.
    """

    id: str
    created_at: str
    modified_at: str
    members: str
    targets: tuple[str, ...] | None = None
    records: str | None = None


class ReportRow(ObjectRow, frozen=True, gc=False):
    """A report with the program of its event, which the core does not name."""

    program_id: str = ""


class VenRow(ObjectRow, frozen=True, gc=False):
    """A ven with its resources, the newest first."""

    resources: tuple[ObjectRow, ...] = ()


class GroupRow(ObjectRow, frozen=True, gc=False):
    """A resource group with the children that the caller may see: the type and the id of each, in their order."""

    children: tuple[tuple[str, str], ...] = ()


class SubscriptionRow(ObjectRow, frozen=True, gc=False):
    """A subscription. ``bearer_tokens`` are those of its object operations, in their order; None if none has one.

    ``hides_tokens`` is True when there are tokens and the caller is not the owner (SUBS-011).
    """

    bearer_tokens: tuple[str | None, ...] | None = None
    hides_tokens: bool = False
    face: str | None = None
    """The version of the API on which it was made; None is 3.1."""


@dataclass(frozen=True, slots=True)
class Validity:
    """The period, as stamps, for which an answer is valid by the clock if nothing is written."""

    since: str
    until: str


NOT_REUSABLE: Final = Validity("", "")
"""Validity of an answer that must not be given again."""


class RowPage(list[ObjectRow]):
    """One page of a search. ``validity`` is None if the page is the answer until the next write."""

    validity: Validity | None = None


Precondition: TypeAlias = Callable[[ObjectRow], None]
"""Looks at an object, as the caller sees it, before it is changed; raises to prevent the change (If-Match)."""
