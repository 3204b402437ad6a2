"""vens and resources come in two forms of request, one for each role; ``objectType`` says which (R-19)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct, field

from openadr_profiles.v31 import Invalid, ObjectType, decode
from vtn.access import Caller
from vtn.errors import Forbidden

B = TypeVar("B", bound=Struct)
V = TypeVar("V", bound=Struct)

_TYPE = "objectType"


class _Head(Struct):
    object_type: str | None = field(name=_TYPE, default=None)


def by_role(kind: ObjectType, *, bl: type[B], ven: type[V]) -> Callable[[bytes, Caller], B | V]:
    """Return a decoder of the form its writer may use; without ``objectType``, that of the writer's role (COMPAT-029).

    The word of an answer, ``kind``, says as little: what was read can be put back (OBJ-013).
    Raises Invalid for an unknown form or that of the other role, Forbidden when a VEN takes that of business logic.
    """
    forms: dict[str, type[B | V]] = {str(bl.__struct_config__.tag): bl, str(ven.__struct_config__.tag): ven}

    def read(raw: bytes, caller: Caller) -> B | V:
        own: type[B | V] = bl if caller.sees_everything else ven
        named = decode(raw, _Head).object_type
        if named is None or named == kind:
            return decode(_without_type(raw), own)
        if named not in forms:
            raise Invalid(_TYPE, f"expected {' or '.join(forms)}, not {named[:40]!r}")
        if forms[named] is own:
            return decode(raw, own)
        if own is ven:
            raise Forbidden(f"{_TYPE}: only business logic may send a {named}")
        raise Invalid(_TYPE, f"expected {own.__struct_config__.tag}; a {named} comes from the VEN itself")

    return read


def _without_type(raw: bytes) -> bytes:
    """The document without an ``objectType`` that says nothing about the form."""
    members = msgspec.json.decode(raw, type=dict[str, Raw])
    if _TYPE not in members:
        return raw
    del members[_TYPE]
    return msgspec.json.encode(members)
