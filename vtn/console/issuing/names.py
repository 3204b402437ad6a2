"""Look up what the names in a form stand for."""

from __future__ import annotations

from vtn.console.issuing.plan import NamesMeant
from vtn.console.issuing.typed import MOST_NAMES, TypedEvent, lines
from vtn.store.console.choices import ChoiceStore
from vtn.store.rows import ObjectRow


async def look_up(typed: TypedEvent, choices: ChoiceStore) -> tuple[NamesMeant, ObjectRow | None]:
    """Return the vens, resources and the program that a form names, and the program if it exists."""
    vens, resources = lines(typed.vens)[:MOST_NAMES], lines(typed.resources)[:MOST_NAMES]
    called = await choices.vens_called(vens) if vens else {}
    targets = await choices.resources_called(resources) if resources else {}
    program = await choices.program_named(typed.program.strip())
    return NamesMeant(called, targets, None if program is None else program.id), program
