"""Ids that the server makes."""

from __future__ import annotations

import uuid

from vtn.store.ids import new_id


def test_new_ids_are_random_uuids() -> None:
    """OBJ-008: version 4, written the usual way, and none twice."""
    made = [new_id() for _ in range(1000)]

    assert len(set(made)) == len(made)
    for each in made:
        parsed = uuid.UUID(each)
        assert str(parsed) == each
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
