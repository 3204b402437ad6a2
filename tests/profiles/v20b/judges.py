"""The two validators, which have to agree."""

from __future__ import annotations

from functools import lru_cache

from lxml import etree
from xmlschema import XMLSchema

from openadr_profiles.v20b.schemas import path, schema


@lru_cache(maxsize=1)
def second_schema() -> XMLSchema:
    """Return the schema as the other library reads it."""
    return XMLSchema(str(path()))


def verdict(body: bytes) -> bool:
    """Tell whether both libraries accept a document; fails if they do not agree."""
    tree = etree.fromstring(body)
    first, second = schema().validate(tree), second_schema().is_valid(body)
    assert first == second, (first, second, schema().error_log, body)
    return first
