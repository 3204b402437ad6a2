"""Remember where clients are that read a list page after page.

A traversal is one client asking the same question again, with ``skip`` of everything it has got so far. Its next page
begins behind the last row of the page before, by a range of an index: nothing is counted off, nothing is repeated or
hidden because rows came or went in between. A client that begins elsewhere gets what counting off gives (PAGE-004 …
PAGE-010), and so does a traversal whose position is not known here: it is too old, had to make room for others, or
another process has it. Traversals of one client for one question at the same time share their positions: each may be
given what counting off would have given when the other was last answered.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, FromClause, RowMapping, tuple_

from vtn.counters.revisions import Revision, Watch
from vtn.lru import LruCache
from vtn.store.stamps import Stamps

_HELD: Final = timedelta(minutes=5)
_QUESTIONS: Final = 2_000
_PAGES_EACH: Final = 8

Key: TypeAlias = tuple[str, str]
"""Creation and id: the place of a row in every list."""


@dataclass(frozen=True, slots=True)
class _Position:
    """The last row of a page, and when it was read.

    With a ``revision``, counting off leads to it while the table stays there, ``until`` a moment at most.
    """

    key: Key
    read_at: str
    revision: Revision | None
    until: float | None


@dataclass(frozen=True, slots=True)
class PageCursor:
    """One page of a traversal: it begins ``behind`` a row, or is counted off.

    ``is_counted``: it is what counting off gives, so all with the same query at the same revision may have it.
    """

    behind: Key | None
    is_counted: bool
    _cursors: PageCursors
    _question: Hashable
    _skip: int
    _revision: Revision | None
    _until: float | None

    def read(self, rows: Sequence[RowMapping]) -> None:
        """Note the rows of the page: the next step begins after the last of them."""
        if rows:
            key = rows[-1]["created_at"], rows[-1]["id"]
            revision = self._revision if self.is_counted else None
            self._cursors.keep(self._question, self._skip + len(rows), key, revision, self._until)


class PageCursors:
    """The last few positions of every traversal; the query unused for longest is forgotten first."""

    def __init__(self, stamps: Stamps, watch: Watch | None) -> None:
        self._stamps = stamps
        self._watch = watch
        self._known: LruCache[Hashable, LruCache[int, _Position]] = LruCache(_QUESTIONS)

    def step(self, question: Hashable, skip: int) -> PageCursor:
        """Return the step for a query with this ``skip``, made before the page is read. The query names the client."""
        watch = self._watch
        revision, until = (None, None) if watch is None else (watch.revision(), watch.until())
        pages = self._known.get(question)
        position = None if pages is None else pages.get(skip)
        if position is None or position.read_at < self._stamps.ago(_HELD):
            return PageCursor(None, True, self, question, skip, revision, until)
        unchanged = watch is not None and revision is not None and position.revision == revision
        is_counted = unchanged and watch is not None and not watch.past(position.until)
        return PageCursor(position.key, is_counted, self, question, skip, revision, until)

    def keep(self, question: Hashable, skip: int, key: Key, revision: Revision | None, until: float | None) -> None:
        """Remember that a query with this ``skip`` continues after this row."""
        pages = self._known.get(question) or LruCache(_PAGES_EACH)
        self._known.put(question, pages)
        pages.put(skip, _Position(key, self._stamps.now, revision, until))


def newest_first(table: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the order of every list, which is total and that of an index."""
    return table.c.created_at.desc(), table.c.id.desc()


def is_behind(table: FromClause, key: Key) -> ColumnElement[bool]:
    """Return a clause for the rows that come after a given row in every list."""
    return tuple_(table.c.created_at, table.c.id) < tuple_(*key)
