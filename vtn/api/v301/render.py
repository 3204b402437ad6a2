"""Objects as OpenADR 3.0.1 JSON, made of the texts of the core where these are the same (``v301.view``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from openadr_profiles.v31 import ObjectType
from openadr_profiles.v301 import VERSION, view
from openadr_profiles.v301 import targets as typed
from vtn.api.v31.render import with_tokens
from vtn.notify.content import Form
from vtn.store.outbox.rows import Operation
from vtn.store.rows import ObjectRow, ReportRow, VenRow

Members = Callable[[ObjectRow, str], str]
"""Returns the members of an object; the text is the type of targets that have none."""


class Renderer:
    """Writes the objects of one kind. ``untyped`` is the type of targets that were written without one (V301-002)."""

    version = VERSION
    form = "301-1"
    """Part of the ETag of very large pages; changes with the way objects are written."""

    def __init__(self, kind: str, untyped: str) -> None:
        self._kind = str(kind)
        self._untyped = untyped
        self._members = _MEMBERS[ObjectType(kind)]

    def one(self, row: ObjectRow) -> bytes:
        """Return one object."""
        return self.text(row).encode()

    def page(self, rows: Iterable[ObjectRow]) -> bytes:
        """Return objects as one list."""
        endings: dict[tuple[str | None, tuple[str, ...] | None], str] = {}
        return f"[{','.join([self.text(row, endings) for row in rows])}]".encode()

    def text(self, row: ObjectRow, endings: dict[tuple[str | None, tuple[str, ...] | None], str] | None = None) -> str:
        """Return one object; ``endings`` are what objects with the same targets end with."""
        ending = None if endings is None else endings.get((row.records, row.targets))
        if ending is None:
            ending = self._ending(row)
            if endings is not None:
                endings[row.records, row.targets] = ending
        text = (
            f'{{"id":"{row.id}","createdDateTime":"{row.created_at}","modificationDateTime":"{row.modified_at}"'
            f',"objectType":"{self._kind}",{self._members(row, self._untyped)}{ending}'
        )
        return with_tokens(row, text) if self._kind == ObjectType.SUBSCRIPTION else text

    def _ending(self, row: ObjectRow) -> str:
        """Return the targets that may be shown; an object without any has no such member (COMPAT-047)."""
        if not row.targets and row.records is None:
            return "}"
        shown = _targets(row, self._untyped)
        return "}" if shown == "[]" else f',"targets":{shown}}}'


def notification_form(untyped: str) -> Form:
    """Return the form of notifications of this version: its objects, its targets, and the words of HTTP (V301-040)."""

    def targets(row: ObjectRow) -> bytes:
        return _targets(row, untyped).encode()

    return Form({kind: Renderer(kind, untyped).one for kind in _MEMBERS}, targets, _WORDS)


def _targets(row: ObjectRow, untyped: str) -> str:
    return typed.shown(typed.of_object(typed.read(row.records)), row.targets or (), untyped)


_WORDS = {Operation.CREATE: "POST", Operation.READ: "GET", Operation.UPDATE: "PUT", Operation.DELETE: "DELETE"}


def _of_program(row: ObjectRow, _: str) -> str:
    return view.program_members(row.members)


def _of_event(row: ObjectRow, untyped: str) -> str:
    return view.event_members(row.members, row.records, row.modified_at, untyped)


def _of_report(row: ObjectRow, _: str) -> str:
    program_id = row.program_id if isinstance(row, ReportRow) else ""
    return view.report_members(row.members, program_id, row.modified_at)


def _of_subscription(row: ObjectRow, _: str) -> str:
    return view.subscription_members(row.members)


def _of_ven(row: ObjectRow, untyped: str) -> str:
    """Return the members of a ven; a notification does not tell of its resources, which have their own."""
    if not isinstance(row, VenRow):
        return view.ven_members_alone(row.members)
    resource = Renderer(ObjectType.RESOURCE, untyped)
    return view.ven_members(row.members, map(resource.text, row.resources))


def _of_resource(row: ObjectRow, _: str) -> str:
    return view.resource_members(row.members)


_MEMBERS: Mapping[ObjectType, Members] = {
    ObjectType.PROGRAM: _of_program,
    ObjectType.EVENT: _of_event,
    ObjectType.REPORT: _of_report,
    ObjectType.SUBSCRIPTION: _of_subscription,
    ObjectType.VEN: _of_ven,
    ObjectType.RESOURCE: _of_resource,
}
