"""Search queries for each kind of object. Names of members are the filters of the standard (PAGE-019 … PAGE-024)."""

from __future__ import annotations

from msgspec import Struct


class Page(Struct, frozen=True):
    """The page of the matching objects to return."""

    skip: int = 0
    limit: int = 50


class TargetFilter(Struct, frozen=True, kw_only=True):
    """A filter of 3.0.1: objects with a target of this type that has one of these values (V301-005).

    None is any. ``untyped`` says that targets without a type are of this one.
    """

    type: str | None = None
    values: tuple[str, ...] | None = None
    untyped: bool = False


class ProgramQuery(Struct, frozen=True, kw_only=True):
    """``targets`` is None without the parameter; several names are alternatives."""

    page: Page = Page()
    targets: tuple[str, ...] | None = None
    typed: TargetFilter | None = None
    names: tuple[str, ...] | None = None


class EventQuery(Struct, frozen=True, kw_only=True):
    """``active`` leaves out events that are over (PAGE-027)."""

    page: Page = Page()
    targets: tuple[str, ...] | None = None
    typed: TargetFilter | None = None
    program_id: str | None = None
    active: bool = False


class ReportQuery(Struct, frozen=True, kw_only=True):
    """``program_id`` is that of the report's event."""

    page: Page = Page()
    program_id: str | None = None
    event_id: str | None = None
    client_name: str | None = None


class VenQuery(Struct, frozen=True, kw_only=True):
    """Several names are alternatives."""

    page: Page = Page()
    targets: tuple[str, ...] | None = None
    typed: TargetFilter | None = None
    names: tuple[str, ...] | None = None


class ResourceQuery(Struct, frozen=True, kw_only=True):
    """Several names are alternatives."""

    page: Page = Page()
    targets: tuple[str, ...] | None = None
    typed: TargetFilter | None = None
    names: tuple[str, ...] | None = None
    ven_id: str | None = None


class ResourceGroupQuery(Struct, frozen=True, kw_only=True):
    """``name`` is exact."""

    page: Page = Page()
    targets: tuple[str, ...] | None = None
    name: str | None = None


class SubscriptionQuery(Struct, frozen=True, kw_only=True):
    """``objects`` are kinds of objects, any of which an entry names. ``of_a_program`` leaves out those of none."""

    page: Page = Page()
    typed: TargetFilter | None = None
    of_a_program: bool = False
    program_id: str | None = None
    client_name: str | None = None
    objects: tuple[str, ...] | None = None


class ContactQuery(Struct, frozen=True, kw_only=True):
    """``client_ids`` is None without the parameter; several are alternatives."""

    page: Page = Page()
    client_ids: tuple[str, ...] | None = None


class SubscriptionHealthQuery(Struct, frozen=True, kw_only=True):
    """``subscription_id`` and ``client_id`` are exact. ``troubled``: only those that fail, or have dead letters."""

    page: Page = Page()
    subscription_id: str | None = None
    client_id: str | None = None
    troubled: bool = False
