"""Compare the circuits of the panel with those that a driver's options name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ven.errors import BadDriverOptions
from ven.panel.circuits import BranchCircuit


def check_assignment(kind: str, circuits: Sequence[BranchCircuit], named: Iterable[str]) -> None:
    """Raise BadDriverOptions unless the options of a driver name each circuit of the panel, and no other."""
    ids, given = {circuit.id for circuit in circuits}, set(named)
    mistakes = [
        *(f"circuits: {id_} is missing" for id_ in sorted(ids - given)),
        *(
            f"circuits.{id_}: there is no circuit of this id; expected {', '.join(sorted(ids))}"
            for id_ in sorted(given - ids)
        ),
    ]
    if mistakes:
        raise BadDriverOptions(f"options of the driver {kind!r}: {'; '.join(mistakes)}")
