"""The tables of ``oadr demo --details``: every circuit, and every command to a panel with its acknowledgment."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from oadr.demo.story import Scene
from oadr.events.status_view import status_tables


def details(scene: Scene) -> Group:
    """Give the status of the event with all circuits, then the commands."""
    return Group(*status_tables(scene.status, all_circuits=True), _commands(scene))


def _commands(scene: Scene) -> Table:
    table = Table(
        title="Commands to the panels and their acknowledgments",
        title_justify="left",
        header_style="bold",
        pad_edge=False,
        box=SIMPLE_HEAD,
    )
    for heading in ("Panel", "Command", "State", "ms", "Shed kW", "correlationId"):
        table.add_column(heading, justify="right" if heading in {"ms", "Shed kW"} else "left", no_wrap=True)
    for panel, commands in scene.evidence.commands.items():
        for command in commands:
            took, shed = command["responseMs"], command["actualShedKw"]
            table.add_row(
                panel,
                command["op"],
                command["state"],
                "-" if took is None else str(took),
                "-" if shed is None else f"{shed:.2f}",
                command["correlationId"],
            )
    return table
