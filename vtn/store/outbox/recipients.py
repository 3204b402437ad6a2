"""Find who has to hear of a change: who wants to and whose client sees the object (SUBS-020 … SUBS-027).

One statement finds all recipients of any number of changes, from the grants and subscriptions of its moment, and makes
their deliveries. It is the rule of ``vtn/access.py`` once more in the form of sets: of all vens, those that hold a
target of the object; ``tests/vtn/test_recipients.py`` compares it with what a GET shows.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Insert,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from vtn.settings import Privacy
from vtn.store.outbox.holdings import FleetHoldings
from vtn.store.outbox.rows import BY_TARGETS, Operation, Push
from vtn.store.tables import deliveries, endpoint_operations, endpoints, notifications, vens
from vtn.store.types import Targets, collected, common, overlaps

VENS_IN_A_DELIVERY: Final = 1000
"""Vens of one delivery to the broker: what is sent again when a dispatcher was killed while it made one."""
_WITHOUT_TARGETS: Final = ("REPORT", "SUBSCRIPTION")
_OF_A_PROGRAM: Final = ("EVENT", "REPORT")
_DELETE: Final = str(Operation.DELETE)


class Recipients:
    """Build the statement that makes the deliveries of changes. ``sqlite`` says which database it is for.

    With ``names`` a VEN holds its names as targets (``Visibility``). ``open_face`` is a version whose subscriptions,
    each of a program, are told what business logic is, whoever made them (V301-007).
    """

    def __init__(self, privacy: Privacy, *, sqlite: bool, names: bool = False, open_face: str | None = None) -> None:
        self._holdings = FleetHoldings(privacy, sqlite=sqlite, names=names)
        self._sees_everything: ColumnElement[bool] = endpoints.c.sees_everything
        if open_face is not None:
            is_open = and_(endpoints.c.face == open_face, endpoints.c.program_id.is_not(None))
            self._sees_everything = or_(endpoints.c.sees_everything, func.coalesce(is_open, false()))
        self._sqlite = sqlite

    def statement(self, these: ColumnElement[bool]) -> Insert:
        """Return an INSERT of the deliveries of those rows of ``notifications`` for which ``these`` is true.

        Its parameter ``reader`` is the client who caused a READ, who is not told of it; else null (SUBS-029).
        """
        noted = select(*(column for column in notifications.c if column.key not in _UNREAD)).where(these).cte("noted")
        holders, views = self._holdings.of(noted)
        told = (self._to_webhooks(noted, holders, views), self._to_the_broker(noted))
        rows = union_all(*told, self._to_vens(noted, holders, views)).cte("recipients")
        chosen = select(*(rows.c[name] for name in _COLUMNS), literal_column("0")).order_by(rows.c.seq)
        if not self._sqlite:  # a subscription may be on its way out: whoever is gone by now is told of nothing more
            to = endpoints.c.id.in_(select(rows.c.endpoint_id))
            there = select(endpoints.c.id).where(to).with_for_update(read=True, key_share=True).cte("there")
            chosen = chosen.join_from(rows, there, there.c.id == rows.c.endpoint_id)
        return insert(deliveries).from_select([*_COLUMNS, "attempts"], chosen)

    def _to_webhooks(self, noted: CTE, holders: CTE, held_by: CTE) -> Select[Any]:
        """Select the deliveries to callback URLs."""
        views = self._of_endpoints(holders, held_by)
        its, wants, sees_everything = noted.c, endpoints.c, self._sees_everything
        held = func.coalesce(views.c.held, literal((), Targets), type_=Targets())
        by_targets = its.object_type.in_(BY_TARGETS)
        mine = and_(views.c.seq == its.seq, views.c.endpoint_id == wants.id, ~sees_everything)
        filtered = wants.targets != ()
        sees_now = func.coalesce(views.c.sees_now, _is_public(its.targets, its.program_targets))
        saw = func.coalesce(views.c.saw, _is_public(its.before_targets, its.before_program_targets), false())
        has_before = its.before_modified_at.is_not(None)
        any_program = or_(wants.program_id.is_(None), its.object_type.not_in(_OF_A_PROGRAM))
        asked_now = and_(
            or_(any_program, wants.program_id == its.program_id),
            or_(~filtered, overlaps(common(its.targets, held), wants.targets)),
        )
        asked = and_(
            or_(any_program, wants.program_id == its.before_program_id),
            or_(~filtered, overlaps(common(its.before_targets, held), wants.targets)),
        )
        matched, matches = and_(saw, asked), and_(sees_now, asked_now)
        as_a_ven = case(
            (and_(sees_now, or_(matches, matched)), its.operation),
            (matched, literal_column(f"'{_DELETE}'")),
            else_=null(),
        )
        of_its_program = or_(any_program, wants.program_id == its.program_id)
        has_no_targets = its.object_type.in_(_WITHOUT_TARGETS)
        meets_filter = or_(
            and_(of_its_program, or_(~filtered, has_no_targets, overlaps(its.targets, wants.targets))),
            and_(
                has_before,
                or_(any_program, wants.program_id == its.before_program_id),
                or_(~filtered, overlaps(its.before_targets, wants.targets)),
            ),
        )
        operation = case(
            (sees_everything, case((meets_filter, its.operation), else_=null())),
            (by_targets, as_a_ven),
            (and_(of_its_program, its.client_id == wants.client_id), its.operation),
            else_=null(),
        )
        reader = bindparam("reader", type_=Text)
        listed = endpoint_operations.join(endpoints)
        return (
            select(
                its.seq,
                wants.id.label("endpoint_id"),
                operation.label("operation"),
                case((and_(by_targets, ~sees_everything), held), else_=null()).label("held"),
                cast(null(), Targets).label("vens"),
            )
            .select_from(
                noted.join(listed, endpoint_operations.c.object_type == its.object_type).outerjoin(views, mine)
            )
            .where(
                endpoint_operations.c.operation == operation,
                or_(reader.is_(None), wants.client_id != reader),
            )
        )

    def _of_endpoints(self, holders: CTE, views: CTE) -> Subquery:
        """Select what the ven of each endpoint's client holds and sees."""
        its = and_(views.c.seq == holders.c.seq, views.c.key == holders.c.key)
        whose = endpoints.join(vens, vens.c.client_id == endpoints.c.client_id)
        chosen = (holders.c.seq, endpoints.c.id.label("endpoint_id"), views.c.held, views.c.sees_now, views.c.saw)
        found = whose.join(holders, holders.c.ven_id == vens.c.id).join(views, its)
        return select(*chosen).select_from(found).subquery("views_of_endpoints")

    def _to_the_broker(self, noted: CTE) -> Select[Any]:
        """Select one delivery of each change to all topics but those of single vens by their targets."""
        its = noted.c
        return (
            select(
                its.seq,
                endpoints.c.id,
                its.operation,
                cast(null(), Targets).label("held"),
                cast(null(), Targets).label("vens"),
            )
            .join_from(noted, endpoints, endpoints.c.push == str(Push.MQTT))
            .where(its.operation != str(Operation.READ))
        )

    def _to_vens(self, noted: CTE, holders: CTE, views: CTE) -> Select[Any]:
        """Select the deliveries to the topics of vens that see a program or event by the targets they hold (MQTT-023).

        Vens that are shown the same share one, up to ``VENS_IN_A_DELIVERY`` of them.
        """
        its, held, sees_now, saw = noted.c, views.c.held, views.c.sees_now, views.c.saw
        is_public = _is_public(its.targets, its.program_targets)
        left = and_(saw, ~_is_public(its.before_targets, its.before_program_targets))
        operation = case((sees_now, its.operation), (saw, literal_column(f"'{_DELETE}'")), else_=null())
        parts = (self._counted(holders) if self._sqlite else self._cut(holders)).subquery("parts")
        same = and_(parts.c.seq == views.c.seq, parts.c.key == views.c.key)
        return (
            select(its.seq, endpoints.c.id, operation.label("operation"), held, parts.c.vens)
            .select_from(noted.join(views, views.c.seq == its.seq).join(parts, same))
            .join(endpoints, endpoints.c.push == str(Push.MQTT))
            .where(
                its.operation != str(Operation.READ),
                operation.is_not(None),
                or_(and_(sees_now, ~is_public), left, its.targets_inside),
            )
        )

    def _counted(self, holders: CTE) -> Select[Any]:
        """Gather vens that are shown the same by their numbers among them."""
        key = (holders.c.seq, holders.c.key)
        number = func.row_number().over(partition_by=key) - literal_column("1")
        part = type_coerce(number, Integer) // literal_column(str(VENS_IN_A_DELIVERY), Integer)
        each = select(*holders.c, part.label("part")).where(_HAS_BROKER).subquery("told")
        key = (each.c.seq, each.c.key)
        return select(*key, collected(each.c.ven_id).label("vens")).group_by(*key, each.c.part)

    def _cut(self, holders: CTE) -> Select[Any]:
        """Gather all vens that are shown the same, and cut the list: one sort less than to number them."""
        from sqlalchemy.dialects.postgresql import ARRAY  # noqa: PLC0415 # not for SQLite

        key = (holders.c.seq, holders.c.key)
        vens_alike = collected(holders.c.ven_id).label("vens")
        alike = select(*key, vens_alike).where(_HAS_BROKER).group_by(*key).subquery("vens_alike")
        every, size = type_coerce(alike.c.vens, ARRAY(Text)), literal_column(str(VENS_IN_A_DELIVERY), Integer)
        series = func.generate_series(literal_column("1"), func.cardinality(every), size)
        starts = series.table_valued("first", name="starts").render_derived(name="starts")
        first = type_coerce(starts.c.first, Integer)
        part = type_coerce(every[first : first + size - literal_column("1", Integer)], Targets)
        return select(alike.c.seq, alike.c.key, part.label("vens")).join_from(alike, starts, literal(value=True))


_COLUMNS: Final = ("seq", "endpoint_id", "operation", "held", "vens")
_UNREAD: Final = frozenset({"members", "before_members"})
_HAS_BROKER: Final = exists().where(endpoints.c.push == str(Push.MQTT))


def _is_public(targets: ColumnElement[Any], program_targets: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return a clause: everybody sees the program or event."""
    return and_(targets == (), program_targets == ())
