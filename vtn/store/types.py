"""Column types that look the same on both databases."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, Dialect, TableValuedAlias, Text, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Boolean, Integer, TypeDecorator, TypeEngine

KEY = Text().with_variant(Text(collation="C"), "postgresql")
"""Ids and instants: compared byte by byte, whatever the database's language."""


class Targets(TypeDecorator[tuple[str, ...]]):
    """Target strings in their order: ``text[]`` on PostgreSQL, a JSON array on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the database at hand."""
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Convert from Python to the driver."""
        if value is None:
            return None
        return list(value) if dialect.name == "postgresql" else json_array(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """Convert from the driver to Python."""
        if value is None:
            return None
        return tuple(value) if dialect.name == "postgresql" else msgspec.json.decode(value, type=tuple[str, ...])


def json_array(texts: Any) -> str:
    """Return texts as a JSON array."""
    return msgspec.json.encode(tuple(texts)).decode()


SEARCHED_IN: Final = "searched in"
"""Key in the ``info`` of a column of targets: the table, kept by triggers, that SQLite finds its elements in.

SQLite cannot index the elements of a list (migration 0005).
"""


class overlaps(GenericFunction[bool]):  # noqa: N801 (it reads as the SQL operator it becomes)
    """True when two lists of targets have one in common."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, left: ColumnElement[Any], right: ColumnElement[Any]) -> None:
        super().__init__(left, right)

    def self_group(self, against: Any = None) -> overlaps:
        """Return it as it is: it is a whole condition, and SQLite would find no index for a comparison with it."""
        return self


