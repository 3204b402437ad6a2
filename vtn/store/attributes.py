"""Attributes of vens and resources as SQL: what each says that it can shed, by the rule of ``capacity_kw``."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Float, case, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Boolean

from openadr_profiles.v31 import Attribute

_MOST_KW: Final = "1000000000"


class attribute_number(GenericFunction[float]):  # noqa: N801 (it reads as the SQL function it becomes)
    """The first value of an attribute in ``members``, if that is a number from 0 to less than a billion; else null.

    Of several attributes of one type the last one counts.
    """

    type = Float(53)
    inherit_cache = True

    def __init__(self, members: ColumnElement[str], name: ColumnElement[str]) -> None:
        super().__init__(members, name)


@compiles(attribute_number, "sqlite")
def _attribute_number_sqlite(element: attribute_number, compiler: SQLCompiler, **kw: Any) -> str:
    members, name = (compiler.process(clause, **kw) for clause in element.clauses)
    value = "json_extract(attribute.value, '$.values[0]')"
    return (
        f"(SELECT CASE WHEN json_type(attribute.value, '$.values[0]') IN ('integer', 'real') "  # noqa: S608 (made of compiled SQL only)
        f"AND {value} >= 0 AND {value} < {_MOST_KW} THEN CAST({value} AS REAL) END "
        f"FROM json_each('{{' || {members} || '}}', '$.attributes') AS attribute "
        f"WHERE json_extract(attribute.value, '$.type') = {name} "
        f"AND json_array_length(attribute.value, '$.values') > 0 "
        f"ORDER BY attribute.key DESC LIMIT 1)"
    )


@compiles(attribute_number, "postgresql")
def _attribute_number_postgresql(element: attribute_number, compiler: SQLCompiler, **kw: Any) -> str:
    members, name = (compiler.process(clause, **kw) for clause in element.clauses)
    value = "CAST(attribute.value -> 'values' ->> 0 AS numeric)"
    return (
        f"(SELECT CASE WHEN jsonb_typeof(attribute.value -> 'values' -> 0) <> 'number' THEN NULL "  # noqa: S608 (made of compiled SQL only)
        f"WHEN {value} >= 0 AND {value} < {_MOST_KW} THEN CAST({value} AS double precision) END "
        f"FROM jsonb_array_elements(CAST('{{' || {members} || '}}' AS jsonb) -> 'attributes') "
        f"WITH ORDINALITY AS attribute (value, place) "
        f"WHERE attribute.value ->> 'type' = {name} AND jsonb_array_length(attribute.value -> 'values') > 0 "
        f"ORDER BY attribute.place DESC LIMIT 1)"
    )


class attribute_is_true(GenericFunction[bool]):  # noqa: N801 (it reads as the SQL function it becomes)
    """True if the first value of an attribute in ``members`` is true; null without the attribute."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, members: ColumnElement[str], name: ColumnElement[str]) -> None:
        super().__init__(members, name)


@compiles(attribute_is_true, "sqlite")
def _attribute_is_true_sqlite(element: attribute_is_true, compiler: SQLCompiler, **kw: Any) -> str:
    members, name = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        f"(SELECT json_type(attribute.value, '$.values[0]') = 'true' "  # noqa: S608 (made of compiled SQL only)
        f"FROM json_each('{{' || {members} || '}}', '$.attributes') AS attribute "
        f"WHERE json_extract(attribute.value, '$.type') = {name} "
        f"AND json_array_length(attribute.value, '$.values') > 0 "
        f"ORDER BY attribute.key DESC LIMIT 1)"
    )


@compiles(attribute_is_true, "postgresql")
def _attribute_is_true_postgresql(element: attribute_is_true, compiler: SQLCompiler, **kw: Any) -> str:
    members, name = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        f"(SELECT attribute.value -> 'values' -> 0 = 'true'::jsonb "  # noqa: S608 (made of compiled SQL only)
        f"FROM jsonb_array_elements(CAST('{{' || {members} || '}}' AS jsonb) -> 'attributes') "
        f"WITH ORDINALITY AS attribute (value, place) "
        f"WHERE attribute.value ->> 'type' = {name} AND jsonb_array_length(attribute.value -> 'values') > 0 "
        f"ORDER BY attribute.place DESC LIMIT 1)"
    )


def rated_kw(members: ColumnElement[str]) -> ColumnElement[float]:
    """Return the power that a ven or resource draws at most, by its own words, in kW; null if it does not say."""
    return attribute_number(members, literal(Attribute.MAX_POWER_CONSUMPTION.value))


def resource_kw(members: ColumnElement[str]) -> ColumnElement[float]:
    """Return what a resource can shed, in kW: its rated power times its shed share, 0 if it is critical.

    Null if it does not say.
    """
    share = attribute_number(members, literal("SHED_SHARE"))
    part = func.coalesce(case((share > 1, 1.0), else_=share), 1.0)
    return case((attribute_is_true(members, literal("CRITICAL")), 0.0), else_=rated_kw(members) * part)
