"""Pages and objects whose texts are too large to be in memory together: they are read one by one as they are sent.

A statement for a page leaves out the texts of large objects (``shown_within``) and tells their sizes. What is small
enough in all is completed by a second statement. Anything else is a ``Large``: it knows the version of every object and
reads the text of one at a time. An object that is changed or removed before its turn is not replaced by what it became.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from blake3 import blake3
from sqlalchemy import ColumnElement, Table, case, literal_column

from vtn.store.rows import ObjectRow
from vtn.store.types import octets

WHOLE_BYTES: Final = 2 * 1024 * 1024
"""Up to this size, an answer is made as a whole."""
WITH_PAGE_BYTES: Final = 64 * 1024
"""Up to this size, an object is read with its page."""
SIZE: Final = "size_bytes"
_LARGE_COLUMNS: Final = ("members", "targets", "tokens", "target_records")

Row: TypeAlias = Mapping[Any, Any]


class Large:
    """A page, or one object, whose texts are read when they are sent.

    ``rows`` have the id, the modification and the size of every object. ``read`` gives one of these, as its caller saw
    it when the rows were found, or raises ChangedMeanwhile if it is another version by now. ``audience`` is all that
    the objects depend on beside what is stored.
    """

    def __init__(
        self,
        kind: str,
        rows: Sequence[Row],
        *,
        audience: object,
        read: Callable[[Row], Awaitable[ObjectRow]],
        is_list: bool,
    ) -> None:
        self.is_list = is_list
        self._rows = tuple(
            {name: value for name, value in dict(row).items() if name not in _LARGE_COLUMNS} for row in rows
        )
        self._read = read
        self._made_of = kind, audience

    @property
    def rows(self) -> Sequence[Row]:
        """Return what is known of each object: id, modification and size."""
        return self._rows

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self._rows)

    @property
    def size_bytes(self) -> int:
        """Return about how many bytes all texts have."""
        return sum(self.size(number) for number in range(len(self)))

    def size(self, number: int) -> int:
        """Return about how many bytes the text of an object has."""
        size: int = self._rows[number][SIZE]
        return size

    async def row(self, number: int) -> ObjectRow:
        """Return an object; raises ChangedMeanwhile, or Unavailable."""
        return await self._read(self._rows[number])

    def digest(self, form: str) -> bytes:
        """Return 128 bits that differ whenever an object, its version or its caller's view of it differs.

        ``form`` names what renders the objects. An object has another modification after every change, so no
        text needs to be read.
        """
        versions = [(row["id"], row["modified_at"], row[SIZE]) for row in self._rows]
        return blake3(repr((form, self._made_of, versions)).encode()).digest(16)


def shown_within(table: Table, most_bytes: int) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of a table, with the size of a row's texts in bytes; larger texts are left out as null."""
    large = [table.c[name] for name in _LARGE_COLUMNS if name in table.c]
    size: ColumnElement[Any] = octets(large[0])
    for column in large[1:]:
        size = size + octets(column)
    fits = size <= literal_column(str(most_bytes))
    return (
        *(
            column if column.name not in _LARGE_COLUMNS else case((fits, column)).label(column.name)
            for column in table.c
        ),
        size.label(SIZE),
    )