@compiles(overlaps, "postgresql")
def _overlaps_postgresql(element: overlaps, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({left} && {right})"


@compiles(overlaps, "sqlite")
def _overlaps_sqlite(element: overlaps, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    searched_in = getattr(next(iter(element.clauses)), "info", {}).get(SEARCHED_IN)
    if searched_in is not None:
        return (
            f"(events.id IN (SELECT event_id FROM {searched_in} "  # noqa: S608 (made of compiled SQL only)
            f"WHERE target IN (SELECT value FROM json_each({right}))))"
        )
    return f"EXISTS (SELECT 1 FROM json_each({left}) WHERE value IN (SELECT value FROM json_each({right})))"  # noqa: S608 (made of compiled SQL only)


class overlaps_here(overlaps):  # noqa: N801 (it reads as the SQL operator it becomes)
    """The same for targets of events on SQLite, looking at the event at hand instead of finding all that match."""

    inherit_cache = True


@compiles(overlaps_here, "sqlite")
def _overlaps_here_sqlite(element: overlaps_here, compiler: SQLCompiler, **kw: Any) -> str:
    _, right = (compiler.process(clause, **kw) for clause in element.clauses)
    held = f"SELECT value FROM json_each({right})"  # noqa: S608 (made of compiled SQL only)
    return f"EXISTS (SELECT 1 FROM event_targets WHERE event_id = events.id AND target IN ({held}))"  # noqa: S608 (made of compiled SQL only)


class any_listed(GenericFunction[bool]):  # noqa: N801 (it reads as the SQL function it becomes)
    """True when a text, which is a JSON list of texts, has one of these in it; not true for null."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, listed: ColumnElement[Any], these: ColumnElement[Any]) -> None:
        super().__init__(listed, these)


@compiles(any_listed, "postgresql")
def _any_listed_postgresql(element: any_listed, compiler: SQLCompiler, **kw: Any) -> str:
    listed, these = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(CAST({listed} AS JSONB) ?| {these})"


@compiles(any_listed, "sqlite")
def _any_listed_sqlite(element: any_listed, compiler: SQLCompiler, **kw: Any) -> str:
    listed, these = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({listed}) WHERE value IN (SELECT value FROM json_each({these})))"  # noqa: S608 (made of compiled SQL only)


class includes(GenericFunction[bool]):  # noqa: N801 (it reads as the SQL operator it becomes)
    """True when a list of targets has this one in it."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, targets: ColumnElement[Any], one: ColumnElement[Any]) -> None:
        super().__init__(targets, one)


@compiles(includes, "postgresql")
def _includes_postgresql(element: includes, compiler: SQLCompiler, **kw: Any) -> str:
    targets, one = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({one} = ANY ({targets}))"


@compiles(includes, "sqlite")
def _includes_sqlite(element: includes, compiler: SQLCompiler, **kw: Any) -> str:
    targets, one = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({one} IN (SELECT value FROM json_each({targets})))"  # noqa: S608 (made of compiled SQL only)


class all_of(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """All targets in the rows of a subquery, whose only column is named ``held``: one list, each target once."""

    type = Targets()
    inherit_cache = True

    def __init__(self, rows: ColumnElement[Any]) -> None:
        super().__init__(rows)


@compiles(all_of, "postgresql")
def _all_of_postgresql(element: all_of, compiler: SQLCompiler, **kw: Any) -> str:
    (rows,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"ARRAY(SELECT DISTINCT unnest(every_grant.held) FROM {rows} AS every_grant)"  # noqa: S608 (made of compiled SQL only)


@compiles(all_of, "sqlite")
def _all_of_sqlite(element: all_of, compiler: SQLCompiler, **kw: Any) -> str:
    (rows,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        "(SELECT json_group_array(DISTINCT target.value) "  # noqa: S608 (made of compiled SQL only)
        f"FROM {rows} AS every_grant, json_each(every_grant.held) AS target)"
    )


class targets_in(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """A list of targets, from its text as a JSON array. For PostgreSQL; SQLite keeps the text."""

    type = Targets()
    inherit_cache = True

    def __init__(self, listed: ColumnElement[str]) -> None:
        super().__init__(listed)


@compiles(targets_in, "postgresql")
def _targets_in_postgresql(element: targets_in, compiler: SQLCompiler, **kw: Any) -> str:
    (listed,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"ARRAY(SELECT jsonb_array_elements_text(CAST({listed} AS JSONB)))"


class only(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """A list of one text."""

    type = Targets()
    inherit_cache = True

    def __init__(self, one: ColumnElement[str]) -> None:
        super().__init__(one)


@compiles(only, "postgresql")
def _only_postgresql(element: only, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"ARRAY[{one}]"


@compiles(only, "sqlite")
def _only_sqlite(element: only, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_array({one})"


class common(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """The targets that are in both of two lists."""

    type = Targets()
    inherit_cache = True

    def __init__(self, left: ColumnElement[Any], right: ColumnElement[Any]) -> None:
        super().__init__(left, right)


@compiles(common, "postgresql")
def _common_postgresql(element: common, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"ARRAY(SELECT unnest({left}) INTERSECT SELECT unnest({right}))"


@compiles(common, "sqlite")
def _common_sqlite(element: common, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        f"(SELECT json_group_array(value) FROM json_each({left}) "  # noqa: S608 (made of compiled SQL only)
        f"WHERE value IN (SELECT value FROM json_each({right})))"
    )


class gathered(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """All texts of a group as one sorted list. SQLite sorts nothing here, so the rows must come in order."""

    type = Targets()
    inherit_cache = True

    def __init__(self, one: ColumnElement[str]) -> None:
        super().__init__(one)


@compiles(gathered, "postgresql")
def _gathered_postgresql(element: gathered, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f'array_agg({one} ORDER BY {one} COLLATE "C")'


@compiles(gathered, "sqlite")
def _gathered_sqlite(element: gathered, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_group_array({one})"


class collected(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """All texts of a group as one list, in no order."""

    type = Targets()
    inherit_cache = True

    def __init__(self, one: ColumnElement[str]) -> None:
        super().__init__(one)


@compiles(collected, "postgresql")
def _collected_postgresql(element: collected, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"array_agg({one})"


@compiles(collected, "sqlite")
def _collected_sqlite(element: collected, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_group_array({one})"


class numbers_of(GenericFunction[str]):  # noqa: N801 (it reads as the SQL function it becomes)
    """The numbers of a group, each once, as one text: with commas on PostgreSQL, where they are texts, else as JSON.

    SQLite sorts nothing here, so the rows must come in order.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, one: ColumnElement[Any]) -> None:
        super().__init__(one)


@compiles(numbers_of, "postgresql")
def _numbers_of_postgresql(element: numbers_of, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    text = f'{one} COLLATE "C"'
    return f"string_agg(DISTINCT {text}, ',' ORDER BY {text})"


@compiles(numbers_of, "sqlite")
def _numbers_of_sqlite(element: numbers_of, compiler: SQLCompiler, **kw: Any) -> str:
    (one,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_group_array(DISTINCT {one})"


def elements(targets: ColumnElement[Any], name: str, *, sqlite: bool) -> TableValuedAlias:
    """Return the elements of a list of targets as rows of a table called ``name``, with one column, ``value``."""
    if sqlite:
        return func.json_each(targets).table_valued("value", name=name)
    return func.unnest(targets).table_valued("value", name=name).render_derived(name=name)


class octets(GenericFunction[int]):  # noqa: N801 (it reads as the SQL function it becomes)
    """The bytes of a text, or about those of a list of targets; 0 for null. The database reads no large text for it."""

    type = Integer()
    inherit_cache = True

    def __init__(self, of: ColumnElement[Any]) -> None:
        super().__init__(of)


@compiles(octets, "postgresql")
def _octets_postgresql(element: octets, compiler: SQLCompiler, **kw: Any) -> str:
    (of,) = element.clauses
    what = compiler.process(of, **kw)
    if isinstance(of.type, Targets):
        what = f"array_to_string({what}, ',')"
    return f"coalesce(octet_length({what}), 0)"


@compiles(octets, "sqlite")
def _octets_sqlite(element: octets, compiler: SQLCompiler, **kw: Any) -> str:
    (what,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"coalesce({_SQLITE_OCTETS.format(what)}, 0)"


_SQLITE_OCTETS: Final = "octet_length({})" if sqlite3.sqlite_version_info >= (3, 43) else "length(CAST({} AS BLOB))"
"""Before 3.43 SQLite reads the text to tell its length."""


class before_slash(GenericFunction[str]):  # noqa: N801 (it reads as the SQL function it becomes)
    """The part of a text before its first slash; nothing of a text without one."""

    type = Text()
    inherit_cache = True

    def __init__(self, of: ColumnElement[str]) -> None:
        super().__init__(of)


@compiles(before_slash, "postgresql")
def _before_slash_postgresql(element: before_slash, compiler: SQLCompiler, **kw: Any) -> str:
    (of,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"substr({of}, 1, greatest(strpos({of}, '/') - 1, 0))"


@compiles(before_slash, "sqlite")
def _before_slash_sqlite(element: before_slash, compiler: SQLCompiler, **kw: Any) -> str:
    (of,) = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"substr({of}, 1, max(instr({of}, '/') - 1, 0))"


class with_target(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """A list of targets with one more at its end."""

    type = Targets()
    inherit_cache = True

    def __init__(self, targets: ColumnElement[Any], one: ColumnElement[str]) -> None:
        super().__init__(targets, one)


@compiles(with_target, "postgresql")
def _with_target_postgresql(element: with_target, compiler: SQLCompiler, **kw: Any) -> str:
    targets, one = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"array_append({targets}, CAST({one} AS TEXT))"


@compiles(with_target, "sqlite")
def _with_target_sqlite(element: with_target, compiler: SQLCompiler, **kw: Any) -> str:
    targets, one = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_insert({targets}, '$[#]', {one})"


class without_target(GenericFunction[tuple[str, ...]]):  # noqa: N801 (it reads as the SQL function it becomes)
    """A list of targets without one of them."""

    type = Targets()
    inherit_cache = True

    def __init__(self, targets: ColumnElement[Any], one: ColumnElement[str]) -> None:
        super().__init__(targets, one)


@compiles(without_target, "postgresql")
def _without_target_postgresql(element: without_target, compiler: SQLCompiler, **kw: Any) -> str:
    targets, one = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"array_remove({targets}, CAST({one} AS TEXT))"


@compiles(without_target, "sqlite")
def _without_target_sqlite(element: without_target, compiler: SQLCompiler, **kw: Any) -> str:
    targets, one = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(SELECT json_group_array(value) FROM json_each({targets}) WHERE value <> {one})"  # noqa: S608 (made of compiled SQL only)
