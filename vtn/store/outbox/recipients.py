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
    FromClause,
    Insert,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    collate,
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
    union,
    union_all,
)

from vtn.settings import Privacy
from vtn.store.outbox.rows import BY_TARGETS, Operation, Push
from vtn.store.tables import deliveries, endpoint_operations, endpoints, notifications, resources, vens
from vtn.store.types import Targets, common, elements, gathered, overlaps

VENS_IN_A_DELIVERY: Final = 1000
"""Vens of one delivery to the broker: what is sent again when a dispatcher was killed while it made one."""
_FEW: Final = 50
"""Targets that are looked for in an index; of more, all that anybody holds is read, in one go."""
_WITHOUT_TARGETS: Final = ("REPORT", "SUBSCRIPTION")
_OF_A_PROGRAM: Final = ("EVENT", "REPORT")
_DELETE: Final = str(Operation.DELETE)


class Recipients:
    """Build the statement that makes the deliveries of changes. ``sqlite`` says which database it is for.

    With ``names`` a VEN holds its names as targets (``Visibility``). ``open_face`` is a version whose subscriptions,
    each of a program, are told what business logic is, whoever made them (V301-007).
    """

    def __init__(self, privacy: Privacy, *, sqlite: bool, names: bool = False, open_face: str | None = None) -> None:
        self._privacy = privacy
        self._sees_everything: ColumnElement[bool] = endpoints.c.sees_everything
        if open_face is not None:
            is_open = and_(endpoints.c.face == open_face, endpoints.c.program_id.is_not(None))
            self._sees_everything = or_(endpoints.c.sees_everything, func.coalesce(is_open, false()))
        self._names = names
        self._sqlite = sqlite

    def statement(self, these: ColumnElement[bool]) -> Insert:
        """Return an INSERT of the deliveries of those rows of ``notifications`` for which ``these`` is true.

        Its parameter ``reader`` is the client who caused a READ, who is not told of it; else null (SUBS-029).
        """
        noted = select(*(column for column in notifications.c if column.key not in _UNREAD)).where(these).cte("noted")
        views = self._views(noted, self._holders(noted))
        rows = union_all(self._to_webhooks(noted, views), self._to_the_broker(noted), self._to_vens(noted, views)).cte(
            "recipients"
        )
        chosen = select(*(rows.c[name] for name in _COLUMNS), literal_column("0")).order_by(rows.c.seq)
        if not self._sqlite:  # a subscription may be on its way out: whoever is gone by now is told of nothing more
            to = endpoints.c.id.in_(select(rows.c.endpoint_id))
            there = select(endpoints.c.id).where(to).with_for_update(read=True, key_share=True).cte("there")
            chosen = chosen.join_from(rows, there, there.c.id == rows.c.endpoint_id)
        return insert(deliveries).from_select([*_COLUMNS, "attempts"], chosen)

    def _holders(self, noted: CTE) -> CTE:
        """Select (seq, ven id, client id, held targets) of the vens that hold a target which decides about a change.

        Of an event with targets inside, all that anybody holds: what is shown of its report descriptors depends on it.
        """
        its = noted.c
        lists = (its.targets, its.program_targets, its.before_targets, its.before_program_targets)
        each = [elements(one, f"named_{number}", sqlite=self._sqlite) for number, one in enumerate(lists)]
        wanted = union(
            *(
                select(its.seq, one.c.value.label("target"))
                .select_from(noted.join(one, literal(value=True)))
                .where(its.object_type.in_(BY_TARGETS))
                for one in each
            )
        ).cte("wanted")
        are_few = select(func.count() <= _FEW).select_from(wanted).scalar_subquery()
        grants = []
        for table, ven_id, whose in (
            (vens, vens.c.id, vens),
            (
                resources,
                resources.c.ven_id,
                resources.join(vens, and_(vens.c.id == resources.c.ven_id, vens.c.client_id == resources.c.client_id)),
            ),
        ):
            held = elements(table.c.targets, f"held_by_{table.name}", sqlite=self._sqlite)
            source = whose.join(held, literal(value=True))
            relevant = source.join(wanted, wanted.c.target == held.c.value)
            its_client, target = self._plain(vens.c.client_id, "client_id"), self._plain(held.c.value, "target")
            chosen = select(wanted.c.seq, ven_id.label("ven_id"), its_client, target).select_from(relevant)
            if self._sqlite:
                grants.append(chosen)
            else:  # it has an index of targets, and compares each with each where it does not use it
                from sqlalchemy.dialects.postgresql import array  # noqa: PLC0415 # not for SQLite

                holds_it = overlaps(table.c.targets, type_coerce(array([wanted.c.target]), Targets))
                by_index = select(
                    wanted.c.seq, ven_id.label("ven_id"), its_client, self._plain(wanted.c.target, "target")
                )
                grants += [by_index.select_from(whose.join(wanted, holds_it)).where(are_few), chosen.where(~are_few)]
            everything = select(its.seq, ven_id.label("ven_id"), its_client, target)
            grants.append(everything.select_from(source.join(noted, its.targets_inside)))
        if self._privacy.implicit_ven_id_target:
            its_client, target = self._plain(vens.c.client_id, "client_id"), self._plain(wanted.c.target, "target")
            own = select(wanted.c.seq, vens.c.id.label("ven_id"), its_client, target)
            grants.append(own.join_from(wanted, vens, vens.c.id == wanted.c.target))
            own = select(its.seq, vens.c.id.label("ven_id"), its_client, vens.c.id.label("target"))
            grants.append(own.join_from(noted, vens, its.targets_inside))
        for named, name, by_bl in self._named() if self._names else ():
            its_client, target = self._plain(vens.c.client_id, "client_id"), self._plain(name, "target")
            own = select(wanted.c.seq, vens.c.id.label("ven_id"), its_client, target)
            grants.append(own.select_from(named.join(wanted, wanted.c.target == name)).where(by_bl))
            own = select(its.seq, vens.c.id.label("ven_id"), its_client, target)
            grants.append(own.select_from(named.join(noted, its.targets_inside)).where(by_bl))
        granted = union(*grants).subquery("granted")
        ordered = select(granted).order_by(granted.c.target).subquery("ordered") if self._sqlite else granted
        key = (ordered.c.seq, ordered.c.ven_id, ordered.c.client_id)
        return select(*key, gathered(ordered.c.target).label("held")).group_by(*key).cte("holders")

    def _named(self) -> tuple[tuple[FromClause, ColumnElement[Any], ColumnElement[bool]], ...]:
        """Return where names that are held stand, with each name and whether business logic gave it (V301-009)."""
        whose = and_(vens.c.id == resources.c.ven_id, vens.c.client_id == resources.c.client_id)
        return (
            (vens, vens.c.name, vens.c.named_by_bl),
            (resources.join(vens, whose), resources.c.name, resources.c.named_by_bl),
        )

    def _plain(self, text: ColumnElement[Any], name: str) -> ColumnElement[Any]:
        """Return a text that is sorted byte by byte, which is quicker than in the order of a language."""
        return (text if self._sqlite else collate(text, "C")).label(name)

    def _views(self, noted: CTE, holders: CTE) -> CTE:
        """Select the holders of each change, with True where they see the object now, and where they saw it before."""
        its, held = noted.c, holders.c.held
        saw = and_(its.before_modified_at.is_not(None), _sees(its.before_targets, its.before_program_targets, held))
        return (
            select(*holders.c, _sees(its.targets, its.program_targets, held).label("sees_now"), saw.label("saw"))
            .join_from(noted, holders, holders.c.seq == its.seq)
            .cte("views")
        )

    def _to_webhooks(self, noted: CTE, views: CTE) -> Select[Any]:
        """Select the deliveries to callback URLs."""
        its, wants, sees_everything = noted.c, endpoints.c, self._sees_everything
        held = func.coalesce(views.c.held, literal((), Targets), type_=Targets())
        by_targets = its.object_type.in_(BY_TARGETS)
        mine = and_(views.c.seq == its.seq, views.c.client_id == wants.client_id, ~sees_everything)
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

    def _to_vens(self, noted: CTE, views: CTE) -> Select[Any]:
        """Select the deliveries to the topics of vens that see a program or event by the targets they hold (MQTT-023).

        Vens that are shown the same share one, up to ``VENS_IN_A_DELIVERY`` of them.
        """
        its, held, sees_now, saw = noted.c, views.c.held, views.c.sees_now, views.c.saw
        is_public = _is_public(its.targets, its.program_targets)
        left = and_(saw, ~_is_public(its.before_targets, its.before_program_targets))
        operation = case((sees_now, its.operation), (saw, literal_column(f"'{_DELETE}'")), else_=null())
        told = (
            select(its.seq, operation.label("operation"), held.label("held"), views.c.ven_id)
            .join_from(noted, views, views.c.seq == its.seq)
            .where(
                exists().where(endpoints.c.push == str(Push.MQTT)),
                its.operation != str(Operation.READ),
                operation.is_not(None),
                or_(and_(sees_now, ~is_public), left, its.targets_inside),
            )
        )
        parts = (self._numbered(told) if self._sqlite else self._cut(told)).subquery("parts")
        chosen = (parts.c.seq, endpoints.c.id, parts.c.operation, parts.c.held, parts.c.vens)
        return select(*chosen).join_from(parts, endpoints, endpoints.c.push == str(Push.MQTT))

    def _numbered(self, told: Select[Any]) -> Select[Any]:
        """Gather vens that are shown the same by their numbers among them."""
        found = told.subquery("found")
        key = (found.c.seq, found.c.operation, found.c.held)
        number = func.row_number().over(partition_by=key, order_by=found.c.ven_id) - literal_column("1")
        part = type_coerce(number, Integer) // literal_column(str(VENS_IN_A_DELIVERY), Integer)
        each = select(*key, found.c.ven_id, part.label("part")).order_by(found.c.ven_id).subquery("told")
        key = (each.c.seq, each.c.operation, each.c.held)
        return select(*key, gathered(each.c.ven_id).label("vens")).group_by(*key, each.c.part)

    def _cut(self, told: Select[Any]) -> Select[Any]:
        """Gather all vens that are shown the same, and cut the list: one sort less than to number them."""
        from sqlalchemy.dialects.postgresql import ARRAY  # noqa: PLC0415 # not for SQLite

        each = told.subquery("told")
        key = (each.c.seq, each.c.operation, each.c.held)
        alike = select(*key, gathered(each.c.ven_id).label("vens")).group_by(*key).subquery("alike")
        every, size = type_coerce(alike.c.vens, ARRAY(Text)), literal_column(str(VENS_IN_A_DELIVERY), Integer)
        series = func.generate_series(literal_column("1"), func.cardinality(every), size)
        starts = series.table_valued("first", name="starts").render_derived(name="starts")
        first = type_coerce(starts.c.first, Integer)
        part = type_coerce(every[first : first + size - literal_column("1", Integer)], Targets)
        chosen = (alike.c.seq, alike.c.operation, alike.c.held, part.label("vens"))
        return select(*chosen).join_from(alike, starts, literal(value=True))


_COLUMNS: Final = ("seq", "endpoint_id", "operation", "held", "vens")
_UNREAD: Final = frozenset({"members", "before_members"})


def _is_public(targets: ColumnElement[Any], program_targets: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return a clause: everybody sees the program or event."""
    return and_(targets == (), program_targets == ())


def _sees(
    targets: ColumnElement[Any], program_targets: ColumnElement[Any], held: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Return a clause: who holds these targets sees the program or event (PRIV-005, PRIV-006, PRIV-016)."""
    return and_(
        or_(targets == (), overlaps(targets, held)), or_(program_targets == (), overlaps(program_targets, held))
    )
