import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from openadr_profiles.fleet.reports import DELIVERED_SHED, FINAL_DEMAND, OPT, REQUESTED_SHED
from ven.panel.circuits import BranchCircuit
from ven.settings import VenSettings

TEXT = (Path(__file__).parents[2] / "docs" / "ven.md").read_text()


def names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from names(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def in_table(heading: str) -> set[str]:
    table = TEXT.partition(heading)[2].partition("\n\n")[2].partition("\n\n")[0] if heading else ""
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert in_table("Seconds are seconds of the clock the VEN runs on.") == set(names(VenSettings))


def test_every_member_of_a_circuit_is_documented() -> None:
    assert in_table("A circuit:") == set(names(BranchCircuit))


def test_private_payload_types_are_documented() -> None:
    assert all(f"`{name}` (private)" in TEXT for name in (OPT, REQUESTED_SHED, DELIVERED_SHED, FINAL_DEMAND))
