"""Tables of elements: a `Layout` says which member of an object lies in which element, in the order of the schema.

Reading expects a tree that the schema has accepted, so order and number of elements need no second look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from lxml.etree import _Element
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from openadr_profiles.v20b.errors import Unwritable
from openadr_profiles.v20b.layout.namespaces import local_name, name
from openadr_profiles.v20b.layout.texts import TextKind
from openadr_profiles.v20b.messages.common import Interval
from openadr_profiles.v31.errors import Invalid

T = TypeVar("T", bound=Struct)
Out: TypeAlias = list[str]


class KeptIntervals(tuple[Interval, ...]):
    """Intervals that keep their text once it is written: those of a signal that many VENs are told, built once."""

    text: str | None = None


class Unreadable(Exception):
    """An element that the schema accepts and the profile does not; ``problem`` says what was expected."""

    def __init__(self, element: _Element, problem: str) -> None:
        self.element = element
        self.problem = problem
        super().__init__(problem)


class Form(Protocol):
    """Describe how a value lies in an element."""

    def read(self, element: _Element) -> Any:
        """Return the value of an element; raises Unreadable."""

    def write(self, out: Out, tag: str, value: Any) -> None:
        """Append the element with this tag; raises Unwritable."""


class Text:
    """A value that is the text of its element."""

    __slots__ = ("_kind",)

    def __init__(self, kind: TextKind) -> None:
        self._kind = kind

    def read(self, element: _Element) -> Any:
        """Return the value; raises Unreadable."""
        try:
            return self._kind.read(element.text or "")
        except Invalid as error:
            raise Unreadable(element, error.problem) from None

    def write(self, out: Out, tag: str, value: Any) -> None:
        """Append the element; raises Unwritable."""
        try:
            out.append(f"<{tag}>{self._kind.write(value)}</{tag}>")
        except Invalid as error:
            raise Unwritable(tag, error.problem) from None


class Inside:
    """A value in the only child of its element."""

    __slots__ = ("_form", "_inner")

    def __init__(self, inner: str, form: Form) -> None:
        self._inner: Final = name(inner)
        self._form = form

    def read(self, element: _Element) -> Any:
        """Return the value; raises Unreadable."""
        child = element[0]
        if child.tag != self._inner.clark:  # another member of a substitution group
            raise Unreadable(child, f"{local_name(child.tag)} has no meaning here; expected {self._inner.prefixed}")
        return self._form.read(child)

    def write(self, out: Out, tag: str, value: Any) -> None:
        """Append the element and its child."""
        out.append(f"<{tag}>")
        self._form.write(out, self._inner.prefixed, value)
        out.append(f"</{tag}>")


@dataclass(frozen=True, slots=True)
class Slot:
    """An element of a member.

    ``many`` if it repeats; ``of`` if the member may be of several types, each with an element of its own.
    """

    member: str
    tag: str
    form: Form
    many: bool = False
    of: type | tuple[type, ...] | None = None


@dataclass(frozen=True, slots=True)
class Wrap:
    """An element around several members; written if one of them is there, or ``always``."""

    tag: str
    inner: tuple[Node, ...]
    always: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """An empty element."""

    tag: str


@dataclass(frozen=True, slots=True)
class Named:
    """A member whose element has one of several names; its form knows which (``name_of`` when it is written)."""

    member: str
    form: NamedForm


class NamedForm(Form, Protocol):
    """A form for elements of several names."""

    @property
    def tags(self) -> Sequence[str]:
        """Return the names, prefixed."""

    def name_of(self, value: Any) -> str:
        """Return the name of the element of a value, prefixed; raises Unwritable."""


Node: TypeAlias = Slot | Wrap | Fixed | Named
_Reading: TypeAlias = dict[object, "tuple[str, Form, bool] | _Reading | None"]


class Layout(Generic[T]):
    """Describe how an object lies in the children of an element."""

    __slots__ = ("_defaults", "_nodes", "_reading", "_type")

    def __init__(self, type_: type[T], *nodes: Node) -> None:
        self._type = type_
        self._nodes = nodes
        self._reading = _reading(nodes)
        self._defaults = {field.name: field.default for field in fields(type_)}
        _check(type_, nodes)

    def read(self, element: _Element) -> T:
        """Return the object; raises Unreadable."""
        members: dict[str, Any] = {}
        _collect(element, self._reading, members)
        for member, value in members.items():
            if type(value) is list:
                members[member] = tuple(value)
        return self._type(**members)

    def write(self, out: Out, tag: str, value: Any) -> None:
        """Append the element and its children; raises Unwritable."""
        out.append(f"<{tag}>")
        self.write_children(out, value)
        out.append(f"</{tag}>")

    def write_children(self, out: Out, value: Any) -> None:
        """Append the children only."""
        for node in self._nodes:
            self._write(out, node, value)

    def _write(self, out: Out, node: Node, value: Any) -> None:
        if isinstance(node, Slot):
            held = getattr(value, node.member)
            if type(held) is KeptIntervals:
                out.append(_kept(held, node))
            elif node.many:
                for each in held or ():
                    if node.of is None or isinstance(each, node.of):
                        node.form.write(out, node.tag, each)
            elif held is not None and (node.of is None or isinstance(held, node.of)):
                node.form.write(out, node.tag, held)
        elif isinstance(node, Wrap):
            if node.always or any(self._is_there(inner, value) for inner in node.inner):
                out.append(f"<{node.tag}>")
                for inner in node.inner:
                    self._write(out, inner, value)
                out.append(f"</{node.tag}>")
        elif isinstance(node, Named):
            held = getattr(value, node.member)
            if held is not None:
                node.form.write(out, node.form.name_of(held), held)
        else:
            out.append(f"<{node.tag}/>")

    def _is_there(self, node: Node, value: Any) -> bool:
        if isinstance(node, Wrap):
            return node.always or any(self._is_there(inner, value) for inner in node.inner)
        if isinstance(node, Fixed):
            return False
        default = self._defaults[node.member]
        return default is NODEFAULT or getattr(value, node.member) != default


def _kept(intervals: KeptIntervals, node: Slot) -> str:
    """Return the text of intervals, written if it never was."""
    if intervals.text is None:
        out: Out = []
        for each in intervals:
            node.form.write(out, node.tag, each)
        intervals.text = "".join(out)
    return intervals.text


def _reading(nodes: Sequence[Node]) -> _Reading:
    """Return what to do with each child, by its name."""
    table: _Reading = {}
    for node in nodes:
        if isinstance(node, Slot):
            table[name(node.tag).clark] = (node.member, node.form, node.many)
        elif isinstance(node, Wrap):
            table[name(node.tag).clark] = _reading(node.inner)
        elif isinstance(node, Named):
            table |= {name(tag).clark: (node.member, node.form, False) for tag in node.form.tags}
        else:
            table[name(node.tag).clark] = None
    return table


def _collect(element: _Element, table: _Reading, members: dict[str, Any]) -> None:
    for child in element:
        try:
            found = table[child.tag]
        except KeyError:
            raise Unreadable(child, f"{local_name(child.tag)} has no meaning here") from None
        if type(found) is tuple:
            member, form, many = found
            if many:
                held = members.setdefault(member, [])
                if type(held) is tuple:
                    held = members[member] = []
                held.append(form.read(child))
            else:
                members[member] = form.read(child)
        elif isinstance(found, dict):
            for inner in found.values():
                if type(inner) is tuple and inner[2]:
                    members.setdefault(inner[0], ())
            _collect(child, found, members)


def _check(type_: type[Struct], nodes: Sequence[Node]) -> None:
    """Fail at import if a member is forgotten or misspelt."""
    used = set(_members(nodes))
    there = {field.name for field in fields(type_)}
    if used != there:
        raise AssertionError(f"{type_.__name__}: {sorted(used ^ there)}")


def _members(nodes: Sequence[Node]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if isinstance(node, Slot | Named):
            found.append(node.member)
        elif isinstance(node, Wrap):
            found += _members(node.inner)
    return found
